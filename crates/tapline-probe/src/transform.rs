//! What is done to features before a probe sees them; nothing in it is learned from rows that are held out.
//!
//! The penalty is felt through the scale of the features, so that the transform is part of the protocol.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use tapline_solver::{RowSource, Units};

use crate::Error;

/// What is done to the rows of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transform {
    /// Columns to mean 0 and standard deviation 1 over the training rows.
    #[default]
    Standardise,
    /// Nothing: weights are penalised in the features' own unit.
    None,
    /// Rows to Euclidean length 1, `x / ‖x‖` (rows of zeros stay), then standardised.
    L2,
    /// Signed square root, `sign(x) √|x|` (Perronnin, Sánchez and Mensink, "Improving the Fisher kernel for large-scale image
    /// classification", ECCV 2010, section 3.3), then standardised.
    Sqrt,
    /// Standardised, then projected on the leading principal components of the training rows, so many at most; penalised along
    /// them, in units of the standardised columns.
    Pca(usize),
}

impl Transform {
    /// Whether columns are standardised on the training rows.
    pub(crate) fn standardises(self) -> bool {
        self != Self::None
    }

    /// Refuses to keep no principal component.
    pub(crate) fn check(self) -> Result<(), Error> {
        if self == Self::Pca(0) { Err(Error::NoComponent) } else { Ok(()) }
    }

    /// How many principal components are kept, where the transform has some.
    pub(crate) fn components(self) -> Option<usize> {
        if let Self::Pca(components) = self { Some(components) } else { None }
    }

    /// Whether rows change before that, each by itself.
    fn is_row_wise(self) -> bool {
        matches!(self, Self::L2 | Self::Sqrt)
    }

    fn apply(self, row: &mut [f64]) {
        match self {
            Self::Standardise | Self::None | Self::Pca(_) => {}
            Self::L2 => {
                // Halves of the range of f64 are far beyond f32's, and squares of f64 features may leave it.
                let largest = row.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
                let norm = largest * row.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt();
                if largest > 0.0 {
                    row.iter_mut().for_each(|value| *value /= norm);
                }
            }
            Self::Sqrt => row.iter_mut().for_each(|value| *value = value.abs().sqrt().copysign(*value)),
        }
    }
}

/// The rows `[rows, columns]` after the row-wise part of a transform, in f64.
pub(crate) fn transform_rows<T: Copy + Into<f64>>(transform: Transform, rows: ArrayView2<'_, T>) -> Array2<f64> {
    let mut values = Array2::from_shape_fn(rows.dim(), |at| rows[at].into());
    values.outer_iter_mut().for_each(|mut row| transform.apply(row.as_slice_mut().expect("a row of a new matrix")));
    values
}

/// Rows after the row-wise part of a transform, each changed as it is read.
pub(crate) struct RowWise<'a> {
    source: &'a dyn RowSource,
    transform: Transform,
}

impl<'a> RowWise<'a> {
    /// The rows of `source`, where the transform changes them.
    pub(crate) fn of(transform: Transform, source: &'a dyn RowSource) -> Option<Self> {
        transform.is_row_wise().then_some(Self { source, transform })
    }

    /// Changed rows, `out [rows, columns]`, in the columns' unit.
    fn read_changed<T>(&self, first: usize, units: &Units, (out, of): (&mut [T], impl Fn(f64) -> T + Copy)) {
        let columns = self.dim().1;
        let mut values = vec![0.0; out.len()];
        self.source.read_f64(first, &Units::as_given(columns), &mut values);
        for (out, row) in out.chunks_exact_mut(columns).zip(values.chunks_exact_mut(columns)) {
            self.transform.apply(row);
            units.apply(row, out, of);
        }
    }
}

impl RowSource for RowWise<'_> {
    fn dim(&self) -> (usize, usize) {
        self.source.dim()
    }

    fn read(&self, first: usize, units: &Units, out: &mut [f32]) {
        self.read_changed(first, units, (out, |value| value as f32));
    }

    fn read_f64(&self, first: usize, units: &Units, out: &mut [f64]) {
        self.read_changed(first, units, (out, |value| value));
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn check(transform: Transform, expected: Array2<f64>) {
        let rows = array![[3.0f32, -4.0], [0.0, 0.0], [1.0, 0.0]];
        assert_eq!(transform_rows(transform, rows.view()), expected);
        if let Some(changed) = RowWise::of(transform, &rows) {
            let mut found = Array2::<f32>::zeros(rows.dim());
            changed.read(0, &Units::as_given(2), found.as_slice_mut().expect("a new matrix"));
            assert_eq!(found, expected.mapv(|value| value as f32));
        }
    }

    #[test]
    fn rows_are_transformed_each_by_itself() {
        check(Transform::Standardise, array![[3.0, -4.0], [0.0, 0.0], [1.0, 0.0]]);
        check(Transform::None, array![[3.0, -4.0], [0.0, 0.0], [1.0, 0.0]]);
        check(Transform::L2, array![[0.6, -0.8], [0.0, 0.0], [1.0, 0.0]]);
        check(Transform::Sqrt, array![[3f64.sqrt(), -2.0], [0.0, 0.0], [1.0, 0.0]]);
    }
}

//! Rows with their labels, checked once: everything behind this file trusts what passed it.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use tapline_solver::{RowSource, Units};

use crate::Error;

/// Features with their labels: what a probe is fitted on.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a, T> {
    /// Features `[rows, columns]`, f32 or f64.
    pub rows: ArrayView2<'a, T>,
    /// Class of each row `[rows]`, from 0 to `classes − 1`.
    pub labels: &'a [usize],
    /// Number of classes, at least 2.
    pub classes: usize,
    /// Group of each row `[rows]`, any numbers: rows of one group are never on both sides of a fold. None where every row
    /// is a draw of its own.
    pub groups: Option<&'a [usize]>,
}

/// Features with their labels, the features in memory or read a block at a time: what a protocol works on.
///
/// A [`Labelled`] table of float32 turns into one by itself.
#[derive(Clone, Copy)]
pub struct Dataset<'a> {
    /// Features `[rows, columns]`.
    pub rows: &'a dyn RowSource,
    /// Class of each row `[rows]`, from 0 to `classes − 1`.
    pub labels: &'a [usize],
    /// Number of classes, at least 2.
    pub classes: usize,
    /// Group of each row `[rows]`, as in [`Labelled`].
    pub groups: Option<&'a [usize]>,
}

impl<'a> From<&'a Labelled<'_, f32>> for Dataset<'a> {
    fn from(data: &'a Labelled<'_, f32>) -> Self {
        Self { rows: &data.rows, labels: data.labels, classes: data.classes, groups: data.groups }
    }
}

impl Dataset<'_> {
    /// The rows numbered in `chosen` as they are `[chosen, columns]`.
    pub(crate) fn gather(&self, chosen: &[usize]) -> Array2<f32> {
        let columns = self.rows.dim().1;
        let units = Units::as_given(columns);
        let mut values = vec![0.0; chosen.len() * columns];
        let mut rest = values.as_mut_slice();
        for run in chosen.chunk_by(|a, b| a + 1 == *b) {
            let (out, after) = rest.split_at_mut(run.len() * columns);
            self.rows.read(run[0], &units, out);
            rest = after;
        }
        Array2::from_shape_vec((chosen.len(), columns), values).expect("chosen × columns values")
    }
}

/// Rows checked at a time.
const BLOCK: usize = 256;

/// What can be wrong with a data set for learning: its shape, its labels, its values.
pub(crate) fn check_dataset(data: &Dataset<'_>) -> Result<(), Error> {
    check_shape(data.rows.dim(), (data.labels, data.classes), data.groups)?;
    check_values(data)
}

/// That every feature of a data set is a finite number.
pub(crate) fn check_values(data: &Dataset<'_>) -> Result<(), Error> {
    let rows: Vec<usize> = (0..data.rows.dim().0).collect();
    let blocks: Vec<&[usize]> = rows.chunks(BLOCK).collect();
    let found = blocks.par_iter().map(|block| {
        check_finite(data.gather(block).view()).map_err(|error| match error {
            Error::NotFinite { row, column, value } => Error::NotFinite { row: row + block[0], column, value },
            other => other,
        })
    });
    found.find_first(Result::is_err).unwrap_or(Ok(()))
}

/// What can be wrong with a table for learning: its shape, its labels, its values.
pub(crate) fn check_labelled<T: Copy + Into<f64>>(data: &Labelled<'_, T>) -> Result<(), Error> {
    check_shape(data.rows.dim(), (data.labels, data.classes), data.groups)?;
    check_finite(data.rows)
}

fn check_shape(
    (rows, columns): (usize, usize),
    (labels, classes): (&[usize], usize),
    groups: Option<&[usize]>,
) -> Result<(), Error> {
    if rows == 0 || columns == 0 {
        return Err(Error::Empty { rows, columns });
    }
    if labels.len() != rows {
        return Err(Error::LabelCount { rows, labels: labels.len() });
    }
    if classes < 2 {
        return Err(Error::FewClasses { classes });
    }
    if let Some(groups) = groups.filter(|groups| groups.len() != rows) {
        return Err(Error::GroupCount { rows, groups: groups.len() });
    }
    if let Some((row, &class)) = labels.iter().enumerate().find(|&(_, &class)| class >= classes) {
        return Err(Error::ClassOutOfRange { row, class, classes });
    }
    if rows < classes {
        return Err(Error::FewRows { rows, classes });
    }
    Ok(())
}

/// That every class has a row among the rows to learn from.
pub(crate) fn check_every_class(labels: impl Iterator<Item = usize>, classes: usize) -> Result<(), Error> {
    let mut seen = vec![false; classes];
    labels.for_each(|class| seen[class] = true);
    let mut present = seen.iter().enumerate().filter(|&(_, &seen)| seen);
    if let (Some((class, _)), None) = (present.next(), present.next()) {
        return Err(Error::OneClass { class });
    }
    match seen.iter().position(|&seen| !seen) {
        Some(class) => Err(Error::NoRowOfClass { class }),
        None => Ok(()),
    }
}

/// That every feature `[rows, columns]` is a finite number.
pub(crate) fn check_finite<T: Copy + Into<f64>>(rows: ArrayView2<'_, T>) -> Result<(), Error> {
    for (row, values) in rows.outer_iter().enumerate() {
        // One sum tells whether a row is clean; an infinite sum of finite numbers only costs the search.
        let sum: f64 = values.iter().map(|&value| value.into() * 0.0).sum();
        if sum == 0.0 {
            continue;
        }
        let found = values.iter().map(|&value| value.into()).enumerate().find(|(_, value)| !value.is_finite());
        if let Some((column, value)) = found {
            return Err(Error::NotFinite { row, column, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn check(rows: Array2<f32>, labels: &[usize], classes: usize, expected: &str) {
        let error = check_labelled(&Labelled { rows: rows.view(), labels, classes, groups: None }).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_table_without_rows_is_refused() {
        let expected = "the features have 0 rows and 3 columns: give at least one of each";
        check(Array2::zeros((0, 3)), &[], 2, expected);
    }

    #[test]
    fn rows_and_labels_must_pair_up() {
        let expected = "2 rows came with 3 labels: give one label for each row";
        check(Array2::zeros((2, 1)), &[0, 1, 1], 2, expected);
    }

    #[test]
    fn one_announced_class_is_refused() {
        let expected = "a probe tells at least two classes apart, found 1: label the rows with two or more";
        check(Array2::zeros((2, 1)), &[0, 0], 1, expected);
    }

    #[test]
    fn a_label_that_names_no_class_is_refused() {
        let expected = "row 1 has class 2, but there are 2 classes: number the classes from 0";
        check(Array2::zeros((2, 1)), &[0, 2], 2, expected);
    }

    #[test]
    fn fewer_rows_than_classes_are_refused() {
        let expected = "2 rows cannot show 3 classes: add rows, at least one of each class";
        check(Array2::zeros((2, 1)), &[0, 2], 3, expected);
    }

    #[test]
    fn a_feature_that_is_not_a_number_is_named_by_row_and_column() {
        let expected = "row 1, column 0 of the features is NaN: compute it again or leave the row out";
        check(array![[0.0, 1.0], [f32::NAN, f32::INFINITY]], &[0, 1], 2, expected);
    }

    #[test]
    fn an_infinite_feature_is_named_by_row_and_column() {
        let expected = "row 0, column 1 of the features is -inf: compute it again or leave the row out";
        check(array![[0.0, f32::NEG_INFINITY], [0.0, 1.0]], &[0, 1], 2, expected);
    }

    #[test]
    fn a_class_without_rows_is_named() {
        assert_eq!(check_every_class([0, 2].into_iter(), 3), Err(Error::NoRowOfClass { class: 1 }));
    }

    #[test]
    fn rows_of_one_class_are_refused() {
        assert_eq!(check_every_class([1, 1].into_iter(), 2), Err(Error::OneClass { class: 1 }));
    }
}

//! Principal components of training rows: a probe of few numbers that still takes features as they are.
//!
//! The axes are orthonormal, so that a penalty on a probe's weights along them is the same penalty on its weights of the
//! standardised columns, `‖u‖ = ‖A u‖`: such a probe is an ordinary one whose weights lie in the span of the axes.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use ndarray::Array2;

use crate::standardise::{standardisation_in, standardise};
use crate::{Dataset, Error, Standardisation};

/// Rows projected at a time.
const BLOCK: usize = 512;
/// Components whose share of the first's variance is smaller are rounding.
const NOTHING: f64 = 1e-10;

/// The leading principal components of some rows.
pub(crate) struct Principal {
    /// How the columns are standardised: by the same rows.
    pub(crate) standardisation: Standardisation,
    /// Orthonormal `[columns, components]`, from the largest variance to the smallest.
    pub(crate) axes: Array2<f64>,
}

impl Principal {
    /// The first `components` of the rows numbered in `chosen`, standardised on themselves: eigenvectors of their correlation matrix
    /// (Jolliffe, "Principal component analysis", 2002, chapter 2); fewer where rows or columns show no more.
    ///
    /// # Errors
    /// Where the eigenvalues are not found.
    pub(crate) fn of(data: &Dataset<'_>, chosen: &[usize], components: usize) -> Result<Self, Error> {
        let standardisation = standardisation_in(data, chosen);
        let columns = data.rows.dim().1;
        // The smaller of XᵀX, summed over blocks of rows, and XXᵀ; of X = U S Vᵀ, V = Xᵀ U / S.
        let wide = (columns > chosen.len()).then(|| Standardised::of(data, &standardisation, chosen));
        let mut gram = Mat::zeros(columns.min(chosen.len()), columns.min(chosen.len()));
        match &wide {
            Some(all) => add_product(&mut gram, all.view(), all.view().transpose()),
            None => chosen.chunks(BLOCK).for_each(|block| {
                let rows = Standardised::of(data, &standardisation, block);
                add_product(&mut gram, rows.view().transpose(), rows.view());
            }),
        }
        let (variances, vectors) = eigen(&gram)?;
        let largest = variances.first().copied().unwrap_or(0.0);
        let kept = variances.iter().take(components).take_while(|&&variance| variance > NOTHING * largest).count();
        if kept == 0 {
            // Columns that never change: any axis says as much.
            let axes = Array2::from_shape_fn((columns, 1), |(column, _)| if column == 0 { 1.0 } else { 0.0 });
            return Ok(Self { standardisation, axes });
        }
        let leading = vectors.as_ref().subcols(0, kept);
        let mut axes = Mat::zeros(columns, kept);
        match &wide {
            Some(all) => add_product(&mut axes, all.view().transpose(), leading),
            None => axes.copy_from(leading),
        }
        let length = |axis: usize| if wide.is_some() { variances[axis].sqrt() } else { 1.0 };
        let axes = Array2::from_shape_fn((columns, kept), |(column, axis)| axes[(column, axis)] / length(axis));
        Ok(Self { standardisation, axes })
    }

    /// All rows along the axes `[rows, components]`.
    pub(crate) fn project(&self, data: &Dataset<'_>) -> Array2<f32> {
        let mut found = Array2::zeros((data.labels.len(), self.axes.ncols()));
        let all: Vec<usize> = (0..data.labels.len()).collect();
        for block in all.chunks(BLOCK) {
            let rows = data.gather(block);
            let along = standardise(&self.standardisation, rows.view(), &all[..block.len()]).dot(&self.axes);
            let mut out = found.slice_mut(ndarray::s![block[0]..block[0] + block.len(), ..]);
            out.assign(&along.mapv(|value| value as f32));
        }
        found
    }

    /// Weights `[columns, outputs]` of the standardised columns, from weights along the axes `[components, outputs]`.
    pub(crate) fn weights(&self, along: &Array2<f64>) -> Array2<f64> {
        self.axes.dot(along)
    }
}

/// Bytes that so many components of a table take: products, eigenvectors and what finds these, the rows they are of (in blocks, or all
/// where columns are more), the axes, and all rows along them.
pub(crate) fn bytes((rows, columns): (usize, usize), components: usize) -> usize {
    let side = columns.min(rows);
    let standardised = if columns > rows { rows } else { BLOCK } * columns;
    let doubles = 4 * side * side + 2 * standardised + 2 * columns * components.min(side);
    size_of::<f64>() * doubles + size_of::<f32>() * rows * components.min(side)
}

/// Rows standardised.
struct Standardised(Array2<f64>);

impl Standardised {
    fn of(data: &Dataset<'_>, standardisation: &Standardisation, chosen: &[usize]) -> Self {
        let rows = data.gather(chosen);
        Self(standardise(standardisation, rows.view(), &(0..chosen.len()).collect::<Vec<_>>()))
    }

    /// `[rows, columns]`, column-major, as `standardise` makes it.
    fn view(&self) -> MatRef<'_, f64> {
        let (rows, columns) = self.0.dim();
        MatRef::from_column_major_slice(self.0.as_slice_memory_order().expect("one run of numbers"), rows, columns)
    }
}

fn add_product(sum: &mut Mat<f64>, left: MatRef<'_, f64>, right: MatRef<'_, f64>) {
    matmul(sum.as_mut(), Accum::Add, left, right, 1.0, Par::Seq);
}

/// Eigenvalues, descending, and eigenvectors as columns; on one thread, so that their last digits hang on nothing.
fn eigen(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>), Error> {
    let size = matrix.nrows();
    let mut values = Diag::<f64>::zeros(size);
    let mut vectors = Mat::<f64>::zeros(size, size);
    let wanted = self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(wanted);
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(matrix.as_ref(), values.as_mut(), Some(vectors.as_mut()), Par::Seq, stack, Default::default())
        .map_err(|_| Error::NoComponents { size })?;
    let values = values.column_vector();
    let descending = (0..size).rev().map(|index| values[index]).collect();
    Ok((descending, Mat::from_fn(size, size, |row, column| vectors[(row, size - 1 - column)])))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Axis};

    use super::*;
    use crate::random::random_numbers;

    fn rows(count: usize, columns: usize) -> Array2<f32> {
        use rand_chacha::rand_core::RngCore;
        let mut random = random_numbers(7);
        Array2::from_shape_fn((count, columns), |(row, column)| {
            (random.next_u32() % 1000) as f32 / 100.0 + (row * (column % 3)) as f32 / 10.0
        })
    }

    /// Axes are orthonormal, and what lies along them is uncorrelated, with falling variance, and all of it where all are kept.
    fn check(count: usize, columns: usize, components: usize, kept: usize) {
        let rows = rows(count, columns);
        let labels: Vec<usize> = (0..count).collect();
        let data = Dataset { rows: &rows, labels: &labels, classes: count, groups: None };
        let found = Principal::of(&data, &labels, components).unwrap();
        assert_eq!(found.axes.dim(), (columns, kept));
        let one = found.axes.t().dot(&found.axes) - Array2::<f64>::eye(kept);
        assert!(one.iter().all(|value| value.abs() < 1e-9), "{one}");
        let along = found.project(&data).mapv(f64::from);
        let covariance = along.t().dot(&along) / count as f64;
        let variances: Array1<f64> = covariance.diag().to_owned();
        assert!(variances.windows(2).into_iter().all(|pair| pair[0] >= pair[1] - 1e-6));
        let between = &covariance - &Array2::from_diag(&variances);
        assert!(between.iter().all(|value| value.abs() < 1e-4), "{between}");
        if kept == columns.min(count - 1) {
            assert!((variances.sum() - columns as f64).abs() < 1e-3, "{}", variances.sum());
        }
        assert!(along.mean_axis(Axis(0)).unwrap().iter().all(|mean| mean.abs() < 1e-5));
    }

    #[test]
    fn axes_are_those_of_the_correlations() {
        check(60, 5, 3, 3);
        check(60, 5, 5, 5);
    }

    #[test]
    fn more_columns_than_rows_show_as_many_components_as_rows_but_one() {
        check(12, 40, 40, 11);
        check(12, 40, 4, 4);
    }

    #[test]
    fn columns_that_never_change_say_nothing() {
        let rows = Array2::from_elem((5, 2), 3.0f32);
        let data = Dataset { rows: &rows, labels: &[0; 5], classes: 1, groups: None };
        let found = Principal::of(&data, &[0, 1, 2, 3, 4], 2).unwrap();
        assert_eq!(found.project(&data), Array2::<f32>::zeros((5, 1)));
    }
}

//! A fitted linear probe as plain numbers: all it takes to score a row, here or in any other program.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use rayon::prelude::*;

use crate::labelled::check_finite;
use crate::loss::{output_probabilities, predicted_class};
use crate::standardise::standardise;
use crate::transform::transform_rows;
use crate::{Dataset, Error, Standardisation, Transform};

/// Rows scored at a time.
const BLOCK: usize = 512;

/// A linear probe: `scores = ((t(x) − mean) / scale) · weights + intercept`, with t the row-wise part of its transform.
///
/// Two classes have one output, the log-odds of class 1; more classes have one output each, whose softmax gives their
/// probabilities. Where labels do not exclude each other, or targets are numbers ([`TargetFit`](crate::TargetFit)), there is one output
/// for each, and [`scores`](Self::scores) alone means something.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// What is done to the features first.
    pub transform: Transform,
    /// Mean and scale of the training rows' columns, after the row-wise part of the transform; the scale is 1 where it does not
    /// standardise.
    pub standardisation: Standardisation,
    /// Weights `[columns, outputs]` of the standardised features.
    pub weights: Array2<f64>,
    /// Intercept of each output `[outputs]`.
    pub intercept: Array1<f64>,
}

impl Probe {
    /// Number of classes told apart, at least 2; of a probe of classes.
    pub fn classes(&self) -> usize {
        self.intercept.len().max(2)
    }

    /// Scores `[rows, outputs]` of features `[rows, columns]` in their own unit.
    ///
    /// # Errors
    /// For another number of columns than the probe's, and for a feature that is not finite.
    pub fn scores<T: Copy + Into<f64>>(&self, rows: ArrayView2<'_, T>) -> Result<Array2<f64>, Error> {
        let expected = self.weights.nrows();
        if rows.ncols() != expected {
            return Err(Error::ColumnCount { expected, found: rows.ncols() });
        }
        check_finite(rows)?;
        let all: Vec<usize> = (0..rows.nrows()).collect();
        Ok(self.scores_of(transform_rows(self.transform, rows).view(), &all))
    }

    /// Probability of each class `[rows, classes]` for features `[rows, columns]`; of a probe of classes.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn probabilities<T: Copy + Into<f64>>(&self, rows: ArrayView2<'_, T>) -> Result<Array2<f64>, Error> {
        let scores = self.scores(rows)?;
        let outputs = output_probabilities(scores.view());
        if outputs.ncols() > 1 {
            return Ok(outputs);
        }
        // The first class by itself: 1 - p is 0 where p is nearly 1.
        let first = output_probabilities((-scores).view());
        let of_class = |(row, class)| if class == 1 { outputs[[row, 0]] } else { first[[row, 0]] };
        Ok(Array2::from_shape_fn((outputs.nrows(), 2), of_class))
    }

    /// Most probable class of each row `[rows]`, the first of equals; of a probe of classes.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn predict<T: Copy + Into<f64>>(&self, rows: ArrayView2<'_, T>) -> Result<Vec<usize>, Error> {
        Ok(self.scores(rows)?.outer_iter().map(predicted_class).collect())
    }

    /// Scores `[chosen, outputs]` of the rows numbered in `chosen`, of features that were checked, and transformed row by row, before.
    pub(crate) fn scores_of<T: Copy + Into<f64>>(&self, rows: ArrayView2<'_, T>, chosen: &[usize]) -> Array2<f64> {
        standardise(&self.standardisation, rows, chosen).dot(&self.weights) + &self.intercept
    }

    /// The same of a data set whose rows are transformed already, read a block at a time.
    pub(crate) fn scores_in(&self, data: &Dataset<'_>, chosen: &[usize]) -> Array2<f64> {
        let of_block = |block: &[usize]| {
            let rows = data.gather(block);
            self.scores_of(rows.view(), &(0..block.len()).collect::<Vec<_>>())
        };
        let blocks: Vec<Array2<f64>> = chosen.par_chunks(BLOCK).map(of_block).collect();
        let views: Vec<_> = blocks.iter().map(Array2::view).collect();
        concatenate(Axis(0), &views).expect("blocks of one width")
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn probe() -> Probe {
        let standardisation = Standardisation { mean: array![1.0, 2.0], scale: array![2.0, 4.0] };
        Probe {
            transform: Transform::Standardise,
            standardisation,
            weights: array![[1.0], [-1.0]],
            intercept: array![0.5],
        }
    }

    #[test]
    fn scores_are_weighted_standardised_features() {
        assert_eq!(probe().scores(array![[3.0f32, 2.0], [1.0, 10.0]].view()), Ok(array![[1.5], [-1.5]]));
        assert_eq!(probe().predict(array![[3.0f32, 2.0], [1.0, 10.0]].view()), Ok(vec![1, 0]));
    }

    #[test]
    fn rows_are_transformed_first() {
        let probe = Probe { transform: Transform::Sqrt, ..probe() };
        assert_eq!(probe.scores(array![[9.0f32, 4.0]].view()), Ok(array![[1.5]]));
    }

    #[test]
    fn probabilities_of_a_row_sum_to_one() {
        let found = probe().probabilities(array![[3.0f64, 2.0]].view()).unwrap();
        assert_eq!(found.dim(), (1, 2));
        assert!((found[[0, 1]] - 1.0 / (1.0 + (-1.5f64).exp())).abs() < 1e-15);
        assert!((found.sum() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn rows_of_another_width_are_refused() {
        let error = probe().predict(array![[3.0f32]].view()).unwrap_err();
        let expected = "the probe was fitted on 2 columns, found 1: use features of the same layer and pooling";
        assert_eq!(error.to_string(), expected);
    }
}

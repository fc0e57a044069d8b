//! What probes are fitted to, and what tells a good one of a grid from a bad one: classes, or targets of another kind.
//!
//! The protocol is the same for all; the loss of a fit and the tally of rows held out are not.

use ndarray::{Array2, ArrayView1};
use tapline_solver::{ClassWeights, Classes, Loss};

use crate::loss::label_loss;
use crate::standardise::standardisation;
use crate::strength::{Tally, tally_scores};
use crate::{Dataset, Score};

/// What the probes of a protocol are fitted to.
#[derive(Clone, Copy)]
pub(crate) enum Goal<'a> {
    /// The classes of the data set.
    Classes,
    /// Labels that do not exclude each other `[rows, labels]`, each 0 or 1.
    Labels(&'a Array2<f64>),
    /// Numbers `[rows, targets]`, in a unit of about 1.
    Numbers(&'a Array2<f64>),
}

impl<'a> Goal<'a> {
    /// Numbers that a probe gives a row, as they count for memory.
    pub(crate) fn outputs(self, classes: usize) -> usize {
        match self {
            Self::Classes => classes,
            Self::Labels(targets) | Self::Numbers(targets) => targets.ncols(),
        }
    }

    /// The solver's loss.
    pub(crate) fn loss(self, data: &Dataset<'a>, balanced: bool) -> Loss<'a> {
        match self {
            Self::Classes => {
                let weights = if balanced { ClassWeights::Balanced } else { ClassWeights::Equal };
                Loss::Logistic(Classes { labels: data.labels, count: data.classes, weights })
            }
            Self::Labels(targets) => Loss::OneVsRest(targets.view()),
            Self::Numbers(targets) => Loss::SquaredError(targets.view()),
        }
    }

    /// Standard deviation of each number over the rows `train` `[targets]`, the unit that held-out errors are counted in; empty
    /// for other goals.
    pub(crate) fn spread(self, train: &[usize]) -> Vec<f64> {
        match self {
            Self::Classes | Self::Labels(_) => Vec::new(),
            Self::Numbers(targets) => standardisation(targets.view(), train).scale.to_vec(),
        }
    }

    /// Sums over rows held out, each given by its number and its scores `[outputs]`; of numbers in units of `spread`.
    ///
    /// But for classes no row counts as right, so that the loss alone chooses: the mean over the labels of `−ln p` of what the row
    /// has, in nats, or the mean over the targets of the squared error.
    pub(crate) fn tally<'s>(
        self,
        labels: &[usize],
        spread: &[f64],
        rows: impl Iterator<Item = (usize, ArrayView1<'s, f64>)>,
    ) -> Tally {
        let add = |sum: Tally, loss: f64| Tally {
            score: Score { correct: 0, total: sum.score.total + 1 },
            loss: sum.loss + loss,
        };
        match self {
            Self::Classes => tally_scores(rows.map(|(row, scores)| (scores, labels[row]))),
            Self::Labels(targets) => rows.fold(Tally::default(), |sum, (row, scores)| {
                let losses = scores.iter().zip(targets.row(row)).map(|(&score, &side)| label_loss(score, side == 1.0));
                add(sum, losses.sum::<f64>() / scores.len() as f64)
            }),
            Self::Numbers(targets) => rows.fold(Tally::default(), |sum, (row, scores)| {
                let errors = scores.iter().zip(targets.row(row)).zip(spread);
                let squares = errors.map(|((score, target), spread)| ((score - target) / spread).powi(2));
                add(sum, squares.sum::<f64>() / scores.len() as f64)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn check(goal: Goal<'_>, spread: &[f64], expected: f64) {
        let scores = array![[0.0, 2.0], [0.0, -1.0]];
        let found = goal.tally(&[], spread, scores.outer_iter().enumerate());
        assert_eq!(found.score, Score { correct: 0, total: 2 });
        assert!((found.loss - expected).abs() < 1e-12, "{} {expected}", found.loss);
    }

    #[test]
    fn labels_are_tallied_by_their_log_loss() {
        let softplus = |x: f64| x.exp().ln_1p();
        let expected = (2.0 * 2f64.ln() + softplus(-2.0) + softplus(-1.0)) / 2.0;
        check(Goal::Labels(&array![[0.0, 1.0], [1.0, 0.0]]), &[], expected);
    }

    #[test]
    fn numbers_are_tallied_by_squared_errors_in_units_of_their_spread() {
        let targets = array![[2.0, 2.0], [0.0, 3.0]];
        check(Goal::Numbers(&targets), &[2.0, 4.0], (1.0 + 1.0) / 2.0);
        assert_eq!(Goal::Numbers(&targets).spread(&[0, 1]), [1.0, 0.5]);
    }
}

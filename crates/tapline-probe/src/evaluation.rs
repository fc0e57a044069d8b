//! What an evaluation found, row by row and fold by fold, and the numbers read off it.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::score::{balanced_accuracy, calibration_error, confusion, macro_f1, score};
use crate::{Fit, Score};

/// Scores of one layer's features: every row predicted by a probe that never saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of classes.
    pub classes: usize,
    /// The rows scored, by position among the rows given, ascending `[scored]`; [repeated shuffles](crate::repeated_holdout)
    /// score a row as often as it is drawn.
    pub scored_rows: Vec<usize>,
    /// Their true classes `[scored]`.
    pub labels: Vec<usize>,
    /// The test fold each belongs to `[scored]`: a position in `folds`.
    pub fold_of: Vec<usize>,
    /// Their predicted classes `[scored]`.
    pub predicted: Vec<usize>,
    /// Probability the probe gave to the true class `[scored]`, from 0 to 1.
    pub true_probability: Vec<f64>,
    /// Probability the probe gave to the predicted class `[scored]`, from 0 to 1.
    pub predicted_probability: Vec<f64>,
    /// Of two classes, log-odds of class 1 `[scored]`, which stay apart where probabilities are all 0 or 1; none of more.
    pub log_odds: Option<Vec<f64>>,
    /// Mean over the scored rows of `−ln p(true class)`, in nats.
    pub log_loss: f64,
    /// Rows whose true class is among the five most probable; none for five classes or fewer.
    pub top_five: Option<Score>,
    /// [Area under the ROC curve](crate::auroc) over the scored rows of all folds together, from 0 to 1: the probes of the
    /// folds must agree on more than the order within their own. None where all scored rows have one class.
    pub auroc: Option<f64>,
    /// [Average precision](crate::average_precision()) over the same rows, from 0 to 1; of two classes that of class 1. None where no
    /// row scored is of class 1.
    pub average_precision: Option<f64>,
    /// What was chosen for each test fold, and how it did there.
    pub folds: Vec<TestFold>,
    /// Number of probes fitted.
    pub fits: usize,
    /// The fits among them that did not converge.
    pub not_converged: Vec<NotConverged>,
}

impl Evaluation {
    /// Right rows out of all scored rows.
    pub fn score(&self) -> Score {
        score(&self.labels, &self.predicted)
    }

    /// Counts `[classes, classes]` of true (row) and predicted (column) classes.
    pub fn confusion(&self) -> Array2<usize> {
        confusion(&self.labels, &self.predicted, self.classes)
    }

    /// Mean recall of the classes, from 0 to 1.
    pub fn balanced_accuracy(&self) -> f64 {
        balanced_accuracy(&self.confusion())
    }

    /// Mean F1 score of the classes, from 0 to 1.
    pub fn macro_f1(&self) -> f64 {
        macro_f1(&self.confusion())
    }

    /// Expected calibration error of the predicted classes' probabilities, from 0 to 1.
    pub fn calibration_error(&self) -> f64 {
        let right: Vec<bool> = self.labels.iter().zip(&self.predicted).map(|(a, b)| a == b).collect();
        calibration_error(&self.predicted_probability, &right)
    }
}

/// One test fold: the strength chosen without it, and the score on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestFold {
    /// How the strength was chosen.
    pub choice: Choice,
    /// Right rows out of the fold's.
    pub test: Score,
}

/// A regularisation strength chosen from a grid by validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Position of the chosen strength in the grid.
    pub index: usize,
    /// The chosen strength C.
    pub c: f64,
    /// Whether it is the first or last of a grid of several: a wider grid may do better.
    pub at_edge: bool,
    /// Validation of every strength tried, ascending in C from the grid's first, over all rows outside the test fold. Where held-out
    /// loss was high two decades beyond the best strength, larger ones were not tried.
    pub inner: Vec<Validation>,
}

impl Choice {
    /// Validation of the chosen strength: what a layer may be chosen by, for it leaves the test fold out.
    pub fn validation(&self) -> &Validation {
        &self.inner[self.index]
    }
}

/// How one strength did on rows held out from its fits, summed over the validation folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The strength C.
    pub c: f64,
    /// Right rows out of the rows validated on.
    pub score: Score,
    /// Mean over these rows of `−ln p(true class)`, in nats.
    pub log_loss: f64,
}

/// A fit whose objective is not proven to be near its minimum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotConverged {
    /// The folds it left out: two while choosing for a test fold, one when scoring it or choosing for all rows (of a split:
    /// the rows to learn from), none for the probe on all rows.
    pub left_out: Vec<usize>,
    /// Its strength C.
    pub c: f64,
    /// Euclidean norm of the objective's gradient where it stopped.
    pub gradient_norm: f64,
    /// Largest possible distance of its objective from the minimum, as a share of the objective; finite, so that JSON can hold it.
    pub relative_excess: f64,
    /// What the solver said, if it failed.
    pub failure: Option<String>,
}

/// The largest number for one that is infinite or not a number.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::MAX }
}

/// The entry of a fit in the list of those that did not converge, if it belongs there.
pub(crate) fn not_converged(fit: &Fit, left_out: &[usize], c: f64) -> Option<NotConverged> {
    (!fit.converged).then(|| NotConverged {
        left_out: left_out.to_vec(),
        c,
        gradient_norm: finite(fit.gradient_norm),
        relative_excess: finite(fit.excess / fit.objective),
        failure: fit.failure.clone(),
    })
}

//! An accuracy with its interval, in the one way that suits the pictures: alone or in groups.

use serde::Serialize;
use tapline_probe::{Evaluation, Score, grouped_interval};

use crate::output::percent;
use crate::plan::Plan;

/// A score with its 95 % interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Accuracy {
    /// Pictures classified right.
    pub correct: usize,
    /// Pictures scored.
    pub total: usize,
    /// Their ratio, 0 to 1.
    pub accuracy: f64,
    /// The interval, 0 to 1.
    pub interval: (f64, f64),
}

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Interval {
    /// By Wilson's formula: pictures are independent draws.
    #[serde(rename = "Wilson")]
    Wilson,
    /// By resampling pictures, each with all its scores: shuffles score a picture several times.
    #[serde(rename = "bootstrap over pictures")]
    Pictures,
    /// By resampling groups: groups are independent draws.
    #[serde(rename = "bootstrap over groups")]
    Groups,
}

impl Interval {
    /// The way that suits the pictures of a plan.
    pub fn of(plan: &Plan) -> Self {
        match (&plan.data.groups, plan.shuffles) {
            (Some(_), _) => Self::Groups,
            (None, Some(_)) => Self::Pictures,
            (None, None) => Self::Wilson,
        }
    }

    /// What it is called in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wilson => "Wilson interval",
            Self::Pictures => "bootstrap interval over pictures",
            Self::Groups => "bootstrap interval over groups",
        }
    }
}

impl Accuracy {
    /// Of all pictures an evaluation scored; of shuffles, of all their scores.
    pub fn of(evaluation: &Evaluation, plan: &Plan) -> Self {
        Self::of_predicted(evaluation, &evaluation.predicted, plan)
    }

    /// Of other predictions for the pictures an evaluation scored.
    pub fn of_predicted(evaluation: &Evaluation, predicted: &[usize], plan: &Plan) -> Self {
        let all: Vec<usize> = (0..predicted.len()).collect();
        Self::of_chosen(evaluation, predicted, (&all, Interval::of(plan), plan))
    }

    /// Of some of the scores of an evaluation, by their positions.
    pub fn of_some(evaluation: &Evaluation, chosen: &[usize], plan: &Plan) -> Self {
        Self::of_chosen(evaluation, &evaluation.predicted, (chosen, Interval::of(plan), plan))
    }

    /// Of one test fold.
    pub fn of_fold(evaluation: &Evaluation, fold: usize, plan: &Plan) -> Self {
        let inside: Vec<usize> = (0..evaluation.fold_of.len()).filter(|&i| evaluation.fold_of[i] == fold).collect();
        // Within one shuffle, too, a picture is scored once.
        let interval = if plan.data.groups.is_some() { Interval::Groups } else { Interval::Wilson };
        Self::of_chosen(evaluation, &evaluation.predicted, (&inside, interval, plan))
    }

    fn of_chosen(
        evaluation: &Evaluation,
        predicted: &[usize],
        (chosen, interval, plan): (&[usize], Interval, &Plan),
    ) -> Self {
        let right: Vec<bool> = chosen.iter().map(|&i| evaluation.labels[i] == predicted[i]).collect();
        let score = Score { correct: right.iter().filter(|&&right| right).count(), total: right.len() };
        let rows = || chosen.iter().map(|&i| evaluation.scored_rows[i]);
        let of_row = plan.data.groups.as_ref().map(|groups| groups.of_row.as_slice());
        let unit = |row: usize| of_row.map_or(row, |of_row| of_row[row]);
        let interval = match interval {
            Interval::Wilson => score.interval(),
            Interval::Pictures | Interval::Groups => {
                grouped_interval(&right, &rows().map(unit).collect::<Vec<_>>(), plan.config.seed)
            }
        };
        Self { correct: score.correct, total: score.total, accuracy: score.accuracy(), interval }
    }

    /// The interval in per cent: `84.0 to 86.7`.
    pub fn interval_text(&self) -> String {
        format!("{} to {}", percent(self.interval.0), percent(self.interval.1))
    }
}

//! Probes taps for targets other than classes, or takes the evaluation kept from the last time nothing had changed; and what it
//! says in numbers.

use std::time::Instant;

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use tapline_core::{Digest, Store};
use tapline_probe::{
    LabelScores, NumberScores, ProtocolConfig, Role, Shuffles, TargetEvaluation, evaluate_targets, label_scores,
    mean_average_precision_interval, number_scores, r2_interval,
};

use crate::features::Features;
use crate::plan::Plan;
use crate::scores::{keep, kept_as, read_kept};
use crate::targets::{Targeted, Task};

/// An evaluation of one tap and how long it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetScored {
    /// What was found.
    pub evaluation: TargetEvaluation,
    /// Seconds the fits took when they were made.
    pub seconds: f64,
}

/// Raised by hand whenever an evaluation of the same input comes out differently, or is written differently.
const VERSION: u32 = 2;

/// Everything an evaluation depends on.
#[derive(Serialize)]
struct Key<'a> {
    target_version: u32,
    features: Digest,
    task: Task,
    values: Digest,
    split: Option<&'a [Role]>,
    groups: Option<&'a [usize]>,
    shuffles: Option<Shuffles>,
    config: &'a ProtocolConfig,
}

/// Evaluates `taps` of a store, their features joined; `progress` is called after each fit.
pub fn score_taps(
    store: &Store,
    taps: &[usize],
    (plan, data): (&Plan, &Targeted),
    progress: &(dyn Fn() + Sync),
) -> anyhow::Result<TargetScored> {
    let features = Features::of(store, taps, (&data.pictures, plan.config.max_bytes))?;
    let key = Key {
        target_version: VERSION,
        features: features.digest()?,
        task: data.task,
        values: Digest::of(&data.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()),
        split: data.pictures.split.as_deref(),
        groups: data.pictures.groups.as_ref().map(|groups| groups.of_row.as_slice()),
        shuffles: plan.shuffles,
        config: &plan.config,
    };
    let kept = kept_as(store, &key)?;
    if let Some(mut scored) = read_kept(&kept).filter(|scored: &TargetScored| fits(&scored.evaluation, data)) {
        scored.evaluation.truth = data.values.select(Axis(0), &scored.evaluation.scored_rows);
        return Ok(scored);
    }
    let start = Instant::now();
    let evaluation =
        features.with(|rows| evaluate_targets(&plan.config, plan.splits(), &data.data(rows.rows), progress));
    let evaluation = evaluation.map_err(|error| data.in_words(error))?;
    let scored = TargetScored { evaluation, seconds: start.elapsed().as_secs_f64() };
    if let Err(error) = keep(&kept, &scored) {
        eprintln!("tapline: the scores cannot be kept for the next time: {error}");
    }
    Ok(scored)
}

/// Whether a kept evaluation has the shape that everything downstream relies on; a file could have been edited.
fn fits(evaluation: &TargetEvaluation, data: &Targeted) -> bool {
    let (scored, outputs) = (evaluation.scored_rows.len(), data.names.len());
    scored > 0
        && evaluation.fold_of.len() == scored
        && evaluation.fold_of.iter().all(|&fold| fold < evaluation.folds.len())
        && evaluation.folds.iter().all(|choice| choice.inner.iter().any(|held_out| held_out.c == choice.c))
        && [evaluation.truth.dim(), evaluation.predicted.dim()] == [(scored, outputs); 2]
        && evaluation.scored_rows.iter().all(|&row| row < data.values.nrows())
}

/// The scores of one tap, of labels or of numbers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum TargetScores {
    /// Of labels.
    Labels(LabelScores),
    /// Of numbers.
    Numbers(NumberScores),
}

impl TargetScores {
    /// The scores of an evaluation, and the 95 % interval of the first of them, mean average precision or R²: pictures, or groups
    /// where there are any, are drawn again and again, each with all its scores.
    pub fn of(evaluation: &TargetEvaluation, (plan, data): (&Plan, &Targeted)) -> (Self, Option<(f64, f64)>) {
        let of_row = data.pictures.groups.as_ref().map(|groups| &groups.of_row);
        let unit = |&row: &usize| of_row.map_or(row, |of_row| of_row[row]);
        let units: Vec<usize> = evaluation.scored_rows.iter().map(unit).collect();
        let (truth, predicted) = (evaluation.truth.view(), evaluation.predicted.view());
        let draws = (units.as_slice(), plan.config.seed);
        match data.task {
            Task::MultiLabel => {
                (Self::Labels(label_scores(truth, predicted)), mean_average_precision_interval(truth, predicted, draws))
            }
            Task::Regression => (Self::Numbers(number_scores(truth, predicted)), r2_interval(truth, predicted, draws)),
        }
    }
}

/// Probabilities of log-odds `[rows, labels]`: `1 / (1 + e^(−s))`.
pub fn probabilities(log_odds: ArrayView2<'_, f64>) -> Array2<f64> {
    log_odds.mapv(|odds| 1.0 / (1.0 + (-odds).exp()))
}

//! `--baselines`: what the nearest class mean and the nearest neighbours make of the same features and splits.

use anyhow::Context;
use serde::Serialize;
use tapline_core::Store;
use tapline_probe::{Evaluation, Metric, Rule, baselines};

use crate::accuracy::Accuracy;
use crate::features::Features;
use crate::output::{self, count, counted, percent};
use crate::plan::Plan;

/// One rule's score.
#[derive(Debug, Serialize)]
pub struct BaselineScore {
    rule: Rule,
    metric: Metric,
    #[serde(flatten)]
    accuracy: Accuracy,
}

/// The scores of all rules on the joined features of `taps`, in the splits that `evaluation` comes from.
pub fn score(
    store: &Store,
    taps: &[usize],
    (plan, evaluation): (&Plan, &Evaluation),
) -> anyhow::Result<Vec<BaselineScore>> {
    let features = Features::of(store, taps, (&plan.data, plan.config.max_bytes))?;
    let found = features.with(|rows| baselines(&plan.config, plan.splits(), rows)).context("--baselines")?;
    let scored = found.into_iter().map(|baseline| BaselineScore {
        rule: baseline.rule,
        metric: baseline.metric,
        accuracy: Accuracy::of_predicted(evaluation, &baseline.predicted, plan),
    });
    Ok(scored.collect())
}

/// The scores as a table.
pub fn table(scores: &[BaselineScore]) -> String {
    let rows = scores.iter().map(|score| {
        let metric = match score.metric {
            Metric::Euclidean => "Euclidean",
            Metric::Cosine => "cosine",
        };
        let rule = match score.rule {
            Rule::NearestClassMean => "nearest class mean".to_owned(),
            Rule::NearestNeighbours(number) => counted(number, "nearest neighbour"),
        };
        vec![
            rule,
            metric.to_owned(),
            format!("{} of {}", count(score.accuracy.correct), count(score.accuracy.total)),
            percent(score.accuracy.accuracy),
            score.accuracy.interval_text(),
        ]
    });
    format!("\n{}", output::table(&["baseline", "distance", ">right", ">accuracy %", "95 % interval"], rows))
}

//! What `--shuffles` found, in the words of reports.

use serde::Serialize;
use tapline_probe::{Evaluation, ProtocolConfig, Score, Shuffles, Spread, Transform};

use crate::output::{counted, percent};
use crate::plan::Plan;

/// Shuffles of a tap's pictures and how their accuracies are spread.
#[derive(Debug, Clone, Serialize)]
pub struct ShuffleScores {
    #[serde(flatten)]
    shuffles: Shuffles,
    #[serde(flatten)]
    spread: Spread,
}

impl ShuffleScores {
    /// The spread of an evaluation, where it is one of shuffles.
    pub fn of(evaluation: &Evaluation, plan: &Plan) -> Option<Self> {
        let scores: Vec<Score> = evaluation.folds.iter().map(|fold| fold.test).collect();
        plan.shuffles.map(|shuffles| Self { shuffles, spread: Spread::of(&scores, plan.data.rows.len()) })
    }

    /// The spread as a line.
    pub fn sentence(&self) -> String {
        let Spread { mean, min, max, standard_error } = self.spread;
        let error = standard_error.map_or(String::new(), |error| {
            format!(", standard error {:.1} points, allowing for the pictures they share", 100.0 * error)
        });
        format!(
            "{}, each scoring {} % of the pictures: mean {} %, from {} to {} %{error}.\n",
            counted(self.shuffles.count, "shuffle"),
            percent(self.shuffles.test_share),
            percent(mean),
            percent(min),
            percent(max)
        )
    }
}

/// What follows the number of folds in a heading: ` of what each of 10 shuffles learns from (25.0 % scored), transform l2`.
pub fn heading(shuffles: Option<Shuffles>, config: &ProtocolConfig) -> String {
    let shuffled = shuffles.map_or(String::new(), |shuffles| {
        let (count, share) = (counted(shuffles.count, "shuffle"), percent(shuffles.test_share));
        format!(" of what each of {count} learns from ({share} % scored)")
    });
    shuffled + &design_text(config)
}

/// What follows a pooling where transform or weights are not the usual ones: `, transform l2`.
pub fn design_text(config: &ProtocolConfig) -> String {
    let transform = match config.transform {
        Transform::Standardise => String::new(),
        Transform::None => ", transform none".to_owned(),
        Transform::L2 => ", transform l2".to_owned(),
        Transform::Sqrt => ", transform sqrt".to_owned(),
        Transform::Pca(components) => format!(", {components} principal components at most"),
    };
    transform + if config.balanced { ", classes weighing alike" } else { "" }
}

//! The scores of one tap as every report gives them, so that `compare` and `probe` say the same in the same words.

use serde::Serialize;
use tapline_probe::Evaluation;

use crate::accuracy::Accuracy;
use crate::control::Control;
use crate::plan::Plan;
use crate::shuffles::ShuffleScores;

/// Scores of one tap's probes.
#[derive(Debug, Serialize)]
pub struct Scores {
    /// Pictures classified right.
    pub accuracy: Accuracy,
    /// The score with shuffled labels, where it was asked for.
    pub control: Option<Control>,
    /// The spread over shuffles, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffles: Option<ShuffleScores>,
    /// Mean recall of the classes, 0 to 1.
    pub balanced_accuracy: f64,
    /// Mean F1 score of the classes, 0 to 1.
    pub macro_f1: f64,
    /// Of more than five classes: share of pictures whose class is among the five most probable, 0 to 1.
    pub top_five_accuracy: Option<f64>,
    /// Area under the ROC curve, of more than two classes the mean of each against the rest, 0 to 1.
    pub auroc: Option<f64>,
    /// Average precision, of two classes that of the second, of more the mean of each against the rest, 0 to 1.
    pub average_precision: Option<f64>,
    /// Expected calibration error, 0 to 1.
    pub calibration_error: f64,
    /// Mean of `−ln p(true class)`, in nats.
    pub log_loss: f64,
}

impl Scores {
    /// The scores of an evaluation, with its control where there is one.
    pub fn of(evaluation: &Evaluation, control: Option<Control>, plan: &Plan) -> Self {
        Self {
            accuracy: Accuracy::of(evaluation, plan),
            control,
            shuffles: ShuffleScores::of(evaluation, plan),
            balanced_accuracy: evaluation.balanced_accuracy(),
            macro_f1: evaluation.macro_f1(),
            top_five_accuracy: evaluation.top_five.map(|score| score.accuracy()),
            auroc: evaluation.auroc,
            average_precision: evaluation.average_precision,
            calibration_error: evaluation.calibration_error(),
            log_loss: evaluation.log_loss,
        }
    }
}

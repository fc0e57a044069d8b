//! The scores of one tap as every report gives them, so that `compare` and `probe` say the same in the same words.

use serde::Serialize;
use tapline_probe::{Evaluation, NotConverged};

use crate::accuracy::Accuracy;
use crate::comparison::Compared;
use crate::control::Control;
use crate::output::strength;
use crate::plan::Plan;
use crate::probes::Probes;
use crate::shuffles::ShuffleScores;

/// A warning where fits did not converge, with what that may mean for a probe at one of the strengths `chosen`; `of` names the fits.
pub fn unconverged(found: &[NotConverged], (fits, of): (usize, &str), chosen: impl Iterator<Item = f64>) -> String {
    let Some(lowest) = found.iter().map(|fit| fit.c).min_by(f64::total_cmp) else { return String::new() };
    let worst = found.iter().map(|fit| fit.relative_excess).max_by(f64::total_cmp).unwrap_or(f64::NAN);
    let highest = chosen.fold(0.0, f64::max);
    let whose = match lowest > highest {
        true => format!("all at strengths above {}, the largest that was chosen", strength(highest)),
        false => format!("at strengths from {} up", strength(lowest)),
    };
    let how_far = match worst < 1.0 {
        true => format!("off by {worst:.0e} of the objective at most"),
        // Features so far from 1 that numbers end, or hardly any step was taken.
        false => "and failed: bring the features to a scale near 1, as --transform standardise does".to_owned(),
    };
    format!("warning: {} of {fits} fits{of} did not converge, {whose}; {how_far}.\n", found.len())
}

/// Of all taps the warnings where fits did not converge, each a sentence.
pub fn all_unconverged(probes: &Probes) -> Vec<String> {
    let of_tap = |(evaluation, tap): (&Evaluation, &Compared)| {
        let (of, chosen) = (format!(" on {}", tap.name), evaluation.folds.iter().map(|fold| fold.choice.c));
        let warning = unconverged(&evaluation.not_converged, (evaluation.fits, &of), chosen);
        warning.strip_prefix("warning: ").map(|text| text.trim_end().to_owned())
    };
    probes.evaluations.iter().zip(&probes.comparison.taps).filter_map(of_tap).collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_converge_is_placed_beside_what_was_chosen() {
        let fit = |c, relative_excess| NotConverged {
            left_out: vec![],
            c,
            gradient_norm: 0.0,
            relative_excess,
            failure: None,
        };
        let found = [fit(100.0, 2e-5), fit(31.6, 1e-6)];
        let said = |chosen: &[f64]| unconverged(&found, (455, " on fire9"), chosen.iter().copied());
        assert_eq!(
            said(&[0.003, 0.1]),
            "warning: 2 of 455 fits on fire9 did not converge, all at strengths above 0.1, the largest that was chosen; off by \
             2e-5 of the objective at most.\n"
        );
        assert!(said(&[100.0]).contains("at strengths from 31.6 up"), "{}", said(&[100.0]));
        assert_eq!(unconverged(&[], (455, ""), [1.0].into_iter()), "");
    }
}

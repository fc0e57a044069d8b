//! Scores of predictions against scikit-learn; `goldens/make_scores.py` wrote the numbers.

use ndarray::ArrayView2;
use serde::Deserialize;
use tapline_probe::{auroc, calibration_error, confusion, macro_f1};

/// Absolute difference allowed.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    classes: usize,
    scores: Vec<f32>,
    labels: Vec<usize>,
    predicted: Vec<usize>,
    confidence: Vec<f64>,
    auroc: f64,
    macro_f1: f64,
    calibration_error: f64,
}

#[test]
fn scores_are_scikit_learns() {
    let goldens: Goldens = serde_json::from_str(include_str!("goldens/scores.json")).expect("scores.json");
    for case in goldens.cases {
        let near = |what: &str, found: f64, expected: f64| {
            assert!((found - expected).abs() < TOLERANCE, "{what} of {} classes: {found} {expected}", case.classes);
        };
        let shape = (case.labels.len(), case.scores.len() / case.labels.len());
        let scores = ArrayView2::from_shape(shape, &case.scores).expect("rows × outputs scores");
        let right: Vec<bool> = case.labels.iter().zip(&case.predicted).map(|(a, b)| a == b).collect();
        near("AUROC", auroc(scores, &case.labels).expect("an area"), case.auroc);
        near("F1", macro_f1(&confusion(&case.labels, &case.predicted, case.classes)), case.macro_f1);
        near("calibration error", calibration_error(&case.confidence, &right), case.calibration_error);
    }
}

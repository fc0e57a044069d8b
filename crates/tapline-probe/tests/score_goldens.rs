//! Scores of predictions against scikit-learn; `goldens/make_scores.py` wrote the numbers.

use ndarray::ArrayView2;
use serde::Deserialize;
use tapline_probe::{auroc, average_precision, calibration_error, classes_ahead, confusion, macro_f1};

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
    average_precision: f64,
    top_five: usize,
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
        let precision = average_precision(scores, &case.labels).expect("rows of each class");
        near("average precision", precision, case.average_precision);
        let ahead = |(scores, &label): (ndarray::ArrayView1<'_, f32>, &usize)| classes_ahead(scores, label);
        let top_five = scores.outer_iter().zip(&case.labels).map(ahead).filter(|&ahead| ahead < 5).count();
        assert_eq!(top_five, case.top_five, "{} classes", case.classes);
        near("F1", macro_f1(&confusion(&case.labels, &case.predicted, case.classes)), case.macro_f1);
        near("calibration error", calibration_error(&case.confidence, &right), case.calibration_error);
    }
}

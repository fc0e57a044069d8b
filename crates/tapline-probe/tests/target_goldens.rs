//! Nested cross-validation of labels and numbers, and their scores, against scikit-learn; `goldens/make_targets.py` wrote the
//! numbers.

use ndarray::{Array2, ArrayView2};
use serde::Deserialize;
use tapline_probe::{
    ProtocolConfig, Splits, TargetEvaluation, Targeted, Targets, evaluate_targets, label_scores, number_scores,
};

/// Difference allowed in predictions: absolute of log-odds, in standard deviations of a number.
const PREDICTION: f64 = 2e-4;
/// Relative difference allowed in held-out losses.
const LOSS: f64 = 1e-4;
/// Absolute difference allowed in scores of the same predictions, in the target's unit relative to the score.
const SCORE: f64 = 1e-9;

#[derive(Deserialize)]
struct Goldens {
    grid: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    columns: usize,
    outputs: usize,
    rows: Vec<f32>,
    targets: Vec<f64>,
    folds: Vec<usize>,
    predicted: Vec<f64>,
    chosen: Vec<f64>,
    held_out: Vec<Vec<f64>>,
    scores: Scores,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scores {
    Labels {
        mean_average_precision: f64,
        average_precision: Vec<f64>,
        micro_f1: f64,
        macro_f1: f64,
        log_loss: f64,
    },
    Numbers {
        r2: f64,
        r2_of_each: Vec<f64>,
        mean_absolute_error: Vec<f64>,
        root_mean_squared_error: Vec<f64>,
        median_cosine: Option<f64>,
    },
}

impl Case {
    fn targets(&self) -> ArrayView2<'_, f64> {
        ArrayView2::from_shape((self.folds.len(), self.outputs), &self.targets).expect("rows × outputs")
    }

    fn predicted(&self) -> ArrayView2<'_, f64> {
        ArrayView2::from_shape((self.folds.len(), self.outputs), &self.predicted).expect("rows × outputs")
    }

    /// The evaluation on the case's own folds: each is a group, dealt whole into a fold of its own.
    fn evaluation(&self, grid: &[f64]) -> TargetEvaluation {
        let rows = ArrayView2::from_shape((self.folds.len(), self.columns), &self.rows).expect("rows × columns");
        let values = self.targets().to_owned();
        let targets = if self.kind == "labels" { Targets::Labels(&values) } else { Targets::Numbers(&values) };
        let data = Targeted { rows: &rows, targets, groups: Some(&self.folds) };
        let config = ProtocolConfig { folds: 4, grid: grid.to_vec(), tolerance: 1e-9, ..ProtocolConfig::default() };
        evaluate_targets(&config, Splits::Folds, &data, &|| {}).expect("an evaluation")
    }
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/targets.json")).expect("targets.json")
}

#[test]
fn strengths_and_predictions_are_scikit_learns() {
    let Goldens { grid, cases } = goldens();
    for case in cases {
        let found = case.evaluation(&grid);
        assert!(found.not_converged.is_empty(), "{}: {:?}", case.name, found.not_converged);
        assert_eq!(found.scored_rows, (0..case.folds.len()).collect::<Vec<_>>());
        for (row, &fold) in found.fold_of.iter().enumerate() {
            let choice = &found.folds[fold];
            let golden = case.folds[row];
            assert_eq!(choice.c, case.chosen[golden], "{}, fold {golden}", case.name);
            for (found, expected) in choice.inner.iter().zip(&case.held_out[golden]) {
                assert!((found.loss / expected - 1.0).abs() < LOSS, "{}: {} {expected}", case.name, found.loss);
            }
        }
        let unit = match case.kind.as_str() {
            "labels" => ndarray::Array1::ones(case.outputs),
            _ => case.targets().std_axis(ndarray::Axis(0), 0.0),
        };
        let difference: Array2<f64> = (&found.predicted - &case.predicted()) / &unit;
        let worst = difference.iter().fold(0.0, |worst: f64, gap| worst.max(gap.abs()));
        assert!(worst < PREDICTION, "{}: {worst}", case.name);
        assert_eq!(found.truth, case.targets());
    }
}

#[test]
fn scores_are_scikit_learns() {
    for case in goldens().cases {
        let near = |what: &str, found: Option<f64>, expected: f64| {
            let found = found.unwrap_or(f64::NAN);
            assert!(
                (found - expected).abs() < SCORE * expected.abs().max(1.0),
                "{}, {what}: {found} {expected}",
                case.name
            );
        };
        match &case.scores {
            Scores::Labels { mean_average_precision, average_precision, micro_f1, macro_f1, log_loss } => {
                let found = label_scores(case.targets(), case.predicted());
                near("mAP", found.mean_average_precision, *mean_average_precision);
                near("micro F1", found.micro_f1, *micro_f1);
                near("macro F1", found.macro_f1, *macro_f1);
                near("log loss", Some(found.log_loss), *log_loss);
                assert_eq!(found.labels.len(), average_precision.len());
                for (found, expected) in found.labels.iter().zip(average_precision) {
                    near("average precision", found.average_precision, *expected);
                }
            }
            Scores::Numbers { r2, r2_of_each, mean_absolute_error, root_mean_squared_error, median_cosine } => {
                let found = number_scores(case.targets(), case.predicted());
                near("R²", found.r2, *r2);
                assert_eq!(found.median_cosine.is_some(), median_cosine.is_some());
                near("cosine", found.median_cosine.or(Some(0.0)), median_cosine.unwrap_or(0.0));
                for (i, found) in found.targets.iter().enumerate() {
                    near("R² of a target", found.r2, r2_of_each[i]);
                    near("MAE", Some(found.mean_absolute_error), mean_absolute_error[i]);
                    near("RMSE", Some(found.root_mean_squared_error), root_mean_squared_error[i]);
                }
            }
        }
    }
}

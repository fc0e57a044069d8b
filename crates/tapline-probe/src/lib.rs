//! Linear probes on features, and honest scores: rows and labels in, probes and counts out.
//!
//! Knows nothing of networks, pictures, files or printing. The whole route, on 60 rows of two columns:
//!
//! ```
//! use ndarray::Array2;
//! use tapline_probe::{Labelled, ProtocolConfig, evaluate, fit_final, select_layer};
//!
//! // Class 1 has a larger first column; the second column says nothing.
//! let labels: Vec<usize> = (0..60).map(|row| row % 2).collect();
//! let rows = Array2::from_shape_fn((60, 2), |(row, column)| match column {
//!     0 => (row % 2) as f32 + (row % 7) as f32 / 10.0,
//!     _ => (row % 5) as f32,
//! });
//! let data = Labelled { rows: rows.view(), labels: &labels, classes: 2, groups: None };
//!
//! // Every row is scored by a probe that neither it nor its fold helped to choose.
//! let config = ProtocolConfig::default();
//! let evaluation = evaluate(&config, &data, &|| {})?;
//! assert_eq!(evaluation.score().correct, 60);
//! assert!(evaluation.not_converged.is_empty());
//!
//! // With one evaluation for each layer, the layer is chosen just as honestly.
//! let layer = select_layer(&[evaluation])?;
//! assert_eq!(layer.chosen, [0; 5]);
//!
//! // The probe to keep is fitted on all rows.
//! let probe = fit_final(&config, &data, &|| {})?.fit.probe;
//! assert_eq!(probe.predict(rows.view())?, labels);
//! # Ok::<(), tapline_probe::Error>(())
//! ```
//!
//! Targets other than classes, labels that do not exclude each other or numbers, go the same way:
//!
//! ```
//! use ndarray::Array2;
//! use tapline_probe::{ProtocolConfig, Splits, Targeted, Targets, evaluate_targets, number_scores};
//!
//! let rows = Array2::from_shape_fn((60, 2), |(row, column)| ((row * (7 + 4 * column)) % 13) as f32);
//! let numbers = Array2::from_shape_fn((60, 1), |(row, _)| 100.0 + 3.0 * f64::from(rows[[row, 0]]));
//! let data = Targeted { rows: &rows, targets: Targets::Numbers(&numbers), groups: None };
//! let found = evaluate_targets(&ProtocolConfig::default(), Splits::Folds, &data, &|| {})?;
//! let scores = number_scores(found.truth.view(), found.predicted.view());
//! assert!(scores.r2.is_some_and(|r2| r2 > 0.999));
//! # Ok::<(), tapline_probe::Error>(())
//! ```

mod baselines;
mod batched;
mod bootstrap;
mod control;
mod error;
mod evaluation;
mod fit;
mod folds;
mod goal;
mod grouped;
mod intercept;
mod labelled;
mod layer;
mod linfa_fit;
mod loss;
mod operating;
mod pca;
mod probe;
mod protocol;
mod random;
mod ranking;
mod refit;
mod score;
mod shots;
mod shuffles;
mod standardise;
mod strength;
mod target_evaluation;
mod target_scores;
mod targets;
mod tested;
mod transform;

pub use baselines::{Baseline, Metric, Rule, Splits, baselines};
pub use bootstrap::grouped_interval;
pub use error::Error;
pub use evaluation::{Choice, Evaluation, NotConverged, TestFold, Validation};
pub use fit::{Fit, FitConfig, fit};
pub use folds::stratified_folds;
pub use grouped::{check_spread, grouped_folds};
pub use labelled::{Dataset, Labelled};
pub use layer::{LayerChoice, select_layer};
pub use operating::{Operated, least_to_find, operate_across, operate_beside, roc};
pub use probe::Probe;
pub use protocol::{FinalFit, ProtocolConfig, Role, Solver, default_grid, evaluate, fit_final, holdout};
pub use ranking::{auroc, average_precision, classes_ahead};
pub use refit::{Chosen, refit};
pub use score::{
    CALIBRATION_BINS, Score, balanced_accuracy, calibration_bin, calibration_error, confusion, macro_f1, score,
    sign_test,
};
pub use shots::{FEW_SHOT_STRENGTH, ShotScores, Shots, few_shot, few_shot_fits};
pub use shuffles::{Shuffles, Spread, repeated_holdout};
pub use standardise::{Standardisation, standardisation, standardise};
pub use tapline_solver::{RowSource, Units};
pub use target_evaluation::{HeldOut, TargetChoice, TargetEvaluation, TargetFit, evaluate_targets, fit_final_targets};
pub use target_scores::{
    LabelScore, LabelScores, NumberScore, NumberScores, label_scores, mean_average_precision_interval, number_scores,
    r2_interval,
};
pub use targets::{Targeted, Targets};
pub use transform::Transform;

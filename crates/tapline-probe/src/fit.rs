//! One linear probe at one regularisation strength, and the proof of how good the fit is.
//!
//! The solver is not trusted: objective and gradient are computed anew at the point it returns.

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::intercept::best_intercept;
use crate::labelled::{check_every_class, check_labelled};
use crate::linfa_fit::{Point, Stop, Task, minimise};
use crate::standardise::{standardisation, standardise};
use crate::{Dataset, Error, Labelled, Probe, Standardisation, Transform};

/// Times the solver is started at most, each time where it stopped: its line search often gives up short of the goal.
pub(crate) const ROUNDS: u64 = 20;

/// How a probe is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitConfig {
    /// Inverse regularisation strength, scikit-learn's `C`: the penalty is `‖weights‖² / (2 C)`. Above 0.
    pub c: f64,
    /// Iterations of the solver at most, each time it is started (twenty times at most).
    pub max_iterations: u64,
    /// A fit has converged where its objective is proven to be within this share of its minimum. Between 0 and 1.
    pub tolerance: f64,
}

impl Default for FitConfig {
    /// `C = 0.01`, 1,000 iterations, a tolerance of 1e-8.
    fn default() -> Self {
        Self { c: 0.01, max_iterations: 1000, tolerance: 1e-8 }
    }
}

/// A fitted probe and how close it is to the best one.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The probe.
    pub probe: Probe,
    /// `Σ −ln p(label) + ‖weights‖² / (2 C)` over the training rows, in nats; intercept and rows have no weight.
    pub objective: f64,
    /// Euclidean norm of the objective's gradient over weights and intercept.
    pub gradient_norm: f64,
    /// Largest possible distance of the objective from its minimum, in nats.
    pub excess: f64,
    /// Whether `excess ≤ tolerance · objective`.
    pub converged: bool,
    /// What the solver said if it failed; the probe is then the best point known before.
    pub failure: Option<String>,
}

/// Fits a linear probe to `data`, standardised on its own rows, from `start` or else from zero, with linfa-logistic: the cross-check, slow
/// and not always converging. [`fit_final`](crate::fit_final()) and [`tapline_solver`] are for use.
///
/// The objective is scikit-learn's: logistic for two classes, multinomial for more, `C` times the sum of losses.
///
/// # Errors
/// For bad input, a class without rows, and a start of another shape. A fit that did not converge is no error.
pub fn fit<T: Copy + Into<f64>>(
    config: &FitConfig,
    data: &Labelled<'_, T>,
    start: Option<&Probe>,
) -> Result<Fit, Error> {
    check_config(config)?;
    check_labelled(data)?;
    check_every_class(data.labels.iter().copied(), data.classes)?;
    let all: Vec<usize> = (0..data.labels.len()).collect();
    let training = training_rows(data, &all, Transform::Standardise);
    if let Some(start) = start {
        check_start(start, &training)?;
    }
    Ok(fit_training_rows(config, &training, start))
}

/// Rows ready for the solver: standardised once, fitted at every strength.
pub(crate) struct TrainingRows {
    rows: Array2<f64>,
    labels: Vec<usize>,
    outputs: usize,
    standardisation: Standardisation,
    transform: Transform,
}

impl TrainingRows {
    /// Rows `[rows, columns]`, labels `[rows]`, and how they were standardised.
    pub(crate) fn into_parts(self) -> (Array2<f64>, Vec<usize>, Standardisation) {
        (self.rows, self.labels, self.standardisation)
    }
}

/// The rows numbered in `chosen`, after the row-wise part of `transform`: standardised on themselves, or centred alone where
/// the transform says so (the intercept is free, so that where they lie matters to no solution).
pub(crate) fn training_rows<T: Copy + Into<f64>>(
    data: &Labelled<'_, T>,
    chosen: &[usize],
    transform: Transform,
) -> TrainingRows {
    let mut standardisation = standardisation(data.rows, chosen);
    if !transform.standardises() {
        standardisation.scale.fill(1.0);
    }
    TrainingRows {
        rows: standardise(&standardisation, data.rows, chosen),
        labels: chosen.iter().map(|&row| data.labels[row]).collect(),
        outputs: outputs(data.classes),
        standardisation,
        transform,
    }
}

/// The same of a data set whose rows are transformed already.
pub(crate) fn gathered(data: &Dataset<'_>, chosen: &[usize], transform: Transform) -> TrainingRows {
    let rows = data.gather(chosen);
    let labels: Vec<usize> = chosen.iter().map(|&row| data.labels[row]).collect();
    let data = Labelled { rows: rows.view(), labels: &labels, classes: data.classes, groups: None };
    training_rows(&data, &(0..chosen.len()).collect::<Vec<_>>(), transform)
}

/// [`fit`] for rows that were checked and standardised before.
pub(crate) fn fit_training_rows(config: &FitConfig, training: &TrainingRows, start: Option<&Probe>) -> Fit {
    let task = Task { rows: training.rows.view(), labels: &training.labels, alpha: 1.0 / config.c };
    let mut best = judge(&task, start_point(training, start));
    let mut failure = None;
    for _ in 0..ROUNDS {
        if best.excess <= config.tolerance * best.objective {
            break;
        }
        let stop = Stop { gradient_norm: gradient_goal(config, &best), iterations: config.max_iterations };
        match minimise(&task, &best.point, &stop).map(|point| judge(&task, point)) {
            Ok(next) if next.objective < best.objective => best = next,
            Ok(_) => break,
            Err(message) => {
                failure = Some(message);
                break;
            }
        }
    }
    fit_of(config, training, (best, failure))
}

/// Checks what [`fit`] is told.
pub(crate) fn check_config(config: &FitConfig) -> Result<(), Error> {
    if !(config.c.is_finite() && config.c > 0.0) {
        return Err(Error::BadStrength { c: config.c });
    }
    if !(config.tolerance > 0.0 && config.tolerance < 1.0) {
        return Err(Error::BadTolerance { tolerance: config.tolerance });
    }
    Ok(())
}

/// A point with its objective and the proof of its quality.
struct Judged {
    point: Point,
    objective: f64,
    gradient_norm: f64,
    excess: f64,
}

/// Objective, gradient and excess of `point`, its intercept moved to the best one for its weights first.
///
/// `F(W, b) = Σ loss(Wᵀx + b) + α/2 ‖W‖²`, `∇W = Xᵀ(P − Y) + αW`, `∇b = Σ(P − Y)`. With `∇b = 0` the residuals `P − Y`
/// are feasible for the dual problem, and the duality gap is `F − min F ≤ ‖∇W‖² / (2α)` (Fenchel's duality, Boyd and
/// Vandenberghe, "Convex optimization", 2004, section 5.5; what the intercept still costs is added).
fn judge(task: &Task<'_>, point: Point) -> Judged {
    let margins = task.rows.dot(&point.weights);
    let intercept = best_intercept(margins.view(), task.labels, &point.intercept);
    let mut slope = task.rows.t().dot(&intercept.residuals);
    slope.scaled_add(task.alpha, &point.weights);
    let (slope_squared, residual_sums) = (squared_norm(slope.iter()), intercept.residuals.sum_axis(ndarray::Axis(0)));
    Judged {
        objective: intercept.loss + 0.5 * task.alpha * squared_norm(point.weights.iter()),
        gradient_norm: (slope_squared + squared_norm(residual_sums.iter())).sqrt(),
        excess: slope_squared / (2.0 * task.alpha) + intercept.decrement,
        point: Point { weights: point.weights, intercept: intercept.values },
    }
}

/// The gradient norm that proves convergence, should the objective fall to half of where it stands: `√(2α · tolerance · F/2)`.
fn gradient_goal(config: &FitConfig, best: &Judged) -> f64 {
    (config.tolerance * best.objective / config.c).sqrt()
}

fn start_point(training: &TrainingRows, start: Option<&Probe>) -> Point {
    match start {
        Some(probe) => Point { weights: probe.weights.clone(), intercept: probe.intercept.clone() },
        None => Point {
            weights: Array2::zeros((training.rows.ncols(), training.outputs)),
            intercept: Array1::zeros(training.outputs),
        },
    }
}

fn fit_of(config: &FitConfig, training: &TrainingRows, end: (Judged, Option<String>)) -> Fit {
    let (best, failure) = end;
    Fit {
        probe: Probe {
            transform: training.transform,
            standardisation: training.standardisation.clone(),
            weights: best.point.weights,
            intercept: best.point.intercept,
        },
        objective: best.objective,
        gradient_norm: best.gradient_norm,
        excess: best.excess,
        converged: best.excess <= config.tolerance * best.objective,
        failure,
    }
}

fn check_start(start: &Probe, training: &TrainingRows) -> Result<(), Error> {
    let (columns, outputs) = (training.rows.ncols(), training.outputs);
    let (found_columns, found_outputs) = start.weights.dim();
    if (found_columns, found_outputs) != (columns, outputs) || start.intercept.len() != outputs {
        return Err(Error::WarmStart { columns, outputs, found_columns, found_outputs });
    }
    Ok(())
}

/// One output tells two classes apart; more classes have one each.
fn outputs(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

fn squared_norm<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    values.map(|value| value * value).sum()
}

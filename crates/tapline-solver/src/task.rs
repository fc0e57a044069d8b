//! What is to be solved, as plain data: rows, training sets as row weights, one problem for each set and strength.
//!
//! Checked once, here; everything behind this file trusts it.

use ndarray::{Array1, Array2};

use crate::{ClassWeights, Classes, Error, Loss, RowSource};

/// Features with targets for any loss, and the training sets drawn from them; for [`solve_loss`](crate::solve_loss).
#[derive(Clone, Copy)]
pub struct LossTask<'a> {
    /// Features `[rows, columns]`, in any unit in which float32 holds the numbers and their spread (1e-38 to 3e38); seven digits of
    /// each column's spread over all rows in use count.
    pub rows: &'a dyn RowSource,
    /// What the rows are fitted to.
    pub loss: Loss<'a>,
    /// Weight of each row in each training set `[sets][rows]`, at least 0: 1 for rows to learn from, 0 for others.
    pub sets: &'a [Vec<f64>],
}

/// Features with classes that exclude each other, all of equal weight, for logistic regressions by [`solve`](crate::solve());
/// the usual [`LossTask`] in short.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// Features `[rows, columns]`, as [`LossTask::rows`].
    pub rows: &'a dyn RowSource,
    /// Class of each row `[rows]`, from 0 to `classes − 1`.
    pub labels: &'a [usize],
    /// Number of classes, at least 2.
    pub classes: usize,
    /// Weight of each row in each training set `[sets][rows]`, at least 0: 1 for rows to learn from, 0 for others.
    pub sets: &'a [Vec<f64>],
}

/// One regression: a training set at one strength.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// The training set it learns from: a position in [`Task::sets`].
    pub set: usize,
    /// Inverse regularisation strength, scikit-learn's `C`: the penalty is `‖weights‖² / (2 C)`. Above 0.
    pub c: f64,
    /// Where to start; if absent, where the problems on the same set at smaller strengths lead to, the first at weights of 0.
    pub start: Option<Start<'a>>,
}

/// A point to start from, in the standardised unit of the problem's own training set.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Weights `[columns, outputs]`, all finite.
    pub weights: &'a Array2<f64>,
    /// Intercept `[outputs]`, all finite.
    pub intercept: &'a Array1<f64>,
}

/// When to stop, and how much to keep in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SolverConfig {
    /// Steps of each problem at most.
    pub max_iterations: u64,
    /// A problem has converged where its objective is proven to be within this share of its minimum. Between 0 and 1.
    pub tolerance: f64,
    /// Steps remembered by each problem, at least 1.
    pub memory: usize,
    /// Bytes that the problems under way may take together, and that the rows may take to be kept in memory; where they are
    /// more, they are read anew in each pass.
    pub max_bytes: usize,
    /// What the weights are penalised in.
    pub scaling: Scaling,
}

/// What the weights are penalised in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// Each column's standard deviation over the problem's own training set.
    #[default]
    Standardise,
    /// The columns' own unit. (Where they lie matters in neither: the intercept is free.)
    None,
}

impl Default for SolverConfig {
    /// 1,000 iterations at each strength, a tolerance of 1e-6, a memory of 40 steps, 1 GiB, standardised columns.
    fn default() -> Self {
        Self { max_iterations: 1000, tolerance: 1e-6, memory: 40, max_bytes: 1 << 30, scaling: Scaling::Standardise }
    }
}

impl<'a> From<Task<'a>> for LossTask<'a> {
    fn from(task: Task<'a>) -> Self {
        let classes = Classes { labels: task.labels, count: task.classes, weights: ClassWeights::Equal };
        Self { rows: task.rows, loss: Loss::Logistic(classes), sets: task.sets }
    }
}

/// Checks everything that [`solve_loss`](crate::solve_loss) is given.
pub(crate) fn check(config: &SolverConfig, task: &LossTask<'_>, problems: &[Problem<'_>]) -> Result<(), Error> {
    check_config(config)?;
    check_rows(task)?;
    task.sets.iter().enumerate().try_for_each(|(set, weights)| check_set(task, set, weights))?;
    problems.iter().enumerate().try_for_each(|(index, problem)| check_problem(task, index, problem))
}

/// Checks the numbers that steer the search.
pub(crate) fn check_config(config: &SolverConfig) -> Result<(), Error> {
    if !(config.tolerance > 0.0 && config.tolerance < 1.0) {
        return Err(Error::BadTolerance { tolerance: config.tolerance });
    }
    if config.memory == 0 {
        return Err(Error::NoMemory);
    }
    Ok(())
}

/// Checks one strength.
pub(crate) fn check_strength(c: f64) -> Result<(), Error> {
    if c.is_finite() && c > 0.0 { Ok(()) } else { Err(Error::BadStrength { c }) }
}

fn check_rows(task: &LossTask<'_>) -> Result<(), Error> {
    let (rows, columns) = task.rows.dim();
    if rows == 0 || columns == 0 {
        return Err(Error::Empty { rows, columns });
    }
    task.loss.check(rows)
}

fn check_set(task: &LossTask<'_>, set: usize, weights: &[f64]) -> Result<(), Error> {
    let rows = task.rows.dim().0;
    if weights.len() != rows {
        return Err(Error::WeightCount { set, weights: weights.len(), rows });
    }
    if let Some((row, &weight)) =
        weights.iter().enumerate().find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0))
    {
        return Err(Error::BadWeight { set, row, weight });
    }
    if weights.iter().all(|&weight| weight == 0.0) {
        return Err(Error::NoRowOfWeight { set });
    }
    task.loss.check_set(set, weights)
}

fn check_problem(task: &LossTask<'_>, index: usize, problem: &Problem<'_>) -> Result<(), Error> {
    check_strength(problem.c)?;
    if problem.set >= task.sets.len() {
        return Err(Error::NoSuchSet { problem: index, set: problem.set, sets: task.sets.len() });
    }
    let Some(start) = problem.start else { return Ok(()) };
    let (columns, outputs) = (task.rows.dim().1, task.loss.outputs());
    let (found_columns, of_weights) = start.weights.dim();
    for found_outputs in [of_weights, start.intercept.len()] {
        if (found_columns, found_outputs) != (columns, outputs) {
            return Err(Error::WarmStart { problem: index, columns, outputs, found_columns, found_outputs });
        }
    }
    let is_finite = start.weights.iter().chain(start.intercept).all(|value| value.is_finite());
    if is_finite { Ok(()) } else { Err(Error::StartNotFinite { problem: index }) }
}

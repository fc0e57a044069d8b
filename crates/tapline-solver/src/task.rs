//! What is to be solved, as plain data: rows, training sets as row weights, one problem for each set and strength.
//!
//! Checked once, here; everything behind this file trusts it.

use ndarray::{Array1, Array2, ArrayView2};

use crate::{ClassWeights, Classes, Error, Loss};

/// Features with targets for any loss, and the training sets drawn from them; for [`solve_loss`](crate::solve_loss).
#[derive(Debug, Clone, Copy)]
pub struct LossTask<'a> {
    /// Features `[rows, columns]`, in any unit; a column far from 0 against its spread loses digits: centre it first.
    pub rows: ArrayView2<'a, f64>,
    /// What the rows are fitted to.
    pub loss: Loss<'a>,
    /// Weight of each row in each training set `[sets][rows]`, at least 0: 1 for rows to learn from, 0 for others.
    pub sets: &'a [Vec<f64>],
}

/// Features with classes that exclude each other, all of equal weight, for logistic regressions by [`solve`](crate::solve());
/// the usual [`LossTask`] in short.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Features `[rows, columns]`, in any unit; a column far from 0 against its spread loses digits: centre it first.
    pub rows: ArrayView2<'a, f64>,
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
    /// Where to start; at weights of 0 if absent.
    pub start: Option<Start<'a>>,
}

/// A point to start from, in the standardised unit of the problem's own training set.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Weights `[columns, outputs]`.
    pub weights: &'a Array2<f64>,
    /// Intercept `[outputs]`.
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
    /// Bytes that the problems under way may take together; at least one is always under way.
    pub max_bytes: usize,
    /// Whether a training set of fewer rows than columns is first solved in the space of its rows: the same minimum, found
    /// on a table of one column for each row, for one product of its rows with each other and one more copy of them. Saves
    /// time where the columns are many times the rows, and loses some where they are not.
    pub row_space: bool,
}

impl Default for SolverConfig {
    /// 5,000 iterations, a tolerance of 1e-8, a memory of 40 steps, 512 MiB, all columns throughout.
    fn default() -> Self {
        Self { max_iterations: 5000, tolerance: 1e-8, memory: 40, max_bytes: 512 << 20, row_space: false }
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
    task.loss.check(rows)?;
    match task.rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), &value)) => Err(Error::NotFinite { row, column, value }),
        None => Ok(()),
    }
}

fn check_set(task: &LossTask<'_>, set: usize, weights: &[f64]) -> Result<(), Error> {
    let rows = task.rows.nrows();
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
    let (columns, outputs) = (task.rows.ncols(), task.loss.outputs());
    let (found_columns, found_outputs) = start.weights.dim();
    if (found_columns, found_outputs) != (columns, outputs) || start.intercept.len() != outputs {
        return Err(Error::WarmStart { problem: index, columns, outputs, found_columns, found_outputs });
    }
    Ok(())
}

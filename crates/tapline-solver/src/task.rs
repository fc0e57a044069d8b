//! What is to be solved, as plain data: rows, training sets as row weights, one problem for each set and strength.
//!
//! Checked once, here; everything behind this file trusts it.

use ndarray::{Array1, Array2, ArrayView2};

use crate::Error;

/// Features with their labels and the training sets drawn from them.
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
}

impl Default for SolverConfig {
    /// 5,000 iterations, a tolerance of 1e-8, a memory of 40 steps, 512 MiB.
    fn default() -> Self {
        Self { max_iterations: 5000, tolerance: 1e-8, memory: 40, max_bytes: 512 << 20 }
    }
}

impl Task<'_> {
    /// One output tells two classes apart; more classes have one each.
    pub(crate) fn outputs(&self) -> usize {
        if self.classes == 2 { 1 } else { self.classes }
    }
}

/// Checks everything that [`solve`](crate::solve()) is given.
pub(crate) fn check(config: &SolverConfig, task: &Task<'_>, problems: &[Problem<'_>]) -> Result<(), Error> {
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

fn check_rows(task: &Task<'_>) -> Result<(), Error> {
    let (rows, columns) = task.rows.dim();
    if rows == 0 || columns == 0 {
        return Err(Error::Empty { rows, columns });
    }
    if task.labels.len() != rows {
        return Err(Error::LabelCount { rows, labels: task.labels.len() });
    }
    if task.classes < 2 {
        return Err(Error::FewClasses { classes: task.classes });
    }
    if let Some((row, &class)) = task.labels.iter().enumerate().find(|&(_, &class)| class >= task.classes) {
        return Err(Error::ClassOutOfRange { row, class, classes: task.classes });
    }
    match task.rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), &value)) => Err(Error::NotFinite { row, column, value }),
        None => Ok(()),
    }
}

fn check_set(task: &Task<'_>, set: usize, weights: &[f64]) -> Result<(), Error> {
    let rows = task.labels.len();
    if weights.len() != rows {
        return Err(Error::WeightCount { set, weights: weights.len(), rows });
    }
    if let Some((row, &weight)) =
        weights.iter().enumerate().find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0))
    {
        return Err(Error::BadWeight { set, row, weight });
    }
    let mut seen = vec![false; task.classes];
    task.labels.iter().zip(weights).filter(|&(_, &weight)| weight > 0.0).for_each(|(&class, _)| seen[class] = true);
    match seen.iter().position(|&seen| !seen) {
        Some(class) => Err(Error::NoRowOfClass { set, class }),
        None => Ok(()),
    }
}

fn check_problem(task: &Task<'_>, index: usize, problem: &Problem<'_>) -> Result<(), Error> {
    check_strength(problem.c)?;
    if problem.set >= task.sets.len() {
        return Err(Error::NoSuchSet { problem: index, set: problem.set, sets: task.sets.len() });
    }
    let Some(start) = problem.start else { return Ok(()) };
    let (columns, outputs) = (task.rows.ncols(), task.outputs());
    let (found_columns, found_outputs) = start.weights.dim();
    if (found_columns, found_outputs) != (columns, outputs) || start.intercept.len() != outputs {
        return Err(Error::WarmStart { problem: index, columns, outputs, found_columns, found_outputs });
    }
    Ok(())
}

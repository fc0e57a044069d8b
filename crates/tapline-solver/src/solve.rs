//! All problems in lock-step: each step of all of them costs two products with the features.

use std::borrow::Cow;
use std::collections::VecDeque;

use ndarray::{Array1, Array2, ArrayViewMut2, Axis, concatenate};
use rayon::prelude::*;

use crate::loss::Targets;
use crate::moments::{Moments, moments};
use crate::products::product;
use crate::search::{Given, Search};
use crate::task::check;
use crate::{Error, LossTask, Problem, SolverConfig, Start, Task};

/// The minimum of one problem, as near as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Weights `[columns, outputs]` of the features standardised on the problem's own set.
    pub weights: Array2<f64>,
    /// Intercept of each output `[outputs]`.
    pub intercept: Array1<f64>,
    /// Mean and scale of each column over the set.
    pub moments: Moments,
    /// `Σ d loss + ‖weights‖² / (2 C)` over the set, `d` row weight times class weight; in nats, or the loss's own unit.
    pub objective: f64,
    /// Euclidean norm of the objective's gradient over weights and intercept.
    pub gradient_norm: f64,
    /// Largest possible distance of the objective from its minimum, in the same unit.
    pub excess: f64,
    /// Steps taken.
    pub iterations: u64,
    /// Whether `excess ≤ tolerance · objective`.
    pub converged: bool,
}

/// A problem done with.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// Position of the problem among those given.
    pub problem: usize,
    /// Where it ended.
    pub solution: Solution,
    /// Scores `[rows, outputs]` of all rows of the task, also of those that the problem did not learn from.
    pub scores: Array2<f64>,
}

/// Solves logistic regressions of classes that exclude each other: [`solve_loss`] in short.
///
/// # Errors
/// For bad input. Problems that did not converge say so in their solution.
pub fn solve(
    config: &SolverConfig,
    task: &Task<'_>,
    problems: &[Problem<'_>],
    finished: &mut dyn FnMut(Solved),
) -> Result<(), Error> {
    solve_loss(config, &LossTask::from(*task), problems, finished)
}

/// Solves all problems; `finished` gets each as soon as it is done, in no promised order.
///
/// Each minimises `Σ d loss + ‖W‖² / (2 C)` by L-BFGS (Liu and Nocedal, "On the limited memory BFGS method for large scale
/// optimization", 1989) with steps of its own. A problem's numbers do not depend on the problems beside it, nor on rows of
/// weight 0, nor on the number of threads. Problems are taken up in the order given, as many at a time as memory allows.
///
/// # Errors
/// For bad input. Problems that did not converge say so in their solution.
pub fn solve_loss(
    config: &SolverConfig,
    task: &LossTask<'_>,
    problems: &[Problem<'_>],
    finished: &mut dyn FnMut(Solved),
) -> Result<(), Error> {
    check(config, task, problems)?;
    let all_moments: Vec<Moments> = task.sets.par_iter().map(|weights| moments(task.rows, weights)).collect();
    let weights: Vec<Cow<'_, [f64]>> = task.sets.iter().map(|weights| task.loss.weighted(weights)).collect();
    let sides = task.loss.sides();
    let search = |(index, problem): (usize, &Problem<'_>)| {
        let targets = Targets { aims: task.loss.aims(sides.as_ref()), weights: &weights[problem.set] };
        let given = Given { index, alpha: 1.0 / problem.c, targets, moments: &all_moments[problem.set] };
        Search::new(given, first_point(task, problem.start), task.rows.nrows(), task.loss.outputs())
    };
    let at_once = (config.max_bytes / bytes_of_one(config, task)).max(1);
    let mut waiting: VecDeque<_> = problems.iter().enumerate().collect();
    let mut active: Vec<Search<'_>> = Vec::new();
    while !(active.is_empty() && waiting.is_empty()) {
        let room = at_once.saturating_sub(active.len()).min(waiting.len());
        active.extend(waiting.drain(..room).map(search));
        advance(config, task, &mut active);
        let (over, rest): (Vec<_>, Vec<_>) = active.into_iter().partition(Search::is_over);
        active = rest;
        over.into_iter().for_each(|search| finished(search.finish(config)));
    }
    Ok(())
}

/// One step of each problem.
fn advance(config: &SolverConfig, task: &LossTask<'_>, active: &mut [Search<'_>]) {
    let outputs = task.loss.outputs();
    let mut wanted = Array2::zeros((task.rows.ncols(), active.len() * outputs));
    let shifts: Vec<Array1<f64>> =
        active.par_iter().zip(blocks(&mut wanted, outputs)).map(|(search, block)| search.ask(block)).collect();
    let answers = product(task.rows, wanted.view());
    let mut residuals = Array2::zeros(answers.dim());
    let answer_blocks: Vec<_> = answers.axis_chunks_iter(Axis(1), outputs).collect();
    active
        .par_iter_mut()
        .zip(answer_blocks)
        .zip(shifts)
        .zip(blocks(&mut residuals, outputs))
        .for_each(|(((search, answer), shift), residuals)| search.advance(&answer + &shift, residuals));
    let products = product(task.rows.t(), residuals.view());
    let sides: Vec<_> =
        products.axis_chunks_iter(Axis(1), outputs).zip(residuals.axis_chunks_iter(Axis(1), outputs)).collect();
    active
        .par_iter_mut()
        .zip(sides)
        .for_each(|(search, (products, residuals))| search.judge(products, residuals, config));
}

/// The columns of each problem, to be written to from any thread.
fn blocks(table: &mut Array2<f64>, outputs: usize) -> Vec<ArrayViewMut2<'_, f64>> {
    table.axis_chunks_iter_mut(Axis(1), outputs).collect()
}

fn first_point(task: &LossTask<'_>, start: Option<Start<'_>>) -> Array1<f64> {
    match start {
        Some(start) => {
            let weights: Array1<f64> = start.weights.iter().copied().collect();
            concatenate![Axis(0), weights, start.intercept.view()]
        }
        None => Array1::zeros((task.rows.ncols() + 1) * task.loss.outputs()),
    }
}

/// Bytes that one problem takes: tables of scores and residuals, its history, its point, gradient and direction.
fn bytes_of_one(config: &SolverConfig, task: &LossTask<'_>) -> usize {
    let (rows, columns) = task.rows.dim();
    size_of::<f64>() * task.loss.outputs() * (4 * rows + (2 * config.memory + 6) * columns)
}

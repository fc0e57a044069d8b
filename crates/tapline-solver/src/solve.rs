//! All problems in lock-step: each step of all of them costs two products with the features.

use std::borrow::Cow;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use crate::loss::Targets;
use crate::moments::{Moments, moments};
use crate::products::product;
use crate::rowspace::RowSpace;
use crate::search::{Given, Search};
use crate::task::check;
use crate::{Error, Loss, LossTask, Problem, SolverConfig, Start, Task};

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
    let moments: Vec<Moments> = task.sets.par_iter().map(|weights| moments(task.rows, weights)).collect();
    let prepared = Prepared {
        loss: &task.loss,
        sides: task.loss.sides(),
        weights: task.sets.iter().map(|weights| task.loss.weighted(weights)).collect(),
        problems,
    };
    let mut places: Vec<Place> = problems.iter().map(|problem| Place::first(task, problem.start)).collect();
    if config.row_space {
        for (set, moments) in moments.iter().enumerate() {
            let Some(space) = RowSpace::new(task.rows, &task.sets[set], moments) else { continue };
            approach(config, &space, (&prepared, set), &mut places);
        }
    }
    let table = Table { rows: task.rows, outputs: task.loss.outputs() };
    let searches = places.into_iter().enumerate().map(|(index, place)| {
        let given = prepared.given(index, &moments[problems[index].set]);
        place.search(given, &table)
    });
    solve_table(config, &table, searches, finished);
    Ok(())
}

/// What problems are made of, whatever table they are solved on.
struct Prepared<'a, 'b, 'p> {
    loss: &'a Loss<'b>,
    sides: Option<Array2<f64>>,
    /// Row weights times class weights `[sets][rows]`.
    weights: Vec<Cow<'a, [f64]>>,
    problems: &'a [Problem<'p>],
}

impl Prepared<'_, '_, '_> {
    fn given<'c>(&'c self, index: usize, moments: &'c Moments) -> Given<'c> {
        let Problem { set, c, .. } = self.problems[index];
        let targets = Targets { aims: self.loss.aims(self.sides.as_ref()), weights: &self.weights[set] };
        Given { index, alpha: 1.0 / c, targets, moments }
    }
}

/// A table that problems share.
struct Table<'a> {
    /// Columns that scores are computed from `[rows, columns]`.
    rows: ArrayView2<'a, f64>,
    outputs: usize,
}

/// Where a problem is to start.
struct Place {
    /// Weights row by row, then intercepts `[(columns + 1) · outputs]`.
    point: Array1<f64>,
    /// Steps already taken on the way there.
    iterations: u64,
}

impl Place {
    fn first(task: &LossTask<'_>, start: Option<Start<'_>>) -> Self {
        let point = match start {
            Some(start) => point(start.weights.view(), start.intercept.view()),
            None => Array1::zeros((task.rows.ncols() + 1) * task.loss.outputs()),
        };
        Self { point, iterations: 0 }
    }

    /// Weights `[columns, outputs]` and intercepts `[outputs]`.
    fn split(&self, outputs: usize) -> (ArrayView2<'_, f64>, ArrayView1<'_, f64>) {
        let columns = self.point.len() / outputs - 1;
        let (weights, intercept) = self.point.view().split_at(Axis(0), columns * outputs);
        (weights.into_shape_with_order((columns, outputs)).expect("columns × outputs weights"), intercept)
    }

    fn search<'a>(self, given: Given<'a>, table: &Table<'_>) -> Search<'a> {
        Search::new(given, self.point, self.iterations, (table.rows.nrows(), table.outputs))
    }
}

/// Moves the places of problems on one set to their minima in the space of its rows.
///
/// The goal is half the tolerance away, for the other half to take up the rounding of the way back; all columns decide.
fn approach(config: &SolverConfig, space: &RowSpace, of: (&Prepared<'_, '_, '_>, usize), places: &mut [Place]) {
    let ((prepared, set), rank) = (of, space.table.ncols());
    let config = SolverConfig { tolerance: 0.5 * config.tolerance, ..*config };
    let table = Table { rows: space.table.view(), outputs: prepared.loss.outputs() };
    let moments = Moments { mean: Array1::zeros(rank), scale: Array1::ones(rank) };
    let chosen = (0..places.len()).filter(|&index| prepared.problems[index].set == set);
    let searches: Vec<_> = chosen
        .map(|index| {
            let (weights, intercept) = places[index].split(table.outputs);
            let point = point(space.to_rows(weights).view(), intercept);
            Place { point, iterations: 0 }.search(prepared.given(index, &moments), &table)
        })
        .collect();
    solve_table(&config, &table, searches.into_iter(), &mut |Solved { problem, solution, .. }| {
        let point = point(space.to_columns(solution.weights.view()).view(), solution.intercept.view());
        places[problem] = Place { point, iterations: solution.iterations };
    });
}

/// Weights row by row, then intercepts.
fn point(weights: ArrayView2<'_, f64>, intercept: ArrayView1<'_, f64>) -> Array1<f64> {
    weights.iter().chain(&intercept).copied().collect()
}

/// Leads all searches to their ends, in lock-step.
fn solve_table<'a>(
    config: &SolverConfig,
    table: &Table<'_>,
    mut waiting: impl ExactSizeIterator<Item = Search<'a>>,
    finished: &mut dyn FnMut(Solved),
) {
    let at_once = (config.max_bytes / bytes_of_one(config, table)).max(1);
    let mut active: Vec<Search<'_>> = Vec::new();
    while !(active.is_empty() && waiting.len() == 0) {
        let room = at_once.saturating_sub(active.len());
        active.extend(waiting.by_ref().take(room));
        advance(config, table, &mut active);
        let (over, rest): (Vec<_>, Vec<_>) = active.into_iter().partition(Search::is_over);
        active = rest;
        over.into_iter().for_each(|search| finished(search.finish(config)));
    }
}

/// One step of each problem.
fn advance(config: &SolverConfig, table: &Table<'_>, active: &mut [Search<'_>]) {
    let outputs = table.outputs;
    let mut wanted = Array2::zeros((table.rows.ncols(), active.len() * outputs));
    let shifts: Vec<Array1<f64>> =
        active.par_iter().zip(blocks(&mut wanted, outputs)).map(|(search, block)| search.ask(block)).collect();
    let answers = product(table.rows, wanted.view());
    let mut residuals = Array2::zeros(answers.dim());
    let answer_blocks: Vec<_> = answers.axis_chunks_iter(Axis(1), outputs).collect();
    active
        .par_iter_mut()
        .zip(answer_blocks)
        .zip(shifts)
        .zip(blocks(&mut residuals, outputs))
        .for_each(|(((search, answer), shift), residuals)| search.advance(&answer + &shift, residuals));
    let products = product(table.rows.t(), residuals.view());
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

/// Bytes that one problem takes: tables of scores and residuals, its history, its point, gradient and direction.
fn bytes_of_one(config: &SolverConfig, table: &Table<'_>) -> usize {
    let (rows, columns) = table.rows.dim();
    size_of::<f64>() * table.outputs * (4 * rows + (2 * config.memory + 6) * columns)
}

//! All problems, from strong to weak regularisation: the training sets of a batch go through the strengths side by side.

use std::borrow::Cow;

use faer::Mat;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use crate::ground::Ground;
use crate::loss::Targets;
use crate::moments::{Moments, moments};
use crate::own::Ware;
use crate::pass::{Look, look};
use crate::precondition::{Preconditioner, Products};
use crate::search::Search;
use crate::table::{Real, Table};
use crate::task::check;
use crate::{Error, Loss, LossTask, Problem, Scaling, SolverConfig, Task};

/// Outputs that one pass takes up: more make a product no faster.
const WIDTH: usize = 64;
/// Where rows are not kept, a pass waits for their source as long as so many outputs take at the speed of the preconditioner's
/// products.
const WAITING: f64 = 6.0;
/// A factor of the curvature is used for strengths up to so many times the one that it was made for.
const NEAR: f64 = 4.0;
/// The curvature is taken anew where the strength has grown by this factor.
const STALE: f64 = 9.0;

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
    /// Largest possible distance of the objective from its minimum, in the same unit; proved for the weights, to first order,
    /// with a margin of 50, for what intercepts may still gain.
    pub excess: f64,
    /// Steps taken at this strength.
    pub iterations: u64,
    /// Half the squared Newton decrement by the search's own curvature: the estimate of that distance, in the same unit;
    /// infinite where no direction was asked for.
    pub decrement: f64,
    /// Whether `excess ≤ tolerance · objective`, or both are nothing beside the loss without weights; or where that proof
    /// is out of reach, the decrement in double precision says so: below 0.3 of the tolerance twice in turn by the Hessian
    /// itself, or below a thousandth of it by any other curvature (never for squared hinges, whose curvature jumps).
    pub converged: bool,
}

/// A problem done with.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// Position of the problem among those given.
    pub problem: usize,
    /// Where it ended.
    pub solution: Solution,
    /// Scores `[rows, outputs]` of all rows of the task, also of those that the problem did not learn from; computed in
    /// float32.
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
/// Each minimises `Σ d loss + ‖W‖² / (2 C)`. The training sets go through their strengths from strong to weak, each
/// strength starting where the ones before point to, by L-BFGS (Liu and Nocedal, "On the limited memory BFGS method for large
/// scale optimization", 1989) on a shared curvature, with steps of its own. Its place in a batch moves a problem's numbers
/// within the tolerance; the number of threads does not move them at all.
///
/// # Errors
/// For bad input. Problems that did not converge say so in their solution.
pub fn solve_loss(
    config: &SolverConfig,
    task: &LossTask<'_>,
    problems: &[Problem<'_>],
    finished: &mut dyn FnMut(Solved),
) -> Result<(), Error> {
    solve_wanted(config, task, problems, &|_| true, finished)
}

/// The same for those problems only that are still wanted when their turn comes: `wanted` is asked with a problem's
/// position, and those that are not wanted are never finished.
///
/// The problems of a batch come by ascending strength, those of one strength together, so that what was finished can tell
/// which larger strengths are worth their time. What does not fit into [`SolverConfig::max_bytes`] makes several batches, one after the
/// other.
///
/// # Errors
/// As [`solve_loss`].
pub fn solve_wanted(
    config: &SolverConfig,
    task: &LossTask<'_>,
    problems: &[Problem<'_>],
    wanted: &dyn Fn(usize) -> bool,
    finished: &mut dyn FnMut(Solved),
) -> Result<(), Error> {
    check(config, task, problems)?;
    let (rows, columns) = task.rows.dim();
    let used: Vec<bool> = (0..rows).map(|row| task.sets.iter().any(|weights| weights[row] > 0.0)).collect();
    let table = Table::new(task.rows, &used, config.max_bytes)?;
    let outputs = task.loss.outputs();
    let sides = task.loss.sides();
    let prepared = Prepared {
        moments: moments(&table, task.sets, config.scaling),
        weights: task.sets.iter().map(|weights| task.loss.weighted(weights)).collect(),
        ground: Ground::of(&table, &used, config.max_bytes),
        search_bytes: outputs
            * (size_of::<f64>() * (columns + 1) * (2 * config.memory + 8) + 4 * size_of::<f32>() * rows),
        loss: &task.loss,
        table: &table,
        problems,
    };
    // Searches take half of the bytes at most; what they leave is there for the curvatures they buy.
    let at_once = (config.max_bytes / 2 / prepared.search_bytes.max(1)).max(1);
    for tracks in tracks(problems).chunks(at_once) {
        prepared.solve_batch(config, tracks, sides.as_ref(), (wanted, finished));
    }
    Ok(())
}

/// What problems are made of.
struct Prepared<'a, 'b, 'p> {
    table: &'a Table<'a>,
    ground: Ground<'a>,
    loss: &'a Loss<'b>,
    moments: Vec<Moments>,
    /// Row weights times class weights `[sets][rows]`.
    weights: Vec<Cow<'a, [f64]>>,
    problems: &'a [Problem<'p>],
    /// Bytes of one search, without the curvature that it buys.
    search_bytes: usize,
}

/// Problems on one set, by ascending strength: a path.
fn tracks(problems: &[Problem<'_>]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..problems.len()).collect();
    order.sort_by(|&a, &b| problems[a].c.total_cmp(&problems[b].c));
    let mut tracks: Vec<Vec<usize>> = Vec::new();
    for index in order {
        let Problem { set, c, .. } = problems[index];
        let follows = |track: &&mut Vec<usize>| {
            let last = &problems[*track.last().expect("a track has a problem")];
            last.set == set && last.c < c
        };
        match tracks.iter_mut().find(follows) {
            Some(track) => track.push(index),
            None => tracks.push(vec![index]),
        }
    }
    tracks.sort_by_key(|track| track.iter().min().copied());
    tracks
}

impl Prepared<'_, '_, '_> {
    fn solve_batch(
        &self,
        config: &SolverConfig,
        tracks: &[Vec<usize>],
        sides: Option<&Array2<f64>>,
        (wanted, finished): (&dyn Fn(usize) -> bool, &mut dyn FnMut(Solved)),
    ) {
        let outputs = self.loss.outputs();
        // Over all rows in use the table's columns have a standard deviation of 1.
        let rho: Vec<f64> = match config.scaling {
            Scaling::Standardise => vec![1.0; self.table.columns],
            Scaling::None => self.table.units.inverse.iter().map(|&inverse| f64::from(inverse).powi(2)).collect(),
        };
        let search = |track: &Vec<usize>| {
            let set = self.problems[track[0]].set;
            let targets = Targets { aims: self.loss.aims(sides), weights: &self.weights[set], outputs };
            Search::new(targets, &self.moments[set], &self.table.units, &rho)
        };
        let mut searches: Vec<Search<'_>> = tracks.iter().map(search).collect();
        let mut strengths: Vec<f64> = tracks.iter().flatten().map(|&index| self.problems[index].c).collect();
        strengths.sort_by(f64::total_cmp);
        strengths.dedup();
        let mut curvature = Curvature::new(self, rho);
        for c in strengths {
            let here: Vec<(usize, usize)> = tracks
                .iter()
                .enumerate()
                .filter_map(|(track, problems)| {
                    let here = |&&index: &&usize| self.problems[index].c == c && wanted(index);
                    Some((track, *problems.iter().find(here)?))
                })
                .collect();
            here.iter().for_each(|&(track, problem)| searches[track].begin(c, self.problems[problem].start));
            self.descend(config, &mut searches, (&mut curvature, c));
            for &(track, problem) in &here {
                finished(searches[track].finish(problem, config));
            }
            // Those that have no further strength, or were not wanted at this one, leave their memory to others.
            let is_done = |track: usize| {
                let strengths = || tracks[track].iter().map(|&index| self.problems[index].c);
                let is_refused = strengths().any(|other| other == c) && here.iter().all(|&(other, _)| other != track);
                is_refused || strengths().all(|other| other <= c)
            };
            let done = searches.iter_mut().enumerate().filter(|&(track, _)| is_done(track));
            done.for_each(|(_, search)| search.sell());
        }
    }

    /// Leads all searches to their ends at one strength.
    fn descend<'s>(
        &'s self,
        config: &SolverConfig,
        searches: &mut [Search<'s>],
        (curvature, c): (&mut Curvature<'_>, f64),
    ) {
        let outputs = self.loss.outputs();
        loop {
            let held: usize = searches.iter().map(|search| search.purse().bytes()).sum();
            let under_way = searches.len();
            let mut active: Vec<&mut Search<'s>> = searches.iter_mut().filter(|search| !search.is_resting()).collect();
            if active.is_empty() {
                return;
            }
            let taken = under_way * self.search_bytes + held;
            self.buy(&mut active, config.max_bytes.saturating_sub(taken));
            // A search that forgets its past, or gives up its sketch, asks once more.
            while active.iter().any(|search| search.wants_direction()) {
                let (mut own, mut sharing): (Vec<_>, Vec<_>) = active
                    .iter_mut()
                    .filter(|search| search.wants_direction())
                    .partition(|search| search.purse().has_own());
                own.par_iter_mut().for_each(|search| search.turn_alone(config));
                if sharing.is_empty() {
                    continue;
                }
                if curvature.is_stale(c) {
                    curvature.renew(&sharing, c);
                }
                turn(config, curvature.factor(c), &mut sharing);
            }
            let (mut precise, mut quick): (Vec<_>, Vec<_>) = active.into_iter().partition(|search| search.is_precise());
            let at_once = (WIDTH / outputs).max(1);
            // Double precision takes twice as long.
            quick.chunks(at_once).for_each(|searches| curvature.spend(1.0, searches.len() * outputs));
            precise.chunks(at_once).for_each(|searches| curvature.spend(2.0, searches.len() * outputs));
            self.look::<f32>(config, &mut quick, at_once);
            self.look::<f64>(config, &mut precise, at_once);
        }
    }

    /// Gives a curvature of their own to searches that spent as much as it costs, those first that come first, as long as there
    /// are bytes `left`.
    fn buy<'s>(&'s self, active: &mut [&mut Search<'s>], mut left: usize) {
        let cost_of_look = 8.0 * (self.table.rows * self.table.columns) as f64 * (self.loss.outputs() + 1) as f64;
        let mut buyers: Vec<(&mut &mut Search<'s>, Ware)> = Vec::new();
        for search in active.iter_mut().filter(|search| search.wants_direction()) {
            let room = left + search.purse().bytes();
            if let Some((ware, bytes)) = search.wanted(&self.ground, cost_of_look, room) {
                left = room - bytes;
                buyers.push((search, ware));
            }
        }
        buyers.into_par_iter().for_each(|(search, ware)| search.buy(ware, &self.ground));
    }

    /// Lets `searches` look where they want to, so many in one pass; where all rows are kept, the passes go side by side.
    fn look<T: Real>(&self, config: &SolverConfig, searches: &mut [&mut Search<'_>], at_once: usize) {
        let pass = |searches: &mut [&mut Search<'_>]| {
            let looks: Vec<Look<'_, '_>> = searches.iter().map(|search| search.look()).collect();
            let views = look::<T>(self.table, self.loss.outputs(), &looks);
            searches.par_iter_mut().zip(views).for_each(|(search, view)| search.see(view, config));
        };
        if searches.len() > at_once && T::kept(self.table).is_some() {
            searches.par_chunks_mut(at_once).for_each(pass);
        } else {
            searches.chunks_mut(at_once).for_each(pass);
        }
    }
}

/// New directions for the searches that want one.
fn turn(config: &SolverConfig, preconditioner: &Preconditioner<'_, f32>, turning: &mut [&mut &mut Search<'_>]) {
    let asked: Vec<(Vec<f64>, Vec<f64>)> = turning.par_iter().map(|search| search.ask()).collect();
    let outputs = turning[0].outputs;
    let length = asked[0].0.len() / outputs;
    let mut gradients = Mat::from_fn(length, asked.len() * outputs, |row, place| {
        asked[place / outputs].0[row * outputs + place % outputs] as f32
    });
    preconditioner.apply(gradients.as_mut());
    turning.par_iter_mut().zip(asked).enumerate().for_each(|(place, (search, (mut direction, shares)))| {
        for (index, value) in direction.iter_mut().enumerate() {
            *value = f64::from(gradients[(index / outputs, place * outputs + index % outputs)]);
        }
        search.turn(direction, &shares, config);
    });
}

/// The shared curvature, and when to take it anew: when as much was spent on looking as taking it anew costs. Until that is so for
/// the first time a diagonal, which costs nothing, stands for it.
struct Curvature<'a> {
    ground: &'a Ground<'a>,
    products: Option<Products<'a, f32>>,
    /// The last factor and its strength.
    factored: Option<(f64, Preconditioner<'a, f32>)>,
    /// Penalty of each weight `[columns]`.
    rho: Vec<f64>,
    /// Strength at which it was taken.
    taken_at: f64,
    /// Arithmetic spent on looking since.
    spent: f64,
    cost: f64,
    cost_of_look: f64,
    /// Outputs that a pass waits for its rows.
    waiting: f64,
    /// Whether the losses' second derivatives never change.
    constant: bool,
}

impl<'a> Curvature<'a> {
    fn new(prepared: &'a Prepared<'_, '_, '_>, rho: Vec<f64>) -> Self {
        let cost_of_look = 8.0 * (prepared.table.rows * prepared.table.columns) as f64;
        let waiting = if f32::kept(prepared.table).is_none() { WAITING } else { 0.0 };
        Self {
            ground: &prepared.ground,
            products: None,
            factored: None,
            rho,
            taken_at: 0.0,
            spent: 0.0,
            // With a look at one problem, for the second derivatives.
            cost: prepared.ground.cost() + cost_of_look * (effort(prepared.loss.outputs()) + waiting),
            waiting,
            cost_of_look,
            constant: matches!(prepared.loss, Loss::SquaredError(_)),
        }
    }

    fn spend(&mut self, times: f64, width: usize) {
        self.spent += times * self.cost_of_look * (effort(width) + self.waiting);
    }

    fn is_stale(&self, c: f64) -> bool {
        match self.products {
            None => true,
            Some(Products::Diagonal { .. }) => self.spent >= self.cost,
            Some(_) => !self.constant && (c >= STALE * self.taken_at || self.spent >= self.cost),
        }
    }

    fn renew(&mut self, active: &[&mut &mut Search<'_>], c: f64) {
        self.factored = None;
        if self.products.is_none() && !self.constant {
            let total = active.iter().map(|search| search.total_curvature()).sum::<f64>() / active.len() as f64;
            self.products = Some(Products::Diagonal { total });
            return;
        }
        let mut sums = vec![0.0; self.ground.rows.len()];
        active.iter().for_each(|search| search.add_curvature(&self.ground.rows, &mut sums));
        sums.iter_mut().for_each(|sum| *sum /= active.len() as f64);
        self.products = Some(self.ground.products(&sums, &self.rho, self.products.take()).0);
        (self.taken_at, self.spent) = (c, 0.0);
    }

    /// A factor for strength `c`, or for one near it.
    fn factor(&mut self, c: f64) -> &Preconditioner<'a, f32> {
        if self.factored.as_ref().is_none_or(|(made_for, _)| c > NEAR * made_for) {
            let products = self.products.as_ref().expect("the curvature was taken");
            self.factored = Some((c, products.factor(&self.rho, c)));
        }
        &self.factored.as_ref().expect("made above").1
    }
}

/// Outputs that take as long, at the speed of the preconditioner's products, as a pass of `width` of them takes, as measured: one is
/// little more than reading, a few are far from that speed.
fn effort(width: usize) -> f64 {
    if width == 1 { 1.5 } else { 4.0 + 0.3 * width as f64 }
}

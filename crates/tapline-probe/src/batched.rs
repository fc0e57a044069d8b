//! The fits of a protocol, all in one batch: every training set and every strength shares the passes over the features.
//!
//! The one file that knows tapline-solver. Its solutions carry the same proof that [`fit`](crate::fit()) computes for linfa's.

use std::cell::RefCell;

use ndarray::Array2;
use tapline_solver::{LossTask, Problem, Scaling, Solution, SolverConfig, solve_wanted};

use crate::fit::ROUNDS;
use crate::pca::Principal;
use crate::strength::{GridFit, Part, Refit, Setting, Tally, Validators, grid_fit, tried};
use crate::{Dataset, Error, Fit, Probe, Standardisation, Transform};

/// Beyond this many classes a long memory costs more than it saves: on 100 classes, 10 steps need 292 where 40 need 287.
const MANY_CLASSES: usize = 20;
/// A strength that is wanted alone is reached by steps of so many strengths of the grid.
const STRIDE: usize = 4;

/// A probe for each part and strength `[parts][strengths tried]`, each set going through the strengths until none of `choices`
/// wants more of it; all of them where there are no choices.
pub(crate) fn fit_grids(setting: &Setting<'_, '_>, parts: &[Part], choices: &[Validators]) -> Vec<Vec<GridFit>> {
    let sets: Vec<Vec<f64>> = parts.iter().map(|part| weights(setting, &part.train)).collect();
    let strengths = setting.grid.len();
    let problem = |index: usize| Problem { set: index / strengths, c: setting.grid[index % strengths].c, start: None };
    let problems: Vec<Problem<'_>> = (0..parts.len() * strengths).map(problem).collect();
    // Of each problem that is done with, what it scored.
    let tallies: RefCell<Vec<Option<Vec<Tally>>>> = RefCell::new(vec![None; problems.len()]);
    let is_wanted = |index: usize| {
        let (part, tallies) = (index / strengths, tallies.borrow());
        let of_choice = |validators: &Validators, strength: usize| {
            let tally = |&(part, fold): &(usize, usize)| Some(tallies[part * strengths + strength].as_ref()?[fold]);
            validators.iter().map(tally).collect()
        };
        let mut wanting = choices.iter().filter(|validators| validators.iter().any(|validator| validator.0 == part));
        choices.is_empty()
            || wanting.any(|validators| !tried(&setting.grid, &|strength| of_choice(validators, strength)).1)
    };
    let spreads: Vec<Vec<f64>> = parts.iter().map(|part| setting.goal.spread(&part.train)).collect();
    let finished = |index: usize, fit: Fit, scores: Array2<f64>| {
        let (part, spread) = (&parts[index / strengths], &spreads[index / strengths]);
        let of_fold = |rows: &Vec<usize>| {
            let scored = rows.iter().map(|&row| (row, scores.row(row)));
            setting.goal.tally(setting.data.labels, spread, scored)
        };
        let scored: Vec<Tally> = part.held_out.iter().map(of_fold).collect();
        (setting.progress)();
        tallies.borrow_mut()[index] = Some(scored.clone());
        grid_fit(&fit, scored, (part, problems[index].c))
    };
    let fits = in_order(setting, &sets, &problems, (&is_wanted, finished));
    fits.iter().filter(|fit| fit.is_none()).for_each(|_| (setting.progress)());
    let mut fits = fits.into_iter();
    parts.iter().map(|_| fits.by_ref().take(strengths).flatten().collect()).collect()
}

/// A probe for each of `refits`.
pub(crate) fn fit_again(setting: &Setting<'_, '_>, refits: &[Refit<'_>]) -> Vec<Fit> {
    let sets: Vec<Vec<f64>> = refits.iter().map(|refit| weights(setting, &refit.train)).collect();
    let (mut problems, mut wanted) = (Vec::new(), Vec::new());
    for (set, refit) in refits.iter().enumerate() {
        let below: Vec<f64> = setting.grid.iter().map(|config| config.c).take_while(|&c| c < refit.config.c).collect();
        problems.extend(below.into_iter().step_by(STRIDE).map(|c| Problem { set, c, start: None }));
        wanted.push(problems.len());
        problems.push(Problem { set, c: refit.config.c, start: None });
    }
    let keep = |index: usize, fit: Fit, _| wanted.contains(&index).then_some(fit);
    let fits = in_order(setting, &sets, &problems, (&|_| true, keep));
    (0..refits.len()).for_each(|_| (setting.progress)());
    fits.into_iter().flatten().flatten().collect()
}

/// The grid of one part, on the principal components of its rows to learn from; all strengths are tried.
///
/// # Errors
/// Where the components are not found.
pub(crate) fn fit_along(setting: &Setting<'_, '_>, part: &Part, components: usize) -> Result<Vec<GridFit>, Error> {
    let rows = Principal::of(setting.data, &part.train, components)?.project(setting.data);
    let along = Setting { data: &Dataset { rows: &rows, ..*setting.data }, ..along(setting) };
    Ok(fit_grids(&along, std::slice::from_ref(part), &[]).pop().expect("one part"))
}

/// The same for one probe, turned into one of all columns.
///
/// # Errors
/// Where the components are not found.
pub(crate) fn fit_again_along(setting: &Setting<'_, '_>, refit: &Refit<'_>, components: usize) -> Result<Fit, Error> {
    let principal = Principal::of(setting.data, &refit.train, components)?;
    let rows = principal.project(setting.data);
    let along = Setting { data: &Dataset { rows: &rows, ..*setting.data }, ..along(setting) };
    let refit = Refit { train: refit.train.clone(), config: refit.config };
    let fit = fit_again(&along, &[refit]).pop().expect("one fit");
    // Along the axes rows have mean 0 up to rounding; what the fit took off them goes into the intercept.
    let Probe { standardisation, weights, mut intercept, .. } = fit.probe;
    intercept -= &standardisation.mean.dot(&weights);
    let weights = principal.weights(&weights);
    let standardisation = principal.standardisation;
    Ok(Fit { probe: Probe { transform: setting.transform, standardisation, weights, intercept }, ..fit })
}

/// Features along principal components are penalised as they are.
fn along<'a, 'd>(setting: &Setting<'a, 'd>) -> Setting<'a, 'd> {
    Setting { transform: Transform::None, grid: setting.grid.clone(), ..*setting }
}

/// What `finished` makes of each problem (its position, its fit, the scores of all rows), in the order of the problems; none
/// for those that were not wanted when their turn came.
fn in_order<T>(
    setting: &Setting<'_, '_>,
    sets: &[Vec<f64>],
    problems: &[Problem<'_>],
    (is_wanted, mut finished): (&dyn Fn(usize) -> bool, impl FnMut(usize, Fit, Array2<f64>) -> T),
) -> Vec<Option<T>> {
    let task = LossTask { rows: setting.data.rows, loss: setting.goal.loss(setting.data, setting.balanced), sets };
    let mut found: Vec<Option<T>> = problems.iter().map(|_| None).collect();
    let result = solve_wanted(&solver_config(setting), &task, problems, is_wanted, &mut |solved| {
        found[solved.problem] =
            Some(finished(solved.problem, fit_of(solved.solution, setting.transform), solved.scores));
    });
    result.expect("rows, targets, folds and strengths were checked");
    found
}

fn solver_config(setting: &Setting<'_, '_>) -> SolverConfig {
    let config = &setting.grid[0];
    let defaults = SolverConfig::default();
    SolverConfig {
        max_iterations: config.max_iterations.saturating_mul(ROUNDS),
        max_bytes: setting.max_bytes,
        tolerance: config.tolerance,
        memory: if setting.goal.outputs(setting.data.classes) > MANY_CLASSES { 10 } else { defaults.memory },
        scaling: if setting.transform.standardises() { Scaling::Standardise } else { Scaling::None },
    }
}

/// 1 for the rows numbered in `chosen`, 0 for others `[rows]`.
fn weights(setting: &Setting<'_, '_>, chosen: &[usize]) -> Vec<f64> {
    let mut weights = vec![0.0; setting.data.labels.len()];
    chosen.iter().for_each(|&row| weights[row] = 1.0);
    weights
}

fn fit_of(solution: Solution, transform: Transform) -> Fit {
    let standardisation = Standardisation { mean: solution.moments.mean, scale: solution.moments.scale };
    Fit {
        probe: Probe { transform, standardisation, weights: solution.weights, intercept: solution.intercept },
        objective: solution.objective,
        gradient_norm: solution.gradient_norm,
        excess: solution.excess,
        converged: solution.converged,
        failure: None,
    }
}

//! The honest protocol: no row is scored by a probe, a standardisation or a strength that it helped to choose.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tapline_solver::SolverConfig;

use crate::control::{control_labels, relabelled};
use crate::evaluation::{Choice, Evaluation, NotConverged, not_converged};
use crate::folds::stratified_folds;
use crate::goal::Goal;
use crate::grouped::{check_spread, grouped_folds};
use crate::labelled::{check_dataset, check_every_class};
use crate::strength::{GridFit, Part, Refit, Setting, Validators, checked_grid, choose, fit_again, fit_grids};
use crate::tested::{Outer, OuterFold, evaluation};
use crate::transform::RowWise;
use crate::{Dataset, Error, Fit, Transform};

/// How probes are chosen and scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProtocolConfig {
    /// Number of folds, at least 3.
    pub folds: usize,
    /// Seed of the deal into folds.
    pub seed: u64,
    /// Strengths `C` to choose from, above 0; order and repeats do not matter.
    pub grid: Vec<f64>,
    /// Iterations of the solver at most, each time it is started: linfa twenty times, the batched solver once, for twenty
    /// times as many.
    pub max_iterations: u64,
    /// Largest excess of a converged objective over its minimum, as a share of it.
    pub tolerance: f64,
    /// Whether [`evaluate`] and [`holdout`] shuffle the labels within their folds, by the seed: what is found is then chance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub control: bool,
    /// What is done to the features first.
    #[serde(default)]
    pub transform: Transform,
    /// Whether each class weighs as much as any other: its rows `n / (K nₖ)` each, of the `n` training rows of `K` classes, `nₖ` of
    /// them its own (scikit-learn's `class_weight="balanced"`). Choices and scores still count rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub balanced: bool,
    /// Who fits the probes.
    #[serde(default)]
    pub solver: Solver,
    /// Bytes up to which features are kept in memory, and fits under way may take together; features that take more are read anew
    /// in each pass. What is found depends on it within the tolerance alone: fits that share less end a little elsewhere.
    #[serde(skip, default = "max_bytes")]
    pub max_bytes: usize,
}

fn max_bytes() -> usize {
    SolverConfig::default().max_bytes
}

/// Who fits the probes. Both minimise the same objective to the same tolerance, and prove it alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// All folds and strengths in one batch (tapline-solver).
    #[default]
    Batched,
    /// One after the other by linfa-logistic: slow, and not always converging for more than two classes.
    LinfaLogistic,
}

impl Default for ProtocolConfig {
    /// Five folds, seed 0, [`default_grid`], 1,000 iterations, a tolerance of 1e-6, all in one batch, standardised columns.
    fn default() -> Self {
        Self {
            folds: 5,
            seed: 0,
            grid: default_grid(),
            max_iterations: 1000,
            tolerance: 1e-6,
            control: false,
            balanced: false,
            solver: Solver::Batched,
            max_bytes: max_bytes(),
            transform: Transform::Standardise,
        }
    }
}

/// 45 strengths from 1e-6 to 1e5, four in each decade (Kornblith, Shlens and Le, "Do better ImageNet models transfer
/// better?", CVPR 2019, appendix A.4).
pub fn default_grid() -> Vec<f64> {
    (0..45).map(|step| 10f64.powf(f64::from(step) / 4.0 - 6.0)).collect()
}

impl ProtocolConfig {
    /// Largest number of fits of one [`evaluate`]: `folds · (folds − 1) / 2` times the grid, and one for each fold.
    ///
    /// # Errors
    /// For a grid that cannot be used.
    pub fn evaluate_fits(&self) -> Result<usize, Error> {
        Ok(self.folds * self.folds.saturating_sub(1) / 2 * checked_grid(self)?.len() + self.folds)
    }

    /// Largest number of fits of one [`holdout`] or [`fit_final`]: `folds` times the grid, and one.
    ///
    /// # Errors
    /// For a grid that cannot be used.
    pub fn holdout_fits(&self) -> Result<usize, Error> {
        Ok(self.folds * checked_grid(self)?.len() + 1)
    }
}

/// What a row of a fixed split is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To learn from, and to choose the strength on.
    Train,
    /// To score on.
    Test,
    /// Neither.
    Unused,
}

/// The probe for new pictures: fitted on all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalFit {
    /// The fit on all rows.
    pub fit: Fit,
    /// How its strength was chosen.
    pub choice: Choice,
    /// Number of probes fitted.
    pub fits: usize,
    /// The fits among them that did not converge.
    pub not_converged: Vec<NotConverged>,
}

/// Scores every row by nested cross-validation with shared fits; `progress` is called after each fit, from any thread.
///
/// For every pair of folds `{j, k}` the grid is fitted once, on the rows outside both. Read one way, `k` is the test fold
/// and `j` validates; read the other way, they change places. For each test fold `k` the strength with most right rows over
/// all `j` is chosen (then lower log loss, then stronger regularisation), fitted on all rows outside `k`, and scored on `k`.
/// Groups are dealt whole, so that none is on both sides of any of these folds.
/// That is the choice of plain nested cross-validation (Varma and Simon, "Bias in error estimation when using
/// cross-validation for model selection", 2006) at half its fits. The result does not depend on the number of threads.
///
/// # Errors
/// For bad input and for folds that cannot be dealt, or that leave a class out of a training set. Fits that did not converge are listed in the result.
pub fn evaluate<'a>(
    config: &ProtocolConfig,
    data: impl Into<Dataset<'a>>,
    progress: &(dyn Fn() + Sync),
) -> Result<Evaluation, Error> {
    let data = &data.into();
    check_dataset(data)?;
    check_every_class(data.labels.iter().copied(), data.classes)?;
    // Two folds are left out at a time.
    let folds = deal(config, data.labels, data.groups, 3)?;
    let labels = control_labels(config, data.labels, &folds.of_row);
    let changed = RowWise::of(config.transform, data.rows);
    let data = &Dataset { rows: changed.as_ref().map_or(data.rows, |rows| rows), ..relabelled(data, &labels) };
    Ok(evaluation(data, nested(&setting(config, data, progress)?, &folds)?))
}

/// Scores the test rows of a fixed split `[rows]` by a probe fitted on its training rows.
///
/// The strength is chosen by cross-validation within the training rows, as in [`fit_final`].
///
/// # Errors
/// As [`evaluate`]; also for a split of another length, without test rows, without training rows of some class, or with
/// a group on both sides.
pub fn holdout<'a>(
    config: &ProtocolConfig,
    data: impl Into<Dataset<'a>>,
    split: &[Role],
    progress: &(dyn Fn() + Sync),
) -> Result<Evaluation, Error> {
    let data = &data.into();
    check_dataset(data)?;
    let (train, test) = rows_of_split(data, split)?;
    let folds = deal_chosen(config, data, &train)?;
    let labels = control_labels(config, data.labels, &blocks(&folds, split));
    let changed = RowWise::of(config.transform, data.rows);
    let data = &Dataset { rows: changed.as_ref().map_or(data.rows, |rows| rows), ..relabelled(data, &labels) };
    let chosen = fit_chosen(&setting(config, data, progress)?, &[(folds, train)])?;
    Ok(evaluation(data, Outer::of_chosen(chosen, vec![test])))
}

/// Fits the probe for new pictures: on all rows, with the strength that plain cross-validation over them chooses.
///
/// # Errors
/// As [`evaluate`].
pub fn fit_final<'a>(
    config: &ProtocolConfig,
    data: impl Into<Dataset<'a>>,
    progress: &(dyn Fn() + Sync),
) -> Result<FinalFit, Error> {
    let data = &data.into();
    check_dataset(data)?;
    let all: Vec<usize> = (0..data.labels.len()).collect();
    let folds = deal_chosen(config, data, &all)?;
    let changed = RowWise::of(config.transform, data.rows);
    let data = &Dataset { rows: changed.as_ref().map_or(data.rows, |rows| rows), ..*data };
    Ok(fit_chosen(&setting(config, data, progress)?, &[(folds, all)])?.pop().expect("one fit"))
}

/// The training rows of a split and its test rows, no group on both sides.
pub(crate) fn rows_of_split(data: &Dataset<'_>, split: &[Role]) -> Result<(Vec<usize>, Vec<usize>), Error> {
    if split.len() != data.labels.len() {
        return Err(Error::SplitLength { rows: data.labels.len(), split: split.len() });
    }
    let rows_of = |role| (0..split.len()).filter(|&row| split[row] == role).collect::<Vec<_>>();
    let (train, test) = (rows_of(Role::Train), rows_of(Role::Test));
    if test.is_empty() {
        return Err(Error::NoTestRow);
    }
    check_apart(data.groups, &train, &test)?;
    Ok((train, test))
}

/// Rows dealt into folds.
pub(crate) struct Folds {
    pub(crate) of_row: Vec<usize>,
    pub(crate) count: usize,
}

impl Folds {
    pub(crate) fn inside(&self, fold: usize) -> Vec<usize> {
        (0..self.of_row.len()).filter(|&row| self.of_row[row] == fold).collect()
    }

    pub(crate) fn outside(&self, left_out: &[usize]) -> Vec<usize> {
        (0..self.of_row.len()).filter(|&row| !left_out.contains(&self.of_row[row])).collect()
    }

    /// The rows outside `left_out` to learn from, those inside to validate on.
    fn part(&self, left_out: &[usize]) -> Part {
        Part {
            train: self.outside(left_out),
            left_out: left_out.to_vec(),
            held_out: left_out.iter().map(|&fold| self.inside(fold)).collect(),
        }
    }
}

/// What the fits of a protocol share, its grid checked.
pub(crate) fn setting<'a, 'd>(
    config: &ProtocolConfig,
    data: &'a Dataset<'d>,
    progress: &'a (dyn Fn() + Sync),
) -> Result<Setting<'a, 'd>, Error> {
    let ProtocolConfig { solver, transform, balanced, max_bytes, .. } = *config;
    transform.check()?;
    if solver == Solver::LinfaLogistic && balanced {
        return Err(Error::SolverCannot { what: "classes that weigh alike" });
    }
    if solver == Solver::LinfaLogistic && transform.components().is_some() {
        return Err(Error::SolverCannot { what: "principal components" });
    }
    let grid = checked_grid(config)?;
    Ok(Setting { data, goal: Goal::Classes, grid, solver, transform, balanced, max_bytes, progress })
}

/// For each test fold: chooses a strength by the pairs that leave the fold out, fits outside it.
pub(crate) fn nested(setting: &Setting<'_, '_>, folds: &Folds) -> Result<Outer, Error> {
    let pairs: Vec<(usize, usize)> = (0..folds.count).flat_map(|k| (0..k).map(move |j| (j, k))).collect();
    let parts: Vec<Part> = pairs.iter().map(|&(j, k)| folds.part(&[j, k])).collect();
    let validators: Vec<Validators> = (0..folds.count).map(|k| validators(&pairs, k)).collect();
    let grids = fit_grids(setting, &parts, &validators)?;
    let choices: Vec<Choice> = validators.iter().map(|validators| choose(&setting.grid, &grids, validators)).collect();
    let refit =
        |(k, choice): (usize, &Choice)| Refit { train: folds.outside(&[k]), config: &setting.grid[choice.index] };
    let refits: Vec<Refit<'_>> = choices.iter().enumerate().map(refit).collect();
    let fits = fit_again(setting, &refits)?;
    let last: Vec<NotConverged> = fits
        .iter()
        .zip(&choices)
        .enumerate()
        .filter_map(|(k, (fit, choice))| not_converged(fit, &[k], choice.c))
        .collect();
    let fold =
        |(k, (fit, choice)): (usize, (Fit, Choice))| OuterFold { choice, probe: fit.probe, rows: folds.inside(k) };
    Ok(Outer {
        folds: fits.into_iter().zip(choices).enumerate().map(fold).collect(),
        fits: count_fits(&grids) + folds.count,
        not_converged: grids.into_iter().flatten().filter_map(|fit| fit.not_converged).chain(last).collect(),
    })
}

/// What validates for test fold `k`: of each pair with it, the other fold.
fn validators(pairs: &[(usize, usize)], k: usize) -> Validators {
    let with = pairs.iter().enumerate().filter(|(_, pair)| pair.0 == k || pair.1 == k);
    with.map(|(part, pair)| (part, usize::from(pair.0 == k))).collect()
}

/// Number of probes of grids `[parts][strengths tried]`.
fn count_fits(grids: &[Vec<GridFit>]) -> usize {
    grids.iter().map(Vec::len).sum()
}

/// Folds of the rows numbered in `chosen`.
pub(crate) fn deal_chosen(config: &ProtocolConfig, data: &Dataset<'_>, chosen: &[usize]) -> Result<Folds, Error> {
    let labels: Vec<usize> = chosen.iter().map(|&row| data.labels[row]).collect();
    check_every_class(labels.iter().copied(), data.classes)?;
    let groups: Option<Vec<usize>> = data.groups.map(|groups| chosen.iter().map(|&row| groups[row]).collect());
    deal(config, &labels, groups.as_deref(), 2)
}

/// What each row of a split belongs to `[rows]`: its fold of the training rows, the test rows, or those unused.
fn blocks(folds: &Folds, split: &[Role]) -> Vec<usize> {
    let mut of_training_row = folds.of_row.iter();
    let block = |role: &Role| match role {
        Role::Train => *of_training_row.next().expect("a fold for each training row"),
        Role::Test => folds.count,
        Role::Unused => folds.count + 1,
    };
    split.iter().map(block).collect()
}

/// For each list of rows with its folds: chooses a strength by plain cross-validation, and fits on all rows of the list.
///
/// The lists may overlap; all their folds are fitted in one batch, then all their probes.
pub(crate) fn fit_chosen(setting: &Setting<'_, '_>, lists: &[(Folds, Vec<usize>)]) -> Result<Vec<FinalFit>, Error> {
    let parts: Vec<Part> = lists.iter().flat_map(|(folds, chosen)| parts_of(folds, chosen)).collect();
    // Each part holds one fold out.
    let mut numbers = 0..;
    let validators = |(folds, _): &(Folds, Vec<usize>)| numbers.by_ref().take(folds.count).map(|p| (p, 0)).collect();
    let validators: Vec<Validators> = lists.iter().map(validators).collect();
    let grids = fit_grids(setting, &parts, &validators)?;
    let choices: Vec<Choice> = validators.iter().map(|validators| choose(&setting.grid, &grids, validators)).collect();
    let mut grids = grids.into_iter();
    let of_list: Vec<Vec<Vec<GridFit>>> =
        lists.iter().map(|(folds, _)| grids.by_ref().take(folds.count).collect()).collect();
    let refit = |((_, chosen), choice): (&(Folds, Vec<usize>), &Choice)| Refit {
        train: chosen.clone(),
        config: &setting.grid[choice.index],
    };
    let refits: Vec<Refit<'_>> = lists.iter().zip(&choices).map(refit).collect();
    let final_fit = |((fit, choice), grids): ((Fit, Choice), Vec<Vec<GridFit>>)| {
        let last = not_converged(&fit, &[], choice.c);
        let not_converged = grids.iter().flatten().filter_map(|fit| fit.not_converged.clone()).chain(last).collect();
        FinalFit { fit, fits: count_fits(&grids) + 1, choice, not_converged }
    };
    Ok(fit_again(setting, &refits)?.into_iter().zip(choices).zip(of_list).map(final_fit).collect())
}

/// What each fold of the rows numbered in `chosen` leaves to learn from and to validate on.
fn parts_of(folds: &Folds, chosen: &[usize]) -> Vec<Part> {
    (0..folds.count).map(|k| numbered(folds.part(&[k]), chosen)).collect()
}

/// Folds of rows, or of whole groups where rows have some; every class in at least `least` of them.
pub(crate) fn deal(
    config: &ProtocolConfig,
    labels: &[usize],
    groups: Option<&[usize]>,
    least: usize,
) -> Result<Folds, Error> {
    let of_row = match groups {
        Some(groups) => grouped_folds(labels, groups, config.folds, config.seed)?,
        None => stratified_folds(labels, config.folds, config.seed)?,
    };
    check_spread(labels, &of_row, least)?;
    Ok(Folds { of_row, count: config.folds })
}

/// That no group has rows on both sides of a split.
fn check_apart(groups: Option<&[usize]>, train: &[usize], test: &[usize]) -> Result<(), Error> {
    let Some(groups) = groups else { return Ok(()) };
    let trained: HashSet<usize> = train.iter().map(|&row| groups[row]).collect();
    match test.iter().map(|&row| groups[row]).find(|group| trained.contains(group)) {
        Some(group) => Err(Error::GroupInBoth { group }),
        None => Ok(()),
    }
}

/// A part of the rows numbered in `chosen`, by the numbers they have among all rows.
fn numbered(part: Part, chosen: &[usize]) -> Part {
    let renamed = |rows: Vec<usize>| rows.into_iter().map(|row| chosen[row]).collect();
    Part { train: renamed(part.train), held_out: part.held_out.into_iter().map(renamed).collect(), ..part }
}

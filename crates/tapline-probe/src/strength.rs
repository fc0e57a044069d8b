//! The choice of a regularisation strength by rows that were held out from the fits.
//!
//! Strengths are tried by ascending C. The largest cost most and matter least, so that a choice tries no more once what it
//! validates on has shown for long enough that they only overfit ([`goes_on`]): by those rows alone, as it chooses.

use ndarray::ArrayView1;
use rayon::prelude::*;

use crate::evaluation::{Choice, NotConverged, Validation, not_converged};
use crate::fit::{check_config, fit_training_rows, gathered};
use crate::goal::Goal;
use crate::loss::{predicted_class, row_loss};
use crate::{Dataset, Error, Fit, FitConfig, Probe, ProtocolConfig, Score, Solver, Transform, batched, pca};

/// A search for a strength ends once C is so many times the best strength,
const FAR: f64 = 100.0;
/// and the held-out loss so many times its lowest. Of 820 choices on the sets of `docs/advice.md`, 11 come out otherwise than
/// with all 45 strengths, by 4 validation rows right at most.
const WORSE: f64 = 1.5;

/// All that the fits of one protocol share; checked.
pub(crate) struct Setting<'a, 'd> {
    /// Features and labels.
    pub(crate) data: &'a Dataset<'d>,
    /// What the probes are fitted to.
    pub(crate) goal: Goal<'a>,
    /// One configuration for each strength of the grid, ascending in C.
    pub(crate) grid: Vec<FitConfig>,
    /// Who fits.
    pub(crate) solver: Solver,
    /// What was done to the rows of `data`, and whether their columns are standardised.
    pub(crate) transform: Transform,
    /// Whether each class weighs as much as any other.
    pub(crate) balanced: bool,
    /// Bytes that features and fits may take.
    pub(crate) max_bytes: usize,
    /// Called after each fit.
    pub(crate) progress: &'a (dyn Fn() + Sync),
}

/// Which rows a grid of probes learns from, and which it is validated on.
pub(crate) struct Part {
    /// Rows to learn from.
    pub(crate) train: Vec<usize>,
    /// Folds left out, by number.
    pub(crate) left_out: Vec<usize>,
    /// The rows of each fold left out, in the same order.
    pub(crate) held_out: Vec<Vec<usize>>,
}

/// A fit at a strength that was chosen.
pub(crate) struct Refit<'a> {
    /// Rows to learn from.
    pub(crate) train: Vec<usize>,
    /// The strength chosen, and when to stop.
    pub(crate) config: &'a FitConfig,
}

/// What one choice of a strength validates on: for each of its parts, its number and the position of a fold held out from it.
pub(crate) type Validators = Vec<(usize, usize)>;

/// How one probe of a grid did on each fold held out.
pub(crate) struct GridFit {
    pub(crate) tallies: Vec<Tally>,
    pub(crate) not_converged: Option<NotConverged>,
}

/// Rows right and the losses of all, summed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Tally {
    pub(crate) score: Score,
    /// Sum of `−ln p(true class)`, in nats.
    pub(crate) loss: f64,
}

/// A probe for each part and strength, by ascending C `[parts][strengths tried]`: those that one of `choices` may want.
///
/// # Errors
/// Where principal components are not found.
pub(crate) fn fit_grids(
    setting: &Setting<'_, '_>,
    parts: &[Part],
    choices: &[Validators],
) -> Result<Vec<Vec<GridFit>>, Error> {
    match (setting.solver, setting.transform.components()) {
        (Solver::Batched, None) => Ok(batched::fit_grids(setting, parts, choices)),
        (Solver::Batched, Some(components)) => {
            side_by_side((setting, components), parts, |part| batched::fit_along(setting, part, components))
        }
        (Solver::LinfaLogistic, _) => {
            Ok(parts.par_iter().with_max_len(1).map(|part| fit_grid(setting, part)).collect())
        }
    }
}

/// A probe for each of `refits`.
///
/// # Errors
/// Where principal components are not found.
pub(crate) fn fit_again(setting: &Setting<'_, '_>, refits: &[Refit<'_>]) -> Result<Vec<Fit>, Error> {
    match (setting.solver, setting.transform.components()) {
        (Solver::Batched, None) => Ok(batched::fit_again(setting, refits)),
        (Solver::Batched, Some(components)) => {
            side_by_side((setting, components), refits, |refit| batched::fit_again_along(setting, refit, components))
        }
        (Solver::LinfaLogistic, _) => {
            Ok(refits.par_iter().with_max_len(1).map(|refit| fit_one(setting, refit)).collect())
        }
    }
}

/// What `work` makes of each item, whose principal components it looks for: as many at a time as the memory holds.
fn side_by_side<I: Sync, T: Send>(
    (setting, components): (&Setting<'_, '_>, usize),
    items: &[I],
    work: impl Fn(&I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let at_once = (setting.max_bytes / pca::bytes(setting.data.rows.dim(), components)).max(1);
    let chunks = items.chunks(at_once).map(|chunk| chunk.par_iter().map(&work).collect::<Result<Vec<T>, Error>>());
    Ok(chunks.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What the grid keeps of a fit.
pub(crate) fn grid_fit(fit: &Fit, tallies: Vec<Tally>, (part, c): (&Part, f64)) -> GridFit {
    GridFit { tallies, not_converged: not_converged(fit, &part.left_out, c) }
}

/// The strength that got most rows right; of equals, the one of lowest loss; of equals again, the strongest.
///
/// `grids [parts][strengths tried]`; strengths beyond the end of the search count as little as those not tried.
pub(crate) fn choose(grid: &[FitConfig], grids: &[Vec<GridFit>], validators: &Validators) -> Choice {
    let tallies = |strength: usize| {
        let tally = |&(part, fold): &(usize, usize)| Some(grids[part].get(strength)?.tallies[fold]);
        validators.iter().map(tally).collect()
    };
    let inner = tried(grid, &tallies).0;
    let index = best(&inner);
    let at_edge = grid.len() > 1 && (index == 0 || index + 1 == grid.len());
    Choice { index, c: grid[index].c, at_edge, inner }
}

/// The strengths tried so far, and whether the search is over; `tallies` gives what a strength scored on all folds that
/// validate, nothing where that is not known yet.
pub(crate) fn tried(grid: &[FitConfig], tallies: &dyn Fn(usize) -> Option<Vec<Tally>>) -> (Vec<Validation>, bool) {
    let mut inner = Vec::new();
    for (strength, config) in grid.iter().enumerate() {
        let Some(tallies) = tallies(strength) else { return (inner, false) };
        inner.push(validation(config.c, tallies.into_iter()));
        if !goes_on(&inner) {
            break;
        }
    }
    (inner, true)
}

/// Whether larger strengths than those of `inner` (ascending in C, at least one) are worth a try: not where C has passed
/// the best by [`FAR`] without getting more rows right and held-out loss has risen to [`WORSE`] times its lowest.
fn goes_on(inner: &[Validation]) -> bool {
    let last = &inner[inner.len() - 1];
    let lowest = inner.iter().fold(f64::INFINITY, |lowest, validation| lowest.min(validation.log_loss));
    last.c < FAR * (1.0 - 1e-9) * inner[best(inner)].c || last.log_loss < WORSE * lowest
}

fn best(inner: &[Validation]) -> usize {
    (1..inner.len()).fold(0, |best, index| if is_better(&inner[index], &inner[best]) { index } else { best })
}

/// One configuration for each strength: checked, ascending in C, each once.
pub(crate) fn checked_grid(config: &ProtocolConfig) -> Result<Vec<FitConfig>, Error> {
    if config.grid.is_empty() {
        return Err(Error::EmptyGrid);
    }
    let with_strength = |&c| FitConfig { c, max_iterations: config.max_iterations, tolerance: config.tolerance };
    let mut grid: Vec<FitConfig> = config.grid.iter().map(with_strength).collect();
    grid.iter().try_for_each(check_config)?;
    grid.sort_by(|a, b| a.c.total_cmp(&b.c));
    grid.dedup_by(|a, b| a.c == b.c);
    Ok(grid)
}

/// Sums over rows, each given by its scores `[outputs]` and its label.
pub(crate) fn tally_scores<'a>(rows: impl Iterator<Item = (ArrayView1<'a, f64>, usize)>) -> Tally {
    rows.fold(Tally::default(), |sum, (scores, label)| Tally {
        score: Score {
            correct: sum.score.correct + usize::from(predicted_class(scores) == label),
            total: sum.score.total + 1,
        },
        loss: sum.loss + row_loss(scores, label),
    })
}

/// A probe for each strength, from strong to weak regularisation, each started from the one before.
fn fit_grid(setting: &Setting<'_, '_>, part: &Part) -> Vec<GridFit> {
    let training = gathered(setting.data, &part.train, setting.transform);
    let mut fits: Vec<GridFit> = Vec::with_capacity(setting.grid.len());
    let mut before: Option<Probe> = None;
    for config in &setting.grid {
        let fit = fit_training_rows(config, &training, before.as_ref());
        (setting.progress)();
        let tallies = part.held_out.iter().map(|rows| tally(&fit.probe, setting.data, rows)).collect();
        fits.push(grid_fit(&fit, tallies, (part, config.c)));
        before = Some(fit.probe);
    }
    fits
}

fn fit_one(setting: &Setting<'_, '_>, refit: &Refit<'_>) -> Fit {
    let fit = fit_training_rows(refit.config, &gathered(setting.data, &refit.train, setting.transform), None);
    (setting.progress)();
    fit
}

fn tally(probe: &Probe, data: &Dataset<'_>, rows: &[usize]) -> Tally {
    let scores = probe.scores_in(data, rows);
    tally_scores(scores.outer_iter().zip(rows.iter().map(|&row| data.labels[row])))
}

fn validation(c: f64, tallies: impl Iterator<Item = Tally>) -> Validation {
    let sum = tallies.fold(Tally::default(), |sum, fold| Tally {
        score: Score { correct: sum.score.correct + fold.score.correct, total: sum.score.total + fold.score.total },
        loss: sum.loss + fold.loss,
    });
    Validation { c, score: sum.score, log_loss: sum.loss / sum.score.total as f64 }
}

fn is_better(this: &Validation, best: &Validation) -> bool {
    let (correct, best_correct) = (this.score.correct, best.score.correct);
    correct > best_correct || (correct == best_correct && this.log_loss < best.log_loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid_of(strengths: &[f64]) -> Vec<FitConfig> {
        strengths.iter().map(|&c| FitConfig { c, ..FitConfig::default() }).collect()
    }

    /// The choice among `strengths` by one fold of 10 rows, given by right rows and loss.
    fn choice(strengths: &[f64], tallies: &[(usize, f64)]) -> Choice {
        let fit = |&(correct, loss): &(usize, f64)| GridFit {
            tallies: vec![Tally { score: Score { correct, total: 10 }, loss }],
            not_converged: None,
        };
        choose(&grid_of(strengths), &[tallies.iter().map(fit).collect()], &vec![(0, 0)])
    }

    fn check(tallies: &[(usize, f64)], index: usize, at_edge: bool) {
        let strengths: Vec<f64> = (0..tallies.len()).map(|i| 0.1 * (i + 1) as f64).collect();
        let found = choice(&strengths, tallies);
        assert_eq!((found.index, found.at_edge, found.c), (index, at_edge, strengths[index]));
    }

    fn check_grid(grid: &[f64], expected: Result<&[f64], &str>) {
        let found = checked_grid(&ProtocolConfig { grid: grid.to_vec(), ..ProtocolConfig::default() });
        let found = found.map(|grid| grid.iter().map(|config| config.c).collect::<Vec<_>>());
        assert_eq!(found.map_err(|error| error.to_string()), expected.map(<[f64]>::to_vec).map_err(str::to_owned));
    }

    #[test]
    fn most_right_rows_win() {
        check(&[(5, 1.0), (7, 9.0), (6, 0.5)], 1, false);
    }

    #[test]
    fn equal_counts_are_told_apart_by_loss() {
        check(&[(7, 1.0), (7, 0.9), (7, 0.95)], 1, false);
    }

    #[test]
    fn full_equals_go_to_the_strongest_regularisation() {
        check(&[(7, 1.0), (7, 1.0)], 0, true);
    }

    #[test]
    fn a_choice_at_the_end_of_the_grid_is_flagged() {
        check(&[(5, 1.0), (6, 1.0), (7, 1.0)], 2, true);
    }

    #[test]
    fn the_only_strength_has_no_edge() {
        check(&[(5, 1.0)], 0, false);
    }

    #[test]
    fn a_search_ends_where_two_decades_brought_more_loss_and_no_more_right() {
        let strengths = [1.0, 10.0, 100.0, 1e3, 1e4];
        // The last strength would be best, but is not looked at: at C = 1,000 the loss has risen from 4 to 6.1.
        let found = choice(&strengths, &[(5, 5.0), (7, 4.0), (6, 5.5), (7, 6.1), (9, 7.0)]);
        assert_eq!((found.index, found.inner.len(), found.at_edge), (1, 4, false));
        // With a loss that has risen by less, it is.
        assert_eq!(choice(&strengths, &[(5, 5.0), (7, 4.0), (6, 5.5), (7, 5.9), (9, 5.9)]).index, 4);
        // And where right rows rose after the loss, the search begins anew.
        assert_eq!(choice(&strengths, &[(5, 4.0), (5, 6.0), (6, 9.0), (7, 12.0), (8, 15.0)]).inner.len(), 5);
    }

    #[test]
    fn what_is_not_known_yet_does_not_end_a_search() {
        let tally = |correct, loss| Tally { score: Score { correct, total: 10 }, loss };
        let known = [tally(9, 1.0), tally(5, 2.0), tally(5, 9.0)];
        let grid = grid_of(&[1.0, 10.0, 100.0, 1e3]);
        let until = |count: usize| tried(&grid, &|strength| Some(vec![*known[..count].get(strength)?]));
        assert_eq!((until(2).0.len(), until(2).1), (2, false));
        assert_eq!((until(3).0.len(), until(3).1), (3, true));
    }

    #[test]
    fn a_grid_is_sorted_and_named_once() {
        check_grid(&[1.0, 0.1, 1.0], Ok(&[0.1, 1.0]));
    }

    #[test]
    fn an_empty_grid_is_refused() {
        check_grid(&[], Err("the grid of regularisation strengths is empty: give at least one C"));
    }

    #[test]
    fn a_strength_that_is_not_a_positive_number_is_refused() {
        check_grid(&[0.1, 0.0], Err("regularisation strength C = 0 is out of range: use a positive, finite number"));
        check_grid(&[f64::NAN], Err("regularisation strength C = NaN is out of range: use a positive, finite number"));
        let expected = "regularisation strength C = inf is out of range: use a positive, finite number";
        check_grid(&[f64::INFINITY], Err(expected));
    }
}

//! Operating points: from where on one of two classes is called, so that a wanted share of its rows is found.
//!
//! The more probable of two classes is called where both errors cost alike. Where to miss one costs more (a defect, a disease),
//! it is called from a lower probability on, at the price of more false alarms.

use crate::bootstrap::weighted_intervals;
use crate::{Error, Evaluation};

/// One of two classes, called from its threshold on, and how that went.
#[derive(Debug, Clone, PartialEq)]
pub struct Operated {
    /// Log-odds of the class from which on it is called, by all rows that thresholds were chosen on.
    pub threshold: f64,
    /// The class called for each scored row `[scored]`, by a threshold chosen on other rows.
    pub called: Vec<usize>,
    /// 95 % interval of the share of the other class's rows called the other class, from 0 to 1; none without such rows.
    pub specificity: Option<(f64, f64)>,
    /// The same of the rows called so that are of the class.
    pub precision: Option<(f64, f64)>,
}

/// Calls `class` in each fold from a threshold that the scored rows of all other folds give: no row has a say in its own.
///
/// A threshold is the k-th highest log-odds of the class's `n` own rows, `k = ⌈(n + 1) · recall⌉`. A new row of the class that the same
/// probe scored, exchangeable with these, would lie at or above it with a chance of at least `recall`, on average over samples of
/// `n` (the split conformal bound; Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for
/// regression", JASA 2018). Rows of folds are scored by probes of their own, and rows of one group count one by one, so that it is
/// what is aimed at, not a promise.
///
/// Intervals are percentiles over 2,000 resamples of the `units` that the scored rows belong to `[scored]`, drawn by `seed`,
/// thresholds chosen anew in each: most of the doubt about specificity and precision is where the threshold lies. Of recall there is
/// none, which thresholds chosen anew hold where it was aimed at: that of new rows varies as a share of as many rows does.
///
/// # Errors
/// [`Error::TwoClasses`] for an evaluation of more than two, [`Error::FewToFind`] where `n` is too small.
///
/// # Panics
/// If `class` is neither 0 nor 1, `recall` not between 0 and 1, or `units` of another length.
pub fn operate_across(
    evaluation: &Evaluation,
    (class, recall): (usize, f64),
    (units, seed): (&[usize], u64),
) -> Result<Operated, Error> {
    let odds = odds_of(evaluation, class)?;
    check((class, recall), (units, evaluation));
    let own = Own::of(evaluation, class, &odds);
    let folds = evaluation.folds.len();
    let outside = |fold: usize| move |row: usize| evaluation.fold_of[row] != fold;
    let even = vec![1.0; odds.len()];
    let threshold = own.threshold(recall, &even, |_| true)?;
    let thresholds =
        (0..folds).map(|fold| own.threshold(recall, &even, outside(fold))).collect::<Result<Vec<f64>, Error>>()?;
    let is_called = |thresholds: &[f64], row: usize| odds[row] >= thresholds[evaluation.fold_of[row]];
    let called = (0..odds.len()).map(|row| if is_called(&thresholds, row) { class } else { 1 - class }).collect();
    let [specificity, precision] = weighted_intervals(units, seed, |weights| {
        let drawn =
            (0..folds).map(|fold| own.threshold(recall, weights, outside(fold)).ok()).collect::<Option<Vec<f64>>>();
        drawn.map_or([None; 2], |drawn| rates(evaluation, class, weights, |row| is_called(&drawn, row)))
    });
    Ok(Operated { threshold, called, specificity, precision })
}

/// Calls `class` from a threshold that the scored rows of another evaluation give, `chosen_on`; else as [`operate_across`], which has
/// the units of both, those to choose on first.
///
/// # Errors
/// As [`operate_across`].
///
/// # Panics
/// As [`operate_across`].
pub fn operate_beside(
    (evaluation, chosen_on): (&Evaluation, &Evaluation),
    (class, recall): (usize, f64),
    ((chosen_units, units), seed): ((&[usize], &[usize]), u64),
) -> Result<Operated, Error> {
    let (odds, chosen_odds) = (odds_of(evaluation, class)?, odds_of(chosen_on, class)?);
    check((class, recall), (units, evaluation));
    check((class, recall), (chosen_units, chosen_on));
    let own = Own::of(chosen_on, class, &chosen_odds);
    let threshold = own.threshold(recall, &vec![1.0; chosen_odds.len()], |_| true)?;
    let called = odds.iter().map(|&odds| if odds >= threshold { class } else { 1 - class }).collect();
    // No unit is on both sides.
    let both: Vec<usize> =
        chosen_units.iter().map(|unit| 2 * unit).chain(units.iter().map(|unit| 2 * unit + 1)).collect();
    let [specificity, precision] = weighted_intervals(&both, seed, |weights| {
        let (chosen_weights, weights) = weights.split_at(chosen_units.len());
        let drawn = own.threshold(recall, chosen_weights, |_| true);
        drawn.map_or([None; 2], |drawn| rates(evaluation, class, weights, |row| odds[row] >= drawn))
    });
    Ok(Operated { threshold, called, specificity, precision })
}

fn check((class, recall): (usize, f64), (units, evaluation): (&[usize], &Evaluation)) {
    assert!(class < 2, "one of two classes");
    assert!(recall > 0.0 && recall < 1.0, "a recall between 0 and 1");
    assert_eq!(units.len(), evaluation.labels.len(), "a unit for each scored row");
}

/// Rows of a class, the highest log-odds first.
struct Own<'a> {
    rows: Vec<usize>,
    odds: &'a [f64],
}

impl<'a> Own<'a> {
    fn of(evaluation: &Evaluation, class: usize, odds: &'a [f64]) -> Self {
        let mut rows: Vec<usize> = (0..odds.len()).filter(|&row| evaluation.labels[row] == class).collect();
        rows.sort_by(|&a, &b| odds[b].total_cmp(&odds[a]));
        Self { rows, odds }
    }

    /// The k-th highest log-odds of the chosen rows, a row of weight w being there w times.
    fn threshold(&self, recall: f64, weights: &[f64], is_chosen: impl Fn(usize) -> bool) -> Result<f64, Error> {
        let chosen = || self.rows.iter().copied().filter(|&row| is_chosen(row));
        let count: f64 = chosen().map(|row| weights[row]).sum();
        let rank = rounded_up((count + 1.0) * recall).max(1.0);
        let mut passed = 0.0;
        let found = chosen().find(|&row| {
            passed += weights[row];
            passed >= rank
        });
        let rows = count as usize;
        found.map(|row| self.odds[row]).ok_or(Error::FewToFind { rows, least: least_to_find(recall) })
    }
}

/// The fewest rows of a class by which a threshold for this recall, between 0 and 1, can be chosen: `n` with `(n + 1) · recall ≤ n`.
pub fn least_to_find(recall: f64) -> usize {
    rounded_up(recall / (1.0 - recall)).max(1.0) as usize
}

/// The next whole number, but for what decimal fractions are off in binary.
fn rounded_up(value: f64) -> f64 {
    (value - 1e-9).ceil()
}

/// Specificity and precision; none of no rows.
fn rates(
    evaluation: &Evaluation,
    class: usize,
    weights: &[f64],
    is_called: impl Fn(usize) -> bool,
) -> [Option<f64>; 2] {
    // Weights by whether a row is of the class, and whether it is called so.
    let mut sums = [[0.0; 2]; 2];
    for (row, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        sums[usize::from(evaluation.labels[row] == class)][usize::from(is_called(row))] += weight;
    }
    let [[left, alarms], [_, found]] = sums;
    let share = |part: f64, rest: f64| (part + rest > 0.0).then(|| part / (part + rest));
    [share(left, alarms), share(found, alarms)]
}

/// The receiver operating characteristic of one of two classes, from `(0, 0)` to `(1, 1)`: for every probability from which it could
/// be called the share of the other class's scored rows called so and the share of its own, where the direction changes.
///
/// # Errors
/// [`Error::TwoClasses`] for an evaluation of more than two, [`Error::NoRowOfClass`] where no row of one of them was scored.
///
/// # Panics
/// If `class` is neither 0 nor 1.
pub fn roc(evaluation: &Evaluation, class: usize) -> Result<Vec<(f64, f64)>, Error> {
    assert!(class < 2, "one of two classes");
    let odds = odds_of(evaluation, class)?;
    let all = evaluation.labels.len();
    let own = evaluation.labels.iter().filter(|&&label| label == class).count();
    if own == 0 || own == all {
        return Err(Error::NoRowOfClass { class: if own == 0 { class } else { 1 - class } });
    }
    let mut rows: Vec<(f64, bool)> = (0..all).map(|row| (odds[row], evaluation.labels[row] == class)).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut corners = vec![(0usize, 0usize)];
    for equals in rows.chunk_by(|a, b| a.0 == b.0) {
        let (others, owns) = corners[corners.len() - 1];
        let found = equals.iter().filter(|(_, is_own)| *is_own).count();
        let next = (others + equals.len() - found, owns + found);
        let last = corners.len() - 1;
        if last > 0 && is_straight(corners[last - 1], corners[last], next) {
            corners[last] = next;
        } else {
            corners.push(next);
        }
    }
    let share = |(others, owns): (usize, usize)| (others as f64 / (all - own) as f64, owns as f64 / own as f64);
    Ok(corners.into_iter().map(share).collect())
}

/// Whether the way from `a` to `c` by `b` has no bend.
fn is_straight(a: (usize, usize), b: (usize, usize), c: (usize, usize)) -> bool {
    let step = |from: (usize, usize), to: (usize, usize)| ((to.0 - from.0) as u128, (to.1 - from.1) as u128);
    let (first, second) = (step(a, b), step(b, c));
    first.0 * second.1 == first.1 * second.0
}

/// Log-odds of one of two classes `[scored]`.
fn odds_of(evaluation: &Evaluation, class: usize) -> Result<Vec<f64>, Error> {
    match &evaluation.log_odds {
        Some(odds) if class == 1 => Ok(odds.clone()),
        Some(odds) => Ok(odds.iter().map(|odds| -odds).collect()),
        None => Err(Error::TwoClasses { classes: evaluation.classes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Choice, Score, TestFold, Validation};

    /// Scored rows with their class, their fold and the log-odds of class 1.
    fn evaluation(rows: &[(usize, usize, f64)]) -> Evaluation {
        let choice = Choice {
            index: 0,
            c: 1.0,
            at_edge: false,
            inner: vec![Validation { c: 1.0, score: Score::default(), log_loss: 0.0 }],
        };
        Evaluation {
            classes: 2,
            scored_rows: (0..rows.len()).collect(),
            labels: rows.iter().map(|row| row.0).collect(),
            fold_of: rows.iter().map(|row| row.1).collect(),
            predicted: rows.iter().map(|row| usize::from(row.2 > 0.0)).collect(),
            true_probability: vec![0.5; rows.len()],
            predicted_probability: vec![0.5; rows.len()],
            log_odds: Some(rows.iter().map(|row| row.2).collect()),
            log_loss: 0.0,
            top_five: None,
            auroc: None,
            average_precision: None,
            folds: vec![TestFold { choice, test: Score::default() }; 2],
            fits: 0,
            not_converged: Vec::new(),
        }
    }

    fn units(evaluation: &Evaluation) -> Vec<usize> {
        (0..evaluation.labels.len()).collect()
    }

    fn beside(evaluation: &Evaluation, class: usize, recall: f64) -> Result<Operated, Error> {
        let units = units(evaluation);
        operate_beside((evaluation, evaluation), (class, recall), ((&units, &units), 0))
    }

    #[test]
    fn the_threshold_is_a_rank_among_the_classs_own_rows() {
        // Beyond what a probability tells from 0 and 1.
        let ones = [99.0, 80.0, 2.0, -900.0].map(|odds| (1, 0, odds));
        let zeros = [3.0, -1.0, -70.0].map(|odds| (0, 0, odds));
        let found = evaluation(&[&ones[..], &zeros].concat());
        let threshold = |class, recall| beside(&found, class, recall).map(|found| found.threshold);
        for (recall, expected) in [(0.1, 99.0), (0.2, 99.0), (0.4, 80.0), (0.41, 2.0), (0.8, -900.0)] {
            assert_eq!(threshold(1, recall), Ok(expected), "{recall}");
        }
        assert_eq!(threshold(0, 0.5), Ok(1.0));
        assert_eq!(threshold(1, 0.81), Err(Error::FewToFind { rows: 4, least: 5 }));
        assert_eq!(threshold(0, 0.95), Err(Error::FewToFind { rows: 3, least: 19 }));
        let many = Evaluation { classes: 3, log_odds: None, ..found };
        assert_eq!(beside(&many, 1, 0.5), Err(Error::TwoClasses { classes: 3 }));
    }

    #[test]
    fn a_class_is_called_from_its_threshold_on() {
        let found = evaluation(&[(1, 0, 9.0), (1, 0, 2.0), (0, 0, 2.0), (0, 0, 1.0)]);
        let operated = beside(&found, 1, 0.6).expect("two rows");
        assert_eq!((operated.threshold, operated.called), (2.0, vec![1, 1, 1, 0]));
        assert_eq!(beside(&found, 0, 0.6).expect("two rows").called, [1, 0, 0, 0]);
    }

    #[test]
    fn a_fold_is_called_by_the_threshold_of_the_others() {
        // In each fold the class's rows have one log-odds, and each fold is called by that of the other.
        let fold = |fold: usize, odds: f64| [(1, fold, odds), (1, fold, odds), (0, fold, 0.0)];
        let found = evaluation(&[fold(0, 2.0), fold(1, -1.0)].concat());
        let operated = operate_across(&found, (1, 0.5), (&units(&found), 0)).expect("two rows in each");
        assert_eq!((operated.called, operated.threshold), (vec![1, 1, 1, 0, 0, 0], -1.0));
    }

    #[test]
    fn intervals_know_that_another_sample_has_another_threshold() {
        // Of 40 rows of the class one in ten lies among the 400 of the other, which are spread evenly.
        let ones = (0..40).map(|i| (1, i % 2, if i % 10 == 0 { -f64::from(i as u32) } else { 50.0 }));
        let zeros = (0..400).map(|i| (0, i % 2, -f64::from(i as u32) / 10.0));
        let found = evaluation(&ones.chain(zeros).collect::<Vec<_>>());
        let operated = operate_across(&found, (1, 0.9), (&units(&found), 0)).expect("rows enough");
        let (low, high) = operated.specificity.expect("rows of the other class");
        let left = (0..440).filter(|&row| found.labels[row] == 0 && operated.called[row] == 0).count();
        let (fixed_low, fixed_high) = Score { correct: left, total: 400 }.interval();
        assert!(low < fixed_low && high > fixed_high && high - low > 3.0 * (fixed_high - fixed_low), "{low} {high}");
        assert_eq!(operated, operate_across(&found, (1, 0.9), (&units(&found), 0)).expect("the same"));
        // Where no row of a class is scored, nothing is said of it.
        let ones = evaluation(&[(1, 0, 1.0), (1, 1, 2.0)]);
        let units = (units(&found), units(&ones));
        let alone = operate_beside((&ones, &found), (1, 0.9), ((&units.0, &units.1), 0)).expect("rows enough");
        assert_eq!((alone.precision.is_some(), alone.specificity), (true, None));
    }

    #[test]
    fn the_curve_has_a_corner_where_its_direction_changes() {
        let found = evaluation(&[(1, 0, 0.9), (1, 0, 0.8), (0, 0, 0.7), (0, 0, 0.4), (1, 0, 0.4), (0, 0, 0.1)]);
        let thirds = |curve: Vec<(f64, f64)>| -> Vec<(f64, f64)> {
            curve.into_iter().map(|(x, y)| ((3.0 * x).round(), (3.0 * y).round())).collect()
        };
        let curve = roc(&found, 1).map(thirds);
        assert_eq!(curve, Ok(vec![(0.0, 0.0), (0.0, 2.0), (1.0, 2.0), (2.0, 3.0), (3.0, 3.0)]));
        let other = roc(&found, 0).map(thirds);
        assert_eq!(other, Ok(vec![(0.0, 0.0), (0.0, 1.0), (1.0, 2.0), (1.0, 3.0), (3.0, 3.0)]));
        assert_eq!(roc(&evaluation(&[(1, 0, 0.9)]), 1), Err(Error::NoRowOfClass { class: 0 }));
    }
}

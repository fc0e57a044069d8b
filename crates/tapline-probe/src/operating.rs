//! Operating points: from which probability on one of two classes is called, so that a wanted share of its rows is found.
//!
//! The more probable of two classes is called where both errors cost alike. Where to miss one costs more (a defect, a disease),
//! it is called from a lower probability on, at the price of more false alarms.

use crate::{Error, Evaluation};

/// The probability from which `class` is called, so that of new rows of it the share `recall`, between 0 and 1, is found.
///
/// Of the class's `n` scored rows the k-th highest probability of it, `k = ⌈(n + 1) · recall⌉`: a new row of the class,
/// exchangeable with these, has at least as high a one with a chance of at least `recall` (the split conformal bound; Lei,
/// G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for regression", JASA 2018). Rows of one group
/// count one by one; where groups differ, less may be found in a new one.
///
/// # Errors
/// [`Error::TwoClasses`] for an evaluation of more than two, [`Error::FewToFind`] where `n` is too small to promise it.
pub fn recall_threshold(evaluation: &Evaluation, class: usize, recall: f64) -> Result<f64, Error> {
    threshold(evaluation, (class, recall), |_| true)
}

/// The class called for each scored row `[scored]`, that of each fold by the [threshold](recall_threshold) of all other folds' rows:
/// no row has a say in its own.
///
/// # Errors
/// As [`recall_threshold`], of any fold.
pub fn called_across(evaluation: &Evaluation, class: usize, recall: f64) -> Result<Vec<usize>, Error> {
    let thresholds = (0..evaluation.folds.len())
        .map(|fold| threshold(evaluation, (class, recall), |row| evaluation.fold_of[row] != fold))
        .collect::<Result<Vec<f64>, Error>>()?;
    Ok(called_by(evaluation, class, |row| thresholds[evaluation.fold_of[row]]))
}

/// The class called for each scored row `[scored]`: `class` from the probability `threshold` on, else the other.
///
/// # Panics
/// If the evaluation is of more than two classes.
pub fn called(evaluation: &Evaluation, class: usize, threshold: f64) -> Vec<usize> {
    assert_eq!(evaluation.classes, 2, "two classes");
    called_by(evaluation, class, |_| threshold)
}

/// The receiver operating characteristic of one of two classes, from `(0, 0)` to `(1, 1)`: for every probability from which it could
/// be called the share of the other class's scored rows called so and the share of its own, where the direction changes.
///
/// # Errors
/// [`Error::TwoClasses`] for an evaluation of more than two, [`Error::NoRowOfClass`] where no row of one of them was scored.
pub fn roc(evaluation: &Evaluation, class: usize) -> Result<Vec<(f64, f64)>, Error> {
    if evaluation.classes != 2 {
        return Err(Error::TwoClasses { classes: evaluation.classes });
    }
    let all = evaluation.labels.len();
    let own = evaluation.labels.iter().filter(|&&label| label == class).count();
    if own == 0 || own == all {
        return Err(Error::NoRowOfClass { class: if own == 0 { class } else { 1 - class } });
    }
    let mut rows: Vec<(f64, bool)> =
        (0..all).map(|row| (probability(evaluation, class, row), evaluation.labels[row] == class)).collect();
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

fn called_by(evaluation: &Evaluation, class: usize, threshold: impl Fn(usize) -> f64) -> Vec<usize> {
    let is_called = |row: usize| probability(evaluation, class, row) >= threshold(row);
    (0..evaluation.labels.len()).map(|row| if is_called(row) { class } else { 1 - class }).collect()
}

/// As [`recall_threshold`], by some of the scored rows.
fn threshold(
    evaluation: &Evaluation,
    (class, recall): (usize, f64),
    is_chosen: impl Fn(usize) -> bool,
) -> Result<f64, Error> {
    if evaluation.classes != 2 {
        return Err(Error::TwoClasses { classes: evaluation.classes });
    }
    let rows = (0..evaluation.labels.len()).filter(|&row| evaluation.labels[row] == class && is_chosen(row));
    let mut own: Vec<f64> = rows.map(|row| probability(evaluation, class, row)).collect();
    let rank = rounded_up((own.len() + 1) as f64 * recall).max(1);
    if rank > own.len() {
        // The fewest rows n with (n + 1) · recall ≤ n.
        return Err(Error::FewToFind { rows: own.len(), least: rounded_up(recall / (1.0 - recall)).max(1) });
    }
    own.sort_by(|a, b| b.total_cmp(a));
    Ok(own[rank - 1])
}

/// The next whole number, but for what decimal fractions are off in binary.
fn rounded_up(value: f64) -> usize {
    (value - 1e-9).ceil() as usize
}

/// Probability of one of two classes, of a scored row.
fn probability(evaluation: &Evaluation, class: usize, row: usize) -> f64 {
    let own = evaluation.true_probability[row];
    if evaluation.labels[row] == class { own } else { 1.0 - own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Choice, Score, TestFold, Validation};

    /// Scored rows with their class, their fold and the probability of class 1.
    fn evaluation(rows: &[(usize, usize, f64)]) -> Evaluation {
        let own = |&(label, _, one): &(usize, usize, f64)| if label == 1 { one } else { 1.0 - one };
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
            predicted: rows.iter().map(|row| usize::from(row.2 > 0.5)).collect(),
            true_probability: rows.iter().map(own).collect(),
            predicted_probability: rows.iter().map(|row| row.2.max(1.0 - row.2)).collect(),
            log_loss: 0.0,
            top_five: None,
            auroc: None,
            average_precision: None,
            folds: vec![TestFold { choice, test: Score::default() }; 2],
            fits: 0,
            not_converged: Vec::new(),
        }
    }

    #[test]
    fn the_threshold_is_a_rank_among_the_classs_own_rows() {
        let ones = [0.9, 0.8, 0.7, 0.2].map(|one| (1, 0, one));
        let zeros = [0.95, 0.1, 0.3].map(|one| (0, 0, one));
        let found = evaluation(&[&ones[..], &zeros].concat());
        for (recall, expected) in [(0.1, 0.9), (0.2, 0.9), (0.4, 0.8), (0.41, 0.7), (0.8, 0.2)] {
            assert_eq!(recall_threshold(&found, 1, recall), Ok(expected), "{recall}");
        }
        let threshold = recall_threshold(&found, 0, 0.5).expect("two of three");
        assert!((threshold - 0.7).abs() < 1e-12, "{threshold}");
        assert_eq!(recall_threshold(&found, 1, 0.81), Err(Error::FewToFind { rows: 4, least: 5 }));
        assert_eq!(recall_threshold(&found, 0, 0.95), Err(Error::FewToFind { rows: 3, least: 19 }));
        let many = Evaluation { classes: 3, ..found };
        assert_eq!(recall_threshold(&many, 1, 0.5), Err(Error::TwoClasses { classes: 3 }));
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

    #[test]
    fn a_class_is_called_from_its_threshold_on() {
        let found = evaluation(&[(1, 0, 0.9), (1, 0, 0.2), (0, 0, 0.5), (0, 0, 0.1)]);
        assert_eq!(called(&found, 1, 0.2), [1, 1, 1, 0]);
        assert_eq!(called(&found, 0, 0.5), [1, 0, 0, 0]);
    }

    #[test]
    fn a_fold_is_called_by_the_threshold_of_the_others() {
        // In each fold the class's rows have one probability, and each fold is called by that of the other.
        let fold = |fold: usize, one: f64| [(1, fold, one), (1, fold, one), (0, fold, 0.5)];
        let found = evaluation(&[fold(0, 0.8), fold(1, 0.4)].concat());
        assert_eq!(called_across(&found, 1, 0.5), Ok(vec![1, 1, 1, 0, 0, 0]));
    }
}

//! Whole groups dealt into folds: rows of one patient, part or camera never stand on both sides of a fold.

use std::collections::{BTreeMap, HashSet};

use crate::Error;
use crate::random::{random_numbers, shuffle};

/// Fold of each row `[rows]`, from 0 to `folds − 1`: all rows of a group in one fold, the classes as even as groups allow.
///
/// The groups, shuffled by the seed, are dealt from the largest to the smallest, each to the fold `f` with the smallest
/// `Σ n[f, c] · g[c] / n[c]²` over the classes `c`, where `n[f, c]` counts the fold's rows so far, `g[c]` the group's and
/// `n[c]` all: the fold that keeps the sum over classes of the variance of the folds' shares smallest. Of equals, the fold
/// with fewest rows, then the first. So no fold stays empty. (The greedy deal of scikit-learn's `StratifiedGroupKFold`,
/// which averages standard deviations and starts with the groups whose classes are most uneven.)
///
/// # Errors
/// For labels and groups of different length, fewer than 3 folds, rows of one class only, and fewer groups than folds. Whether every training set has every class is for [`check_spread`] to say.
pub fn grouped_folds(labels: &[usize], groups: &[usize], folds: usize, seed: u64) -> Result<Vec<usize>, Error> {
    check(labels, groups, folds)?;
    let classes = rows_of_groups(labels);
    let mut class_of = vec![0; labels.len()];
    classes.iter().enumerate().for_each(|(class, rows)| rows.iter().for_each(|&row| class_of[row] = class));
    let counts = |rows: &[usize]| {
        let mut counts = vec![0; classes.len()];
        rows.iter().for_each(|&row| counts[class_of[row]] += 1);
        counts
    };
    Ok(deal_evenly(&rows_of_groups(groups), &counts, folds, seed))
}

/// Fold of each row `[rows]`: the groups `[groups][rows]` of them dealt whole, as [`grouped_folds`] says. `counts` gives the rows of
/// each kind among some, kinds that need not exclude each other (the sides of several labels, say).
pub(crate) fn deal_evenly(
    rows_of: &[Vec<usize>],
    counts: &dyn Fn(&[usize]) -> Vec<usize>,
    folds: usize,
    seed: u64,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows_of.len()).collect();
    shuffle(&mut order, &mut random_numbers(seed));
    order.sort_by_key(|&group| std::cmp::Reverse(rows_of[group].len()));
    let all: Vec<usize> = (0..rows_of.iter().map(Vec::len).sum()).collect();
    let totals = counts(&all);
    let mut filled = vec![Filled { kinds: vec![0; totals.len()], rows: 0 }; folds];
    let mut fold_of = vec![0; all.len()];
    for group in order {
        let added = counts(&rows_of[group]);
        let fold = most_even(&filled, &added, &totals);
        filled[fold].rows += rows_of[group].len();
        filled[fold].kinds.iter_mut().zip(&added).for_each(|(sum, added)| *sum += added);
        rows_of[group].iter().for_each(|&row| fold_of[row] = fold);
    }
    fold_of
}

/// That every class has rows in at least `least` folds, so that leaving out fewer still leaves some to learn from.
///
/// # Errors
/// Names the first class that has not.
pub fn check_spread(labels: &[usize], fold_of: &[usize], least: usize) -> Result<(), Error> {
    for rows in rows_of_groups(labels) {
        let inside: HashSet<usize> = rows.iter().map(|&row| fold_of[row]).collect();
        if inside.len() < least {
            return Err(Error::ClassInFewFolds { class: labels[rows[0]], found: inside.len(), least });
        }
    }
    Ok(())
}

/// What a fold holds so far.
#[derive(Clone)]
struct Filled {
    kinds: Vec<usize>,
    rows: usize,
}

fn check(labels: &[usize], groups: &[usize], folds: usize) -> Result<(), Error> {
    if groups.len() != labels.len() {
        return Err(Error::GroupCount { rows: labels.len(), groups: groups.len() });
    }
    if folds < 3 {
        return Err(Error::FewFolds { folds });
    }
    let found = rows_of_groups(groups).len();
    if found < folds {
        return Err(Error::FewGroups { groups: found, folds });
    }
    match labels.iter().all(|&class| class == labels[0]) {
        true => Err(Error::OneClass { class: labels[0] }),
        false => Ok(()),
    }
}

/// The rows of each group that has any, in the order of the groups' numbers.
pub(crate) fn rows_of_groups(groups: &[usize]) -> Vec<Vec<usize>> {
    let mut found = BTreeMap::<usize, Vec<usize>>::new();
    groups.iter().enumerate().for_each(|(row, &group)| found.entry(group).or_default().push(row));
    found.into_values().collect()
}

fn most_even(filled: &[Filled], added: &[usize], totals: &[usize]) -> usize {
    let growth = |fold: &Filled| -> f64 {
        let term = |kind: usize| (fold.kinds[kind] * added[kind]) as f64 / (totals[kind] as f64).powi(2);
        (0..added.len()).filter(|&kind| added[kind] > 0).map(term).sum()
    };
    let better = |a: usize, b: usize| {
        let by_growth = growth(&filled[a]).total_cmp(&growth(&filled[b]));
        by_growth.then(filled[a].rows.cmp(&filled[b].rows)).is_lt()
    };
    (1..filled.len()).fold(0, |best, fold| if better(fold, best) { fold } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::below;

    fn check_error(labels: &[usize], groups: &[usize], folds: usize, expected: &str) {
        assert_eq!(grouped_folds(labels, groups, folds, 0).unwrap_err().to_string(), expected);
    }

    #[test]
    fn no_group_is_in_two_folds_and_no_fold_is_empty() {
        for seed in 0..50 {
            let mut random = random_numbers(seed);
            let folds = 3 + seed as usize % 3;
            let groups: Vec<usize> =
                (0..60).map(|row| if row < 8 { row } else { below(8, &mut random) as usize }).collect();
            let labels: Vec<usize> = (0..60).map(|row| row % 3).collect();
            let fold_of = grouped_folds(&labels, &groups, folds, seed).unwrap();
            for (row, other) in (0..60).flat_map(|row| (0..row).map(move |other| (row, other))) {
                assert!(groups[row] != groups[other] || fold_of[row] == fold_of[other]);
            }
            assert!((0..folds).all(|fold| fold_of.contains(&fold)), "{fold_of:?}");
        }
    }

    #[test]
    fn groups_of_one_row_are_dealt_as_evenly_as_rows() {
        let labels: Vec<usize> = (0..40).map(|row| usize::from(row % 4 == 0)).collect();
        let groups: Vec<usize> = (0..40).collect();
        let fold_of = grouped_folds(&labels, &groups, 5, 1).unwrap();
        for fold in 0..5 {
            let inside = |class| (0..40).filter(|&row| fold_of[row] == fold && labels[row] == class).count();
            assert_eq!((inside(0), inside(1)), (6, 2));
        }
    }

    #[test]
    fn equal_groups_of_different_classes_spread_every_class() {
        // Twelve groups of five, four of each class: every fold of four gets one group of each.
        let groups: Vec<usize> = (0..60).map(|row| row / 5).collect();
        let labels: Vec<usize> = groups.iter().map(|group| group % 3).collect();
        let fold_of = grouped_folds(&labels, &groups, 4, 9).unwrap();
        for (fold, class) in (0..4).flat_map(|fold| (0..3).map(move |class| (fold, class))) {
            assert_eq!((0..60).filter(|&row| fold_of[row] == fold && labels[row] == class).count(), 5);
        }
    }

    #[test]
    fn the_seed_alone_decides_among_equal_groups() {
        let groups: Vec<usize> = (0..60).map(|row| row / 5).collect();
        let labels: Vec<usize> = (0..60).map(|row| row % 2).collect();
        let with = |seed| grouped_folds(&labels, &groups, 3, seed);
        assert_eq!(with(7), with(7));
        assert_ne!(with(7), with(8));
    }

    #[test]
    fn numbers_of_classes_may_be_of_any_size() {
        let groups: Vec<usize> = (0..60).map(|row| row / 5).collect();
        let labels: Vec<usize> = (0..60).map(|row| row % 2).collect();
        let large: Vec<usize> = labels.iter().map(|class| class * usize::MAX).collect();
        assert_eq!(grouped_folds(&large, &groups, 3, 7), grouped_folds(&labels, &groups, 3, 7));
        assert_eq!(check_spread(&large, &groups, 12), Ok(()));
    }

    #[test]
    fn fewer_groups_than_folds_are_refused() {
        check_error(&[0, 1, 0, 1], &[4, 4, 9, 9], 3, "2 groups cannot fill 3 folds: use more groups");
        let expected = "3 groups cannot fill 4 folds: use fewer folds (at least 3) or more groups";
        check_error(&[0, 1, 0, 1], &[4, 4, 9, 5], 4, expected);
    }

    #[test]
    fn rows_and_groups_must_pair_up() {
        check_error(&[0, 1, 0], &[1, 2], 3, "3 rows came with 2 groups: say of each row which group it belongs to");
    }

    #[test]
    fn a_class_in_too_few_folds_is_named() {
        let error = check_spread(&[0, 1, 0, 1, 0], &[0, 0, 1, 1, 2], 3).unwrap_err();
        let expected = "the groups with class 1 lie in 2 folds, and every training set has rows of it only from 3 on: \
                        use more groups with it or drop the class";
        assert_eq!(error.to_string(), expected);
        assert_eq!(check_spread(&[0, 1, 0, 1, 0], &[0, 0, 1, 1, 2], 2), Ok(()));
    }
}

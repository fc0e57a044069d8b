//! How sure an accuracy is where rows come in groups: the groups, not the rows, are the independent draws.

use rayon::prelude::*;

use crate::Score;
use crate::random::{below, random_numbers};

/// Resamples of the groups.
const RESAMPLES: usize = 2000;

/// 95 % interval `(low, high)` of the accuracy, from 0 to 1, were the groups independent draws.
///
/// As many groups as there are, drawn with replacement 2,000 times by `seed`; the 2.5th and 97.5th percentiles of the
/// accuracies over their rows (the percentile interval of Efron and Tibshirani, "An introduction to the bootstrap", 1993,
/// chapter 13; groups as in Field and Welsh, "Bootstrapping clustered data", 2007). `groups[i]` is the group of the row
/// that `right[i]` speaks of. One group says nothing of others: `(0, 1)`. Where all rows are right, or none is, all resamples are
/// the same: the interval is then Wilson's of that many groups.
///
/// # Panics
/// If `right` and `groups` differ in length.
pub fn grouped_interval(right: &[bool], groups: &[usize], seed: u64) -> (f64, f64) {
    let scores = scores_of_groups(right, groups);
    if scores.len() < 2 {
        return (0.0, 1.0);
    }
    if right.iter().all(|&row| row == right[0]) {
        return Score { correct: if right[0] { scores.len() } else { 0 }, total: scores.len() }.interval();
    }
    let mut random = random_numbers(seed);
    let mut accuracies: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..scores.len()).map(|_| &scores[below(scores.len() as u64, &mut random) as usize]);
            let sum = drawn.fold(Score::default(), |sum, score| Score {
                correct: sum.correct + score.correct,
                total: sum.total + score.total,
            });
            sum.accuracy()
        })
        .collect();
    accuracies.sort_by(f64::total_cmp);
    (percentile(&accuracies, 0.025), percentile(&accuracies, 0.975))
}

/// 95 % interval `(low, high)` of what `statistic` makes of weights `[rows]`, were the units that rows belong to independent draws.
///
/// As many units as there are, drawn with replacement 2,000 times by `seed`; a row's weight is the number of times its unit was
/// drawn. The interval lies between the 2.5th and 97.5th percentiles, as in [`grouped_interval`]; resamples of which the
/// statistic makes nothing are left out. None for one unit, which says nothing of others, and where nothing is left.
pub(crate) fn weighted_interval(
    units: &[usize],
    seed: u64,
    statistic: impl Fn(&[f64]) -> Option<f64> + Sync,
) -> Option<(f64, f64)> {
    weighted_intervals(units, seed, |weights| [statistic(weights)])[0]
}

/// The same of several statistics of the same resamples.
pub(crate) fn weighted_intervals<const N: usize>(
    units: &[usize],
    seed: u64,
    statistics: impl Fn(&[f64]) -> [Option<f64>; N] + Sync,
) -> [Option<(f64, f64)>; N] {
    let mut numbers: Vec<usize> = units.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() < 2 {
        return [None; N];
    }
    let unit_of: Vec<usize> =
        units.iter().map(|unit| numbers.binary_search(unit).expect("a unit of the list")).collect();
    let resample = |index: u64| {
        let mut random = random_numbers(seed);
        random.set_stream(index);
        let mut drawn = vec![0.0; numbers.len()];
        numbers.iter().for_each(|_| drawn[below(numbers.len() as u64, &mut random) as usize] += 1.0);
        statistics(&unit_of.iter().map(|&unit| drawn[unit]).collect::<Vec<f64>>())
    };
    let found: Vec<[Option<f64>; N]> = (0..RESAMPLES as u64).into_par_iter().map(resample).collect();
    std::array::from_fn(|index| {
        let mut found: Vec<f64> = found.iter().filter_map(|values| values[index]).collect();
        found.sort_by(f64::total_cmp);
        (!found.is_empty()).then(|| (percentile(&found, 0.025), percentile(&found, 0.975)))
    })
}

fn scores_of_groups(right: &[bool], groups: &[usize]) -> Vec<Score> {
    assert_eq!(right.len(), groups.len(), "one group for each row");
    let mut scores = std::collections::BTreeMap::<usize, Score>::new();
    for (&right, &group) in right.iter().zip(groups) {
        let score = scores.entry(group).or_default();
        score.correct += usize::from(right);
        score.total += 1;
    }
    scores.into_values().collect()
}

/// Linear between the two nearest of `sorted` (Hyndman and Fan, "Sample quantiles in statistical packages", 1996, type 7).
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (position - position.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_one_row_give_about_wilsons_interval() {
        let right: Vec<bool> = (0..1000).map(|row| row % 5 != 0).collect();
        let groups: Vec<usize> = (0..1000).collect();
        let (low, high) = grouped_interval(&right, &groups, 0);
        let (wilson_low, wilson_high) = Score { correct: 800, total: 1000 }.interval();
        assert!((low - wilson_low).abs() < 0.004 && (high - wilson_high).abs() < 0.004, "{low} {high}");
    }

    #[test]
    fn rows_that_stand_and_fall_together_widen_the_interval() {
        // Ten groups of a hundred rows, each all right or all wrong: as unsure as ten rows.
        let groups: Vec<usize> = (0..1000).map(|row| row / 100).collect();
        let right: Vec<bool> = groups.iter().map(|group| group % 5 != 0).collect();
        let (low, high) = grouped_interval(&right, &groups, 0);
        assert!((0.4..0.6).contains(&low) && high == 1.0, "{low} {high}");
        assert_eq!(grouped_interval(&right, &groups, 0), (low, high));
    }

    #[test]
    fn one_group_says_nothing_of_others() {
        assert_eq!(grouped_interval(&[true, true], &[3, 3], 0), (0.0, 1.0));
    }

    #[test]
    fn a_weighted_share_has_about_the_interval_of_its_counts() {
        let right: Vec<bool> = (0..1000).map(|row| row % 5 != 0).collect();
        let share = |weights: &[f64]| {
            let sum = |chosen: &dyn Fn(usize) -> bool| -> f64 {
                weights.iter().enumerate().filter(|(row, _)| chosen(*row)).map(|(_, weight)| weight).sum()
            };
            Some(sum(&|row| right[row]) / sum(&|_| true))
        };
        for units in [(0..1000).collect::<Vec<usize>>(), (0..1000).map(|row| 7 * (row / 100)).collect()] {
            let ((low, high), (a, b)) =
                (weighted_interval(&units, 0, share).unwrap(), grouped_interval(&right, &units, 0));
            assert!((low - a).abs() < 0.004 && (high - b).abs() < 0.004, "{low} {high} {a} {b}");
        }
        assert_eq!(weighted_interval(&[4; 1000], 0, share), None);
        assert_eq!(weighted_interval(&[0, 1], 0, |_| None), None);
    }

    #[test]
    fn percentiles_are_numpys() {
        // Reference: numpy.percentile([1, 2, 4, 8], [2.5, 97.5]).
        let check = |share, expected: f64| assert!((percentile(&[1.0, 2.0, 4.0, 8.0], share) - expected).abs() < 1e-12);
        check(0.025, 1.075);
        check(0.975, 7.7);
    }
}

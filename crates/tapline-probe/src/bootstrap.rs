//! How sure an accuracy is where rows come in groups: the groups, not the rows, are the independent draws.

use crate::Score;
use crate::random::{below, random_numbers};

/// Resamples of the groups.
const RESAMPLES: usize = 2000;

/// 95 % interval `(low, high)` of the accuracy, from 0 to 1, were the groups independent draws.
///
/// As many groups as there are, drawn with replacement 2,000 times by `seed`; the 2.5th and 97.5th percentiles of the
/// accuracies over their rows (the percentile interval of Efron and Tibshirani, "An introduction to the bootstrap", 1993,
/// chapter 13; groups as in Field and Welsh, "Bootstrapping clustered data", 2007). `groups[i]` is the group of the row
/// that `right[i]` speaks of. One group says nothing of others: `(0, 1)`. Where all rows are right, so are all resamples,
/// and the interval is `(1, 1)`, too narrow.
///
/// # Panics
/// If `right` and `groups` differ in length.
pub fn grouped_interval(right: &[bool], groups: &[usize], seed: u64) -> (f64, f64) {
    let scores = scores_of_groups(right, groups);
    if scores.len() < 2 {
        return (0.0, 1.0);
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
    fn percentiles_are_numpys() {
        // Reference: numpy.percentile([1, 2, 4, 8], [2.5, 97.5]).
        let check = |share, expected: f64| assert!((percentile(&[1.0, 2.0, 4.0, 8.0], share) - expected).abs() < 1e-12);
        check(0.025, 1.075);
        check(0.975, 7.7);
    }
}

//! Whether one tap is better than another on the same pictures: tests that use the pairing.
//!
//! Both take the two taps as given. Where they were picked for their scores among many, [`verdict`](crate::verdict()) allows
//! for that.

use ndarray::{Array2, ArrayView1, s};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::distribution::student_p;
use crate::units::{Resampling, Units};

/// How two taps did on one test fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldPair {
    /// Rows that both probes learned from.
    pub train: usize,
    /// Rows scored.
    pub test: usize,
    /// Of them, those the first tap got right.
    pub first: usize,
    /// Of them, those the second tap got right.
    pub second: usize,
}

/// A t test over folds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TTest {
    /// Mean over the folds of the accuracy of the first tap less that of the second, from −1 to 1.
    pub difference: f64,
    /// The statistic; infinite where all folds differ alike.
    pub t: f64,
    /// Degrees of freedom: folds less one.
    pub degrees: usize,
    /// Two-sided p.
    pub p: f64,
}

/// Corrected resampled t test of accuracies on the same folds.
///
/// `t = mean / √((1 / J + n_test / n_train) s²)` with J folds, the sample variance s² of their differences and `J − 1`
/// degrees of freedom (Nadeau and Bengio, "Inference for the generalization error", 2003, section 3.2): the training sets
/// of the folds overlap, and a plain t test would be too sure. Where folds differ in size, `n_test / n_train` is that of
/// their sums. Folds that differ by the same amount, not 0, give p = 0: with few pictures that happens by chance.
///
/// # Errors
/// For fewer than two folds, folds without rows and more right rows than rows.
pub fn corrected_t_test(folds: &[FoldPair]) -> Result<TTest, Error> {
    check_folds(folds)?;
    let count = folds.len() as f64;
    let differences: Vec<f64> =
        folds.iter().map(|fold| (fold.first as f64 - fold.second as f64) / fold.test as f64).collect();
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let sum = |size: fn(&FoldPair) -> usize| folds.iter().map(size).sum::<usize>() as f64;
    let error = ((1.0 / count + sum(|fold| fold.test) / sum(|fold| fold.train)) * variance).sqrt();
    // Rounding of differences that are equal.
    let t = if error <= 1e-14 { if mean == 0.0 { 0.0 } else { f64::INFINITY.copysign(mean) } } else { mean / error };
    Ok(TTest { difference: mean, t, degrees: folds.len() - 1, p: student_p(t, folds.len() - 1) })
}

fn check_folds(folds: &[FoldPair]) -> Result<(), Error> {
    if folds.len() < 2 {
        return Err(Error::FewFolds { folds: folds.len() });
    }
    for (fold, &FoldPair { train, test, first, second }) in folds.iter().enumerate() {
        if train == 0 || test == 0 {
            return Err(Error::EmptyFold { fold, train, test });
        }
        let right = first.max(second);
        if right > test {
            return Err(Error::TooManyRight { fold, right, test });
        }
    }
    Ok(())
}

/// A bootstrap of the difference between two accuracies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BootstrapTest {
    /// Accuracy of the first tap less that of the second, from −1 to 1.
    pub difference: f64,
    /// Lower end of its percentile interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided p.
    pub p: f64,
}

/// Paired bootstrap of the difference in accuracy of two taps over the same pictures `[pictures]`, right or wrong.
///
/// As many pictures as there are, or where `groups[i]` is the group of picture i as many groups, are drawn with replacement;
/// the interval holds the middle `1 − level` of the differences (the percentile interval of Efron and Tibshirani, "An
/// introduction to the bootstrap", 1993, chapter 13), and `p = min(1, 2 (1 + min(#{d ≤ 0}, #{d ≥ 0})) / (1 + B))` over the B
/// resamples (the interval turned into a test; the ones keep p from being 0: Davison and Hinkley, "Bootstrap methods and
/// their application", 1997, equation 4.11). A single unit says nothing: its p is 1 and its interval (−1, 1).
///
/// # Errors
/// For no picture, lists of different lengths, and a level or a number of resamples out of range.
pub fn paired_bootstrap(
    config: &Resampling,
    first: &[bool],
    second: &[bool],
    groups: Option<&[usize]>,
) -> Result<BootstrapTest, Error> {
    config.check()?;
    if first.len() != second.len() {
        let (found, expected) = (second.len(), first.len());
        return Err(Error::Length { what: "pictures of the second tap", found, of: "of the first", expected });
    }
    let mut right = Array2::from_elem((2, first.len()), false);
    right.slice_mut(s![0, ..]).assign(&ArrayView1::from(first));
    right.slice_mut(s![1, ..]).assign(&ArrayView1::from(second));
    let units = Units::new(right.view(), groups)?;
    let accuracies = units.resampled(config);
    let count = |right: &[bool]| right.iter().filter(|&&right| right).count() as f64;
    let difference = (count(first) - count(second)) / first.len() as f64;
    Ok(bootstrap_test(config, &units, difference, (accuracies.column(0), accuracies.column(1))))
}

/// The test made of resampled accuracies of both taps.
pub(crate) fn bootstrap_test(
    config: &Resampling,
    units: &Units,
    difference: f64,
    (first, second): (ArrayView1<'_, f64>, ArrayView1<'_, f64>),
) -> BootstrapTest {
    if units.right.nrows() < 2 {
        return BootstrapTest { difference, low: -1.0, high: 1.0, p: 1.0 };
    }
    let mut differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
    differences.sort_by(f64::total_cmp);
    let (low, high) = config.interval(&differences);
    let below = differences.iter().filter(|&&difference| difference <= 0.0).count();
    let above = differences.iter().filter(|&&difference| difference >= 0.0).count();
    let p = (2.0 * (1 + below.min(above)) as f64 / (1 + differences.len()) as f64).min(1.0);
    BootstrapTest { difference, low, high, p }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(counts: &[(usize, usize)]) -> Vec<FoldPair> {
        counts.iter().map(|&(first, second)| FoldPair { train: 80, test: 20, first, second }).collect()
    }

    fn check_error(folds: &[FoldPair], expected: &str) {
        assert_eq!(corrected_t_test(folds).unwrap_err().to_string(), expected);
    }

    #[test]
    fn the_correction_widens_a_t_test() {
        let found = corrected_t_test(&pairs(&[(18, 16), (17, 16), (19, 16), (16, 17), (18, 15)])).unwrap();
        // Differences 0.1, 0.05, 0.15, −0.05, 0.15: mean 0.08, variance 0.0070.
        assert!((found.difference - 0.08).abs() < 1e-15);
        assert!((found.t - 0.08 / (0.45f64 * 0.0070).sqrt()).abs() < 1e-12, "{found:?}");
        assert_eq!(found.degrees, 4);
    }

    #[test]
    fn folds_that_agree_are_sure_or_say_nothing() {
        assert_eq!(corrected_t_test(&pairs(&[(18, 18); 5])).unwrap().p, 1.0);
        let sure = corrected_t_test(&pairs(&[(18, 15); 5])).unwrap();
        assert!(sure.t == f64::INFINITY && sure.p < 1e-12);
    }

    #[test]
    fn folds_that_cannot_be_tested_are_refused() {
        let few = "a t test over folds needs at least 2 of them, found 1: score by cross-validation";
        check_error(&pairs(&[(1, 1)]), few);
        let fold = FoldPair { train: 0, test: 20, first: 3, second: 4 };
        check_error(&[fold; 2], "fold 0 has 0 rows to learn from and 20 to score: it needs at least one of each");
        check_error(&pairs(&[(1, 1), (21, 3)]), "fold 1 has 21 right rows out of 20: count each scored row once");
    }

    #[test]
    fn equal_taps_have_no_difference() {
        let right: Vec<bool> = (0..50).map(|picture| picture % 3 == 0).collect();
        let found = paired_bootstrap(&Resampling::default(), &right, &right, None).unwrap();
        assert_eq!(found, BootstrapTest { difference: 0.0, low: 0.0, high: 0.0, p: 1.0 });
    }

    #[test]
    fn groups_that_stand_and_fall_together_are_less_sure() {
        let first: Vec<bool> = (0..200).map(|picture| picture < 160).collect();
        let second: Vec<bool> = (0..200).map(|picture| picture < 120).collect();
        let groups: Vec<usize> = (0..200).map(|picture| picture / 40).collect();
        let config = Resampling::default();
        let alone = paired_bootstrap(&config, &first, &second, None).unwrap();
        let grouped = paired_bootstrap(&config, &first, &second, Some(&groups)).unwrap();
        assert!(alone.p < 0.001 && grouped.p > 0.2, "{alone:?} {grouped:?}");
        assert_eq!(grouped, paired_bootstrap(&config, &first, &second, Some(&groups)).unwrap());
        let one = paired_bootstrap(&config, &first, &second, Some(&[0; 200])).unwrap();
        assert_eq!((one.p, one.low, one.high), (1.0, -1.0, 1.0));
    }

    #[test]
    fn lists_that_cannot_be_paired_are_refused() {
        let check = |first: &[bool], second: &[bool], groups: Option<&[usize]>, expected: &str| {
            let error = paired_bootstrap(&Resampling::default(), first, second, groups).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(&[], &[], None, "there are no pictures: give at least one");
        check(&[true], &[], None, "0 pictures of the second tap came with 1 of the first: give one for each");
        check(&[true], &[true], Some(&[0, 1]), "2 groups came with 1 pictures: give one for each");
    }
}

//! Which of many taps cannot be told from the best: a model confidence set by random signs.
//!
//! The leader was picked by the very pictures it is then tested on, so tests of the others against it are too sure, even
//! when Holm's adjustment allows for their number: `tests/verdict.rs` measures how often each way is wrong.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rand::RngCore;
use rayon::prelude::*;

use crate::Error;
use crate::random::stream;
use crate::units::{Resampling, Units};
use crate::verdict::{Guess, Outcomes, check_length};

/// Slack for sums that are equal but for rounding.
const SLACK: f64 = 1e-9;

/// p of each tap `[taps]`: those of level α or more are the taps not significantly worse than the best.
///
/// The model confidence set of Hansen, Lunde and Nason ("The model confidence set", Econometrica 2011) with their range
/// statistic: among the taps left, `T = max |t_ij|` with `t_ij = Σ_u d_u / √(k Σ_u d_u²)` and `d_u` the difference of taps i
/// and j in unit u, a picture or a group; the p of the hypothesis that all taps left are equally good is the share of `1 + B`
/// draws whose maximum reaches T; then the worse tap of the largest pair goes, with the highest p so far. The last has p = 1.
///
/// The draws give each unit a random sign, the same for all pairs, instead of Hansen's block bootstrap (a wild bootstrap with
/// the hypothesis imposed; for groups: Cameron, Gelbach and Miller, "Bootstrap-based improvements for inference with
/// clustered errors", 2008). So the correlation of the taps is kept, and with `k = 1` the test of two taps without groups is
/// the exact sign test (up to the number of draws), which holds its level for a handful of pictures, too.
///
/// `k = 1 + n / 2 n_train` (1.625 for five folds, 2 for shuffles that score half), 1 where there is one part. Signs take the probes as they
/// are, but folds learn from each other's pictures, so the differences of two folds are correlated. Nadeau and Bengio's
/// correction is `1 + n / n_train` in these terms, and too much; half of it was chosen by measurement. With five folds of real
/// probes on two equal taps, 300 to 600 rows and 12 to 400 columns, the difference varied 1.2 to 1.65 times as much as
/// pictures alone would have it where the probes were below 65 % of two classes, and 1.0 to 1.2 times above 70 %. Ignoring that
/// (k = 1) told equal taps apart in up to 12 % of the cases at a level of 5 %, Nadeau and Bengio's correction in 0 to 2 %,
/// `k = 1.5` in 1 to 5 %. `tests/verdict.rs` measures it.
///
/// Where `guess` is given, no p is below that of the guess being as good as the best tap ([`behind_best_p`]): taps that
/// learned nothing are not told apart, whatever their folds do to each other (a gatekeeper: Westfall and Krishen, "Optimally
/// weighted, fixed sequence and gatekeeper multiple testing procedures", 2001).
///
/// # Errors
/// For no taps or pictures, folds, groups or guesses of another number, and a level or a number of resamples out of range.
pub fn best_set_p(config: &Resampling, outcomes: &Outcomes<'_>) -> Result<Vec<f64>, Error> {
    config.check()?;
    let units = Units::new(outcomes.right, outcomes.groups)?;
    gated(config, outcomes, &units, guess_p(config, outcomes)?)
}

/// [`best_set_p`] of these units, none of which is below that of the guess.
pub(crate) fn gated(
    config: &Resampling,
    outcomes: &Outcomes<'_>,
    units: &Units,
    guess_p: Option<f64>,
) -> Result<Vec<f64>, Error> {
    let p = Signed::new(units.right.view(), config).set_p(inflation(outcomes)?);
    Ok(p.into_iter().map(|p| p.max(guess_p.unwrap_or(0.0))).collect())
}

/// p of the guess being as good as the best tap, in the pictures' weights; none without a guess.
pub(crate) fn guess_p(config: &Resampling, outcomes: &Outcomes<'_>) -> Result<Option<f64>, Error> {
    let Some(Guess { right: guess, weights }) = outcomes.guess else { return Ok(None) };
    let (taps, pictures) = outcomes.right.dim();
    check_length("guesses", guess.len(), "pictures", pictures)?;
    weights.map_or(Ok(()), |weights| check_length("weights", weights.len(), "pictures", pictures))?;
    let mut right = outcomes.right.to_owned();
    right.push_row(ArrayView1::from(guess)).expect("a guess for each picture");
    let units = Units::weighted(right.view(), outcomes.groups, weights)?;
    Ok(Some(Signed::new(units.right.view(), config).behind_p(taps, inflation(outcomes)?)))
}

/// p of a tap named beforehand being as good as the best of the others: below level α it is significantly behind.
///
/// For a question that the pictures did not raise, such as whether the top layer falls behind some inner one: fewer pairs
/// than [`best_set_p`] looks at, so it finds more. `guess` is not looked at. One-sided: the share of `1 + B` draws of random signs whose
/// `max_i t_i,tap` reaches the one found (the range statistic's one-sided relative; Hsu, "Multiple comparisons", 1996,
/// section 4.1, and Romano and Wolf, "Stepwise multiple testing as formalized data snooping", 2005, for resampled maxima).
///
/// # Errors
/// As [`best_set_p`], and for a tap that is none.
pub fn behind_best_p(config: &Resampling, outcomes: &Outcomes<'_>, tap: usize) -> Result<f64, Error> {
    config.check()?;
    let units = Units::new(outcomes.right, outcomes.groups)?;
    if tap >= units.right.ncols() {
        return Err(Error::NoSuchTap { tap, taps: units.right.ncols() });
    }
    let inflation = inflation(outcomes)?;
    Ok(Signed::new(units.right.view(), config).behind_p(tap, inflation))
}

/// How much more a difference varies than its pictures tell: `1 + n / 2 n_train`, 1 where there is one part.
fn inflation(outcomes: &Outcomes<'_>) -> Result<f64, Error> {
    check_parts(outcomes)?;
    let parts = outcomes.fold_of.iter().collect::<std::collections::BTreeSet<_>>().len() as f64;
    let tested = outcomes.test_share.unwrap_or(1.0 / parts);
    Ok(if parts < 2.0 { 1.0 } else { 1.0 + 0.5 / (1.0 - tested) })
}

/// That each picture has a part, and parts leave something to learn from.
pub(crate) fn check_parts(outcomes: &Outcomes<'_>) -> Result<(), Error> {
    check_length("folds", outcomes.fold_of.len(), "pictures", outcomes.right.ncols())?;
    match outcomes.test_share {
        Some(value) if !(value > 0.0 && value < 1.0) => {
            Err(Error::OutOfRange { what: "test share", index: 0, value, low: 0.0, high: 1.0 })
        }
        _ => Ok(()),
    }
}

/// Totals of right pictures, and what they may be with random signs.
struct Signed {
    /// Right pictures of each tap `[taps]`.
    totals: Vec<f64>,
    /// `√Σ d²` of each pair of taps `[taps, taps]`.
    lengths: Array2<f64>,
    /// Totals with a random sign for each unit `[draws × taps]`, up to a number common to all taps.
    drawn: Vec<f64>,
}

impl Signed {
    fn new(right: ArrayView2<'_, f64>, config: &Resampling) -> Self {
        let totals = right.sum_axis(Axis(0)).to_vec();
        Self { totals, lengths: lengths(right), drawn: signed_totals(right, config.resamples, config.seed) }
    }

    fn set_p(&self, inflation: f64) -> Vec<f64> {
        let mut left: Vec<usize> = (0..self.totals.len()).collect();
        let mut adjusted = vec![1.0; self.totals.len()];
        let mut highest: f64 = 0.0;
        while left.len() > 1 {
            let (largest, worse) = self.largest_pair(&left);
            if largest == 0.0 {
                break;
            }
            let bar = largest / inflation.sqrt() - SLACK;
            highest = highest.max(self.share(|drawn| self.reaches(&left, drawn, bar)));
            adjusted[worse] = highest;
            left.retain(|&tap| tap != worse);
        }
        adjusted
    }

    fn behind_p(&self, tap: usize, inflation: f64) -> f64 {
        let largest = |totals: &[f64]| {
            let ahead = |i: usize| self.statistic(totals[i] - totals[tap], i, tap);
            (0..totals.len()).map(ahead).fold(0.0, f64::max)
        };
        let bar = largest(&self.totals) / inflation.sqrt() - SLACK;
        self.share(|drawn| largest(drawn) >= bar)
    }

    /// Share of the draws for which something holds, what was found counted among them.
    fn share(&self, holds: impl Fn(&[f64]) -> bool + Sync) -> f64 {
        let draws = self.drawn.len() / self.totals.len();
        let held = self.drawn.par_chunks(self.totals.len()).filter(|drawn| holds(drawn)).count();
        (1 + held) as f64 / (1 + draws) as f64
    }

    /// A difference of two taps over its length; 0 where they never differ.
    fn statistic(&self, difference: f64, i: usize, j: usize) -> f64 {
        let length = self.lengths[[i, j]];
        if length > 0.0 { difference / length } else { 0.0 }
    }

    /// The largest statistic among the taps left, and the worse tap of that pair: of equals the deepest.
    fn largest_pair(&self, left: &[usize]) -> (f64, usize) {
        let mut largest = (0.0, left[0]);
        for &i in left {
            for &j in left {
                let ahead = self.statistic(self.totals[j] - self.totals[i], i, j);
                if ahead > 0.0 && ahead >= largest.0 {
                    largest = (ahead, i);
                }
            }
        }
        largest
    }

    fn reaches(&self, left: &[usize], totals: &[f64], bar: f64) -> bool {
        let pair = |i: usize, j: usize| self.statistic(totals[i] - totals[j], i, j).abs() >= bar;
        left.iter().enumerate().any(|(position, &i)| left[..position].iter().any(|&j| pair(i, j)))
    }
}

/// `√Σ d²` of each pair of taps `[taps, taps]`.
fn lengths(right: ArrayView2<'_, f64>) -> Array2<f64> {
    let products = right.t().dot(&right);
    Array2::from_shape_fn(products.dim(), |(i, j)| {
        (products[[i, i]] + products[[j, j]] - 2.0 * products[[i, j]]).max(0.0).sqrt()
    })
}

/// Totals of each tap `[draws, taps]` with a random sign for each unit, up to a number common to all taps.
fn signed_totals(right: ArrayView2<'_, f64>, draws: usize, seed: u64) -> Vec<f64> {
    // A unit in which all taps do alike changes no difference.
    let telling: Vec<Vec<f64>> = right
        .outer_iter()
        .filter(|unit| unit.iter().any(|count| *count != unit[0]))
        .map(|unit| unit.to_vec())
        .collect();
    let mut totals = vec![0.0; draws * right.ncols()];
    totals.par_chunks_mut(right.ncols()).enumerate().for_each(|(draw, total)| {
        let mut random = stream(seed, draw);
        for units in telling.chunks(64) {
            let bits = random.next_u64();
            for (bit, unit) in units.iter().enumerate() {
                let sign = if bits >> bit & 1 == 1 { 1.0 } else { -1.0 };
                total.iter_mut().zip(unit).for_each(|(total, count)| *total += sign * count);
            }
        }
    });
    totals
}

#[cfg(test)]
mod tests {
    use tapline_probe::sign_test;

    use super::*;

    /// Two taps: `a` pictures right at the first alone, `b` at the second alone, some at both.
    fn two_taps(a: usize, b: usize) -> Array2<f64> {
        Array2::from_shape_fn((a + b + 10, 2), |(unit, tap)| {
            let right = unit >= a + b || (unit < a) == (tap == 0);
            f64::from(u8::from(right))
        })
    }

    fn set_p(right: &Array2<f64>, resamples: usize) -> Vec<f64> {
        Signed::new(right.view(), &Resampling { resamples, seed: 3, level: 0.05 }).set_p(1.0)
    }

    #[test]
    fn a_tap_named_beforehand_is_tested_on_one_side() {
        let right = two_taps(8, 1);
        let signed = Signed::new(right.view(), &Resampling { resamples: 20_000, seed: 1, level: 0.05 });
        assert!((signed.behind_p(1, 1.0) - sign_test(8, 1) / 2.0).abs() < 0.003);
        assert_eq!(signed.behind_p(0, 1.0), 1.0);
    }

    #[test]
    fn folds_that_take_turns_make_it_less_sure() {
        let right = two_taps(60, 30).t().mapv(|count| count > 0.0);
        let turns: Vec<usize> = (0..right.ncols()).map(|picture| picture % 5).collect();
        let p =
            |fold_of: &[usize]| best_set_p(&Resampling::default(), &Outcomes::of(right.view(), fold_of)).unwrap()[1];
        assert!(p(&turns) > p(&vec![0; right.ncols()]), "{}", p(&turns));
        let outcomes = Outcomes::of(right.view(), &turns);
        assert_eq!(behind_best_p(&Resampling::default(), &outcomes, 2), Err(Error::NoSuchTap { tap: 2, taps: 2 }));
    }

    #[test]
    fn shuffles_that_score_more_make_it_less_sure() {
        let right = two_taps(60, 30).t().mapv(|count| count > 0.0);
        let parts: Vec<usize> = (0..right.ncols()).map(|picture| picture % 20).collect();
        let outcomes = |test_share| Outcomes { test_share, ..Outcomes::of(right.view(), &parts) };
        let found = |share| inflation(&outcomes(share)).unwrap();
        assert_eq!((found(Some(0.5)), found(Some(0.75))), (2.0, 3.0));
        assert!((found(None) - (1.0 + 10.0 / 19.0)).abs() < 1e-12);
        let p = |share| best_set_p(&Resampling::default(), &outcomes(Some(share))).unwrap()[1];
        assert!(p(0.1) < p(0.5) && p(0.5) < p(0.8), "{} {} {}", p(0.1), p(0.5), p(0.8));
        let error = inflation(&outcomes(Some(1.0))).unwrap_err().to_string();
        assert_eq!(error, "test share number 0 is 1: it must lie from 0 to 1");
    }

    #[test]
    fn a_guess_is_beaten_in_the_weights_of_the_pictures() {
        // Nine of ten pictures are of one class: a tap that knows half of both classes is no better than answering that class,
        // but twice as good where classes weigh the same.
        let large: Vec<bool> = (0..200).map(|picture| picture % 10 != 0).collect();
        let right = Array2::from_shape_fn((1, 200), |(_, picture)| !large[picture] || picture % 3 != 0);
        let weights: Vec<f64> = large.iter().map(|&large| if large { 1.0 / 180.0 } else { 1.0 / 20.0 }).collect();
        let p = |weights| {
            let guess = Some(Guess { right: &large, weights });
            guess_p(&Resampling::default(), &Outcomes { guess, ..Outcomes::of(right.view(), &[0; 200]) })
        };
        assert!(p(None).unwrap() == Some(1.0) && p(Some(&weights)).unwrap() < Some(0.01), "{:?}", p(Some(&weights)));
        let error = p(Some(&[1.0])).unwrap_err().to_string();
        assert_eq!(error, "1 weights came with 200 pictures: give one for each");
    }

    #[test]
    fn taps_that_learned_nothing_are_not_told_apart() {
        let right = two_taps(60, 20).t().mapv(|count| count > 0.0);
        let fold_of = vec![0; right.ncols()];
        let p = |guess: Option<&[bool]>| {
            let guess = guess.map(|right| Guess { right, weights: None });
            best_set_p(&Resampling::default(), &Outcomes { guess, ..Outcomes::of(right.view(), &fold_of) })
        };
        let guess = |share: usize| (0..right.ncols()).map(|picture| picture % 10 < share).collect::<Vec<bool>>();
        assert!(p(None).unwrap()[1] < 0.01 && p(Some(&guess(3))).unwrap()[1] < 0.01);
        assert!(p(Some(&guess(8))).unwrap().iter().all(|p| *p > 0.05));
        let error = p(Some(&[true])).unwrap_err().to_string();
        assert_eq!(error, "1 guesses came with 90 pictures: give one for each");
    }

    #[test]
    fn of_two_taps_it_is_the_exact_sign_test() {
        for (a, b) in [(6, 0), (5, 1), (12, 3), (40, 20), (7, 7)] {
            let p = set_p(&two_taps(a, b), 20_000);
            // Three standard errors of a share of 20,000 draws.
            let allowed = 3.0 * (sign_test(a, b) / 20_000.0).sqrt();
            assert!((p[1] - sign_test(a, b)).abs() < allowed && p[0] == 1.0, "{a} {b}: {p:?} {}", sign_test(a, b));
        }
    }

    #[test]
    fn taps_that_do_alike_are_not_told_apart() {
        let one = two_taps(9, 0);
        let twice = ndarray::concatenate![Axis(1), one, one];
        let p = set_p(&twice, 2000);
        assert_eq!((p[0], p[2]), (1.0, 1.0));
        assert!(p[1] < 0.05 && p[3] < 0.05, "{p:?}");
    }
}

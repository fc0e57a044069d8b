//! Which tap to use: the leader, who cannot be told from it, and the cheapest of these.

use std::cmp::Reverse;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use tapline_probe::sign_test;

use crate::equivalence::{check_parts, gated, guess_p};
use crate::paired::{BootstrapTest, FoldPair, TTest, bootstrap_test, corrected_t_test};
use crate::units::{Resampling, Units, numbered};
use crate::{Error, holm};

/// What all taps' probes did on the same pictures.
#[derive(Debug, Clone, Copy)]
pub struct Outcomes<'a> {
    /// Whether each picture was right `[taps, pictures]`; taps from shallow to deep.
    pub right: ArrayView2<'a, bool>,
    /// The part that each picture was scored in `[pictures]`: by a probe of all other folds, or of what its shuffle left.
    pub fold_of: &'a [usize],
    /// Share of the pictures that each part scores, where parts are drawn apart from each other (shuffles) and a picture may be
    /// in several; none where folds take turns. Between 0 and 1.
    pub test_share: Option<f64>,
    /// The group of each picture `[pictures]`; none where every picture is a draw of its own.
    pub groups: Option<&'a [usize]>,
    /// While the best tap is not significantly better than this, no tap is called better than another. None to compare taps
    /// whatever they learned.
    pub guess: Option<Guess<'a>>,
}

/// Always answering one class.
#[derive(Debug, Clone, Copy)]
pub struct Guess<'a> {
    /// Whether that is each picture's class `[pictures]`.
    pub right: &'a [bool],
    /// What each picture weighs when taps are held against the guess `[pictures]`; none where all weigh the same. Probes that
    /// learn to take small classes for as much as large ones are to be held against it in that sense.
    pub weights: Option<&'a [f64]>,
}

impl<'a> Outcomes<'a> {
    /// Of folds that take turns, pictures without groups and no guess.
    pub fn of(right: ArrayView2<'a, bool>, fold_of: &'a [usize]) -> Self {
        Self { right, fold_of, test_share: None, groups: None, guess: None }
    }
}

/// What a tap costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Multiply-adds of the network up to the tap, for one picture.
    pub multiply_adds: u64,
    /// Features of one picture.
    pub features: usize,
}

/// One tap against the leader. Differences are the leader's accuracy less this tap's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgainstLeader {
    /// Pictures this tap got right; where shuffles score one several times, scores, here and below.
    pub right: usize,
    /// Pictures right only at the leader.
    pub leader_only: usize,
    /// Pictures right only here.
    pub this_only: usize,
    /// p of being as good as the best, whoever that is: the one the set is made by.
    pub p: f64,
    /// p of the exact sign test, as if both taps had been picked beforehand; none where pictures are no draws of their own,
    /// but come in groups or are scored several times.
    pub sign_p: Option<f64>,
    /// The paired bootstrap, as if both taps had been picked beforehand.
    pub bootstrap: BootstrapTest,
    /// Its p after Holm's adjustment for the number of taps, not for picking the leader.
    pub bootstrap_holm: f64,
    /// The corrected resampled t test, as if both taps had been picked beforehand; none with fewer than two folds.
    pub t_test: Option<TTest>,
    /// Its p after Holm's adjustment for the number of taps, not for picking the leader.
    pub t_holm: Option<f64>,
}

/// What the comparison of all taps says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Position of the tap with most right pictures, the shallowest of equals.
    pub leader: usize,
    /// Each tap against it `[taps]`; the leader against itself is without any difference.
    pub taps: Vec<AgainstLeader>,
    /// Positions of the taps not significantly worse than the best, ascending; the leader is one of them.
    pub set: Vec<usize>,
    /// The tap with the fewest multiply-adds of those in the set that the bootstrap alone does not call worse either; of equals
    /// the one with most right pictures, of these the shallowest.
    pub cheapest: usize,
    /// The tap of these with the fewest features; of equals the cheapest, of these likewise.
    pub smallest: usize,
    /// p of the guess being as good as the best tap; none without a guess.
    pub guess_p: Option<f64>,
}

/// Compares all taps, and says which are not significantly worse than the best.
///
/// The set holds the taps whose `p` is the level or more: a model confidence set over all pairs of taps ([`best_set_p`](crate::best_set_p)). It holds the best tap in `1 − level` of the cases, and where
/// all taps are equally good no tap is left out of it in `1 − level` of the cases. The tests against the leader alone do not
/// promise that, with or without Holm's adjustment, since the same pictures made it the leader; they are given beside it.
///
/// The sign test and the bootstrap take the probes as they are: they speak of new pictures like these, not of new training
/// sets. The t test also hears how probes differ from fold to fold, but has few folds to hear it by.
///
/// # Errors
/// For no taps or pictures, folds, groups, guesses or costs of another number, and a level or a number of resamples out of range.
pub fn verdict(config: &Resampling, outcomes: &Outcomes<'_>, costs: &[Cost]) -> Result<Verdict, Error> {
    config.check()?;
    let taps = outcomes.right.nrows();
    let units = Units::new(outcomes.right, outcomes.groups)?;
    check_parts(outcomes)?;
    check_length("costs", costs.len(), "taps", taps)?;
    let right: Vec<usize> = outcomes.right.outer_iter().map(|tap| tap.iter().filter(|right| **right).count()).collect();
    let leader = (0..taps).fold(0, |best, tap| if right[tap] > right[best] { tap } else { best });
    let mut against = against_leader(config, outcomes, &units, leader)?;
    let guess_p = guess_p(config, outcomes)?;
    for (found, p) in against.iter_mut().zip(gated(config, outcomes, &units, guess_p)?) {
        found.p = p;
    }
    adjust(&mut against, leader)?;
    let set: Vec<usize> = (0..taps).filter(|&tap| against[tap].p >= config.level).collect();
    let cost = |tap: usize| costs[tap].multiply_adds;
    let mut found = Verdict { leader, cheapest: leader, smallest: leader, taps: against, set, guess_p };
    found.cheapest = found.cheapest_within(f64::INFINITY, costs);
    let size = |&tap: &usize| (costs[tap].features, cost(tap), Reverse(right[tap]));
    found.smallest = found.as_good_within(f64::INFINITY).min_by_key(size).unwrap_or(leader);
    Ok(found)
}

impl Verdict {
    /// The tap with the fewest multiply-adds of those in the set that the bootstrap alone does not call worse either, and whose
    /// loss against the leader ends at `most` or below, by its interval; of equals the one with most right pictures, of these
    /// the shallowest. The leader is always one of them.
    ///
    /// # Panics
    /// If there is not one of `costs` for each tap.
    pub fn cheapest_within(&self, most: f64, costs: &[Cost]) -> usize {
        assert_eq!(costs.len(), self.taps.len(), "a cost for each tap");
        let cost = |&tap: &usize| (costs[tap].multiply_adds, Reverse(self.taps[tap].right));
        self.as_good_within(most).min_by_key(cost).unwrap_or(self.leader)
    }

    /// The set allows for all pairs at once, and so keeps taps that a test of this one pair would not: a choice that is to lose
    /// nothing takes both.
    fn as_good_within(&self, most: f64) -> impl Iterator<Item = usize> + '_ {
        let as_good = move |&tap: &usize| {
            let found = &self.taps[tap].bootstrap;
            tap == self.leader || found.low <= 0.0 && found.high <= most
        };
        self.set.iter().copied().filter(as_good)
    }
}

pub(crate) fn check_length(what: &'static str, found: usize, of: &'static str, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Length { what, found, of, expected }) }
}

/// Each tap against the leader, before any adjustment.
fn against_leader(
    config: &Resampling,
    outcomes: &Outcomes<'_>,
    units: &Units,
    leader: usize,
) -> Result<Vec<AgainstLeader>, Error> {
    let accuracies = units.resampled(config);
    let folds = numbered(outcomes.fold_of);
    let of_leader = outcomes.right.row(leader);
    let one = |tap: usize| {
        let this = outcomes.right.row(tap);
        let count = |wanted: (bool, bool)| of_leader.iter().zip(&this).filter(|&(&a, &b)| (a, b) == wanted).count();
        let (both, leader_only, this_only) = (count((true, true)), count((true, false)), count((false, true)));
        let difference = (leader_only as f64 - this_only as f64) / this.len() as f64;
        let drawn = (accuracies.column(leader), accuracies.column(tap));
        let bootstrap = bootstrap_test(config, units, difference, drawn);
        let pairs = fold_pairs(&folds, (leader, tap), outcomes);
        let t_test = if pairs.len() < 2 { None } else { Some(corrected_t_test(&pairs)?) };
        Ok(AgainstLeader {
            right: both + this_only,
            leader_only,
            this_only,
            p: 1.0,
            sign_p: outcomes.groups.is_none().then(|| sign_test(leader_only, this_only)),
            bootstrap,
            bootstrap_holm: 1.0,
            t_test,
            t_holm: t_test.map(|_| 1.0),
        })
    };
    (0..outcomes.right.nrows()).map(one).collect()
}

fn fold_pairs(folds: &[usize], (leader, tap): (usize, usize), outcomes: &Outcomes<'_>) -> Vec<FoldPair> {
    let count = folds.iter().max().map_or(0, |&last| last + 1);
    let mut pairs = vec![FoldPair { train: 0, test: 0, first: 0, second: 0 }; count];
    for (picture, &fold) in folds.iter().enumerate() {
        pairs[fold].test += 1;
        pairs[fold].first += usize::from(outcomes.right[[leader, picture]]);
        pairs[fold].second += usize::from(outcomes.right[[tap, picture]]);
    }
    let learnt = |test: usize| match outcomes.test_share {
        Some(share) => (test as f64 * (1.0 - share) / share).round().max(1.0) as usize,
        None => folds.len() - test,
    };
    pairs.iter_mut().for_each(|pair| pair.train = learnt(pair.test));
    pairs
}

/// Holm's adjustment over the taps other than the leader.
fn adjust(against: &mut [AgainstLeader], leader: usize) -> Result<(), Error> {
    let others: Vec<usize> = (0..against.len()).filter(|&tap| tap != leader).collect();
    let bootstrap = holm(&others.iter().map(|&tap| against[tap].bootstrap.p).collect::<Vec<_>>())?;
    let t = holm(&others.iter().filter_map(|&tap| against[tap].t_test.map(|test| test.p)).collect::<Vec<_>>())?;
    for (position, &tap) in others.iter().enumerate() {
        against[tap].bootstrap_holm = bootstrap[position];
        against[tap].t_holm = t.get(position).copied();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn costs(taps: usize) -> Vec<Cost> {
        (0..taps).map(|tap| Cost { multiply_adds: 100 * (tap as u64 + 1), features: 50 - tap }).collect()
    }

    /// Taps of which each got `right[tap]` of every ten pictures right, the same ones as far as they go.
    fn outcomes(right: &[usize], pictures: usize) -> (Array2<bool>, Vec<usize>) {
        let table = Array2::from_shape_fn((right.len(), pictures), |(tap, picture)| picture % 10 < right[tap]);
        (table, (0..pictures).map(|picture| picture / 10 % 5).collect())
    }

    fn check_error(right: &Array2<bool>, fold_of: &[usize], costs: &[Cost], expected: &str) {
        let outcomes = Outcomes::of(right.view(), fold_of);
        assert_eq!(verdict(&Resampling::default(), &outcomes, costs).unwrap_err().to_string(), expected);
    }

    #[test]
    fn the_cheapest_of_those_that_are_as_good_is_named() {
        let (right, fold_of) = outcomes(&[5, 8, 8, 8], 200);
        let outcomes = Outcomes::of(right.view(), &fold_of);
        let found = verdict(&Resampling::default(), &outcomes, &costs(4)).unwrap();
        assert_eq!((found.leader, found.set, found.cheapest, found.smallest), (1, vec![1, 2, 3], 1, 3));
        let equal: Vec<Cost> = costs(4).into_iter().map(|cost| Cost { features: 7, ..cost }).collect();
        let found = verdict(&Resampling::default(), &outcomes, &equal).unwrap();
        assert_eq!((found.cheapest, found.smallest), (1, 1));
        let worst = &found.taps[0];
        assert_eq!((worst.right, worst.leader_only, worst.this_only), (100, 60, 0));
        assert!(worst.p < 0.01 && worst.sign_p.unwrap() < 1e-9 && worst.bootstrap_holm < 0.01, "{worst:?}");
        assert!(worst.bootstrap.low > 0.2 && worst.bootstrap.high < 0.4);
        assert_eq!(found.taps[1].t_test.unwrap().p, 1.0);
    }

    #[test]
    fn the_cheapest_is_not_one_that_its_own_interval_calls_worse() {
        // 62 right at the second alone, 38 at the first alone: not significant where folds take turns, but so by itself.
        let right = Array2::from_shape_fn((2, 500), |(tap, picture)| picture >= 100 || (picture < 62) == (tap == 1));
        let fold_of: Vec<usize> = (0..500).map(|picture| picture % 5).collect();
        let found = verdict(&Resampling::default(), &Outcomes::of(right.view(), &fold_of), &costs(2)).unwrap();
        assert_eq!((found.leader, found.set.clone()), (1, vec![0, 1]), "{found:?}");
        assert!(found.taps[0].bootstrap.low > 0.0, "{found:?}");
        assert_eq!((found.cheapest, found.smallest), (1, 1));

        let (right, fold_of) = outcomes(&[8, 8], 200);
        let found = verdict(&Resampling::default(), &Outcomes::of(right.view(), &fold_of), &costs(2)).unwrap();
        assert_eq!((found.cheapest, found.cheapest_within(0.0, &costs(2))), (0, 0));
    }

    #[test]
    fn few_pictures_tell_nothing() {
        let (right, fold_of) = outcomes(&[0, 10], 5);
        let outcomes = Outcomes::of(right.view(), &fold_of);
        let found = verdict(&Resampling::default(), &outcomes, &costs(2)).unwrap();
        // Five of five: the sign test's p is 1/16.
        assert_eq!((found.leader, found.set.clone()), (1, vec![0, 1]), "{found:?}");
        assert_eq!(found.taps[0].t_test, None);
    }

    #[test]
    fn one_tap_is_its_own_best() {
        let right = array![[true, false]];
        let outcomes = Outcomes::of(right.view(), &[0, 1]);
        let found = verdict(&Resampling::default(), &outcomes, &costs(1)).unwrap();
        assert_eq!((found.leader, found.set, found.cheapest, found.smallest), (0, vec![0], 0, 0));
    }

    #[test]
    fn groups_that_stand_and_fall_together_are_few_draws() {
        let right = Array2::from_shape_fn((2, 400), |(tap, picture)| picture / 100 != 0 || tap == 1);
        let fold_of: Vec<usize> = (0..400).map(|picture| picture / 100).collect();
        let with = |groups| Outcomes { groups, ..Outcomes::of(right.view(), &fold_of) };
        let set = |groups| verdict(&Resampling::default(), &with(groups), &costs(2)).unwrap().set;
        assert_eq!(set(None), [1]);
        assert_eq!(set(Some(&fold_of)), [0, 1]);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        check_error(&Array2::default((0, 3)), &[0; 3], &[], "there are no taps: give at least one");
        check_error(&Array2::default((1, 0)), &[], &costs(1), "there are no pictures: give at least one");
        check_error(&Array2::default((1, 3)), &[0; 2], &costs(1), "2 folds came with 3 pictures: give one for each");
        check_error(&Array2::default((2, 3)), &[0; 3], &costs(1), "1 costs came with 2 taps: give one for each");
    }
}

//! What a search spends on looks, and the curvature of its own that it buys once it spent as much.
//!
//! Whether to go on with what there is or to pay for better is the ski rental: to pay once as much was spent costs at most twice
//! what it costs to know the future (Karlin, Manasse, Rudolph and Sleator, "Competitive snoopy caching", 1988).

use crate::ground::Ground;
use crate::loss::Targets;
use crate::own::{Own, Ware};

/// Looks that a curvature is good for: with one that fits, a strength takes four to eight. Found by trying: 8 to 20 are nearly as good.
const ENOUGH: u64 = 10;

/// Looks at one strength after which sketches have failed.
const TOO_MANY: u64 = 40;

/// Looks of one search, and what it has for them.
#[derive(Default)]
pub(crate) struct Purse<'a> {
    /// The curvature that was bought last.
    own: Option<Own<'a>>,
    /// Whether that was taken at this strength.
    is_fresh: bool,
    /// Looks since it was bought; before the first, looks at this strength.
    looks: u64,
    /// Looks at this strength.
    here: u64,
    /// Looks in double precision since it was bought.
    since: u64,
    /// Looks in double precision in all.
    in_all: u64,
}

/// Who asks for a curvature, and what it may cost.
pub(crate) struct Asking<'a, 'g, 't> {
    pub(crate) ground: &'a Ground<'g>,
    pub(crate) targets: &'a Targets<'t>,
    /// Whether it looks in double precision.
    pub(crate) is_precise: bool,
    /// Floating-point operations of a look in double precision; in single precision a look costs half of them.
    pub(crate) cost_of_look: f64,
    /// Bytes that the curvature may take.
    pub(crate) max_bytes: usize,
}

impl<'a> Purse<'a> {
    /// A look was taken.
    pub(crate) fn spend(&mut self, is_precise: bool) {
        self.looks += 1;
        self.here += 1;
        if is_precise {
            self.since += 1;
            self.in_all += 1;
        }
    }

    /// What is worth its price now, and its bytes.
    pub(crate) fn wanted(&self, asking: &Asking<'_, '_, '_>) -> Option<(Ware, usize)> {
        let has_sketches = Ware::has_sketches(asking.ground, asking.targets);
        if has_sketches && self.looks < ENOUGH {
            return None;
        }
        let exact = if asking.is_precise { self.wanted_exact(asking) } else { None };
        let sketches = has_sketches && !self.is_exact();
        exact.or_else(|| if sketches { self.wanted_sketch(asking) } else { None })
    }

    /// In double precision: the dearest within the bytes that costs no more than all looks so far; one as dear as the last one once
    /// it was looked as long as that takes.
    fn wanted_exact(&self, asking: &Asking<'_, '_, '_>) -> Option<(Ware, usize)> {
        let [since, in_all] = [self.since, self.in_all].map(|looks| looks as f64 * asking.cost_of_look);
        // The mean of outputs that differ is worse than a sketch of each, unless these fail.
        let has_failed = self.is_exact() || self.here >= TOO_MANY;
        let is_fair =
            |ware: &Ware| *ware != Ware::One || has_failed || !Ware::has_sketches(asking.ground, asking.targets);
        let (ware, cost, bytes) = Ware::offered(asking.ground, asking.targets)
            .into_iter()
            .filter(is_fair)
            .map(|ware| asking.priced(ware))
            .rfind(|&(_, cost, bytes)| cost <= in_all && bytes <= asking.max_bytes)?;
        let is_dearer = self.own.as_ref().is_none_or(|own| own.ware() < ware);
        (is_dearer || cost <= since).then_some((ware, bytes))
    }

    /// The sketch anew, where it was taken at an earlier strength; the next level where it was taken here and is still too coarse,
    /// or anew where there is none.
    fn wanted_sketch(&self, asking: &Asking<'_, '_, '_>) -> Option<(Ware, usize)> {
        let spent = (self.looks + self.since.min(self.looks)) as f64 * asking.cost_of_look / 2.0;
        let last = match self.own.as_ref().map(Own::ware) {
            Some(Ware::Sketch(level)) => Some(level),
            _ => None,
        };
        let of_level = |level: u32| {
            let (ware, cost, bytes) = asking.priced(Ware::Sketch(level));
            (cost.is_finite() && bytes <= asking.max_bytes).then_some((ware, cost, bytes))
        };
        let larger = last.filter(|_| self.is_fresh).and_then(|level| of_level(level + 1));
        let (ware, cost, bytes) = larger.or_else(|| of_level(last.unwrap_or(0)))?;
        (cost <= spent).then_some((ware, bytes))
    }

    /// Takes the curvature of `targets` at `scores [rows · outputs]`, with penalties `rho [columns]`.
    pub(crate) fn buy(
        &mut self,
        ware: Ware,
        (ground, targets): (&'a Ground<'_>, &Targets<'_>),
        scores: &[f32],
        rho: &[f64],
    ) {
        let before = self.own.take().filter(|_| ware == Ware::One);
        self.own = Some(Own::take(ware, (ground, targets), scores, (rho, before)));
        (self.is_fresh, self.looks, self.since) = (true, 0, 0);
    }

    /// Gives up what was bought.
    pub(crate) fn sell(&mut self) {
        self.own = None;
        (self.looks, self.since) = (0, 0);
    }

    /// Another strength is to come: what was bought is kept, and is no longer that of where the search stands.
    pub(crate) fn move_on(&mut self) {
        (self.is_fresh, self.here) = (false, 0);
        if self.own.is_none() {
            (self.looks, self.since) = (0, 0);
        }
        self.own.iter_mut().for_each(Own::unfactor);
    }

    pub(crate) fn has_own(&self) -> bool {
        self.own.is_some()
    }

    /// Whether what it has is in double precision.
    pub(crate) fn is_exact(&self) -> bool {
        self.own.as_ref().is_some_and(|own| !matches!(own.ware(), Ware::Sketch(_)))
    }

    /// Whether it has the Hessian, taken at this strength.
    pub(crate) fn has_hessian(&self) -> bool {
        self.is_fresh && self.own.as_ref().is_some_and(Own::is_hessian)
    }

    /// Bytes of what was bought.
    pub(crate) fn bytes(&self) -> usize {
        self.own.as_ref().map_or(0, Own::bytes)
    }

    /// Multiplies a direction `[(columns + 1) · outputs]` by the inverse of the curvature that was bought.
    pub(crate) fn apply(&mut self, direction: &mut [f64], (rho, c): (&[f64], f64), outputs: usize) {
        if let Some(own) = &mut self.own {
            own.factor(rho, c);
            own.apply(direction, outputs);
        }
    }
}

impl Asking<'_, '_, '_> {
    /// A ware with its operations and bytes. To ask every row for its second derivatives takes no longer than a look.
    fn priced(&self, ware: Ware) -> (Ware, f64, usize) {
        let cost = ware.cost(self.ground, self.targets) + self.cost_of_look;
        (ware, cost, ware.bytes(self.ground, self.targets))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::loss::Aims;
    use crate::table::Table;

    /// A first look in double precision that never comes.
    const NEVER: usize = usize::MAX;

    /// What is wanted after each look, bought at once, within so many bytes; looks from `precise_from` on are in double
    /// precision, and another strength comes after every so many.
    fn bought(
        (columns, classes): (usize, usize),
        precise_from: usize,
        max_bytes: usize,
        (looks, at_strength): (usize, usize),
    ) -> Vec<(usize, Ware)> {
        let cost_of_look = if columns == 6 { 1e4 } else { 5e5 };
        let made = Array2::from_shape_fn((200, columns), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64);
        let labels: Vec<usize> = (0..200).map(|row| row % classes).collect();
        let outputs = if classes == 2 { 1 } else { classes };
        let table = Table::new(&made, &[true; 200], usize::MAX).unwrap();
        let ground = Ground::of(&table, &[true; 200], usize::MAX);
        let targets = Targets { aims: Aims::Class(&labels), weights: &[1.0; 200], outputs };
        let (mut purse, mut bought) = (Purse::default(), Vec::new());
        for look in 1..=looks {
            let is_precise = look >= precise_from;
            purse.spend(is_precise);
            let asking = Asking { ground: &ground, targets: &targets, is_precise, cost_of_look, max_bytes };
            if let Some((ware, bytes)) = purse.wanted(&asking) {
                purse.buy(ware, (&ground, &targets), &vec![0.1; 200 * outputs], &vec![1.0; columns]);
                assert!(bytes <= max_bytes && bytes == purse.bytes());
                assert_eq!(purse.has_hessian(), outputs == 1 || ware == Ware::Whole);
                assert_eq!(purse.is_exact(), !matches!(ware, Ware::Sketch(_)));
                bought.push((look, ware));
            }
            if look % at_strength == 0 {
                purse.move_on();
                assert!(!purse.has_hessian());
            }
        }
        bought
    }

    #[test]
    fn one_output_buys_its_curvature_once_as_much_was_spent() {
        // 7,272 operations, and a look to ask for second derivatives.
        assert_eq!(bought((6, 2), 1, usize::MAX, (6, 100)), [(2, Ware::One), (4, Ware::One), (6, Ware::One)]);
        assert_eq!(bought((6, 2), NEVER, usize::MAX, (100, 100)), []);
    }

    #[test]
    fn dearer_curvature_is_bought_once_as_much_was_spent() {
        // 36,360 operations for blocks, 181,800 and more for all, and a look for each.
        let found = bought((6, 5), 1, usize::MAX, (60, 100));
        assert_eq!(found[..2], [(10, Ware::Blocks), (20, Ware::Whole)]);
        assert!(found[2..].iter().all(|(_, ware)| *ware == Ware::Whole), "{found:?}");
    }

    #[test]
    fn a_sketch_is_taken_where_a_strength_takes_long_and_again_where_it_is_stale() {
        // Nine looks at each strength are few enough, before the first.
        assert_eq!(bought((6, 5), NEVER, usize::MAX, (90, 9)), []);
        assert_eq!(bought((6, 5), NEVER, usize::MAX, (20, 15)), [(10, Ware::Sketch(0)), (20, Ware::Sketch(0))]);
    }

    #[test]
    fn a_sketch_that_is_fresh_and_too_coarse_is_followed_by_a_larger_one() {
        let found = bought((60, 5), NEVER, usize::MAX, (200, 1000));
        let levels: Vec<Ware> = found.iter().map(|(_, ware)| *ware).collect();
        assert_eq!(levels[..4], [Ware::Sketch(0), Ware::Sketch(1), Ware::Sketch(2), Ware::Sketch(2)], "{found:?}");
        assert_eq!(found[0].0, 10);
    }

    #[test]
    fn looks_in_double_precision_pay_twice_for_a_sketch() {
        // Blocks do not fit.
        let [quick, precise] = [NEVER, 1].map(|from| bought((60, 5), from, 300_000, (40, 1000)));
        assert_eq!((quick[1].1, precise[1].1), (Ware::Sketch(1), Ware::Sketch(1)));
        assert!(precise[1].0 < quick[1].0, "{precise:?} {quick:?}");
    }

    #[test]
    fn in_double_precision_blocks_follow_a_sketch() {
        let found = bought((6, 5), 13, usize::MAX, (30, 1000));
        assert_eq!((found[0], found[1].1), ((10, Ware::Sketch(0)), Ware::Blocks), "{found:?}");
    }

    #[test]
    fn where_no_sketch_is_good_enough_and_blocks_do_not_fit_outputs_share_their_mean() {
        let one = 16 * 60 * 60;
        let found = bought((60, 5), 1, one, (200, 1000));
        let first = found.iter().find(|(_, ware)| *ware == Ware::One).expect("the mean in double precision");
        assert!(first.0 >= TOO_MANY as usize, "{found:?}");
        assert!(found.iter().all(|(_, ware)| *ware <= Ware::One), "{found:?}");
    }

    #[test]
    fn what_does_not_fit_is_not_bought() {
        let one = 16 * 36;
        assert!(bought((6, 2), 1, one, (40, 100)).iter().all(|(_, ware)| *ware == Ware::One));
        assert_eq!(bought((6, 2), 1, one - 1, (40, 100)), []);
        assert_eq!(bought((6, 5), NEVER, one, (40, 100)), []);
    }
}

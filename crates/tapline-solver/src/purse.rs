//! What a search spends on looks in double precision, and the curvature of its own that it buys once it spent as much.
//!
//! Whether to go on with what there is or to pay for better is the ski rental: to pay once as much was spent costs at most twice
//! what it costs to know the future (Karlin, Manasse, Rudolph and Sleator, "Competitive snoopy caching", 1988).

use crate::ground::Ground;
use crate::loss::Targets;
use crate::own::{Own, Ware};

/// Looks of one search, and what it has for them.
#[derive(Default)]
pub(crate) struct Purse<'a> {
    /// The curvature that was bought last.
    own: Option<Own<'a>>,
    /// Whether that is the Hessian, and was taken at this strength.
    has_hessian: bool,
    /// Looks in double precision since it was bought.
    since: u64,
    /// Looks in double precision in all.
    in_all: u64,
}

impl<'a> Purse<'a> {
    /// A look in double precision was taken.
    pub(crate) fn spend(&mut self) {
        self.since += 1;
        self.in_all += 1;
    }

    /// What is worth its price now, and its bytes: the dearest within `max_bytes` that costs no more than all looks so far; one as
    /// dear as the last one once it was looked as long as that takes.
    pub(crate) fn wanted(
        &self,
        (ground, targets): (&Ground<'_>, &Targets<'_>),
        cost_of_look: f64,
        max_bytes: usize,
    ) -> Option<(Ware, usize)> {
        let [since, in_all] = [self.since, self.in_all].map(|looks| looks as f64 * cost_of_look);
        // To ask every row for its second derivatives takes no longer than a look.
        let cost = |ware: Ware| ware.cost(ground, targets) + cost_of_look;
        let (ware, cost, bytes) = Ware::offered(ground, targets)
            .into_iter()
            .map(|ware| (ware, cost(ware), ware.bytes(ground, targets)))
            .rfind(|&(_, cost, bytes)| cost <= in_all && bytes <= max_bytes)?;
        let is_dearer = self.own.as_ref().is_none_or(|own| own.ware() < ware);
        (is_dearer || cost <= since).then_some((ware, bytes))
    }

    /// Takes the curvature of `targets` at `scores [rows · outputs]`, with penalties `rho [columns]`.
    pub(crate) fn buy(
        &mut self,
        ware: Ware,
        (ground, targets): (&'a Ground<'_>, &Targets<'_>),
        scores: &[f32],
        rho: &[f64],
    ) {
        let own = Own::take(ware, (ground, targets), scores, (rho, self.own.take()));
        self.has_hessian = own.is_hessian();
        self.own = Some(own);
        self.since = 0;
    }

    /// Gives up what was bought.
    pub(crate) fn sell(&mut self) {
        self.own = None;
    }

    /// Another strength is to come: what was bought is kept, and is no longer the Hessian of where the search stands.
    pub(crate) fn move_on(&mut self) {
        self.has_hessian = false;
        self.own.iter_mut().for_each(Own::unfactor);
    }

    pub(crate) fn has_own(&self) -> bool {
        self.own.is_some()
    }

    pub(crate) fn has_hessian(&self) -> bool {
        self.has_hessian
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

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::loss::Aims;
    use crate::table::Table;

    const LOOK: f64 = 1e4;

    /// What is wanted after each look, bought at once, within so many bytes.
    fn bought(max_bytes: usize, looks: usize) -> Vec<(usize, Ware)> {
        let made = Array2::from_shape_fn((200, 6), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64);
        let classes: Vec<usize> = (0..200).map(|row| row % 5).collect();
        let table = Table::new(&made, &[true; 200], usize::MAX).unwrap();
        let ground = Ground::of(&table, &[true; 200], usize::MAX);
        let targets = Targets { aims: Aims::Class(&classes), weights: &[1.0; 200], outputs: 5 };
        let (mut purse, mut bought) = (Purse::default(), Vec::new());
        for look in 1..=looks {
            purse.spend();
            if let Some((ware, bytes)) = purse.wanted((&ground, &targets), LOOK, max_bytes) {
                purse.buy(ware, (&ground, &targets), &[0.1; 1000], &[1.0; 6]);
                assert!(bytes <= max_bytes && bytes == purse.bytes());
                assert_eq!(purse.has_hessian(), ware == Ware::Whole);
                bought.push((look, ware));
            }
        }
        bought
    }

    #[test]
    fn dearer_curvature_is_bought_once_as_much_was_spent() {
        // 7,272 operations for one, 36,360 for blocks, 181,800 and more for all, and a look for each.
        let found = bought(usize::MAX, 40);
        assert_eq!(found[..2], [(2, Ware::One), (4, Ware::One)]);
        assert_eq!(found[2], (5, Ware::Blocks));
        let whole = found.iter().find(|(_, ware)| *ware == Ware::Whole).unwrap();
        assert_eq!(whole.0, 20, "{found:?}");
        let later: Vec<usize> = found.iter().skip_while(|bought| *bought != whole).map(|bought| bought.0).collect();
        assert_eq!(later, [20, 40]);
    }

    #[test]
    fn what_does_not_fit_is_not_bought() {
        assert!(bought(24 * 36, 40).iter().all(|(_, ware)| *ware == Ware::One));
        assert_eq!(bought(24 * 36 - 1, 40), []);
    }
}

//! The probes of all taps of all stores, and what they say: what `compare`, `report` and `advise` start from.

use std::cmp::Reverse;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tapline_probe::{Evaluation, LayerChoice, select_layer};

use crate::comparison::Comparison;
use crate::control::Control;
use crate::plan::Plan;
use crate::progress;
use crate::scores::score_taps;
use crate::stores::{Place, Stores};

/// Bytes for each number of a tap under way: as read, in float32, and in float64 for the ends of searches.
const BYTES_PER_NUMBER: usize = 20;
/// Bytes for each weight of a fit under way, with the steps that it remembers,
const BYTES_PER_WEIGHT: usize = 700;
/// and for each score of a row.
const BYTES_PER_SCORE: usize = 8;

/// The evaluations of all taps, in the order of [`Stores::taps`].
pub struct Probes {
    /// Pictures and protocol.
    pub plan: Plan,
    /// One for each tap.
    pub evaluations: Vec<Evaluation>,
    /// The same on shuffled labels, where that was asked for.
    pub controls: Vec<Option<Control>>,
    /// Seconds the fits of each tap took when they were made.
    pub seconds: Vec<f64>,
    /// The tap chosen on inner folds.
    pub nested: LayerChoice,
    /// Which taps cannot be told from the best.
    pub comparison: Comparison,
}

impl Probes {
    /// Scores all taps, or takes the scores kept.
    pub fn of(stores: &Stores, plan: Plan) -> anyhow::Result<Self> {
        let fits = plan.fits()?;
        let bar = progress::bar("probing", stores.taps.len() * fits, "fits");
        let probe = |place: &Place| {
            let store = &stores.stores[place.store];
            let done = AtomicUsize::new(0);
            let progress = || {
                done.fetch_add(1, Ordering::Relaxed);
                bar.inc(1);
            };
            let scored = score_taps(store, &place.taps, &plan, &progress)?;
            let control = Control::of_taps(store, &place.taps, &plan, &progress)?;
            // Scores that were kept take no fits.
            bar.inc(fits.saturating_sub(done.into_inner()) as u64);
            anyhow::Ok((scored, control))
        };
        let columns = |place: &Place| {
            let infos = stores.stores[place.store].taps();
            place.taps.iter().map(|&tap| infos[tap].info.features).sum::<usize>()
        };
        let widest = stores.taps.iter().map(columns).max().unwrap_or(0);
        // Features beyond the bound are read from the store, and fits beyond it wait for each other.
        let most = plan.config.max_bytes;
        let features = (plan.data.rows.len() * widest * BYTES_PER_NUMBER).min(2 * most);
        let sets = fits / plan.config.grid.len().max(1) + 1;
        let outputs = if plan.data.names.len() == 2 { 1 } else { plan.data.names.len() };
        let under_way =
            (sets * outputs * (widest * BYTES_PER_WEIGHT + plan.data.rows.len() * BYTES_PER_SCORE)).min(most);
        let at_once = (2 * most / (features + under_way).max(1)).max(1);
        let found = side_by_side(&stores.taps, at_once, columns, probe)?;
        bar.finish_and_clear();
        let (mut evaluations, mut controls, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
        for (scored, control) in found {
            evaluations.push(scored.evaluation);
            seconds.push(scored.seconds);
            controls.push(control);
        }
        let nested = select_layer(&evaluations)?;
        let comparison = Comparison::of(&evaluations, stores.compared(), &plan)?;
        Ok(Self { plan, evaluations, controls, seconds, nested, comparison })
    }
}

/// What `work` makes of each item, in the items' order; the largest are begun first, on a thread for each processor, but
/// `at_once` at most.
///
/// Fits of one tap leave processors idle where they wait for each other; those of another fill them. The threads only start
/// work and wait for it: it is done by rayon's, so that no processor has two tasks.
///
/// # Errors
/// The first, in the items' order, of those begun before one failed.
fn side_by_side<I: Sync, T: Send>(
    items: &[I],
    at_once: usize,
    size: impl Fn(&I) -> usize,
    work: impl Fn(&I) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&item| Reverse(size(&items[item])));
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Vec<Mutex<Option<anyhow::Result<T>>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let worker = || {
        while let Some(&item) =
            order.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !failed.load(Ordering::Relaxed))
        {
            let result = work(&items[item]);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            *results[item].lock().expect("no worker panics while it holds a result") = Some(result);
        }
    };
    let threads = rayon::current_num_threads().min(at_once).min(items.len());
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker))));
    let results =
        results.into_iter().map(|result| result.into_inner().expect("no worker panics while it holds a result"));
    results.flatten().collect()
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let found = side_by_side(&[3, 1, 2], 2, |&item| item, |&item| Ok(10 * item)).unwrap();
        assert_eq!(found, [30, 10, 20]);
    }

    #[test]
    fn the_first_failure_is_told() {
        let fail = |&item: &usize| if item > 1 { bail!("item {item}") } else { Ok(item) };
        assert_eq!(side_by_side(&[1, 2], 1, |&item| item, fail).unwrap_err().to_string(), "item 2");
    }

    #[test]
    fn no_items_are_no_work() {
        assert!(side_by_side(&[], 4, |_: &usize| 0, |&item| Ok(item)).unwrap().is_empty());
    }
}

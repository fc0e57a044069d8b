//! The probes of all taps of all stores, and what they say: what `compare`, `report` and `advise` start from.

use tapline_probe::{Evaluation, LayerChoice, select_layer};

use crate::comparison::Comparison;
use crate::control::Control;
use crate::plan::Plan;
use crate::progress;
use crate::scores::score_taps;
use crate::stores::Stores;

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
        let bar = progress::bar("probing", stores.taps.len() * plan.fits()?, "fits");
        let (mut evaluations, mut controls, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
        for (done, place) in stores.taps.iter().enumerate() {
            let store = &stores.stores[place.store];
            let scored = score_taps(store, &place.taps, &plan, &|| bar.inc(1))?;
            evaluations.push(scored.evaluation);
            seconds.push(scored.seconds);
            controls.push(Control::of_taps(store, &place.taps, &plan, &|| bar.inc(1))?);
            bar.set_position(((done + 1) * plan.fits()?) as u64);
        }
        bar.finish_and_clear();
        let nested = select_layer(&evaluations)?;
        let comparison = Comparison::of(&evaluations, stores.compared(), &plan)?;
        Ok(Self { plan, evaluations, controls, seconds, nested, comparison })
    }
}

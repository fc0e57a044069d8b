//! `--control`: the same probes on shuffled labels, to see what the protocol makes of nothing.

use serde::Serialize;
use tapline_core::Store;

use crate::accuracy::Accuracy;
use crate::output::percent;
use crate::plan::Plan;
use crate::scores::score_taps;

/// How probes did on shuffled labels: within folds, or with `--shuffles` over all pictures.
#[derive(Debug, Clone, Serialize)]
pub struct Control {
    /// Their score.
    #[serde(flatten)]
    pub accuracy: Accuracy,
    /// Share of the scored pictures right by always answering the class most pictures to learn from have, 0 to 1.
    pub chance: f64,
}

impl Control {
    /// The control of the joined features of several taps, where the plan asks for it; `progress` is called after each fit.
    pub fn of_taps(
        store: &Store,
        taps: &[usize],
        plan: &Plan,
        progress: &(dyn Fn() + Sync),
    ) -> anyhow::Result<Option<Self>> {
        let Some(shuffled) = plan.control() else { return Ok(None) };
        let scored = score_taps(store, taps, &shuffled, progress)?;
        Ok(Some(Self { accuracy: Accuracy::of(&scored.evaluation, plan), chance: plan.data.chance() }))
    }
}

/// What controls found, as a line.
pub fn sentence(controls: &[&Control]) -> String {
    let found = controls.iter().map(|control| control.accuracy.accuracy);
    let (low, high) = (found.clone().fold(1.0, f64::min), found.fold(0.0, f64::max));
    let range = if low < high { format!("{} to {}", percent(low), percent(high)) } else { percent(low) };
    match controls.first() {
        Some(Control { chance, .. }) => format!(
            "Control: {range} % right with shuffled labels; chance, always answering the largest class, is {} %.\n",
            percent(*chance)
        ),
        None => String::new(),
    }
}

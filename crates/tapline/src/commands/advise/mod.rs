//! `tapline advise`: which cell of the 2×2 table the pictures are in, which layer to use, and what to do next.
//!
//! The table (Stanford's course CS231n, "Transfer learning") asks two things: are there many pictures, and are they like those
//! of the pretraining set? Here both are measured, and "uncertain" is an answer. `docs/advice.md` has the calibration.

mod amount;
pub mod likeness;
mod recipes;
mod words;

pub use words::field;

use serde::Serialize;

use self::amount::Amount;
use self::likeness::Likeness;
use self::recipes::{Recipe, Recommended};
use crate::args::AdviseArgs;
use crate::classes::LeftOut;
use crate::commands::compare::heading;
use crate::control::Control;
use crate::plan::Plan;
use crate::probes::Probes;
use crate::report_scores::all_unconverged;
use crate::stores::Stores;
use crate::{Outcome, output};

/// The advice and its evidence; every rendering is made from it.
#[derive(Debug, Serialize)]
struct Advice {
    /// The stores, as typed.
    stores: Vec<String>,
    /// The networks.
    models: Vec<String>,
    pictures: usize,
    classes: usize,
    left_out: LeftOut,
    #[serde(flatten)]
    found: Found,
    /// The probes on shuffled labels; none where they were not asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    controls: Vec<Control>,
    /// What was probed, and how.
    #[serde(skip)]
    heading: String,
    /// What a reader must know to trust the scores: fits that did not converge, a strength at the grid's edge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Commands to type next.
    next: Vec<String>,
}

/// The field of the table and the layer to use, with the evidence.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Little or a lot of data.
    data: Amount,
    /// How like the pretraining set's the pictures are, all networks together.
    similarity: likeness::Reading,
    /// The evidence of each network.
    pub evidence: Vec<Likeness>,
    /// What the table says of the cell, or of the cells that it may be.
    recipes: Vec<Recipe>,
    /// The layer to use; none while nothing is better than always answering the commonest class.
    recommended: Option<Recommended>,
    /// p of always answering the commonest class being as good as the best tap; with `--balanced` classes weigh the same in it.
    guess_p: f64,
    /// What that guess is called.
    #[serde(skip)]
    guess: &'static str,
}

impl Found {
    /// What the probes and the stores say; the layer to use loses at most `max_loss` points by its interval.
    pub fn of(stores: &Stores, probes: &Probes, max_loss: f64) -> anyhow::Result<Self> {
        let comparison = &probes.comparison;
        let recommended = Recommended::of(stores, comparison, max_loss / 100.0);
        let data = Amount::of(stores, probes, tap_of(recommended.as_ref(), probes))?;
        let evidence = likeness::of_all(stores, probes)?;
        let similarity = likeness::together(&evidence);
        Ok(Self {
            recipes: recipes::of_cell(data.reading, similarity),
            data,
            similarity,
            evidence,
            recommended,
            guess_p: comparison.guess_p,
            guess: comparison.guess_words(),
        })
    }
}

/// The tap to use, or where none can be recommended the one with most right pictures.
fn tap_of(recommended: Option<&Recommended>, probes: &Probes) -> usize {
    recommended.map_or(probes.comparison.verdict.leader, |found| found.tap)
}

pub fn run(args: &AdviseArgs) -> anyhow::Result<Outcome> {
    let stores = Stores::of(&args.compared)?;
    let plan = Plan::of_all(stores.listing(), &args.compared)?;
    let probes = Probes::of(&stores, plan)?;
    let advice = advice((&stores, args), &probes)?;
    output::either(args.json, &advice, words::render)?;
    Ok(Outcome::Done)
}

fn advice((stores, args): (&Stores, &AdviseArgs), probes: &Probes) -> anyhow::Result<Advice> {
    let found = Found::of(stores, probes, args.max_loss)?;
    let Found { recommended, recipes, data, .. } = &found;
    let typed: Vec<String> = stores.stores.iter().map(|store| store.dir().display().to_string()).collect();
    Ok(Advice {
        warnings: warnings(probes, tap_of(recommended.as_ref(), probes)),
        next: recipes::next((stores, &args.compared), &probes.comparison, (recommended.as_ref(), recipes, data)),
        stores: typed,
        models: stores.names(),
        pictures: probes.plan.data.rows.len(),
        classes: probes.plan.data.names.len(),
        left_out: probes.plan.data.left_out.clone(),
        controls: probes.controls.iter().flatten().cloned().collect(),
        heading: heading(stores, &probes.plan),
        found,
    })
}

/// Fits that did not converge, of all taps, and whether the strength of `tap` lies at the grid's edge.
fn warnings(probes: &Probes, tap: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if probes.evaluations[tap].folds.iter().any(|fold| fold.choice.at_edge) {
        let name = &probes.comparison.taps[tap].name;
        warnings.push(format!(
            "the strength of {name} lies at the edge of the grid in some fold; a wider one (--strengths) may do better."
        ));
    }
    warnings.extend(all_unconverged(probes));
    warnings
}

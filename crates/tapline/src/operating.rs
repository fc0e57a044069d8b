//! `--recall`: from which probability on one of two classes is called, and what that costs.

use anyhow::{anyhow, bail};
use serde::{Deserialize, Serialize};
use tapline_core::Store;
use tapline_probe::{Error, Evaluation, called, called_across, recall_threshold};

use crate::accuracy::Accuracy;
use crate::args::Recall;
use crate::output::{self, count, percent, quoted};
use crate::plan::Plan;
use crate::progress;
use crate::scores::score_taps;

/// One of two classes, called from a probability of it on: what a saved probe keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// The class.
    pub class: String,
    /// The share of its pictures that was to be found, 0 to 1.
    pub wanted_recall: f64,
    /// It is called where its probability is at least this, 0 to 1.
    pub threshold: f64,
}

/// An operating point and how it did.
#[derive(Debug, Serialize)]
pub struct Operated {
    #[serde(flatten)]
    pub point: OperatingPoint,
    /// The other class.
    other: String,
    /// Whether the threshold was chosen on training pictures alone; else that of each fold on the other folds.
    #[serde(skip)]
    is_split: bool,
    /// Pictures of the class that are called so (sensitivity); none where none was scored.
    pub recall: Option<Accuracy>,
    /// Pictures of the other class that are called so; none where none was scored.
    pub specificity: Option<Accuracy>,
    /// Pictures called so that are of the class; none where none is called.
    pub precision: Option<Accuracy>,
}

/// What was typed, if it can be done with these pictures: the class's number, and the recall.
pub fn check(typed: Option<&Recall>, plan: &Plan) -> anyhow::Result<Option<(usize, f64)>> {
    let Some(Recall { class, share }) = typed else { return Ok(None) };
    let names = &plan.data.names;
    let listed = || names.iter().take(2).map(|name| quoted(name)).collect::<Vec<_>>().join(" and ");
    match (names.iter().position(|name| name == class), names.len()) {
        (_, 3..) => bail!(
            "--recall parts two classes, and there are {}: label the pictures {} and anything else in another table",
            names.len(),
            quoted(class)
        ),
        (None, _) => bail!("--recall {class}={share}: there is no class {}, but {}", quoted(class), listed()),
        (Some(class), _) => Ok(Some((class, *share))),
    }
}

impl Operated {
    /// The operating point of the probe on `taps` that `evaluation` scored.
    pub fn of(
        store: &Store,
        (taps, plan): (&[usize], &Plan),
        evaluation: &Evaluation,
        wanted: (usize, f64),
    ) -> anyhow::Result<Self> {
        if plan.data.split.is_none() {
            return Self::across((evaluation, plan), wanted);
        }
        let learning = plan.learning();
        let bar = progress::bar("choosing the threshold", learning.fits()?, "fits");
        let scored = score_taps(store, taps, &learning, &|| bar.inc(1))?;
        bar.finish_and_clear();
        let (class, share) = wanted;
        let threshold =
            recall_threshold(&scored.evaluation, class, share).map_err(|error| in_words(error, (plan, wanted)))?;
        Ok(Self::called((evaluation, plan), wanted, (threshold, &called(evaluation, class, threshold))))
    }

    /// The same of folds that take turns: each is called by the threshold of the others.
    pub fn across((evaluation, plan): (&Evaluation, &Plan), wanted: (usize, f64)) -> anyhow::Result<Self> {
        let (class, share) = wanted;
        let found = called_across(evaluation, class, share)
            .and_then(|called| Ok((recall_threshold(evaluation, class, share)?, called)));
        let (threshold, called) = found.map_err(|error| in_words(error, (plan, wanted)))?;
        Ok(Self::called((evaluation, plan), wanted, (threshold, &called)))
    }

    fn called(
        (evaluation, plan): (&Evaluation, &Plan),
        (class, wanted_recall): (usize, f64),
        (threshold, called): (f64, &[usize]),
    ) -> Self {
        let of = |is_chosen: &dyn Fn(usize) -> bool| {
            let chosen: Vec<usize> = (0..called.len()).filter(|&row| is_chosen(row)).collect();
            (!chosen.is_empty()).then(|| Accuracy::of_those(evaluation, called, (&chosen, plan)))
        };
        let names = &plan.data.names;
        Self {
            point: OperatingPoint { class: names[class].clone(), wanted_recall, threshold },
            other: names[1 - class].clone(),
            is_split: plan.data.split.is_some(),
            recall: of(&|row| evaluation.labels[row] == class),
            specificity: of(&|row| evaluation.labels[row] != class),
            precision: of(&|row| called[row] == class),
        }
    }

    /// The table and how it came about.
    pub fn text(&self) -> String {
        let Self { point: OperatingPoint { class, wanted_recall, threshold }, other, .. } = self;
        let (class, other) = (output::cell(class), output::cell(other));
        let row = |what: String, found: &Accuracy| {
            vec![
                what,
                format!("{} of {}", count(found.correct), count(found.total)),
                percent(found.accuracy),
                found.interval_text(),
            ]
        };
        let parts = [
            (format!("recall (sensitivity): {class} called so"), &self.recall),
            (format!("specificity: {other} called so"), &self.specificity),
            (format!("precision: called {class} rightly"), &self.precision),
        ];
        let rows = parts.into_iter().filter_map(|(what, found)| Some(row(what, found.as_ref()?)));
        let chosen = match self.is_split {
            true => "it was chosen on folds of the training pictures",
            false => "the table calls each fold's pictures by one chosen on the other folds",
        };
        format!(
            "\n{}Called {class} from a probability of {} on, to find {} % of them; {chosen}.\n",
            output::table(&["operating point", ">pictures", ">%", "95 % interval"], rows),
            probability(*threshold),
            percent(*wanted_recall)
        )
    }
}

/// A probability in so many digits that it is told from 0 and 1.
pub fn probability(value: f64) -> String {
    if (0.001..=0.999).contains(&value) { format!("{value:.3}") } else { format!("{value}") }
}

fn in_words(error: Error, (plan, (class, share)): (&Plan, (usize, f64))) -> anyhow::Error {
    let Error::FewToFind { rows, least } = error else { return plan.in_words(error, plan.config.folds) };
    let typed = format!("--recall {}={share}", plan.data.names[class]);
    anyhow!(
        "{typed} cannot be promised by the {rows} picture(s) of that class which a threshold is chosen on: it takes {least}; \
         ask for less, or add pictures to it"
    )
}

//! Scores of all taps of all stores, or why there are none.

use std::collections::{BTreeMap, BTreeSet};

use tapline_probe::Role;
use tapline_report::{Comparison, Report, Scores};

use super::verdict;
use crate::accuracy::{Accuracy, Interval};
use crate::args::MAX_LOSS;
use crate::args::{ComparedArgs, ProtocolArgs};
use crate::classes::Labelled;
use crate::commands::advise::{Found, field, likeness};
use crate::commands::compare::usual_strength;
use crate::learning;
use crate::output::{counted, percent};
use crate::plan::{Plan, copies};
use crate::probes::Probes;
use crate::report_scores::{self, all_unconverged};
use crate::stores::Stores;

/// What the similarity of a tap is.
const SIMILARITY: &str =
    "minus the shift of batch norms' channel means, in standard deviations; 0 is the pretraining set";

/// What probing the taps came to.
pub enum Probed {
    /// Every tap was scored.
    Scored(Box<Probes>),
    /// Nothing can be probed, and why.
    Not(String),
}

impl Probed {
    /// Scores all taps, or takes the scores kept; what cannot be probed for want of labels is no error.
    pub fn of(stores: &Stores, args: &ComparedArgs) -> anyhow::Result<Self> {
        if let Some(reason) = cannot_be_probed(stores, &args.protocol)? {
            eprintln!("tapline: nothing is probed: {reason}");
            return Ok(Self::Not(reason));
        }
        let plan = Plan::of_all(stores.listing(), args)?;
        Ok(Self::Scored(Box::new(Probes::of(stores, plan)?)))
    }

    /// Puts scores, classes and verdict into the report.
    pub fn fill(&self, stores: &Stores, report: &mut Report) -> anyhow::Result<()> {
        match self {
            Self::Scored(probes) => fill(probes, stores, report)?,
            Self::Not(reason) => {
                report.pictures = stores.good_rows().len();
                report.classes = classes(stores);
                report.verdict = verdict::without_probes(reason, report);
            }
        }
        Ok(())
    }

    /// The rows of the listing that are shown: those probed, or all with features.
    pub fn rows(&self, stores: &Stores) -> Vec<usize> {
        match self {
            Self::Scored(scored) => scored.plan.data.rows.clone(),
            Self::Not(_) => stores.good_rows(),
        }
    }
}

fn fill(probes: &Probes, stores: &Stores, report: &mut Report) -> anyhow::Result<()> {
    let data = &probes.plan.data;
    for (index, tap) in report.taps.iter_mut().enumerate() {
        tap.scores = Some(scores(probes, index));
        tap.comparison = Comparison { not_worse: Some(probes.comparison.is_in_set(index)), ..Comparison::default() };
    }
    let best = probes.comparison.verdict.leader;
    report.best = Some(best);
    let mut scored = probes.evaluations[best].scored_rows.clone();
    scored.dedup();
    report.pictures = scored.len();
    report.training = data.split.is_some().then(|| data.with_role(Role::Train).len());
    report.classes = data.classes().into_iter().map(|class| (class.name, class.pictures)).collect();
    report.interval = Interval::of(&probes.plan).name().to_owned();
    let expected = Accuracy::of_predicted(&probes.evaluations[0], &probes.nested.predicted, &probes.plan);
    report.expected = Some(plain(&expected));
    report.verdict = verdict::with_probes(probes, report)?;
    report.notes = notes(probes, stores);
    let found = Found::of(stores, probes, MAX_LOSS)?;
    report.field = Some(field(&found));
    let shifts = likeness::shifts(&found.evidence, probes);
    if shifts.iter().any(Option::is_some) {
        report.similarity = Some(SIMILARITY.to_owned());
        let seen = report.taps.iter_mut().zip(shifts);
        seen.for_each(|(tap, shift)| tap.comparison.similarity = shift.map(|shift| -shift));
    }
    if let Ok(learned) = learning::curve(stores, probes, best)? {
        report.learning = vec![learning::drawn(&learned, best)];
    }
    Ok(())
}

fn scores(probes: &Probes, tap: usize) -> Scores {
    let evaluation = &probes.evaluations[tap];
    let found = report_scores::Scores::of(evaluation, probes.controls[tap].clone(), &probes.plan);
    let strengths: Vec<f64> = evaluation.folds.iter().map(|fold| fold.choice.c).collect();
    Scores {
        correct: found.accuracy.correct,
        total: found.accuracy.total,
        accuracy: found.accuracy.accuracy,
        interval: found.accuracy.interval,
        balanced_accuracy: found.balanced_accuracy,
        macro_f1: found.macro_f1,
        top_five_accuracy: found.top_five_accuracy,
        auroc: found.auroc,
        calibration_error: found.calibration_error,
        log_loss: found.log_loss,
        control: found.control.map(|control| control.accuracy.accuracy),
        strength: usual_strength(&strengths),
        at_edge: evaluation.folds.iter().any(|fold| fold.choice.at_edge),
        not_converged: evaluation.not_converged.len(),
    }
}

/// What a reader must know to trust the scores.
fn notes(probes: &Probes, stores: &Stores) -> Vec<String> {
    let data = &probes.plan.data;
    let mut notes = Vec::new();
    notes.extend(Some(data.left_out.sentence().trim_end().to_owned()).filter(|note| !note.is_empty()));
    let copies = copies(stores.listing(), &data.rows, data.groups.as_ref());
    notes.extend(copies.map(|note| capitalised(&note) + "."));
    if let Some(shuffles) = probes.plan.shuffles {
        notes.push(format!(
            "Every picture counts as often as {} scored it, {} % of the pictures each; the map shows the first time.",
            counted(shuffles.count, "shuffle"),
            percent(shuffles.test_share)
        ));
    }
    notes.extend(all_unconverged(probes));
    notes
}

/// An accuracy in the words of the report.
pub fn plain(found: &Accuracy) -> tapline_report::Accuracy {
    tapline_report::Accuracy {
        correct: found.correct,
        total: found.total,
        accuracy: found.accuracy,
        interval: found.interval,
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Why the pictures cannot be probed whatever is typed; a protocol that does not suit them is an error instead.
fn cannot_be_probed(stores: &Stores, args: &ProtocolArgs) -> anyhow::Result<Option<String>> {
    let listing = stores.listing();
    let rows = stores.good_rows();
    let labels: BTreeSet<&str> = rows.iter().filter_map(|&row| listing.label.get(row)).collect();
    match labels.len() {
        0 => return Ok(Some("no picture has a label".to_owned())),
        1 => return Ok(Some("all labelled pictures belong to one class, and a classifier needs two".to_owned())),
        _ => {}
    }
    if args.split || args.group.is_some() {
        return Ok(None);
    }
    Ok(Labelled::of(listing, None, args.min_class)?
        .check_folds(args.folds, listing)
        .err()
        .map(|error| error.to_string()))
}

/// Classes of the pictures with features, for a report without probes.
fn classes(stores: &Stores) -> Vec<(String, usize)> {
    let mut sizes = BTreeMap::new();
    for row in stores.good_rows() {
        if let Some(label) = stores.listing().label.get(row) {
            *sizes.entry(label.to_owned()).or_insert(0) += 1;
        }
    }
    sizes.into_iter().collect()
}

/// The number of each class in the report.
pub fn class_numbers(stores: &Stores, probed: &Probed) -> BTreeMap<String, usize> {
    let names: Vec<String> = match probed {
        Probed::Scored(scored) => scored.plan.data.names.clone(),
        Probed::Not(_) => classes(stores).into_iter().map(|(name, _)| name).collect(),
    };
    names.into_iter().enumerate().map(|(number, name)| (name, number)).collect()
}

//! `--recall`: from which probability on one of two classes is called, and what that costs.

use anyhow::{anyhow, bail};
use serde::{Deserialize, Serialize};
use tapline_core::Store;
use tapline_probe::{Error, Evaluation, Score, grouped_interval, least_to_find, operate_across, operate_beside};
use tapline_report::probability;

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

impl OperatingPoint {
    /// `95`, as many digits as were typed.
    pub fn wanted_percent(&self) -> f64 {
        (1e8 * self.wanted_recall).round() / 1e6
    }
}

/// What thresholds were chosen on, those of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum ChosenOn {
    /// For each fold the other folds; the point's own threshold on all of them.
    OtherFolds,
    /// Folds of the training pictures.
    TrainingPictures,
}

/// An operating point and how it did.
#[derive(Debug, Serialize)]
pub struct Operated {
    #[serde(flatten)]
    pub point: OperatingPoint,
    /// The other class.
    other: String,
    chosen_on: ChosenOn,
    /// Pictures of the class that are called so (sensitivity); none where none was scored.
    pub recall: Option<Accuracy>,
    /// Pictures of the other class that are called the other class; none where none was scored.
    pub specificity: Option<Accuracy>,
    /// Pictures called so that are of the class; none where none is called, or none of the class was scored.
    pub precision: Option<Accuracy>,
    /// The class called for each score of the evaluation, by number.
    #[serde(skip)]
    pub called: Vec<usize>,
}

/// What was typed, if it can be done with these pictures: the class's number, and the recall.
pub fn check(typed: Option<&Recall>, plan: &Plan) -> anyhow::Result<Option<(usize, f64)>> {
    let Some(Recall { class: name, share }) = typed else { return Ok(None) };
    let names = &plan.data.names;
    let class = names.iter().position(|found| found == name);
    match class {
        None if plan.data.left_out.small_classes.contains(name) => {
            bail!("--recall: --min-class leaves out the class {}", quoted(name))
        }
        None => {
            let listed: Vec<String> = names.iter().take(2).map(|name| quoted(name)).collect();
            bail!("--recall: there is no class {}, but {}", quoted(name), listed.join(" and "))
        }
        Some(_) if names.len() > 2 => bail!(
            "--recall parts two classes, and there are {}: label the pictures {} and anything else in another table",
            names.len(),
            quoted(name)
        ),
        Some(class) => {
            check_enough(plan, class, *share)?;
            Ok(Some((class, *share)))
        }
    }
}

/// Refuses a class that has too few pictures for a threshold, before anything is fitted; how groups fall shows later.
fn check_enough(plan: &Plan, class: usize, share: f64) -> anyhow::Result<()> {
    let (pictures, least) = (plan.data.sizes()[class], least_to_find(share));
    let outside = |pictures: usize| match (&plan.data.split, &plan.data.groups) {
        (None, None) => pictures - pictures.div_ceil(plan.config.folds),
        _ => pictures,
    };
    if outside(pictures) >= least {
        return Ok(());
    }
    let wanted = (least..).find(|&pictures| outside(pictures) >= least).unwrap_or(least);
    let what = if plan.data.split.is_some() { "training picture(s)" } else { "picture(s)" };
    bail!(
        "--recall {share} takes {} {what} of the class {}, and there are {}: ask for less, or add some",
        count(wanted),
        quoted(&plan.data.names[class]),
        count(pictures)
    )
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
        let units = (&units(&scored.evaluation, &learning)[..], &units(evaluation, plan)[..]);
        let found = operate_beside((evaluation, &scored.evaluation), wanted, (units, plan.config.seed));
        Ok(Self::found((evaluation, plan), wanted, found.map_err(|error| in_words(error, plan))?))
    }

    /// The same of folds that take turns: each is called by the threshold of the others.
    pub fn across((evaluation, plan): (&Evaluation, &Plan), wanted: (usize, f64)) -> anyhow::Result<Self> {
        let found = operate_across(evaluation, wanted, (&units(evaluation, plan), plan.config.seed));
        Ok(Self::found((evaluation, plan), wanted, found.map_err(|error| in_words(error, plan))?))
    }

    fn found(
        (evaluation, plan): (&Evaluation, &Plan),
        (class, wanted_recall): (usize, f64),
        found: tapline_probe::Operated,
    ) -> Self {
        let (called, units) = (found.called, units(evaluation, plan));
        let of = |is_chosen: &dyn Fn(usize) -> bool, interval: Option<(f64, f64)>| {
            let chosen: Vec<usize> = (0..called.len()).filter(|&i| is_chosen(i)).collect();
            let correct = chosen.iter().filter(|&&i| evaluation.labels[i] == called[i]).count();
            let score = Score { correct, total: chosen.len() };
            // Where all resamples are alike, they say nothing of others.
            let interval = interval.filter(|(low, high)| low < high).unwrap_or_else(|| match plan.data.groups {
                Some(_) => {
                    let right: Vec<bool> = chosen.iter().map(|&i| evaluation.labels[i] == called[i]).collect();
                    let units: Vec<usize> = chosen.iter().map(|&i| units[i]).collect();
                    grouped_interval(&right, &units, plan.config.seed)
                }
                None => score.interval(),
            });
            (score.total > 0).then(|| Accuracy { correct, total: score.total, accuracy: score.accuracy(), interval })
        };
        let names = &plan.data.names;
        let recall = of(&|i| evaluation.labels[i] == class, None);
        Self {
            point: OperatingPoint {
                class: names[class].clone(),
                wanted_recall,
                threshold: 1.0 / (1.0 + (-found.threshold).exp()),
            },
            other: names[1 - class].clone(),
            chosen_on: if plan.data.split.is_some() { ChosenOn::TrainingPictures } else { ChosenOn::OtherFolds },
            specificity: of(&|i| evaluation.labels[i] != class, found.specificity),
            precision: recall.and_then(|_| of(&|i| called[i] == class, found.precision)),
            recall,
            called,
        }
    }

    /// The table and how it came about.
    pub fn text(&self) -> String {
        let (class, other) = (output::cell(&self.point.class), output::cell(&self.other));
        let parts = [
            (format!("recall (sensitivity): {class} called {class}"), &self.recall),
            (format!("specificity: {other} called {other}"), &self.specificity),
            (format!("precision: called {class} that are"), &self.precision),
        ];
        let rows = parts.into_iter().map(|(what, found)| match found {
            Some(found) => vec![
                what,
                format!("{} of {}", count(found.correct), count(found.total)),
                percent(found.accuracy),
                found.interval_text(),
            ],
            None => vec![what, "none".to_owned(), String::new(), String::new()],
        });
        let chosen = match self.chosen_on {
            ChosenOn::TrainingPictures => "chosen on folds of the training pictures",
            ChosenOn::OtherFolds => {
                "chosen on all folds; in the table each fold is called by the threshold of the others"
            }
        };
        format!(
            "\n{}A picture is called {class} from a probability of {} on, {chosen}. Intervals of specificity and precision choose \
             thresholds anew (bootstrap). All \
             scores above the table are of the more probable class.\n",
            output::table(
                &[&format!("to find {} % of {class}", self.point.wanted_percent()), ">pictures", ">%", "95 % interval"],
                rows
            ),
            probability(self.point.threshold),
        )
    }
}

/// What the scored pictures are drawn in, each by itself or in groups.
fn units(evaluation: &Evaluation, plan: &Plan) -> Vec<usize> {
    let unit = |&row: &usize| plan.data.groups.as_ref().map_or(row, |groups| groups.of_row[row]);
    evaluation.scored_rows.iter().map(unit).collect()
}

fn in_words(error: Error, plan: &Plan) -> anyhow::Error {
    match error {
        Error::FewToFind { rows, least } => anyhow!(
            "--recall: outside one of the folds there are {rows} picture(s) of the class to choose a threshold on, and it takes {least}: ask \
             for less, or add some"
        ),
        error => plan.in_words(error, plan.config.folds),
    }
}

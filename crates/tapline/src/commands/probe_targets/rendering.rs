//! The report on probes of several labels or of numbers, as text.

use tapline_probe::{LabelScores, NumberScores};

use super::super::compare::usual_strength;
use super::super::probe::{subject, written};
use super::{Report, TapReport, Target};
use crate::groups::GroupSizes;
use crate::output::{count, counted, percent, short};
use crate::report_scores::unconverged;
use crate::target_scores::TargetScores;
use crate::targets::{Task, wanted};
use crate::{output, shuffles, views};

/// Labels or targets that are counted in a heading.
const NAMED: usize = 6;

pub fn render(report: &Report) -> String {
    let mut text = match report.taps.as_slice() {
        [tap] => one(report, tap),
        taps => all(report, taps),
    };
    text += &unscored(report);
    if report.taps.iter().any(TapReport::at_edge) {
        text += "* the strength lies at the edge of the grid in some fold; a wider one (--strengths) may do better.\n";
    }
    for tap in &report.taps {
        let (of, chosen) = (format!(" on {}", tap.name), tap.folds.iter().map(|fold| fold.strength));
        text += &unconverged(&tap.not_converged, (tap.fits, &of), chosen);
    }
    let missing = match report.task {
        Task::MultiLabel => "a label".to_owned(),
        Task::Regression => wanted(&names(report)),
    };
    text += &report.left_out.sentence_of(&missing);
    text + &written((report.pictures, report.split), (&report.saved, &report.predictions))
}

fn names(report: &Report) -> Vec<String> {
    report.targets.iter().map(|target| short(&target.name)).collect()
}

/// One tap in detail.
fn one(report: &Report, tap: &TapReport) -> String {
    let scored = format!("{} {}", count(tap.scored), if report.shuffles.is_some() { "scores" } else { "pictures" });
    let subject = subject((&report.model, report.views), &tap.taps, &report.protocol);
    let what = match &tap.scores {
        TargetScores::Labels(labels) => format!("mAP {} %", share(labels.mean_average_precision)),
        TargetScores::Numbers(numbers) => format!("R² {}", figure(numbers.r2)),
    };
    let mut text = format!("{subject}: {what} of {scored} (95 % {} {})\n", report.interval.name(), interval(tap));
    text += &match &tap.scores {
        TargetScores::Labels(labels) => of_labels(report, labels),
        TargetScores::Numbers(numbers) => of_numbers(report, numbers),
    };
    let folds = tap.folds.iter().enumerate().map(|(index, fold)| {
        vec![
            if report.split.is_some() { "test".to_owned() } else { (index + 1).to_string() },
            count(fold.scored),
            format!("{}{}", output::strength(fold.strength), if fold.at_edge { "*" } else { "" }),
        ]
    });
    let part = if report.shuffles.is_some() { ">shuffle" } else { ">fold" };
    text + "\n" + &output::table(&[part, ">pictures", ">strength"], folds)
}

fn of_labels(report: &Report, labels: &LabelScores) -> String {
    let rows = report.targets.iter().zip(&labels.labels).map(|(target, label)| {
        vec![output::cell(&target.name), count(label.positives), share(label.average_precision), share(label.f1)]
    });
    format!(
        "micro F1 {} %, macro F1 {} %, log loss {:.3} nats\n\n{}",
        share(labels.micro_f1),
        share(labels.macro_f1),
        labels.log_loss,
        output::table(&["label", ">pictures", ">average precision %", ">F1 %"], rows)
    )
}

fn of_numbers(report: &Report, numbers: &NumberScores) -> String {
    let rows = report.targets.iter().zip(&numbers.targets).map(|(target, scores)| {
        vec![
            output::cell(&target.name),
            figure(scores.r2),
            measure(scores.mean_absolute_error),
            measure(scores.root_mean_squared_error),
        ]
    });
    let cosine = numbers.median_cosine.map_or(String::new(), |cosine| format!("median cosine {cosine:.3}\n"));
    format!("{cosine}\n{}", output::table(&["target", ">R²", ">mean absolute error", ">RMSE"], rows))
}

/// All taps in one table.
fn all(report: &Report, taps: &[TapReport]) -> String {
    let single = report.targets.len() == 1;
    let scores: &[&str] = match (report.task, single) {
        (Task::MultiLabel, _) => &[">mAP %", "95 % interval", ">micro F1 %", ">macro F1 %", ">log loss"],
        (Task::Regression, true) => &[">R²", "95 % interval", ">MAE", ">RMSE"],
        (Task::Regression, false) => &[">R²", "95 % interval", ">cosine"],
    };
    let rows = taps.iter().map(|tap| {
        let mut cells = vec![
            output::cell(&tap.name),
            tap.pooling.clone(),
            tap.features.to_string(),
            format!("{} %", percent(tap.cost_share)),
        ];
        match &tap.scores {
            TargetScores::Labels(labels) => cells.extend([
                share(labels.mean_average_precision),
                interval(tap),
                share(labels.micro_f1),
                share(labels.macro_f1),
                format!("{:.3}", labels.log_loss),
            ]),
            TargetScores::Numbers(numbers) => {
                cells.extend([figure(numbers.r2), interval(tap)]);
                match numbers.targets.as_slice() {
                    [one] => cells.extend([measure(one.mean_absolute_error), measure(one.root_mean_squared_error)]),
                    _ => cells.push(figure(numbers.median_cosine)),
                }
            }
        }
        let strengths: Vec<f64> = tap.folds.iter().map(|fold| fold.strength).collect();
        let edge = if tap.at_edge() { "*" } else { "" };
        cells.push(format!("{}{edge}", output::strength(usual_strength(&strengths))));
        cells.push(format!("{:.1}", tap.seconds));
        cells
    });
    let headers = [&["tap", "pooling", ">features", ">cost"][..], scores, &[">strength", ">seconds"][..]].concat();
    format!(
        "{}\n\n{}\nIntervals are of each tap by itself ({}); the best of {} taps by the same pictures is an optimistic choice.\n",
        heading(report),
        output::table(&headers, rows),
        report.interval.name(),
        taps.len()
    )
}

/// What was probed, on which pictures, by which protocol.
fn heading(report: &Report) -> String {
    let pictures = match report.split {
        Some(split) => format!("{} training pictures, scored on {}", count(split.train), count(split.test)),
        None => counted(report.pictures, "picture"),
    };
    let named = |target: &Target| match target.pictures {
        Some(pictures) => format!("{} {}", count(pictures), short(&target.name)),
        None => short(&target.name),
    };
    let mut targets: Vec<String> = report.targets.iter().take(NAMED).map(named).collect();
    if report.targets.len() > NAMED {
        targets.push(format!("{} more", report.targets.len() - NAMED));
    }
    format!(
        "{}: {} probes on {}{pictures} ({}), {} folds{}{}, seed {}",
        report.model,
        match report.task {
            Task::MultiLabel => "multi-label",
            Task::Regression => "ridge",
        },
        views::mean_of(report.views),
        targets.join(", "),
        report.protocol.folds,
        report.groups.as_ref().map(GroupSizes::text).unwrap_or_default(),
        shuffles::heading(report.shuffles, &report.protocol),
        report.protocol.seed,
    )
}

/// The labels or targets that the scored pictures say nothing of, as a line; all taps are scored on the same ones.
fn unscored(report: &Report) -> String {
    let silent: Vec<bool> = match report.taps.first().map(|tap| &tap.scores) {
        Some(TargetScores::Labels(labels)) => labels.labels.iter().map(|label| label.positives == 0).collect(),
        Some(TargetScores::Numbers(numbers)) => numbers.targets.iter().map(|target| target.r2.is_none()).collect(),
        None => Vec::new(),
    };
    let names: Vec<String> = report
        .targets
        .iter()
        .zip(silent)
        .filter(|(_, silent)| *silent)
        .map(|(target, _)| short(&target.name))
        .collect();
    match (names.as_slice(), report.task) {
        ([], _) => String::new(),
        (names, Task::MultiLabel) => {
            format!("No picture scored has {}: left out of mAP and macro F1.\n", names.join(", "))
        }
        (names, Task::Regression) => {
            format!("{} is the same in all pictures scored: left out of R².\n", names.join(", "))
        }
    }
}

fn interval(tap: &TapReport) -> String {
    let Some((low, high)) = tap.interval else { return "–".to_owned() };
    match tap.scores {
        TargetScores::Labels(_) => format!("{} to {}", percent(low), percent(high)),
        TargetScores::Numbers(_) => format!("{low:.3} to {high:.3}"),
    }
}

fn share(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), percent)
}

fn figure(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

/// A number in a target's unit, to three digits.
fn measure(value: f64) -> String {
    output::strength(value)
}

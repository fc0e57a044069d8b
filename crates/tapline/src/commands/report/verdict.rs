//! The verdict in two sentences.

use tapline_probe::sign_test;
use tapline_report::{Accuracy, Report, TapRow};

use super::probed::Scored;
use crate::commands::compare::disagreement;
use crate::output::{count, percent};

/// Which layer is best and how it compares with the top; what may be expected of new pictures.
pub fn with_probes(scored: &Scored, report: &Report) -> Vec<String> {
    let (Some(best), Some(expected)) = (report.best, report.expected) else { return Vec::new() };
    let Some(scores) = &report.taps[best].scores else { return Vec::new() };
    let first = format!(
        "A linear classifier does best on {}: {} % of {} pictures right (95 % {} {}){}.",
        report.tap_name(best),
        percent(scores.accuracy),
        count(scores.total),
        report.interval,
        interval(scores.interval),
        against_top(scored, report, best)
    );
    vec![first, expectation(&expected)]
}

fn interval((low, high): (f64, f64)) -> String {
    format!("{} to {}", percent(low), percent(high))
}

/// How the top layer of the same network compares.
fn against_top(scored: &Scored, report: &Report, best: usize) -> String {
    let network = report.taps[best].backbone;
    let is_top = |tap: &TapRow| tap.top && tap.backbone == network;
    let Some(top) = report.taps.iter().position(is_top).filter(|&top| top != best) else {
        return if report.taps[best].top { ", the top layer".to_owned() } else { String::new() };
    };
    let (here, there) = (&scored.evaluations[best], &scored.evaluations[top]);
    let (behind, total) = (here.score().correct - there.score().correct, here.labels.len());
    let name = report.tap_name(top);
    if behind == 0 {
        return format!("; the top layer, {name}, has as many right");
    }
    let points = format!("; the top layer, {name}, is {} points behind", percent(behind as f64 / total as f64));
    if scored.plan.data.groups.is_some() {
        return points;
    }
    let (only_best, only_top) = disagreement(here, there);
    match sign_test(only_best, only_top) {
        p if p >= 0.05 => format!("{points}, which may be chance (paired sign test, p = {p:.2})"),
        p => format!(
            "{points} (paired sign test, p = {p:.4}, before allowing for the choice of the best of {})",
            report.taps.len()
        ),
    }
}

fn expectation(expected: &Accuracy) -> String {
    format!(
        "Expect {} % (95 % interval {}) of new pictures like these: that is the score when the layer, too, is chosen without \
         the pictures that score it.",
        percent(expected.accuracy),
        interval(expected.interval)
    )
}

/// What there is instead of scores.
pub fn without_probes(reason: &str, report: &Report) -> Vec<String> {
    let pictures =
        if report.pictures == 1 { "1 picture".to_owned() } else { format!("{} pictures", count(report.pictures)) };
    vec![
        format!("No layer was scored: {reason}."),
        format!("This report holds the map of {pictures} and where the features come from."),
    ]
}

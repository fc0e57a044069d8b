//! The verdict in a few sentences.

use tapline_report::{Accuracy, Report};

use crate::output::{count, percent};
use crate::probes::Probes;

/// Which layer is best, who is as good and how the top layers compare; what may be expected of new pictures.
pub fn with_probes(probes: &Probes, report: &Report) -> anyhow::Result<Vec<String>> {
    let (Some(best), Some(expected)) = (report.best, report.expected) else { return Ok(Vec::new()) };
    let Some(scores) = &report.taps[best].scores else { return Ok(Vec::new()) };
    // Only a card says where the network's own classifier begins; without one the deepest tap may belong to it.
    let known = report.taps.iter().any(|tap| tap.backbone == report.taps[best].backbone && tap.classifier);
    let top = match report.taps[best].top {
        true if known => ", the top layer",
        true => ", the deepest layer probed",
        false => "",
    };
    let first = format!(
        "A linear classifier does best on {}{top}: {} % of {} {} right (95 % {} {}).",
        report.tap_name(best),
        percent(scores.accuracy),
        count(scores.total),
        if probes.plan.shuffles.is_some() { "scores" } else { "pictures" },
        report.interval,
        interval(scores.interval),
    );
    let comparison = &probes.comparison;
    let set = comparison.set_sentence().replace(" (=, level", " (level");
    let tops = comparison.top_sentences(&comparison.tops()?);
    let sentences = std::iter::once(first).chain(Some(set).filter(|set| !set.is_empty())).chain(tops);
    Ok(sentences.chain(Some(expectation(&expected))).collect())
}

fn interval((low, high): (f64, f64)) -> String {
    format!("{} to {}", percent(low), percent(high))
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

//! The ROC curve of two classes: how many of one are found, and how many false alarms that costs.

use super::Figure;
use super::frame::{Frame, per_cent};
use crate::escape::{line, shortened};
use crate::numbers::percent;
use crate::svg::{Anchor, Scale, Svg};
use crate::{Layer, OperatingPoint, Report, Roc};

/// Corners that are drawn of a curve, about.
const CORNERS: usize = 400;

/// Share found against share of the other class called wrongly, with operating points; none of more than two classes.
pub(crate) fn roc(report: &Report, layer: &Layer) -> Option<Figure> {
    let found = layer.roc.as_ref()?;
    let (class, other) = [found.class, 1 - found.class].map(|class| line(&shortened(report.class_name(class)))).into();
    let mut svg = Svg::new(412.0, 386.0);
    let frame = Frame {
        x: Scale { domain: (0.0, 1.0), range: (62.0, 386.0) },
        y: Scale { domain: (0.0, 1.0), range: (338.0, 14.0) },
        x_name: "false alarms: share of the other class called wrongly",
        y_name: "share found (recall)",
    };
    for share in [0.2, 0.4, 0.6, 0.8, 1.0] {
        svg.line("grid", frame.at(share, 0.0), frame.at(share, 1.0));
    }
    frame.draw(&mut svg, (5, 5), [per_cent; 2]);
    svg.line("diagonal", frame.at(0.0, 0.0), frame.at(1.0, 1.0));
    let corners: Vec<_> = thinned(&found.curve).into_iter().map(|(x, y)| frame.at(x, y)).collect();
    svg.polyline("line s0", &corners);
    if let Some((alarms, recall)) = usual(layer, found) {
        let title = format!(
            "{} % found at {} % false alarms, the more probable class being called",
            percent(recall),
            percent(alarms)
        );
        svg.mark("open", 0, frame.at(alarms, recall), &title);
    }
    for point in &found.points {
        let (x, y) = frame.at(1.0 - point.specificity.accuracy, point.recall.accuracy);
        svg.mark("", 3, (x, y), &said(point));
        svg.text("small", Anchor::Start, (x + 8.0, y + 13.0), &per_cent(point.wanted_recall));
    }
    let scores = report.taps[layer.tap].scores.as_ref();
    let area = scores.and_then(|scores| scores.auroc).map_or(String::new(), |area| format!(", area {area:.3}"));
    let points: String = found.points.iter().map(|point| format!("; {}", said(point))).collect();
    let description = format!(
        "ROC curve at {}{area}: share of {class} found against share of {other} called {class}{points}.",
        report.tap_name(layer.tap)
    );
    Some(Figure { name: "roc", title: format!("What it costs to find more of {class}"), description, svg })
}

fn said(point: &OperatingPoint) -> String {
    format!(
        "{} % found at {} % false alarms, to find {}",
        percent(point.recall.accuracy),
        percent(1.0 - point.specificity.accuracy),
        per_cent(point.wanted_recall)
    )
}

/// False alarms and recall where the more probable class is called.
fn usual(layer: &Layer, found: &Roc) -> Option<(f64, f64)> {
    let share = |truth: usize| {
        let counts = layer.confusion.counts.get(truth)?;
        Some(*counts.get(found.class)? as f64 / counts.iter().sum::<usize>().max(1) as f64)
    };
    Some((share(1 - found.class)?, share(found.class)?))
}

/// A curve of not many more than [`CORNERS`] corners, its ends among them.
fn thinned(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = curve.len().div_ceil(CORNERS).max(1);
    let last = curve.len().saturating_sub(1);
    curve
        .iter()
        .enumerate()
        .filter(|(index, _)| index % step == 0 || *index == last)
        .map(|(_, &corner)| corner)
        .collect()
}

//! The reliability diagram: whether probabilities keep what they promise.

use super::Figure;
use super::frame::{Frame, per_cent};
use crate::numbers::{count, counted, percent};
use crate::svg::{Scale, Svg};
use crate::{Layer, Report};

/// Share right against probability, and how many predictions there are of each; none without predictions.
pub(crate) fn calibration(report: &Report, layer: &Layer) -> Option<Figure> {
    let bins: Vec<_> = layer.calibration.iter().filter(|bin| bin.total > 0).collect();
    let most = bins.iter().map(|bin| bin.total).max()? as f64;
    let mut svg = Svg::new(412.0, 430.0);
    let x = Scale { domain: (0.0, 1.0), range: (62.0, 386.0) };
    let frame = Frame {
        x,
        y: Scale { domain: (0.0, 1.0), range: (310.0, 14.0) },
        x_name: "",
        y_name: "share of pictures right",
    };
    frame.draw(&mut svg, (0, 5), [per_cent; 2]);
    svg.line("diagonal", frame.at(0.0, 0.0), frame.at(1.0, 1.0));
    let counts = Frame {
        x,
        y: Scale { domain: (0.0, most), range: (384.0, 336.0) },
        x_name: "probability of the predicted class",
        y_name: "pictures",
    };
    let width = 324.0 / layer.calibration.len() as f64;
    for (index, bin) in layer.calibration.iter().enumerate().filter(|(_, bin)| bin.total > 0) {
        let share = bin.correct as f64 / bin.total as f64;
        let title = format!(
            "{} of a mean probability of {} %: {} % right",
            counted(bin.total, "picture"),
            percent(bin.probability),
            percent(share)
        );
        svg.line("whisker s0", frame.at(bin.probability, bin.interval.0), frame.at(bin.probability, bin.interval.1));
        svg.mark("", 0, frame.at(bin.probability, share), &title);
        let top = counts.y.at(bin.total as f64);
        svg.rect("bar", (62.0 + index as f64 * width + 1.0, top), (width - 2.0, 384.0 - top), &title);
    }
    let whole = |value: f64| count(value as usize);
    counts.draw(&mut svg, (5, 1), [per_cent, whole]);
    let error = report.taps[layer.tap].scores.as_ref().map_or(f64::NAN, |scores| scores.calibration_error);
    let description = format!(
        "Reliability diagram at {}: share of pictures right against the probability given, mean gap {} points. \
         Marks on the diagonal keep their promise; above it they are too unsure, below too sure.",
        report.tap_name(layer.tap),
        percent(error)
    );
    Some(Figure { name: "calibration", title: "Whether probabilities keep their promise".to_owned(), description, svg })
}

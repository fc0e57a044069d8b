//! The confusion matrix: shaded by the share of each true class.

use std::f64::consts::FRAC_1_SQRT_2;

use super::{Figure, class_names};
use crate::escape::{shortened_to, width};
use crate::numbers::{count, percent};
use crate::svg::{Anchor, Svg};
use crate::{Layer, Report};

/// Pixels that a class's name takes at most.
const ROOM: f64 = 130.0;

/// Counts by true and predicted class; none where there are too many classes to draw.
pub(crate) fn confusion(report: &Report, layer: &Layer) -> Option<Figure> {
    let counts = &layer.confusion.counts;
    if counts.is_empty() {
        return None;
    }
    let classes = counts.len();
    let side = if classes <= 6 { 84.0 } else { 36.0 };
    let names = class_names(report, ROOM);
    let heads = class_names(report, side - 6.0);
    let longest = names.iter().map(|name| width(name)).fold(0.0, f64::max);
    // Names of columns run up to the right at 45 degrees.
    let rise = longest * FRAC_1_SQRT_2 + 24.0;
    let (left, top) = ((40.0 + longest).max(90.0), if classes <= 6 { 58.0 } else { rise + 20.0 });
    let size = side * classes as f64;
    let mut svg = Svg::new((left + size + if classes <= 6 { 20.0 } else { rise }).max(330.0), top + size + 12.0);
    svg.text("", Anchor::Middle, (left + size / 2.0, 14.0), "predicted");
    svg.turned_text("", Anchor::Middle, (14.0, top + size / 2.0), -90, "true class");
    for (class, row) in counts.iter().enumerate() {
        let name = &names[class];
        let middle = (class as f64 + 0.5) * side;
        svg.text("name", Anchor::End, (left - 12.0, top + middle + 4.0), name);
        if classes <= 6 {
            let short = &heads[class];
            svg.text("name", Anchor::Middle, (left + middle, top - 12.0), short);
        } else {
            svg.turned_text("name", Anchor::Start, (left + middle + 2.0, top - 10.0), -45, name);
        }
        let of: usize = row.iter().sum();
        for (predicted, &pictures) in row.iter().enumerate() {
            let share = if of > 0 { pictures as f64 / of as f64 } else { 0.0 };
            let level = (share * 9.0).ceil() as usize;
            let at = (left + predicted as f64 * side, top + class as f64 * side);
            let title = format!(
                "{} of {} {} taken for {} ({} %)",
                count(pictures),
                count(of),
                shortened_to(report.class_name(class), 60),
                shortened_to(report.class_name(predicted), 60),
                percent(share)
            );
            svg.rect(&format!("cell q{level}"), at, (side, side), &title);
            let text = if level >= 6 { "on" } else { "name" };
            let centre = (at.0 + side / 2.0, at.1 + side / 2.0);
            if classes <= 6 {
                svg.text(text, Anchor::Middle, (centre.0, centre.1), &count(pictures));
                svg.text(
                    &format!("{text} small"),
                    Anchor::Middle,
                    (centre.0, centre.1 + 16.0),
                    &format!("{} %", percent(share)),
                );
            } else if pictures > 0 {
                svg.text(&format!("{text} small"), Anchor::Middle, (centre.0, centre.1 + 4.0), &count(pictures));
            }
        }
    }
    let right: usize = (0..classes).map(|class| counts[class][class]).sum();
    let all: usize = counts.iter().flatten().sum();
    let description = format!(
        "Confusion matrix of {} classes at {}: {} of {} pictures on the diagonal.",
        classes,
        report.tap_name(layer.tap),
        count(right),
        count(all)
    );
    Some(Figure { name: "confusion", title: "Which classes are taken for which".to_owned(), description, svg })
}

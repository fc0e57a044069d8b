//! Learning curves: accuracy against the number of pictures to learn from, with the law fitted and where it leads.

use super::Figure;
use super::frame::{per_cent, with_air};
use crate::escape::shortened_to;
use crate::numbers::{count, percent, ticks};
use crate::svg::{Anchor, SERIES, Scale, Svg};
use crate::{LearningCurve, LearningPoint, Report};

const WIDTH: f64 = 760.0;

/// Accuracy against pictures to learn from, on a logarithmic scale; none where no curve was computed.
pub(crate) fn learning(report: &Report) -> Option<Figure> {
    let curves: Vec<&LearningCurve> = report.learning.iter().filter(|c| !c.points.is_empty()).take(SERIES).collect();
    let fitted = |curve: &LearningCurve| curve.fit.iter().flat_map(|fit| fit.curve.clone()).collect::<Vec<_>>();
    let all: Vec<LearningPoint> =
        curves.iter().flat_map(|c| c.points.iter().copied().chain(fitted(c))).filter(|p| p.pictures > 0).collect();
    let (fewest, most) = (all.iter().map(|p| p.pictures).min()?, all.iter().map(|p| p.pictures).max()?);
    let low = all.iter().map(|p| p.interval.0.min(p.accuracy)).fold(1.0, f64::min);
    let high = all.iter().map(|p| p.interval.1.max(p.accuracy)).fold(0.0, f64::max);
    let top = 16.0 + 20.0 * curves.len() as f64;
    let mut svg = Svg::new(WIDTH, top + 310.0);
    let x = Scale { domain: ((fewest as f64).ln(), (most as f64).ln()), range: (62.0, WIDTH - 18.0) };
    let y = Scale { domain: with_air((low, high), (0.0, 1.0)), range: (top + 260.0, top) };
    axes(&mut svg, &x, &y, &sizes(&curves));
    for (series, curve) in curves.iter().enumerate() {
        let at = |p: &LearningPoint, share: f64| (x.at((p.pictures as f64).ln()), y.at(share));
        let fit = fitted(curve);
        let mut band: Vec<(f64, f64)> = fit.iter().map(|p| at(p, p.interval.0)).collect();
        band.extend(fit.iter().rev().map(|p| at(p, p.interval.1)));
        svg.polygon(&format!("band s{series}"), &band);
        svg.polyline(&format!("line s{series}"), &fit.iter().map(|p| at(p, p.accuracy)).collect::<Vec<_>>());
        for p in &curve.points {
            svg.line(&format!("whisker s{series}"), at(p, p.interval.0), at(p, p.interval.1));
            svg.mark(
                "",
                series,
                at(p, p.accuracy),
                &format!("{} pictures: {} %", count(p.pictures), percent(p.accuracy)),
            );
        }
        let legend = 14.0 + 20.0 * series as f64;
        svg.mark("", series, (70.0, legend), "");
        svg.text("name", Anchor::Start, (82.0, legend + 4.0), &shortened_to(&report.tap_name(curve.tap), 60));
    }
    let sentences: Vec<&str> = curves.iter().filter_map(|c| Some(c.fit.as_ref()?.sentence.as_str())).collect();
    let description = format!(
        "Accuracy against pictures to learn from, {} to {}. {}",
        count(fewest),
        count(most),
        sentences.join(" ")
    );
    Some(Figure { name: "learning", title: "Accuracy by number of pictures".to_owned(), description, svg })
}

/// Sizes that were measured, and where the fitted laws end: ascending, each once.
fn sizes(curves: &[&LearningCurve]) -> Vec<usize> {
    let ends = curves.iter().filter_map(|c| c.fit.as_ref()?.curve.last());
    let points = curves.iter().flat_map(|c| &c.points).chain(ends);
    let mut sizes: Vec<usize> = points.map(|p| p.pictures).filter(|&pictures| pictures > 0).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

fn axes(svg: &mut Svg, x: &Scale, y: &Scale, sizes: &[usize]) {
    let ((left, right), bottom) = (x.range, y.range.0);
    for value in ticks(y.domain.0, y.domain.1, 5) {
        svg.line("grid", (left, y.at(value)), (right, y.at(value)));
        svg.text("small", Anchor::End, (left - 7.0, y.at(value) + 4.0), &per_cent(value));
    }
    svg.line("axis", (left, bottom), (right, bottom));
    let mut free_from = f64::NEG_INFINITY;
    for &size in sizes {
        let place = x.at((size as f64).ln());
        if place >= free_from {
            svg.text("small", Anchor::Middle, (place, bottom + 17.0), &count(size));
            free_from = place + 46.0;
        }
    }
    svg.text("", Anchor::Middle, ((left + right) / 2.0, bottom + 36.0), "pictures to learn from");
    svg.turned_text("", Anchor::Middle, (left - 42.0, (y.range.1 + bottom) / 2.0), -90, "pictures right");
}

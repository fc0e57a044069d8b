//! Pictures as points in feature space.

use super::{Figure, class_names};
use crate::numbers::{count, percent};
use crate::svg::{Anchor, SERIES, Svg};
use crate::{MapLayer, Report};

/// Width and height of the drawing's field.
pub(crate) const SIDE: (f64, f64) = (720.0, 480.0);
const AIR: f64 = 14.0;

/// The colour and shape of each class: the largest seven have one of their own, the others share none.
pub(crate) fn class_series(report: &Report) -> Vec<Option<usize>> {
    let classes = report.classes.len();
    // The last mark but one, the cross, stands for what is wrong.
    let marks: Vec<usize> = (0..SERIES).filter(|&mark| mark != crate::svg::CROSS).collect();
    let mut order: Vec<usize> = (0..classes).collect();
    if classes > marks.len() {
        order.sort_by_key(|&class| std::cmp::Reverse(report.classes[class].1));
    }
    let mut series = vec![None; classes];
    order.iter().zip(marks).for_each(|(&class, mark)| series[class] = Some(mark));
    series
}

/// Places of points in the drawing, whole tenths of a pixel, as wide as it can be without stretching one axis.
pub(crate) fn place(points: &[[f32; 2]]) -> Vec<(f64, f64)> {
    let range = |axis: usize| {
        points
            .iter()
            .map(|p| f64::from(p[axis]))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)))
    };
    let (x, y) = (range(0), range(1));
    let room = (SIDE.0 - 2.0 * AIR, SIDE.1 - 2.0 * AIR);
    let factor = |width: f64, room: f64| if width > 0.0 { room / width } else { f64::INFINITY };
    let factor = factor(x.1 - x.0, room.0).min(factor(y.1 - y.0, room.1));
    let factor = if factor.is_finite() { factor } else { 0.0 };
    let middle = ((x.0 + x.1) / 2.0, (y.0 + y.1) / 2.0);
    let round = |value: f64| (value * 10.0).round() / 10.0;
    let at = |p: &[f32; 2]| {
        let (dx, dy) = (f64::from(p[0]) - middle.0, f64::from(p[1]) - middle.1);
        (round(SIDE.0 / 2.0 + dx * factor), round(SIDE.1 / 2.0 - dy * factor))
    };
    points.iter().map(at).collect()
}

/// The points of one tap by t-SNE where there is one, else by principal components; none without points.
pub(crate) fn map(report: &Report, layer: &MapLayer) -> Option<Figure> {
    let map = report.map.as_ref()?;
    let places = place(layer.tsne.as_ref().unwrap_or(&layer.pca));
    if places.is_empty() {
        return None;
    }
    let series = class_series(report);
    let named: Vec<usize> = (0..series.len()).filter(|&class| series[class].is_some()).collect();
    let names = class_names(report, 150.0);
    let columns = 4;
    let legend = 20.0 * named.len().div_ceil(columns) as f64;
    let mut svg = Svg::new(SIDE.0, SIDE.1 + legend);
    svg.define_marks();
    for (point, at) in map.points.iter().zip(&places) {
        let mark = point.label.and_then(|label| series.get(label).copied().flatten());
        match mark {
            Some(mark) => svg.point(&format!("s{mark}"), mark, *at),
            None => svg.point("other", 0, *at),
        }
    }
    svg.open("classes");
    for (entry, &class) in named.iter().enumerate() {
        let at = (14.0 + (entry % columns) as f64 * 176.0, SIDE.1 + 8.0 + 20.0 * (entry / columns) as f64);
        svg.mark("", series[class].unwrap_or(0), at, "");
        svg.text("name", Anchor::Start, (at.0 + 12.0, at.1 + 4.0), &names[class]);
    }
    svg.close();
    // Shown by the page where points are coloured by what was predicted.
    svg.open("errors");
    svg.mark("is-right", 0, (14.0, SIDE.1 + 8.0), "");
    svg.text("name", Anchor::Start, (26.0, SIDE.1 + 12.0), "right");
    svg.mark("is-wrong", crate::svg::CROSS, (190.0, SIDE.1 + 8.0), "");
    svg.text("name", Anchor::Start, (202.0, SIDE.1 + 12.0), "wrong");
    svg.mark("is-unscored", 0, (366.0, SIDE.1 + 8.0), "");
    svg.text("name", Anchor::Start, (378.0, SIDE.1 + 12.0), "not scored: learnt from, or without a class");
    svg.close();
    let how = match layer.tsne {
        Some(_) => "t-SNE".to_owned(),
        None => format!(
            "the first two principal components, {} % and {} % of the variance",
            percent(layer.explained[0]),
            percent(layer.explained[1])
        ),
    };
    let sampled =
        if map.points.len() < map.pictures { format!(", a sample of {}", count(map.pictures)) } else { String::new() };
    let description = format!(
        "Map of {} pictures{sampled} by their features at {}, by {how}: near points look alike to the network.",
        count(map.points.len()),
        report.tap_name(layer.tap)
    );
    Some(Figure { name: "map", title: "Pictures in feature space".to_owned(), description, svg })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_fill_the_field_and_keep_their_proportions() {
        let places = place(&[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]);
        let up = places[0].1 - places[2].1;
        assert!((up - (SIDE.1 - 2.0 * AIR)).abs() < 0.11, "{places:?}");
        assert!((places[1].0 - places[0].0 - up / 2.0).abs() < 0.11, "{places:?}");
    }

    #[test]
    fn points_that_are_all_alike_lie_in_the_middle() {
        assert_eq!(place(&[[5.0, 5.0]; 2]), [(SIDE.0 / 2.0, SIDE.1 / 2.0); 2]);
    }

    #[test]
    fn of_many_classes_the_largest_have_colours_and_none_has_the_cross() {
        let mut report = Report { classes: (0..12).map(|c| (format!("c{c}"), c)).collect(), ..Report::default() };
        let series = class_series(&report);
        assert_eq!(series.iter().flatten().count(), 7);
        assert!(series[..5].iter().all(Option::is_none) && !series.contains(&Some(crate::svg::CROSS)));
        report.classes.truncate(2);
        assert_eq!(class_series(&report), [Some(0), Some(1)]);
    }
}

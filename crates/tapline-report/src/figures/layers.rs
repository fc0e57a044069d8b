//! The layer curve: accuracy against depth, one line for each network and pooling; and similarity on the same axis.

use super::Figure;
use super::frame::{Frame, per_cent, with_air};
use crate::escape::shortened_to;
use crate::numbers::{count, percent};
use crate::svg::{Anchor, SERIES, Scale, Svg};
use crate::{Report, TapRow};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 24.0;
const X_NAME: &str = "depth: share of the network's arithmetic needed to reach the layer";

/// Taps of one network and one pooling, from shallow to deep: positions in `taps`.
struct Line {
    name: String,
    taps: Vec<usize>,
}

/// One line for each network and pooling, at most as many as can be told apart, and how many there are. Poolings with a
/// single tap (a classifier's `flatten`) join the longest line of their network; joined taps have a line of their own.
fn lines(report: &Report) -> (Vec<Line>, usize) {
    let mut found: Vec<Line> = Vec::new();
    for backbone in 0..report.backbones.len() {
        let taps = (0..report.taps.len()).filter(|&tap| report.taps[tap].backbone == backbone);
        let (joined, taps): (Vec<usize>, Vec<usize>) = taps.partition(|&tap| report.taps[tap].joined);
        let mut poolings: Vec<(&str, Vec<usize>)> = Vec::new();
        for &tap in &taps {
            let pooling = report.taps[tap].pooling.as_str();
            match poolings.iter_mut().find(|(name, _)| *name == pooling) {
                Some((_, taps)) => taps.push(tap),
                None => poolings.push((pooling, vec![tap])),
            }
        }
        poolings.sort_by_key(|(_, taps)| std::cmp::Reverse(taps.len()));
        let several = poolings.iter().filter(|(_, taps)| taps.len() > 1).count().max(1);
        let rest: Vec<usize> = poolings.drain(several..).flat_map(|(_, taps)| taps).collect();
        if let Some((_, taps)) = poolings.first_mut() {
            taps.extend(rest);
            taps.sort_unstable();
        }
        let name = &report.backbones[backbone].name;
        found.extend(poolings.into_iter().map(|(pooling, taps)| Line { name: format!("{name}, {pooling}"), taps }));
        if !joined.is_empty() {
            found.push(Line { name: format!("{name}, joined taps"), taps: joined });
        }
    }
    let all = found.len();
    // Of too many the best ones, in their order.
    let best = |line: &Line| {
        let scores = line.taps.iter().filter_map(|&tap| report.taps[tap].scores.as_ref());
        scores.map(|scores| scores.accuracy).fold(0.0, f64::max)
    };
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by(|&a, &b| best(&found[b]).total_cmp(&best(&found[a])));
    order.truncate(SERIES);
    let mut place = 0..;
    found.retain(|_| order.contains(&place.next().expect("a place for each")));
    (found, all)
}

/// Accuracy against depth; none where nothing was probed.
pub(crate) fn layers(report: &Report) -> Option<Figure> {
    let (lines, all) = lines(report);
    let taps = lines.iter().flat_map(|line| &line.taps);
    let shown = taps.filter_map(|&tap| report.taps[tap].scores.as_ref());
    let (low, high) = shown.fold((1.0_f64, 0.0_f64), |(low, high), s| (low.min(s.interval.0), high.max(s.interval.1)));
    if low > high {
        return None;
    }
    let (low, high) = report.expected.map_or((low, high), |s| (low.min(s.accuracy), high.max(s.accuracy)));
    let top = 46.0 + 20.0 * lines.len() as f64;
    let mut svg = Svg::new(WIDTH, top + 360.0);
    let frame = Frame {
        x: Scale { domain: (0.0, 1.0), range: (LEFT, RIGHT) },
        y: Scale { domain: with_air((low, high), (0.0, 1.0)), range: (top + 310.0, top) },
        x_name: X_NAME,
        y_name: "pictures right",
    };
    frame.draw(&mut svg, (5, 5), [per_cent; 2]);
    legend(&mut svg, &lines, all);
    for (series, line) in lines.iter().enumerate() {
        draw_line(&mut svg, &frame, report, (series, line));
    }
    expectation(&mut svg, &frame, report);
    label_best(&mut svg, &frame, report);
    let description = describe(report, &lines);
    Some(Figure { name: "layers", title: "Accuracy by depth".to_owned(), description, svg })
}

fn legend(svg: &mut Svg, lines: &[Line], all: usize) {
    for (series, line) in lines.iter().enumerate() {
        let y = 14.0 + 20.0 * series as f64;
        svg.line(&format!("line s{series}"), (LEFT, y), (LEFT + 34.0, y));
        svg.mark("", series, (LEFT + 17.0, y), "");
        svg.text("name", Anchor::Start, (LEFT + 44.0, y + 4.0), &shortened_to(&line.name, 60));
    }
    let more =
        if all > lines.len() { format!("; {} lines more are in the table", all - lines.len()) } else { String::new() };
    let note = format!("shaded: 95 % interval; hollow: the network's own classifier{more}");
    svg.text("small", Anchor::Start, (LEFT, 18.0 + 20.0 * lines.len() as f64), &note);
}

fn draw_line(svg: &mut Svg, frame: &Frame<'_>, report: &Report, (series, line): (usize, &Line)) {
    let scored =
        line.taps.iter().filter_map(|&tap| Some((tap, report.taps[tap].cost_share, report.taps[tap].scores.as_ref()?)));
    let scored: Vec<_> = scored.collect();
    let mut band: Vec<(f64, f64)> = scored.iter().map(|(_, x, s)| frame.at(*x, s.interval.0)).collect();
    band.extend(scored.iter().rev().map(|(_, x, s)| frame.at(*x, s.interval.1)));
    svg.polygon(&format!("band s{series}"), &band);
    let points: Vec<(f64, f64)> = scored.iter().map(|(_, x, s)| frame.at(*x, s.accuracy)).collect();
    svg.polyline(&format!("line s{series}"), &points);
    for ((tap, _, scores), at) in scored.iter().zip(points) {
        let row = &report.taps[*tap];
        let title = format!(
            "{}: {} % of {} pictures right, 95 % interval {}",
            report.tap_name(*tap),
            percent(scores.accuracy),
            count(scores.total),
            crate::numbers::interval(scores.interval)
        );
        svg.mark(if row.classifier { "open" } else { "" }, series, at, &title);
    }
}

/// The score that may be expected, as a line across.
fn expectation(svg: &mut Svg, frame: &Frame<'_>, report: &Report) {
    let Some(expected) = report.expected else { return };
    let y = frame.y.at(expected.accuracy);
    svg.line("expect", (LEFT, y), (RIGHT, y));
    let text = format!("expect {} % of new pictures", percent(expected.accuracy));
    // Where the best tap's name is not.
    let is_left = report.best.is_none_or(|best| frame.x.at(report.taps[best].cost_share) > (LEFT + RIGHT) / 2.0);
    let (anchor, x) = if is_left { (Anchor::Start, LEFT + 6.0) } else { (Anchor::End, RIGHT - 6.0) };
    svg.text("small", anchor, (x, y - 6.0), &text);
}

fn label_best(svg: &mut Svg, frame: &Frame<'_>, report: &Report) {
    let Some((best, scores)) = report.best.and_then(|best| Some((best, report.taps[best].scores.as_ref()?))) else {
        return;
    };
    let (x, y) = frame.at(report.taps[best].cost_share, scores.accuracy);
    svg.circle("ring", (x, y), 8.5);
    let anchor = match x {
        x if x > RIGHT - 110.0 => Anchor::End,
        x if x < LEFT + 110.0 => Anchor::Start,
        _ => Anchor::Middle,
    };
    let text = format!("{}  {} %", shortened_to(&report.taps[best].name, 30), percent(scores.accuracy));
    svg.text("strong", anchor, (x, y - 15.0), &text);
}

fn describe(report: &Report, lines: &[Line]) -> String {
    let mut text = String::from("Line chart of accuracy against depth.");
    for line in lines {
        let scored: Vec<(&TapRow, f64)> = line
            .taps
            .iter()
            .filter_map(|&t| Some((&report.taps[t], report.taps[t].scores.as_ref()?.accuracy)))
            .collect();
        let Some(first) = scored.first() else { continue };
        let best = scored.iter().fold(first, |best, this| if this.1 > best.1 { this } else { best });
        let last = scored[scored.len() - 1];
        text += &format!(
            " {}: from {} % at {} to {} % at {}, highest {} % at {}.",
            line.name,
            percent(first.1),
            first.0.name,
            percent(last.1),
            last.0.name,
            percent(best.1),
            best.0.name
        );
    }
    text
}

/// Similarity to the pretraining set against depth; none where it was not measured.
pub(crate) fn similarity(report: &Report) -> Option<Figure> {
    let meaning = report.similarity.as_deref()?;
    let value = |tap: usize| report.taps[tap].comparison.similarity;
    let (low, high) = (0..report.taps.len())
        .filter_map(value)
        .filter(|x| x.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if low > high {
        return None;
    }
    let mut svg = Svg::new(WIDTH, 210.0);
    let y = Scale { domain: with_air((low, high), (f64::NEG_INFINITY, f64::INFINITY)), range: (160.0, 16.0) };
    let x = Scale { domain: (0.0, 1.0), range: (LEFT, RIGHT) };
    let frame = Frame { x, y, x_name: X_NAME, y_name: "similarity" };
    draw_similarity_axes(&frame, &mut svg);
    for (series, line) in lines(report).0.iter().enumerate() {
        let points: Vec<(usize, (f64, f64))> = line
            .taps
            .iter()
            .filter_map(|&tap| Some((tap, frame.at(report.taps[tap].cost_share, value(tap)?))))
            .collect();
        svg.polyline(&format!("line s{series}"), &points.iter().map(|p| p.1).collect::<Vec<_>>());
        for (tap, at) in points {
            svg.mark("", series, at, &format!("{}: {:.3}", report.tap_name(tap), value(tap).unwrap_or(f64::NAN)));
        }
    }
    let description = format!("Line chart against depth of {meaning}, from {low:.3} to {high:.3}.");
    Some(Figure { name: "similarity", title: format!("Similarity by depth: {meaning}"), description, svg })
}

/// Per cent along the depth, plain numbers upwards.
fn draw_similarity_axes(frame: &Frame<'_>, svg: &mut Svg) {
    let round = |value: f64| format!("{}", (value * 1e6).round() / 1e6);
    frame.draw(svg, (5, 4), [per_cent, round]);
}

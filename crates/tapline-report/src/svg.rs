//! Small SVG drawings, written by hand: shapes with classes, coloured by a style sheet.
//!
//! A plotting crate would fix colours in every element; with classes the page's own variables colour the same drawing in
//! light, in dark and on paper, and every drawing carries its description for those who cannot see it.

use std::fmt::Write;

use crate::escape::html;

/// Colours of drawings, by name: in light, in dark. `s0` to `s7` tell series and classes apart: Okabe and Ito's palette
/// ("Color universal design", 2008), lightened or darkened where it must stand out from the ground.
pub(crate) const COLOURS: &[(&str, &str, &str)] = &[
    ("ground", "#ffffff", "#14171a"),
    ("raised", "#f6f7f8", "#1d2125"),
    ("ink", "#1a1d21", "#e8eaed"),
    ("soft", "#565d66", "#a3abb5"),
    ("grid", "#e3e6ea", "#2c3238"),
    ("rule", "#8b929b", "#6b737d"),
    ("accent", "#0063a3", "#6cb8ee"),
    ("on-accent", "#ffffff", "#0c1116"),
    ("right", "#007a59", "#2fc99c"),
    ("wrong", "#b34f00", "#f28b3c"),
    ("s0", "#0072b2", "#56b4e9"),
    ("s1", "#d55e00", "#f28b3c"),
    ("s2", "#009e73", "#2fc99c"),
    ("s3", "#b8558f", "#e39cc4"),
    ("s4", "#b97f00", "#f0c419"),
    ("s5", "#2a8cc4", "#9fd4f5"),
    ("s6", "#5a5a5a", "#c9c9c9"),
    ("s7", "#8a7a00", "#f0e442"),
];

/// Series and classes that can be told apart by colour and by shape.
pub(crate) const SERIES: usize = 8;

/// Dashes of lines, by series.
const DASHES: [&str; SERIES] = ["none", "7 4", "2 3", "10 3 2 3", "5 2", "1 2", "12 4", "4 4 1 4"];

/// Outlines of marks about their centre, by series.
const MARKS: [&str; SERIES] = [
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-3.6-3.6h7.2v7.2h-7.2z",
    "M0-4.8L4.6 3.6H-4.6z",
    "M0-5L5 0L0 5L-5 0z",
    "M0 4.8L4.6-3.6H-4.6z",
    "M-1.5-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
    "M-4.8-2.4L-2.4-4.8L0-2.4L2.4-4.8L4.8-2.4L2.4 0L4.8 2.4L2.4 4.8L0 2.4L-2.4 4.8L-4.8 2.4L-2.4 0z",
    "M-5-2.2h10v4.4h-10z",
];

/// The mark of what is wrong, a cross.
pub(crate) const CROSS: usize = 6;

/// How dense cells are, per cent by ninths of their row. Between those with dark and those with light letters is a gap, in which
/// neither could be read well (a contrast of 4.5, WCAG 2.2).
const LEVELS: [usize; 10] = [0, 10, 18, 26, 34, 42, 86, 90, 94, 98];

/// The style sheet of all drawings; colours are variables.
pub(crate) fn styles() -> String {
    let mut css = include_str!("svg.css").to_owned();
    for (series, dash) in DASHES.iter().enumerate() {
        let _ = write!(
            css,
            ".line.s{series}{{stroke:var(--s{series});stroke-dasharray:{dash}}}\
             .mark.s{series},.pt.s{series}{{fill:var(--s{series});stroke:var(--s{series})}}\
             .band.s{series}{{fill:var(--s{series})}}.whisker.s{series}{{stroke:var(--s{series})}}"
        );
    }
    for (level, opacity) in LEVELS.iter().enumerate() {
        let _ = write!(css, ".q{level}{{fill-opacity:.{opacity:02}}}");
    }
    css + ".mark.open{fill:var(--ground)}"
}

/// The style sheet with the colours of light put in.
pub(crate) fn styles_in_light() -> String {
    // Longer names first, so that none is taken for the beginning of another.
    COLOURS.iter().fold(styles(), |css, (name, light, _)| css.replace(&format!("var(--{name})"), light))
}

/// Where a text's point lies in it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in the making, in units of CSS pixels from the top left.
#[derive(Debug, Clone)]
pub(crate) struct Svg {
    pub width: f64,
    pub height: f64,
    body: String,
}

impl Svg {
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x1, y1, x2, y2) = (n(from.0), n(from.1), n(to.0), n(to.1));
        let _ = write!(self.body, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
    }

    /// A rectangle by its corner and size.
    pub fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), title: &str) {
        let (x, y, w, h) = (n(at.0), n(at.1), n(size.0.max(0.0)), n(size.1.max(0.0)));
        let _ = write!(self.body, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"");
        self.end_with(title, "rect");
    }

    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{}\"/>", path(points));
    }

    pub fn polygon(&mut self, class: &str, points: &[(f64, f64)]) {
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{}z\"/>", path(points));
    }

    /// The mark of a series, with a tooltip.
    pub fn mark(&mut self, class: &str, series: usize, (x, y): (f64, f64), title: &str) {
        let (shape, series) = (MARKS[series % SERIES], series % SERIES);
        let _ = write!(
            self.body,
            "<path class=\"mark s{series} {class}\" transform=\"translate({} {})\" d=\"{shape}\"",
            n(x),
            n(y)
        );
        self.end_with(title, "path");
    }

    pub fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let _ = write!(self.body, "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>", n(x), n(y), n(radius));
    }

    pub fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), text: &str) {
        self.turned_text(class, anchor, (x, y), 0, text);
    }

    /// A text turned about its point by whole degrees.
    pub fn turned_text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), degrees: i32, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let (x, y) = (n(x), n(y));
        let turn = if degrees == 0 { String::new() } else { format!(" transform=\"rotate({degrees} {x} {y})\"") };
        let _ = write!(self.body, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}{turn}>{}</text>", html(text));
    }

    /// Shapes of points that many uses share.
    pub fn define_marks(&mut self) {
        self.body += "<defs>";
        for (series, shape) in MARKS.iter().enumerate() {
            let _ = write!(self.body, "<path id=\"m{series}\" transform=\"scale(.8)\" d=\"{shape}\"/>");
        }
        self.body += "</defs>";
    }

    /// A point of a map: a shared shape.
    pub fn point(&mut self, class: &str, series: usize, (x, y): (f64, f64)) {
        let _ = write!(self.body, "<use class=\"pt {class}\" href=\"#m{series}\" x=\"{}\" y=\"{}\"/>", n(x), n(y));
    }

    /// Puts what follows into a group, until [`Self::close`].
    pub fn open(&mut self, class: &str) {
        let _ = write!(self.body, "<g class=\"{class}\">");
    }

    pub fn close(&mut self) {
        self.body += "</g>";
    }

    fn end_with(&mut self, title: &str, element: &str) {
        if title.is_empty() {
            self.body += "/>";
        } else {
            let _ = write!(self.body, "><title>{}</title></{element}>", html(title));
        }
    }

    /// The drawing as part of a page that has the style sheet.
    pub fn inline(&self, description: &str) -> String {
        let (w, h) = (n(self.width), n(self.height));
        format!(
            "<svg class=\"fig\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\">{}</svg>",
            html(description),
            self.body
        )
    }

    /// The drawing as an ornament: its numbers stand beside it as text.
    pub fn decoration(&self, class: &str) -> String {
        let (w, h) = (n(self.width), n(self.height));
        format!(
            "<svg class=\"fig {class}\" aria-hidden=\"true\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\">{}</svg>",
            self.body
        )
    }

    /// The drawing as a file of its own, in the colours of light.
    pub fn file(&self, title: &str, description: &str) -> String {
        let (w, h) = (n(self.width), n(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\">\
             <title>{}</title><desc>{}</desc><style>{}</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>{}</svg>\n",
            html(title),
            html(description),
            styles_in_light(),
            self.body
        )
    }
}

/// From numbers to places along a side of a drawing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub domain: (f64, f64),
    pub range: (f64, f64),
}

impl Scale {
    pub fn at(&self, value: f64) -> f64 {
        let width = self.domain.1 - self.domain.0;
        let share = if width == 0.0 { 0.5 } else { (value - self.domain.0) / width };
        self.range.0 + share * (self.range.1 - self.range.0)
    }
}

/// A coordinate with at most one decimal.
fn n(x: f64) -> String {
    let text = format!("{x:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        let _ = write!(d, "{}{} {}", if i == 0 { "M" } else { "L" }, n(*x), n(*y));
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_tooltips_are_escaped() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text("label", Anchor::Start, (1.0, 2.25), "<script>");
        svg.mark("", 0, (0.0, -0.01), "</title><a>");
        let file = svg.file("<t>", "\"d\"");
        assert!(!file.contains("<script") && !file.contains("<a>") && !file.contains("<t>"), "{file}");
        assert!(file.contains("translate(0 0)") && file.contains("&lt;script&gt;"), "{file}");
    }

    #[test]
    fn a_file_names_no_variable_and_every_colour_is_used() {
        let css = styles_in_light();
        assert!(!css.contains("var("), "{css}");
        assert!((0..SERIES).all(|s| css.contains(&format!(".line.s{s}{{"))));
    }

    #[test]
    fn a_scale_of_no_width_stays_in_the_middle() {
        assert_eq!(Scale { domain: (3.0, 3.0), range: (0.0, 10.0) }.at(3.0), 5.0);
    }
}

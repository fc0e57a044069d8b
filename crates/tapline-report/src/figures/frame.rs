//! Axes: a frame with round numbers, and what is measured along its sides.

use crate::numbers::ticks;
use crate::svg::{Anchor, Scale, Svg};

/// The two scales of a chart and what they are called.
pub(super) struct Frame<'a> {
    pub x: Scale,
    pub y: Scale,
    pub x_name: &'a str,
    pub y_name: &'a str,
}

impl Frame<'_> {
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.at(x), self.y.at(y))
    }

    /// Draws the grid, the axes and their names, with about `wanted` numbers on each (none where that is 0).
    pub fn draw(&self, svg: &mut Svg, wanted: (usize, usize), labels: [fn(f64) -> String; 2]) {
        let (left, right) = self.x.range;
        let (bottom, top) = self.y.range;
        for value in ticks(self.y.domain.0, self.y.domain.1, wanted.1) {
            let y = self.y.at(value);
            svg.line("grid", (left, y), (right, y));
            svg.text("small", Anchor::End, (left - 7.0, y + 4.0), &labels[1](value));
        }
        for value in ticks(self.x.domain.0, self.x.domain.1, wanted.0) {
            svg.text("small", Anchor::Middle, (self.x.at(value), bottom + 17.0), &labels[0](value));
        }
        svg.line("axis", (left, bottom), (right, bottom));
        svg.text("", Anchor::Middle, ((left + right) / 2.0, bottom + 36.0), self.x_name);
        svg.turned_text("", Anchor::Middle, (left - 42.0, (top + bottom) / 2.0), -90, self.y_name);
    }
}

/// `low` to `high` with some air, within `least` to `most`.
pub(super) fn with_air((low, high): (f64, f64), (least, most): (f64, f64)) -> (f64, f64) {
    let air = ((high - low) * 0.08).max(0.01);
    ((low - air).max(least), (high + air).min(most))
}

/// A number per cent without more decimals than it needs.
pub(super) fn per_cent(share: f64) -> String {
    let value = (share * 1000.0).round() / 10.0;
    format!("{value} %")
}

//! The figures of a report, each a drawing with a title and a description that says what it shows.

mod calibration;
mod confusion;
mod frame;
mod layers;
mod learning;
mod map;
mod roc;

pub(crate) use calibration::calibration;
pub(crate) use confusion::confusion;
pub(crate) use layers::{layers, similarity};
pub(crate) use learning::learning;
pub(crate) use map::{SIDE as MAP_SIDE, class_series, map, place};
pub(crate) use roc::roc;

use std::collections::BTreeSet;

use crate::escape::{fitted, width};
use crate::svg::Svg;
use crate::{Error, Report, png};

/// A drawing with its words.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What its file is called, without an ending.
    pub name: &'static str,
    /// Its title.
    pub title: String,
    /// What it shows, for those who cannot see it.
    pub description: String,
    pub(crate) svg: Svg,
}

impl Figure {
    /// The drawing as an SVG file, in the colours of light.
    pub fn file(&self) -> String {
        self.svg.file(&self.title, &self.description)
    }

    /// The same as a PNG file, at twice the size, and the first letter of each name that its fonts do not know: boxes stand for
    /// such.
    ///
    /// # Errors
    /// If the renderer refuses the drawing.
    pub fn png(&self) -> Result<(Vec<u8>, BTreeSet<char>), Error> {
        png::png(&self.file(), 2.0).map_err(|source| Error::Png { name: self.name, source })
    }

    /// The drawing as part of a page that has the style sheet.
    pub(crate) fn inline(&self) -> String {
        self.svg.inline(&self.description)
    }
}

/// The classes' names, cut to the room there is; those that would be alike then have the class's number before them.
fn class_names(report: &Report, room: f64) -> Vec<String> {
    let short: Vec<_> = (0..report.classes.len()).map(|class| fitted(report.class_name(class), room)).collect();
    let is_alone = |class: usize| short.iter().filter(|other| **other == short[class]).count() == 1;
    let name = |class: usize| match is_alone(class) {
        true => short[class].to_string(),
        false => {
            let number = format!("{} ", class + 1);
            let rest = fitted(report.class_name(class), room - width(&number));
            number + &rest
        }
    };
    (0..short.len()).map(name).collect()
}

/// The figures that can be drawn of what the report holds, closer looks at the best tap alone.
pub fn figures(report: &Report) -> Vec<Figure> {
    let mut found = Vec::new();
    found.extend(layers(report));
    found.extend(similarity(report));
    found.extend(learning(report));
    if let Some(layer) = report.layers.first() {
        found.extend(confusion(report, layer));
        found.extend(calibration(report, layer));
        found.extend(roc(report, layer));
    }
    if let Some(map_layer) = report.map.as_ref().and_then(|map| map.layers.first()) {
        found.extend(map(report, map_layer));
    }
    found
}

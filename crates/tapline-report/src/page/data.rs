//! What the script needs to know, as JSON that cannot end its element.

use serde::Serialize;

use super::{map::flat, shown_taps};
use crate::escape::{script, shortened};
use crate::figures::{MAP_SIDE, class_series};
use crate::svg::CROSS;
use crate::{FeatureMap, MapLayer, Report};

#[derive(Serialize)]
struct Data {
    classes: Vec<String>,
    /// Mark of each class, −1 for those without one of their own.
    marks: Vec<i64>,
    cross: usize,
    size: (f64, f64),
    paths: Vec<String>,
    /// Class of each point, −1 without.
    labels: Vec<i64>,
    /// 1 where the sprite has the point, else 0.
    thumbs: Vec<u8>,
    sprite: Option<Grid>,
    /// In the order of the switch; none where a layer is not on the map.
    layers: Vec<Option<Places>>,
}

#[derive(Serialize)]
struct Grid {
    side: u32,
    columns: u32,
}

#[derive(Serialize)]
struct Places {
    name: String,
    pca: Vec<i64>,
    tsne: Option<Vec<i64>>,
    /// Predicted class of each point, −1 where it was not scored.
    predicted: Vec<i64>,
    /// Its probability in per mille.
    sure: Vec<i64>,
}

/// The element with the data; nothing where there is no map.
pub(super) fn block(report: &Report) -> String {
    let Some(map) = &report.map else { return String::new() };
    let json = serde_json::to_string(&data(report, map)).expect("plain data with string keys");
    format!("<script type=\"application/json\" id=\"data\">{}</script>\n", script(&json))
}

fn data(report: &Report, map: &FeatureMap) -> Data {
    let number = |class: Option<usize>| class.map_or(-1, |class| class as i64);
    let places = |tap: usize| map.layers.iter().find(|layer| layer.tap == tap).map(|layer| of_layer(report, layer));
    Data {
        classes: report.classes.iter().map(|(name, _)| shortened(name).into_owned()).collect(),
        marks: class_series(report).into_iter().map(number).collect(),
        cross: CROSS,
        size: MAP_SIDE,
        paths: map.points.iter().map(|point| shortened(&point.path).into_owned()).collect(),
        labels: map.points.iter().map(|point| number(point.label)).collect(),
        thumbs: map.points.iter().map(|point| u8::from(point.has_thumbnail)).collect(),
        sprite: report.thumbnails.sprite.as_ref().map(|s| Grid { side: s.side, columns: s.columns }),
        layers: shown_taps(report).into_iter().map(places).collect(),
    }
}

fn of_layer(report: &Report, layer: &MapLayer) -> Places {
    Places {
        name: shortened(&report.tap_name(layer.tap)).into_owned(),
        pca: flat(&layer.pca),
        tsne: layer.tsne.as_deref().map(flat),
        predicted: layer.predicted.iter().map(|said| said.map_or(-1, |(class, _)| class as i64)).collect(),
        sure: layer.predicted.iter().map(|said| said.map_or(0, |(_, p)| (1000.0 * p).round() as i64)).collect(),
    }
}

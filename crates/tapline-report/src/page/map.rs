//! The map of the pictures: drawn for the best layer, moved between layers and looked into by the script.

use crate::escape::{html, name};
use crate::figures::{class_series, map, place};
use crate::numbers::{count, percent};
use crate::svg::SERIES;
use crate::{FeatureMap, MapLayer, Report};

/// Nothing where there is no map.
pub(super) fn section(report: &Report) -> String {
    let Some((feature_map, first)) = report.map.as_ref().and_then(|map| Some((map, map.layers.first()?))) else {
        return String::new();
    };
    let Some(figure) = map(report, first) else { return String::new() };
    let mut out = format!(
        "<section id=\"map-section\" aria-labelledby=\"map-h\">\n<h2 id=\"map-h\">Map of the pictures</h2>\n<p class=\"lead\">{}</p>\n",
        lead(feature_map)
    );
    out += &controls(report, feature_map);
    out += &format!(
        "<figure><div id=\"map\" class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{}\" aria-describedby=\"map-keys\">{}\
         </div><div id=\"tip\" hidden><div class=\"sprite\"></div><p></p></div>\n<p id=\"map-said\" role=\"status\" \
         class=\"said-line\"></p>\n{}<figcaption id=\"map-keys\">{}</figcaption></figure>\n</section>\n",
        html(&figure.title),
        figure.inline(),
        legend(report),
        caption(report, first)
    );
    out
}

fn lead(map: &FeatureMap) -> String {
    let mut text = match map.points.len() {
        shown if shown < map.pictures => {
            format!("A sample of {} of the {} pictures, drawn with a fixed seed.", count(shown), count(map.pictures))
        }
        shown => format!("All {} pictures.", count(shown)),
    };
    text += " Pictures that lie near each other look alike to the network.";
    let without = map.points.iter().filter(|point| !point.has_thumbnail).count();
    if without > 0 {
        text += &format!(" {} of them have no thumbnail, for their file is not there or has changed.", count(without));
    }
    text
}

/// What the script can switch; hidden without it.
fn controls(report: &Report, map: &FeatureMap) -> String {
    let mut out = "<div class=\"controls\" id=\"map-controls\" hidden>".to_owned();
    if map.layers.iter().any(|layer| layer.tsne.is_some()) {
        out += "<fieldset class=\"switch\"><legend>Layout</legend>\
             <label><input type=\"radio\" name=\"layout\" value=\"tsne\" checked><span>t-SNE</span></label>\
             <label><input type=\"radio\" name=\"layout\" value=\"pca\"><span>principal components</span></label></fieldset>";
    }
    if report.is_probed() {
        out += "<fieldset class=\"switch\"><legend>Colour</legend>\
             <label><input type=\"radio\" name=\"colour\" value=\"class\" checked><span>class</span></label>\
             <label><input type=\"radio\" name=\"colour\" value=\"error\"><span>right or wrong</span></label></fieldset>";
    }
    out + "</div>\n"
}

fn legend(report: &Report) -> String {
    let series = class_series(report);
    let others = series.iter().filter(|mark| mark.is_none()).count();
    if series.len() <= SERIES && others == 0 {
        return String::new();
    }
    let named: Vec<String> =
        (0..series.len()).filter(|&c| series[c].is_some()).map(|c| name(report.class_name(c))).collect();
    format!(
        "<p class=\"lead\">Coloured: the {} largest classes ({}); the other {} are grey.</p>\n",
        named.len(),
        named.join(", "),
        count(others)
    )
}

fn caption(report: &Report, first: &MapLayer) -> String {
    let mut text =
        "Point at a picture to see it; with the map in focus, the arrow keys go from picture to picture.".to_owned();
    if first.tsne.is_some() {
        text += " t-SNE keeps neighbours together; distances between groups mean little.";
    }
    let taps = report.map.iter().flat_map(|map| &map.layers);
    let shares: Vec<String> = taps
        .map(|layer| {
            let [a, b] = layer.explained.map(percent);
            format!("{} {a} % and {b} %", name(&report.tap_name(layer.tap)))
        })
        .collect();
    text + &format!(" The first two principal components hold these shares of the variance: {}.", shares.join("; "))
}

/// Places of a layer's points in tenths of a pixel, x and y in turn.
pub(super) fn flat(points: &[[f32; 2]]) -> Vec<i64> {
    place(points).into_iter().flat_map(|(x, y)| [(x * 10.0).round() as i64, (y * 10.0).round() as i64]).collect()
}

//! A closer look at single layers: confusion, calibration, pictures, map. One switch for all of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{map, overview, shown_taps};
use crate::escape::{html, name, shortened, shortened_to};
use crate::evidence;
use crate::figures::{calibration, confusion, roc};
use crate::numbers::{count, percent, probability};
use crate::{Accuracy, Layer, Picture, Report};

/// Nothing where nothing was looked at closely and nothing is mapped.
pub(super) fn section(report: &Report) -> String {
    let taps = shown_taps(report);
    if taps.is_empty() {
        return String::new();
    }
    let mut out = switch(report, &taps);
    if !report.layers.is_empty() {
        out += "<section id=\"closer\" aria-labelledby=\"closer-h\">\n<h2 id=\"closer-h\">A closer look</h2>\n";
        for (index, tap) in taps.iter().enumerate() {
            if let Some(layer) = report.layers.iter().find(|layer| layer.tap == *tap) {
                out += &panel(report, layer, index);
            }
        }
        out += "</section>\n";
    }
    format!("<div class=\"layers\">\n{out}{}</div>\n", map::section(report))
}

/// Shown by the script alone: without it all panels are open.
fn switch(report: &Report, taps: &[usize]) -> String {
    let mut out = "<fieldset class=\"switch\" id=\"layer-switch\" hidden><legend>Layer</legend>".to_owned();
    for (index, &tap) in taps.iter().enumerate() {
        let checked = if index == 0 { " checked" } else { "" };
        let note = match report.best {
            Some(best) if best == tap => " <span class=\"tag\">best</span>",
            _ if report.taps[tap].top => " <span class=\"tag quiet\">top</span>",
            _ => "",
        };
        out += &format!(
            "<label><input type=\"radio\" name=\"layer\" value=\"{index}\"{checked}><span>{}{note}</span></label>",
            name(&report.tap_name(tap))
        );
    }
    out + "</fieldset>\n"
}

fn panel(report: &Report, layer: &Layer, index: usize) -> String {
    let mut out = format!(
        "<div class=\"panel\" data-layer=\"{index}\">\n<p class=\"at\">At {}</p>\n<div class=\"pair\">\n",
        name(&report.tap_name(layer.tap))
    );
    out += &confusion_part(report, layer);
    if let Some(diagram) = calibration(report, layer) {
        out += "<div><h3>Calibration</h3>\n";
        out += &overview::figure(
            &diagram,
            "Above: share right among pictures given a probability, with 95 % intervals; on \
             the dashed line probabilities keep their promise. Below: how many pictures were given it.",
        );
        out += "</div>\n";
    }
    out += "</div>\n";
    out += &operating_part(report, layer);
    out += &evidence_part(layer);
    let galleries = [
        ("Most confident mistakes", "Wrong, and sure of it.", MISTAKE, &layer.mistakes),
        ("Least confident hits", "Right, but barely.", HIT, &layer.hits),
    ];
    for (title, lead, kind, pictures) in galleries {
        let shown: String = pictures
            .iter()
            .enumerate()
            .map(|(place, one)| card(report, one, &layer_class(layer, kind, place)))
            .collect();
        if !shown.is_empty() {
            out += &format!("<h3>{title}</h3>\n<p class=\"lead\">{lead}</p>\n<ul class=\"gallery\">\n{shown}</ul>\n");
        }
    }
    out + "</div>\n"
}

/// Letters that tell the galleries of a layer apart.
const MISTAKE: char = 'm';
const HIT: char = 'h';

/// The class of the layer of evidence over one picture.
fn layer_class(layer: &Layer, kind: char, place: usize) -> String {
    format!("e{}{kind}{place}", layer.tap)
}

/// The style sheet with what lies over the galleries' pictures.
pub(super) fn layers_of_evidence(report: &Report) -> String {
    let mut css = String::new();
    for layer in &report.layers {
        for (kind, pictures) in [(MISTAKE, &layer.mistakes), (HIT, &layer.hits)] {
            for (place, picture) in pictures.iter().enumerate() {
                let Some(found) = &picture.evidence else { continue };
                let Some(png) = evidence::layer(found) else { continue };
                css += &format!(
                    ".{}{{background-image:url(data:image/png;base64,{});background-size:{:.2}% {:.2}%}}\n",
                    layer_class(layer, kind, place),
                    STANDARD.encode(png),
                    100.0 * found.seen.0,
                    100.0 * found.seen.1
                );
            }
        }
    }
    css
}

/// The switch that lays the evidence over the pictures, or why there is none; it works without the script.
fn evidence_part(layer: &Layer) -> String {
    let mut pictures = layer.mistakes.iter().chain(&layer.hits);
    if pictures.any(|picture| picture.evidence.is_some()) {
        return "<div class=\"controls looking\"><div class=\"switch\"><label><input type=\"checkbox\" \
             class=\"show-evidence\"><span>Show where the evidence is</span></label></div></div>\n\
             <p class=\"lead\">Orange parts of a picture speak for the class that was predicted, blue parts against it, the \
             strongest part of each picture in full colour. The picture's score is exactly the mean over its parts (class \
             activation mapping, Zhou et al. 2016), by the probe that scored it here and never saw it.</p>\n"
            .to_owned();
    }
    let reason = layer.no_evidence.as_ref();
    reason.map_or(String::new(), |reason| {
        format!(
            "<p class=\"lead looking\">Where in these pictures the evidence is cannot be shown here: {}.</p>\n",
            html(&shortened_to(reason, 400))
        )
    })
}

/// What it costs to find more of a class of two: the curve, and points near it as a table.
fn operating_part(report: &Report, layer: &Layer) -> String {
    let (Some(curve), Some(found)) = (roc(report, layer), &layer.roc) else { return String::new() };
    let class = name(report.class_name(found.class));
    let pictures = |class: usize| report.classes.get(class).map(|(_, pictures)| *pictures);
    let fewer = if pictures(found.class) < pictures(1 - found.class) { ", the class with fewer of them," } else { "" };
    let points = match (found.points.is_empty(), report.training) {
        (false, _) => "; diamonds are the points of the table.",
        (true, Some(_)) => ". <code>tapline probe --split --recall</code> chooses thresholds on the training pictures.",
        (true, None) => ".",
    };
    let area = report.taps[layer.tap].scores.as_ref().and_then(|scores| scores.auroc);
    let caption = format!(
        "How many pictures of {class}{fewer} are found, and how many false alarms that costs, for every probability from which \
         on it is called{}. The circle is where the more probable class is called{points}",
        area.map_or(String::new(), |area| format!(" (area below the curve {area:.3})"))
    );
    let curve = overview::figure(&curve, &caption);
    let mut out = format!("<h3>Finding more of the class {class}</h3>\n<div class=\"pair\">\n<div>\n{curve}</div>\n");
    if !found.points.is_empty() {
        let heads = ["wanted", "called from", "found (recall)", "specificity", "precision"];
        let heads: String = heads.iter().map(|head| format!("<th scope=\"col\" class=\"num\">{head}</th>")).collect();
        let cell = |found: &Accuracy| {
            format!(
                "<td class=\"num\">{} %<br><small>{} to {}<br>{} of {}</small></td>",
                percent(found.accuracy),
                percent(found.interval.0),
                percent(found.interval.1),
                count(found.correct),
                count(found.total)
            )
        };
        let rows: String = found
            .points
            .iter()
            .map(|point| {
                format!(
                    "<tr><th scope=\"row\" class=\"num\">{} %</th><td class=\"num\">{}</td>{}{}{}</tr>",
                    percent(point.wanted_recall),
                    probability(point.threshold),
                    cell(&point.recall),
                    cell(&point.specificity),
                    point.precision.as_ref().map_or("<td class=\"num\">–</td>".to_owned(), cell)
                )
            })
            .collect();
        out += &format!(
            "<div><div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Operating points\"><table><caption>By the \
             probability from which {class} is called, which was chosen for each fold on the others; below, 95 % \
             intervals</caption><thead><tr>{heads}</tr></thead>\
             <tbody>{rows}</tbody></table></div>\n<p><code>tapline probe --recall</code> chooses a threshold for any share, and saves a probe that \
             goes by it.</p></div>\n"
        );
    }
    out + "</div>\n"
}

fn confusion_part(report: &Report, layer: &Layer) -> String {
    let mut out = "<div><h3>Confusion</h3>\n".to_owned();
    match confusion(report, layer) {
        Some(matrix) => {
            out += &overview::figure(
                &matrix,
                "Rows are true classes, columns what they were taken for; shades and per cent \
                 are shares of the row.",
            );
            out += &format!("<details><summary>As a table</summary>{}</details>\n", counts_table(report, layer));
        }
        None => {
            out += &format!(
                "<p>With {} classes a matrix could not be read: these are the pairs most often confused.</p>\n{}",
                count(report.classes.len()),
                pairs_table(report, layer)
            );
        }
    }
    out + "</div>\n"
}

fn counts_table(report: &Report, layer: &Layer) -> String {
    let heads: String = (0..layer.confusion.counts.len())
        .map(|class| format!("<th scope=\"col\" class=\"num\">{}</th>", name(report.class_name(class))))
        .collect();
    let mut out = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Confusion as a table\"><table><caption>Pictures by \
         true class (rows) and predicted class (columns)</caption><thead><tr><td></td>{heads}</tr></thead><tbody>"
    );
    for (class, row) in layer.confusion.counts.iter().enumerate() {
        let cells: String = row.iter().map(|n| format!("<td class=\"num\">{}</td>", count(*n))).collect();
        out += &format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", name(report.class_name(class)));
    }
    out + "</tbody></table></div>"
}

fn pairs_table(report: &Report, layer: &Layer) -> String {
    let mut out = "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Most confused pairs\"><table><caption \
         class=\"visually-hidden\">Most confused pairs of classes</caption><thead><tr><th scope=\"col\">true class</th><th \
         scope=\"col\">taken for</th><th scope=\"col\" class=\"num\">pictures</th><th scope=\"col\" class=\"num\">of the \
         class</th></tr></thead><tbody>"
        .to_owned();
    for pair in &layer.confusion.pairs {
        out += &format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{} %</td></tr>",
            name(report.class_name(pair.truth)),
            name(report.class_name(pair.predicted)),
            count(pair.pictures),
            percent(pair.pictures as f64 / pair.of.max(1) as f64)
        );
    }
    out + "</tbody></table></div>\n"
}

fn card(report: &Report, picture: &Picture, layer: &str) -> String {
    let (truth, said) = (report.class_name(picture.label), report.class_name(picture.predicted));
    let image = match picture.thumbnail.filter(|&index| index < report.thumbnails.pictures.len()) {
        Some(index) => format!(
            "<div class=\"thumb t{index}\" role=\"img\" aria-label=\"{}\">{}</div>",
            html(&shortened(&picture.path)),
            picture.evidence.as_ref().map_or(String::new(), |_| format!("<div class=\"evidence {layer}\"></div>"))
        ),
        None => {
            "<div class=\"thumb absent\" role=\"img\" aria-label=\"picture not available\">no file</div>".to_owned()
        }
    };
    let verdict = if picture.label == picture.predicted {
        format!("<span class=\"right\">✓ {}</span>", name(truth))
    } else {
        format!("<span class=\"wrong\">✗ {}</span><span>is {}</span>", name(said), name(truth))
    };
    format!(
        "<li>{image}<div class=\"said\">{verdict}<span class=\"sure\">{} % sure</span></div>\
         <div class=\"path\">{}</div></li>\n",
        percent(picture.probability),
        file_name(&picture.path)
    )
}

/// The last part of a path, with the whole in a tooltip.
fn file_name(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or(path);
    if last == path {
        name(path)
    } else {
        format!("<bdi title=\"{}\">{}</bdi>", html(&shortened_to(path, 400)), html(&shortened(last)))
    }
}

//! A closer look at single layers: confusion, calibration, pictures, map. One switch for all of them.

use super::{map, overview, shown_taps};
use crate::escape::{html, name, shortened, shortened_to};
use crate::figures::{calibration, confusion};
use crate::numbers::{count, percent};
use crate::{Layer, Picture, Report};

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
    out += &gallery(report, "Most confident mistakes", "Wrong, and sure of it.", &layer.mistakes);
    out += &gallery(report, "Least confident hits", "Right, but barely.", &layer.hits);
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

fn gallery(report: &Report, title: &str, lead: &str, pictures: &[Picture]) -> String {
    if pictures.is_empty() {
        return String::new();
    }
    let mut out = format!("<h3>{title}</h3>\n<p class=\"lead\">{lead}</p>\n<ul class=\"gallery\">\n");
    pictures.iter().for_each(|picture| out += &card(report, picture));
    out + "</ul>\n"
}

fn card(report: &Report, picture: &Picture) -> String {
    let (truth, said) = (report.class_name(picture.label), report.class_name(picture.predicted));
    let image = match picture.thumbnail.filter(|&index| index < report.thumbnails.pictures.len()) {
        Some(index) => format!(
            "<div class=\"thumb t{index}\" role=\"img\" aria-label=\"{}\"></div>",
            html(&shortened(&picture.path))
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

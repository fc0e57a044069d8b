//! What was found, at a glance: verdict, key figures, layer curve, table, learning curve.

use crate::escape::{html, name};
use crate::figures::{Figure, layers, learning, similarity};
use crate::numbers::{count, counted, interval, percent};
use crate::svg::Svg;
use crate::table::{Cell, Column, table};
use crate::{Field, Report, TapRow};

/// Title, verdict, key figures, notes, contents.
pub(super) fn header(report: &Report) -> String {
    let mut out = format!(
        "<header>\n<p class=\"eyebrow\">Tapline report</p>\n<h1 dir=\"auto\">{}</h1>\n",
        html(&crate::escape::shortened_to(&report.title, 160))
    );
    for sentence in &report.verdict {
        out +=
            &format!("<p class=\"verdict\" dir=\"auto\">{}</p>\n", html(&crate::escape::shortened_to(sentence, 1_200)));
    }
    out += &key_figures(report);
    if !report.notes.is_empty() {
        out += "<aside class=\"notes\" aria-label=\"Notes\"><ul>\n";
        report.notes.iter().for_each(|note| out += &format!("<li>{}</li>\n", html(note)));
        out += "</ul></aside>\n";
    }
    out + &contents(report) + "</header>\n"
}

fn key_figures(report: &Report) -> String {
    let mut entries: Vec<(&str, String, String)> = Vec::new();
    if let Some((tap, scores)) = report.best.and_then(|best| Some((best, report.taps[best].scores.as_ref()?))) {
        let row = &report.taps[tap];
        let network = report.backbones.get(row.backbone).map_or("", |backbone| &backbone.name);
        let pooling = if row.joined { "joined taps".to_owned() } else { format!("{} pooling", html(&row.pooling)) };
        entries.push(("best layer", name(&row.name), format!("{}, {pooling}", name(network))));
        entries.push((
            "right at it",
            format!("{} %", percent(scores.accuracy)),
            format!("95 % interval {}", interval(scores.interval)),
        ));
    }
    if let Some(expected) = report.expected {
        entries.push((
            "to expect of new ones",
            format!("{} %", percent(expected.accuracy)),
            format!("95 % interval {}", interval(expected.interval)),
        ));
    }
    if let Some(best) = report.best.map(|best| &report.taps[best]) {
        entries.push((
            "cost of the best layer",
            format!("{} %", percent(best.cost_share)),
            "of the network's arithmetic".to_owned(),
        ));
    }
    let classes = match report.classes.len() {
        0 => "without labels".to_owned(),
        1 => "1 class".to_owned(),
        n => format!("{} classes", count(n)),
    };
    entries.push(("pictures", count(report.pictures), classes));
    let mut out = "<dl class=\"key\">\n".to_owned();
    for (term, value, detail) in entries {
        out += &format!("<div><dt>{term}</dt><dd><strong>{value}</strong><span>{detail}</span></dd></div>\n");
    }
    out + "</dl>\n"
}

fn contents(report: &Report) -> String {
    let mut entries = Vec::new();
    if report.field.is_some() {
        entries.push(("field", "What to do"));
    }
    if report.is_probed() {
        entries.push(("depth", "By depth"));
    }
    entries.push(("taps", "All layers"));
    if learning(report).is_some() {
        entries.push(("learning", "Enough pictures?"));
    }
    if !report.layers.is_empty() {
        entries.push(("closer", "A closer look"));
    }
    if report.map.is_some() {
        entries.push(("map-section", "Map of the pictures"));
    }
    entries.push(("provenance", "Where it comes from"));
    let links: String = entries.iter().map(|(id, text)| format!("<li><a href=\"#{id}\">{text}</a></li>")).collect();
    format!("<nav aria-label=\"Contents\"><ul>{links}</ul></nav>\n")
}

/// The table of transfer learning with the pictures' field, layer curve, table and learning curve.
pub(super) fn sections(report: &Report) -> String {
    let mut out = report.field.as_ref().map_or(String::new(), fields);
    if let Some(curve) = layers(report) {
        out += "<section id=\"depth\" aria-labelledby=\"depth-h\">\n<h2 id=\"depth-h\">By depth</h2>\n";
        out += &figure(
            &curve,
            "Share of pictures that a linear classifier gets right on the features of each layer. \
             Every picture is scored by a classifier that never saw it. The exact numbers are in the table below.",
        );
        if let Some(similarity) = similarity(report) {
            out += &figure(&similarity, &html(&similarity.title));
        }
        out += "</section>\n";
    }
    out += &all_taps(report);
    if let Some(curve) = learning(report) {
        out +=
            "<section id=\"learning\" aria-labelledby=\"learning-h\">\n<h2 id=\"learning-h\">Enough pictures?</h2>\n";
        for sentence in report.learning.iter().filter_map(|curve| curve.fit.as_ref()) {
            out += &format!("<p>{}</p>\n", html(&sentence.sentence));
        }
        out += &figure(
            &curve,
            "Accuracy against the number of pictures to learn from. Marks are measured, with their \
             interval; lines are the law fitted to them, which may lead beyond.",
        );
        out += "</section>\n";
    }
    out
}

/// Rows and columns of the table of transfer learning.
const AMOUNTS: [&str; 2] = ["little data", "quite a lot of data"];
const LIKENESSES: [&str; 2] = ["similar to the pretraining set", "very different from it"];

/// The table with the fields marked that the pictures may be in, and why.
fn fields(field: &Field) -> String {
    let cell = |(&may_be, recipe): (&bool, &String)| match may_be {
        true => {
            let tag = if field.is_certain() { "your pictures" } else { "maybe" };
            format!("<td class=\"mine\"><span class=\"tag\">{tag}</span> {}</td>", html(recipe))
        }
        false => format!("<td>{}</td>", html(recipe)),
    };
    let heads: String = LIKENESSES.iter().map(|text| format!("<th scope=\"col\">{text}</th>")).collect();
    let rows: String = AMOUNTS
        .iter()
        .zip(field.may_be.iter().zip(&field.recipes))
        .map(|(amount, (may_be, recipes))| {
            let cells: String = may_be.iter().zip(recipes).map(cell).collect();
            format!("<tr><th scope=\"row\">{amount}</th>{cells}</tr>")
        })
        .collect();
    let mut out = format!(
        "<section id=\"field\" aria-labelledby=\"field-h\">\n<h2 id=\"field-h\">What to do</h2>\n<p>{}</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table of transfer learning\"><table \
         class=\"fields\"><caption>Transfer learning by the amount of data and its likeness to the pretraining set (Stanford's \
         course CS231n)</caption><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>\n",
        html(&field.text())
    );
    for (heading, lines) in &field.evidence {
        let lines: String = lines.iter().map(|line| format!("<li>{}</li>", html(line))).collect();
        let list = if lines.is_empty() { lines } else { format!("<ul>{lines}</ul>\n") };
        out += &format!("<h3>{}</h3>\n{list}", html(heading));
    }
    out + "</section>\n"
}

/// A drawing with its caption, which is HTML.
pub(super) fn figure(figure: &Figure, caption: &str) -> String {
    format!(
        "<figure><div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{}\">{}</div><figcaption>{caption}</figcaption></figure>\n",
        html(&figure.title),
        figure.inline()
    )
}

fn all_taps(report: &Report) -> String {
    let table = table(report);
    let hidden = |column: &Column| {
        (column.key == "backbone" && report.backbones.len() == 1)
            || matches!(column.key, "correct" | "top_five_accuracy")
    };
    let mut columns: Vec<usize> = (0..table.columns.len()).filter(|&c| !hidden(&table.columns[c])).collect();
    // What matters first, for those whose screen is narrow; the tap's own column stays in sight.
    let first = [
        "tap",
        "backbone",
        "accuracy",
        "interval",
        "not_worse",
        "balanced_accuracy",
        "cost_share",
        "features",
        "pooling",
    ];
    columns.sort_by_key(|&c| first.iter().position(|key| *key == table.columns[c].key).unwrap_or(first.len()));
    let mut out = format!(
        "<section id=\"taps\" aria-labelledby=\"taps-h\">\n<h2 id=\"taps-h\">All layers</h2>\n<p class=\"lead\">{}. \
         Click a heading to sort.</p>\n<p class=\"visually-hidden\" role=\"status\" id=\"sorted\"></p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table of all layers\"><table class=\"sortable\">\n\
         <caption class=\"visually-hidden\">Scores of every layer, from shallow to deep</caption>\n<thead><tr>",
        layers_counted(report)
    );
    for &c in &columns {
        let column = &table.columns[c];
        let class = if column.is_number { " class=\"num\"" } else { "" };
        out += &format!(
            "<th scope=\"col\"{class}><button type=\"button\" title=\"{}\">{}</button></th>",
            html(column.help),
            html(column.title)
        );
    }
    out += "</tr></thead>\n<tbody>\n";
    let strip = Strip::of(report);
    for (index, (row, tap)) in table.rows.iter().zip(&report.taps).enumerate() {
        let best = report.best == Some(index);
        out += if best { "<tr class=\"best\">" } else { "<tr>" };
        columns.iter().for_each(|&c| out += &cell(&table.columns[c], &row[c], (tap, best), &strip));
        out += "</tr>\n";
    }
    out += "</tbody>\n</table></div>\n";
    out += &legend(&columns.iter().map(|&c| &table.columns[c]).collect::<Vec<_>>());
    out + "</section>\n"
}

fn layers_counted(report: &Report) -> String {
    let networks = counted(report.backbones.len(), "network");
    let pictures = counted(report.pictures, "picture");
    format!("{} of {networks} on {pictures}", counted(report.taps.len(), "layer"))
}

/// What the columns mean, for those who cannot hover.
fn legend(columns: &[&Column]) -> String {
    let entries: String =
        columns.iter().map(|c| format!("<dt>{}</dt><dd>{}</dd>", html(c.title), html(c.help))).collect();
    format!("<details><summary>What the columns mean</summary><dl class=\"legend\">{entries}</dl></details>\n")
}

fn cell(column: &Column, cell: &Cell, (tap, best): (&TapRow, bool), strip: &Strip) -> String {
    let value = match column.key {
        "interval" => tap.scores.as_ref().map_or(String::new(), |scores| scores.interval.0.to_string()),
        _ => crate::escape::shortened(&cell.value).into_owned(),
    };
    let value = format!(" data-v=\"{}\"", html(&value));
    match column.key {
        "tap" => {
            let mut marks = String::new();
            if best {
                marks += " <span class=\"tag\">best</span>";
            }
            if tap.top {
                marks += " <span class=\"tag quiet\">top</span>";
            }
            format!("<th scope=\"row\"{value}>{}{marks}</th>", name(&cell.text))
        }
        "interval" => format!("<td{value}>{}<span class=\"range\">{}</span></td>", strip.draw(tap), html(&cell.text)),
        _ if column.is_number => format!("<td class=\"num\"{value}>{}</td>", html(&cell.text)),
        _ => format!("<td{value}>{}</td>", name(&cell.text)),
    }
}

/// Intervals drawn on one axis, a small drawing for each row.
struct Strip {
    low: f64,
    high: f64,
}

impl Strip {
    fn of(report: &Report) -> Self {
        let intervals = report.taps.iter().filter_map(|tap| Some(tap.scores.as_ref()?.interval));
        let (low, high) = intervals.fold((1.0_f64, 0.0_f64), |(l, h), (low, high)| (l.min(low), h.max(high)));
        Self { low, high }
    }

    fn draw(&self, tap: &TapRow) -> String {
        let Some(scores) = &tap.scores else { return String::new() };
        let at = |share: f64| 4.0 + 82.0 * (share - self.low) / (self.high - self.low).max(1e-9);
        let mut svg = Svg::new(90.0, 14.0);
        svg.line("grid", (0.0, 7.0), (90.0, 7.0));
        svg.line("whisker s0", (at(scores.interval.0), 7.0), (at(scores.interval.1), 7.0));
        svg.circle("mark s0", (at(scores.accuracy), 7.0), 3.0);
        svg.decoration("strip")
    }
}

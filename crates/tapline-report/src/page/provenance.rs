//! Where everything comes from, and how to make it again.

use crate::Report;
use crate::escape::{html, name};
use crate::numbers::{count, counted};

/// Skipped pictures that are listed one by one.
const LISTED: usize = 200;

/// Networks, protocol, skipped pictures, commands.
pub(super) fn section(report: &Report) -> String {
    let provenance = &report.provenance;
    let mut out =
        "<section id=\"provenance\" aria-labelledby=\"provenance-h\">\n<h2 id=\"provenance-h\">Where it comes from</h2>\n"
            .to_owned();
    out += "<h3>Networks</h3>\n";
    for backbone in &report.backbones {
        out += &format!(
            "<dl class=\"facts\"><dt>network</dt><dd>{}</dd><dt>SHA-256</dt><dd><code>{}</code></dd><dt>store</dt><dd>{}</dd>\
             <dt>pictures</dt><dd>{}</dd><dt>computed by</dt><dd>{}</dd></dl>\n",
            name(&backbone.name),
            html(&backbone.sha256),
            name(&backbone.store),
            html(&backbone.preprocessing),
            html(&backbone.computed)
        );
    }
    out += &format!("<h3>Pictures</h3>\n<p>{}</p>\n", pictures(report));
    out += &classes(report);
    out += &skipped(report);
    if !provenance.protocol.is_empty() {
        out += "<h3>Protocol</h3>\n<ul>\n";
        provenance.protocol.iter().for_each(|line| out += &format!("<li>{}</li>\n", html(line)));
        out += "</ul>\n";
    }
    out += "<h3>Commands</h3>\n<pre tabindex=\"0\" role=\"group\" aria-label=\"Commands to make this again\"><code>";
    out += &html(&provenance.commands.join("\n"));
    out += &format!("</code></pre>\n<p class=\"lead\">{}</p>\n</section>\n", html(&provenance.program));
    out
}

fn pictures(report: &Report) -> String {
    let provenance = &report.provenance;
    let (listed, pictures) = (count(provenance.listed), count(report.pictures));
    let mut text = match report.training {
        Some(training) => {
            format!("{listed} listed, {pictures} scored here by probes trained on {} others.", count(training))
        }
        None => format!("{listed} listed, {pictures} used here."),
    };
    if provenance.without_file > 0 {
        text += &format!(
            " {} shown as an empty frame: the file is not where the listing says, or has other bytes than the features were \
             computed from.",
            if provenance.without_file == 1 {
                "1 is".to_owned()
            } else {
                format!("{} are", count(provenance.without_file))
            }
        );
    }
    text
}

fn classes(report: &Report) -> String {
    if report.classes.is_empty() {
        return String::new();
    }
    let rows: String = report
        .classes
        .iter()
        .take(LISTED)
        .map(|(class, n)| {
            format!("<tr><th scope=\"row\">{}</th><td class=\"num\">{}</td></tr>", name(class), count(*n))
        })
        .collect();
    let more = match report.classes.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("<p>and {} more.</p>", count(more)),
    };
    format!(
        "<details><summary>{}</summary><table><caption class=\"visually-hidden\">Pictures of each class</caption><thead><tr>\
         <th scope=\"col\">class</th><th scope=\"col\" class=\"num\">pictures</th></tr></thead><tbody>{rows}</tbody></table>{more}</details>\n",
        if report.classes.len() == 1 {
            "1 class".to_owned()
        } else {
            format!("{} classes", count(report.classes.len()))
        }
    )
}

fn skipped(report: &Report) -> String {
    let skipped = &report.provenance.skipped;
    if skipped.is_empty() {
        return "<p>No picture was skipped.</p>\n".to_owned();
    }
    let mut out = format!("<details><summary>{} skipped</summary><ul>\n", counted(skipped.len(), "picture"));
    for picture in skipped.iter().take(LISTED) {
        out += &format!(
            "<li>{}: {}</li>\n",
            name(&picture.path),
            html(&crate::escape::shortened_to(&picture.reason, 400))
        );
    }
    if skipped.len() > LISTED {
        out += &format!(
            "<li>and {} more; <code>tapline info STORE</code> lists them all</li>\n",
            count(skipped.len() - LISTED)
        );
    }
    out + "</ul></details>\n"
}

//! The page: one HTML file that needs no other, no network and, for reading, no script.
//!
//! Its policy allows nothing but its own style sheets and script, named by their digests, and pictures inside the file: even
//! a tag that slipped through escaping could not run or load anything.

mod closer;
mod data;
mod map;
mod overview;
mod provenance;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::escape::html;
use crate::svg::{COLOURS, styles};
use crate::{Report, Thumbnails};

const SCRIPT: &str = include_str!("page.js");

/// The report as one HTML file.
pub fn page(report: &Report) -> String {
    let (style, pictures) = (style(), pictures(&report.thumbnails) + &closer::layers_of_evidence(report));
    let policy = format!(
        "default-src 'none'; img-src data:; style-src '{}' '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        digest(&style),
        digest(&pictures),
        digest(SCRIPT)
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>{style}</style>\n<style>{pictures}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the findings</a>\n{}<main id=\"main\">\n{}{}{}</main>\n{}{}\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        html(&crate::escape::shortened_to(&report.title, 160)),
        overview::header(report),
        overview::sections(report),
        closer::section(report),
        provenance::section(report),
        FOOTER,
        data::block(report),
    )
}

const FOOTER: &str = "<footer><p>Made by Tapline. This file is complete in itself: it loads nothing.</p></footer>\n";

/// The style sheet: variables for light and dark, the drawings', the page's.
fn style() -> String {
    let variables = |dark: bool| -> String {
        COLOURS.iter().map(|(name, light, night)| format!("--{name}:{};", if dark { night } else { light })).collect()
    };
    format!(
        ":root{{{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n@media print{{:root{{{}}}}}\n{}{}",
        variables(false),
        variables(true),
        variables(false),
        styles(),
        include_str!("page.css")
    )
}

/// The style sheet with the small pictures: each stands in the file once, however often it is shown.
fn pictures(thumbnails: &Thumbnails) -> String {
    let mut css = match &thumbnails.sprite {
        Some(sprite) => format!(
            ".sprite{{width:{side}px;height:{side}px;background-image:url(data:image/jpeg;base64,{})}}\n",
            STANDARD.encode(&sprite.jpeg),
            side = sprite.side
        ),
        None => ".sprite{display:none}\n".to_owned(),
    };
    for (index, jpeg) in thumbnails.pictures.iter().enumerate() {
        css += &format!(".t{index}{{background-image:url(data:image/jpeg;base64,{})}}\n", STANDARD.encode(jpeg));
    }
    css
}

/// The digest of an inline style sheet or script, as a policy names it.
fn digest(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// Taps of the switch between layers, in its order: those looked at closely, then those only on the map.
pub(crate) fn shown_taps(report: &Report) -> Vec<usize> {
    let mut taps: Vec<usize> = report.layers.iter().map(|layer| layer.tap).collect();
    for layer in report.map.iter().flat_map(|map| &map.layers) {
        if !taps.contains(&layer.tap) {
            taps.push(layer.tap);
        }
    }
    taps
}

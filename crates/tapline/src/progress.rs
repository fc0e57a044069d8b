//! Progress on stderr, where that is a terminal: what is done, how fast, how long it will take.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` things; `unit` is their plural. It hides itself where stderr is not a terminal.
pub fn bar(what: &str, total: usize, unit: &str) -> ProgressBar {
    let template = format!("{{msg}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).expect("a fixed template");
    let bar = ProgressBar::new(total as u64).with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

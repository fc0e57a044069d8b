//! Progress on stderr, where that is a terminal: what is done, how fast, how long it will take.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A bar over `total` things; `unit` is their plural. It hides itself where stderr is not a terminal.
pub fn bar(what: &str, total: usize, unit: &str) -> ProgressBar {
    let template = format!("{{msg}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{rate}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).expect("a fixed template").with_key("rate", rate);
    let bar = ProgressBar::new(total as u64).with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Things per second, with a decimal where there are few.
fn rate(state: &ProgressState, out: &mut dyn Write) {
    let decimals = if state.per_sec() < 10.0 { 1 } else { 0 };
    // Writing to a terminal line that cannot be written is no reason to stop the work.
    let _ = write!(out, "{:.decimals$}/s", state.per_sec());
}

//! What results look like on stdout: tables for people, JSON and CSV for programs, from the same structs.

use std::io::{self, Write};
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use tapline_core::{Skipped, Store};
pub use tapline_report::line;
pub use tapline_report::numbers::{count, counted, percent, strength};
use tapline_report::{shortened, shortened_to};

/// Files passed over that are named one by one.
const SHOWN: usize = 20;

/// Letters of a name in a table: more of them push the numbers off a terminal.
const CELL: usize = 40;

/// A name from the data in a sentence: the middle of a long one left out, on one line.
pub fn short(name: &str) -> String {
    shortened(&line(name)).into_owned()
}

/// A name in a cell of a table for people: at most 40 letters, the middle of a longer one left out, on one line.
pub fn cell(name: &str) -> String {
    shortened_to(&line(name), CELL).into_owned()
}

/// The same between quotes, as errors give names.
pub fn quoted(name: &str) -> String {
    format!("{:?}", shortened(name))
}

/// A path as text, for JSON too, which holds no others: bytes that are not UTF-8 are replaced.
pub fn path(path: &Path) -> String {
    path.display().to_string()
}

/// A difference of two shares in points: `1.3`, never `-0.0`.
pub fn points(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

/// A line for each of the first files that were passed over, and what lists the others.
pub fn list(what: &str, files: &[Skipped], all: &str) -> String {
    let of_file = |file: &Skipped| format!("{what} {}: {}\n", line(&file.path), line(&file.reason));
    let mut text: String = files.iter().take(SHOWN).map(of_file).collect();
    if files.len() > SHOWN {
        text += &format!("{what} {} more: {all}\n", count(files.len() - SHOWN));
    }
    text
}

/// Bytes of all arrays of a store.
pub fn stored_bytes(store: &Store) -> u64 {
    let manifest = store.manifest();
    let features: usize = manifest.taps.iter().map(|tap| tap.info.features).sum();
    (manifest.rows * manifest.space.views.count() * features * manifest.space.dtype.size()) as u64
}

/// Writes a report as JSON where that was asked for, else as people read it.
pub fn either<T: Serialize>(as_json: bool, report: &T, render: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    if as_json { json(report) } else { text(&render(report)) }
}

/// Writes a struct as indented JSON.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Writes text as it is.
pub fn text(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{}", text.trim_end_matches('\n'))?)
}

/// A table without frames; columns whose header starts with `>` are aligned to the right.
pub fn table(headers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headers.iter().map(|h| h.trim_start_matches('>')));
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    for (index, header) in headers.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if header.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_no_negative_zero() {
        assert_eq!([0.0134, -0.0001, -0.02].map(points), ["1.3", "0.0", "-2.0"]);
    }

    #[test]
    fn long_names_leave_out_their_middle_in_a_cell() {
        let check = |name: &str, expected: &str| assert_eq!(cell(name), expected);
        check("blocks.11", "blocks.11");
        check("two\nlines", "two lines");
        check(&format!("{}{}", "a".repeat(50), "b".repeat(50)), &format!("{}…{}", "a".repeat(19), "b".repeat(20)));
    }
}

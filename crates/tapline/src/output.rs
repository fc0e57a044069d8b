//! What results look like on stdout: tables for people, JSON and CSV for programs, from the same structs.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// A regularisation strength to three digits, such as 0.0178 or 1.78e-5.
pub fn strength(c: f64) -> String {
    let rounded: f64 = format!("{c:.2e}").parse().unwrap_or(c);
    if (1e-3..1e4).contains(&rounded) { rounded.to_string() } else { format!("{rounded:e}") }
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

/// A whole number with thousands apart: `2,624`.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun, in the plural where there is not exactly one: `1 tap`, `2,624 pictures`.
pub fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// A share as per cent with one decimal: `86.3`.
pub fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (2_624, "2,624"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(percent(0.8632), "86.3");
        assert_eq!((counted(1, "tap"), counted(2_624, "picture")), ("1 tap".to_owned(), "2,624 pictures".to_owned()));
    }
}

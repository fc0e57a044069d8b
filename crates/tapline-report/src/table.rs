//! The table of all taps: one list of columns and cells, from which page, CSV and Markdown are made.

use crate::escape;
use crate::numbers::{count, interval, percent, strength};
use crate::{Error, Report, Scores, TapRow};

/// Columns and rows, all of one length.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) columns: Vec<Column>,
    /// Cells `[rows][columns]`.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// What a column holds.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its name in files.
    pub key: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it means.
    pub help: &'static str,
    pub is_number: bool,
}

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// As people read it.
    pub text: String,
    /// As programs read it.
    pub value: String,
}

/// How a cell is made of a tap; none leaves it empty.
type Read = fn(&Report, &TapRow) -> Option<Cell>;

fn number(value: f64, text: String) -> Cell {
    Cell { text, value: format!("{value}") }
}

fn words(text: &str) -> Cell {
    Cell { text: text.to_owned(), value: text.to_owned() }
}

fn share(value: f64) -> Cell {
    number(value, percent(value))
}

/// A number with three digits that count.
fn plain(value: f64) -> Cell {
    let decimals = if value.abs() < 10.0 { 3 } else { 1 };
    number(value, format!("{value:.decimals$}"))
}

fn score(tap: &TapRow, read: fn(&Scores) -> Option<Cell>) -> Option<Cell> {
    tap.scores.as_ref().and_then(read)
}

const COLUMNS: &[(&str, &str, &str, bool, Read)] = &[
    ("backbone", "network", "the pretrained network", false, |r, t| Some(words(&r.backbones.get(t.backbone)?.name))),
    ("tap", "tap", "the layer whose activations are used", false, |_, t| Some(words(&t.name))),
    ("pooling", "pooling", "how a map of activations becomes one row of features", false, |_, t| {
        Some(words(&t.pooling))
    }),
    ("features", "features", "numbers for each picture", true, |_, t| {
        Some(Cell { text: count(t.features), value: t.features.to_string() })
    }),
    ("cost_share", "cost %", "share of the network's multiply-adds needed to reach the tap", true, |_, t| {
        Some(share(t.cost_share))
    }),
    ("accuracy", "accuracy %", "share of pictures classified right", true, |_, t| {
        score(t, |s| Some(share(s.accuracy)))
    }),
    ("interval", "95 % interval", "of the accuracy", false, |_, t| {
        score(t, |s| Some(Cell { text: interval(s.interval), value: format!("{} to {}", s.interval.0, s.interval.1) }))
    }),
    ("correct", "right", "pictures classified right", true, |_, t| {
        score(t, |s| Some(Cell { text: count(s.correct), value: s.correct.to_string() }))
    }),
    ("balanced_accuracy", "balanced %", "mean over classes of the share of each classified right", true, |_, t| {
        score(t, |s| Some(share(s.balanced_accuracy)))
    }),
    ("macro_f1", "macro F1 %", "mean over classes of the harmonic mean of precision and recall", true, |_, t| {
        score(t, |s| Some(share(s.macro_f1)))
    }),
    ("top_five_accuracy", "top-5 %", "share whose class is among the five most probable", true, |_, t| {
        score(t, |s| s.top_five_accuracy.map(share))
    }),
    ("auroc", "AUROC %", "area under the ROC curve", true, |_, t| score(t, |s| s.auroc.map(share))),
    ("log_loss", "log loss", "mean of −ln of the probability of the true class, in nats", true, |_, t| {
        score(t, |s| Some(plain(s.log_loss)))
    }),
    ("calibration_error", "calibration error %", "mean gap between probability and share right", true, |_, t| {
        score(t, |s| Some(share(s.calibration_error)))
    }),
    ("control_accuracy", "control %", "accuracy with shuffled labels: chance", true, |_, t| {
        score(t, |s| s.control.map(share))
    }),
    (
        "strength",
        "strength",
        "regularisation strength C, the median of those the folds chose; * at the grid's edge in some fold",
        true,
        |_, t| score(t, |s| Some(number(s.strength, strength(s.strength) + if s.at_edge { "*" } else { "" }))),
    ),
    ("not_worse", "not worse", "not significantly worse than the best", false, |_, t| {
        t.comparison.not_worse.map(|is| words(if is { "yes" } else { "no" }))
    }),
    ("log_me", "LogME", "evidence of a linear model of the labels, without training", true, |_, t| {
        t.comparison.log_me.map(plain)
    }),
    ("h_score", "H-score", "variance between classes over variance, without training", true, |_, t| {
        t.comparison.h_score.map(plain)
    }),
    ("cka", "CKA", "similarity of the features to the best tap's, 0 to 1", true, |_, t| t.comparison.cka.map(plain)),
    ("similarity", "similarity", "to the pretraining set, seen at this tap", true, |_, t| {
        t.comparison.similarity.map(plain)
    }),
];

/// The table of all taps, without columns that are empty throughout.
pub fn table(report: &Report) -> Table {
    let cells: Vec<Vec<Option<Cell>>> =
        COLUMNS.iter().map(|column| report.taps.iter().map(|tap| column.4(report, tap)).collect()).collect();
    let kept: Vec<usize> = (0..COLUMNS.len()).filter(|&c| cells[c].iter().any(Option::is_some)).collect();
    let column = |&c: &usize| {
        let (key, title, help, is_number, _) = COLUMNS[c];
        Column { key, title, help, is_number }
    };
    let empty = || Cell { text: "–".to_owned(), value: String::new() };
    let row = |r: usize| kept.iter().map(|&c| cells[c][r].clone().unwrap_or_else(empty)).collect();
    Table { columns: kept.iter().map(column).collect(), rows: (0..report.taps.len()).map(row).collect() }
}

impl Table {
    /// The table as CSV: shares from 0 to 1, all digits, names that no spreadsheet takes for formulas.
    ///
    /// # Errors
    /// Only for a table that is not one.
    pub fn csv(&self) -> Result<String, Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|column| column.key))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|cell| escape::csv(&cell.value).into_owned()))?;
        }
        let bytes = writer.into_inner().map_err(|error| Error::Csv(error.into_error().into()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.columns.iter().map(|column| escape::markdown(column.title)).collect());
        text += &line(self.columns.iter().map(|c| if c.is_number { "--:" } else { ":--" }.to_owned()).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|cell| escape::markdown(&escape::shortened(&cell.text))).collect());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backbone;

    fn report(name: &str) -> Report {
        Report {
            backbones: vec![Backbone { name: "net".to_owned(), ..Backbone::default() }],
            taps: vec![TapRow {
                name: name.to_owned(),
                pooling: "mean".to_owned(),
                features: 1024,
                cost_share: 0.25,
                ..TapRow::default()
            }],
            ..Report::default()
        }
    }

    #[test]
    fn columns_that_are_empty_throughout_are_left_out() {
        let table = table(&report("a"));
        let keys: Vec<&str> = table.columns.iter().map(|column| column.key).collect();
        assert_eq!(keys, ["backbone", "tap", "pooling", "features", "cost_share"]);
        assert_eq!(table.csv().unwrap(), "backbone,tap,pooling,features,cost_share\nnet,a,mean,1024,0.25\n");
    }

    #[test]
    fn names_are_harmless_in_csv_and_markdown() {
        let table = table(&report("=1|2,\"<b>\n"));
        assert!(table.csv().unwrap().contains("net,\"'=1|2,\"\"<b>\n\",mean"), "{}", table.csv().unwrap());
        let markdown = table.markdown();
        assert!(markdown.contains("| net | =1\\|2,\"&lt;b&gt;  | mean | 1,024 | 25.0 |"), "{markdown}");
    }
}

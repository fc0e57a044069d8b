//! From a store's listing to targets other than classes: several labels for a picture, or numbers.
//!
//! They are columns of the listing, no part of a feature's identity: another table's cost no forward pass.

use std::collections::BTreeSet;

use anyhow::{Context, anyhow, bail};
use glob::Pattern;
use ndarray::Array2;
use serde::Serialize;
use tapline_core::{SideTable, StoredListing};
use tapline_probe::{Error, Role, RowSource, Targets};

use crate::classes::{Labelled, chosen};
use crate::output::quoted;

/// What parts the labels of a picture.
const SEPARATORS: [char; 2] = ['|', ';'];

/// What is to be predicted instead of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Labels, of which a picture has any number.
    MultiLabel,
    /// Numbers.
    Regression,
}

/// The pictures that can be probed, and their targets.
#[derive(Debug, Clone)]
pub struct Targeted {
    /// What the targets are.
    pub task: Task,
    /// The pictures; their classes are the combinations of labels, as they are written, or one for all where there are numbers.
    pub pictures: Labelled,
    /// The labels, sorted, or the columns of numbers.
    pub names: Vec<String>,
    /// 1 where a picture has a label and 0 where it has not, or its numbers `[pictures, names]`.
    pub values: Array2<f64>,
}

impl Targeted {
    /// The labels of all pictures with features: in the label column, parted by `|` or `;`, none where it is empty.
    pub fn labels(listing: &StoredListing, split: Option<&[Role]>) -> anyhow::Result<Self> {
        let (rows, split, left_out) = chosen(listing, split, ("a label", |_| true))?;
        let labels: Vec<BTreeSet<&str>> = rows.iter().map(|&row| parted(listing.label.get(row))).collect();
        let names: Vec<&str> = labels.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if names.is_empty() {
            bail!(
                "no picture of the store has a label: extract again from a CSV whose label column holds the labels of each \
                 picture, parted by | or ; (features are reused)"
            );
        }
        let shape = (rows.len(), names.len());
        let values = Array2::from_shape_fn(shape, |(row, name)| f64::from(u8::from(labels[row].contains(names[name]))));
        let written: Vec<String> = labels.iter().map(joined).collect();
        let combinations: Vec<String> = written.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let number = |text: &String| combinations.binary_search(text).expect("a combination that is there");
        Ok(Self {
            task: Task::MultiLabel,
            names: names.into_iter().map(str::to_owned).collect(),
            pictures: Labelled {
                labels: written.iter().map(number).collect(),
                names: combinations,
                rows,
                split,
                groups: None,
                left_out,
            },
            values,
        })
    }

    /// The numbers in the columns that `typed` names or stands for, of the listing or of a table `beside` it, of the pictures with
    /// features that have one in each.
    pub fn numbers(
        listing: &StoredListing,
        (beside, typed): (Option<&SideTable>, &[String]),
        split: Option<&[Role]>,
    ) -> anyhow::Result<Self> {
        let known: Vec<&str> = match beside {
            Some(table) => table.names().iter().map(String::as_str).collect(),
            None => std::iter::once("label").chain(listing.extra.iter().map(|(name, _)| name.as_str())).collect(),
        };
        let columns = columns(&known, beside, typed)?;
        let text = |row: usize, column: usize| {
            let text = match (beside, columns[column]) {
                (Some(table), at) => table.value(listing, row, at),
                (None, 0) => listing.label.get(row),
                (None, at) => listing.extra[at - 1].1.get(row),
            };
            text.map(str::trim).filter(|text| !text.is_empty())
        };
        let names: Vec<&str> = columns.iter().map(|&at| known[at]).collect();
        let complete = |row: usize| (0..columns.len()).all(|column| text(row, column).is_some());
        let (rows, split, left_out) = chosen(listing, split, (&wanted(&names), complete))?;
        if rows.is_empty() {
            return Err(none_complete(listing, beside, &names));
        }
        let mut values = Array2::zeros((rows.len(), columns.len()));
        for ((i, column), value) in values.indexed_iter_mut() {
            let (row, typed) = (rows[i], text(rows[i], column).unwrap_or_default());
            *value = typed.parse().ok().filter(|number: &f64| number.is_finite()).with_context(|| {
                let of = match beside {
                    Some(table) => format!("{} for {}", table.path().display(), &listing.path[row]),
                    None => format!("row {} ({})", row + 1, &listing.path[row]),
                };
                let (column, typed) = (names[column], quoted(typed));
                format!(
                    "{column:?} of {of} is {typed}, not a finite number: correct it, leave it empty, or name other columns \
                     with --target"
                )
            })?;
        }
        beside.iter().filter_map(|table| table.unmatched(listing)).for_each(|said| eprintln!("tapline: {said}"));
        let names = names.into_iter().map(str::to_owned).collect();
        let pictures =
            Labelled { labels: vec![0; rows.len()], names: vec![String::new()], rows, split, groups: None, left_out };
        Ok(Self { task: Task::Regression, pictures, names, values })
    }

    /// What the probes learn, with the features of its pictures.
    pub fn data<'a>(&'a self, rows: &'a dyn RowSource) -> tapline_probe::Targeted<'a> {
        let targets = match self.task {
            Task::MultiLabel => Targets::Labels(&self.values),
            Task::Regression => Targets::Numbers(&self.values),
        };
        let groups = self.pictures.groups.as_ref().map(|groups| groups.of_row.as_slice());
        tapline_probe::Targeted { rows, targets, groups }
    }

    /// The pictures a probe to keep is fitted on: the training ones of a split, or all.
    pub fn to_learn_from(&self) -> Self {
        let values = self.values.select(ndarray::Axis(0), &self.pictures.folded());
        Self { pictures: self.pictures.to_learn_from(), names: self.names.clone(), values, ..*self }
    }

    /// The names of the labels that some numbers `[names]` speak for, as a cell of a table.
    pub fn named(&self, is_there: impl Fn(usize) -> bool) -> String {
        let names = self.names.iter().enumerate().filter(|(name, _)| is_there(*name));
        joined(&names.map(|(_, name)| name.as_str()).collect())
    }

    /// An error of the probes in the words of the listing.
    pub fn in_words(&self, error: Error) -> anyhow::Error {
        let training = if self.pictures.split.is_some() { "training " } else { "" };
        let name = |number: usize| quoted(&self.names[number]);
        match error {
            Error::OneSidedLabel { label, side: 1 } => anyhow!(
                "every {training}picture has label {}: there is nothing to tell apart, add pictures without it or leave it out",
                name(label)
            ),
            Error::OneSidedLabel { label, .. } => {
                anyhow!("no {training}picture has label {}: add some with it, or leave it out", name(label))
            }
            Error::LabelInFewFolds { label, side, found, least } => anyhow!(
                "the {training}pictures {} label {} lie in {found} of the folds, and it takes {least} for every training set \
                 to have one: add some, leave the label out, or use other folds",
                if side == 1 { "with" } else { "without" },
                name(label)
            ),
            Error::ConstantTarget { target, value } => anyhow!(
                "{} is {value} in every {training}picture: there is nothing to learn of it, name the other columns alone \
                 with --target",
                name(target)
            ),
            Error::BadTarget { row, target, value } => anyhow!(
                "{} of row {} of the listing is {value:e}: give a number within ±1e100, or leave it empty",
                name(target),
                self.pictures.rows[row] + 1
            ),
            other => other.into(),
        }
    }
}

/// The labels of a cell, each once.
fn parted(cell: Option<&str>) -> BTreeSet<&str> {
    cell.unwrap_or_default().split(SEPARATORS).map(str::trim).filter(|label| !label.is_empty()).collect()
}

fn joined(labels: &BTreeSet<&str>) -> String {
    labels.iter().copied().collect::<Vec<_>>().join("|")
}

/// The places among the columns `known` of what was typed: names or globs, or all of a table where nothing was.
fn columns(known: &[&str], beside: Option<&SideTable>, typed: &[String]) -> anyhow::Result<Vec<usize>> {
    let mut found: Vec<usize> = Vec::new();
    for (i, name) in typed.iter().enumerate() {
        if typed[..i].contains(name) {
            bail!("--target names column {name:?} twice: name it once");
        }
        let matches: Vec<usize> = match known.iter().position(|known| known == name) {
            Some(place) => vec![place],
            None => {
                let glob = Pattern::new(name).ok().filter(|_| name.contains(['*', '?', '[']));
                let fits = |place: &usize| glob.as_ref().is_some_and(|glob| glob.matches(known[*place]));
                (0..known.len()).filter(fits).collect()
            }
        };
        if matches.is_empty() {
            let (of, remedy) = match beside {
                Some(table) => (table.path().display().to_string(), "correct one of them"),
                None => ("the listing".to_owned(), "extract again from a CSV with the column (features are reused)"),
            };
            let known = shortened(known);
            bail!("--target {name:?} is no column of {of} that could hold numbers; it has {known}: {remedy}");
        }
        found.extend(matches.into_iter().filter(|place| !found.contains(place)).collect::<Vec<_>>());
    }
    Ok(if typed.is_empty() { (0..known.len()).collect() } else { found })
}

/// Why no picture has all numbers.
fn none_complete(listing: &StoredListing, beside: Option<&SideTable>, names: &[&str]) -> anyhow::Error {
    match beside {
        Some(table) if !(0..listing.rows()).any(|row| table.has(listing, row)) => {
            let key = table.key();
            let first = if key == "path" { listing.path.iter().next() } else { listing.label.iter().flatten().next() };
            let first = first.map_or("empty".to_owned(), quoted);
            anyhow!(
                "{} has a row for none of the pictures: it is joined by {key}, which in the store is such as {first}",
                table.path().display()
            )
        }
        _ => anyhow!("no picture with features has {}: fill the column in", wanted(names)),
    }
}

/// What a picture must have to be of use.
pub fn wanted<S: AsRef<str>>(names: &[S]) -> String {
    const MOST: usize = 6;
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.len() {
        0..=MOST => format!("a number in {}", names.join(" and in ")),
        count => format!("a number in each of {count} columns, {} to {}", names[0], names[count - 1]),
    }
}

/// Names with commas, the first of many.
fn shortened(names: &[&str]) -> String {
    const MOST: usize = 20;
    let more = names.len().saturating_sub(MOST);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use tapline_core::Words;

    use super::*;

    fn text(values: &[&str]) -> Words {
        values.iter().map(|value| (!value.is_empty()).then(|| (*value).to_owned())).collect()
    }

    fn listing(label: &[&str], extra: &[(&str, &[&str])]) -> StoredListing {
        StoredListing {
            path: (0..label.len()).map(|row| format!("{row}.png")).collect(),
            label: text(label),
            split: text(&vec![""; label.len()]),
            extra: extra.iter().map(|(name, values)| ((*name).to_owned(), text(values))).collect(),
            sha256: vec![None; label.len()],
            skipped: text(&[&["damaged"][..], &vec![""; label.len() - 1]].concat()),
        }
    }

    #[test]
    fn labels_are_parted_and_an_empty_cell_has_none() {
        let found = Targeted::labels(&listing(&["x", "b|a", "", " a ; c;a", "|"], &[]), None).unwrap();
        assert_eq!((found.names.join(","), &found.pictures.rows), ("a,b,c".to_owned(), &vec![1, 2, 3, 4]));
        assert_eq!(found.values, ndarray::array![[1., 1., 0.], [0., 0., 0.], [1., 0., 1.], [0., 0., 0.]]);
        assert_eq!(
            (found.pictures.names.join(","), &found.pictures.labels),
            (",a|b,a|c".to_owned(), &vec![1, 0, 2, 0])
        );
        assert_eq!(found.pictures.left_out.skipped, 1);
        assert_eq!(found.named(|name| found.values[[2, name]] == 1.0), "a|c");
    }

    #[test]
    fn numbers_are_read_and_pictures_without_one_are_left_out() {
        let listing = listing(&["", "2", "3", "4"], &[("x", &["", " 1.5", "-2e3", ""])]);
        let found = Targeted::numbers(&listing, (None, &["x".to_owned(), "label".to_owned()]), None).unwrap();
        assert_eq!(found.values, ndarray::array![[1.5, 2.0], [-2000.0, 3.0]]);
        assert_eq!((found.pictures.left_out.skipped, found.pictures.left_out.unlabelled), (1, 1));
    }

    #[test]
    fn what_is_no_number_is_named_by_row_and_column() {
        let listing = listing(&["", "", ""], &[("x", &["", "1", "NaN"]), ("y", &["", "tall", ""])]);
        let check = |columns: &[&str], expected: &str| {
            let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
            assert_eq!(Targeted::numbers(&listing, (None, &columns), None).unwrap_err().to_string(), expected);
        };
        check(
            &["x"],
            "\"x\" of row 3 (2.png) is \"NaN\", not a finite number: correct it, leave it empty, or name other columns with --target",
        );
        check(
            &["y"],
            "\"y\" of row 2 (1.png) is \"tall\", not a finite number: correct it, leave it empty, or name other columns with --target",
        );
        check(&["label"], "no picture with features has a number in label: fill the column in");
        check(&["x", "x"], "--target names column \"x\" twice: name it once");
        let none = "it has label, x, y: extract again from a CSV with the column (features are reused)";
        check(&["z*"], &format!("--target \"z*\" is no column of the listing that could hold numbers; {none}"));
    }

    #[test]
    fn a_glob_stands_for_columns_in_their_order_each_once() {
        let typed = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let places = |names: &[&str]| columns(&["label", "v1", "w", "v2", "v*"], None, &typed(names)).unwrap();
        assert_eq!(places(&["v?"]), [1, 3, 4]);
        assert_eq!(places(&["v2", "v[0-9]", "w"]), [3, 1, 2]);
        assert_eq!(places(&["v*"]), [4], "a name that is there is no glob");
    }
}

//! From a store's labels to class numbers: which rows a probe may use, and what their classes are called.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::Serialize;
use tapline_core::StoredListing;

/// The rows that can be probed, and their classes.
pub struct Labelled {
    /// Class names, sorted; a class's number is its position.
    pub names: Vec<String>,
    /// Positions in the store of the rows with features and a label.
    pub rows: Vec<usize>,
    /// The class number of each of `rows`.
    pub labels: Vec<usize>,
    /// The other rows.
    pub left_out: LeftOut,
}

/// Rows that cannot be probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Pictures without features.
    pub skipped: usize,
    /// Pictures without a label.
    pub unlabelled: usize,
}

impl LeftOut {
    /// What was left out as a line, nothing if nothing was.
    pub fn sentence(&self) -> String {
        match self {
            Self { skipped: 0, unlabelled: 0 } => String::new(),
            Self { skipped, unlabelled } => {
                format!("Left out: {skipped} picture(s) without features, {unlabelled} without a label.\n")
            }
        }
    }
}

/// One class and how many pictures it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Its label.
    pub name: String,
    /// Its pictures among those probed.
    pub pictures: usize,
}

impl Labelled {
    /// Numbers the classes of the rows that have both features and a label.
    pub fn of(listing: &StoredListing) -> anyhow::Result<Self> {
        let good = |row: &usize| listing.skipped[*row].is_none();
        let all = 0..listing.rows();
        let skipped = all.clone().filter(|row| !good(row)).count();
        let rows: Vec<usize> = all.filter(good).filter(|&row| listing.label[row].is_some()).collect();
        let left_out = LeftOut { skipped, unlabelled: listing.rows() - skipped - rows.len() };
        let label = |row: usize| listing.label[row].as_deref().unwrap_or_default();
        let numbers: BTreeMap<&str, usize> = rows.iter().map(|&row| (label(row), 0)).collect();
        let names: Vec<String> = numbers.keys().map(|&name| name.to_owned()).collect();
        let labels = rows.iter().map(|&row| names.binary_search_by(|n| n.as_str().cmp(label(row))).expect("listed"));
        let labels = labels.collect();
        match names.as_slice() {
            [] => bail!(
                "the store has no labelled pictures to train on: put pictures in one folder for each class, or give a \
                 CSV with a label column, and extract again (features are reused)"
            ),
            [one] => bail!("all labelled pictures belong to one class, {one:?}; a classifier needs at least two"),
            _ => Ok(Self { names, rows, labels, left_out }),
        }
    }

    /// The classes with their sizes, in order of their numbers.
    pub fn classes(&self) -> Vec<Class> {
        let pictures = |class| self.labels.iter().filter(|&&l| l == class).count();
        self.names.iter().enumerate().map(|(n, name)| Class { name: name.clone(), pictures: pictures(n) }).collect()
    }

    /// Refuses folds that some class is too small for, by the class's name.
    pub fn check_folds(&self, folds: usize) -> anyhow::Result<()> {
        match self.classes().into_iter().min_by_key(|class| class.pictures) {
            Some(class) if class.pictures < folds => bail!(
                "class {:?} has {} picture(s), fewer than {folds} folds: add pictures to it, leave it out, or use --folds \
                 (at least 3)",
                class.name,
                class.pictures
            ),
            _ => Ok(()),
        }
    }
}

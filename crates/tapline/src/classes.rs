//! From a store's labels to class numbers: which rows a probe may use, and what their classes are called.

use std::collections::BTreeMap;

use anyhow::bail;
use serde::Serialize;
use tapline_core::StoredListing;
use tapline_probe::Role;

use crate::groups::Groups;
use crate::output::quoted;

/// The rows that can be probed, and their classes.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// Class names, sorted; a class's number is its position.
    pub names: Vec<String>,
    /// Positions in the store of the rows with features and a label.
    pub rows: Vec<usize>,
    /// The class number of each of `rows`.
    pub labels: Vec<usize>,
    /// What each of `rows` is for in a fixed split, to learn from or to score on; none where folds take turns.
    pub split: Option<Vec<Role>>,
    /// Which of `rows` belong together; none where each is a draw of its own.
    pub groups: Option<Groups>,
    /// The other rows.
    pub left_out: LeftOut,
}

/// Rows that cannot be probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Pictures without features.
    pub skipped: usize,
    /// Pictures without a label, or a number to learn.
    pub unlabelled: usize,
    /// Labelled pictures that a fixed split uses neither to learn from nor to score on.
    pub unused: usize,
}

impl LeftOut {
    /// What was left out as a line, nothing if nothing was.
    pub fn sentence(&self) -> String {
        self.sentence_of("a label")
    }

    /// The same where `what` was missing.
    pub fn sentence_of(&self, what: &str) -> String {
        let Self { skipped, unlabelled, unused } = self;
        let unused = if *unused > 0 { format!(", {unused} neither train nor test") } else { String::new() };
        if unused.is_empty() && (skipped, unlabelled) == (&0, &0) {
            return String::new();
        }
        format!("Left out: {skipped} picture(s) without features, {unlabelled} without {what}{unused}.\n")
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
    /// Numbers the classes of the rows that have both features and a label, and a use in the split if there is one.
    pub fn of(listing: &StoredListing, split: Option<&[Role]>) -> anyhow::Result<Self> {
        let (rows, split, left_out) = chosen(listing, split, ("a label", |row| listing.label[row].is_some()))?;
        let label = |row: usize| listing.label[row].as_deref().unwrap_or_default();
        let numbers: BTreeMap<&str, usize> = rows.iter().map(|&row| (label(row), 0)).collect();
        let names: Vec<String> = numbers.keys().map(|&name| name.to_owned()).collect();
        let labels = rows.iter().map(|&row| names.binary_search_by(|n| n.as_str().cmp(label(row))).expect("listed"));
        let labels = labels.collect();
        match names.as_slice() {
            [] if listing.skipped.iter().all(Option::is_some) => {
                bail!("the store holds no features, for all its pictures were skipped: `tapline info` says why")
            }
            [] => bail!(
                "the store has no labelled pictures to train on: put pictures in one folder for each class, or give a \
                 CSV with a label column, and extract again (features are reused)"
            ),
            [one] => {
                bail!("all labelled pictures belong to one class, {}; a classifier needs at least two", quoted(one))
            }
            _ => Ok(Self { names, rows, labels, split, groups: None, left_out }),
        }
    }

    /// The classes with their sizes, in order of their numbers.
    pub fn classes(&self) -> Vec<Class> {
        let pictures = |class| self.labels.iter().filter(|&&l| l == class).count();
        self.names.iter().enumerate().map(|(n, name)| Class { name: name.clone(), pictures: pictures(n) }).collect()
    }

    /// Positions in `rows` of the pictures that have this role in the split.
    pub fn with_role(&self, role: Role) -> Vec<usize> {
        let roles = self.split.iter().flatten().enumerate();
        roles.filter(|(_, found)| **found == role).map(|(position, _)| position).collect()
    }

    /// Positions in `rows` of the pictures that folds are made of: the training ones of a split, or all.
    pub fn folded(&self) -> Vec<usize> {
        if self.split.is_some() { self.with_role(Role::Train) } else { (0..self.rows.len()).collect() }
    }

    /// The pictures a probe to keep is fitted on: the training ones of a split, or all.
    pub fn to_learn_from(&self) -> Self {
        let chosen = self.folded();
        let of = |values: &[usize]| chosen.iter().map(|&position| values[position]).collect();
        Self {
            names: self.names.clone(),
            rows: of(&self.rows),
            labels: of(&self.labels),
            split: None,
            groups: self.groups.as_ref().map(|groups| Groups { of_row: of(&groups.of_row), ..groups.clone() }),
            left_out: self.left_out.clone(),
        }
    }

    /// Share of the pictures scored that have the class most pictures to learn from have, 0 to 1.
    pub fn chance(&self) -> f64 {
        let share = |rows: &[usize], class| {
            rows.iter().filter(|&&position| self.labels[position] == class).count() as f64 / rows.len() as f64
        };
        let learnt = self.folded();
        let scored = if self.split.is_some() { self.with_role(Role::Test) } else { learnt.clone() };
        let largest = (0..self.names.len()).max_by(|&a, &b| share(&learnt, a).total_cmp(&share(&learnt, b)));
        largest.map_or(f64::NAN, |class| share(&scored, class))
    }

    /// Refuses folds that some class is too small for, by the class's name.
    pub fn check_folds(&self, folds: usize) -> anyhow::Result<()> {
        let mut sizes = vec![0; self.names.len()];
        self.folded().into_iter().for_each(|position| sizes[self.labels[position]] += 1);
        let training = if self.split.is_some() { "training " } else { "" };
        let smallest = sizes.into_iter().zip(&self.names).min_by_key(|(size, _)| *size);
        match smallest {
            Some((0, name)) => bail!(
                "class {} has pictures marked test and none marked train: mark some of it train, or leave it out",
                quoted(name)
            ),
            // Whether groups can be dealt into folds does not hang on the pictures' number.
            Some((size, name)) if size < folds && self.groups.is_none() => bail!(
                "class {} has {size} {training}picture(s), fewer than {folds} folds: add pictures to it, leave it \
                 out, or use --folds (at least 3)",
                quoted(name)
            ),
            _ => Ok(()),
        }
    }
}

/// The rows of a listing with features that are `labelled` and have a use in the split if there is one, their roles, and how many
/// others there are. `what` a picture must have for that is said where the split has too few.
pub fn chosen(
    listing: &StoredListing,
    split: Option<&[Role]>,
    (what, labelled): (&str, impl Fn(usize) -> bool),
) -> anyhow::Result<(Vec<usize>, Option<Vec<Role>>, LeftOut)> {
    let good = |row: &usize| listing.skipped[*row].is_none();
    let all = 0..listing.rows();
    let skipped = all.clone().filter(|row| !good(row)).count();
    let mut rows: Vec<usize> = all.filter(good).filter(|&row| labelled(row)).collect();
    let found = rows.len();
    rows.retain(|&row| split.is_none_or(|roles| roles[row] != Role::Unused));
    let left_out = LeftOut { skipped, unlabelled: listing.rows() - skipped - found, unused: found - rows.len() };
    let split: Option<Vec<Role>> = split.map(|roles| rows.iter().map(|&row| roles[row]).collect());
    // Where nothing is labelled the caller knows why.
    if found > 0 {
        check_roles(split.as_deref(), what)?;
    }
    Ok((rows, split, left_out))
}

/// That a split has something to learn from and something to score on.
fn check_roles(split: Option<&[Role]>, what: &str) -> anyhow::Result<()> {
    let Some(roles) = split else { return Ok(()) };
    for (role, word) in [(Role::Train, "train"), (Role::Test, "test")] {
        if !roles.contains(&role) {
            bail!(
                "no picture with features and {what} is marked {word} in the split column: mark some, or drop --split"
            );
        }
    }
    Ok(())
}

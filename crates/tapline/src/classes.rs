//! From a store's labels to class numbers: which rows a probe may use, and what their classes are called.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use serde::Serialize;
use tapline_core::StoredListing;
use tapline_probe::Role;

use crate::groups::Groups;
use crate::output::{count, counted, quoted, short};
use crate::split::said;

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
    /// Pictures of classes that were too small.
    #[serde(skip_serializing_if = "is_none")]
    pub of_small_classes: usize,
    /// These classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub small_classes: Vec<String>,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

impl LeftOut {
    /// What was left out as a line, nothing if nothing was.
    pub fn sentence(&self) -> String {
        self.sentence_of("a label")
    }

    /// The same where `what` was missing.
    pub fn sentence_of(&self, what: &str) -> String {
        let Self { skipped, unlabelled, unused, of_small_classes, small_classes } = self;
        let unused = if *unused > 0 { format!(", {unused} neither train nor test") } else { String::new() };
        let small = match small_classes.as_slice() {
            [] => String::new(),
            names => {
                let names: Vec<String> = names.iter().map(|name| short(name)).collect();
                format!(", {of_small_classes} of small classes ({})", names.join(", "))
            }
        };
        if (unused.as_str(), small.as_str(), skipped, unlabelled) == ("", "", &0, &0) {
            return String::new();
        }
        format!("Left out: {skipped} picture(s) without features, {unlabelled} without {what}{unused}{small}.\n")
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
    /// Numbers the classes of the rows that have both features and a label, and a use in the split if there is one; classes with
    /// fewer than `least` pictures to make folds of are left out.
    pub fn of(listing: &StoredListing, split: Option<&[Role]>, least: usize) -> anyhow::Result<Self> {
        let label = |row: usize| listing.label.get(row).unwrap_or_default();
        let (mut rows, mut split, mut left_out) =
            chosen(listing, split, ("a label", |row| listing.label.get(row).is_some()))?;
        let small = small_classes(&rows, split.as_deref(), (label, least));
        if !small.is_empty() {
            let keep: Vec<bool> = rows.iter().map(|&row| !small.contains(label(row))).collect();
            let kept = |place: &usize| keep[*place];
            left_out.of_small_classes = keep.iter().filter(|&&keep| !keep).count();
            left_out.small_classes = small.iter().map(|&name| name.to_owned()).collect();
            split = split.map(|roles| (0..roles.len()).filter(kept).map(|place| roles[place]).collect());
            rows = (0..rows.len()).filter(kept).map(|place| rows[place]).collect();
            if split.as_ref().is_some_and(|roles| !roles.contains(&Role::Test)) {
                bail!(
                    "no picture marked test is of a class with the {} that --min-class asks for: ask for fewer",
                    counted(least, "training picture")
                );
            }
        }
        let numbers: BTreeMap<&str, usize> = rows.iter().map(|&row| (label(row), 0)).collect();
        let names: Vec<String> = numbers.keys().map(|&name| name.to_owned()).collect();
        let labels = rows.iter().map(|&row| names.binary_search_by(|n| n.as_str().cmp(label(row))).expect("listed"));
        let labels = labels.collect();
        match names.as_slice() {
            [] if listing.skipped.iter().all(|reason| reason.is_some()) => {
                bail!("the store holds no features, for all its pictures were skipped: `tapline info` says why")
            }
            [] if left_out.of_small_classes > 0 => {
                bail!("no class has the {} that --min-class asks for: ask for fewer", counted(least, "picture"))
            }
            [] => bail!(
                "the store has no labelled pictures to train on: put pictures in one folder for each class, or give a \
                 CSV with a label column, and extract again (features are reused)"
            ),
            [one] if left_out.of_small_classes > 0 => bail!(
                "one class alone, {}, has the {} that --min-class asks for, and a classifier needs at least two: ask for fewer",
                quoted(one),
                counted(least, "picture")
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

    /// The classes with how many of their pictures are scored, in order of their numbers.
    pub fn scored_classes(&self) -> Vec<Class> {
        let mut classes = self.classes();
        if self.split.is_some() {
            classes.iter_mut().for_each(|class| class.pictures = 0);
            self.with_role(Role::Test).into_iter().for_each(|position| classes[self.labels[position]].pictures += 1);
        }
        classes
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

    /// How many of the pictures that folds are made of each class has `[classes]`.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.names.len()];
        self.folded().into_iter().for_each(|position| sizes[self.labels[position]] += 1);
        sizes
    }

    /// The class with most pictures to learn from, the first of equals.
    pub fn commonest(&self) -> usize {
        let sizes = self.sizes();
        (1..sizes.len()).fold(0, |best, class| if sizes[class] > sizes[best] { class } else { best })
    }

    /// Share of the pictures scored that have the commonest class, 0 to 1.
    pub fn chance(&self) -> f64 {
        let scored = if self.split.is_some() { self.with_role(Role::Test) } else { self.folded() };
        let commonest = self.commonest();
        let right = scored.iter().filter(|&&position| self.labels[position] == commonest).count();
        right as f64 / scored.len() as f64
    }

    /// Refuses folds that some class of the listing is too small for, by the class's name.
    pub fn check_folds(&self, folds: usize, listing: &StoredListing) -> anyhow::Result<()> {
        let training = if self.split.is_some() { "training " } else { "" };
        let smallest = self.sizes().into_iter().zip(&self.names).min_by_key(|(size, _)| *size);
        match smallest {
            Some((0, name)) => bail!(
                "class {} has pictures marked test and none marked train: mark some of it train, or leave it out with \
                 --min-class 1",
                quoted(name)
            ),
            // Whether groups can be dealt into folds does not hang on the pictures' number.
            Some((size, name)) if size < folds && self.groups.is_none() => {
                let skipped = listing.skipped.iter().zip(listing.label.iter());
                let skipped =
                    skipped.filter(|(reason, label)| reason.is_some() && *label == Some(name.as_str())).count();
                let with =
                    if skipped > 0 { format!(" with features ({} skipped)", count(skipped)) } else { String::new() };
                let fewer = if size < LEAST_FOLDS { "" } else { ", or use fewer --folds (at least 3)" };
                let are_left = self.sizes().iter().filter(|&&size| size >= folds).count() > 1;
                let leave = if are_left {
                    format!(", leave out small classes with --min-class {folds}")
                } else {
                    String::new()
                };
                bail!(
                    "class {} has {}{with}, fewer than {folds} folds: add pictures to it{leave}{fewer}",
                    quoted(name),
                    counted(size, &format!("{training}picture")),
                )
            }
            _ => Ok(()),
        }
    }
}

/// Folds that a nested choice of strengths takes at least.
const LEAST_FOLDS: usize = 3;

/// The classes of `rows` with fewer than `least` pictures to make folds of.
fn small_classes<'a>(
    rows: &[usize],
    split: Option<&[Role]>,
    (label, least): (impl Fn(usize) -> &'a str, usize),
) -> BTreeSet<&'a str> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, &row) in rows.iter().enumerate() {
        let is_folded = split.is_none_or(|roles| roles[place] == Role::Train);
        *sizes.entry(label(row)).or_default() += usize::from(is_folded);
    }
    sizes.into_iter().filter(|(_, size)| *size < least).map(|(name, _)| name).collect()
}

/// The rows of a listing with features that are `labelled` and have a use in the split if there is one, their roles, and how many
/// others there are. `what` a picture must have for that is said where the split has too few.
pub fn chosen(
    listing: &StoredListing,
    split: Option<&[Role]>,
    (what, labelled): (&str, impl Fn(usize) -> bool),
) -> anyhow::Result<(Vec<usize>, Option<Vec<Role>>, LeftOut)> {
    let good = |row: &usize| listing.skipped.get(*row).is_none();
    let all = 0..listing.rows();
    let skipped = all.clone().filter(|row| !good(row)).count();
    let mut rows: Vec<usize> = all.filter(good).filter(|&row| labelled(row)).collect();
    let found = rows.len();
    rows.retain(|&row| split.is_none_or(|roles| roles[row] != Role::Unused));
    let left_out = LeftOut {
        skipped,
        unlabelled: listing.rows() - skipped - found,
        unused: found - rows.len(),
        of_small_classes: 0,
        small_classes: Vec::new(),
    };
    let split: Option<Vec<Role>> = split.map(|roles| rows.iter().map(|&row| roles[row]).collect());
    // Where nothing is labelled the caller knows why.
    if found > 0 {
        check_roles(split.as_deref(), what, listing)?;
    }
    Ok((rows, split, left_out))
}

/// That a split has something to learn from and something to score on.
fn check_roles(split: Option<&[Role]>, what: &str, listing: &StoredListing) -> anyhow::Result<()> {
    let Some(roles) = split else { return Ok(()) };
    for (role, word) in [(Role::Train, "train"), (Role::Test, "test")] {
        if !roles.contains(&role) {
            bail!(
                "no picture with features and {what} is marked {word} in the split column, which says {}: mark some, or drop \
                 --split",
                said(listing)
            );
        }
    }
    Ok(())
}

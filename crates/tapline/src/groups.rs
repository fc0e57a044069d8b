//! `--group COLUMN`: which pictures belong together, such as those of one patient, module or camera.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use tapline_core::{StoredListing, Words};
use tapline_probe::{Error, ProtocolConfig, Role, check_spread, grouped_folds};

use crate::classes::Labelled;
use crate::output::{count, counted, quoted};
use crate::typing::word;

/// Seeds that are tried where one deals a class into too few folds.
const SEEDS: u64 = 10;

/// The groups of the pictures that are probed.
#[derive(Debug, Clone)]
pub struct Groups {
    /// The listing's column they come from.
    pub column: String,
    /// Their names, sorted; a group's number is its position.
    pub names: Vec<String>,
    /// The group number of each picture.
    pub of_row: Vec<usize>,
}

/// The column and how many groups it makes, for reports.
#[derive(Debug, Clone, Serialize)]
pub struct GroupSizes {
    /// The listing's column.
    pub column: String,
    /// Groups among the pictures probed.
    pub groups: usize,
}

impl GroupSizes {
    /// What follows the number of folds: ` of 44 groups (module)`.
    pub fn text(&self) -> String {
        format!(" of {} groups ({})", count(self.groups), self.column)
    }
}

impl Groups {
    /// The groups that `column` makes of the `rows` of a listing.
    pub fn of(listing: &StoredListing, column: &str, rows: &[usize]) -> anyhow::Result<Self> {
        let values = find(listing, column)?;
        // Blanks around a name would make it another group, and part what belongs together.
        let name = |row: usize| values.get(row).map(str::trim).unwrap_or_default();
        let empty: Vec<usize> = rows.iter().copied().filter(|&row| name(row).is_empty()).collect();
        if let Some(&first) = empty.first() {
            bail!(
                "{} picture(s) have no {column:?}, first {}: fill the column in, or take their label away",
                empty.len(),
                &listing.path[first]
            );
        }
        let mut numbers: BTreeMap<&str, usize> = rows.iter().map(|&row| (name(row), 0)).collect();
        numbers.values_mut().enumerate().for_each(|(number, value)| *value = number);
        Ok(Self {
            column: column.to_owned(),
            names: numbers.keys().map(|&name| name.to_owned()).collect(),
            of_row: rows.iter().map(|&row| numbers[name(row)]).collect(),
        })
    }

    /// The column and how many groups it makes.
    pub fn sizes(&self) -> GroupSizes {
        GroupSizes { column: self.column.clone(), groups: self.names.len() }
    }
}

/// Refuses groups that folds cannot be made of, or that a split tears apart, in the words of the listing.
pub fn check(groups: &Groups, data: &Labelled, config: &ProtocolConfig) -> anyhow::Result<()> {
    check_whole(groups, data)?;
    let folded = data.folded();
    let chosen = |values: &[usize]| -> Vec<usize> { folded.iter().map(|&position| values[position]).collect() };
    let (labels, of_row) = (chosen(&data.labels), chosen(&groups.of_row));
    // Nested folds leave out two at a time, those within a split's training pictures one.
    let least = if data.split.is_some() { 2 } else { 3 };
    let spread = |seed| {
        let folds = grouped_folds(&labels, &of_row, config.folds, seed)?;
        check_spread(&labels, &folds, least)
    };
    match spread(config.seed) {
        Err(Error::ClassInFewFolds { class, found, least }) => {
            let mut seeds = (1..=SEEDS).map(|more| config.seed.wrapping_add(more));
            let seed = seeds.find(|&seed| spread(seed).is_ok()).map(|seed| format!("--seed {seed}"));
            Err(in_few_folds((class, found, least), (groups, data), (config.folds, seed)))
        }
        other => other.with_context(|| format!("--group {}", groups.column)),
    }
}

/// That a class lies in so few folds of whole groups that some training set has none of it, and what helps: more groups, a `seed`
/// where there is one, or to do without the class. Fewer folds never do: they part its groups less.
pub fn in_few_folds(
    (class, found, least): (usize, usize, usize),
    (groups, data): (&Groups, &Labelled),
    (folds, seed): (usize, Option<String>),
) -> anyhow::Error {
    let sizes = data.sizes();
    let larger = sizes[class] + 1;
    let mut remedies = vec!["use more groups with it".to_owned()];
    remedies.extend(seed);
    if sizes.iter().filter(|&&size| size >= larger).count() > 1 {
        remedies.push(format!("leave out small classes with --min-class {larger}"));
    } else if sizes.len() > 2 {
        remedies.push("take its label away".to_owned());
    }
    anyhow!(
        "class {} lies in {found} of {folds} folds of whole {:?} groups, and takes {least} to be in every training set: {}",
        quoted(&data.names[class]),
        groups.column,
        remedies.join(", or ")
    )
}

/// The column that looks most like the names of what several pictures each were taken of, and how many it names: of one class
/// all pictures of each, of far more names than classes, and of two pictures or more each on average.
fn likely<'a>(listing: &'a StoredListing, data: &Labelled) -> Option<(&'a str, usize)> {
    let named = |values: &Words| {
        let mut class_of: HashMap<&str, usize> = HashMap::new();
        for (&row, &class) in data.rows.iter().zip(&data.labels) {
            let name = values.get(row).map(str::trim).filter(|name| !name.is_empty())?;
            if *class_of.entry(name).or_insert(class) != class {
                return None;
            }
        }
        let names = class_of.len();
        (names > 2 * data.names.len() && 2 * names <= data.rows.len()).then_some(names)
    };
    let found = listing.extra.iter().filter_map(|(column, values)| Some((column.as_str(), named(values)?)));
    found.max_by_key(|(_, names)| *names)
}

/// That pictures may belong together, where nobody has said so.
pub fn hint(listing: &StoredListing, data: &Labelled) -> Option<String> {
    let (column, names) = likely(listing, data)?;
    Some(format!(
        "the column {column:?} has {} in {} pictures, and all pictures of each are of one class: if they belong together (one \
         animal, one module), --group {} keeps them on one side of every fold; without it accuracies come out too high",
        counted(names, "value"),
        count(data.rows.len()),
        word(column)
    ))
}

/// Refuses groups that a split tears apart.
pub fn check_whole(groups: &Groups, data: &Labelled) -> anyhow::Result<()> {
    let trained: HashSet<usize> = data.folded().iter().map(|&position| groups.of_row[position]).collect();
    for position in data.with_role(Role::Test) {
        let group = groups.of_row[position];
        if trained.contains(&group) {
            let (name, column) = (&groups.names[group], &groups.column);
            bail!(
                "{column} {} has pictures marked train and pictures marked test: mark all of them alike",
                quoted(name)
            );
        }
    }
    Ok(())
}

fn find<'a>(listing: &'a StoredListing, column: &str) -> anyhow::Result<&'a Words> {
    match column {
        "label" => bail!(
            "--group label would put all pictures of a class into one fold: name a column of what belongs together"
        ),
        "path" | "split" | "sha256" | "skipped" => {
            bail!("--group {column} is not one of your columns: name a column of what belongs together")
        }
        _ => {}
    }
    if let Some((_, values)) = listing.extra.iter().find(|(name, _)| name == column) {
        return Ok(values);
    }
    let names: Vec<&str> = listing.extra.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        bail!(
            "the listing has no column {column:?}, nor any of your own: extract again from a CSV with one (features are \
             reused)"
        );
    }
    bail!("the listing has no column {column:?}; it has {}", names.join(", "))
}

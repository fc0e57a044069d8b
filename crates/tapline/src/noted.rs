//! What looks odd in a listing that was extracted, and is said once the work is done: nothing here stops anything.

use std::collections::{BTreeMap, BTreeSet};

use icu_normalizer::ComposingNormalizerBorrowed;
use tapline_core::StoredListing;

use crate::output::{count, counted, quoted, short};
use crate::typing::word;

/// Classes that a line names.
const NAMED: usize = 6;

/// What is said of a listing.
pub struct Noted {
    /// The classes with their pictures that have features, as a line.
    pub classes: String,
    /// What to type next, as a line.
    pub next: String,
    /// Sentences about labels that may not be meant as they are.
    pub oddities: Vec<String>,
}

impl Noted {
    /// Of the listing of the store typed as `store`; `of_folders` says that labels are the names of folders.
    pub fn of(listing: &StoredListing, store: &str, of_folders: bool) -> Self {
        let found = sizes(listing);
        let lost = lost(&found.0, listing);
        let there = if found.0.is_empty() && !lost.is_empty() { String::new() } else { classes(&found) };
        Self { classes: there + &lost, next: next(&found.0, store), oddities: oddities(&found.0, listing, of_folders) }
    }
}

/// The classes with their pictures that have features, such as `labels: 24 crab, 16 dragonfly`.
fn classes((sizes, unlabelled): &(BTreeMap<&str, usize>, usize)) -> String {
    let mut text = match sizes.len() {
        0 => {
            return "no labels: put pictures in a folder for each class, or give a table with a column label\n"
                .to_owned();
        }
        _ => "labels: ".to_owned(),
    };
    let named: Vec<String> =
        sizes.iter().take(NAMED).map(|(label, n)| format!("{} {}", count(*n), short(label))).collect();
    text += &named.join(", ");
    if sizes.len() > NAMED {
        text += &format!(" and {} more", counted(sizes.len() - NAMED, "label"));
    }
    if *unlabelled > 0 {
        text += &format!("; {} without one", counted(*unlabelled, "picture"));
    }
    text + "\n"
}

/// The classes of which no picture has features, as a line; empty where each has one.
fn lost(sizes: &BTreeMap<&str, usize>, listing: &StoredListing) -> String {
    let mut lost: BTreeMap<&str, usize> = BTreeMap::new();
    for label in listing.label.iter().flatten().filter(|label| !sizes.contains_key(label)) {
        *lost.entry(label).or_default() += 1;
    }
    let named = lost.iter().take(NAMED).map(|(label, n)| format!("{} (of {})", short(label), counted(*n, "picture")));
    let named: Vec<String> = named.collect();
    match lost.len() {
        0 => String::new(),
        n if n > NAMED => {
            format!("no picture could be used of {} and {} more\n", named.join(", "), counted(n - NAMED, "label"))
        }
        _ => format!("no picture could be used of {}\n", named.join(", ")),
    }
}

/// What to type next, as a line.
fn next(sizes: &BTreeMap<&str, usize>, store: &str) -> String {
    let store = word(store);
    let are_numbers = || sizes.keys().all(|label| label.trim().parse::<f64>().is_ok_and(f64::is_finite));
    match sizes.len() {
        0 => format!("next: tapline predict PROBE {store}, with a probe of other pictures\n"),
        classes if classes > sizes.values().sum::<usize>() / 2 && are_numbers() => {
            format!("next: tapline probe {store} --regression --target label\n")
        }
        1 => "next: add pictures of a second class to learn from, and extract again\n".to_owned(),
        _ => format!("next: tapline compare {store}\n"),
    }
}

/// Sentences about labels that may not be meant as they are. `of_folders` says that they are the names of folders.
fn oddities(sizes: &BTreeMap<&str, usize>, listing: &StoredListing, of_folders: bool) -> Vec<String> {
    let mut found = Vec::new();
    let missing = sizes.keys().filter(|label| is_missing(label));
    found.extend(missing.map(|label| {
        format!("{} is taken for a class; where it stands for no label, leave the cell empty", quoted(label))
    }));
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    // An accent is a code point of its own or part of its letter's, as the system has it that named a folder.
    let composed = |label: &str| ComposingNormalizerBorrowed::new_nfc().normalize(label).into_owned();
    // 1, 1.0 and 01 are one number; of more digits a float64 does not tell all apart.
    let meant = |label: &str| match label.trim().parse::<f64>() {
        Ok(number) if label.len() <= 15 => number.to_string(),
        _ => composed(label.trim()).to_lowercase(),
    };
    sizes.keys().for_each(|label| alike.entry(meant(label)).or_default().push(label));
    if let Some(several) = alike.values().find(|labels| labels.len() > 1) {
        let names: Vec<String> = several.iter().map(|label| quoted(label)).collect();
        let look_alike = several.windows(2).any(|pair| composed(pair[0]) == composed(pair[1]));
        let why =
            if look_alike { ": they look alike, but their letters are written with other code points" } else { "" };
        found.push(format!("{} are taken for different classes{why}", names.join(" and ")));
    }
    found.extend(of_folders.then(|| deeper(listing)).flatten());
    found
}

/// Labels, with their pictures that have features, and how many of these have none.
fn sizes(listing: &StoredListing) -> (BTreeMap<&str, usize>, usize) {
    let (mut sizes, mut unlabelled) = (BTreeMap::new(), 0);
    for (label, _) in listing.label.iter().zip(listing.skipped.iter()).filter(|(_, reason)| reason.is_none()) {
        match label {
            Some(label) => *sizes.entry(label).or_default() += 1,
            None => unlabelled += 1,
        }
    }
    (sizes, unlabelled)
}

/// What spreadsheets, R and pandas write where there is nothing. "None" is a class of many collections: no defect.
fn is_missing(label: &str) -> bool {
    ["na", "n/a", "nan", "null", "-", "?"].contains(&label.trim().to_lowercase().as_str())
}

/// That folders of classes hold further folders, which no class is named after.
fn deeper(listing: &StoredListing) -> Option<String> {
    let folders = |row: &usize| {
        let label = listing.label.get(*row)?;
        let path = match listing.split.get(*row) {
            Some(split) => listing.path[*row].strip_prefix(split)?.strip_prefix('/')?,
            None => &listing.path[*row],
        };
        let (below, _) = path.strip_prefix(label)?.strip_prefix('/')?.split_once('/')?;
        Some((label, below))
    };
    let found: BTreeSet<(&str, &str)> = (0..listing.label.len()).filter_map(|row| folders(&row)).collect();
    let (label, below) = found.first()?;
    Some(format!(
        "the class of a picture is the first folder of its path: those in {label}/{below} are of class {}; to part them otherwise, \
         give a table with a column label",
        quoted(label)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(pictures: &[(&str, &str, &str)]) -> StoredListing {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        StoredListing {
            path: pictures.iter().map(|(path, ..)| path).collect(),
            label: pictures.iter().map(|(_, label, _)| text(label)).collect(),
            split: pictures.iter().map(|(.., split)| text(split)).collect(),
            extra: Vec::new(),
            sha256: vec![None; pictures.len()],
            skipped: pictures.iter().map(|_| None::<&str>).collect(),
        }
    }

    fn noted(pictures: &[(&str, &str, &str)], of_folders: bool) -> Noted {
        Noted::of(&listing(pictures), "s", of_folders)
    }

    #[test]
    fn classes_are_counted() {
        let of = |pictures: &[(&str, &str, &str)]| noted(pictures, false).classes;
        assert_eq!(of(&[("a/1", "a", ""), ("b/1", "b", ""), ("a/2", "a", "")]), "labels: 2 a, 1 b\n");
        assert_eq!(of(&[("1", "a", ""), ("2", "", "")]), "labels: 1 a; 1 picture without one\n");
        assert!(of(&[("1", "", "")]).starts_with("no labels"));
        assert_eq!(
            noted(&[("1", "", "")], false).next,
            "next: tapline predict PROBE s, with a probe of other pictures\n"
        );
        assert_eq!(
            noted(&[("1", "2.5", ""), ("2", "3", "")], false).next,
            "next: tapline probe s --regression --target label\n"
        );
        assert_eq!(
            noted(&[("1", "0", ""), ("2", "0", ""), ("3", "1", ""), ("4", "1", "")], false).next,
            "next: tapline compare s\n"
        );
        let many: Vec<(&str, &str, &str)> = ["a", "b", "c", "d", "e", "f", "g"].map(|name| ("1", name, "")).to_vec();
        assert!(of(&many).ends_with("1 f and 1 label more\n"), "{}", of(&many));
    }

    #[test]
    fn classes_that_are_lost_are_named() {
        let of = |broken: [bool; 3]| {
            let pictures = listing(&[("a/1", "a", ""), ("a/2", "a", ""), ("b/1", "b", "")]);
            let skipped = broken.map(|broken| broken.then_some("broken")).into_iter().collect();
            Noted::of(&StoredListing { skipped, ..pictures }, "s", true)
        };
        assert_eq!(of([true, false, false]).classes, "labels: 1 a, 1 b\n");
        let found = of([false, false, true]);
        assert_eq!(found.classes, "labels: 2 a\nno picture could be used of b (of 1 picture)\n");
        assert_eq!(found.next, "next: add pictures of a second class to learn from, and extract again\n");
        assert_eq!(of([true; 3]).classes, "no picture could be used of a (of 2 pictures), b (of 1 picture)\n");
    }

    #[test]
    fn labels_that_may_not_be_meant_are_named() {
        let odd = |labels: &[&str]| {
            let pictures: Vec<(&str, &str, &str)> = labels.iter().map(|label| ("1", *label, "")).collect();
            noted(&pictures, false).oddities
        };
        assert_eq!(odd(&["a", "b", "None"]), Vec::<String>::new());
        assert!(odd(&["a", "NA"])[0].starts_with("\"NA\" is taken for a class"), "{:?}", odd(&["a", "NA"]));
        assert_eq!(odd(&["Crab", "crab", "b"]), ["\"Crab\" and \"crab\" are taken for different classes"]);
        assert_eq!(odd(&["1", "1.0", "2"]), ["\"1\" and \"1.0\" are taken for different classes"]);
        let twins = odd(&["K\u{e4}fer", "Ka\u{308}fer"]);
        assert!(
            twins.len() == 1 && twins[0].ends_with("their letters are written with other code points"),
            "{twins:?}"
        );
    }

    #[test]
    fn folders_below_those_of_classes_are_named() {
        let pictures = [("h1/benign/1.png", "h1", ""), ("h1/malign/2.png", "h1", ""), ("h2/3.png", "h2", "")];
        let said = noted(&pictures, true).oddities;
        assert!(said.len() == 1 && said[0].contains("those in h1/benign are of class \"h1\""), "{said:?}");
        assert!(noted(&pictures, false).oddities.is_empty());
        assert!(noted(&[("train/a/1.png", "a", "train")], true).oddities.is_empty());
        assert_eq!(noted(&[("train/a/x/1.png", "a", "train")], true).oddities.len(), 1);
    }
}

//! From what was typed to files: braces as WebDataset writes them, then the shell's wildcards.
//!
//! Braces name files that must all be there, so that a missing shard is an error; wildcards name those that are.

use std::path::{Path, PathBuf};

use crate::Error;

/// The most names that one pattern may stand for.
const MAX_NAMES: usize = 1_000_000;

/// The paths that `typed` names: `{a,b}` and `{000..012}` one for each, `*`, `?` and `[…]` what exists, sorted.
///
/// What exists under the very name that was typed is taken as it is.
///
/// # Errors
/// [`Error::BadPattern`].
pub fn expand(typed: &Path) -> Result<Vec<PathBuf>, Error> {
    let Some(text) = typed.to_str().filter(|_| !typed.exists()) else { return Ok(vec![typed.to_owned()]) };
    let names = expand_braces(text).ok_or_else(|| too_many(text))?;
    let mut paths = Vec::new();
    for name in names {
        if !name.contains(['*', '?', '[']) || Path::new(&name).exists() {
            paths.push(PathBuf::from(name));
            continue;
        }
        let bad = |what: String| Error::BadPattern { pattern: text.to_owned(), what };
        let before = paths.len();
        for found in glob::glob(&name).map_err(|error| bad(error.to_string()))? {
            paths.push(found.map_err(|error| bad(error.to_string()))?);
        }
        if paths.len() == before {
            return Err(bad(format!("nothing is named like {name}")));
        }
    }
    Ok(paths)
}

/// The URLs that `typed` names: `{a,b}` and `{000..012}` one for each.
///
/// # Errors
/// [`Error::BadPattern`].
pub fn expand_url(typed: &str) -> Result<Vec<String>, Error> {
    expand_braces(typed).ok_or_else(|| too_many(typed))
}

fn too_many(pattern: &str) -> Error {
    Error::BadPattern { pattern: pattern.to_owned(), what: format!("it stands for more than {MAX_NAMES} names") }
}

/// The names that braces stand for, in their order; none where they are too many.
fn expand_braces(text: &str) -> Option<Vec<String>> {
    let mut open = vec![text.to_owned()];
    let mut names = Vec::new();
    while let Some(text) = open.pop() {
        match first_braces(&text) {
            Some((before, choices, after)) => {
                open.extend(choices.iter().rev().map(|choice| format!("{before}{choice}{after}")));
            }
            None => names.push(text),
        }
        if open.len() + names.len() > MAX_NAMES {
            return None;
        }
    }
    Some(names)
}

/// The first innermost braces that hold a choice: what is before them, the choices, what is after.
fn first_braces(text: &str) -> Option<(&str, Vec<String>, &str)> {
    let mut start = None;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => start = Some(at),
            '}' => {
                if let Some(choices) = start.and_then(|start| choices(&text[start + 1..at])) {
                    return start.map(|start| (&text[..start], choices, &text[at + 1..]));
                }
                start = None;
            }
            _ => {}
        }
    }
    None
}

fn choices(inside: &str) -> Option<Vec<String>> {
    if let Some((first, last)) = inside.split_once("..") {
        let is_number = |text: &str| !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(first) || !is_number(last) {
            return None;
        }
        let (from, to): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        // As in the shell, the width of the first number is kept, so that 000 counts 001.
        let width = if first.starts_with('0') { first.len() } else { 1 };
        return (from <= to && to - from < MAX_NAMES).then(|| (from..=to).map(|n| format!("{n:0width$}")).collect());
    }
    inside.contains(',').then(|| inside.split(',').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(expand_braces(text).expect("not too many"), expected, "{text}");
    }

    #[test]
    fn braces_stand_for_each_of_their_choices() {
        check("a.tar", &["a.tar"]);
        check("a-{08..11}.tar", &["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]);
        check("a-{8..10}.tar", &["a-8.tar", "a-9.tar", "a-10.tar"]);
        check("{train,val}-{0..1}.tar", &["train-0.tar", "train-1.tar", "val-0.tar", "val-1.tar"]);
        check("{x{1,2}}", &["{x1}", "{x2}"]);
        check("a{}b{x}c{2..1}", &["a{}b{x}c{2..1}"]);
        assert_eq!(expand_braces("{0..999}{0..999}{0..999}"), None);
    }

    #[test]
    fn wildcards_name_what_is_there_and_braces_what_must_be() {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["b-1.tar", "b-0.tar", "c.tar", "{odd}.tar"] {
            std::fs::write(folder.path().join(name), "").expect("write");
        }
        let names = |pattern: &str| -> Vec<String> {
            let paths = expand(&folder.path().join(pattern)).expect(pattern);
            paths.iter().map(|path| path.file_name().expect("name").to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("b-*.tar"), ["b-0.tar", "b-1.tar"]);
        assert_eq!(names("{c,b-?}.tar"), ["c.tar", "b-0.tar", "b-1.tar"]);
        assert_eq!(names("b-{0..2}.tar"), ["b-0.tar", "b-1.tar", "b-2.tar"]);
        assert_eq!(names("{odd}.tar"), ["{odd}.tar"]);
        let message = expand(&folder.path().join("d-*.tar")).expect_err("none").to_string();
        assert!(message.contains("nothing is named like"), "{message}");
    }
}

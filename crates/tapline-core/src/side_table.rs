//! What is known of pictures, or of their classes, in a table of its own: beside the listing, joined to it by `path` or by `label`.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::table::{check_names, each_record, is_table};
use crate::{Error, StoredListing};

/// A CSV or TSV file with a column `path` or else `label`, and columns of values.
#[derive(Debug, Clone)]
pub struct SideTable {
    path: PathBuf,
    key: Key,
    names: Vec<String>,
    /// The values `[names]` of each key.
    rows: HashMap<String, Vec<Option<String>>>,
}

/// What a row of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// A picture, as the listing calls it.
    Path,
    /// All pictures of a class.
    Label,
}

impl SideTable {
    /// Reads a table.
    ///
    /// # Errors
    /// Where it has no column `path` or `label`, no other column, or two rows for the same.
    pub fn read(path: &Path) -> Result<Self, Error> {
        if !is_table(path) {
            return Err(Error::NotATable { path: path.to_owned() });
        }
        let mut rows: HashMap<String, (u64, Vec<Option<String>>)> = HashMap::new();
        let (columns, _) = each_record(path, Columns::of, |columns, record, line| {
            // As in a listing: words are trimmed, paths are not.
            let key = record.get(columns.at).unwrap_or_default();
            let key = if columns.key == Key::Label { key.trim() } else { key };
            let bad = |what: String| Error::BadTableRow { path: path.to_owned(), line, what };
            if key.is_empty() {
                return Err(bad(format!("its {} is empty: fill it in or drop the row", columns.key.name())));
            }
            let values = record.iter().enumerate().filter(|(place, _)| *place != columns.at);
            let values = values.map(|(_, text)| Some(text.trim().to_owned()).filter(|text| !text.is_empty())).collect();
            match rows.insert(key.to_owned(), (line, values)) {
                None => Ok(()),
                Some((first, _)) => {
                    let name = columns.key.name();
                    Err(bad(format!("the {name} {key:?} is that of line {first}, too: drop one of them")))
                }
            }
        })?;
        if rows.is_empty() {
            return Err(Error::EmptyTable { path: path.to_owned() });
        }
        let rows = rows.into_iter().map(|(key, (_, values))| (key, values)).collect();
        Ok(Self { path: path.to_owned(), key: columns.key, names: columns.names, rows })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The column that it is joined by: `path` or `label`.
    pub fn key(&self) -> &'static str {
        self.key.name()
    }

    /// The columns of values, in their order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it has a row for a picture of a listing.
    pub fn has(&self, listing: &StoredListing, row: usize) -> bool {
        self.values(listing, row).is_some()
    }

    /// What it says in the column at `column` of a picture of a listing.
    pub fn value(&self, listing: &StoredListing, row: usize, column: usize) -> Option<&str> {
        self.values(listing, row)?[column].as_deref()
    }

    /// What of a listing has no row in it, and what rows it has for others, as a sentence; none where every picture has a row.
    pub fn unmatched(&self, listing: &StoredListing) -> Option<String> {
        let keys: BTreeSet<&str> = (0..listing.rows()).filter_map(|row| self.key_of(listing, row)).collect();
        let without: Vec<&str> = keys.iter().copied().filter(|key| !self.rows.contains_key(*key)).collect();
        let mut unused: Vec<&str> = self.rows.keys().map(String::as_str).filter(|key| !keys.contains(key)).collect();
        unused.sort_unstable();
        let list = |names: &[&str]| match names {
            [first, second, third, _, ..] => format!("{first:?}, {second:?}, {third:?} and {} more", names.len() - 3),
            few => few.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
        };
        let (path, key) = (self.path.display(), self.key());
        let used = if unused.is_empty() { String::new() } else { format!("; not used: {}", list(&unused)) };
        (!without.is_empty()).then(|| format!("{path} has no row for {key} {}{used}", list(&without)))
    }

    /// What a picture of a listing is joined by.
    fn key_of<'a>(&self, listing: &'a StoredListing, row: usize) -> Option<&'a str> {
        match self.key {
            Key::Path => Some(&listing.path[row]),
            // A folder's name may have blanks around it.
            Key::Label => Some(listing.label.get(row)?.trim()),
        }
    }

    fn values(&self, listing: &StoredListing, row: usize) -> Option<&[Option<String>]> {
        self.rows.get(self.key_of(listing, row)?).map(Vec::as_slice)
    }
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Label => "label",
        }
    }
}

/// Where the fields of a row stand.
struct Columns {
    key: Key,
    at: usize,
    names: Vec<String>,
}

impl Columns {
    fn of(file: &Path, names: &[&str]) -> Result<Self, Error> {
        let found = [Key::Path, Key::Label].into_iter();
        let found = found.filter_map(|key| Some((key, names.iter().position(|name| *name == key.name())?)));
        let Some((key, at)) = found.into_iter().next() else {
            let found = names.iter().map(|&name| name.to_owned()).collect();
            return Err(Error::NoKeyColumn { path: file.to_owned(), found });
        };
        check_names(file, names, |_| None)?;
        let values: Vec<String> =
            names.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, &name)| name.to_owned()).collect();
        if values.is_empty() {
            let what = format!("there is no column beside {}: add columns of values", key.name());
            return Err(Error::BadTableRow { path: file.to_owned(), line: 1, what });
        }
        Ok(Self { key, at, names: values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<SideTable, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        SideTable::read(&path)
    }

    fn listing() -> StoredListing {
        StoredListing {
            path: ["a.png", "b.png", "c.png"].into_iter().collect(),
            label: [Some("cat"), None, Some("dog")].into_iter().collect(),
            ..StoredListing::default()
        }
    }

    #[test]
    fn a_row_speaks_for_a_picture_or_for_all_of_a_class() {
        let listing = listing();
        let values = |table: &SideTable| [0, 1, 2].map(|row| table.value(&listing, row, 1).map(str::to_owned));
        let by_label = read("v.tsv", "v1\tlabel\tv2\n1\tdog \t 2\n3\tcat\t\n").expect("a table");
        assert_eq!((by_label.key(), by_label.names()), ("label", &["v1".to_owned(), "v2".to_owned()][..]));
        assert_eq!(values(&by_label), [None, None, Some("2".to_owned())]);
        assert_eq!([0, 1, 2].map(|row| by_label.has(&listing, row)), [true, false, true]);
        let by_path = read("v.csv", "label,path,x\nowl,b.png,7\n").expect("a table");
        assert_eq!(by_path.names(), ["label", "x"]);
        assert_eq!(values(&by_path), [None, Some("7".to_owned()), None]);
    }

    #[test]
    fn what_cannot_be_joined_is_one_sentence() {
        let check = |name: &str, text: &str, words: &str| {
            let message = read(name, text).expect_err("a bad table").to_string();
            assert!(message.contains(words), "{message}");
        };
        check("v.txt", "label,x\na,1\n", "v.txt is no .csv or .tsv file");
        check("v.csv", "class,x\na,1\n", "has neither a column path nor label, only \"class\", \"x\"");
        check("v.csv", "label\na\n", "v.csv, line 1: there is no column beside label");
        check("v.csv", "label,x,x\na,1,2\n", "a column \"x\", which appears twice");
        check("v.csv", "label,x\na,1\nb,2\na,3\n", "line 4: the label \"a\" is that of line 2, too");
        check("v.csv", "label,x\n ,1\n", "line 2: its label is empty");
        check("v.csv", "label,x\n", "v.csv");
    }
}

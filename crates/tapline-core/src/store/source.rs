//! Rows that exist already: those of the finished store and those of runs that stopped before their plan changed.
//!
//! A row is found by the digest of its picture and its tap, never by its place or its picture's name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::building::{ArrayFile, BuildPlan};
use super::journal::{self, Entry, State};
use super::reader::Store;
use super::{FEATURES, JOURNAL, SALVAGE};
use crate::{Digest, Error, TapInfo};

/// Files whose rows may be reused, and where each picture's row is.
pub(crate) struct Source {
    rows: HashMap<Digest, usize>,
    files: Vec<(TapInfo, ArrayFile)>,
}

impl Source {
    /// The rows of a finished store.
    pub(crate) fn of_store(dir: &Path, store: &Store) -> Result<Self, Error> {
        let manifest = store.manifest();
        let listing = store.listing();
        let good = (0..manifest.rows).filter(|&row| listing.skipped.get(row).is_none());
        let rows = good.filter_map(|row| Some((listing.sha256[row]?, row))).collect();
        let open = |tap: &super::StoredTap| -> Result<_, Error> {
            let path = dir.join(FEATURES).join(&tap.file);
            Ok((tap.info.clone(), ArrayFile::open_to_read(path, manifest.array(tap))?))
        };
        Ok(Self { rows, files: manifest.taps.iter().map(open).collect::<Result<_, Error>>()? })
    }

    /// The journaled rows of a salvaged folder.
    ///
    /// Taps that it kept in the finished store have no file here; those of a damaged file are computed again.
    pub(crate) fn of_salvage(folder: &Path, plan: &BuildPlan) -> Result<Self, Error> {
        let rows = good_rows(folder, plan.rows)?.into_iter().map(|(row, digest)| (digest, row)).collect();
        let open = |tap: &super::StoredTap| {
            let file = ArrayFile::open_to_read(folder.join(&tap.file), plan.array(tap)).ok()?;
            Some((tap.info.clone(), file))
        };
        Ok(Self { rows, files: plan.taps.iter().filter_map(open).collect() })
    }

    /// A tap's file, if rows of that tap are here.
    pub(crate) fn file(&self, tap: &TapInfo) -> Option<&ArrayFile> {
        let same = |info: &TapInfo| info.tap == tap.tap && info.features == tap.features;
        self.files.iter().find(|(info, _)| same(info)).map(|(_, file)| file)
    }

    /// The pictures whose rows are here.
    pub(crate) fn pictures(&self) -> impl Iterator<Item = &Digest> {
        self.rows.keys()
    }

    /// The taps whose rows are here.
    pub(crate) fn taps(&self) -> impl Iterator<Item = &TapInfo> {
        self.files.iter().map(|(tap, _)| tap)
    }

    /// The row of a picture, if it is here.
    pub(crate) fn row(&self, digest: &Digest) -> Option<usize> {
        self.rows.get(digest).copied()
    }
}

/// The rows of a journal that hold features, by row; later lines replace earlier ones.
pub(crate) fn good_rows(folder: &Path, rows: usize) -> Result<HashMap<usize, Digest>, Error> {
    let (entries, _) = journal::read(&folder.join(JOURNAL))?;
    Ok(last_good(entries, rows))
}

/// As `good_rows`, of entries already read.
pub(crate) fn last_good(entries: Vec<Entry>, rows: usize) -> HashMap<usize, Digest> {
    let mut good = HashMap::new();
    for entry in entries.into_iter().filter(|entry| entry.row < rows) {
        match entry.state {
            State::Done { sha256 } => good.insert(entry.row, sha256),
            State::Skipped { .. } | State::Disowned => good.remove(&entry.row),
        };
    }
    good
}

/// The salvaged folders of a store, oldest first, with their numbers.
pub(crate) fn salvage_folders(dir: &Path) -> Result<Vec<(u32, PathBuf)>, Error> {
    let wrap = |source| Error::Read { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(wrap)? {
        let entry = entry.map_err(wrap)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(SALVAGE)).and_then(|number| number.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_word_on_a_row_counts() {
        let done = |row, bytes: &[u8]| Entry { row, state: State::Done { sha256: Digest::of(bytes) } };
        let skipped = |row| Entry { row, state: State::Skipped { reason: "broken".to_owned() } };
        let disowned = |row| Entry { row, state: State::Disowned };
        let check = |entries: Vec<Entry>, expected: Option<&[u8]>| {
            assert_eq!(last_good(entries.clone(), 1).get(&0).copied(), expected.map(Digest::of), "{entries:?}");
        };
        check(vec![done(0, b"a")], Some(b"a"));
        check(vec![done(0, b"a"), done(0, b"b")], Some(b"b"));
        check(vec![done(0, b"a"), skipped(0)], None);
        check(vec![done(0, b"a"), disowned(0)], None);
        check(vec![disowned(0), skipped(0), done(0, b"a")], Some(b"a"));
        check(vec![done(1, b"a"), disowned(1)], None);
    }
}

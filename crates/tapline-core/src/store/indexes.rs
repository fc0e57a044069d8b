//! `.indexes`: what lies where in the tar files behind URLs, so that the next run need not go through them again.
//!
//! An index is that of one version (entity tag) of a file. Like `.stamps` it counts for nothing in a store: it may be deleted, and one
//! that is damaged, or that points outside its file, is not believed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::{INDEXES, disk};
use crate::{Digest, Error, Skipped};

const MAGIC: &str = "tapline indexes 1\n";
/// A longer file is neither read nor written: some million pictures, whose tar files are gone through again instead.
const MAX_BYTES: usize = 1 << 30;

/// What a tar file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TarIndex {
    /// Its pictures, in its order.
    pub pictures: Vec<IndexedPicture>,
    /// What else is in it, and why it was passed over.
    pub passed_over: Vec<Skipped>,
}

/// A picture in a tar file, and the words that lie beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexedPicture {
    pub name: String,
    pub offset: u64,
    pub bytes: u64,
    pub label: Option<String>,
    pub split: Option<String>,
    /// Names and values of further columns.
    pub extra: Vec<(String, String)>,
}

/// Indexes of tar files behind URLs: those of a store, and those made since.
#[derive(Debug, Default)]
pub struct Indexes(Mutex<Lines>);

/// Indexes as JSON, by what they are of.
#[derive(Debug, Default)]
struct Lines {
    /// Those of the store that this run has not used.
    known: HashMap<String, String>,
    /// Those that it has used or made.
    used: BTreeMap<String, String>,
    /// Whether it has made any.
    has_new: bool,
}

impl Indexes {
    /// Those that the store in `dir` has; none where they are not to be `trusted`, or damaged.
    pub fn read(dir: &Path, trusted: bool) -> Self {
        let path = dir.join(INDEXES);
        let is_small =
            || std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= MAX_BYTES as u64);
        let text = if trusted && is_small() { std::fs::read_to_string(&path).ok() } else { None };
        let known = text.and_then(|text| parse(&text)).unwrap_or_default();
        Self(Mutex::new(Lines { known, ..Lines::default() }))
    }

    /// The index of this version of a file of so many bytes.
    pub(crate) fn find(&self, url: &str, version: &str, bytes: u64) -> Option<TarIndex> {
        let key = key(url, version, bytes);
        let line = self.lines().known.remove(&key)?;
        let index: TarIndex = serde_json::from_str(&line).ok()?;
        let is_inside = |one: &IndexedPicture| one.offset.checked_add(one.bytes).is_some_and(|end| end <= bytes);
        if !index.pictures.iter().all(is_inside) {
            return None;
        }
        self.lines().used.insert(key, line);
        Some(index)
    }

    /// Notes the index of this version of a file.
    pub(crate) fn note(&self, url: &str, version: &str, bytes: u64, index: &TarIndex) {
        let line = serde_json::to_string(index).expect("plain data with string keys");
        let mut lines = self.lines();
        lines.used.insert(key(url, version, bytes), line);
        lines.has_new = true;
    }

    /// Writes those that this run has used or made into the folder of a store, unless they are there, and forgets all.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        let Lines { known, used, has_new } = std::mem::take(&mut *self.lines());
        if used.is_empty() || !has_new && known.is_empty() {
            return Ok(());
        }
        let path = dir.join(INDEXES);
        let lines: String = used.iter().map(|(key, line)| format!("{key} {line}\n")).collect();
        let text = format!("{MAGIC}{}\n{lines}", Digest::of(lines.as_bytes()));
        if text.len() > MAX_BYTES {
            let what = format!("its {} bytes are more than the limit of {MAX_BYTES}", text.len());
            return Err(Error::Write { path, source: std::io::Error::other(what) });
        }
        disk::replace(&path, text.as_bytes())
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.0.lock().expect("nothing panics while it is held")
    }
}

/// What an index is of. A URL is not written down.
fn key(url: &str, version: &str, bytes: u64) -> String {
    Digest::of(format!("{url}\0{version}\0{bytes}").as_bytes()).to_string()
}

/// The lines of a file by what they are of, none where it is not whole.
fn parse(text: &str) -> Option<HashMap<String, String>> {
    let (digest, lines) = text.strip_prefix(MAGIC)?.split_once('\n')?;
    if Digest::of(lines.as_bytes()).to_string() != digest {
        return None;
    }
    lines.lines().map(|line| line.split_once(' ').map(|(key, index)| (key.to_owned(), index.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(offset: u64) -> TarIndex {
        let extra = vec![("a\ncolumn".to_owned(), "ä \"word\"".to_owned())];
        let picture = IndexedPicture { name: "a.png".to_owned(), offset, bytes: 2, label: None, split: None, extra };
        let other = Skipped { path: "b.txt".to_owned(), reason: "no picture".to_owned() };
        TarIndex { pictures: vec![picture], passed_over: vec![other] }
    }

    #[test]
    fn an_index_is_found_again_for_its_version_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let made = Indexes::read(folder.path(), true);
        assert_eq!(made.find("s3://b/a.tar", "one", 10), None);
        made.note("s3://b/a.tar", "one", 10, &index(8));
        made.write(folder.path()).expect("write");
        let read = Indexes::read(folder.path(), true);
        for (url, version, bytes) in
            [("s3://b/b.tar", "one", 10), ("s3://b/a.tar", "two", 10), ("s3://b/a.tar", "one", 11)]
        {
            assert_eq!(read.find(url, version, bytes), None);
        }
        assert_eq!(read.find("s3://b/a.tar", "one", 10), Some(index(8)));
        assert_eq!(Indexes::read(folder.path(), false).find("s3://b/a.tar", "one", 10), None);
        // What no run uses any more goes; what is there already is not written again.
        std::fs::remove_file(folder.path().join(INDEXES)).expect("remove");
        read.write(folder.path()).expect("nothing to write");
        assert!(!folder.path().join(INDEXES).exists());
    }

    #[test]
    fn no_damaged_index_is_believed_nor_one_that_points_outside() {
        let folder = tempfile::tempdir().expect("folder");
        let made = Indexes::default();
        made.note("u", "v", 10, &index(9));
        made.note("u", "w", 10, &index(u64::MAX));
        made.note("u", "x", 10, &index(0));
        made.write(folder.path()).expect("write");
        let read = Indexes::read(folder.path(), true);
        assert_eq!(["v", "w"].map(|version| read.find("u", version, 10)), [None, None]);
        assert_eq!(read.find("u", "x", 10), Some(index(0)));
        let text = std::fs::read_to_string(folder.path().join(INDEXES)).expect("text");
        assert_eq!(parse(&text).expect("whole").len(), 3);
        for at in (0..text.len()).filter(|&at| text.is_char_boundary(at)) {
            assert!(parse(&text[..at]).is_none(), "cut to {at}");
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            let damaged = String::from_utf8_lossy(&damaged);
            assert!(parse(&damaged).is_none(), "byte {at}");
        }
    }
}

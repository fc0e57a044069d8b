//! Which rows of an unfinished store are done: one line of JSON for each, written after the row's numbers are synced.
//!
//! A line that is cut off, and anything after a damaged line, never happened; those rows are computed again.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk;
use crate::{Digest, Error};

/// What the journal says of one row; a later line about the same row replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The row.
    pub row: usize,
    /// What it holds.
    pub state: State,
}

/// What a row holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum State {
    /// The features of all taps.
    Done {
        /// The picture they were computed from.
        sha256: Digest,
    },
    /// No features, as the picture has none to give.
    Skipped {
        /// Why, in the words of whoever skipped it.
        reason: String,
    },
    /// Nothing that counts: it is about to be overwritten.
    Disowned,
}

/// An open journal: complete lines on disk, and those that wait for the next checkpoint.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
    pending: Vec<u8>,
}

impl Journal {
    /// Opens or makes a journal, cut back to its sound lines.
    pub(crate) fn open(path: PathBuf) -> Result<(Self, Vec<Entry>), Error> {
        let (entries, len) = read(&path)?;
        let file = disk::reopen(&path)?;
        disk::set_len(&file, &path, len)?;
        Ok((Self { path, file, len, pending: Vec::new() }, entries))
    }

    /// Notes a row for the next `flush`.
    pub(crate) fn note(&mut self, entry: &Entry) {
        serde_json::to_writer(&mut self.pending, entry).expect("plain data into memory");
        self.pending.push(b'\n');
    }

    /// Whether nothing waits for a `flush`.
    pub(crate) fn is_flushed(&self) -> bool {
        self.pending.is_empty()
    }

    /// Appends the noted rows and syncs.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        disk::write_at(&self.file, &self.path, &self.pending, self.len)?;
        disk::sync(&self.file, &self.path)?;
        self.len += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

/// The sound entries of a journal and their length in bytes; an absent file has none.
pub(crate) fn read(path: &Path) -> Result<(Vec<Entry>, u64), Error> {
    let bytes = if path.exists() { disk::read(path)? } else { Vec::new() };
    let mut entries = Vec::new();
    let mut len = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let entry = line.strip_suffix(b"\n").and_then(|text| serde_json::from_slice(text).ok());
        let Some(entry) = entry else { break };
        entries.push(entry);
        len += line.len() as u64;
    }
    Ok((entries, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(row: usize) -> Entry {
        Entry { row, state: State::Done { sha256: Digest::of(&[row as u8]) } }
    }

    fn reopened(damage: fn(&mut Vec<u8>)) -> Vec<Entry> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("journal.jsonl");
        let (mut journal, _) = Journal::open(path.clone()).expect("open");
        (0..3).for_each(|row| journal.note(&entry(row)));
        journal.flush().expect("flush");
        let mut bytes = std::fs::read(&path).expect("read");
        damage(&mut bytes);
        std::fs::write(&path, bytes).expect("write");

        let (mut journal, entries) = Journal::open(path.clone()).expect("reopen");
        journal.note(&entry(9));
        journal.flush().expect("flush");
        let (mut after, _) = read(&path).expect("read");
        assert_eq!(after.pop(), Some(entry(9)), "appended where the sound lines end");
        assert_eq!(after, entries);
        entries
    }

    #[test]
    fn a_whole_journal_reads_back() {
        assert_eq!(reopened(|_| {}), [entry(0), entry(1), entry(2)]);
    }

    #[test]
    fn no_reason_to_skip_reads_back_as_another_state() {
        let states = [
            State::Skipped { reason: "disowned".to_owned() },
            State::Skipped { reason: "{\"done\":{}}\n".to_owned() },
            State::Disowned,
            State::Done { sha256: Digest::of(b"") },
        ];
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("journal.jsonl");
        let (mut journal, _) = Journal::open(path.clone()).expect("open");
        states.iter().enumerate().for_each(|(row, state)| journal.note(&Entry { row, state: state.clone() }));
        journal.flush().expect("flush");
        let (entries, _) = read(&path).expect("read");
        assert_eq!(entries.into_iter().map(|entry| entry.state).collect::<Vec<_>>(), states);
    }

    #[test]
    fn a_torn_last_line_never_happened() {
        assert_eq!(reopened(|bytes| bytes.truncate(302)), [entry(0), entry(1)]);
        assert_eq!(reopened(|bytes| bytes.truncate(220)), [entry(0), entry(1)]);
        assert_eq!(reopened(|bytes| bytes.clear()), []);
    }

    #[test]
    fn nothing_after_a_damaged_line_counts() {
        assert_eq!(reopened(|bytes| bytes[150] = b'}'), [entry(0)]);
        assert_eq!(reopened(|bytes| bytes[0] = 0xff), []);
    }
}

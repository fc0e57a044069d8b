//! The next state of a store while it is computed: its plan and one array file for each tap that changes.
//!
//! The plan holds what the meaning of a row depends on. Labels and the like may change between two runs over the
//! same `building`; they are written only when the store is finished.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{self, FORMAT, StoredTap, VERSION};
use super::npy::{self, Array};
use super::{PLAN, disk};
use crate::digest::Hasher;
use crate::{Digest, Error, FeatureSpace, Listing};

/// `plan.json`: what the rows of a `building` folder belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BuildPlan {
    pub format: String,
    pub version: u64,
    pub tapline: String,
    pub space: FeatureSpace,
    pub taps: Vec<StoredTap>,
    pub rows: usize,
    /// The digest of the listing's paths in their order.
    pub paths_sha256: Digest,
}

impl BuildPlan {
    /// The plan for a listing and these taps.
    pub(crate) fn of(tapline: &str, space: &FeatureSpace, taps: &[StoredTap], listing: &Listing) -> Self {
        let mut paths = Hasher::default();
        for row in 0..listing.rows() {
            writeln!(paths, "{:?}", listing.path(row)).expect("nothing is written to a disk");
        }
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tapline: tapline.to_owned(),
            space: space.clone(),
            taps: taps.to_vec(),
            rows: listing.rows(),
            paths_sha256: paths.digest(),
        }
    }

    /// Reads the plan of a folder; none where there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(PLAN);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = disk::read(&path)?;
        manifest::check_version(&path, &bytes)?;
        let plan: Self = manifest::parse(&path, &bytes)?;
        manifest::check_taps(&path, &plan.taps, plan.rows)?;
        Ok(Some(plan))
    }

    /// Makes the folder with this plan in it.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        disk::create_folder(folder)?;
        disk::replace(&folder.join(PLAN), &serde_json::to_vec_pretty(self).expect("plain data with string keys"))
    }

    /// Whether rows computed for one plan stand in the same places of the same files in the other.
    pub(crate) fn same_rows(&self, other: &Self) -> bool {
        let places = |plan: &Self| -> Vec<_> {
            plan.taps.iter().map(|tap| (tap.info.tap.clone(), tap.info.features, tap.file.clone())).collect()
        };
        self.space.difference(&other.space).is_none()
            && (self.rows, self.paths_sha256) == (other.rows, other.paths_sha256)
            && places(self) == places(other)
    }

    /// The array that holds a tap's rows.
    pub(crate) fn array(&self, tap: &StoredTap) -> Array {
        Array::of(&self.space, self.rows, tap.info.features)
    }
}

/// Forgets a `building` or `salvage` folder: first its plan, without which the rest means nothing.
pub(crate) fn discard(folder: &Path) -> Result<(), Error> {
    disk::remove_file(&folder.join(PLAN))?;
    disk::remove_folder(folder)
}

/// Bytes that are in memory while rows are copied.
const BLOCK: usize = 4 << 20;
/// Bytes of rows that are written in one piece.
const RUN: usize = 64 << 10;

/// An array file open for positional reads or writes.
pub(crate) struct ArrayFile {
    pub path: PathBuf,
    file: File,
    array: Array,
    data: u64,
    /// Rows that follow each other, still to be written from `run_start` on: each write is a call to the system, and passes of many
    /// pictures bring many such rows.
    run: Vec<u8>,
    run_start: u64,
    is_synced: bool,
}

impl ArrayFile {
    fn new(path: PathBuf, file: File, array: Array, data: u64) -> Self {
        Self { path, file, array, data, run: Vec::new(), run_start: 0, is_synced: true }
    }

    /// Makes a file of full size, every number 0, that appears under its name only when it is whole.
    pub(crate) fn create(path: PathBuf, array: Array) -> Result<Self, Error> {
        let beside = disk::sibling(&path);
        let file = disk::create(&beside)?;
        let header = array.header();
        disk::write_at(&file, &beside, &header, 0)?;
        let len = array.file_bytes().expect("checked when the plan was made");
        disk::set_len(&file, &beside, len)?;
        disk::sync(&file, &beside)?;
        disk::rename(&beside, &path)?;
        Ok(Self::new(path, file, array, header.len() as u64))
    }

    /// Makes a copy of a finished file, to be changed.
    pub(crate) fn copy(from: &Path, path: PathBuf, array: Array) -> Result<Self, Error> {
        let beside = disk::sibling(&path);
        disk::copy(from, &beside)?;
        disk::sync(&disk::reopen(&beside)?, &beside)?;
        disk::rename(&beside, &path)?;
        Self::open(path, array)
    }

    /// Opens a file to read and write, and checks it.
    pub(crate) fn open(path: PathBuf, array: Array) -> Result<Self, Error> {
        let file = disk::reopen(&path)?;
        let data = npy::check(&file, &path, &array)?;
        Ok(Self::new(path, file, array, data))
    }

    /// Opens a file to read, and checks it.
    pub(crate) fn open_to_read(path: PathBuf, array: Array) -> Result<Self, Error> {
        let file = File::open(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let data = npy::check(&file, &path, &array)?;
        Ok(Self::new(path, file, array, data))
    }

    /// Reads a row's bytes from a file that nothing was written to.
    pub(crate) fn read_row(&self, row: usize, bytes: &mut Vec<u8>) -> Result<(), Error> {
        debug_assert!(self.run.is_empty(), "rows that are not written yet cannot be read");
        bytes.resize(self.array.row_bytes(), 0);
        disk::read_at(&self.file, &self.path, bytes, self.offset(row))
    }

    /// Writes a row's bytes, at the latest when the file is synced.
    pub(crate) fn write_row(&mut self, row: usize, bytes: &[u8]) -> Result<(), Error> {
        assert_eq!(bytes.len(), self.array.row_bytes(), "a whole row");
        self.is_synced = false;
        let offset = self.offset(row);
        if self.run_start + self.run.len() as u64 != offset || self.run.len() + bytes.len() > RUN {
            self.write_run()?;
            self.run_start = offset;
        }
        self.run.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes the rows that wait.
    fn write_run(&mut self) -> Result<(), Error> {
        if !self.run.is_empty() {
            disk::write_at(&self.file, &self.path, &self.run, self.run_start)?;
            self.run.clear();
        }
        Ok(())
    }

    /// Writes all rows of `from`, which has rows of the same size, from row `first` on.
    pub(crate) fn write_rows_of(&mut self, first: usize, from: &Self) -> Result<(), Error> {
        assert_eq!(from.array.row_bytes(), self.array.row_bytes(), "rows of the same size");
        assert!(first + from.array.rows <= self.array.rows, "{} rows from {first} on", from.array.rows);
        self.write_run()?;
        self.is_synced = false;
        let whole = from.array.rows * from.array.row_bytes();
        let mut block = vec![0; whole.min(BLOCK)];
        for start in (0..whole).step_by(BLOCK) {
            let block = &mut block[..BLOCK.min(whole - start)];
            disk::read_at(&from.file, &from.path, block, from.data + start as u64)?;
            let to = self.data + (first * self.array.row_bytes() + start) as u64;
            disk::write_at(&self.file, &self.path, block, to)?;
        }
        Ok(())
    }

    /// Waits until all rows are on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.write_run()?;
        if !self.is_synced {
            disk::sync(&self.file, &self.path)?;
            self.is_synced = true;
        }
        Ok(())
    }

    fn offset(&self, row: usize) -> u64 {
        assert!(row < self.array.rows, "row {row} of {}", self.array.rows);
        self.data + (row * self.array.row_bytes()) as u64
    }
}

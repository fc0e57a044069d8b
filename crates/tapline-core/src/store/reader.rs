//! A finished store, checked as a whole and then lent row by row from memory maps.
//!
//! `Store::open` is the only way in, so whoever holds a `Store` holds arrays of the right size, number type and
//! order. Numbers are checked when they are read, since looking at all of them would make opening slow.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::listing::StoredListing;
use super::manifest::{Manifest, StoredTap};
use super::widen::widen;
use super::{BUILDING, COMMIT, FEATURES, LISTING, LOCK, MANIFEST, disk, npy};
use crate::{Digest, Dtype, Error, Tap};

/// A finished store, open for reading.
pub struct Store {
    dir: PathBuf,
    manifest: Manifest,
    listing: StoredListing,
    arrays: Vec<MappedArray>,
}

/// The rows of one tap, lent from the store's file: `[rows, views, features]`.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// Pictures.
    pub rows: usize,
    /// Views per picture, at least 1.
    pub views: usize,
    /// Features per view.
    pub features: usize,
    /// How a feature is stored.
    pub dtype: Dtype,
    tap: &'a StoredTap,
    listing: &'a StoredListing,
    data: &'a [u8],
    array: &'a MappedArray,
}

struct MappedArray {
    map: Mmap,
    data: usize,
}

impl Store {
    /// Opens a store and checks that listing, arrays and `store.json` belong together.
    ///
    /// The files must not be truncated by another program while the store is open: memory-mapped bytes would vanish.
    /// A tapline run never does so, it replaces files.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::Unfinished`], [`Error::CommitInterrupted`], [`Error::StoreReplaced`] and [`Error::StoreVersion`] for what is no
    /// finished store of this version; [`Error::BadStore`] and others of its files where these are damaged.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        refuse_interrupted(dir)?;
        let path = dir.join(MANIFEST);
        if !path.exists() {
            let dir = dir.to_owned();
            let is_begun = dir.join(BUILDING).exists() || dir.join(LOCK).exists();
            return Err(if is_begun { Error::Unfinished { dir } } else { Error::NoStore { dir } });
        }
        let bytes = disk::read(&path)?;
        let manifest = Manifest::from_bytes(&path, &bytes)?;
        let loaded = load(dir, manifest);
        // A run that replaced files meanwhile explains any fault, and could have paired old rows with a new listing.
        refuse_interrupted(dir)?;
        if disk::read(&path)? != bytes {
            return Err(Error::StoreReplaced { dir: dir.to_owned() });
        }
        loaded
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What `store.json` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pictures, row by row.
    pub fn listing(&self) -> &StoredListing {
        &self.listing
    }

    /// The taps, from shallow to deep.
    pub fn taps(&self) -> &[StoredTap] {
        &self.manifest.taps
    }

    /// The position of a tap among `taps`.
    pub fn tap_index(&self, tap: &Tap) -> Option<usize> {
        self.manifest.taps.iter().position(|stored| stored.info.tap == *tap)
    }

    /// The rows of the tap at a position of `taps`.
    ///
    /// # Panics
    ///
    /// If there is no such position.
    pub fn rows(&self, tap_index: usize) -> Rows<'_> {
        let tap = &self.manifest.taps[tap_index];
        let array = &self.arrays[tap_index];
        Rows {
            rows: self.manifest.rows,
            views: self.manifest.space.views.count(),
            features: tap.info.features,
            dtype: self.manifest.space.dtype,
            tap,
            listing: &self.listing,
            data: &array.map[array.data..],
            array,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Rows<'_> {
    /// Writes the mean over the views of row `row` into `out`, which has `features` numbers; NaN throughout where the
    /// picture was skipped.
    ///
    /// Sums are f64, in the order of the views; one view comes out as it is stored.
    ///
    /// # Panics
    ///
    /// If there is no such row or `out` has another length.
    pub fn row_f32(&self, row: usize, out: &mut [f32]) {
        self.view_f32(row, 0, out);
        if self.views == 1 {
            return;
        }
        let mut sums: Vec<f64> = out.iter().map(|&value| f64::from(value)).collect();
        for view in 1..self.views {
            self.view_f32(row, view, out);
            sums.iter_mut().zip(out.iter()).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum / self.views as f64) as f32);
    }

    /// Writes view `view` of row `row` into `out`, which has `features` numbers; NaN throughout where the picture was
    /// skipped.
    ///
    /// # Panics
    ///
    /// If there is no such row or view, or `out` has another length.
    pub fn view_f32(&self, row: usize, view: usize, out: &mut [f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert!(view < self.views, "view {view} of {}", self.views);
        assert_eq!(out.len(), self.features, "one number for each feature");
        let len = self.features * self.dtype.size();
        let start = (row * self.views + view) * len;
        let bytes = &self.data[start..start + len];
        widen(self.dtype, bytes, out);
    }

    /// The rows `which`, in that order, as `[which, features]`, each the mean over its views; a good row with NaN or infinity
    /// in any view is refused.
    ///
    /// Rows of skipped pictures come as NaN: leave them out of `which`.
    ///
    /// # Errors
    /// [`Error::NotFinite`].
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn to_f32(&self, which: &[usize]) -> Result<Vec<f32>, Error> {
        let mut values = vec![0.0; which.len() * self.features];
        for (&row, out) in which.iter().zip(values.chunks_exact_mut(self.features)) {
            self.row_f32(row, out);
            if self.listing.skipped.get(row).is_none() {
                self.check_finite(row, out)?;
            }
        }
        Ok(values)
    }

    /// Lets the system take back the memory that rows from `first` to `last` lie in; they are read from the file again when
    /// they are next asked for. For passes over a file larger than memory should be.
    ///
    /// # Panics
    ///
    /// If `last` is no row or lies before `first`.
    pub fn release(&self, first: usize, last: usize) {
        assert!(first <= last && last < self.rows, "rows {first} to {last} of {}", self.rows);
        let len = self.views * self.features * self.dtype.size();
        release(&self.array.map, self.array.data + first * len, (last - first + 1) * len);
    }

    /// Refuses NaN and infinity among numbers of row `row`.
    pub(crate) fn check_finite(&self, row: usize, values: &[f32]) -> Result<(), Error> {
        let Some(column) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
        let (tap, path) = (self.tap.info.name.clone(), self.listing.path[row].to_owned());
        Err(Error::NotFinite { tap, row, column, path, value: values[column] })
    }
}

fn refuse_interrupted(dir: &Path) -> Result<(), Error> {
    if dir.join(COMMIT).exists() { Err(Error::CommitInterrupted { dir: dir.to_owned() }) } else { Ok(()) }
}

fn load(dir: &Path, manifest: Manifest) -> Result<Store, Error> {
    // Arrays first: their lengths prove the number of rows that the listing is then read for.
    let mut arrays = Vec::new();
    for tap in &manifest.taps {
        let path = dir.join(FEATURES).join(&tap.file);
        let file = File::open(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let data = npy::check(&file, &path, &manifest.array(tap))?;
        let map = map(&file).map_err(|source| Error::Read { path: path.clone(), source })?;
        arrays.push(MappedArray { map, data: data as usize });
    }
    let listing = load_listing(&dir.join(LISTING), &manifest)?;
    Ok(Store { dir: dir.to_owned(), manifest, listing, arrays })
}

fn load_listing(path: &Path, manifest: &Manifest) -> Result<StoredListing, Error> {
    let refuse = |what: String| Err(Error::BadStore { path: path.to_owned(), what });
    let bytes = disk::read(path)?;
    if Digest::of(&bytes) != manifest.listing_sha256 {
        return refuse("it is not the listing that store.json was written for".to_owned());
    }
    let listing = StoredListing::from_bytes(path, bytes, manifest.rows)?;
    let lengths = [listing.label.len(), listing.split.len(), listing.sha256.len(), listing.skipped.len()];
    let extra = listing.extra.iter().map(|(_, values)| values.len());
    if listing.rows() != manifest.rows || lengths.into_iter().chain(extra).any(|len| len != manifest.rows) {
        return refuse(format!("it has {} rows, expected {}", listing.rows(), manifest.rows));
    }
    let skipped = listing.skipped.iter().flatten().count();
    if skipped != manifest.skipped {
        return refuse(format!("{skipped} of its rows are skipped, expected {}", manifest.skipped));
    }
    Ok(listing)
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn release(map: &Mmap, offset: usize, len: usize) {
    // SAFETY: the map is read-only and its file never changes, so that pages given back come again with the same bytes. A refusal
    // costs memory alone.
    let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, len) };
}

#[cfg(not(unix))]
fn release(_: &Mmap, _: usize, _: usize) {}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: finished files never change in place, a run replaces them by renaming; `Store::open` documents that
    // no other program may truncate them.
    unsafe { Mmap::map(file) }
}

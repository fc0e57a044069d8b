//! Writing a store: what is there is reused, what is missing is asked for, and a kill costs at most two seconds.
//!
//! A `StoreWriter` cannot be read, and only `finish` turns it into a `Store`; dropping it leaves all that was
//! computed for the next run.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parquet::errors::ParquetError;

use super::building::ArrayFile;
use super::journal::{Entry, Journal, State};
use super::listing::{self, Column};
use super::manifest::{FORMAT, Manifest, Run, StoredTap, VERSION};
use super::npy::Array;
use super::reader::Store;
use super::rows::RowStates;
use super::source::Source;
use super::{BUILDING, FEATURES, LISTING, LOCK, MANIFEST, commit, disk, encode, opening};
use crate::digest::Hasher;
use crate::{Digest, Error, FeatureSpace, Listing, ShardOf, TapInfo, hash_file};

/// Rows computed since the last checkpoint are lost when a run is killed.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);

/// What a store is to hold.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What all features have in common.
    pub space: FeatureSpace,
    /// The taps asked for; those the store has already stay in it.
    pub taps: Vec<TapInfo>,
    /// The pictures; row i of the store is sample i. Shared, because a listing may be the largest thing in memory.
    pub listing: Arc<Listing>,
    /// What the listing is a part of; none where it is whole.
    pub shard: Option<ShardOf>,
    /// How missing features will be computed.
    pub run: Run,
    /// The running version of tapline.
    pub tapline: String,
}

/// Rows that lack the same taps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Positions among the writer's `taps`, ascending.
    pub taps: Vec<usize>,
    /// Rows, ascending.
    pub rows: Vec<usize>,
}

/// A store being written by this run alone.
pub struct StoreWriter {
    dir: PathBuf,
    plan: Plan,
    taps: Vec<StoredTap>,
    finished: Option<Store>,
    sources: Vec<Source>,
    has_salvage: bool,
    slots: Vec<Slot>,
    rows: RowStates,
    /// Rows of the parts that the journal of an earlier run says hold the features of these pictures.
    resumed: HashMap<usize, Digest>,
    /// Rows of the parts of which this run's journal says that they hold those of the picture that `rows` has.
    noted: Vec<bool>,
    journal: Journal,
    computed: bool,
    synced: Instant,
    /// Held as long as this run may write.
    lock: File,
}

/// Where the rows of a tap are.
enum Slot {
    /// Not decided yet.
    Open,
    /// In the finished store, row for row.
    Kept,
    /// In `building`.
    Part(ArrayFile),
}

impl StoreWriter {
    /// Takes the folder `dir` for this run, making it if need be, and finds what of the plan is there already.
    ///
    /// # Errors
    /// [`Error::StoreBusy`] where another run writes, [`Error::NotAStore`] where the folder holds other files, [`Error::OtherSpace`]
    /// where the store holds features of another space; [`Error::EmptyPlan`], [`Error::BadTapSize`] and [`Error::TapChanged`] for
    /// the plan; those of [`Store::open`] where the store that is there is damaged.
    pub fn begin(dir: &Path, plan: Plan) -> Result<Self, Error> {
        let opening = opening::open(dir, &plan)?;
        let slots = opening.parts.into_iter().map(|part| part.map_or(Slot::Open, Slot::Part)).collect();
        let rows = plan.listing.rows();
        Ok(Self {
            dir: dir.to_owned(),
            rows: RowStates::new(rows, opening.taps.len()),
            plan,
            taps: opening.taps,
            finished: opening.finished,
            sources: opening.sources,
            has_salvage: opening.has_salvage,
            slots,
            computed: !opening.resumed.is_empty(),
            noted: vec![false; rows],
            resumed: opening.resumed,
            journal: opening.journal,
            synced: Instant::now(),
            lock: opening.lock,
        })
    }

    /// All taps of the store to be: those it had and those asked for, from shallow to deep.
    pub fn taps(&self) -> &[StoredTap] {
        &self.taps
    }

    /// The pictures, as the plan gave them.
    pub fn listing(&self) -> &Arc<Listing> {
        &self.plan.listing
    }

    /// The store that is there already, whose commit may have been completed when this writer was made.
    pub fn finished(&self) -> Option<&Store> {
        self.finished.as_ref()
    }

    /// Whether rows may be there already, so that hashing all pictures for `reuse` may save passes.
    pub fn has_sources(&self) -> bool {
        !self.sources.is_empty() || !self.resumed.is_empty()
    }

    /// What runs that were stopped have computed and this one would drop: how many pictures are not among `listed`, and the names of taps
    /// that are none of the store to be.
    pub fn left_over(&self, listed: &HashSet<Digest>) -> (usize, Vec<String>) {
        let stopped = || self.sources.iter().skip(usize::from(self.finished.is_some()));
        let stored = |digest: &&Digest| self.finished.is_some() && self.sources[0].row(digest).is_some();
        let gone = stopped().flat_map(Source::pictures).filter(|digest| !listed.contains(digest));
        let pictures: HashSet<&Digest> = gone.filter(|digest| !stored(digest)).collect();
        let mut taps = Vec::new();
        for tap in stopped().flat_map(Source::taps).filter(|tap| self.taps.iter().all(|own| own.info.tap != tap.tap)) {
            let name = format!("{}@{}", tap.name, tap.tap.pooling);
            if !taps.contains(&name) {
                taps.push(name);
            }
        }
        (pictures.len(), taps)
    }

    /// Takes over all rows that are there already and gives how many rows are complete; call it before `put`.
    ///
    /// `digests` has one entry per row, none where a picture cannot be read. Skipped pictures are tried again.
    ///
    /// # Errors
    /// Where files of the store cannot be read or written.
    ///
    /// # Panics
    /// If there is not one digest for each row.
    pub fn reuse(&mut self, digests: &[Option<Digest>]) -> Result<usize, Error> {
        assert_eq!(digests.len(), self.rows.len(), "one digest for each row");
        let same_order = self.has_same_order(digests);
        for tap in 0..self.taps.len() {
            if matches!(self.slots[tap], Slot::Part(_)) {
                continue;
            }
            if same_order && self.finished_tap(tap).is_some() {
                self.slots[tap] = Slot::Kept;
            } else {
                self.part(tap)?;
            }
        }
        let changed = (0..digests.len()).filter(|&row| self.disown(row, digests[row])).count();
        if changed > 0 {
            self.checkpoint()?;
        }
        for (row, digest) in digests.iter().enumerate() {
            if let Some(digest) = digest {
                self.reuse_row(row, *digest)?;
            }
        }
        Ok((0..self.rows.len()).filter(|&row| self.rows.is_done(row)).count())
    }

    /// Makes sure that the journal vouches for none of the rows from `first` on that are about to be overwritten, but for those
    /// of the same pictures; `rows` has each one's digest and why it was skipped.
    pub(crate) fn disown_block(&mut self, first: usize, rows: &[(Option<Digest>, Option<&str>)]) -> Result<(), Error> {
        let good = |&(digest, skipped): &(Option<Digest>, Option<&str>)| digest.filter(|_| skipped.is_none());
        let changed = rows.iter().enumerate().filter(|(row, state)| self.disown(first + row, good(state))).count();
        if changed > 0 { self.checkpoint() } else { Ok(()) }
    }

    /// Writes all rows of a tap that `from` has, from row `first` on.
    pub(crate) fn copy_block(&mut self, first: usize, tap: usize, from: &ArrayFile) -> Result<(), Error> {
        self.part(tap)?.write_rows_of(first, from)?;
        self.checkpoint_in_time()
    }

    /// Notes that the rows from `first` on have all taps, or are skipped.
    pub(crate) fn note_block(&mut self, first: usize, rows: &[(Option<Digest>, Option<&str>)]) {
        self.computed = true;
        for (row, &(digest, skipped)) in (first..).zip(rows) {
            match (skipped, digest) {
                (None, Some(digest)) => (0..self.taps.len()).for_each(|tap| self.rows.add(row, tap, digest)),
                (reason, digest) => self.rows.skip(row, digest, reason.unwrap_or("its digest is not known")),
            }
        }
    }

    /// The rows that still need `put` or `skip`, grouped by the taps they lack.
    pub fn missing(&self) -> Vec<Group> {
        self.rows.missing()
    }

    /// Stores features of a row: `values[i]` are those of tap `taps[i]`, `[views, features]`. `digest` is that of the bytes
    /// they came from.
    ///
    /// # Errors
    /// Where a file of the store cannot be written. After one about the features ([`Error::NotFinite`],
    /// [`Error::Float16Overflow`]) or the picture ([`Error::PictureChanged`]) nothing was stored, and the row may be skipped instead.
    ///
    /// # Panics
    ///
    /// If there is no such row or tap, or a tap has another number of features or views.
    pub fn put(&mut self, row: usize, digest: Digest, taps: &[usize], values: &[&[f32]]) -> Result<(), Error> {
        assert_eq!(taps.len(), values.len(), "features for each tap");
        if self.rows.has_others(row, taps) && self.rows.digest(row) != Some(digest) {
            return Err(Error::PictureChanged { path: self.path(row) });
        }
        let encoded: Vec<Vec<u8>> =
            taps.iter().zip(values).map(|(&tap, values)| self.encode(row, tap, values)).collect::<Result<_, _>>()?;
        if self.disown(row, Some(digest)) {
            self.checkpoint()?;
        }
        for (&tap, bytes) in taps.iter().zip(&encoded) {
            self.part(tap)?.write_row(row, bytes)?;
            self.rows.add(row, tap, digest);
        }
        if self.rows.is_done(row) {
            self.computed = true;
            self.noted[row] = true;
            self.journal.note(&Entry { row, state: State::Done { sha256: digest } });
        }
        self.checkpoint_in_time()
    }

    /// Leaves a row without features, and says why; `digest` is that of the picture's bytes, if it could be read.
    ///
    /// # Errors
    /// Where a file of the store cannot be written.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn skip(&mut self, row: usize, digest: Option<Digest>, reason: &str) -> Result<(), Error> {
        if self.disown(row, None) {
            self.checkpoint()?;
        }
        for tap in 0..self.taps.len() {
            if !(matches!(self.slots[tap], Slot::Kept) && self.was_skipped(row)) {
                let bytes = encode::nan_row(&self.array(tap));
                self.part(tap)?.write_row(row, &bytes)?;
            }
        }
        self.rows.skip(row, digest, reason);
        self.journal.note(&Entry { row, state: State::Skipped { reason: reason.to_owned() } });
        self.checkpoint_in_time()
    }

    /// Whether a row was left without features.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn is_skipped(&self, row: usize) -> bool {
        assert!(row < self.rows.len(), "row {row} of {}", self.rows.len());
        self.rows.skipped(row).is_some()
    }

    /// Makes all rows stored so far outlast a kill; `put` and `skip` do so every two seconds.
    ///
    /// # Errors
    /// Where a file of the store cannot be written, and [`Error::StoreGone`].
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        self.synced = Instant::now();
        self.check_place()?;
        if self.journal.is_flushed() {
            return Ok(());
        }
        self.sync_parts()?;
        self.journal.flush()
    }

    /// Puts the finished store in place of the old one; every row must have been stored or skipped.
    ///
    /// A store in which nothing would change is left untouched.
    ///
    /// # Errors
    /// [`Error::RowsOpen`] and [`Error::StoreGone`], and where a file cannot be written or is not read back as it was written.
    pub fn finish(mut self) -> Result<Store, Error> {
        let open = (0..self.rows.len()).filter(|&row| !self.rows.is_done(row)).count();
        if open > 0 {
            return Err(Error::RowsOpen { open, rows: self.rows.len() });
        }
        self.checkpoint()?;
        self.sync_parts()?;
        let mut hasher = Hasher::default();
        self.write_listing(&mut hasher).map_err(|source| Error::Write { path: self.dir.join(LISTING), source })?;
        let listing_sha256 = hasher.digest();
        let manifest = self.manifest(listing_sha256).to_bytes();
        let files = self.part_files();
        let is_listed = || hash_file(&self.dir.join(LISTING)).is_ok_and(|found| found == listing_sha256);
        if files.is_empty() && self.is_stored(MANIFEST, &manifest) && is_listed() {
            commit::clear(&self.dir)?;
        } else {
            let building = self.dir.join(BUILDING);
            disk::replace_by(&building.join(LISTING), |file| self.write_listing(file))?;
            disk::replace(&building.join(MANIFEST), &manifest)?;
            commit::commit(&self.dir, files, &self.plan.tapline)?;
        }
        // What is in memory only to be written goes before the store is read back; the lock stays until then.
        let (dir, _lock) = self.into_place();
        Store::open(&dir)
    }

    /// The folder, and what keeps others from writing there.
    fn into_place(self) -> (PathBuf, File) {
        (self.dir, self.lock)
    }

    /// Refuses to go on where the folder is no longer the one this run has locked: what is written by name would land in
    /// somebody else's store, and what is written to open files would vanish with them.
    fn check_place(&self) -> Result<(), Error> {
        if disk::is_same_file(&self.lock, &self.dir.join(LOCK)) {
            Ok(())
        } else {
            Err(Error::StoreGone { dir: self.dir.clone() })
        }
    }

    /// Whether every good row of the finished store belongs to the same picture as before.
    fn has_same_order(&self, digests: &[Option<Digest>]) -> bool {
        let Some(store) = &self.finished else { return false };
        let listing = store.listing();
        let same = |row: usize| digests[row].is_some() && listing.sha256[row] == digests[row];
        listing.rows() == digests.len() && (0..digests.len()).all(|row| self.was_skipped(row) || same(row))
    }

    fn was_skipped(&self, row: usize) -> bool {
        self.finished.as_ref().is_some_and(|store| store.listing().skipped.get(row).is_some())
    }

    /// The tap's file in the finished store, if it has one for each row.
    fn finished_tap(&self, tap: usize) -> Option<PathBuf> {
        let store = self.finished.as_ref().filter(|store| store.manifest().rows == self.rows.len())?;
        let stored = &store.taps()[store.tap_index(&self.taps[tap].info.tap)?];
        Some(self.dir.join(FEATURES).join(&stored.file))
    }

    fn reuse_row(&mut self, row: usize, digest: Digest) -> Result<(), Error> {
        let is_vouched = self.vouched(row) == Some(digest);
        let mut bytes = Vec::new();
        for tap in 0..self.taps.len() {
            let is_kept = matches!(self.slots[tap], Slot::Kept) && !self.was_skipped(row);
            if !is_vouched && !is_kept {
                let Some((source, from)) = self.find(tap, &digest) else { continue };
                source.read_row(from, &mut bytes)?;
                self.part(tap)?.write_row(row, &bytes)?;
            }
            self.rows.add(row, tap, digest);
        }
        Ok(())
    }

    /// The picture whose features the journal says a row of the parts holds.
    fn vouched(&self, row: usize) -> Option<Digest> {
        if self.noted[row] { self.rows.digest(row) } else { self.resumed.get(&row).copied() }
    }

    fn find(&self, tap: usize, digest: &Digest) -> Option<(&ArrayFile, usize)> {
        self.sources.iter().find_map(|source| Some((source.file(&self.taps[tap].info)?, source.row(digest)?)))
    }

    /// Notes that the journal no longer vouches for a row, unless it does so for this very picture.
    ///
    /// After `true`, a checkpoint must come before the row is overwritten.
    fn disown(&mut self, row: usize, digest: Option<Digest>) -> bool {
        let is_changed = self.vouched(row).is_some_and(|vouched| digest != Some(vouched));
        if is_changed {
            self.noted[row] = false;
            self.resumed.remove(&row);
            self.journal.note(&Entry { row, state: State::Disowned });
        }
        is_changed
    }

    /// The tap's array in `building`, made on first use; what the finished store has in the same places is in it.
    fn part(&mut self, tap: usize) -> Result<&mut ArrayFile, Error> {
        if !matches!(self.slots[tap], Slot::Part(_)) {
            let path = self.dir.join(BUILDING).join(&self.taps[tap].file);
            let file = match self.finished_tap(tap) {
                Some(finished) => ArrayFile::copy(&finished, path, self.array(tap))?,
                None => ArrayFile::create(path, self.array(tap))?,
            };
            self.slots[tap] = Slot::Part(file);
        }
        match &mut self.slots[tap] {
            Slot::Part(file) => Ok(file),
            Slot::Open | Slot::Kept => unreachable!("the slot was filled above"),
        }
    }

    fn array(&self, tap: usize) -> Array {
        Array::of(&self.plan.space, self.rows.len(), self.taps[tap].info.features)
    }

    fn path(&self, row: usize) -> String {
        self.plan.listing.path(row).to_owned()
    }

    fn encode(&self, row: usize, tap: usize, values: &[f32]) -> Result<Vec<u8>, Error> {
        let info = &self.taps[tap].info;
        let views = self.plan.space.views.count();
        assert_eq!(
            values.len(),
            views * info.features,
            "as many features as {views} view(s) of tap {:?} have",
            info.name
        );
        encode::row(self.plan.space.dtype, values).map_err(|fault| {
            let (tap, path, value) = (info.name.clone(), self.path(row), values[fault.column]);
            if value.is_finite() {
                Error::Float16Overflow { tap, row, path, value }
            } else {
                Error::NotFinite { tap, row, column: fault.column % info.features, path, value }
            }
        })
    }

    fn checkpoint_in_time(&mut self) -> Result<(), Error> {
        if self.synced.elapsed() < CHECKPOINT_EVERY { Ok(()) } else { self.checkpoint() }
    }

    fn sync_parts(&mut self) -> Result<(), Error> {
        self.slots.iter_mut().try_for_each(|slot| if let Slot::Part(file) = slot { file.sync() } else { Ok(()) })
    }

    fn part_files(&self) -> Vec<String> {
        let parts = self.slots.iter().zip(&self.taps).filter(|(slot, _)| matches!(slot, Slot::Part(_)));
        parts.map(|(_, tap)| tap.file.clone()).collect()
    }

    fn is_stored(&self, name: &str, bytes: &[u8]) -> bool {
        std::fs::read(self.dir.join(name)).is_ok_and(|stored| stored == bytes)
    }

    /// Writes the listing as [`super::StoredListing`] reads it; neither that nor its bytes are ever whole in memory.
    fn write_listing(&self, to: &mut (dyn Write + Send)) -> io::Result<()> {
        let (listed, columns) = (&self.plan.listing, self.plan.listing.columns().len());
        let names: Vec<&str> = listing::names(listed.columns().iter().map(String::as_str));
        let column = |index: usize, rows: Range<usize>| -> Column {
            let word = |row: usize| match index {
                0 => Some(listed.path(row)),
                1 => listed.label(row),
                2 => listed.split(row),
                _ if index < 3 + columns => listed.extra(row, index - 3),
                _ => self.rows.skipped(row),
            };
            let digest = |row: usize| self.rows.digest(row).map(|digest| digest.to_string());
            let is_digest = index == 3 + columns;
            rows.map(|row| if is_digest { digest(row) } else { word(row).map(str::to_owned) }).collect()
        };
        listing::encode(&names, listed.rows(), &column, to).map_err(|error| match error {
            // What the disk says, and not what the table's library makes of it.
            ParquetError::External(cause) => cause.downcast().map_or_else(io::Error::other, |cause| *cause),
            error => io::Error::other(error),
        })
    }

    /// A run that computed nothing leaves the words of the one that did.
    fn manifest(&self, listing_sha256: Digest) -> Manifest {
        let before = self.finished.as_ref().map(Store::manifest).filter(|_| !self.computed && !self.has_salvage);
        Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            tapline: before.map_or(&self.plan.tapline, |before| &before.tapline).clone(),
            space: self.plan.space.clone(),
            taps: self.taps.clone(),
            rows: self.rows.len(),
            skipped: (0..self.rows.len()).filter(|&row| self.rows.skipped(row).is_some()).count(),
            listing_sha256,
            run: before.map_or(&self.plan.run, |before| &before.run).clone(),
            shard: self.plan.shard,
        }
    }
}

impl fmt::Debug for StoreWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreWriter").field("dir", &self.dir).finish_non_exhaustive()
    }
}

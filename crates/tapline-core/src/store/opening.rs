//! What a run finds before it writes: whose folder it is, what is finished, what was stopped and can go on.
//!
//! Everything here leaves the folder in a state from which the same steps can be taken again.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::Path;

use super::building::{ArrayFile, BuildPlan, discard};
use super::journal::Journal;
use super::manifest::{self, FORMAT, StoredTap};
use super::reader::Store;
use super::source::{Source, good_rows, last_good, salvage_folders};
use super::writer::Plan;
use super::{BUILDING, COMMIT, JOURNAL, LOCK, MANIFEST, PLAN, SALVAGE, commit, disk, names};
use crate::{Digest, Error, FeatureSpace};

/// A folder ready to be written to by this run alone.
pub(crate) struct Opening {
    /// Held as long as the run may write.
    pub lock: File,
    /// The store as it was.
    pub finished: Option<Store>,
    /// All taps of the store to be.
    pub taps: Vec<StoredTap>,
    /// The arrays in `building` that an earlier run over the same plan has made, tap by tap.
    pub parts: Vec<Option<ArrayFile>>,
    /// The pictures whose features those arrays hold, by row.
    pub resumed: HashMap<usize, Digest>,
    /// Where further rows may be taken from.
    pub sources: Vec<Source>,
    /// Whether some of them come from a run that was stopped.
    pub has_salvage: bool,
    /// The journal of `building`.
    pub journal: Journal,
}

/// Takes the folder, completes what was begun, and finds what can be reused for a plan.
pub(crate) fn open(dir: &Path, plan: &Plan) -> Result<Opening, Error> {
    plan.space.check()?;
    let lock = claim(dir)?;
    commit::roll_forward(dir)?;
    let finished = if dir.join(MANIFEST).exists() { Some(Store::open(dir)?) } else { None };
    if let Some(store) = &finished {
        check_space(dir, &store.manifest().space, &plan.space)?;
    }
    let taps = all_taps(dir, finished.as_ref(), plan)?;
    let wanted = BuildPlan::of(&plan.tapline, &plan.space, &taps, &plan.listing);
    let parts = resume_or_start(dir, &wanted, finished.as_ref())?;
    let (journal, entries) = Journal::open(dir.join(BUILDING).join(JOURNAL))?;
    let resumed = last_good(entries, wanted.rows);

    let mut sources = Vec::new();
    if let Some(store) = &finished {
        sources.push(Source::of_store(dir, store)?);
    }
    sources.extend(salvaged(dir, &plan.space)?);
    let has_salvage = sources.len() > usize::from(finished.is_some());
    Ok(Opening { lock, finished, taps, parts, resumed, sources, has_salvage, journal })
}

/// Makes the folder if need be and locks it; refuses one with files of somebody else before anything is written.
fn claim(dir: &Path) -> Result<File, Error> {
    if dir.is_file() {
        return Err(Error::NotAStore { dir: dir.to_owned() });
    }
    disk::create_folder(dir)?;
    if !is_ours_or_empty(dir)? {
        return Err(Error::NotAStore { dir: dir.to_owned() });
    }
    let path = dir.join(LOCK);
    let lock = disk::reopen(&path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::StoreBusy { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(Error::Write { path, source }),
    }
    disk::write_at(&lock, &path, FORMAT.as_bytes(), 0)?;
    Ok(lock)
}

fn is_ours_or_empty(dir: &Path) -> Result<bool, Error> {
    let wrap = |source| Error::Read { path: dir.to_owned(), source };
    let mut others = false;
    for entry in std::fs::read_dir(dir).map_err(wrap)? {
        others |= entry.map_err(wrap)?.file_name() != LOCK;
    }
    let lock = std::fs::read(dir.join(LOCK)).unwrap_or_default();
    // A kill may leave a lock file with no content or a part of it, but then nothing else is there yet.
    if !others {
        return Ok(FORMAT.as_bytes().starts_with(&lock));
    }
    let documents = [dir.join(MANIFEST), dir.join(COMMIT), dir.join(BUILDING).join(PLAN)];
    Ok(lock == FORMAT.as_bytes() || documents.iter().any(|path| manifest::is_ours(path)))
}

fn check_space(dir: &Path, ours: &FeatureSpace, asked: &FeatureSpace) -> Result<(), Error> {
    match ours.difference(asked) {
        Some(what) => Err(Error::OtherSpace { dir: dir.to_owned(), what }),
        None => Ok(()),
    }
}

/// The stored taps and the asked ones, each checked to be of a size that can be stored.
fn all_taps(dir: &Path, finished: Option<&Store>, plan: &Plan) -> Result<Vec<StoredTap>, Error> {
    let stored = finished.map_or(&[][..], Store::taps);
    for info in &plan.taps {
        let known = stored.iter().find(|tap| tap.info.tap == info.tap);
        if let Some(known) = known.filter(|known| known.info.features != info.features) {
            let (dir, tap) = (dir.to_owned(), info.name.clone());
            return Err(Error::TapChanged { dir, tap, stored: known.info.features, asked: info.features });
        }
    }
    let taps = names::union(stored, &plan.taps);
    let rows = plan.listing.rows();
    if rows == 0 || taps.is_empty() {
        return Err(Error::EmptyPlan { rows, taps: taps.len() });
    }
    let wanted = BuildPlan::of(&plan.tapline, &plan.space, &taps, &plan.listing);
    let unsound = |tap: &&StoredTap| tap.info.features == 0 || wanted.array(tap).file_bytes().is_none();
    match taps.iter().find(unsound) {
        Some(tap) => Err(Error::BadTapSize {
            tap: tap.info.name.clone(),
            features: tap.info.features.saturating_mul(plan.space.views.count()),
            rows,
        }),
        None => Ok(taps),
    }
}

/// Goes on in a `building` folder of the same plan; of another plan, its rows are salvaged and a new one is begun.
fn resume_or_start(dir: &Path, wanted: &BuildPlan, finished: Option<&Store>) -> Result<Vec<Option<ArrayFile>>, Error> {
    let building = dir.join(BUILDING);
    if let Some(old) = BuildPlan::read(&building)? {
        let good = good_rows(&building, old.rows)?;
        if old.same_rows(wanted) {
            let is_kept = |tap: &StoredTap| good.is_empty() || keeps(finished, wanted, tap);
            if let Some(parts) = open_parts(&building, wanted, &is_kept) {
                return Ok(parts);
            }
        } else if !good.is_empty() {
            check_space(dir, &old.space, &wanted.space)?;
            let next = salvage_folders(dir)?.last().map_or(1, |(number, _)| number + 1);
            disk::rename(&building, &dir.join(format!("{SALVAGE}{next}")))?;
        }
    }
    discard(&building)?;
    wanted.write(&building)?;
    Ok(wanted.taps.iter().map(|_| None).collect())
}

/// Whether the rows of a tap could have been left in the finished store while others were computed.
fn keeps(finished: Option<&Store>, plan: &BuildPlan, tap: &StoredTap) -> bool {
    finished.is_some_and(|store| store.manifest().rows == plan.rows && store.tap_index(&tap.info.tap).is_some())
}

/// The arrays of a `building` folder; none at all if one is damaged, or missing without being kept elsewhere.
fn open_parts(
    building: &Path,
    plan: &BuildPlan,
    is_kept: &dyn Fn(&StoredTap) -> bool,
) -> Option<Vec<Option<ArrayFile>>> {
    let open = |tap: &StoredTap| {
        let path = building.join(&tap.file);
        if path.exists() {
            return ArrayFile::open(path, plan.array(tap)).ok().map(Some);
        }
        is_kept(tap).then_some(None)
    };
    plan.taps.iter().map(open).collect()
}

fn salvaged(dir: &Path, space: &FeatureSpace) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for (_, folder) in salvage_folders(dir)? {
        if let Some(plan) = BuildPlan::read(&folder)? {
            check_space(dir, &plan.space, space)?;
            sources.push(Source::of_salvage(&folder, &plan)?);
        }
    }
    Ok(sources)
}

//! The feature store: a folder of plain NumPy arrays, one table and one JSON document that say what they are.
//!
//! ```text
//! store/store.json            what the features are, written last
//! store/listing.parquet       one row for each picture, row i belongs to row i of every array
//! store/features/NAME.npy     one array [rows, features] for each tap, of several views [rows, views, features];
//!                             rows of skipped pictures are NaN
//! store/.lock                 held by the one run that writes
//! store/.stamps               sizes and times of the pictures' files when they were read; no part of what the store holds
//! store/.indexes              what lies where in tar files behind URLs; no part of it either
//! store/building/             the next state while it is computed: plan.json, journal.jsonl, NAME.npy
//! store/salvage-N/            an older `building` whose plan changed: a source of rows until the next commit
//! store/commit.json           the moves that make `building` the store; present only while they are made
//! ```
//!
//! A finished store never changes in place. All that a run computes goes to `building`; a row counts only once the
//! journal says so, after its numbers were synced. `commit.json` turns the move into place into something the next
//! run can complete. Kill a run anywhere, run it again, and the store ends in the same bytes.

mod building;
mod calibrated;
mod commit;
mod disk;
mod encode;
mod export;
mod indexes;
mod journal;
mod listing;
mod manifest;
mod merge;
mod names;
mod npy;
mod opening;
mod reader;
mod rows;
mod source;
mod stamps;
mod widen;
mod writer;

#[cfg(test)]
mod kill_tests;

use std::path::Path;

pub use calibrated::stored_calibration;
pub use export::export_rows;
pub use indexes::Indexes;
pub(crate) use indexes::{IndexedPicture, TarIndex};
pub use listing::StoredListing;
pub(crate) use listing::without_panics;
pub use manifest::{FORMAT, Manifest, Run, Sharing, SharingBy, StoredTap, VERSION};
pub use merge::merge;
pub use npy::NpyFault;
pub use reader::{Rows, Store};
pub use stamps::{Stamp, Stamps};
pub use widen::widen;
pub use writer::{Group, Plan, StoreWriter};

/// Whether a folder is a store, or will be one when the run that makes it is done.
pub fn is_store(dir: &Path) -> bool {
    // A folder called "building" alone may hold pictures of houses.
    [dir.join(MANIFEST), dir.join(COMMIT), dir.join(BUILDING).join(PLAN)].iter().any(|path| path.exists())
}

const LOCK: &str = ".lock";
const STAMPS: &str = ".stamps";
const INDEXES: &str = ".indexes";
const MANIFEST: &str = "store.json";
const LISTING: &str = "listing.parquet";
const FEATURES: &str = "features";
const BUILDING: &str = "building";
const SALVAGE: &str = "salvage-";
const PLAN: &str = "plan.json";
const JOURNAL: &str = "journal.jsonl";
const COMMIT: &str = "commit.json";

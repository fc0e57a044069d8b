//! Moving a finished `building` into place such that a kill at any moment can be completed by the next run.
//!
//! `commit.json` names the arrays to move before the first of them moves. While it exists, the store cannot be
//! opened; every step may be repeated, and removing `commit.json` is the last.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::building::discard;
use super::manifest::{self, FORMAT, VERSION};
use super::source::salvage_folders;
use super::{BUILDING, COMMIT, FEATURES, LISTING, MANIFEST, disk, names};
use crate::Error;

/// The content of `commit.json`.
#[derive(Serialize, Deserialize)]
struct Commit {
    format: String,
    version: u64,
    tapline: String,
    /// Names of the arrays that move from `building/` to `features/`; the listing and `store.json` follow.
    files: Vec<String>,
}

/// Moves `building` into place; all it holds must be synced. `tapline` is the running version.
pub(crate) fn commit(dir: &Path, files: Vec<String>, tapline: &str) -> Result<(), Error> {
    let marker = Commit { format: FORMAT.to_owned(), version: VERSION, tapline: tapline.to_owned(), files };
    disk::replace(&dir.join(COMMIT), &serde_json::to_vec(&marker).expect("plain data with string keys"))?;
    roll_forward(dir)
}

/// Completes a commit that was begun, if there is one.
pub(crate) fn roll_forward(dir: &Path) -> Result<(), Error> {
    let path = dir.join(COMMIT);
    if !path.exists() {
        return Ok(());
    }
    let bytes = disk::read(&path)?;
    manifest::check_version(&path, &bytes)?;
    let marker: Commit = manifest::parse(&path, &bytes)?;
    let (building, features) = (dir.join(BUILDING), dir.join(FEATURES));
    disk::create_folder(&features)?;
    for file in &marker.files {
        if !names::is_safe(file) {
            return Err(Error::BadStore { path, what: format!("the file name {file:?} is not a plain NAME.npy") });
        }
        move_once(&building.join(file), &features.join(file))?;
    }
    move_once(&building.join(LISTING), &dir.join(LISTING))?;
    move_once(&building.join(MANIFEST), &dir.join(MANIFEST))?;
    clear(dir)?;
    disk::remove_file(&path)?;
    disk::sync_folder(dir)
}

/// Removes all that only an unfinished store needs.
pub(crate) fn clear(dir: &Path) -> Result<(), Error> {
    discard(&dir.join(BUILDING))?;
    for (_, folder) in salvage_folders(dir)? {
        discard(&folder)?;
    }
    disk::remove_file(&disk::sibling(&dir.join(COMMIT)))?;
    disk::sync_folder(dir)
}

/// Moves a file, unless an earlier attempt has moved it.
fn move_once(from: &Path, to: &Path) -> Result<(), Error> {
    if from.exists() {
        return disk::rename(from, to);
    }
    if to.exists() {
        return Ok(());
    }
    Err(Error::BadStore { path: to.to_owned(), what: "the commit names it, but it is nowhere".to_owned() })
}

//! `store.json`: what the features of a store are and how they were made.
//!
//! It holds no time and no duration, so that a run that was stopped and resumed ends in the same bytes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::npy::Array;
use super::{disk, names};
use crate::{Digest, Error, FeatureSpace, Shard, ShardOf, TapInfo};

/// What `format` says in every store.
pub const FORMAT: &str = "tapline-store";
/// The version of the store's layout that this crate reads and writes.
pub const VERSION: u64 = 1;

/// The content of `store.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`VERSION`].
    pub version: u64,
    /// The tapline version that computed the features.
    pub tapline: String,
    /// What all features have in common.
    pub space: FeatureSpace,
    /// The taps, from shallow to deep.
    pub taps: Vec<StoredTap>,
    /// Rows of the listing and of every array.
    pub rows: usize,
    /// Rows without features; the listing says why.
    pub skipped: usize,
    /// The digest of `listing.parquet`, which ties rows to pictures.
    pub listing_sha256: Digest,
    /// The run that last computed features.
    pub run: Run,
    /// What part of a listing this is; none of a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardOf>,
}

/// One tap of a store and the file with its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredTap {
    /// The tap.
    #[serde(flatten)]
    pub info: TapInfo,
    /// Name of the array below `features/`.
    pub file: String,
}

/// How features were computed: what another machine would need to repeat it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The inference library and its version.
    pub runtime: String,
    /// Its execution provider, `CPUExecutionProvider` or `CUDAExecutionProvider`.
    pub provider: String,
    /// The processor or accelerator.
    pub device: String,
    /// How the work was shared.
    #[serde(flatten)]
    pub sharing: Sharing,
}

/// How sessions of the runtime share an extraction; rows depend on the batch in their last bits, on nothing else of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// Sessions that work side by side; 0 where an older store does not say.
    #[serde(default)]
    pub sessions: usize,
    /// Threads of one session; 0 where the runtime chooses.
    pub threads: usize,
    /// Pictures, or views of them, per pass.
    pub batch: usize,
    /// What chose it.
    #[serde(default)]
    pub by: SharingBy,
}

impl Sharing {
    /// A single session of so many threads, a picture at a time.
    pub fn alone(threads: usize) -> Self {
        Self { sessions: 1, threads, batch: 1, by: SharingBy::Usual }
    }
}

/// What chose how the work is shared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharingBy {
    /// What suits most machines.
    #[default]
    Usual,
    /// The person who started the run, in part at least.
    Asked,
    /// Trials on the machine.
    Measured,
}

impl Manifest {
    /// The array that holds a tap's rows.
    pub(crate) fn array(&self, tap: &StoredTap) -> Array {
        Array::of(&self.space, self.rows, tap.info.features)
    }

    /// The bytes of `store.json`.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("plain data with string keys");
        bytes.push(b'\n');
        bytes
    }

    /// Reads and checks `store.json`; `path` is named in errors.
    pub(crate) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        check_version(path, bytes)?;
        let manifest: Self = parse(path, bytes)?;
        manifest.space.check()?;
        check_taps(path, &manifest.taps, manifest.rows)?;
        check_shard(path, &manifest)?;
        for tap in &manifest.taps {
            if manifest.array(tap).file_bytes().is_none() {
                let what = format!("tap {:?} has {} features", tap.info.name, tap.info.features);
                return Err(Error::BadStore { path: path.to_owned(), what });
            }
        }
        Ok(manifest)
    }
}

/// Reads a JSON document of the store.
pub(crate) fn parse<'a, T: Deserialize<'a>>(path: &Path, bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::BadJson { path: path.to_owned(), source })
}

/// Whether a document calls itself ours, of whatever version.
pub(crate) fn is_ours(path: &Path) -> bool {
    disk::read(path).is_ok_and(|bytes| parse::<Kind>(path, &bytes).is_ok_and(|kind| kind.format == FORMAT))
}

/// Refuses another format and another version before anything else is read.
pub(crate) fn check_version(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let Kind { format, version, tapline } = parse(path, bytes)?;
    if format == FORMAT && version == VERSION {
        return Ok(());
    }
    let path = path.to_owned();
    Err(Error::StoreVersion { path, format, found: version, expected: VERSION, writer: tapline })
}

/// Taps of a store, at most: each is held against all others.
const MAX_TAPS: usize = 10_000;

/// Refuses too many taps, taps without numbers, and file names that could lead out of the folder or to the same file.
pub(crate) fn check_taps(path: &Path, taps: &[StoredTap], rows: usize) -> Result<(), Error> {
    let refuse = |what: String| Err(Error::BadStore { path: path.to_owned(), what });
    if taps.is_empty() || rows == 0 {
        return refuse(format!("it has {} taps and {rows} rows, expected at least one of each", taps.len()));
    }
    if taps.len() > MAX_TAPS {
        return refuse(format!("it has {} taps, and {MAX_TAPS} are the most", taps.len()));
    }
    for (i, tap) in taps.iter().enumerate() {
        if !names::is_safe(&tap.file) {
            return refuse(format!("the file name {:?} is not a plain NAME.npy", tap.file));
        }
        if tap.info.features == 0 {
            return refuse(format!("tap {:?} has no features", tap.info.name));
        }
        if taps[..i].iter().any(|other| other.info.tap == tap.info.tap || names::collide(&other.file, &tap.file)) {
            return refuse(format!("tap {:?} in {:?} is listed twice", tap.info.name, tap.file));
        }
    }
    Ok(())
}

/// Refuses a shard that does not have the rows it should, or that is one of too many.
fn check_shard(path: &Path, manifest: &Manifest) -> Result<(), Error> {
    let Some(ShardOf { shard, listing_rows, .. }) = manifest.shard else { return Ok(()) };
    let what = if shard.index >= shard.of || shard.of > Shard::MOST {
        format!("there is no shard {shard}: they are counted from 0, and {} are the most", Shard::MOST)
    } else if shard.rows(listing_rows).len() != manifest.rows {
        format!("shard {shard} of a listing with {listing_rows} rows does not have {} rows", manifest.rows)
    } else {
        return Ok(());
    };
    Err(Error::BadStore { path: path.to_owned(), what })
}

/// What every version says of itself.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    format: String,
    #[serde(default)]
    version: u64,
    #[serde(default)]
    tapline: String,
}

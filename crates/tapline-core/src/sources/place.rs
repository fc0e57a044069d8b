//! Where the bytes of one picture are, and how to read them.
//!
//! Whatever the place, the bytes are the same as those of the unpacked file, and so are digests and features.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Holder, PictureTable};
use crate::Digest;
use crate::digest::hash_reader;

/// Where the bytes of a picture are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of its own.
    File(PathBuf),
    /// A member of a tar file.
    Member {
        /// The tar file.
        shard: Arc<Path>,
        /// Where the picture begins, in bytes.
        offset: u64,
        /// How many bytes it has.
        bytes: u64,
    },
    /// A cell of a Parquet file.
    Cell {
        /// The column with pictures.
        table: Arc<PictureTable>,
        /// The row.
        row: usize,
    },
    /// An object behind a URL, which this crate cannot read.
    Url {
        /// Where it is.
        url: Arc<str>,
        /// Which version of it was listed, where its source tells (an entity tag).
        version: Option<Arc<str>>,
    },
    /// A member of a tar file behind a URL, which this crate cannot read.
    Part {
        /// The tar file.
        url: Arc<str>,
        /// Where the picture begins, in bytes.
        offset: u64,
        /// How many bytes it has.
        bytes: u64,
        /// Which version of the file that holds for, where its source tells (an entity tag).
        version: Option<Arc<str>>,
    },
}

/// The schemes of URLs that can be listed.
const SCHEMES: [&str; 6] = ["s3://", "gs://", "az://", "http://", "https://", "file://"];

/// Whether a text names an object by URL.
pub fn is_url(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

impl Place {
    /// The place a listing's entry names: a URL, or a file, relative ones starting at `folder`.
    pub fn listed(folder: &Path, path: &str) -> Self {
        if is_url(path) { Self::Url { url: path.into(), version: None } } else { Self::File(folder.join(path)) }
    }

    /// The bytes, at most `max_bytes` of them.
    ///
    /// # Errors
    /// Why they cannot be had, as a reason to skip the picture.
    pub fn read(&self, max_bytes: u64) -> Result<Vec<u8>, String> {
        let failed = |error: io::Error| format!("cannot be read: {error}");
        match self {
            Self::File(path) => {
                let metadata = std::fs::metadata(path).map_err(failed)?;
                if !metadata.is_file() {
                    return Err("is not a file".to_owned());
                }
                check_size(metadata.len(), max_bytes)?;
                std::fs::read(path).map_err(failed)
            }
            Self::Member { shard, offset, bytes } => {
                check_size(*bytes, max_bytes)?;
                let mut read = Vec::new();
                member(shard, *offset, *bytes).and_then(|mut part| part.read_to_end(&mut read)).map_err(failed)?;
                if read.len() as u64 != *bytes {
                    return Err(failed(cut_off()));
                }
                Ok(read)
            }
            Self::Cell { table, row } => table.read(*row, max_bytes),
            Self::Url { url, .. } | Self::Part { url, .. } => {
                Err(format!("cannot be read: {url} is no file of this machine"))
            }
        }
    }

    /// The digest of the bytes, which are read in pieces; none where they cannot be read.
    pub fn hash(&self) -> Option<Digest> {
        match self {
            Self::File(path) => crate::hash_file(path).ok(),
            Self::Member { shard, offset, bytes } => {
                let (digest, read) = hash_reader(member(shard, *offset, *bytes).ok()?).ok()?;
                (read == *bytes).then_some(digest)
            }
            Self::Cell { table, row } => table.read(*row, u64::MAX).ok().map(|bytes| Digest::of(&bytes)),
            Self::Url { .. } | Self::Part { .. } => None,
        }
    }

    /// The file of this machine that holds the picture, if one does.
    pub fn container(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Member { shard, .. } => Some(shard),
            Self::Cell { table, .. } => match table.holder() {
                Holder::File { path, .. } => Some(path),
                Holder::Url { .. } => None,
            },
            Self::Url { .. } | Self::Part { .. } => None,
        }
    }
}

pub(crate) fn check_size(bytes: u64, max_bytes: u64) -> Result<(), String> {
    if bytes > max_bytes {
        return Err(format!("has {bytes} bytes, more than the limit of {max_bytes}"));
    }
    Ok(())
}

fn member(shard: &Path, offset: u64, bytes: u64) -> io::Result<io::Take<File>> {
    let mut file = File::open(shard)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(file.take(bytes))
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the tar file ends within it")
}

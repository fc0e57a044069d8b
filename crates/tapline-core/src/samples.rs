//! What is to be turned into features: one sample for each picture, in an order that never depends on the machine.
//!
//! Folders and tables both become a `Listing`, so nothing downstream knows which of them was given.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::folder::scan_folder;
use crate::sources::{expand, is_parquet, is_shard, read_parquet, read_shards};
use crate::table::{is_table, read_csv};
use crate::{Error, Place};

/// One picture to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Where its bytes are.
    pub place: Place,
    /// The path as listed: relative to the folder with `/` between parts, or as the table writes it.
    /// Bytes that are not UTF-8 are written `\xNN`.
    pub path: String,
    /// Its class.
    pub label: Option<String>,
    /// Which part of a fixed split it belongs to.
    pub split: Option<String>,
    /// The values of the listing's `columns`, in their order.
    pub extra: Vec<Option<String>>,
}

/// All pictures in order, and what was passed over. Row i of a store is sample i of its listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The pictures, at least one after `scan`.
    pub samples: Vec<Sample>,
    /// Names of the user's further columns.
    pub columns: Vec<String>,
    /// Entries of a folder that are not pictures by their name. A picture that cannot be read is among the samples.
    pub skipped: Vec<Skipped>,
}

/// An entry of a folder that is no sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its path relative to the folder.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// The pictures of a folder, of a tar or Parquet file, or those that a `.csv`, `.tsv` or `.parquet` file lists.
///
/// # Errors
/// Where nothing is there, or what is there lists no pictures; each kind of source has its own.
pub fn scan(path: &Path) -> Result<Listing, Error> {
    if path.is_dir() {
        return scan_folder(path);
    }
    match path.try_exists() {
        Ok(true) if is_table(path) => read_csv(path),
        Ok(true) if is_parquet(path) => read_parquet(path),
        Ok(true) if is_shard(path) => read_shards(&[path.to_owned()]),
        Ok(true) => Err(Error::UnknownSamples { path: path.to_owned() }),
        Ok(false) => Err(Error::NoSamples { path: path.to_owned() }),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// The pictures of what was typed: one folder, listing or shard, or several shards, by braces and wildcards too.
///
/// # Errors
/// As [`scan()`], and for patterns that name nothing.
///
/// # Panics
/// If nothing was typed.
pub fn scan_all(typed: &[PathBuf]) -> Result<Listing, Error> {
    let mut paths = Vec::new();
    for typed in typed {
        paths.extend(expand(typed)?);
    }
    match &paths[..] {
        [] => panic!("something to scan"),
        [path] => scan(path),
        several => match several.iter().find(|path| !path.exists()) {
            Some(absent) => Err(Error::NoSamples { path: absent.clone() }),
            None => read_shards(several),
        },
    }
}

/// The text of a path, bytes that are not UTF-8 written `\xNN`.
pub(crate) fn path_text(path: &OsStr) -> String {
    let text = bytes_text(path.as_encoded_bytes());
    if std::path::MAIN_SEPARATOR == '/' { text } else { text.replace(std::path::MAIN_SEPARATOR, "/") }
}

/// Text, bytes that are not UTF-8 written `\xNN`.
pub(crate) fn bytes_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_folder_nor_table_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "").expect("write");
        let message = scan(&file).expect_err("text").to_string();
        assert!(message.contains("notes.txt is neither"), "{message}");
        let message = scan(&folder.path().join("absent")).expect_err("absent").to_string();
        assert!(message.contains("absent does not exist"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf8_are_written_in_hex() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(path_text(OsStr::from_bytes(b"a/\xffb\xc3\xa4\xc3")), "a/\\xFFbä\\xC3");
        assert_eq!(path_text(OsStr::new("🐈.png")), "🐈.png");
    }
}

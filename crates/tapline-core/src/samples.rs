//! What is to be turned into features: one sample for each picture, in an order that never depends on the machine.
//!
//! Folders and tables both become a `Listing`, so nothing downstream knows which of them was given.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::folder::{is_picture, scan_folder};
use crate::sources::{expand, is_parquet, is_shard, read_parquet, read_shards};
use crate::table::{is_table, read_csv};
use crate::{Error, Listing, Place};

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

/// The pictures of what was typed: one folder, listing or shard, several shards, or pictures one by one; by braces and wildcards
/// too.
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
        pictures if pictures.iter().all(|path| is_picture(path) && path.is_file()) => Ok(one_by_one(pictures)),
        [path] => scan(path),
        several => match (several.iter().find(|path| !path.exists()), several.iter().any(|path| is_picture(path))) {
            (Some(absent), _) => Err(Error::NoSamples { path: absent.clone() }),
            (None, true) => {
                let other = several.iter().find(|path| !is_picture(path) || !path.is_file());
                Err(Error::NotAShard { path: other.expect("not all are picture files").clone() })
            }
            (None, false) => read_shards(several),
        },
    }
}

/// Pictures in the order typed, without labels; one that is typed again is passed over.
fn one_by_one(paths: &[PathBuf]) -> Listing {
    let (mut samples, mut skipped) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for typed in paths {
        let path = path_text(typed.as_os_str());
        if seen.insert(typed) {
            let place = Place::File(typed.clone());
            samples.push(Sample { place, path, label: None, split: None, extra: Vec::new() });
        } else {
            skipped.push(Skipped { path, reason: "given twice".to_owned() });
        }
    }
    Listing::of(Path::new(""), samples, Vec::new()).with_skipped(skipped)
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

    #[test]
    fn pictures_are_listed_as_they_were_typed() {
        let folder = tempfile::tempdir().expect("folder");
        let files = ["b.png", "a.JPG"].map(|name| folder.path().join(name));
        files.iter().for_each(|file| std::fs::write(file, "").expect("write"));
        let listing = scan_all(&[files[0].clone(), files[1].clone(), files[0].clone()]).expect("pictures");
        let text = |file: &Path| path_text(file.as_os_str());
        let found: Vec<&str> = (0..listing.rows()).map(|row| listing.path(row)).collect();
        assert_eq!(found, [text(&files[0]), text(&files[1])]);
        assert_eq!(listing.place(0), Place::File(files[0].clone()));
        assert_eq!(listing.skipped, [Skipped { path: text(&files[0]), reason: "given twice".to_owned() }]);
        let pattern = scan_all(&[folder.path().join("*.png")]).expect("a pattern");
        assert_eq!(pattern.rows(), 1);
        let absent = scan_all(&[files[0].clone(), folder.path().join("c.png")]).expect_err("absent").to_string();
        assert!(absent.contains("c.png does not exist"), "{absent}");
        std::fs::write(folder.path().join("Thumbs.db"), "").expect("write");
        let other = scan_all(&[files[0].clone(), folder.path().join("Thumbs.db")]).expect_err("no picture").to_string();
        assert!(other.contains("Thumbs.db is neither a picture by its name nor a .tar"), "{other}");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf8_are_written_in_hex() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(path_text(OsStr::from_bytes(b"a/\xffb\xc3\xa4\xc3")), "a/\\xFFbä\\xC3");
        assert_eq!(path_text(OsStr::new("🐈.png")), "🐈.png");
    }
}

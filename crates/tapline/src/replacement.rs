//! Files that are there complete or not at all.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Endings that say what is in a file.
const FORMATS: [&str; 16] = [
    "csv", "tsv", "txt", "json", "html", "htm", "pdf", "png", "svg", "npy", "npz", "parquet", "pq", "arrow", "feather",
    "xlsx",
];

/// A file that takes another's place only when it is complete; opened before the long work, so that a bad path is known
/// at once.
pub struct Replacement {
    path: PathBuf,
    /// Where it is written until it is complete.
    pub beside: PathBuf,
    /// Where to write.
    pub file: File,
    is_placed: bool,
}

impl Replacement {
    /// Opens a file beside `path`, whose ending must be one of `endings` or of no other known format.
    pub fn create(path: &Path, endings: &[&str]) -> anyhow::Result<Self> {
        if let Some(ending) = path.extension().and_then(OsStr::to_str)
            && let ending = ending.to_lowercase()
            && FORMATS.contains(&ending.as_str())
            && !endings.contains(&ending.as_str())
        {
            bail!("{} is to hold no {ending}: let its name end in .{}", path.display(), endings[0]);
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            bail!("{} cannot be written: there is no folder {}", path.display(), folder.display());
        }
        let name = path.file_name().with_context(|| format!("{} is not a file's name", path.display()))?;
        let beside = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
        let file = File::create(&beside).with_context(|| format!("{} cannot be written", beside.display()))?;
        Ok(Self { path: path.to_owned(), beside, file, is_placed: false })
    }

    /// Puts the complete file where it was asked for.
    pub fn put_in_place(mut self) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("{} cannot be written", self.beside.display()))?;
        fs::rename(&self.beside, &self.path).with_context(|| format!("{} cannot be replaced", self.path.display()))?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_placed {
            drop(fs::remove_file(&self.beside));
        }
    }
}

//! Files that are there complete or not at all.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A file that takes another's place only when it is complete; opened before the long work, so that a bad path is known
/// at once.
pub struct Replacement {
    path: PathBuf,
    /// Where it is written until it is complete.
    pub beside: PathBuf,
    /// Where to write.
    pub file: File,
}

impl Replacement {
    /// Opens a file beside `path`.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let name = path.file_name().with_context(|| format!("{} is not a file's name", path.display()))?;
        let beside = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
        let file = File::create(&beside).with_context(|| format!("{} cannot be written", beside.display()))?;
        Ok(Self { path: path.to_owned(), beside, file })
    }

    /// Puts the complete file where it was asked for.
    pub fn put_in_place(self) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("{} cannot be written", self.beside.display()))?;
        fs::rename(&self.beside, &self.path).with_context(|| format!("{} cannot be replaced", self.path.display()))
    }
}

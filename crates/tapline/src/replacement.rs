//! Files that are there complete or not at all.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Endings that say what is in a file.
const FORMATS: [&str; 16] = [
    "csv", "tsv", "txt", "json", "html", "htm", "pdf", "png", "svg", "npy", "npz", "parquet", "pq", "arrow", "feather",
    "xlsx",
];

/// Names of standard output.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Whether a path names standard output, where results are printed.
pub fn is_stdout(path: &Path) -> bool {
    STDOUT.iter().any(|name| path == Path::new(name))
}

/// Files of one name that may be unfinished at the same time, those that killed runs have left included.
const MOST: usize = 1000;

/// A file that takes another's place only when it is complete; opened before the long work, so that a bad path is known
/// at once.
///
/// One that is given up is removed; a run that is killed leaves its `.NAME.….part`.
///
/// What is there and no regular file, such as a device or a pipe, is written to as it is; a link is followed.
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
        if is_stdout(path) {
            bail!("{} is standard output, where the result is printed: name a file", path.display());
        }
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            bail!("{} is the name of a folder: name a file", path.display());
        }
        let there = path.metadata().ok();
        if there.as_ref().is_some_and(|there| there.is_dir()) {
            bail!("{} is a folder: name a file", path.display());
        }
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            let file = File::options().write(true).open(path);
            let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
            return Ok(Self { path: path.to_owned(), beside: path.to_owned(), file, is_placed: true });
        }
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            bail!("{} cannot be written: there is no folder {}", path.display(), folder.display());
        }
        let name = path.file_name().with_context(|| format!("{} is not a file's name", path.display()))?;
        let (beside, file) = part(path, &name.to_string_lossy())?;
        // Who may read the file that is replaced may read this one, and no one else.
        there.map_or(Ok(()), |there| file.set_permissions(there.permissions()))?;
        Ok(Self { path: path.to_owned(), beside, file, is_placed: false })
    }

    /// Standard output in a file's place, for what is a command's result itself.
    pub fn stdout() -> anyhow::Result<Self> {
        let name = PathBuf::from("standard output");
        let file = io::stdout().as_fd().try_clone_to_owned().context("standard output cannot be written")?;
        Ok(Self { path: name.clone(), beside: name, file: file.into(), is_placed: true })
    }

    /// Puts the complete file where it was asked for.
    pub fn put_in_place(mut self) -> anyhow::Result<()> {
        if self.is_placed {
            return Ok(());
        }
        self.file.sync_all().with_context(|| format!("{} cannot be written", self.beside.display()))?;
        fs::rename(&self.beside, &self.path).with_context(|| format!("{} cannot be replaced", self.path.display()))?;
        self.is_placed = true;
        Ok(())
    }
}

/// A new file beside `path`: another run, or another of this one's results, may be on its way to the same name.
fn part(path: &Path, name: &str) -> anyhow::Result<(PathBuf, File)> {
    for number in 0.. {
        let beside = path.with_file_name(format!(".{name}.{}-{number}.part", std::process::id()));
        match File::options().write(true).create_new(true).open(&beside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < MOST => {}
            opened => {
                return Ok((
                    beside.clone(),
                    opened.with_context(|| format!("{} cannot be written", beside.display()))?,
                ));
            }
        }
    }
    unreachable!("the last number returns")
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_placed {
            drop(fs::remove_file(&self.beside));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    fn written(path: &Path) -> anyhow::Result<()> {
        let mut file = Replacement::create(path, &["csv"])?;
        file.file.write_all(b"new")?;
        file.put_in_place()
    }

    #[test]
    fn a_link_is_followed_and_who_may_read_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let (real, link) = (folder.path().join("real.csv"), folder.path().join("link.csv"));
        fs::write(&real, "old").expect("written");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).expect("set");
        symlink(&real, &link).expect("a link");
        written(&link).expect("written");
        assert!(link.is_symlink() && fs::read_to_string(&real).expect("read") == "new");
        assert_eq!(fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn two_on_their_way_to_one_name_do_not_meet() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        let two = [1, 2].map(|_| Replacement::create(&path, &["csv"]).expect("made"));
        assert_ne!(two[0].beside, two[1].beside);
        for (mut one, text) in two.into_iter().zip(["first", "second"]) {
            one.file.write_all(text.as_bytes()).expect("written");
            one.put_in_place().expect("in place");
            assert_eq!(fs::read_to_string(&path).expect("read"), text);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_device_is_written_to_as_it_is() {
        written(Path::new("/dev/null")).expect("written");
        assert!(fs::metadata("/dev/null").expect("there").file_type().is_char_device());
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Replacement::create(&folder.path().join("a.csv"), &["csv"]).expect("made"));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        for (name, words) in [("a.json", "let its name end in .csv"), ("b/a.csv", "there is no folder")] {
            let error = Replacement::create(&folder.path().join(name), &["csv"]).err().expect("refused").to_string();
            assert!(error.contains(words), "{error}");
        }
        let new = folder.path().join("new/");
        for (path, words) in [
            (folder.path(), "is a folder"),
            (&new, "is the name of a folder"),
            (Path::new("-"), "- is standard output"),
        ] {
            let error = Replacement::create(path, &["csv"]).err().expect("refused").to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}

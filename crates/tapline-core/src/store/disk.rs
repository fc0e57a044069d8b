//! The few ways in which a store touches the disk, each of which names its path when it fails.
//!
//! They live together so that a test can stop a run at any one of them, as a kill or a full disk would.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// Unit tests stop a run thousands of times but never the machine, so for them waiting for the disk proves nothing.
const IS_SYNCED: bool = !cfg!(test);

/// Creates or empties a file.
pub(crate) fn create(path: &Path) -> Result<File, Error> {
    step(path)?;
    let mut options = OpenOptions::new();
    wrap(path, options.read(true).write(true).create(true).truncate(true).open(path))
}

/// Opens a file of ours to go on writing.
pub(crate) fn reopen(path: &Path) -> Result<File, Error> {
    step(path)?;
    wrap(path, OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path))
}

/// Cuts or extends a file to this length.
pub(crate) fn set_len(file: &File, path: &Path, len: u64) -> Result<(), Error> {
    step(path)?;
    wrap(path, file.set_len(len))
}

/// Writes at a position; a full disk is an error here, where a memory map would end the process.
pub(crate) fn write_at(file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<(), Error> {
    step_or_half(path, || drop(positional_write(file, &bytes[..bytes.len() / 2], offset)))?;
    wrap(path, positional_write(file, bytes, offset))
}

/// Writes the file anew, then puts it in place of the old one and syncs both the file and its folder.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace_by(path, |file| file.write_all(bytes))
}

/// As `replace`, of what `write` writes piece by piece.
pub(crate) fn replace_by(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), Error> {
    let beside = sibling(path);
    let file = create(&beside)?;
    step(&beside)?;
    let mut buffered = BufWriter::new(&file);
    wrap(&beside, write(&mut buffered).and_then(|()| buffered.flush()))?;
    drop(buffered);
    sync(&file, &beside)?;
    rename(&beside, path)
}

/// The name beside `path` under which its next content is written.
pub(crate) fn sibling(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Copies a file's bytes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    step(to)?;
    wrap(to, fs::copy(from, to)).map(drop)
}

/// Renames within the store and syncs the folders on both sides.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    step(to)?;
    wrap(to, fs::rename(from, to))?;
    let folders = [to.parent(), from.parent()];
    sync_folder(folders[0].unwrap_or(to))?;
    if folders[0] == folders[1] { Ok(()) } else { sync_folder(folders[1].unwrap_or(from)) }
}

/// Makes a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    step(path)?;
    wrap(path, fs::create_dir_all(path))
}

/// Removes a file if it is there.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    step(path)?;
    wrap(path, ignore_missing(fs::remove_file(path)))
}

/// Removes a folder and all in it if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    step_or_half(path, || drop(remove_arrays(path)))?;
    wrap(path, ignore_missing(fs::remove_dir_all(path)))
}

/// Waits until a file's bytes are on the disk.
pub(crate) fn sync(file: &File, path: &Path) -> Result<(), Error> {
    step(path)?;
    if IS_SYNCED { wrap(path, file.sync_data()) } else { Ok(()) }
}

/// Waits until a folder's names are on the disk; only Unix lets a folder be synced.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    step(path)?;
    if cfg!(unix) && IS_SYNCED { wrap(path, File::open(path).and_then(|folder| folder.sync_all())) } else { Ok(()) }
}

/// The whole of a small file of the store.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Reads at a position.
pub(crate) fn read_at(file: &File, path: &Path, bytes: &mut [u8], offset: u64) -> Result<(), Error> {
    positional_read(file, bytes, offset).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Whether a path still leads to an open file of ours; where the system does not tell files apart, whether it leads to any.
pub(crate) fn is_same_file(open: &File, path: &Path) -> bool {
    match (open.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(found)) => same_inode(&open, &found),
        _ => false,
    }
}

#[cfg(unix)]
fn same_inode(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same_inode(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

fn wrap<T>(path: &Path, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn positional_write(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn positional_read(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn positional_write(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

#[cfg(not(unix))]
fn positional_read(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Read::read_exact(&mut file, bytes)
}

/// What a kill may leave of a folder that was to be removed.
fn remove_arrays(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "npy") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn step(path: &Path) -> Result<(), Error> {
    step_or_half(path, || ())
}

/// Where a test stops a run, and what is half done then; never stops outside of tests.
#[cfg(not(test))]
fn step_or_half(_: &Path, _: impl FnOnce()) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
fn step_or_half(path: &Path, half: impl FnOnce()) -> Result<(), Error> {
    let result = injected::step();
    if result.is_err() {
        half();
    }
    wrap(path, result)
}

/// A test's power to stop this thread's run at its n-th touch of the disk, and at every later one.
#[cfg(test)]
pub(crate) mod injected {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static STEPS_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Lets `steps` more touches succeed, or all of them.
    pub(crate) fn allow(steps: Option<usize>) {
        STEPS_LEFT.set(steps);
    }

    pub(crate) fn step() -> io::Result<()> {
        match STEPS_LEFT.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::other("injected")),
            Some(left) => {
                STEPS_LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}

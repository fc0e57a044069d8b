//! Pictures of a folder: one sub-folder for each class, or one flat folder without labels.
//!
//! The walk follows links, never descends into hidden entries, and lists what it passes over instead of dropping it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::samples::path_text;
use crate::sources::{is_shard, read_shards};
use crate::{Error, Listing, Place, Sample, Skipped};

/// The name endings of pictures, in any case.
pub(crate) const EXTENSIONS: [&str; 12] =
    ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif", "pnm", "pgm", "ppm", "pbm"];

/// The pictures below a folder, sorted by the bytes of their paths.
///
/// Pictures directly in the folder have no label; below it, the name of the top sub-folder is the label, however
/// deep the picture lies; `train/CLASS/…` and `test/CLASS/…` are read as a split. Both at once are refused. What is named as a picture is listed even where it cannot be read,
/// such as a link that leads nowhere: the extraction tries it and records why it failed. A sub-folder that cannot be
/// read is an error, because nobody could tell which pictures are missing. A folder without pictures but with tar or
/// Parquet files holds the pictures of these.
///
/// # Errors
/// [`Error::UnreadableFolder`], [`Error::MixedFolder`] where labels are in doubt, and [`Error::EmptyFolder`].
pub fn scan_folder(root: &Path) -> Result<Listing, Error> {
    let mut found = Found::default();
    let mut empty = HashSet::new();
    for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(is_visible) {
        let path = entry.as_ref().map_or_else(walkdir::Error::path, |entry| Some(entry.path()));
        if let Some(parent) = path.and_then(Path::parent) {
            empty.remove(parent);
        }
        match entry {
            Ok(entry) if entry.file_type().is_dir() && entry.depth() > 0 => drop(empty.insert(entry.into_path())),
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if is_picture(entry.path()) => found.samples.push(sample(root, entry.path())),
            Ok(entry) => found.skipped.push(skipped(root, entry.path(), "not a picture file by its name".to_owned())),
            Err(error) => sort_in(root, Fault::of(root, error), &mut found)?,
        }
    }
    found.samples.sort_by(|a, b| bytes(a).cmp(bytes(b)));
    found.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    if found.samples.is_empty() {
        let shards: Vec<PathBuf> =
            found.skipped.iter().map(|other| root.join(&other.path)).filter(|path| is_shard(path)).collect();
        if !shards.is_empty() {
            return read_shards(&shards);
        }
    }
    found.skipped.extend(empty.iter().map(|folder| skipped(root, folder, "a folder with nothing in it".to_owned())));
    found.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    found.listing(root)
}

/// The pictures among objects below a prefix, in the order given, by the same rules as those of a folder.
///
/// # Errors
/// [`Error::MixedFolder`] where labels are in doubt, and [`Error::EmptyFolder`].
pub fn objects_listing(root: &Path, objects: impl Iterator<Item = (String, Place)>) -> Result<Listing, Error> {
    let mut found = Found::default();
    for (path, place) in objects.filter(|(path, _)| !path.split('/').any(|part| part.starts_with('.'))) {
        if is_picture(Path::new(&path)) {
            let label = path.split_once('/').map(|(top, _)| top.to_owned());
            found.samples.push(Sample { place, path, label, split: None, extra: Vec::new() });
        } else {
            found.skipped.push(Skipped { path, reason: "not a picture file by its name".to_owned() });
        }
    }
    found.listing(root)
}

/// What a walk has found.
#[derive(Default)]
struct Found {
    samples: Vec<Sample>,
    skipped: Vec<Skipped>,
}

impl Found {
    fn listing(mut self, root: &Path) -> Result<Listing, Error> {
        check_kind(root, &self)?;
        read_split_folders(&mut self.samples);
        Ok(Listing::of(root, self.samples, Vec::new()).with_skipped(self.skipped))
    }
}

/// Names of folders that part a collection instead of naming a class.
const SPLITS: [&str; 6] = ["train", "training", "val", "valid", "validation", "test"];

/// Where all top folders are parts of a split with class folders in them (`train/cat/1.png`), the part is the split and
/// the class folder is the label.
fn read_split_folders(samples: &mut [Sample]) {
    let parted: Option<Vec<_>> = samples.iter().map(|sample| split_and_class(&sample.path)).collect();
    for (sample, (split, class)) in samples.iter_mut().zip(parted.into_iter().flatten()) {
        sample.label = Some(class);
        sample.split = Some(split);
    }
}

/// Whether a folder's name is that of a part of a split.
pub(crate) fn is_split(name: &str) -> bool {
    SPLITS.iter().any(|split| split.eq_ignore_ascii_case(name))
}

/// The part and the class of a path such as `train/cat/1.png`.
pub(crate) fn split_and_class(path: &str) -> Option<(String, String)> {
    let mut parts = path.splitn(3, '/');
    let (split, class, _) = (parts.next()?, parts.next()?, parts.next()?);
    is_split(split).then(|| (split.to_owned(), class.to_owned()))
}

fn is_visible(entry: &DirEntry) -> bool {
    entry.depth() == 0 || !is_hidden(entry.path())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The bytes of a sample's path, which its text may not tell apart.
fn bytes(sample: &Sample) -> &[u8] {
    sample.place.container().map(Path::as_os_str).unwrap_or_default().as_encoded_bytes()
}

/// Whether a file is a picture by its name.
pub(crate) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

fn below<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

fn sample(root: &Path, file: &Path) -> Sample {
    let below = below(root, file);
    let label = if below.iter().nth(1).is_some() { below.iter().next().map(path_text) } else { None };
    Sample {
        place: Place::File(file.to_owned()),
        path: path_text(below.as_os_str()),
        label,
        split: None,
        extra: Vec::new(),
    }
}

fn skipped(root: &Path, path: &Path, reason: String) -> Skipped {
    Skipped { path: path_text(below(root, path).as_os_str()), reason }
}

/// An entry that the walk could not look at.
struct Fault {
    path: PathBuf,
    /// Whether it is a link to a folder around it.
    is_loop: bool,
    cause: io::Error,
}

impl Fault {
    fn of(root: &Path, error: walkdir::Error) -> Self {
        let path = error.path().unwrap_or(root).to_owned();
        let is_loop = error.loop_ancestor().is_some();
        Self { path, is_loop, cause: error.into() }
    }
}

/// A broken link is a sample if it is named as a picture, and skipped if it is named as another kind of file.
///
/// Any other fault is that of a folder; a broken link without an ending may well have led to one.
fn sort_in(root: &Path, Fault { path, is_loop, cause }: Fault, found: &mut Found) -> Result<(), Error> {
    let is_broken_link = is_loop || path.is_symlink() && !path.is_dir() && path.extension().is_some();
    if path == root {
        return Err(Error::Read { path, source: cause });
    }
    if is_hidden(&path) {
        return Ok(());
    }
    if !is_broken_link {
        return Err(Error::UnreadableFolder { root: root.to_owned(), path, source: cause });
    }
    if is_picture(&path) {
        found.samples.push(sample(root, &path));
    } else {
        let reason =
            if is_loop { "a link to a folder around it".to_owned() } else { format!("a broken link: {cause}") };
        found.skipped.push(skipped(root, &path, reason));
    }
    Ok(())
}

fn check_kind(root: &Path, found: &Found) -> Result<(), Error> {
    let loose = found.samples.iter().find(|sample| sample.label.is_none());
    let classed = found.samples.iter().find_map(|sample| sample.label.clone());
    match (loose, classed) {
        (Some(picture), Some(folder)) => {
            Err(Error::MixedFolder { root: root.to_owned(), picture: picture.path.clone(), folder })
        }
        (None, None) => Err(Error::EmptyFolder { root: root.to_owned(), others: found.skipped.len() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("create");
            std::fs::write(path, "x").expect("write");
        }
        folder
    }

    fn paths(listing: &Listing) -> Vec<&str> {
        (0..listing.rows()).map(|row| listing.path(row)).collect()
    }

    #[test]
    fn folders_of_a_split_hold_class_folders() {
        let root = folder(&["train/cat/1.png", "train/dog/2.png", "Test/cat/deep/3.png"]);
        let listing = scan_folder(root.path()).expect("lists");
        let found: Vec<_> = (0..listing.rows()).map(|row| (listing.split(row), listing.label(row))).collect();
        assert_eq!(found, [(Some("Test"), Some("cat")), (Some("train"), Some("cat")), (Some("train"), Some("dog"))]);
        // A folder of pictures that happens to be called so is a class like any other.
        let root = folder(&["train/1.png", "boat/2.png"]);
        let listing = scan_folder(root.path()).expect("lists");
        assert!(listing.samples().all(|s| s.split.is_none() && s.label.is_some()));
    }

    #[test]
    fn the_top_sub_folder_is_the_label_and_names_may_repeat() {
        let root =
            folder(&["cat/1.png", "dog/1.png", "dog/deep/er/2.JPEG", "dog/notes.txt", ".hidden/3.png", "cat/.4.png"]);
        std::fs::create_dir_all(root.path().join("emu/chicks")).expect("create");
        let listing = scan_folder(root.path()).expect("scan");
        assert_eq!(paths(&listing), ["cat/1.png", "dog/1.png", "dog/deep/er/2.JPEG"]);
        let labels: Vec<_> = (0..listing.rows()).map(|row| listing.label(row)).collect();
        assert_eq!(labels, [Some("cat"), Some("dog"), Some("dog")]);
        let skipped: Vec<_> = listing.skipped.iter().map(|s| (s.path.as_str(), s.reason.as_str())).collect();
        let notes = ("dog/notes.txt", "not a picture file by its name");
        assert_eq!(skipped, [notes, ("emu/chicks", "a folder with nothing in it")]);
    }

    #[test]
    fn a_flat_folder_has_no_labels_and_is_sorted_by_bytes() {
        let root = folder(&["b.png", "B.png", "a10.png", "a2.png", "ä.png", "🐈.png", "notes/readme.md"]);
        let listing = scan_folder(root.path()).expect("scan");
        assert_eq!(paths(&listing), ["B.png", "a10.png", "a2.png", "b.png", "ä.png", "🐈.png"]);
        assert!(listing.samples().all(|sample| sample.label.is_none()));
        assert_eq!(listing.skipped.len(), 1);
    }

    #[test]
    fn loose_pictures_beside_class_folders_are_refused_by_name() {
        let root = folder(&["loose.png", "cat/1.png"]);
        let message = scan_folder(root.path()).expect_err("mixed").to_string();
        assert!(message.contains("loose.png beside the class folder cat"), "{message}");
    }

    #[test]
    fn a_folder_without_pictures_is_refused() {
        let message = scan_folder(folder(&["a.txt", "b/c.md"]).path()).expect_err("empty").to_string();
        assert!(message.contains("no picture (2 other entries): expected files named png, jpg"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_named_as_a_picture_is_listed_though_it_cannot_be_read() {
        let root = folder(&["cat/1.png", "cat/notes.txt"]);
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.path().join(at)).expect("link");
        link("nowhere.png", "cat/broken.png");
        link("round.png", "cat/round.png");
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("cat/socket.png")).expect("bind");
        link("nowhere.txt", "cat/broken.txt");
        link("nowhere.png", "cat/.#1.png");
        link("..", "cat/loop");
        std::fs::create_dir(root.path().join("dog")).expect("create");
        link("nowhere.png", "dog/broken.png");
        let listing = scan_folder(root.path()).expect("scan");
        let pictures = ["cat/1.png", "cat/broken.png", "cat/round.png", "cat/socket.png", "dog/broken.png"];
        assert_eq!(paths(&listing), pictures);
        let unread: Vec<_> =
            crate::hash_all(&listing, &|_| std::ops::ControlFlow::Continue(())).iter().map(Option::is_none).collect();
        assert_eq!(unread, [false, true, true, true, true]);
        let skipped: Vec<_> = listing.skipped.iter().map(|s| (s.path.as_str(), s.reason.as_str())).collect();
        assert!(skipped[0].0 == "cat/broken.txt" && skipped[0].1.starts_with("a broken link: "), "{skipped:?}");
        let rest = [("cat/loop", "a link to a folder around it"), ("cat/notes.txt", "not a picture file by its name")];
        assert_eq!(skipped[1..], rest);
    }

    /// Made by hand, because no permission stops the administrator, as whom tests may run.
    #[test]
    fn a_folder_that_cannot_be_read_is_an_error_that_names_it() {
        let root = folder(&["cat/1.png", "dog.png/1.png"]);
        for name in ["cat", "dog.png"] {
            let fault = Fault {
                path: root.path().join(name),
                is_loop: false,
                cause: io::Error::from(io::ErrorKind::PermissionDenied),
            };
            let error = sort_in(root.path(), fault, &mut Found::default()).expect_err(name);
            let message = error.to_string();
            assert!(message.contains(&format!("{name}: its pictures would be missing")), "{message}");
            assert!(std::error::Error::source(&error).is_some());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_class_folder_that_is_gone_is_an_error() {
        let root = folder(&["cat/1.png"]);
        std::os::unix::fs::symlink("unmounted/dog", root.path().join("dog")).expect("link");
        let error = scan_folder(root.path()).expect_err("a class is missing");
        assert!(matches!(&error, Error::UnreadableFolder { path, .. } if path.ends_with("dog")), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_class_folder_without_permission_stops_the_scan() {
        use std::os::unix::fs::PermissionsExt;
        let root = folder(&["cat/1.png", "dog/1.png"]);
        let dog = root.path().join("dog");
        let allow = |mode| std::fs::set_permissions(&dog, std::fs::Permissions::from_mode(mode)).expect("chmod");
        allow(0o000);
        let is_administrator = std::fs::read_dir(&dog).is_ok();
        let scanned = scan_folder(root.path());
        allow(0o700);
        assert!(is_administrator || matches!(&scanned, Err(Error::UnreadableFolder { path, .. }) if *path == dog));
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_can_be_opened_and_read() {
        use std::os::unix::ffi::OsStrExt;
        let root = folder(&["cat/1.png"]);
        std::fs::write(root.path().join(OsStr::from_bytes(b"cat/\xff.png")), "x").expect("write");
        let listing = scan_folder(root.path()).expect("scan");
        assert_eq!(paths(&listing), ["cat/1.png", "cat/\\xFF.png"]);
        assert_eq!(std::fs::read(listing.place(1).container().expect("a file")).expect("read"), b"x");
    }
}

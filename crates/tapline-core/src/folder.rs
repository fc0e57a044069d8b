//! Pictures of a folder: one sub-folder for each class, or one flat folder without labels.
//!
//! The walk follows links, never descends into hidden entries, and lists what it passes over instead of dropping it.

use std::ffi::OsStr;
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::samples::path_text;
use crate::{Error, Listing, Sample, Skipped};

/// The name endings of pictures, in any case.
pub(crate) const EXTENSIONS: [&str; 12] =
    ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif", "pnm", "pgm", "ppm", "pbm"];

/// The pictures below a folder, sorted by the bytes of their paths.
///
/// Pictures directly in the folder have no label; below it, the name of the top sub-folder is the label, however
/// deep the picture lies. Both at once are refused.
pub fn scan_folder(root: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(is_visible) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => sort_in(root, &entry, &mut listing),
            Err(error) => listing.skipped.push(unreadable(root, error)?),
        }
    }
    listing.samples.sort_by(|a, b| bytes(&a.file).cmp(bytes(&b.file)));
    listing.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    check_kind(root, &listing)?;
    Ok(listing)
}

fn is_visible(entry: &DirEntry) -> bool {
    entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

fn is_picture(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or_default();
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// Puts one entry that is not a folder among the samples or among the skipped.
fn sort_in(root: &Path, entry: &DirEntry, listing: &mut Listing) {
    let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
    let path = path_text(below.as_os_str());
    let skip = |reason: &str| Skipped { path: path.clone(), reason: reason.to_owned() };
    if !is_picture(entry.file_name()) {
        listing.skipped.push(skip("not a picture file by its name"));
    } else if !entry.file_type().is_file() {
        listing.skipped.push(skip("not a regular file"));
    } else {
        let label = if entry.depth() > 1 { below.iter().next().map(path_text) } else { None };
        listing.samples.push(Sample { file: entry.path().to_owned(), path, label, split: None, extra: Vec::new() });
    }
}

/// A sub-folder or link that cannot be followed is skipped with its reason; the root itself must be readable.
fn unreadable(root: &Path, error: walkdir::Error) -> Result<Skipped, Error> {
    let path = error.path().unwrap_or(root).to_owned();
    let is_loop = error.loop_ancestor().is_some();
    let depth = error.depth();
    let source = error.into_io_error();
    if depth == 0 {
        let source = source.unwrap_or_else(|| std::io::Error::other("the walk failed"));
        return Err(Error::Read { path, source });
    }
    let reason = match source {
        _ if is_loop => "a link to a folder around it".to_owned(),
        Some(source) => format!("cannot be read: {source}"),
        None => "cannot be read".to_owned(),
    };
    Ok(Skipped { path: path_text(path.strip_prefix(root).unwrap_or(&path).as_os_str()), reason })
}

fn check_kind(root: &Path, listing: &Listing) -> Result<(), Error> {
    let loose = listing.samples.iter().find(|sample| sample.label.is_none());
    let classed = listing.samples.iter().find_map(|sample| sample.label.clone());
    match (loose, classed) {
        (Some(picture), Some(folder)) => {
            Err(Error::MixedFolder { root: root.to_owned(), picture: picture.path.clone(), folder })
        }
        (None, None) => Err(Error::EmptyFolder { root: root.to_owned(), others: listing.skipped.len() }),
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
        listing.samples.iter().map(|sample| sample.path.as_str()).collect()
    }

    #[test]
    fn the_top_sub_folder_is_the_label_and_names_may_repeat() {
        let root =
            folder(&["cat/1.png", "dog/1.png", "dog/deep/er/2.JPEG", "dog/notes.txt", ".hidden/3.png", "cat/.4.png"]);
        let listing = scan_folder(root.path()).expect("scan");
        assert_eq!(paths(&listing), ["cat/1.png", "dog/1.png", "dog/deep/er/2.JPEG"]);
        let labels: Vec<_> = listing.samples.iter().map(|sample| sample.label.as_deref()).collect();
        assert_eq!(labels, [Some("cat"), Some("dog"), Some("dog")]);
        let reason = "not a picture file by its name".to_owned();
        assert_eq!(listing.skipped, [Skipped { path: "dog/notes.txt".to_owned(), reason }]);
    }

    #[test]
    fn a_flat_folder_has_no_labels_and_is_sorted_by_bytes() {
        let root = folder(&["b.png", "B.png", "a10.png", "a2.png", "ä.png", "🐈.png", "notes/readme.md"]);
        let listing = scan_folder(root.path()).expect("scan");
        assert_eq!(paths(&listing), ["B.png", "a10.png", "a2.png", "b.png", "ä.png", "🐈.png"]);
        assert!(listing.samples.iter().all(|sample| sample.label.is_none()));
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
    fn loops_and_broken_links_are_listed_as_skipped() {
        let root = folder(&["cat/1.png"]);
        std::os::unix::fs::symlink(root.path(), root.path().join("cat/loop")).expect("link");
        std::os::unix::fs::symlink("nowhere.png", root.path().join("cat/broken.png")).expect("link");
        let listing = scan_folder(root.path()).expect("scan");
        assert_eq!(paths(&listing), ["cat/1.png"]);
        let skipped: Vec<_> = listing.skipped.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(skipped, ["cat/broken.png", "cat/loop"]);
        assert!(listing.skipped[1].reason.contains("link to a folder around it"));
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_can_be_opened_and_read() {
        use std::os::unix::ffi::OsStrExt;
        let root = folder(&["cat/1.png"]);
        std::fs::write(root.path().join(OsStr::from_bytes(b"cat/\xff.png")), "x").expect("write");
        let listing = scan_folder(root.path()).expect("scan");
        assert_eq!(paths(&listing), ["cat/1.png", "cat/\\xFF.png"]);
        assert_eq!(std::fs::read(&listing.samples[1].file).expect("read"), b"x");
    }
}

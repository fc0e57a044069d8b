//! Stores that cannot be written or read: one clear sentence each, and nothing lost.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::{Scratch, contents, extract, run, tapline};

/// A small finished store of both classes.
fn stored(scratch: &Scratch) -> (String, String) {
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    run(extract(&pictures, &store, &[])).ok();
    (pictures, store)
}

fn array(store: &str) -> PathBuf {
    Path::new(store).join("features/pool1.mean.npy")
}

#[test]
fn a_truncated_array_is_refused_and_named() {
    let scratch = Scratch::new();
    let (_, store) = stored(&scratch);
    let file = OpenOptions::new().write(true).open(array(&store)).expect("an array");
    file.set_len(file.metadata().expect("a size").len() - 7).expect("cut");
    run(tapline(&["compare", &store])).fails_with(&["pool1.mean.npy"]);
}

#[test]
fn a_store_from_another_version_is_refused() {
    let scratch = Scratch::new();
    let (pictures, store) = stored(&scratch);
    let manifest = Path::new(&store).join("store.json");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, text.replacen("\"version\": 1", "\"version\": 99", 1)).expect("write");
    run(tapline(&["info", &store])).fails_with(&["99", "version"]);
    run(extract(&pictures, &store, &[])).fails_with(&["99", "version"]);
}

#[test]
fn a_number_that_is_none_is_named_by_tap_and_picture() {
    let scratch = Scratch::new();
    let (_, store) = stored(&scratch);
    let file = OpenOptions::new().write(true).open(array(&store)).expect("an array");
    let rows = file.metadata().expect("a size").len() - 12 * 64 * 4;
    file.write_all_at(&f32::NAN.to_le_bytes(), rows + 3 * 64 * 4).expect("write");
    run(tapline(&["compare", &store])).fails_with(&["pool1", "dark/3.png"]);
}

#[test]
fn another_model_or_preprocessing_needs_another_store() {
    let scratch = Scratch::new();
    let (pictures, store) = stored(&scratch);
    let before = contents(Path::new(&store));
    run(extract(&pictures, &store, &["--squash"]))
        .fails_with(&["resize: short side to 256, centre crop, asked whole picture (--squash)"]);
    run(extract(&pictures, &store, &["--dtype", "f16"])).fails_with(&["--dtype: f32, asked f16"]);
    assert_eq!(contents(Path::new(&store)), before);
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    run(extract(&pictures, &pictures, &[])).fails_with(&[&pictures]);
}

#[test]
fn what_is_no_store_is_named() {
    let scratch = Scratch::new();
    run(tapline(&["compare", &scratch.text("absent")])).fails_with(&["absent"]);
    run(tapline(&["info", &scratch.text("")])).fails_with(&["tapline extract"]);
}

#[test]
fn a_second_writer_says_so_and_stops() {
    let scratch = Scratch::new();
    let (pictures, store) = stored(&scratch);
    let lock = File::open(Path::new(&store).join(".lock")).expect("a lock file");
    lock.lock().expect("the lock");
    run(extract(&pictures, &store, &[])).fails_with(&[&store, "another"]);
    lock.unlock().expect("unlock");
    run(extract(&pictures, &store, &[])).ok();
}

#[test]
fn a_folder_that_may_not_be_written_to_is_refused() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    let folder = scratch.path("locked");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("permissions");
    // Permissions do not stop root: there a read-only mount does, or a folder of the kernel's where even that is barred.
    let is_root = File::create(folder.join("probe")).is_ok();
    let mount = if is_root { Mount::new(&folder, "ro,size=1m") } else { None };
    let folder = if is_root && mount.is_none() { PathBuf::from("/sys/kernel") } else { folder };
    let store = folder.join("store").display().to_string();
    run(extract(&pictures, &store, &[])).fails_with(&[&store]);
}

#[test]
fn a_full_disk_is_an_error_and_the_rows_before_it_are_kept() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(40);
    let folder = scratch.path("small");
    fs::create_dir(&folder).expect("a folder");
    let store = folder.join("store").display().to_string();
    let more = ["--taps", "pool1@grid:8"];
    // Where no small file system may be mounted, a limit on the size of files stands in for it.
    let mount = Mount::new(&folder, "size=400k");
    match &mount {
        Some(mount) => {
            run(extract(&pictures, &store, &more)).fails_with(&["No space left on device"]);
            mount.resize("size=20m");
        }
        None => {
            let full = extract(&pictures, &store, &more);
            let mut shell = Command::new("bash");
            shell.current_dir(crate::util::root()).args(["-c", "trap '' XFSZ; ulimit -f 300; exec \"$0\" \"$@\""]);
            shell.arg(full.get_program()).args(full.get_args());
            run(shell).fails_with(&["File too large"]);
        }
    }
    let whole = scratch.text("whole");
    run(extract(&pictures, &store, &more)).ok();
    run(extract(&pictures, &whole, &more)).ok();
    assert_eq!(contents(Path::new(&store)), contents(Path::new(&whole)));
}

/// A small file system in memory, for as long as it lives.
struct Mount(PathBuf);

impl Mount {
    fn new(folder: &Path, options: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder);
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then(|| Self(folder.to_owned()))
    }

    fn resize(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().expect("mount").success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

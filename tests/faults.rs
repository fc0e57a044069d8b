//! What goes wrong around a run: a panic on a picture, memory that ends, a folder that vanishes, two writers, a clock that
//! runs backwards. Nothing is lost, and list and exit code are right.

use std::fs::{self, File, FileTimes};
use std::io::Cursor;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use image::{DynamicImage, GrayImage, ImageFormat, Luma};

use crate::signals::{ended, started};
use crate::util::{Scratch, contents, encoded, extract, root, run, tapline};

/// Checks that the store in `name` holds the same files as a fresh extraction of the same pictures.
#[track_caller]
fn check_against_fresh(scratch: &Scratch, pictures: &str, name: &str) {
    run(extract(pictures, &scratch.text("fresh"), &[])).ok();
    assert!(contents(&scratch.path(name)) == contents(&scratch.path("fresh")), "other files or other bytes");
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "panics are injected in debug builds alone")]
fn a_panic_on_one_picture_costs_that_picture_alone() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(4), scratch.text("store"));
    for batch in ["1", "3"] {
        let mut command = extract(&pictures, &store, &["--json", "--batch", batch]);
        let injected = run({
            command.env("TAPLINE_TEST_PANIC", "dark/2.png");
            command
        });
        assert_eq!(injected.code, 3, "{}", injected.stderr);
        let report = injected.json();
        assert_eq!(report["computed"].as_u64().zip(report["reused"].as_u64()).map(|(a, b)| a + b), Some(7));
        let skipped = report["skipped"].as_array().expect("a list");
        assert_eq!((skipped.len(), skipped[0]["path"].as_str()), (1, Some("dark/2.png")));
        let reason = skipped[0]["reason"].as_str().expect("text");
        assert!(reason.contains("internal error") && reason.contains("on purpose"), "{reason}");
        let listed = run(tapline(&["info", &store, "--json"])).json();
        assert_eq!(listed["skipped_pictures"], report["skipped"]);
    }
    // The next run tries it again, and ends in the bytes of a run without the panic.
    let report = run(extract(&pictures, &store, &["--json"])).json();
    assert_eq!((report["computed"].as_u64(), report["reused"].as_u64()), (Some(1), Some(7)));
    check_against_fresh(&scratch, &pictures, "store");
}

/// Runs a command in so many KiB of address space.
fn within(kib: usize, command: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell.current_dir(root()).args(["-c", "ulimit -v \"$0\"; exec \"$@\""]).arg(kib.to_string());
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

#[test]
fn a_picture_that_memory_has_no_room_for_is_skipped_and_tried_again() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(3), scratch.text("store"));
    let command = extract(&pictures, &store, &["--json", "--workers", "1"]);
    // How much a run takes without the large picture depends on machine and runtime: it is found first, and given half as
    // much of what the large one needs, 486 MB.
    let enough = |kib: &usize| run(within(*kib, &command)).code == 0;
    let kib = (1..64).map(|n| n << 16).find(enough).expect("four GiB are enough for small pictures");
    fs::remove_dir_all(&store).expect("a store");
    let large = GrayImage::from_fn(9_000, 9_000, |x, y| Luma([(x ^ y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(DynamicImage::ImageLuma8(large).to_rgb8())
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("encodes");
    scratch.write("pictures/dark/large.png", bytes.into_inner());
    let tight = run(within(kib + 237_000, &command));
    assert_eq!(tight.code, 3, "{}", tight.stderr);
    let report = tight.json();
    assert_eq!((report["computed"].as_u64(), report["skipped"].as_array().map(Vec::len)), (Some(6), Some(1)));
    let skipped = report["skipped"][0].to_string();
    assert!(skipped.contains("dark/large.png") && skipped.contains("486000000 bytes"), "{skipped}");
    let report = run(extract(&pictures, &store, &["--json"])).json();
    assert_eq!((report["computed"].as_u64(), report["reused"].as_u64()), (Some(1), Some(6)));
    check_against_fresh(&scratch, &pictures, "store");
}

#[test]
fn a_store_that_vanishes_under_a_run_is_named_at_once_and_harms_no_other() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(400), scratch.text("store"));
    let stages = ["--taps", "stages"];
    let child = started(extract(&pictures, &store, &stages), &store);
    fs::rename(&store, scratch.path("moved")).expect("moves");
    // Another store in its place is left alone.
    let small = scratch.text("small");
    scratch.picture("small/dark/0.png", 1);
    run(extract(&small, &store, &stages)).ok();
    let before = contents(Path::new(&store));
    ended(child).fails_with(&[&store, "deleted or moved", "run the same command again"]);
    assert!(contents(Path::new(&store)) == before, "the store in its place has changed");
    // What was done is in the folder that was moved away, and goes on there.
    let moved = scratch.text("moved");
    let report = run(extract(&pictures, &moved, &[&stages[..], &["--json"]].concat())).json();
    assert!(report["reused"].as_u64() > Some(0), "{report}");
    run(extract(&pictures, &scratch.text("fresh"), &stages)).ok();
    assert!(contents(Path::new(&moved)) == contents(&scratch.path("fresh")), "other files or other bytes");
}

#[test]
fn a_deleted_store_is_begun_anew_by_the_same_command() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(300), scratch.text("store"));
    let stages = ["--taps", "stages"];
    let child = started(extract(&pictures, &store, &stages), &store);
    fs::remove_dir_all(&store).expect("deletes");
    ended(child).fails_with(&[&store, "deleted or moved"]);
    assert!(!Path::new(&store).exists(), "nothing is left of a store that was deleted");
    let report = run(extract(&pictures, &store, &[&stages[..], &["--json"]].concat())).json();
    assert_eq!((report["computed"].as_u64(), report["reused"].as_u64()), (Some(600), Some(0)));
}

#[test]
fn of_two_writers_the_second_is_refused_and_the_first_is_unharmed() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(300), scratch.text("store"));
    let stages = ["--taps", "stages"];
    let first = started(extract(&pictures, &store, &stages), &store);
    for other in [&stages[..], &["--taps", "pool1"], &["--squash"]] {
        run(extract(&pictures, &store, other)).fails_with(&[&store, "in use by another run"]);
    }
    ended(first).ok();
    run(extract(&pictures, &scratch.text("fresh"), &stages)).ok();
    assert!(contents(Path::new(&store)) == contents(&scratch.path("fresh")), "other files or other bytes");
}

#[test]
fn a_clock_that_runs_backwards_hides_no_change() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(3), scratch.text("store"));
    let stamp = |path: &Path, time: SystemTime| {
        let file = File::options().write(true).open(path).expect("a file");
        file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).expect("times");
    };
    let (past, future) = (SystemTime::UNIX_EPOCH, SystemTime::now() + Duration::from_secs(400 * 24 * 3600));
    let files = ["dark/0.png", "dark/1.png", "light/2.png"].map(|name| scratch.path(&format!("pictures/{name}")));
    files.iter().for_each(|file| stamp(file, future));
    run(extract(&pictures, &store, &[])).ok();
    for (name, _) in contents(Path::new(&store)) {
        stamp(&Path::new(&store).join(name), future);
    }
    let counts = || {
        let report = run(extract(&pictures, &store, &["--json", "--prune"])).json();
        (report["computed"].as_u64().expect("a count"), report["reused"].as_u64().expect("a count"))
    };
    assert_eq!(counts(), (0, 6), "everything is from the future, nothing has changed");
    // Other pictures, older than the store and than what they replace.
    for (file, seed) in files.iter().zip([7, 8, 9]) {
        fs::write(file, encoded(seed, ImageFormat::Png)).expect("write");
        stamp(file, past);
    }
    assert_eq!(counts(), (3, 3), "what changed is computed whatever its date");
    check_against_fresh(&scratch, &pictures, "store");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_nobodys_fault() {
    use std::os::unix::ffi::OsStrExt;

    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(2), scratch.text("store"));
    let mut command = extract(&pictures, &store, &[]);
    command.env("PLACE", std::ffi::OsStr::from_bytes(b"caf\xe9"));
    run(command).ok();
}

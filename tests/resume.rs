//! Reuse and resume: only what is missing is computed, and a killed run ends in the bytes of one never interrupted.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::util::{Scratch, contents, extract, root, run, tapline};

/// The first `count` solar cells, as a table with full paths.
fn cells(scratch: &Scratch, count: usize) -> String {
    let folder = root().join("data");
    let listing = fs::read_to_string(folder.join("elpv.csv")).expect("run `make setup`");
    let mut lines = listing.lines();
    let mut table = format!("{}\n", lines.next().expect("a header"));
    for line in lines.take(count) {
        table += &format!("{}/{line}\n", folder.display());
    }
    scratch.write("cells.csv", table).display().to_string()
}

#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_bytes() {
    let scratch = Scratch::new();
    let table = cells(&scratch, 700);
    let (whole, killed) = (scratch.text("whole"), scratch.text("killed"));
    let taps = ["--taps", "stages"];
    run(extract(&table, &whole, &taps)).ok();
    let journal = Path::new(&killed).join("building/journal.jsonl");
    let finished = || fs::read(&journal).map_or(0, |lines| lines.iter().filter(|&&b| b == b'\n').count());
    // Start-up, the first rows, twice in the middle of the way, and whatever comes after a random while.
    let mut resumed_from = Vec::new();
    for wait in [Wait::For(30), Wait::UntilRows(1), Wait::For(400), Wait::UntilRows(250), Wait::For(1234)] {
        let mut child = extract(&table, &killed, &taps).stdout(Stdio::null()).spawn().expect("starts");
        let start = Instant::now();
        let due = || match wait {
            Wait::For(milliseconds) => start.elapsed() >= Duration::from_millis(milliseconds),
            Wait::UntilRows(rows) => finished() >= rows,
        };
        while !due() && child.try_wait().expect("a state").is_none() {
            sleep(Duration::from_millis(5));
        }
        child.kill().expect("a signal");
        child.wait().expect("an end");
        resumed_from.push(finished());
    }
    assert!(resumed_from.iter().any(|rows| (1..700).contains(rows)), "never killed in the middle: {resumed_from:?}");
    run(extract(&table, &killed, &taps)).ok();
    let (whole, killed) = (contents(Path::new(&whole)), contents(Path::new(&killed)));
    let names =
        |files: &[(std::path::PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&whole), names(&killed));
    assert!(whole == killed, "the same files with other bytes");
}

/// When a run is killed.
#[derive(Clone, Copy)]
enum Wait {
    /// After so many milliseconds.
    For(u64),
    /// When so many rows are journaled.
    UntilRows(usize),
}

#[test]
fn only_what_is_missing_is_computed() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(4), scratch.text("store"));
    let counts = |more: &[&str]| {
        let mut args = vec!["--json"];
        args.extend(more);
        let report = run(extract(&pictures, &store, &args)).json();
        (report["computed"].as_u64().expect("a count"), report["reused"].as_u64().expect("a count"))
    };
    assert_eq!(counts(&[]), (8, 0));
    assert_eq!(counts(&[]), (0, 8));
    // A new picture in the middle of the order, a moved one and a changed label.
    scratch.picture("pictures/dark/10.png", 50);
    fs::rename(scratch.path("pictures/dark/0.png"), scratch.path("pictures/light/9.png")).expect("moves");
    assert_eq!(counts(&[]), (1, 8));
    // A new tap alone, from a store that keeps the old one.
    assert_eq!(counts(&["--taps", "fire2"]), (9, 0));
    let fresh = scratch.text("fresh");
    run(extract(&pictures, &fresh, &["--taps", "pool1,fire2"])).ok();
    assert!(contents(Path::new(&store)) == contents(Path::new(&fresh)), "reuse gives the bytes of a fresh run");
}

#[test]
fn a_listing_that_leaves_pictures_out_does_not_cost_their_features() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(3), scratch.text("store"));
    run(extract(&pictures, &store, &[])).ok();
    let before = contents(Path::new(&store));
    let part = scratch.text("pictures/dark");
    run(extract(&part, &store, &[])).fails_with(&["3 pictures", "light/0.png", "--prune"]);
    assert!(contents(Path::new(&store)) == before);
    let report = run(extract(&part, &store, &["--prune", "--json"])).json();
    assert_eq!((report["reused"].as_u64(), report["computed"].as_u64()), (Some(3), Some(0)));
}

#[test]
fn what_a_stopped_run_has_computed_is_not_dropped_without_a_word() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(3), scratch.text("store"));
    let broken = scratch.write("pictures/light/z.png", "no picture");
    let taps = ["--taps", "pool1,fire2", "--workers", "1"];
    run(extract(&pictures, &store, &[&taps[..], &["--strict"]].concat())).fails_with(&["light/z.png", "--strict"]);
    fs::remove_file(broken).expect("removes");
    let part = scratch.text("pictures/dark");
    let left = "a run that was stopped has left features";
    run(extract(&part, &store, &taps)).fails_with(&[left, "of 3 pictures", "dark does not list", "--prune"]);
    run(extract(&pictures, &store, &["--taps", "pool1"])).fails_with(&[left, "fire2@mean", "ask for them, too"]);
    let report = run(extract(&pictures, &store, &[&taps[..], &["--json"]].concat())).json();
    assert_eq!((report["reused"].as_u64(), report["computed"].as_u64()), (Some(6), Some(0)));
    // With --prune they are dropped.
    let other = scratch.text("other");
    scratch.write("pictures/light/z.png", "no picture");
    run(extract(&pictures, &other, &[&taps[..], &["--strict"]].concat())).fails_with(&["--strict"]);
    let report = run(extract(&part, &other, &["--taps", "pool1", "--prune", "--json"])).json();
    assert_eq!((report["reused"].as_u64(), report["taps"].as_array().map(Vec::len)), (Some(3), Some(1)));
}

#[test]
fn a_row_alone_equals_the_row_in_any_batch_with_any_threads() {
    let scratch = Scratch::new();
    let table = cells(&scratch, 24);
    let store = |name: &str, more: &[&str]| {
        let store = scratch.text(name);
        let mut args = vec!["--taps", "stages"];
        args.extend(more);
        run(extract(&table, &store, &args)).ok();
        let report = run(tapline(&["info", &store, "--json"])).json();
        let files = report["taps"].as_array().expect("taps").clone();
        let read = |tap: &serde_json::Value| {
            let path = Path::new(&store).join("features").join(tap["file"].as_str().expect("a name"));
            let bytes = fs::read(path).expect("an array");
            let values: Vec<f32> =
                bytes[128..].chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            values
        };
        files.iter().map(read).collect::<Vec<_>>()
    };
    let alone = store("alone", &["--batch", "1", "--workers", "1"]);
    for (name, more) in [("eight", ["--batch", "8", "--workers", "2"]), ("five", ["--batch", "5", "--workers", "3"])] {
        for (tap, (one, many)) in alone.iter().zip(store(name, &more)).enumerate() {
            let scale = one.iter().fold(0.0f32, |scale, v| scale.max(v.abs()));
            let worst = one.iter().zip(&many).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst <= 1e-5 * scale, "tap {tap}, {name}: {worst} of {scale}");
        }
    }
}

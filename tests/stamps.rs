//! Running again without reading: a file with the size and the time it had is taken as unchanged, and nothing else is.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::util::{Scratch, contents, extract, run};

/// A picture of a grey level, 12 × 8, always of the same size in bytes, changed `seconds` ago.
fn picture(scratch: &Scratch, name: &str, level: u8, seconds: u64) {
    let path = scratch.write(name, [&b"P5 12 8 255\n"[..], &[level; 96]].concat());
    set_time(&path, SystemTime::now() - Duration::from_secs(seconds));
}

fn set_time(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("a time");
}

/// Other bytes under the same name, of the same size and time.
fn swap(scratch: &Scratch, name: &str, level: u8) {
    let time = fs::metadata(scratch.path(name)).and_then(|found| found.modified()).expect("a time");
    picture(scratch, name, level, 0);
    set_time(&scratch.path(name), time);
}

/// Three pictures a minute old, and a store of them.
fn three() -> Scratch {
    let scratch = Scratch::new();
    ["a", "b", "c"]
        .iter()
        .zip(10..)
        .for_each(|(name, level)| picture(&scratch, &format!("pictures/{name}.pnm"), level, 60));
    assert_eq!(counts(&scratch, &[]), (3, 0));
    scratch
}

/// What a run computed and what it reused; changed pictures take the place of what they were.
fn counts(scratch: &Scratch, more: &[&str]) -> (u64, u64) {
    let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
    let report = run(extract(&pictures, &store, &[&["--json", "--prune"], more].concat())).json();
    (report["computed"].as_u64().expect("a count"), report["reused"].as_u64().expect("a count"))
}

#[test]
fn a_swap_with_the_same_size_and_time_is_noticed_with_verify_alone() {
    let scratch = three();
    let before = contents(&scratch.path("store"));
    swap(&scratch, "pictures/b.pnm", 90);
    assert_eq!(counts(&scratch, &[]), (0, 3));
    assert!(contents(&scratch.path("store")) == before);
    assert_eq!(counts(&scratch, &["--verify"]), (1, 2));
    assert_eq!(counts(&scratch, &[]), (0, 3));
}

#[test]
fn changed_bytes_with_another_time_are_noticed() {
    let scratch = three();
    picture(&scratch, "pictures/b.pnm", 90, 59);
    assert_eq!(counts(&scratch, &[]), (1, 2));
    // Another time alone costs a look at the bytes, no pass.
    picture(&scratch, "pictures/b.pnm", 90, 58);
    assert_eq!(counts(&scratch, &[]), (0, 3));
}

#[test]
fn a_picture_whose_time_proves_nothing_is_read_again() {
    let scratch = three();
    picture(&scratch, "pictures/b.pnm", 90, 0);
    set_time(&scratch.path("pictures/b.pnm"), SystemTime::now() + Duration::from_secs(3600));
    assert_eq!(counts(&scratch, &[]), (1, 2));
    swap(&scratch, "pictures/b.pnm", 91);
    assert_eq!(counts(&scratch, &[]), (1, 2));
}

#[test]
fn damaged_and_missing_stamps_cost_a_look_at_the_bytes() {
    let scratch = three();
    let stamps = scratch.path("store/.stamps");
    let whole = fs::read(&stamps).expect("stamps");
    for damaged in [&whole[..whole.len() - 1], &[&whole[..60], &[0], &whole[61..]].concat(), b"", b"no stamps"] {
        fs::write(&stamps, damaged).expect("write");
        assert_eq!(counts(&scratch, &[]), (0, 3));
        assert_eq!(fs::read(&stamps).expect("stamps"), whole, "made anew");
    }
    fs::write(&stamps, &whole[..whole.len() - 1]).expect("write");
    swap(&scratch, "pictures/b.pnm", 90);
    assert_eq!(counts(&scratch, &[]), (1, 2));
    fs::remove_file(&stamps).expect("remove");
    swap(&scratch, "pictures/c.pnm", 91);
    assert_eq!(counts(&scratch, &[]), (1, 2));
}

#[test]
fn a_run_that_goes_on_does_not_read_again_what_is_done() {
    let scratch = Scratch::new();
    ["a", "b"].iter().zip(10..).for_each(|(name, level)| picture(&scratch, &format!("pictures/{name}.pnm"), level, 60));
    scratch.write("pictures/c.pnm", "P5 broken");
    let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
    run(extract(&pictures, &store, &["--strict", "--workers", "1"])).fails_with(&["c.pnm", "--strict"]);
    picture(&scratch, "pictures/c.pnm", 12, 60);
    swap(&scratch, "pictures/a.pnm", 90);
    assert_eq!(counts(&scratch, &[]), (1, 2));
}

/// Other taps of a picture are not given up because a new one cannot be computed.
#[test]
fn a_picture_that_is_damaged_meanwhile_keeps_the_taps_it_has() {
    let scratch = three();
    let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
    let before = contents(&scratch.path("store/features"));
    let time = fs::metadata(scratch.path("pictures/b.pnm")).and_then(|found| found.modified()).expect("a time");
    let damaged = scratch.write("pictures/b.pnm", [b'x'; 108]);
    set_time(&damaged, time);
    let more = ["--taps", "pool1,fire2"];
    let typed = |flags: &[&'static str]| {
        let mut command = extract(&pictures, &store, flags);
        command.args(more);
        run(command)
    };
    typed(&[]).fails_with(&["b.pnm: ", "Features of other taps are there for this picture", "--prune"]);
    assert!(contents(&scratch.path("store/features")) == before);
    let pruned = typed(&["--prune"]);
    assert_eq!(pruned.code, 3, "{}", pruned.stderr);
}

//! Several machines share an extraction: four processes at once make the bytes of one, and what does not fit is named.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::util::{Scratch, contents, extract, ran, run, tapline};

const STAGES: [&str; 4] = ["--taps", "stages", "--workers", "1"];

/// Pictures of two classes, one of them broken and one not there any more by the time it is read.
fn pictures(scratch: &Scratch) -> String {
    let pictures = scratch.two_classes(21);
    scratch.write("pictures/dark/5.png", "not a picture");
    std::os::unix::fs::symlink("nowhere.png", scratch.path("pictures/light/zz.png")).expect("a link");
    pictures
}

fn shard(pictures: &str, store: &str, (index, of): (usize, usize), more: &[&str]) -> Command {
    let mut command = extract(pictures, store, more);
    command.args(["--shard", &format!("{index}/{of}")]);
    command
}

/// The stores' folders of `of` shards extracted by as many processes at once.
fn shards(scratch: &Scratch, pictures: &str, of: usize, more: &[&str]) -> Vec<String> {
    let stores: Vec<String> = (0..of).map(|index| scratch.text(&format!("{index}.of.{of}.store"))).collect();
    let spawn = |(index, store): (usize, &String)| {
        let mut command = shard(pictures, store, (index, of), more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let children: Vec<_> = stores.iter().enumerate().map(spawn).collect();
    for child in children {
        let ended = ran(child.wait_with_output().expect("an end"));
        assert!([0, 3].contains(&ended.code), "{}", ended.stderr);
    }
    stores
}

fn merge(shards: &[String], out: &str, more: &[&str]) -> Command {
    let mut args = vec!["merge"];
    args.extend(shards.iter().map(String::as_str));
    args.extend(["--out", out]);
    args.extend(more);
    tapline(&args)
}

#[track_caller]
fn check_same(a: &str, b: &str) {
    let (a, b) = (contents(Path::new(a)), contents(Path::new(b)));
    let names =
        |files: &[(std::path::PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{} has other bytes", name.display());
    }
}

#[test]
fn four_processes_make_the_bytes_of_one() {
    let scratch = Scratch::new();
    let pictures = pictures(&scratch);
    for (name, more) in [
        ("float32", &STAGES[..]),
        ("float16", &["--taps", "pool1,fire2@grid:2", "--dtype", "f16"]),
        ("views", &["--taps", "pool1", "--views", "flips"]),
        ("int8", &["--taps", "pool1,fire2,fire4", "--precision", "int8"]),
    ] {
        let (whole, merged) = (scratch.text(&format!("{name}.whole")), scratch.text(&format!("{name}.merged")));
        assert_eq!(run(extract(&pictures, &whole, more)).code, 3);
        let mut stores = shards(&scratch, &pictures, 4, more);
        // In any order.
        stores.rotate_left(1);
        stores.swap(0, 1);
        let done = run(merge(&stores, &merged, &["--json"]));
        assert_eq!((done.code, done.stderr.as_str()), (3, ""), "{name}");
        let report = done.json();
        assert_eq!((report["pictures"].as_u64(), report["skipped"].as_u64()), (Some(43), Some(2)));
        let part = &report["shards"][1];
        let found = (part["index"].as_u64(), part["of"].as_u64(), part["pictures"].as_u64());
        assert_eq!(found, (Some(1), Some(4), Some(11)));
        check_same(&merged, &whole);
        // Again, over what is there; and it is a store like any other.
        assert_eq!(run(merge(&stores, &merged, &[])).code, 3);
        check_same(&merged, &whole);
        let report = run(extract(&pictures, &merged, &[more, &["--json"]].concat())).json();
        assert_eq!((report["computed"].as_u64(), report["reused"].as_u64()), (Some(0), Some(41)), "{name}");
        stores.iter().for_each(|store| fs::remove_dir_all(store).expect("removes"));
    }
}

#[test]
fn a_table_with_labels_splits_and_columns_comes_through_any_number_of_shards() {
    let scratch = Scratch::new();
    let rows: String = (0..7)
        .map(|seed| {
            scratch.picture(&format!("{seed}.png"), seed);
            format!("{seed}.png,{},{},\n", ["a", ""][seed as usize % 2], ["train", "", "test"][seed as usize % 3])
        })
        .collect();
    let table = scratch.write("list.csv", format!("path,label,split,camera\n{rows}")).display().to_string();
    let whole = scratch.text("whole");
    run(extract(&table, &whole, &[])).ok();
    for of in [1, 3, 7] {
        let merged = scratch.text(&format!("merged.{of}"));
        run(merge(&shards(&scratch, &table, of, &[]), &merged, &[])).ok();
        check_same(&merged, &whole);
    }
    let absent = scratch.text("absent.store");
    run(shard(&table, &absent, (0, 8), &[])).fails_with(&["shard 0/8", "7 pictures"]);
    assert!(!Path::new(&absent).exists());
    let usage = run(shard(&table, &absent, (4, 4), &[]));
    assert!(usage.code == 2 && usage.stderr.contains("counted from 0"), "{}", usage.stderr);
}

#[test]
fn what_does_not_make_a_whole_is_named_and_nothing_is_written() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(5);
    let stores = shards(&scratch, &pictures, 4, &[]);
    let out = scratch.text("out");
    let other = |name: &str, part: (usize, usize), more: &[&str]| {
        let store = scratch.text(name);
        run(shard(&pictures, &store, part, more)).ok();
        store
    };
    let refused = |shards: &[&String], words: &[&str]| {
        let shards: Vec<String> = shards.iter().map(|&store| store.clone()).collect();
        run(merge(&shards, &out, &[])).fails_with(words);
        assert!(!Path::new(&out).exists(), "something was written");
    };
    let [a, b, c, d] = &stores[..] else { panic!("four shards") };
    refused(&[a, d], &["shards 1/4, 2/4 are missing"]);
    refused(&[a, b, d], &["shard 2/4 is missing"]);
    refused(&[a, b, c, d, b], &[b, "both are shard 1/4"]);
    let halves = other("halves", (0, 2), &[]);
    refused(&[a, b, c, &halves], &["number of shards", "of.4.store", "halves"]);
    let squashed = other("squashed", (3, 4), &["--squash"]);
    refused(&[a, b, c, &squashed], &["squashed", "resize"]);
    let deeper = other("deeper", (3, 4), &["--taps", "pool1,fire2"]);
    refused(&[a, b, c, &deeper], &["deeper", "taps: pool1@mean, there pool1@mean, fire2@mean"]);
    let views = other("views", (3, 4), &["--views", "flip"]);
    refused(&[a, b, c, &views], &["views", "centre"]);
    let bytes = other("bytes", (3, 4), &["--precision", "int8"]);
    refused(&[a, b, c, &bytes], &["--precision: float32, there int8"]);
    let larger = scratch.text("larger-model");
    let args = ["extract", &pictures, "--model", "efficientnet-lite0", "--taps", "stem", "--device", "cpu"];
    run(tapline(&[&args[..], &["--shard", "3/4", "--store", &larger]].concat())).ok();
    refused(&[a, b, c, &larger], &["larger-model", "model: squeezenet1.1"]);
    let whole = scratch.text("whole");
    run(extract(&pictures, &whole, &[])).ok();
    refused(&[a, b, c, d, &whole], &["whole is not a shard", "--shard"]);
    // Nor does a shard silently become the store of the whole listing.
    let before = contents(Path::new(d));
    run(extract(&pictures, d, &[])).fails_with(&[d, "holds shard 3/4 of a listing", "add --shard 3/4"]);
    assert!(contents(Path::new(d)) == before);
    scratch.picture("pictures/dark/zz.png", 77);
    let grown = other("grown", (3, 4), &[]);
    refused(&[a, b, c, &grown], &["grown", "the listing: 10 pictures, there 11"]);
    fs::rename(scratch.path("pictures/dark/0.png"), scratch.path("pictures/dark/00.png")).expect("renames");
    fs::remove_file(scratch.path("pictures/dark/zz.png")).expect("removes");
    let renamed = other("renamed", (3, 4), &[]);
    refused(&[a, b, c, &renamed], &["renamed", "other paths"]);
    // Neither a shard nor another store is written over.
    run(merge(&stores, a, &[])).fails_with(&["is one of them"]);
    let before = contents(Path::new(&larger));
    run(merge(&stores, &larger, &[])).fails_with(&["larger-model", "other pictures or taps"]);
    assert!(contents(Path::new(&larger)) == before);
    let grown_before = contents(Path::new(&grown));
    run(merge(&stores, &grown, &[])).fails_with(&["other pictures or taps"]);
    assert!(contents(Path::new(&grown)) == grown_before);
    run(merge(&stores, &out, &[])).ok();
}

/// Of a folder that a run was stopped in, a merge must not cost what is there.
#[test]
fn a_merge_does_not_write_over_what_a_stopped_run_has_left() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(4);
    let parts = shards(&scratch, &pictures, 2, &["--taps", "pool1"]);
    // Other pictures, some of which are done.
    for seed in 0..3 {
        scratch.picture(&format!("others/{seed}.png"), 300 + seed);
    }
    scratch.write("others/zz.png", "not a picture");
    let (others, target) = (scratch.text("others"), scratch.text("target"));
    run(extract(&others, &target, &["--strict", "--workers", "1", "--batch", "1"])).fails_with(&["zz.png"]);
    run(merge(&parts, &target, &[])).fails_with(&["what a run that was stopped has computed of other pictures"]);
    fs::remove_file(scratch.path("others/zz.png")).expect("gone");
    let text = run(extract(&others, &target, &[])).ok();
    assert!(text.contains("0 computed, 3 taken from the store"), "{text}");
    // A store with another tap whose last commit was interrupted: it opens once that is completed.
    let commit = "{\"format\":\"tapline-store\",\"version\":1,\"tapline\":\"0.1.0\",\"files\":[]}";
    let whole = scratch.text("whole");
    run(extract(&pictures, &whole, &["--taps", "conv1,pool1"])).ok();
    let before = contents(Path::new(&whole));
    scratch.write("whole/commit.json", commit);
    run(merge(&parts, &whole, &[])).fails_with(&["is a store of other pictures or taps already"]);
    let after = contents(Path::new(&whole));
    assert!(before.iter().all(|file| after.contains(file)));
    run(tapline(&["info", &whole])).ok();
    // The same of an extraction over fewer pictures.
    fs::remove_file(scratch.path("pictures/dark/0.png")).expect("gone");
    scratch.write("whole/commit.json", commit);
    run(extract(&pictures, &whole, &["--taps", "conv1,pool1"])).fails_with(&["features of 1 picture", "--prune"]);
}

#[test]
fn a_shard_that_was_killed_goes_on_and_an_unfinished_one_is_not_merged() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(120);
    let whole = scratch.text("whole");
    run(extract(&pictures, &whole, &STAGES)).ok();
    let stores = [scratch.text("0.store"), scratch.text("1.store")];
    run(shard(&pictures, &stores[0], (0, 2), &STAGES)).ok();
    let mut child = shard(&pictures, &stores[1], (1, 2), &STAGES).stdout(Stdio::null()).spawn().expect("starts");
    let journal = Path::new(&stores[1]).join("building/journal.jsonl");
    while fs::read(&journal).map_or(0, |bytes| bytes.len()) == 0 && child.try_wait().expect("a state").is_none() {
        sleep(Duration::from_millis(5));
    }
    child.kill().expect("a signal");
    child.wait().expect("an end");
    let merged = scratch.text("merged");
    // It may have come as far as the last step.
    let refused = run(merge(&stores, &merged, &[]));
    let words = if refused.stderr.contains("moved new files") { "1.store: run" } else { "1.store has not finished" };
    refused.fails_with(&[words]);
    run(shard(&pictures, &stores[1], (1, 2), &STAGES)).ok();
    run(merge(&stores, &merged, &[])).ok();
    check_same(&merged, &whole);
    let listed = run(tapline(&["info", &stores[1]])).ok();
    assert!(listed.contains("shard 1/2: rows 120 to 239 of a listing of 240 pictures"), "{listed}");
    // Probes of a part say that it is one.
    let said = run(tapline(&["compare", &stores[1]])).stderr;
    assert!(said.contains("1.store is a part of its pictures alone (shard 1/2: rows 120 to 239"), "{said}");
}

#[test]
fn shards_without_a_usable_picture_are_merged_to_a_failure() {
    let scratch = Scratch::new();
    ["a.png", "b.png"].iter().for_each(|name| drop(scratch.write(&format!("damaged/{name}"), "not a picture")));
    let stores = ["0", "1"].map(|name| scratch.text(name));
    for (index, store) in stores.iter().enumerate() {
        assert_eq!(run(shard(&scratch.text("damaged"), store, (index, 2), &[])).code, 1);
    }
    let merged = run(merge(&stores, &scratch.text("my store"), &[]));
    assert_eq!(merged.code, 1, "{}", merged.stderr);
    assert!(merged.stdout.contains("/my store'"), "a folder that can be typed: {}", merged.stdout);
}

//! Snapshots of what people read; `UPDATE_SNAPSHOTS=1 cargo test -p tapline renderings` writes them anew.

use std::fs;

use crate::util::{Scratch, extract, root, run, tapline};

/// Compares text with `tests/snapshots/NAME.txt`, paths of the scratch folder and the checkout aside.
#[track_caller]
fn check(name: &str, scratch: &Scratch, text: &str) {
    let root = root();
    let text = text.replace(&scratch.text(""), "SCRATCH/").replace(root.to_str().expect("UTF-8"), "ROOT");
    let file = root.join(format!("tests/snapshots/{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, &text).expect("a snapshot");
    }
    assert_eq!(text, fs::read_to_string(&file).expect("a snapshot"), "{}", file.display());
}

/// The last column of a tap's line holds seconds: the one thing that differs from run to run.
fn without_seconds(table: &str) -> String {
    let cut = |line: &str| match ["> ", "= ", "  "].iter().any(|mark| line.starts_with(mark)) {
        true => format!("{}\n", line.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end()),
        false => format!("{line}\n"),
    };
    table.lines().map(cut).collect()
}

#[test]
fn tables_look_as_they_should() {
    let scratch = Scratch::new();
    check("models", &scratch, &run(tapline(&["models"])).ok());
    check("layers", &scratch, &run(tapline(&["layers", "squeezenet1.1", "--stages"])).ok());
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    scratch.write("pictures/dark/broken.png", "not a picture");
    scratch.write("pictures/dark/notes.txt", "");
    let extracted = run(extract(&pictures, &store, &["--taps", "pool1,fire2@mean+max", "--workers", "2"]));
    check("extract", &scratch, &extracted.stdout);
    check("info", &scratch, &run(tapline(&["info", &store])).stdout);
    let table = scratch.text("rows.parquet");
    check("export-rows", &scratch, &run(tapline(&["export-rows", &store, "--tap", "pool1", "--out", &table])).ok());
    let shards = [scratch.text("0.store"), scratch.text("1.store")];
    let parts = ["0/2", "1/2"].iter().zip(&shards).map(|(part, store)| {
        run(extract(&pictures, store, &["--taps", "pool1,fire2@mean+max", "--shard", part])).stdout
    });
    let parts: Vec<String> = parts.collect();
    check("extract-shard", &scratch, &parts[1]);
    let merged = run(tapline(&["merge", &shards[0], &shards[1], "--out", &scratch.text("merged")]));
    check("merge", &scratch, &merged.stdout);
    let compared = run(tapline(&["compare", &store, "--folds", "3"])).ok();
    check("compare", &scratch, &without_seconds(&compared));
    check("probe", &scratch, &run(tapline(&["probe", &store, "--tap", "pool1", "--folds", "3"])).ok());
}

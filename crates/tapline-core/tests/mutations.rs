//! 3,500 damaged files of stores and listings: an error or what the file says, never a panic, a hang or much memory.

mod common;
#[path = "../../../tests/mutate.rs"]
mod mutate;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::Scratch;
use mutate::{Random, mutated, soberly};
use tapline_core::{Digest, Plan, Store, StoreWriter, hash_all, scan};

/// What reading a damaged store or listing of a few kilobytes may hold.
const BOUND: usize = 16 << 20;

const PICTURES: [&str; 4] = ["a", "b", "!c", "d"];

/// Reads a store as every command does: all of its rows.
fn read(dir: &Path) -> bool {
    let Ok(store) = Store::open(dir) else { return false };
    let good: Vec<usize> = (0..store.manifest().rows).filter(|&row| store.listing().skipped[row].is_none()).collect();
    (0..store.taps().len()).all(|tap| store.rows(tap).to_f32(&good).is_ok())
}

/// Goes on with a store as an extraction does, up to the first picture that would be computed.
fn go_on(dir: &Path, plan: Plan) -> bool {
    let Ok(mut writer) = StoreWriter::begin(dir, plan) else { return false };
    let digests = hash_all(writer.listing(), &|_| ControlFlow::Continue(()));
    writer.reuse(&digests).is_ok() && writer.checkpoint().is_ok()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for entry in fs::read_dir(from).expect("read") {
        let path = entry.expect("entry").path();
        let name = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &name);
        } else {
            fs::copy(&path, &name).expect("copy");
        }
    }
}

/// Damages `file` of the store in `sound` once for each of `seeds`, then reads and goes on; gives how often it went on.
fn check(scratch: &Scratch, sound: &Path, file: &str, seeds: u64) -> u64 {
    let whole = fs::read(sound.join(file)).expect("a file");
    let damaged = |seed| {
        let dir = sound.with_file_name("damaged");
        copy(sound, &dir);
        fs::write(dir.join(file), mutated(&whole, &mut Random::new(seed))).expect("write");
        refit(&dir, file);
        let (plan, of) = (scratch.plan("xy"), dir.clone());
        let went_on = soberly(&format!("{file}, seed {seed}"), BOUND, move || {
            read(&of);
            go_on(&of, plan)
        });
        fs::remove_dir_all(dir).expect("remove");
        u64::from(went_on)
    };
    let went_on = (0..seeds).map(damaged).sum();
    println!("{file}: went on after {went_on} of {seeds} blows");
    went_on
}

/// Makes `store.json` name the digest of a damaged listing, so that the listing's own reader sees the blow.
fn refit(dir: &Path, file: &str) {
    if file == "listing.parquet" {
        let path = dir.join("store.json");
        let mut document: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("read")).expect("a document");
        document["listing_sha256"] = Digest::of(&fs::read(dir.join(file)).expect("read")).to_string().into();
        fs::write(path, document.to_string()).expect("write");
    }
}

/// A store with every kind of file: two taps finished, a third picture of theirs computed anew after a change.
fn finished(scratch: &Scratch) -> PathBuf {
    scratch.extract(scratch.plan("xy")).expect("extract");
    scratch.store()
}

/// A store whose first extraction stopped with some rows done.
fn stopped(scratch: &Scratch) -> PathBuf {
    let mut writer = StoreWriter::begin(&scratch.store(), scratch.plan("xy")).expect("begin");
    for row in 1..4 {
        let bytes = fs::read(&writer.listing().samples[row].file).expect("a picture");
        let rows: Vec<_> = writer.taps().iter().map(|tap| common::features(&tap.info, &bytes)).collect();
        let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
        writer.put(row, Digest::of(&bytes), &[0, 1], &rows).expect("put");
    }
    writer.skip(0, None, "cannot be read").expect("skip");
    writer.checkpoint().expect("checkpoint");
    scratch.store()
}

#[test]
fn a_damaged_file_of_a_store_is_an_error_or_harmless() {
    let scratch = Scratch::in_memory(&PICTURES);
    let sound = finished(&scratch);
    for (file, seeds) in [("store.json", 600), ("listing.parquet", 800), ("features/x.mean.npy", 400)] {
        let went_on = check(&scratch, &sound, file, seeds);
        assert!(went_on < seeds, "{file}: no blow was noticed");
    }
    let scratch = Scratch::in_memory(&PICTURES);
    let sound = stopped(&scratch);
    for (file, seeds) in
        [("building/plan.json", 400), ("building/journal.jsonl", 400), ("building/x.mean.npy", 200), (".lock", 100)]
    {
        check(&scratch, &sound, file, seeds);
    }
}

#[test]
fn a_damaged_commit_is_an_error_or_is_completed() {
    let scratch = Scratch::in_memory(&PICTURES);
    let sound = finished(&scratch);
    let marker = r#"{"format":"tapline-store","version":1,"tapline":"0.0.0","files":["x.mean.npy","y.mean.npy"]}"#;
    fs::write(sound.join("commit.json"), marker).expect("write");
    assert!(check(&scratch, &sound, "commit.json", 200) < 200, "no blow was noticed");
}

#[test]
fn a_damaged_table_is_an_error_or_a_listing() {
    let scratch = Scratch::in_memory(&PICTURES);
    let rows: String = (0..20).map(|i| format!("cat/{i}.png,\"a, b\",train,{i}\n")).collect();
    let sound = format!("\u{feff}path,label,split,camera\n{rows}");
    let (mut listed, mut refused) = (0, 0);
    for seed in 0..800 {
        let ending = ["csv", "tsv"][seed as usize % 2];
        let text = if ending == "csv" { sound.clone() } else { sound.replace(',', "\t") };
        let table = scratch.pictures().with_file_name(format!("list.{ending}"));
        fs::write(&table, mutated(text.as_bytes(), &mut Random::new(seed))).expect("write");
        match soberly(&format!("list.{ending}, seed {seed}"), BOUND, move || scan(&table).is_ok()) {
            true => listed += 1,
            false => refused += 1,
        }
    }
    assert!(listed > 0 && refused > 0, "{listed} listed, {refused} refused");
}

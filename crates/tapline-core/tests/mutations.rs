//! 3,500 damaged files of stores and listings: an error or what the file says, never a panic, a hang or much memory.

mod common;
#[path = "../../../tests/mutate.rs"]
mod mutate;

use std::fs;
use std::path::Path;

use common::Scratch;
use common::damage::{copy, finished, go_on, read, refit, stopped};
use mutate::{Random, mutated, soberly};
use tapline_core::scan;

/// What reading a damaged store or listing of a few kilobytes may hold.
const BOUND: usize = 16 << 20;

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

#[test]
fn a_damaged_file_of_a_store_is_an_error_or_harmless() {
    let scratch = Scratch::in_memory(&["a", "b", "!c", "d"]);
    let sound = finished(&scratch);
    for (file, seeds) in [("store.json", 600), ("listing.parquet", 800), ("features/x.mean.npy", 400)] {
        let went_on = check(&scratch, &sound, file, seeds);
        assert!(went_on < seeds, "{file}: no blow was noticed");
    }
    let scratch = Scratch::in_memory(&["a", "b", "!c", "d"]);
    let sound = stopped(&scratch);
    for (file, seeds) in
        [("building/plan.json", 400), ("building/journal.jsonl", 400), ("building/x.mean.npy", 200), (".lock", 100)]
    {
        check(&scratch, &sound, file, seeds);
    }
}

#[test]
fn a_damaged_commit_is_an_error_or_is_completed() {
    let scratch = Scratch::in_memory(&["a", "b", "!c", "d"]);
    let sound = finished(&scratch);
    let marker = r#"{"format":"tapline-store","version":1,"tapline":"0.0.0","files":["x.mean.npy","y.mean.npy"]}"#;
    fs::write(sound.join("commit.json"), marker).expect("write");
    assert!(check(&scratch, &sound, "commit.json", 200) < 200, "no blow was noticed");
}

#[test]
fn a_damaged_table_is_an_error_or_a_listing() {
    let scratch = Scratch::in_memory(&["a", "b", "!c", "d"]);
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

//! Stores to be damaged, and what every command would do with them then; shared by tests and fuzz targets.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tapline_core::{Digest, Plan, Store, StoreWriter, hash_all};

use super::{Scratch, features};

/// Reads a store as every command does: all of its rows.
pub fn read(dir: &Path) -> bool {
    let Ok(store) = Store::open(dir) else { return false };
    let good: Vec<usize> =
        (0..store.manifest().rows).filter(|&row| store.listing().skipped.get(row).is_none()).collect();
    (0..store.taps().len()).all(|tap| store.rows(tap).to_f32(&good).is_ok())
}

/// Goes on with a store as an extraction does, up to the first picture that would be computed.
pub fn go_on(dir: &Path, plan: Plan) -> bool {
    let Ok(mut writer) = StoreWriter::begin(dir, plan) else { return false };
    let digests = hash_all(writer.listing(), &|_| ControlFlow::Continue(()));
    writer.reuse(&digests).is_ok() && writer.checkpoint().is_ok()
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for entry in fs::read_dir(from).expect("read") {
        let path = entry.expect("entry").path();
        let name = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &name);
        } else {
            // Not fs::copy, which a fuzzer's alarm clock interrupts.
            fs::write(name, fs::read(&path).expect("read")).expect("write");
        }
    }
}

/// Makes `store.json` name the digest of a damaged listing, so that the listing's own reader sees the blow.
pub fn refit(dir: &Path, file: &str) {
    if file == "listing.parquet" {
        let path = dir.join("store.json");
        let mut document: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("read")).expect("a document");
        document["listing_sha256"] = Digest::of(&fs::read(dir.join(file)).expect("read")).to_string().into();
        fs::write(path, document.to_string()).expect("write");
    }
}

/// A store with every kind of file: two taps finished, a third picture of theirs computed anew after a change.
pub fn finished(scratch: &Scratch) -> PathBuf {
    scratch.extract(scratch.plan("xy")).expect("extract");
    scratch.store()
}

/// A store whose first extraction stopped with some rows done.
pub fn stopped(scratch: &Scratch) -> PathBuf {
    let mut writer = StoreWriter::begin(&scratch.store(), scratch.plan("xy")).expect("begin");
    for row in 1..4 {
        let bytes = writer.listing().place(row).read(1 << 20).expect("a picture");
        let rows: Vec<_> = writer.taps().iter().map(|tap| features(&tap.info, &bytes)).collect();
        let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
        writer.put(row, Digest::of(&bytes), &[0, 1], &rows).expect("put");
    }
    writer.skip(0, None, "cannot be read").expect("skip");
    writer.checkpoint().expect("checkpoint");
    scratch.store()
}

/// Every file of a store that is read: those below `building` of a stopped one, the others of a finished one.
pub const FILES: [&str; 8] = [
    "store.json",
    "listing.parquet",
    "features/x.mean.npy",
    "commit.json",
    ".lock",
    "building/plan.json",
    "building/journal.jsonl",
    "building/x.mean.npy",
];

//! Each way a store on disk can be broken has its own sentence.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use common::Scratch;
use tapline_core::{Digest, Listing, Sample, Store, StoreWriter};

/// Damages a sound store and expects `words` from opening it.
fn check(words: &str, damage: impl FnOnce(&Scratch)) {
    let scratch = Scratch::of(&["a", "b", "!c"]);
    scratch.extract(scratch.plan("x")).expect("extract");
    damage(&scratch);
    let message = scratch.open().expect_err(words).to_string();
    assert!(message.contains(words), "{message}");
}

fn edit(name: &'static str, from: &'static str, to: &'static str) -> impl FnOnce(&Scratch) {
    move |scratch| {
        let path = scratch.store().join(name);
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replacen(from, to, 1)).expect("write");
    }
}

fn array(scratch: &Scratch) -> File {
    let path = scratch.store().join("features/x.mean.npy");
    OpenOptions::new().read(true).write(true).open(path).expect("open")
}

fn overwrite(offset: u64, bytes: &'static [u8]) -> impl FnOnce(&Scratch) {
    move |scratch| {
        let mut file = array(scratch);
        file.seek(SeekFrom::Start(offset)).expect("seek");
        file.write_all(bytes).expect("write");
    }
}

#[test]
fn a_document_that_is_not_ours_is_refused() {
    check(
        "of version 2, this tapline reads \"tapline-store\" version 1: use the tapline that wrote it (0.0.0)",
        edit("store.json", "\"version\": 1", "\"version\": 2"),
    );
    check("is a \"other\" of version 1", edit("store.json", "tapline-store", "other"));
    check("store.json is damaged", edit("store.json", "{", "["));
    check("store.json is damaged", edit("store.json", "\"rows\"", "\"lines\""));
}

#[test]
fn a_document_that_asks_for_the_impossible_is_refused() {
    check("the file name \"../x.npy\" is not a plain NAME.npy", edit("store.json", "x.mean.npy", "../x.npy"));
    check("the file name \"/etc/x.npy\" is not", edit("store.json", "x.mean.npy", "/etc/x.npy"));
    check("has no features", edit("store.json", "\"features\": 3", "\"features\": 0"));
    check(
        "has 6148914691236517205 features",
        edit("store.json", "\"features\": 3", "\"features\": 6148914691236517205"),
    );
    check("0 rows, expected at least one", edit("store.json", "\"rows\": 3", "\"rows\": 0"));
    check("its shape is [3, 3], expected [2, 3]", edit("store.json", "\"rows\": 3", "\"rows\": 2"));
    check("1 of its rows are skipped, expected 0", edit("store.json", "\"skipped\": 1", "\"skipped\": 0"));
    let shard = concat!(
        "\"shard\": {\"index\": 0, \"of\": 1000000000000000, \"listing_rows\": 3000000000000000, \"whole_sha256\": \"",
        "0000000000000000000000000000000000000000000000000000000000000000\"}, \"rows\": 3"
    );
    let words = "there is no shard 0/1000000000000000: they are counted from 0, and 100000 are the most";
    check(words, edit("store.json", "\"rows\": 3", shard));
    check("the preprocessing is unsound", edit("store.json", "\"height\": 8", "\"height\": 0"));
}

#[test]
fn a_missing_file_is_named() {
    check("no store: it has no store.json", |s| {
        fs::remove_file(s.store().join("store.json")).expect("remove");
        fs::remove_file(s.store().join(".lock")).expect("remove");
    });
    check("cannot read", |s| fs::remove_file(s.store().join("listing.parquet")).expect("remove"));
    check("x.mean.npy", |s| fs::remove_file(s.store().join("features/x.mean.npy")).expect("remove"));
}

#[test]
fn a_listing_of_another_store_is_refused() {
    check("it is not the listing that store.json was written for", |scratch| {
        let other = Scratch::of(&["x", "y", "z"]);
        other.extract(other.plan("x")).expect("extract");
        fs::copy(other.store().join("listing.parquet"), scratch.store().join("listing.parquet")).expect("copy");
    });
}

#[test]
fn an_array_that_store_json_does_not_describe_is_refused() {
    check("it has 163 bytes, expected 164", |s| array(s).set_len(163).expect("cut"));
    check("it has 165 bytes, expected 164", |s| array(s).set_len(165).expect("extend"));
    check("it has 5 bytes, too few for its header", |s| array(s).set_len(5).expect("cut"));
    check("it does not begin with NumPy's magic bytes", overwrite(0, b"PK"));
    check("it has version 9.0 of NumPy's format", overwrite(6, &[9]));
    check("its header claims 65535 bytes", overwrite(8, &[0xff, 0xff]));
    check("its numbers are \"<f8\", expected \"<f4\"", overwrite(10 + 13, b"8"));
    check("it is in Fortran order", overwrite(10 + 34, b"True, "));
    check("its shape is [4, 3], expected [3, 3]", overwrite(10 + 51, b"4"));
}

#[test]
fn a_bad_number_in_a_good_row_names_tap_row_and_picture() {
    let scratch = Scratch::of(&["a", "b"]);
    scratch.extract(scratch.plan("x")).expect("extract");
    overwrite(128 + 16, &[0, 0, 0xc0, 0x7f])(&scratch);
    let store = scratch.open().expect("opening reads no numbers");
    store.rows(0).to_f32(&[0]).expect("the other row is good");
    let message = store.rows(0).to_f32(&[0, 1]).expect_err("NaN").to_string();
    assert!(message.contains("tap \"x\" of b.png (row 1): feature 1 is NaN"), "{message}");
}

#[test]
fn a_commit_that_was_interrupted_is_reported_and_completed() {
    let scratch = Scratch::of(&["a"]);
    scratch.extract(scratch.plan("x")).expect("extract");
    let marker = scratch.store().join("commit.json");
    fs::write(&marker, r#"{"format":"tapline-store","version":1,"tapline":"","files":["x.mean.npy"]}"#).expect("write");
    let message = scratch.open().expect_err("interrupted").to_string();
    assert!(message.contains("run `tapline extract` again to finish"), "{message}");
    assert_eq!(scratch.extract(scratch.plan("x")).expect("again"), 0);
    scratch.open().expect("open");
}

#[test]
fn a_commit_that_leads_elsewhere_is_refused() {
    let scratch = Scratch::of(&["a"]);
    scratch.extract(scratch.plan("x")).expect("extract");
    let marker = r#"{"format":"tapline-store","version":1,"tapline":"","files":["../../x.npy"]}"#;
    fs::write(scratch.store().join("commit.json"), marker).expect("write");
    let message = StoreWriter::begin(&scratch.store(), scratch.plan("x")).expect_err("refused").to_string();
    assert!(message.contains("\"../../x.npy\" is not a plain NAME.npy"), "{message}");
}

#[test]
fn a_damaged_byte_anywhere_in_json_is_an_error_or_harmless() {
    let scratch = Scratch::of(&["a", "b"]);
    scratch.extract(scratch.plan("x")).expect("extract");
    let path = scratch.store().join("store.json");
    let whole = fs::read(&path).expect("read");
    for (position, blow) in blows(whole.len()) {
        let mut bytes = whole.clone();
        bytes[position] ^= blow;
        fs::write(&path, bytes).expect("write");
        let _ = open_soberly(&scratch, &format!("byte {position} of store.json ^ {blow:#x}"));
    }
    fs::write(&path, whole).expect("write");
    scratch.open().expect("sound again");
}

#[test]
fn a_damaged_byte_anywhere_in_a_listing_is_an_error_or_harmless_even_with_a_fitting_digest() {
    let scratch = Scratch::of(&["a", "b", "!c"]);
    let mut plan = scratch.plan("x");
    let samples = plan.listing.samples().map(|sample| Sample { label: Some("cat".to_owned()), ..sample });
    plan.listing = Listing::of(Path::new(""), samples, Vec::new()).into();
    scratch.extract(plan).expect("extract");
    let (listing, document) = (scratch.store().join("listing.parquet"), scratch.store().join("store.json"));
    let whole = fs::read(&listing).expect("read");
    let text = fs::read_to_string(&document).expect("read");
    let digest = Digest::of(&whole).to_string();
    assert!(text.contains(&digest));
    let (mut opened, mut refused) = (0, 0);
    for (position, blow) in blows(whole.len()) {
        let mut bytes = whole.clone();
        bytes[position] ^= blow;
        fs::write(&document, text.replace(&digest, &Digest::of(&bytes).to_string())).expect("write");
        fs::write(&listing, bytes).expect("write");
        match open_soberly(&scratch, &format!("byte {position} of listing.parquet ^ {blow:#x}")) {
            Ok(_) => opened += 1,
            Err(message) => {
                assert!(!message.contains("it is not the listing that"), "the digest fits: {message}");
                refused += 1;
            }
        }
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused: the table's reader saw the bytes");
}

/// Every byte, each struck twice.
fn blows(len: usize) -> impl Iterator<Item = (usize, u8)> {
    (0..len).flat_map(|position| [(position, 0x11), (position, 0xfe)])
}

/// The most bytes that opening a damaged listing of a few kilobytes may ask for at once; where RUST_BACKTRACE is set, the
/// trace of a panic that the reader catches takes some megabytes of its own.
const MOST_AT_ONCE: usize = 64 << 20;

/// Opens a store, or gives the message; neither may hang or ask for much memory at once.
fn open_soberly(scratch: &Scratch, what: &str) -> Result<Store, String> {
    let started = Instant::now();
    LARGEST.set(0);
    let opened = scratch.open();
    let (took, largest) = (started.elapsed(), LARGEST.get());
    assert!(took < Duration::from_secs(30), "{what}: took {took:?}");
    assert!(largest < MOST_AT_ONCE, "{what}: asked for {largest} bytes at once");
    opened.map_err(|error| error.to_string())
}

thread_local! {
    /// The most bytes this thread asked for at once.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, watched.
struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

// SAFETY: every call goes to `System` unchanged; the note taken before allocates nothing.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the promises of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller keeps the promises of `realloc`.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(old, layout) }
    }
}

fn note(size: usize) {
    LARGEST.set(LARGEST.get().max(size));
}

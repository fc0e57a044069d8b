//! What a store keeps for the next run, with digests that fit: the first byte says whether the fuzzer's bytes are `.stamps` or
//! `.indexes`.

#![no_main]

mod seeds;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use tapline_core::{Digest, Indexes, Listing, OpenShard, Place, RemoteShard, Sample, Stamps, shards_listing};

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder"));

const URL: &str = "s3://bucket/a.tar";
/// The size that the tar file has, of which the runs read nothing.
const BYTES: u64 = 4096;

fn write_seeds() {
    seeds::let_panics_be_caught();
    let mut stamps = b"\0tapline stamps 1\n".to_vec();
    stamps.extend([7; 68]);
    seeds::write("kept", "stamps", &stamps);
    let key = Digest::of(format!("{URL}\0v\0{BYTES}").as_bytes());
    let picture = r#"{"name":"cat/a.png","offset":512,"bytes":7,"label":"cat","split":null,"extra":[["camera","1"]]}"#;
    let passed_over = r#"{"path":"b.txt","reason":"no picture"}"#;
    let index = format!("\x01{key} {{\"pictures\":[{picture}],\"passed_over\":[{passed_over}]}}\n");
    seeds::write("kept", "indexes", index.as_bytes());
}

fn stamps(bytes: &[u8]) {
    fs::write(FOLDER.path().join(".stamps"), [bytes, &Digest::of(bytes).0].concat()).expect("write");
    let place = Place::Url { url: URL.into(), version: Some("v".into()) };
    let sample = Sample { place, path: URL.to_owned(), label: None, split: None, extra: Vec::new() };
    let listing = Listing::of(Path::new(""), [sample], Vec::new());
    Stamps::read(FOLDER.path(), &listing, true).has(0);
}

fn indexes(bytes: &[u8]) {
    let text = [format!("tapline indexes 1\n{}\n", Digest::of(bytes)).as_bytes(), bytes].concat();
    fs::write(FOLDER.path().join(".indexes"), text).expect("write");
    let shard = RemoteShard { name: PathBuf::from(URL), url: URL.into() };
    let open = |_: &str| {
        Ok(OpenShard { reader: Cursor::new(vec![7; BYTES as usize]), bytes: BYTES, version: Some(Arc::from("v")) })
    };
    let known = Indexes::read(FOLDER.path(), true);
    // What is in the place of the tar file is none.
    let Ok(listing) = shards_listing((&[shard], &known), &open, &|| ()) else { return };
    for sample in listing.samples() {
        assert_eq!(sample.extra.len(), listing.columns().len(), "a ragged listing");
        let Place::Part { offset, bytes, .. } = sample.place else { panic!("not a part of the file") };
        assert!(offset + bytes <= BYTES, "a part beyond the end");
    }
}

fuzz_target!(init: write_seeds(), |input: &[u8]| match input.split_first() {
    Some((kind, bytes)) if kind % 2 == 0 => stamps(bytes),
    Some((_, bytes)) => indexes(bytes),
    None => {}
});

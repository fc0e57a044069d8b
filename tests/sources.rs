//! Pictures in tar and Parquet files, and listings in Parquet: the rows of the unpacked files, to the bit.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::util::{Scratch, extract, python, ran, run, tapline};

/// A scratch folder with `pictures/` and what Python's tools pack them into, `packed/`.
fn packed(each: u32) -> Scratch {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(each);
    ran(python("tests/reference/shards.py", &[&pictures, &scratch.text("packed")])).ok();
    scratch
}

/// The rows of a store by the digests of their pictures: label and features of `pool1`.
fn rows(store: &str) -> BTreeMap<String, (Value, Vec<u8>)> {
    let listing = listing(store);
    let bytes = fs::read(Path::new(store).join("features/pool1.mean.npy")).expect("an array");
    let rows = bytes[128..].chunks(4 * 64).map(<[u8]>::to_vec);
    let of = |(row, features)| (text(&listing, "sha256", row), (listing["label"][row].clone(), features));
    rows.enumerate().map(of).collect()
}

fn listing(store: &str) -> Value {
    let shown = ran(python("tests/reference/open_listing.py", &[store])).ok();
    serde_json::from_str(&shown).expect("JSON")
}

fn text(listing: &Value, column: &str, row: usize) -> String {
    listing[column][row].as_str().unwrap_or_default().to_owned()
}

#[test]
fn packed_pictures_have_the_rows_of_the_files_to_the_bit() {
    let scratch = packed(7);
    let expected = scratch.text("files.store");
    run(extract(&scratch.text("pictures"), &expected, &[])).ok();
    let packed = |name: &str| scratch.text(&format!("packed/{name}"));
    for (name, sources) in [
        ("braces", vec![packed("web-{000..002}.tar")]),
        ("wildcard", vec![packed("web-*.tar")]),
        ("each", vec![packed("web-002.tar"), packed("web-000.tar"), packed("web-001.tar")]),
        ("packed", vec![packed("packed.tar")]),
        ("faces", vec![packed("t*.parquet")]),
        ("plain", vec![packed("plain.parquet")]),
        ("listing", vec![packed("listing.parquet")]),
    ] {
        let store = scratch.text(&format!("{name}.store"));
        let more: Vec<&str> = sources[1..].iter().map(String::as_str).chain(["--workers", "3"]).collect();
        run(extract(&sources[0], &store, &more)).ok();
        assert_eq!(rows(&store), rows(&expected), "{name}");
        // What is there is found again, by digest.
        let again = run(extract(&sources[0], &store, &[&more[..], &["--json"]].concat()));
        assert_eq!((again.json()["reused"].as_u64(), again.json()["computed"].as_u64()), (Some(14), Some(0)), "{name}");
    }
}

#[test]
fn a_folder_of_shards_is_read_as_its_shards() {
    let scratch = packed(3);
    for shard in ["web-000.tar", "web-001.tar", "web-002.tar"] {
        fs::create_dir_all(scratch.path("shards")).expect("folder");
        fs::copy(scratch.path(&format!("packed/{shard}")), scratch.path(&format!("shards/{shard}"))).expect("copy");
    }
    let store = scratch.text("store");
    run(extract(&scratch.text("shards"), &store, &[])).ok();
    let listing = listing(&store);
    assert_eq!(text(&listing, "path", 5), "web-002.tar: long-a0005.png");
    assert_eq!(text(&listing, "number", 5), "5");
    assert_eq!(text(&listing, "box", 0), "[1,2]");
    assert_eq!(text(&listing, "source.sha256", 0), "theirs");
    assert_eq!((text(&listing, "split", 0), text(&listing, "split", 1)), ("test".to_owned(), "train".to_owned()));
}

#[test]
fn parquet_names_classes_and_splits_and_lists_what_it_passes_over() {
    let scratch = packed(3);
    let store = scratch.text("store");
    let done = run(extract(&scratch.text("packed/t*.parquet"), &store, &["--json"]));
    let passed = done.json()["not_listed"][0].clone();
    assert_eq!(passed["path"], "test-00000-of-00001.parquet: column objects.list.element");
    assert_eq!(passed["reason"], "a column of lists");
    let listing = listing(&store);
    assert_eq!(text(&listing, "path", 4), "train-00000-of-00001.parquet: row 1");
    assert_eq!((text(&listing, "label", 4), text(&listing, "split", 4)), ("dark".to_owned(), "train".to_owned()));
    assert_eq!(text(&listing, "image.path", 4), "1.png");
}

#[test]
fn a_broken_member_is_skipped_by_shard_and_name_and_a_broken_shard_is_one_sentence() {
    let scratch = packed(3);
    let shard = scratch.path("packed/web-000.tar");
    let good = fs::read(&shard).expect("a shard");
    let mut bad = good.clone();
    let picture = bad.windows(8).position(|window| window == b"\x89PNG\r\n\x1a\n").expect("a picture");
    bad[picture + 30] ^= 0xff;
    fs::write(&shard, &bad).expect("write");
    let done = run(extract(shard.to_str().expect("text"), &scratch.text("store"), &["--json"]));
    assert_eq!(done.code, 3);
    let skipped = done.json()["skipped"][0]["path"].as_str().expect("a path").to_owned();
    assert!(skipped.starts_with("web-000.tar: long-long-") && skipped.ends_with("ä0000.png"), "{skipped}");

    let refuse = |bytes: &[u8], words: &[&str]| {
        fs::write(&shard, bytes).expect("write");
        run(extract(shard.to_str().expect("text"), &scratch.text("bad.store"), &[])).fails_with(words);
    };
    refuse(&good[..picture + 20], &["web-000.tar cannot be used: it ends within member", "cut off"]);
    refuse(b"no tar file at all", &["web-000.tar cannot be used"]);
    let parquet = scratch.path("packed/plain.parquet");
    let bytes = fs::read(&parquet).expect("Parquet");
    fs::write(&parquet, &bytes[..bytes.len() - 9]).expect("write");
    run(extract(parquet.to_str().expect("text"), &scratch.text("bad.store"), &[]))
        .fails_with(&["plain.parquet cannot be used"]);
}

#[test]
fn what_several_sources_must_be_is_said() {
    let scratch = packed(2);
    let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
    let shard = scratch.text("packed/web-000.tar");
    run(extract(&pictures, &store, &[&shard])).fails_with(&["pictures is neither a picture by its name nor a .tar"]);
    run(extract(&shard, &store, &[&shard])).fails_with(&["web-000.tar is given twice"]);
    run(extract(&scratch.text("packed/web-{000..003}.tar"), &store, &[])).fails_with(&["web-003.tar does not exist"]);
    run(extract(&scratch.text("packed/none-*.tar"), &store, &[])).fails_with(&["nothing is named like"]);
    let model = ["extract", &scratch.text("packed/listing.parquet"), "--store", &store];
    assert_eq!(run(tapline(&model)).code, 2);
}

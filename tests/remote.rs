//! Pictures behind URLs, from a server on loopback that cuts, delays, refuses and dies.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use crate::server::{Server, Trouble};
use crate::util::{Scratch, contents, extract, run};

const KEY: &str = "AKIDTEST";
const SECRET: &str = "do-not-print-this";

/// Two classes of pictures in a scratch folder, and the same as objects of a bucket.
fn objects(each: u32) -> (Scratch, HashMap<String, Vec<u8>>) {
    let scratch = Scratch::new();
    scratch.two_classes(each);
    let folder = contents(&scratch.path("pictures"));
    let path = |name: &std::path::Path| format!("/bucket/pictures/{}", name.display());
    let objects = folder.into_iter().map(|(name, bytes)| (path(&name), bytes)).collect();
    (scratch, objects)
}

/// An extraction with the environment of a server's bucket.
fn from_bucket(server: &Server, store: &str, key: &str, more: &[&str]) -> Command {
    let mut command = extract("s3://bucket/pictures", store, more);
    command.env("AWS_ENDPOINT", server.url("")).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", SECRET);
    command
}

fn features(store: &str) -> Vec<u8> {
    fs::read(std::path::Path::new(store).join("features/pool1.mean.npy")).expect("an array")
}

/// No file of a store holds the secret or the key.
fn is_discreet(store: &std::path::Path) -> bool {
    let holds = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    contents(store).iter().all(|(_, bytes)| !holds(bytes, SECRET) && !holds(bytes, KEY))
}

#[test]
fn a_bucket_in_trouble_gives_the_rows_of_the_folder_to_the_bit() {
    let (scratch, objects) = objects(12);
    let server = Server::start(objects, Some(KEY));
    server.trouble("/bucket/pictures/dark/0.png", &[Trouble::Status(503), Trouble::Status(500)]);
    server.trouble("/bucket/pictures/dark/1.png", &[Trouble::Cut]);
    server.trouble("/bucket/pictures/light/3.png", &[Trouble::Slow]);
    let (local, remote) = (scratch.text("local"), scratch.text("remote"));
    run(extract(&scratch.text("pictures"), &local, &[])).ok();
    // Less than two pictures ahead.
    run(from_bucket(&server, &remote, KEY, &["--prefetch-bytes", "5000", "--workers", "2"])).ok();
    assert_eq!(features(&remote), features(&local));
    assert_eq!(
        fs::read(scratch.path("remote/listing.parquet")).ok(),
        fs::read(scratch.path("local/listing.parquet")).ok()
    );
    let (_, ranges) = server.served();
    assert_eq!(ranges, 1, "the picture that was cut off went on where it was cut");
    assert!(is_discreet(&scratch.path("remote")));
    let again = run(from_bucket(&server, &remote, KEY, &["--json"]));
    assert_eq!((again.json()["reused"].as_u64(), again.json()["computed"].as_u64()), (Some(24), Some(0)));
}

#[test]
fn a_listing_names_files_and_urls_and_a_missing_one_is_skipped_with_its_reason() {
    let (scratch, objects) = objects(2);
    let server = Server::start(objects, None);
    let url = server.url("/bucket/pictures/light/1.png");
    let missing = server.url("/bucket/pictures/light/9.png");
    scratch.write("list.csv", format!("path,label\npictures/dark/0.png,dark\n{url},light\n{missing},light\n"));
    let done = run(extract(&scratch.text("list.csv"), &scratch.text("store"), &["--json"]));
    assert_eq!(done.code, 3, "{}", done.stderr);
    let skipped = &done.json()["skipped"];
    assert_eq!((skipped[0]["path"].as_str(), skipped.as_array().map(Vec::len)), (Some(missing.as_str()), Some(1)));
    assert_eq!(skipped[0]["reason"], format!("is not there: {missing} does not exist"));
    run(extract(&scratch.text("pictures"), &scratch.text("local"), &[])).ok();
    let (store, local) = (features(&scratch.text("store")), features(&scratch.text("local")));
    assert_eq!(store[128..128 + 256], local[128..128 + 256]);
    assert_eq!(store[128 + 256..128 + 512], local[128 + 3 * 256..128 + 4 * 256]);
}

#[test]
fn wrong_credentials_end_the_run_with_one_sentence_that_holds_none() {
    let (scratch, objects) = objects(2);
    let server = Server::start(objects, Some(KEY));
    let ran = run(from_bucket(&server, &scratch.text("store"), "AKIDWRONG", &[]));
    assert!(!ran.stderr.contains("AKIDWRONG") && !ran.stderr.contains(SECRET), "{}", ran.stderr);
    ran.fails_with(&["s3://bucket/pictures was refused", "403", "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn a_source_that_dies_is_named_and_the_run_goes_on_once_it_is_back() {
    let (scratch, objects) = objects(20);
    let server = Server::start(objects, Some(KEY));
    server.trouble("/bucket/pictures/light/7.png", &[Trouble::Silence; 10]);
    let (store, whole) = (scratch.text("store"), scratch.text("whole"));
    let ran = run(from_bucket(&server, &store, KEY, &["--retries", "1", "--workers", "1"]));
    assert!(ran.stderr.contains("light/7.png could not be read, with 1 retries: "), "{}", ran.stderr);
    ran.fails_with(&["s3://bucket/pictures/", "run the same command again once the source is back"]);
    server.trouble("/bucket/pictures/light/7.png", &[]);
    let again = run(from_bucket(&server, &store, KEY, &["--json", "--workers", "1"]));
    let (reused, computed) = (again.json()["reused"].as_u64(), again.json()["computed"].as_u64());
    assert_eq!(reused.zip(computed).map(|(reused, computed)| reused + computed), Some(40));
    assert!(reused > Some(20), "what was computed before is kept: {}", again.stdout);
    run(from_bucket(&server, &whole, KEY, &["--workers", "1"])).ok();
    assert_eq!(contents(&scratch.path("store")), contents(&scratch.path("whole")));
}

#[test]
fn urls_that_hold_credentials_and_servers_that_cannot_list_are_refused() {
    let scratch = Scratch::new();
    let store = scratch.text("store");
    for (url, words) in [
        ("https://me:hush@example.org/a.png", "it holds a user or password"),
        ("https://example.org/a.png?sig=hush", "it has a query"),
    ] {
        scratch.write("list.csv", format!("path\n{url}\n"));
        let ran = run(extract(&scratch.text("list.csv"), &store, &[]));
        assert!(!ran.stderr.contains("hush"), "{}", ran.stderr);
        ran.fails_with(&["https://example.org/a.png cannot be used", words]);
    }
    run(extract("http://127.0.0.1:9/pictures", &store, &[])).fails_with(&["does not say what it has"]);
}

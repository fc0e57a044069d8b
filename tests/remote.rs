//! Pictures behind URLs, from a server on loopback that cuts, delays, refuses and dies.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use image::ImageFormat;

use crate::server::{Server, Trouble};
use crate::util::{Scratch, contents, encoded, extract, python, ran, run};

const KEY: &str = "AKIDTEST";
/// How a signature of S3's begins that was made with that key.
const SIGNED: &str = "Credential=AKIDTEST/";
/// Base64, as Azure wants its keys.
const SECRET: &str = "doNotPrintThis00";

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
    of_server(&mut command, server, key);
    command
}

fn of_server(command: &mut Command, server: &Server, key: &str) {
    command.env("AWS_ENDPOINT", server.url("")).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", SECRET);
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
    let server = Server::start(objects, Some(SIGNED));
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

/// A length is a promise: what comes beyond it is not taken, however long the server goes on.
#[test]
fn a_body_without_end_ends_the_run_with_the_name_of_its_source() {
    let (scratch, objects) = objects(2);
    let server = Server::start(objects, None);
    let path = "/bucket/pictures/light/1.png";
    server.trouble(path, &[Trouble::Endless; 4]);
    let url = server.url(path);
    scratch.write("list.csv", format!("path,label\npictures/dark/0.png,dark\n{url},light\n"));
    let (list, store) = (scratch.text("list.csv"), scratch.text("store"));
    run(extract(&list, &store, &[])).fails_with(&[&url, "or more came of"]);
    // A store that is there has its pictures looked at first.
    server.trouble(path, &[]);
    run(extract(&list, &store, &[])).ok();
    server.trouble(path, &[Trouble::Endless; 4]);
    run(extract(&list, &store, &["--verify"])).fails_with(&[&url, "or more came of"]);
}

#[test]
fn wrong_credentials_end_the_run_with_one_sentence_that_holds_none() {
    let (scratch, objects) = objects(2);
    let server = Server::start(objects, Some(SIGNED));
    let ran = run(from_bucket(&server, &scratch.text("store"), "AKIDWRONG", &[]));
    assert!(!ran.stderr.contains("AKIDWRONG") && !ran.stderr.contains(SECRET), "{}", ran.stderr);
    ran.fails_with(&["s3://bucket/pictures was refused", "403", "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"]);
}

/// Checks that a first and a second run over a server's pictures give what a folder gives; `from` makes a run into a store.
fn is_as_good_as_a_folder(scratch: &Scratch, server: &Server, from: &dyn Fn(&str, &[&str]) -> Command) {
    server.trouble("/bucket/pictures/dark/0.png", &[Trouble::Status(503), Trouble::Cut]);
    let (local, remote) = (scratch.text("local"), scratch.text("remote"));
    run(extract(&scratch.text("pictures"), &local, &[])).ok();
    run(from(&remote, &[])).ok();
    assert_eq!(features(&remote), features(&local));
    assert_eq!(server.served().1, 1, "the picture that was cut off went on where it was cut");
    assert!(is_discreet(&scratch.path("remote")));
    knows_what_changed(server, &|more| from(&remote, more));
}

/// Checks that a run over six pictures behind URLs that a store has asks for none, and for all with `--verify`, and that one with
/// other bytes is noticed by its entity tag; `again` makes a run.
fn knows_what_changed(server: &Server, again: &dyn Fn(&[&str]) -> Command) {
    let counts = |more: &[&str]| {
        let ((served, _), heads) = (server.served(), server.heads());
        let json = run(again(&[&["--json", "--prune"], more].concat())).json();
        let count = |name: &str| json[name].as_u64().expect("a count");
        let asked = server.served().0 - served - (server.heads() - heads);
        (count("reused"), count("computed"), asked)
    };
    assert_eq!(counts(&[]), (6, 0, 0));
    assert_eq!(counts(&["--verify"]), (6, 0, 6));
    server.swap("/bucket/pictures/light/2.png", encoded(77, ImageFormat::Png));
    // Once to know it, once to decode it.
    assert_eq!(counts(&[]), (5, 1, 2));
    assert_eq!(counts(&[]), (6, 0, 0));
}

#[test]
fn google_cloud_storage_is_read_with_the_token_of_the_machine() {
    let (scratch, objects) = objects(3);
    let (server, other) =
        (Server::with_token(objects.clone(), SECRET, SECRET), Server::with_token(objects, SECRET, "another"));
    let from = |server: &Server, store: &str, more: &[&str]| {
        let mut command = extract("gs://bucket/pictures", store, more);
        command.env("GOOGLE_BASE_URL", server.url("")).env("GOOGLE_ALLOW_HTTP", "true");
        command.env("GCE_METADATA_HOST", format!("127.0.0.1:{}", server.port));
        command
    };
    is_as_good_as_a_folder(&scratch, &server, &|store, more| from(&server, store, more));
    let ran = run(from(&other, &scratch.text("refused"), &[]));
    assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    ran.fails_with(&["gs://bucket/pictures was refused", "403", "check GOOGLE_SERVICE_ACCOUNT"]);
}

#[test]
fn azure_blob_storage_is_read_with_an_accounts_key() {
    let (scratch, objects) = objects(3);
    let server = Server::start(objects, Some("SharedKey tester:"));
    let from = |account: &str, store: &str, more: &[&str]| {
        let mut command = extract("az://bucket/pictures", store, more);
        command.env("AZURE_ENDPOINT", server.url("")).env("AZURE_ALLOW_HTTP", "true");
        command.env("AZURE_STORAGE_ACCOUNT_NAME", account).env("AZURE_STORAGE_ACCOUNT_KEY", SECRET);
        command
    };
    is_as_good_as_a_folder(&scratch, &server, &|store, more| from("tester", store, more));
    let ran = run(from("stranger", &scratch.text("refused"), &[]));
    assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    ran.fails_with(&["az://bucket/pictures was refused", "403", "check AZURE_STORAGE_ACCOUNT_NAME"]);
    let mut unnamed = from("tester", &scratch.text("unnamed"), &[]);
    unnamed.env_remove("AZURE_STORAGE_ACCOUNT_NAME");
    run(unnamed).fails_with(&["az://bucket/pictures", "AZURE_STORAGE_ACCOUNT_NAME"]);
}

#[test]
fn https_is_read_where_the_system_or_ssl_cert_file_vouches_for_the_server() {
    let (scratch, objects) = objects(3);
    let (server, certificate) = Server::secure(objects);
    scratch.write("certificate.pem", certificate);
    let mut listing = "path,label\n".to_owned();
    for (class, i) in [("dark", 0), ("dark", 1), ("dark", 2), ("light", 0), ("light", 1), ("light", 2)] {
        let url = server.url(&format!("/bucket/pictures/{class}/{i}.png")).replace("http:", "https:");
        listing += &format!("{url},{class}\n");
    }
    scratch.write("list.csv", listing);
    let listing = scratch.text("list.csv");
    let from = |store: &str, more: &[&str]| {
        let mut command = extract(&listing, store, more);
        command.env("SSL_CERT_FILE", scratch.path("certificate.pem"));
        command
    };
    is_as_good_as_a_folder(&scratch, &server, &from);
    // A server that does not answer questions about what it has, but gives it.
    server.trouble("/bucket/pictures/dark/1.png", &[Trouble::Status(405)]);
    let again = run(from(&scratch.text("remote"), &["--json"]));
    assert_eq!((again.code, again.json()["reused"].as_u64()), (0, Some(6)), "{}", again.stderr);
    let mut stranger = from(&scratch.text("refused"), &["--retries", "1"]);
    stranger.env_remove("SSL_CERT_FILE");
    run(stranger).fails_with(&["https://127.0.0.1", "SSL_CERT_FILE"]);
}

#[test]
fn a_source_that_dies_is_named_and_the_run_goes_on_once_it_is_back() {
    let (scratch, objects) = objects(20);
    let server = Server::start(objects, Some(SIGNED));
    server.trouble("/bucket/pictures/light/7.png", &[Trouble::Silence; 10]);
    let (store, whole) = (scratch.text("store"), scratch.text("whole"));
    let ran = run(from_bucket(&server, &store, KEY, &["--retries", "1", "--workers", "1"]));
    assert!(ran.stderr.contains("light/7.png could not be read, with 1 retry: "), "{}", ran.stderr);
    ran.fails_with(&["s3://bucket/pictures/", "run the same command again once the source is back"]);
    server.trouble("/bucket/pictures/light/7.png", &[]);
    let again = run(from_bucket(&server, &store, KEY, &["--json", "--workers", "1"]));
    let (reused, computed) = (again.json()["reused"].as_u64(), again.json()["computed"].as_u64());
    assert_eq!(reused.zip(computed).map(|(reused, computed)| reused + computed), Some(40));
    assert!(reused > Some(20), "what was computed before is kept: {}", again.stdout);
    run(from_bucket(&server, &whole, KEY, &["--workers", "1"])).ok();
    assert_eq!(contents(&scratch.path("store")), contents(&scratch.path("whole")));
}

/// Shards in a scratch folder's `packed/`, and those that begin with `first` as objects of a bucket.
fn shards(first: &str) -> (Scratch, HashMap<String, Vec<u8>>) {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(7);
    ran(python("tests/reference/shards.py", &[&pictures, &scratch.text("packed")])).ok();
    let packed = contents(&scratch.path("packed"));
    let path = |name: &std::path::Path| format!("/bucket/shards/{}", name.display());
    let found = packed.into_iter().filter(|(name, _)| name.to_string_lossy().starts_with(first));
    let objects = found.map(|(name, bytes)| (path(&name), bytes)).collect();
    (scratch, objects)
}

/// An extraction of pictures that lie in a server's bucket.
fn from(server: &Server, pictures: &[&str], store: &str, more: &[&str]) -> Command {
    let mut command = extract(pictures[0], store, &[&pictures[1..], more].concat());
    of_server(&mut command, server, KEY);
    command
}

#[test]
fn tar_shards_of_a_bucket_give_the_store_of_the_files_to_the_bit() {
    let (scratch, objects) = shards("web-");
    let second = objects["/bucket/shards/web-001.tar"].clone();
    let server = Server::start(objects, Some(SIGNED));
    let local = scratch.text("local");
    run(extract(&scratch.text("packed/web-{000..002}.tar"), &local, &[])).ok();
    let each: Vec<String> = (0..3).map(|i| format!("s3://bucket/shards/web-00{i}.tar")).collect();
    let each: Vec<&str> = each.iter().map(String::as_str).collect();
    for (name, pictures) in [
        ("braces", &["s3://bucket/shards/web-{000..002}.tar"][..]),
        ("prefix", &["s3://bucket/shards"]),
        ("each", &each),
    ] {
        server.trouble("/bucket/shards/web-001.tar", &[Trouble::Status(503), Trouble::Cut, Trouble::Cut]);
        let (store, before) = (scratch.text(name), server.served().0);
        run(from(&server, pictures, &store, &["--workers", "2"])).ok();
        assert_eq!(features(&store), features(&local), "{name}");
        let listing = |store: &str| fs::read(scratch.path(store).join("listing.parquet")).expect("a listing");
        assert_eq!(listing(name), listing("local"), "{name}");
        let first = server.served().0 - before;
        let again = run(from(&server, pictures, &store, &["--json"]));
        assert_eq!((again.json()["reused"].as_u64(), again.json()["computed"].as_u64()), (Some(14), Some(0)), "{name}");
        // The tar files are known by their tags: no picture is asked for, nor what lies where; they are opened, and the prefix is listed.
        let asked = server.served().0 - before - first;
        assert!(asked <= 4, "{name}: {asked}");
        let known = scratch.path(name).join(".indexes");
        let kept = fs::read(&known).expect("indexes");
        run(from(&server, pictures, &store, &["--verify"])).ok();
        assert!(server.served().0 - before - first - asked > 14, "{name}: everything is read again");
        assert_eq!((fs::read(&known).expect("indexes"), features(&store)), (kept, features(&local)), "{name}");
    }
    // Another version of a tar file is gone through.
    server.swap("/bucket/shards/web-002.tar", second);
    let report = run(from(&server, &each, &scratch.text("each"), &["--json", "--prune"])).json();
    assert_eq!((report["pictures"].as_u64(), report["computed"].as_u64()), (Some(15), Some(0)), "{report}");
    assert!(is_discreet(&scratch.path("each")));
}

#[test]
fn below_a_prefix_hidden_files_are_left_out_and_names_are_those_of_files() {
    let (scratch, objects) = shards("web-");
    let tar = |name: &str| objects[&format!("/bucket/shards/{name}")].clone();
    fs::create_dir(scratch.path("named")).expect("a folder");
    let mut named = HashMap::new();
    for (name, bytes) in [("my shard.tar", tar("web-000.tar")), ("other.tar", tar("web-001.tar"))] {
        fs::write(scratch.path("named").join(name), &bytes).expect("a file");
        named.insert(format!("/bucket/named/{name}"), bytes);
    }
    named.insert("/bucket/named/._my shard.tar".to_owned(), vec![7; 4000]);
    let server = Server::start(named, Some(SIGNED));
    run(extract(&scratch.text("named"), &scratch.text("local"), &[])).ok();
    run(from(&server, &["s3://bucket/named"], &scratch.text("remote"), &[])).ok();
    let listing = |store: &str| fs::read(scratch.path(store).join("listing.parquet")).expect("a listing");
    assert_eq!(listing("remote"), listing("local"));
}

#[test]
fn what_stands_for_a_folder_is_no_file_and_a_name_that_is_no_path_is_said() {
    let (scratch, mut objects) = objects(2);
    for marker in ["/bucket/pictures/", "/bucket/pictures/dark/"] {
        objects.insert(marker.to_owned(), Vec::new());
    }
    objects.insert("/bucket/pictures/light/readme".to_owned(), Vec::new());
    // A prefix may be called as a file is.
    let moved: Vec<_> =
        objects.iter().map(|(path, bytes)| (path.replace("pictures", "all.tar"), bytes.clone())).collect();
    objects.extend(moved);
    objects.insert("/bucket/odd/a//b.png".to_owned(), vec![7]);
    let server = Server::start(objects, Some(SIGNED));
    for prefix in ["s3://bucket/pictures", "s3://bucket/all.tar/"] {
        let done = run(from(&server, &[prefix], &scratch.text("store"), &["--json"])).json();
        assert_eq!(done["pictures"].as_u64(), Some(4));
        let left = done["not_listed"].as_array().expect("a list").iter().map(|left| &left["path"]).collect::<Vec<_>>();
        assert_eq!(left, ["light/readme"]);
    }
    let odd = run(from(&server, &["s3://bucket/odd"], &scratch.text("odd"), &[]));
    odd.fails_with(&["s3://bucket/odd cannot be listed", "odd/a//b.png", "rename that object"]);
}

#[test]
fn a_tar_shard_behind_a_url_that_is_missing_or_damaged_is_one_sentence() {
    let (scratch, mut objects) = shards("web-");
    let whole = objects["/bucket/shards/web-000.tar"].clone();
    objects.insert("/cut.tar".to_owned(), whole[..1500].to_vec());
    objects.insert("/none.tar".to_owned(), vec![7; 4000]);
    let server = Server::start(objects, None);
    let store = scratch.text("store");
    for (path, words) in [
        ("/gone.tar", &["/gone.tar does not exist"][..]),
        ("/cut.tar", &["/cut.tar", "it was cut off"]),
        ("/none.tar", &["/none.tar", "it is no tar file"]),
    ] {
        let ran = run(from(&server, &[&server.url(path)], &store, &[]));
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        ran.fails_with(words);
    }
    let mixed = [&server.url("/cut.tar"), "pictures"];
    run(from(&server, &mixed, &store, &[])).fails_with(&["is a URL", "give shards or one prefix"]);
    let url = server.url("/bucket/shards/web-000.tar");
    let from_url = |more: &[&str]| run(from(&server, &[&url], &store, more));
    server.trouble("/bucket/shards/web-000.tar", &[Trouble::Silence; 10]);
    from_url(&["--retries", "1"]).fails_with(&[&url, "with 1 retry"]);
    // The index is read, then the tar file is another one.
    server.trouble("/bucket/shards/web-000.tar", &[Trouble::Fine, Trouble::Fine, Trouble::Status(412)]);
    from_url(&["--workers", "1"]).fails_with(&[&url, "has changed, or is gone, since its index was read"]);
    server.trouble("/bucket/shards/web-000.tar", &[Trouble::Whole; 20]);
    from_url(&["--retries", "0"]).fails_with(&[&url, "cannot be read in parts"]);
}

#[test]
fn parquet_shards_of_a_bucket_give_the_store_of_the_files_to_the_bit() {
    let (scratch, objects) = shards("t");
    assert_eq!(objects.len(), 2);
    let server = Server::start(objects, Some(SIGNED));
    let each = ["s3://bucket/shards/test-00000-of-00001.parquet", "s3://bucket/shards/train-00000-of-00001.parquet"];
    for (name, pictures, more) in [
        ("prefix", &["s3://bucket/shards"][..], &["--workers", "3"][..]),
        ("each", &each, &["--workers", "1", "--batch", "5"]),
        ("narrow", &each, &["--workers", "3", "--prefetch-bytes", "1"]),
        // Row groups of three, of which one row or two are wanted.
        ("third", &each, &["--workers", "2", "--shard", "1/3"]),
        ("bytes", &each, &["--workers", "2", "--precision", "int8", "--device", "cpu"]),
    ] {
        server.trouble(each[1].trim_start_matches("s3:/"), &[Trouble::Cut, Trouble::Status(503), Trouble::Cut]);
        let (store, local) = (scratch.text(name), scratch.text(&format!("{name}.local")));
        let before = server.served().0;
        run(from(&server, pictures, &store, more)).ok();
        let first = server.served().0 - before;
        run(extract(&scratch.text("packed/t*.parquet"), &local, more)).ok();
        let features = |store: &str| contents(&std::path::Path::new(store).join("features"));
        assert_eq!(features(&store), features(&local), "{name}");
        let listing = |store: &str| fs::read(std::path::Path::new(store).join("listing.parquet")).expect("a listing");
        assert_eq!(listing(&store), listing(&local), "{name}");
        let rows = if name == "third" { 5 } else { 14 };
        // The files are known by their tags: no row group is asked for, unless all is to be read.
        let groups = if name == "third" { 3 } else { 6 };
        let asked = [None, Some("--verify")].map(|verify| {
            let before = server.served().0;
            let more = [more, &["--json"], verify.as_slice()].concat();
            let again = run(from(&server, pictures, &store, &more));
            let (reused, computed) = (again.json()["reused"].as_u64(), again.json()["computed"].as_u64());
            assert_eq!((reused, computed), (Some(rows), Some(0)), "{name}");
            server.served().0 - before
        });
        assert!(asked[0] + groups <= first && asked[0] + groups <= asked[1], "{name} {first} {asked:?}");
    }
    assert!(is_discreet(&scratch.path("each")));
}

#[test]
fn a_damaged_page_is_skipped_by_its_rows_and_behind_a_url_with_the_rest_of_its_row_group() {
    let (scratch, mut objects) = shards("plain");
    let path = "/bucket/shards/plain.parquet";
    let mut bytes = objects.remove(path).expect("a Parquet file");
    // A picture's page: Zstandard frames begin with this number.
    let frames: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, w)| *w == b"\x28\xb5\x2f\xfd").map(|(place, _)| place).collect();
    let picture = frames[frames.len() - 8];
    bytes[picture..picture + 8].fill(0xee);
    fs::write(scratch.path("packed/plain.parquet"), &bytes).expect("written");
    objects.insert(path.to_owned(), bytes);
    let server = Server::start(objects, Some(SIGNED));
    let local = run(extract(&scratch.text("packed/plain.parquet"), &scratch.text("local"), &["--json"]));
    let remote = run(from(&server, &["s3://bucket/shards/plain.parquet"], &scratch.text("remote"), &["--json"]));
    assert_eq!((local.code, remote.code), (3, 3), "{}", remote.stderr);
    let skipped = |json: serde_json::Value| json["skipped"].as_array().expect("a list").clone();
    let (local, remote) = (skipped(local.json()), skipped(remote.json()));
    assert_eq!((local.len(), remote.len()), (1, 8), "{remote:?}");
    assert_eq!(local[0]["path"], remote[0]["path"]);
    for (row, skipped) in remote.iter().enumerate() {
        assert_eq!(skipped["path"], format!("plain.parquet: row {}", row + 6));
        let reason = skipped["reason"].as_str().expect("a reason");
        assert!(reason.starts_with(local[0]["reason"].as_str().expect("a reason")), "{reason}");
        assert!(reason.ends_with("(row 6, and with it the rest of its row group)"), "{reason}");
    }
}

#[test]
fn a_parquet_shard_behind_a_url_that_dies_changes_or_is_damaged_is_one_sentence() {
    let (scratch, mut objects) = shards("t");
    let path = "/bucket/shards/train-00000-of-00001.parquet";
    let whole = objects[path].clone();
    objects.insert("/cut.parquet".to_owned(), whole[..whole.len() - 9].to_vec());
    objects.insert("/short.parquet".to_owned(), b"PAR1".to_vec());
    let words: Vec<u8> = fs::read(scratch.path("packed/listing.parquet")).expect("a listing");
    objects.insert("/words.parquet".to_owned(), words);
    let server = Server::start(objects, None);
    let store = scratch.text("store");
    for (path, words) in [
        ("/gone.parquet", &["/gone.parquet does not exist"][..]),
        ("/cut.parquet", &["/cut.parquet cannot be used"]),
        ("/short.parquet", &["/short.parquet cannot be used"]),
        ("/words.parquet", &["/words.parquet", "it has no column of pictures"]),
    ] {
        let ran = run(from(&server, &[&server.url(path)], &store, &[]));
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        ran.fails_with(words);
    }
    let (first, url) = (server.url("/bucket/shards/test-00000-of-00001.parquet"), server.url(path));
    let before = server.served().0;
    run(from(&server, &[&url], &scratch.text("alone"), &[])).ok();
    // Seven rows in groups of three, each a request.
    let of_index = server.served().0 - before - 3;
    let from_urls = |store: &str, more: &[&str]| {
        run(from(
            &server,
            &[&first, &url],
            &scratch.text(store),
            &[&["--workers", "1", "--retries", "0"], more].concat(),
        ))
    };
    for (store, fault, words) in [
        ("changed", Trouble::Status(412), "has changed, or is gone, since its index was read"),
        ("gone", Trouble::Status(404), "has changed, or is gone, since its index was read"),
        ("dead", Trouble::Silence, "run the same command again once the source is back"),
        ("whole", Trouble::Whole, "cannot be read in parts"),
    ] {
        server.trouble(path, &[vec![Trouble::Fine; of_index], vec![fault; 9]].concat());
        from_urls(store, &[]).fails_with(&[&url, words]);
        server.trouble(path, &[]);
        let again = from_urls(store, &["--json"]);
        assert!(again.json()["reused"].as_u64() >= Some(7), "what was computed before is kept: {}", again.stdout);
        run(extract(&scratch.text("packed/t*.parquet"), &scratch.text("local"), &[])).ok();
        assert_eq!(features(&scratch.text(store)), features(&scratch.text("local")), "{store}");
    }
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

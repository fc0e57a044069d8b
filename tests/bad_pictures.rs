//! Pictures and listings that cannot be used: skipped, listed and counted, or refused in one sentence.

use std::fs;
use std::path::Path;

use image::ImageFormat;
use serde_json::Value;

use crate::util::{Scratch, encoded, extract, run};

/// A PNG header that promises 60,000 × 60,000 pixels, and nothing behind it.
fn huge_png() -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 2, 0, 0, 0]);
    png.extend(crc(&png[12..]).to_be_bytes());
    png.extend(b"\0\0\0\0IDAT");
    png
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn bad_pictures_are_skipped_listed_and_counted() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(2);
    let (png, jpeg) = (encoded(5, ImageFormat::Png), encoded(5, ImageFormat::Jpeg));
    scratch.write("pictures/dark/text.png", "this is not a picture");
    scratch.write("pictures/dark/empty.jpg", "");
    scratch.write("pictures/dark/cut.jpg", &jpeg[..jpeg.len() * 2 / 3]);
    scratch.write("pictures/dark/cut.png", &png[..png.len() / 2]);
    scratch.write("pictures/dark/huge.png", huge_png());
    scratch.write("pictures/dark/notes.txt", "left here by hand");
    let store = scratch.text("store");
    let ran = run(extract(&pictures, &store, &["--json"]));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let report = ran.json();
    assert_eq!((report["pictures"].as_u64(), report["computed"].as_u64()), (Some(9), Some(4)));
    let reason = |name: &str| {
        let skipped = report["skipped"].as_array().expect("a list");
        let entry =
            skipped.iter().find(|s| s["path"] == format!("dark/{name}")).unwrap_or_else(|| panic!("{name}: {report}"));
        entry["reason"].as_str().expect("text").to_owned()
    };
    assert!(reason("text.png").contains("not a picture"), "{}", reason("text.png"));
    assert!(
        reason("empty.jpg").contains("empty") || reason("empty.jpg").contains("no bytes"),
        "{}",
        reason("empty.jpg")
    );
    for name in ["cut.jpg", "cut.png"] {
        assert!(reason(name).contains("truncated") || reason(name).contains("cut short"), "{}", reason(name));
    }
    let huge = reason("huge.png");
    assert!(huge.contains("60000") && huge.contains("--max-megapixels"), "{huge}");
    assert_eq!(report["not_listed"][0]["path"], "dark/notes.txt");
    // The store lists them too, and a second run tries them again.
    let info = run(crate::util::tapline(&["info", &store, "--json"]));
    assert_eq!(info.code, 0, "{}", info.stderr);
    assert_eq!(info.json()["skipped_pictures"].as_array().map(Vec::len), Some(5));
    assert_eq!(run(extract(&pictures, &store, &[])).code, 3);
}

#[test]
fn strict_stops_at_the_first_bad_picture() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    scratch.write("pictures/dark/text.png", "this is not a picture");
    let store = scratch.text("store");
    let one = ["--strict", "--workers", "1"];
    run(extract(&pictures, &store, &one)).fails_with(&["dark/text.png", "--strict"]);
    // What was computed before it is kept.
    std::fs::remove_file(scratch.path("pictures/dark/text.png")).expect("removes");
    let report = run(extract(&pictures, &store, &["--strict", "--json"])).json();
    assert_eq!((report["reused"].as_u64(), report["computed"].as_u64()), (Some(1), Some(1)));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_a_picture_that_cannot_be_read() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    std::os::unix::fs::symlink("nowhere.png", scratch.path("pictures/dark/broken.png")).expect("a link");
    let ran = run(extract(&pictures, &scratch.text("store"), &["--json"]));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(ran.json()["skipped"][0]["path"], "dark/broken.png");
}

#[test]
fn a_missing_and_an_unreadable_path_of_a_table_are_skipped() {
    let scratch = Scratch::new();
    scratch.picture("a.png", 1);
    fs::create_dir(scratch.path("folder.png")).expect("a folder");
    let table = scratch.write("list.csv", "path,label,camera\na.png,x,7\nabsent.png,y,7\nfolder.png,y,8\n");
    let ran = run(extract(table.to_str().expect("UTF-8"), &scratch.text("store"), &["--json"]));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let skipped = ran.json()["skipped"].clone();
    let text = skipped.to_string();
    assert!(text.contains("absent.png") && text.contains("No such file") && text.contains("is not a file"), "{text}");
}

#[test]
fn of_a_missing_picture_it_is_told_what_is_there_instead() {
    let scratch = Scratch::new();
    scratch.picture("a/Ka\u{308}fer.png", 1);
    scratch.picture("a/b.png", 2);
    let rows = "a/K\u{e4}fer.png;x\r\na\\b.png;x\r\na/b.png;y\r\n;\r\n";
    let table = scratch.write("list.csv", format!("sep=;\r\npath;label\r\n{rows}"));
    let ran = run(extract(table.to_str().expect("UTF-8"), &scratch.text("store"), &["--json"]));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let skipped = ran.json()["skipped"].clone();
    let reason = |row: usize| skipped[row]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason(0).ends_with("written with other code points"), "{skipped}");
    assert!(reason(1).ends_with("written with / instead of \\"), "{skipped}");
}

#[test]
fn the_same_name_in_two_folders_and_odd_names_stay_apart() {
    let scratch = Scratch::new();
    scratch.picture("pictures/a/same.png", 1);
    scratch.picture("pictures/b/same.png", 101);
    scratch.picture("pictures/b/🐈 и кот.png", 102);
    scratch.picture("pictures/b/a.b.png", 103);
    scratch.picture("pictures/b/a.c.png", 104);
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe.png");
        fs::write(scratch.path("pictures/a").join(name), encoded(2, ImageFormat::Png)).expect("a file");
    }
    let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
    let done = run(extract(&pictures, &store, &["--json"])).json();
    assert_eq!((done["computed"].as_u64(), done["skipped"].as_array().map(Vec::len)), (Some(6), Some(0)));
    let rows = npy_rows(&Path::new(&store).join("features/pool1.mean.npy"));
    let different = rows.windows(2).all(|pair| pair[0] != pair[1]);
    assert!(rows.len() == 6 && different, "each picture has a row of its own");
}

/// The raw rows of a small float32 array.
fn npy_rows(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).expect("an array");
    let header = 10 + u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    bytes[header..].chunks(64 * 4).map(<[u8]>::to_vec).collect()
}

#[test]
fn folders_and_tables_that_cannot_be_listed_are_refused() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("empty")).expect("a folder");
    let table = |name: &str, text: &str| scratch.write(name, text).display().to_string();
    let cases = [
        (scratch.text("empty"), "holds no picture"),
        (scratch.text("absent"), "does not exist"),
        (table("nopath.csv", "file,label\na.png,x\n"), "path"),
        (table("twice.csv", "path,label\na.png,x\na.png,y\n"), "a.png"),
        (table("reserved.csv", "path,sha256\na.png,x\n"), "sha256"),
        (table("ragged.csv", "path,label\na.png,x,y\n"), "ragged.csv"),
    ];
    for (pictures, words) in cases {
        run(extract(&pictures, &scratch.text("store"), &[])).fails_with(&[words]);
    }
}

#[test]
fn every_kind_of_picture_becomes_a_row() {
    let scratch = Scratch::new();
    let formats = [
        ("a.png", ImageFormat::Png),
        ("b.jpg", ImageFormat::Jpeg),
        ("c.webp", ImageFormat::WebP),
        ("d.tiff", ImageFormat::Tiff),
        ("e.bmp", ImageFormat::Bmp),
        ("f.gif", ImageFormat::Gif),
        ("g.ppm", ImageFormat::Pnm),
    ];
    for (name, format) in formats {
        scratch.write(&format!("pictures/{name}"), encoded(1, format));
    }
    let done = run(extract(&scratch.text("pictures"), &scratch.text("store"), &["--json"])).json();
    assert_eq!(done["computed"], Value::from(formats.len()), "{done}");
}

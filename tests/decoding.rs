//! `--decode scaled` and `--bits`: large JPEGs with fewer pixels, deep pictures without their empty bits, everything else as it was, and
//! features that are kept apart. Of several pictures in a file the first.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage};

use crate::util::{Scratch, contents, encoded, extract, run, tapline};

/// A JPEG of 1.2 megapixels, which a network of 224 pixels may see at half its size.
fn photograph(scratch: &Scratch, name: &str, seed: u32) {
    let wave = |x: u32, by: f32| (x as f32 / by).sin();
    let picture = RgbImage::from_fn(1200, 1040, |x, y| {
        Rgb([0, 1, 2]
            .map(|c| (128.0 + 90.0 * wave(x + 40 * c, 70.0 + seed as f32) * wave(y, 50.0) + (x % 7) as f32) as u8))
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, ImageFormat::Jpeg).expect("encodes");
    scratch.write(name, bytes.into_inner());
}

fn rows(store: &str) -> Vec<Vec<f32>> {
    let bytes = fs::read(Path::new(store).join("features/pool1.mean.npy")).expect("an array");
    let values: Vec<f32> = bytes[128..].chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    values.chunks(64).map(<[f32]>::to_vec).collect()
}

#[test]
fn features_of_scaled_photographs_are_near_and_in_a_space_of_their_own() {
    let scratch = Scratch::new();
    (0..3).for_each(|seed| photograph(&scratch, &format!("pictures/{seed}.jpg"), seed));
    let (pictures, exact, scaled) = (scratch.text("pictures"), scratch.text("exact"), scratch.text("scaled"));
    run(extract(&pictures, &exact, &[])).ok();
    let report = run(extract(&pictures, &scaled, &["--decode", "scaled", "--json"])).json();
    assert_eq!(report["decode"], "scaled");
    for (a, b) in rows(&exact).iter().zip(rows(&scaled)) {
        assert_ne!(*a, b);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let cosine = dot(a, &b) / (dot(a, a) * dot(&b, &b)).sqrt();
        assert!(cosine > 0.99, "{cosine}");
    }
    let shown = run(tapline(&["info", &scaled])).ok();
    assert!(shown.contains("jpeg scaled while decoding (--decode scaled)"), "{shown}");
    run(extract(&pictures, &exact, &["--decode", "scaled"])).fails_with(&["--decode: exact, asked scaled"]);
    run(extract(&pictures, &scaled, &[])).fails_with(&["--decode: scaled, asked exact"]);
    let report = run(extract(&pictures, &scaled, &["--decode", "scaled", "--json"])).json();
    assert_eq!((report["computed"].as_u64(), report["reused"].as_u64()), (Some(0), Some(3)));
}

#[test]
fn small_pictures_and_other_formats_are_decoded_as_ever() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(2);
    scratch.write("pictures/dark/small.jpg", encoded(7, ImageFormat::Jpeg));
    let (exact, scaled) = (scratch.text("exact"), scratch.text("scaled"));
    run(extract(&pictures, &exact, &[])).ok();
    run(extract(&pictures, &scaled, &["--decode", "scaled"])).ok();
    assert_eq!(rows(&exact), rows(&scaled));
    let explicit = scratch.text("explicit");
    run(extract(&pictures, &explicit, &["--decode", "exact"])).ok();
    assert!(contents(Path::new(&exact)) == contents(Path::new(&explicit)), "exact is the default");
}

/// The same picture with 12 bits per sample in 16, and with 8.
fn deep_and_flat(scratch: &Scratch, name: &str, format: ImageFormat) {
    let sample = |x: u32, y: u32, c: u32| ((x * 113 + y * 71 + c * 997) % 4096) as u16;
    let deep = ImageBuffer::from_fn(60, 40, |x, y| Rgb([0, 1, 2].map(|c| sample(x, y, c))));
    let flat = RgbImage::from_fn(60, 40, |x, y| Rgb([0, 1, 2].map(|c| (sample(x, y, c) / 16) as u8)));
    for (folder, picture) in [("deep", DynamicImage::ImageRgb16(deep)), ("flat", DynamicImage::ImageRgb8(flat))] {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("encodes");
        scratch.write(&format!("{folder}/{name}"), bytes.into_inner());
    }
}

#[test]
fn pictures_of_twelve_bits_in_sixteen_are_told_and_read_with_bits() {
    let scratch = Scratch::new();
    deep_and_flat(&scratch, "a.png", ImageFormat::Png);
    deep_and_flat(&scratch, "b.tif", ImageFormat::Tiff);
    let (deep, flat) = (scratch.text("deep"), scratch.text("flat"));
    let (dark, twelve, eight) = (scratch.text("dark.store"), scratch.text("twelve.store"), scratch.text("eight.store"));
    let told = run(extract(&deep, &dark, &[]));
    assert!(
        told.stderr.contains("2 of 2 pictures with 16 bits per sample use no more than 12 bits"),
        "{}",
        told.stderr
    );
    assert!(told.stderr.contains("--bits 12"), "{}", told.stderr);
    let quiet = run(extract(&deep, &twelve, &["--bits", "12"]));
    assert_eq!(quiet.stderr, "");
    run(extract(&flat, &eight, &[])).ok();
    assert_eq!(rows(&twelve), rows(&eight));
    assert_ne!(rows(&dark), rows(&eight));

    assert!(run(tapline(&["info", &twelve])).ok().contains("12 of 16 bits (--bits)"));
    run(extract(&deep, &twelve, &[])).fails_with(&["--bits: 12, asked 16"]);
    let wrong = run(extract(&deep, &dark, &["--bits", "20"]));
    assert!(wrong.code == 2 && wrong.stderr.contains("expected 8 to 16"), "{}", wrong.stderr);
}

#[test]
fn a_scale_bar_and_a_picture_of_sixteen_bits_hide_none_of_twelve() {
    let scratch = Scratch::new();
    let write = |name: &str, most: u32| {
        // A bar of 1.3 % of the picture in full white.
        let is_bar = |x: u32, y: u32| y == 38 && (10..40).contains(&x);
        let sample = |x: u32, y: u32| if is_bar(x, y) { u16::MAX } else { ((x * 1129 + y * 7103) % most) as u16 };
        let picture = DynamicImage::ImageLuma16(ImageBuffer::from_fn(60, 40, |x, y| Luma([sample(x, y)])));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).expect("encodes");
        scratch.write(&format!("pictures/{name}"), bytes.into_inner());
    };
    write("twelve.png", 4096);
    write("sixteen.png", 65_536);
    let pictures = scratch.text("pictures");
    let told = run(extract(&pictures, &scratch.text("dark.store"), &[])).stderr;
    let dark = "1 of 2 pictures with 16 bits per sample uses no more than 12 bits";
    assert!(told.contains(dark) && told.lines().count() == 1, "{told}");
    let told = run(extract(&pictures, &scratch.text("twelve.store"), &["--bits", "12"])).stderr;
    let white = "1 of 2 pictures with 16 bits per sample uses more than 12 bits, up to 16";
    assert!(told.contains(white) && told.lines().count() == 1, "{told}");
}

/// A TIFF file of one page with that page once more.
fn twice(page: &[u8]) -> Vec<u8> {
    let number = |at: usize, len: usize| page[at..at + len].iter().rev().fold(0, |sum, &b| sum << 8 | usize::from(b));
    let start = number(4, 4);
    let end = start + 2 + 12 * number(start, 2);
    let mut bytes = page.to_vec();
    bytes[end..end + 4].copy_from_slice(&(page.len() as u32).to_le_bytes());
    bytes.extend(&page[start..end]);
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn files_of_several_pictures_are_counted() {
    let scratch = Scratch::new();
    let page = encoded(3, ImageFormat::Tiff);
    scratch.write("single/a.tif", &page);
    scratch.write("stack/a.tif", twice(&page));
    let (single, stack) = (scratch.text("single.store"), scratch.text("stack.store"));
    let quiet = run(extract(&scratch.text("single"), &single, &["--json"]));
    assert_eq!((quiet.json()["first_of_several"].as_u64(), quiet.stderr.as_str()), (Some(0), ""));
    let told = run(extract(&scratch.text("stack"), &stack, &["--json"]));
    assert_eq!((told.code, told.json()["first_of_several"].as_u64()), (0, Some(1)));
    assert!(told.stderr.contains("1 file holds several pictures"), "{}", told.stderr);
    assert_eq!(rows(&single), rows(&stack));
}

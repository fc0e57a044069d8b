//! 20,000 damaged pictures of every format that is read: an error or a picture, never a panic, a hang or much memory.

#[path = "../../../tests/mutate.rs"]
mod mutate;

use std::fs;
use std::path::Path;

use mutate::{Random, mutated, soberly};
use tapline_core::{Channels, Digest, Interpolation, Preprocess, Resize, Views};
use tapline_image::{Limits, Scratch, decode, preprocess_views};

const MUTANTS: u64 = 20_000;

/// Far above the sound pictures, which have up to 64 × 64 pixels, so that blown-up sizes are met on both sides of it.
const LIMITS: Limits = Limits { max_pixels: 1 << 20, max_bytes: 16 << 20 };

/// What one picture may hold: a decoder's limit, half as much again where 16-bit samples are cut to 8, and the file's own
/// bytes, the network's input and tables for resizing.
const BOUND: usize = (16 << 20) * 3 / 2 + (4 << 20);

/// The sound pictures of the golden tests, by name.
fn sound() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let endings = ["jpg", "png", "gif", "bmp", "webp", "tif", "pnm"];
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("goldens")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)))
        .map(|path| (path.file_name().expect("a name").display().to_string(), fs::read(path).expect("a picture")))
        .collect();
    found.sort();
    found
}

/// Decodes and prepares a picture, as an extraction does.
fn read(bytes: &[u8]) -> bool {
    let how = Preprocess {
        resize: Resize::ShortSide(20),
        height: 16,
        width: 16,
        interpolation: Interpolation::Bicubic,
        channels: Channels::Rgb,
        scale: 1.0,
        mean: vec![0.0; 3],
        std: vec![1.0; 3],
    };
    let Ok(picture) = decode(bytes, &LIMITS) else { return false };
    assert_eq!(picture.pixels.len(), picture.width as usize * picture.height as usize * picture.channels);
    let mut input = vec![f32::NAN; how.values()];
    preprocess_views((&picture, &Digest::of(bytes)), (&how, Views::Centre), &mut Scratch::default(), &mut input);
    assert!(input.iter().all(|value| (-255.0..=511.0).contains(value)), "a number for every pixel");
    true
}

#[test]
fn a_damaged_picture_is_an_error_or_a_picture() {
    let sound = sound();
    assert!(sound.len() > 60, "{} sound pictures", sound.len());
    let (mut decoded, mut refused) = (0, 0);
    for seed in 0..MUTANTS {
        let (name, bytes) = &sound[seed as usize % sound.len()];
        let bytes = mutated(bytes, &mut Random::new(seed));
        match soberly(&format!("{name}, seed {seed}"), BOUND, move || read(&bytes)) {
            true => decoded += 1,
            false => refused += 1,
        }
    }
    println!("{decoded} decoded, {refused} refused");
    assert!(decoded > MUTANTS / 20 && refused > MUTANTS / 20, "{decoded} decoded, {refused} refused");
}

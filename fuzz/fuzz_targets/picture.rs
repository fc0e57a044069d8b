//! Pictures of every format: decoded, upright, at eight bits.

#![no_main]

mod seeds;

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapline_image::{Error, Limits, decode};

const LIMITS: Limits = Limits { max_pixels: 1 << 18, max_bytes: 16 << 20 };

fn write_seeds() {
    seeds::let_panics_be_caught();
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tapline-image/tests/goldens");
    for entry in fs::read_dir(goldens).expect("goldens").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if ![".py", ".csv", ".raw"].iter().any(|ending| name.ends_with(ending)) {
            seeds::write("picture", &name, &fs::read(entry.path()).expect("a picture"));
        }
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    match decode(bytes, &LIMITS) {
        Ok(picture) => {
            assert_eq!(picture.pixels.len(), picture.width as usize * picture.height as usize * picture.channels);
        }
        Err(Error::TooLarge { .. } | Error::TooLong { .. }) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

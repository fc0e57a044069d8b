//! Pictures of every format: decoded, upright, at eight bits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapline_image::{Error, Limits, decode};

const LIMITS: Limits = Limits { max_pixels: 1 << 18, max_bytes: 16 << 20 };

fuzz_target!(|bytes: &[u8]| {
    match decode(bytes, &LIMITS) {
        Ok(picture) => {
            assert_eq!(picture.pixels.len(), picture.width as usize * picture.height as usize * picture.channels);
        }
        Err(Error::TooLarge { .. } | Error::TooLong { .. }) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

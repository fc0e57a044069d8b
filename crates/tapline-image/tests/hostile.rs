//! Small files made to cost much memory or time: what they ask for is refused or passed over, and soberly.

#[allow(dead_code, reason = "only the guard is needed here")]
#[path = "../../../tests/mutate.rs"]
mod mutate;

use std::fs;
use std::path::Path;

use mutate::soberly;
use tapline_image::{Limits, decode};

/// What one of these files may hold, far less than it asks for.
const BOUND: usize = 64 << 20;

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)).expect(name)
}

/// Decodes a file under guard, to its error's words and causes.
fn check_refused(what: &str, bytes: Vec<u8>, expected: &str) {
    let error = soberly(what, BOUND, move || decode(&bytes, &Limits::default())).expect_err(what);
    assert!(format!("{error:?}").contains(expected), "{what}: {error:?}");
}

#[test]
fn jpeg_far_larger_than_its_strip_is_refused() {
    let mut bytes = golden("jpeg.tif");
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
    check_refused("TIFF of 805 MB of JPEG", bytes, "holds JPEG of 16384 × 16384");
}

#[test]
fn lossless_data_far_longer_than_their_pixels_are_refused() {
    let mut bytes = golden("lossless.webp");
    assert_eq!(&bytes[12..16], b"VP8L");
    let len = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]) + 100_000;
    bytes[16..20].copy_from_slice(&len.to_le_bytes());
    bytes.resize(bytes.len() + 100_000, 0);
    check_refused("WebP with 100 kB of codes", bytes, "are more than 693 pixels can need");
}

#[test]
fn a_profile_that_inflates_without_end_is_passed_over() {
    let plain = golden("one-pixel.png");
    // The header comes first: eight bytes of signature and 25 of the chunk.
    let profile = png_chunk(b"iCCP", &[b"p\0\0".as_slice(), &zeros_deflated(100_000_000)].concat());
    let bytes = [&plain[..33], &profile, &plain[33..]].concat();
    assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
    let picture = soberly("PNG with a profile of 100 MB", BOUND, move || decode(&bytes, &Limits::default()));
    assert_eq!(picture.expect("a picture"), decode(&plain, &Limits::default()).expect("a picture"));
}

#[test]
fn thousands_of_parts_of_one_xmp_packet_are_passed_over() {
    let plain = golden("cmyk-420.jpg");
    let mut part = b"\xff\xe1\0\x4dhttp://ns.adobe.com/xmp/extension/\0".to_vec();
    part.extend([b'0'; 32]); // whose packet
    part.extend([0, 0, 0, 1, 0, 0, 0, 0]); // one byte long in all, this part from its first on
    assert_eq!(part.len(), 2 + 0x4d);
    let bytes = [&plain[..2], &part.repeat(60_000), &plain[2..]].concat();
    let picture = soberly("JPEG with XMP in 60,000 parts", BOUND, move || decode(&bytes, &Limits::default()));
    assert_eq!(picture.expect("a picture"), decode(&plain, &Limits::default()).expect("a picture"));
}

/// So many zeros by zlib (RFC 1950 and 1951): one literal, then matches of 258 bytes at distance 1, all in fixed codes.
///
/// Without the checksum: nobody gets that far.
fn zeros_deflated(len: usize) -> Vec<u8> {
    let mut bits: Vec<u8> = Vec::new();
    let mut bytes: Vec<u8> = vec![0x78, 0x01];
    bits.extend([1, 1, 0]); // the last block, fixed codes
    bits.extend([0, 0, 1, 1, 0, 0, 0, 0]); // literal 0
    for _ in 0..len / 258 {
        bits.extend([1, 1, 0, 0, 0, 1, 0, 1]); // length 258
        bits.extend([0, 0, 0, 0, 0]); // distance 1
    }
    bits.extend([0, 0, 0, 0, 0, 0, 0]); // the end
    for eight in bits.chunks(8) {
        bytes.push(eight.iter().rev().fold(0, |sum: u8, bit: &u8| sum << 1 | bit));
    }
    bytes
}

fn png_chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
    let body = [name, data].concat();
    [&(data.len() as u32).to_be_bytes()[..], &body, &crc32(&body).to_be_bytes()].concat()
}

/// The checksum of a PNG's chunks (PNG, annex D).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

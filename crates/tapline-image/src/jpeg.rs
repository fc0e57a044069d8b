//! JPEG, to the same bytes as libjpeg-turbo.
//!
//! `image`'s own decoder, zune-jpeg, upsamples chroma and converts colours with other roundings (up to 9 of 255 off on
//! photographs) and paints over truncated data; this one agrees with Pillow to the bit and is strict.

use std::borrow::Cow;

use image::ImageFormat;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat, ScalingFactor};
use tapline_core::Bits;

use crate::decode::{check_room, check_size};
use crate::orientation::{self, Orientation};
use crate::{Error, Limits, Picture, colour, raster};

const FORMAT: &str = "JPEG";

/// The most scans of one picture: progressive files have about ten, a file with thousands only burns time.
const MAX_SCANS: usize = 500;

/// Scans that a picture may have, however large it is and however it is coded.
pub(crate) const FEW_SCANS: usize = 20;

/// The most pixels of all scans together, where there are more than a few: an empty scan takes a few bytes of the file, and
/// time for each of its pixels.
const MAX_SCANNED_PIXELS: u64 = 2_000_000_000;

/// What a segment begins with that holds a part of a long XMP packet.
const EXTENDED_XMP: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";

/// By how much the sides of an upright picture of `(width, height)` are divided: 1, 2, 4 or 8.
pub(crate) type Shrink<'a> = &'a dyn Fn((u32, u32)) -> u32;

/// The picture in a JPEG file, shrunk while it is decoded. Missing scans, rows or the end marker are errors.
///
/// CMYK with coarse black, for which there is another decoder, is not shrunk.
pub(crate) fn decode(bytes: &[u8], limits: &Limits, shrink: Shrink) -> Result<Picture, Error> {
    // The size comes first, from the header alone; then the whole file is walked under the same limits.
    let header = Decoder::new_header_only(bytes, DecodeLimits::default()).map_err(|e| refuse(e, (0, 0), limits))?;
    let size = (header.header().width as u64, header.header().height as u64);
    check_size(FORMAT, size.0, size.1, limits)?;
    if !has_end_marker(bytes) {
        return Err(Error::Broken { format: FORMAT, source: "the end marker (ff d9) is missing".into() });
    }
    let scans = most_scans(size.0 * size.1, header.is_arithmetic());
    if has_coarse_black(&header) {
        // Only the scans are counted here: what else is wrong is for the other decoder to say.
        let walked = Decoder::new_with_limits(bytes, decoder_limits(limits, scans));
        if let Err(cause @ JpegError::LimitExceeded { .. }) = walked {
            return Err(refuse(cause, size, limits));
        }
        return raster::decode(bytes, (ImageFormat::Jpeg, FORMAT), limits, Bits::ALL);
    }
    check_room(FORMAT, size, size.0 * size.1 * Limits::PIXEL_BYTES)?;

    let mut decoder =
        Decoder::new_with_limits(bytes, decoder_limits(limits, scans)).map_err(|e| refuse(e, size, limits))?;
    let frame = decoder.header();
    let (width, height, components) = (u32::from(frame.width), u32::from(frame.height), frame.components.len());
    if frame.precision != 8 {
        let kind = format!("{} bits per sample", frame.precision);
        return Err(Error::UnreadKind { format: FORMAT, kind, remedy: "with 8 bits per sample" });
    }
    decoder.set_output_format(match components {
        1 => PixelFormat::Grayscale,
        3 => PixelFormat::Rgb,
        4 => PixelFormat::Cmyk,
        _ => {
            let kind = format!("{components} components");
            return Err(Error::UnreadKind { format: FORMAT, kind, remedy: "as grey or RGB" });
        }
    });
    let orientation = orientation_of(&decoder);
    let factor = shrink(if orientation::swaps(orientation) { (height, width) } else { (width, height) });
    decoder.set_scale(ScalingFactor::try_new(1, factor).expect("1, 2, 4 or 8"));
    let decoded = decoder.decode_image().map_err(|e| refuse(e, size, limits))?;
    let (channels, pixels) = match components {
        1 => (1, decoded.data),
        3 => (3, decoded.data),
        _ => (3, colour::rgb_of_inverted_cmyk(&decoded.data)),
    };
    let (width, height) = (decoded.width as u32, decoded.height as u32);
    Ok(orientation::upright(Picture { width, height, channels, pixels, depth: None, has_more: false }, orientation))
}

/// Whether black is stored at a lower resolution than cyan, as only unusual writers of CMYK do.
///
/// The strict decoder fails on most such files, by a defect of its own; zune-jpeg reads them, within a few levels.
fn has_coarse_black(decoder: &Decoder) -> bool {
    let sampling = |i: usize| {
        let component = decoder.header().components.get(i)?;
        Some((component.horizontal_sampling, component.vertical_sampling))
    };
    sampling(3).is_some_and(|black| Some(black) != sampling(0))
}

/// What EXIF says, else what XMP says.
fn orientation_of(decoder: &Decoder) -> Orientation {
    let exif = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    exif.or_else(|| decoder.xmp_data().and_then(orientation::from_xmp)).unwrap_or(Orientation::NoTransforms)
}

/// Whether an end-of-image marker follows the first scan, whatever comes after it (videos, in some phones' files).
///
/// The decoder is content without; Pillow is not, and neither are we: it is the one sign of a last scan cut short.
fn has_end_marker(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    let mut at = 2;
    while let Some(&[first, kind, high, low]) = bytes.get(at..at + 4) {
        if first != 0xff || kind == 0xff || kind == 0 {
            at += 1; // fill or stray bytes between segments
        } else if kind == START_OF_SCAN {
            // Inside a scan 0xff is followed by 0 or a restart marker, never by 0xd9.
            return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]);
        } else {
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
        }
    }
    false
}

/// The most scans of a picture of so many pixels. Arithmetic coding makes numbers of no data at all, and slowly.
fn most_scans(pixels: u64, is_arithmetic: bool) -> usize {
    if is_arithmetic {
        return FEW_SCANS;
    }
    let scans = MAX_SCANNED_PIXELS / pixels.max(1);
    scans.clamp(FEW_SCANS as u64, MAX_SCANS as u64) as usize
}

/// A file whose long XMP packets are not known for such, for zune-jpeg, which goes through all their segments again at each.
///
/// Their first byte is changed wherever they are, so that it does not matter how that decoder finds its way to them. Pixels do
/// not look like this, and it never reads orientation from there.
pub(crate) fn without_extended_xmp(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut harmless = Cow::Borrowed(bytes);
    let mut from = 0;
    let is_start = |window: &[u8]| window[0] == EXTENDED_XMP[0] && window == EXTENDED_XMP;
    while let Some(next) = bytes[from..].windows(EXTENDED_XMP.len()).position(is_start) {
        harmless.to_mut()[from + next] = b'-';
        from += next + EXTENDED_XMP.len();
    }
    harmless
}

fn decoder_limits(limits: &Limits, max_scans: usize) -> DecodeLimits {
    DecodeLimits {
        max_pixels: limits.max_pixels,
        max_memory: Some(limits.max_bytes),
        max_scans,
        ..DecodeLimits::default()
    }
}

fn refuse(cause: JpegError, (width, height): (u64, u64), limits: &Limits) -> Error {
    match cause {
        JpegError::LimitExceeded { what: "estimated decode memory", .. } | JpegError::AllocationFailed { .. } => {
            Error::TooMuchMemory { format: FORMAT, width, height, max_bytes: limits.max_bytes }
        }
        JpegError::Unsupported(what) => Error::UnsupportedMode { format: FORMAT, source: what.into() },
        other => Error::Broken { format: FORMAT, source: other.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: bool) {
        assert_eq!(has_end_marker(bytes), expected, "{bytes:02x?}");
    }

    #[test]
    fn the_end_marker_counts_only_after_the_first_scan() {
        let comment = [0xff, 0xd8, 0xff, 0xfe, 0, 4, 0xff, 0xd9]; // an end marker inside a comment, as in a thumbnail
        let scan = [0xff, 0xda, 0, 2, 17, 34, 0xff, 0];
        check(&comment, false);
        check(&[&comment[..], &scan].concat(), false);
        check(&[&comment[..], &scan, &[0xff, 0xd9]].concat(), true);
        check(&[&comment[..], &[0, 0xff], &scan, &[0xff, 0xd9, 0xff, 0xda, 0]].concat(), true);
        check(&[], false);
    }

    #[test]
    fn large_pictures_may_have_fewer_scans_and_all_of_them_a_few() {
        for (pixels, expected) in [(1, 500), (4_000_000, 500), (10_000_000, 200), (100_000_000, 20), (u64::MAX, 20)] {
            assert_eq!(most_scans(pixels, false), expected, "{pixels} pixels");
            assert_eq!(most_scans(pixels, true), 20, "{pixels} pixels, arithmetic");
        }
        assert_eq!(most_scans(0, false), 500);
    }

    #[test]
    fn kinds_that_are_not_read_are_told_with_what_to_do() {
        // Pictures of 64 × 64 with samples of so many bits in one or two channels, and no data.
        let told = |bits: u8, channels: &[u8]| {
            let frame = [&[0xff, 0xd8, 0xff, 0xc1, 0, 7 + channels.len() as u8, bits, 0, 64, 0, 64], channels].concat();
            let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0xff, 0xd9];
            crate::decode(&[&frame[..], &scan].concat(), &Limits::default()).expect_err("not read").to_string()
        };
        let deep = told(12, &[1, 1, 0x11, 0]);
        assert_eq!(deep, "JPEG with 12 bits per sample is not read: save it with 8 bits per sample");
        let two = told(8, &[2, 1, 0x11, 0, 2, 0x11, 0]);
        assert_eq!(two, "JPEG with 2 components is not read: save it as grey or RGB");
    }

    #[test]
    fn many_scans_of_arithmetic_coding_are_refused_before_they_are_decoded() {
        let refused = |scans: usize| {
            // A grey picture of 64 × 64, and scans without data.
            let frame = [0xff_u8, 0xd8, 0xff, 0xca, 0, 11, 8, 0, 64, 0, 64, 1, 1, 0x11, 0];
            let scan = [0xff_u8, 0xda, 0, 8, 1, 1, 0, 0, 0, 0];
            let bytes = [&frame[..], &scan.repeat(scans), &[0xff, 0xd9]].concat();
            let decoded = crate::decode(&bytes, &Limits::default());
            format!("{decoded:?}").contains("scan count")
        };
        assert!(!refused(20));
        assert!(refused(21));
    }

    #[test]
    fn long_xmp_is_made_unknown_and_nothing_else_is_touched() {
        let plain = b"\xff\xd8 http://ns.adobe.com/xap/1.0/\0";
        assert!(matches!(without_extended_xmp(plain), Cow::Borrowed(same) if same == plain));
        let twice = [EXTENDED_XMP, plain, EXTENDED_XMP, b"end"].concat();
        let unknown = [b"-".as_slice(), &EXTENDED_XMP[1..]].concat();
        let expected = [unknown.as_slice(), plain, &unknown, b"end"].concat();
        assert_eq!(without_extended_xmp(&twice).into_owned(), expected);
    }
}

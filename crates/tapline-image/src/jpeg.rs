//! JPEG, to the same bytes as libjpeg-turbo.
//!
//! `image`'s own decoder, zune-jpeg, upsamples chroma and converts colours with other roundings (up to 9 of 255 off on
//! photographs) and paints over truncated data; this one agrees with Pillow to the bit and is strict.

use image::ImageFormat;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat, ScalingFactor};
use tapline_core::Bits;

use crate::decode::{check_room, check_size};
use crate::orientation::{self, Orientation};
use crate::{Error, Limits, Picture, colour, raster};

const FORMAT: &str = "JPEG";

/// The most scans of one picture: progressive files have about ten, a file with thousands only burns time.
const MAX_SCANS: usize = 500;

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
    if has_coarse_black(&header) {
        return raster::decode(bytes, (ImageFormat::Jpeg, FORMAT), limits, Bits::ALL);
    }
    check_room(FORMAT, size, size.0 * size.1 * Limits::PIXEL_BYTES)?;

    let mut decoder = Decoder::new_with_limits(bytes, decoder_limits(limits)).map_err(|e| refuse(e, size, limits))?;
    let frame = decoder.header();
    let (width, height, components) = (u32::from(frame.width), u32::from(frame.height), frame.components.len());
    if frame.precision != 8 {
        let source = format!("{} bits per sample", frame.precision).into();
        return Err(Error::UnsupportedMode { format: FORMAT, source });
    }
    decoder.set_output_format(match components {
        1 => PixelFormat::Grayscale,
        3 => PixelFormat::Rgb,
        4 => PixelFormat::Cmyk,
        _ => {
            let source = format!("{components} components").into();
            return Err(Error::UnsupportedMode { format: FORMAT, source });
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
    Ok(orientation::upright(Picture { width, height, channels, pixels, largest: None }, orientation))
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

fn decoder_limits(limits: &Limits) -> DecodeLimits {
    DecodeLimits {
        max_pixels: limits.max_pixels,
        max_memory: Some(limits.max_bytes),
        max_scans: MAX_SCANS,
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
    use super::has_end_marker;

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
}

//! From a file's bytes to 8-bit pixels.
//!
//! One door for all formats: size limits, and the promise that no input panics, are kept here once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::ImageFormat;
use tapline_core::{Bits, Decode, Preprocess, Views};

use crate::jpeg::Shrink;
use crate::scale::factor;
use crate::{Error, jpeg, raster, tiff};

/// What one picture may cost, checked against its header before memory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most pixels, `width · height`.
    pub max_pixels: u64,
    /// The most bytes a decoder may take; cutting 16-bit samples to 8 may take half as much again.
    pub max_bytes: u64,
}

impl Limits {
    /// Bytes per pixel of the greediest common picture, a progressive JPEG in colour: 3 of the result, 3 of its
    /// planes, 6 of coefficients and a little more. 16-bit RGBA takes 8.
    pub(crate) const PIXEL_BYTES: u64 = 13;

    /// Up to `n` million pixels, and the memory that a colour picture of that many may take, at least 256 MiB.
    pub const fn megapixels(n: u32) -> Self {
        let max_pixels = n as u64 * 1_000_000;
        let (of_pixels, least) = (max_pixels * Self::PIXEL_BYTES, 256 << 20);
        Self { max_pixels, max_bytes: if of_pixels > least { of_pixels } else { least } }
    }
}

impl Default for Limits {
    /// 100 million pixels: above any camera's single shot in wide use, and near the size (89,478,485) from which
    /// Pillow warns of a decompression bomb.
    fn default() -> Self {
        Self::megapixels(100)
    }
}

/// The longest side of a picture, in pixels: JPEG ends at 65,535, and tables for resizing grow with the side.
const MAX_SIDE: u64 = 1_000_000;

/// A decoded picture, upright (orientation applied).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns, 1 to 1,000,000.
    pub width: u32,
    /// Rows, 1 to 1,000,000.
    pub height: u32,
    /// 1 (grey) or 3 (red, green, blue). Grey stays one channel: it is resized once and widened last.
    pub channels: usize,
    /// Rows from the top, `[height, width, channels]`, u8.
    pub pixels: Vec<u8>,
    /// How many bits its samples use, of a file with 16 for each; none of others. Scale bars and stray bright pixels do not
    /// count, nor does alpha.
    pub depth: Option<Bits>,
    /// Whether more pictures follow it in the file, which are not decoded: pages of TIFF, frames of GIF, APNG and WebP.
    pub has_more: bool,
}

/// The first frame of a picture as upright 8-bit grey or RGB; the crate's root states the rules.
///
/// A decoder that panics becomes [`Error::DecoderPanicked`] (under `panic = "abort"` it ends the process instead).
///
/// # Errors
/// For bytes that are no picture, or not one that is read, and for one beyond the limits.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, Error> {
    decode_deep(bytes, limits, Bits::ALL)
}

/// As [`decode`](fn@decode), with the upper 8 of `bits` where samples have 16.
///
/// # Errors
/// As [`decode`](fn@decode).
pub fn decode_deep(bytes: &[u8], limits: &Limits, bits: Bits) -> Result<Picture, Error> {
    decode_shrunk(bytes, limits, bits, &|_| 1)
}

/// As [`decode_deep`], with no more pixels of a large JPEG than `views` of it need, where that is asked for.
///
/// The scaled pixels are those of Pillow's `draft`, and the picture has at least twice the sides that it is resized to.
///
/// # Errors
/// As [`decode`](fn@decode).
pub fn decode_for(
    bytes: &[u8],
    limits: &Limits,
    (how, views): (&Preprocess, Views),
    (decode, bits): (Decode, Bits),
) -> Result<Picture, Error> {
    match decode {
        Decode::Exact => decode_deep(bytes, limits, bits),
        Decode::Scaled => decode_shrunk(bytes, limits, bits, &|size| factor(size, how, views)),
    }
}

fn decode_shrunk(bytes: &[u8], limits: &Limits, bits: Bits, shrink: Shrink) -> Result<Picture, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let format = match image::guess_format(bytes) {
        Ok(format) => format,
        Err(_) if tiff::is_big(bytes) => ImageFormat::Tiff,
        Err(_) => return Err(Error::NotAPicture),
    };
    let name = name_of(format)?;
    without_panics(name, || match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, limits, shrink),
        ImageFormat::Tiff => {
            raster::decode(bytes, (format, name), limits, bits).map_err(|error| tiff::in_own_words(error, bytes))
        }
        _ => raster::decode(bytes, (format, name), limits, bits),
    })
}

/// What `work` gives, a panic of the decoder turned into an error: one bad file must not end a run of thousands.
fn without_panics(format: &'static str, work: impl FnOnce() -> Result<Picture, Error>) -> Result<Picture, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Error::DecoderPanicked { format }))
}

/// Refuses a header that asks for no pixel, or for more than the limit.
pub(crate) fn check_size(format: &'static str, width: u64, height: u64, limits: &Limits) -> Result<(), Error> {
    if width == 0 || height == 0 {
        return Err(Error::Broken { format, source: format!("its size is {width} × {height}").into() });
    }
    if width.saturating_mul(height) > limits.max_pixels {
        return Err(Error::TooLarge { width, height, max_pixels: limits.max_pixels });
    }
    if width.max(height) > MAX_SIDE {
        return Err(Error::TooLong { width, height, max_side: MAX_SIDE });
    }
    Ok(())
}

/// Refuses a picture that the system has no room for: a decoder that finds out in the middle ends the process.
///
/// Other threads may still take what is found free here; then their own pictures are refused.
pub(crate) fn check_room(format: &'static str, (width, height): (u64, u64), bytes: u64) -> Result<(), Error> {
    let mut room = Vec::<u8>::new();
    let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
    room.try_reserve_exact(wanted).map_err(|_| Error::NoRoom { format, width, height, bytes })
}

/// The name of a format that is read.
fn name_of(format: ImageFormat) -> Result<&'static str, Error> {
    Ok(match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Pnm => "PNM",
        other => return Err(Error::UnreadFormat { format: format!("{other:?}").to_uppercase() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &str) {
        let message = decode(bytes, &Limits::default()).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn no_bytes_no_picture_and_unread_formats_are_told_apart() {
        check(b"", "0 bytes");
        check(b"hello, this is a text and no picture", "expected PNG, JPEG, WebP, TIFF, BMP, GIF or PNM");
        check(b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B", "AVIF");
    }

    #[test]
    fn a_size_over_the_limit_is_refused_from_the_header() {
        check(
            b"P5 60000 60000 255\n",
            "60000 × 60000 pixels, more than the limit of 100000000: shrink it, or allow it with --max-megapixels 3600",
        );
        check(b"P5 10001 10000 255\n", "--max-megapixels 101");
    }

    #[test]
    fn a_strip_longer_than_any_camera_makes_is_refused_from_the_header() {
        check(b"P5 1000001 1 255\n", "1000001 × 1 pixels, longer than 1000000: cut it into tiles or shrink it");
        check(b"P5 1 99000000 255\n", "1 × 99000000 pixels, longer than 1000000");
        let strip = [&b"P5 1000000 1 255\n"[..], &[7; 1_000_000]].concat();
        assert_eq!(decode(&strip, &Limits::default()).expect("the longest").width, 1_000_000);
    }

    #[test]
    fn the_memory_follows_from_the_pixels() {
        let check = |n: u32, max_bytes: u64| {
            assert_eq!(Limits::megapixels(n), Limits { max_pixels: u64::from(n) * 1_000_000, max_bytes });
        };
        check(0, 256 << 20);
        check(1, 256 << 20);
        check(100, 1_300_000_000);
        check(u32::MAX, u64::from(u32::MAX) * 13_000_000);
        assert_eq!(Limits::default(), Limits::megapixels(100));
        let poor = Limits { max_pixels: 100, max_bytes: 3 };
        let message = decode(b"P5 2 2 255\n\0\0\0\0", &poor).expect_err("too much memory").to_string();
        assert!(message.ends_with("more than 3 bytes: shrink it, or allow more with --max-megapixels"), "{message}");
    }

    #[test]
    fn the_limits_are_the_callers() {
        let tight = Limits { max_pixels: 3, max_bytes: 1 << 20 };
        assert!(matches!(decode(b"P5 2 2 255\n\0\0\0\0", &tight), Err(Error::TooLarge { max_pixels: 3, .. })));
        let poor = Limits { max_pixels: 100, max_bytes: 3 };
        assert!(matches!(decode(b"P5 2 2 255\n\0\0\0\0", &poor), Err(Error::TooMuchMemory { max_bytes: 3, .. })));
    }

    #[test]
    fn a_picture_without_room_is_refused_before_it_is_decoded() {
        let message = check_room("PNG", (70_000, 70_000), u64::MAX).expect_err("no machine has that").to_string();
        assert!(message.contains("70000 × 70000 pixels of PNG may take 18446744073709551615 bytes"), "{message}");
        check_room("PNG", (70, 70), 4900).expect("room");
    }

    #[test]
    fn a_panic_of_a_decoder_becomes_an_error() {
        let message = without_panics("PNG", || panic!("on purpose")).expect_err("a panic").to_string();
        assert!(message.contains("the PNG decoder gave up"), "{message}");
    }
}

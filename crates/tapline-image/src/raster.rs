//! Every format but JPEG, through the `image` crate.
//!
//! Its decoders keep the pixels as stored; what Pillow's `convert("RGB")` or `convert("L")` drops is dropped here.

use std::borrow::Cow;
use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use tapline_core::Bits;

use crate::decode::{check_room, check_size};
use crate::depth::depth;
use crate::orientation::{self, Orientation};
use crate::tiff::{self, Palette};
use crate::{Error, Limits, Picture, chunks, colour, frames, jpeg, webp};

/// Bytes that a PNG decoder may take before its picture's size is known, for a profile and a row of pixels; three times the
/// file's length comes on top, for texts.
const PNG_HEADER_BYTES: u64 = 16 << 20;

/// The (first) picture in a file of `format`, called `name` in messages; of 16-bit samples the upper 8 of `bits`.
pub(crate) fn decode(
    bytes: &[u8],
    (format, name): (ImageFormat, &'static str),
    limits: &Limits,
    bits: Bits,
) -> Result<Picture, Error> {
    let palette = if format == ImageFormat::Tiff { Palette::of(bytes) } else { None };
    let bytes = palette.as_ref().map_or(Cow::Borrowed(bytes), |palette| Cow::Owned(palette.numbers(bytes)));
    check_claims(&bytes, format, name, limits)?;
    let bytes = without_extended_xmp(&bytes, format);
    let mut reader = ImageReader::with_format(Cursor::new(&bytes[..]), format);
    let mut own = image::Limits::default();
    own.max_alloc = Some(most_bytes(bytes.len() as u64, format, limits));
    reader.limits(own);
    let mut decoder = reader.into_decoder().map_err(|e| refuse(e, name, (0, 0), limits))?;

    let size = decoder.dimensions();
    check_size(name, size.0.into(), size.1.into(), limits)?;
    if decoder.total_bytes() > limits.max_bytes {
        return Err(too_much_memory(name, size, limits));
    }
    let beside = bytes_beside(&bytes, (format, name), (size, decoder.total_bytes()), limits)?;
    // The pixels twice: as decoded, and without alpha, at eight bits or upright; with a palette these have three bytes.
    let copies = if palette.is_some() { 6 } else { 2 };
    check_room(name, (size.0.into(), size.1.into()), (copies * decoder.total_bytes()).saturating_add(beside))?;
    let orientation = orientation_of(&mut decoder);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| refuse(e, name, size, limits))?;
    let (depth, has_more) = (depth(&decoded), frames::follow(&bytes, format));
    let (channels, pixels) = match (palette, eight_bit(decoded, name, bits)?) {
        (Some(palette), (1, numbers)) => (3, palette.paint(&numbers)),
        (_, decoded) => decoded,
    };
    let picture = Picture { width: size.0, height: size.1, channels, pixels, depth, has_more };
    Ok(orientation::upright(picture, orientation))
}

/// Refuses what the decoders would take memory for before they look at the limits.
fn check_claims(bytes: &[u8], format: ImageFormat, name: &'static str, limits: &Limits) -> Result<(), Error> {
    let broken = |fault: String| Error::Broken { format: name, source: fault.into() };
    match format {
        ImageFormat::Tiff => tiff::overlong_tag(bytes).map_or(Ok(()), |fault| Err(broken(fault))),
        ImageFormat::WebP => {
            let mut sizes = webp::claims(bytes).map_err(broken)?.lossy_sizes.into_iter();
            sizes.try_for_each(|(width, height)| check_size(name, width, height, limits))
        }
        ImageFormat::Png => png_size(bytes).map_or(Ok(()), |(width, height)| check_size(name, width, height, limits)),
        _ => Ok(()),
    }
}

/// Columns and rows in the header of a PNG, which is its first chunk.
fn png_size(bytes: &[u8]) -> Option<(u64, u64)> {
    let side = |at: usize| {
        let side = bytes.get(at..at + 4)?;
        Some(side.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte)))
    };
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    Some((side(16)?, side(20)?))
}

/// The file for decoders that read JPEG with zune-jpeg, by itself or in TIFF.
fn without_extended_xmp(bytes: &[u8], format: ImageFormat) -> Cow<'_, [u8]> {
    match format {
        ImageFormat::Jpeg => jpeg::without_extended_xmp(bytes),
        ImageFormat::Tiff if chunks::hold_jpeg(bytes) => jpeg::without_extended_xmp(bytes),
        _ => Cow::Borrowed(bytes),
    }
}

/// What a decoder may take besides the pixels, as far as it counts it: that of PNG inflates a profile until then, whatever
/// the picture's size, and goes on without one that is longer.
fn most_bytes(file_len: u64, format: ImageFormat, limits: &Limits) -> u64 {
    match format {
        ImageFormat::Png => limits.max_bytes.min(file_len.saturating_mul(3).saturating_add(PNG_HEADER_BYTES)),
        _ => limits.max_bytes,
    }
}

/// What a decoder takes beside the `decoded` bytes of a picture of `size` and does not count.
fn bytes_beside(
    bytes: &[u8],
    (format, name): (ImageFormat, &'static str),
    (size, decoded): ((u32, u32), u64),
    limits: &Limits,
) -> Result<u64, Error> {
    let beside = match format {
        ImageFormat::Tiff => chunks::check(bytes, decoded, limits),
        ImageFormat::WebP => {
            let pixels = u64::from(size.0) * u64::from(size.1);
            webp::claims(bytes).and_then(|claims| webp::check_lossless(claims.longest_lossless, pixels)).map(|()| 0)
        }
        _ => Ok(0),
    };
    beside.map_err(|fault| Error::Broken { format: name, source: fault.into() })
}

/// What EXIF (or TIFF's own tag) says, else what XMP says.
fn orientation_of(decoder: &mut impl ImageDecoder) -> Orientation {
    match decoder.orientation() {
        Ok(Orientation::NoTransforms) | Err(_) => {
            let xmp = decoder.xmp_metadata().ok().flatten();
            xmp.as_deref().and_then(orientation::from_xmp).unwrap_or(Orientation::NoTransforms)
        }
        Ok(found) => found,
    }
}

/// Channels (1 or 3) and 8-bit pixels: alpha dropped, of 16-bit samples the upper 8 of `bits`.
fn eight_bit(decoded: DynamicImage, format: &'static str, bits: Bits) -> Result<(usize, Vec<u8>), Error> {
    let eight = |samples: Vec<u16>| samples.into_iter().map(|v| bits.upper_eight(v)).collect::<Vec<u8>>();
    Ok(match decoded {
        DynamicImage::ImageLuma8(p) => (1, p.into_raw()),
        DynamicImage::ImageLumaA8(p) => (1, colour::drop_alpha::<1>(&p.into_raw())),
        DynamicImage::ImageRgb8(p) => (3, p.into_raw()),
        DynamicImage::ImageRgba8(p) => (3, colour::drop_alpha::<3>(&p.into_raw())),
        DynamicImage::ImageLuma16(p) => (1, eight(p.into_raw())),
        DynamicImage::ImageLumaA16(p) => (1, colour::drop_alpha::<1>(&eight(p.into_raw()))),
        DynamicImage::ImageRgb16(p) => (3, eight(p.into_raw())),
        DynamicImage::ImageRgba16(p) => (3, colour::drop_alpha::<3>(&eight(p.into_raw()))),
        other => {
            let source = format!("samples of kind {:?}", other.color()).into();
            return Err(Error::UnsupportedMode { format, source });
        }
    })
}

fn refuse(cause: ImageError, format: &'static str, size: (u32, u32), limits: &Limits) -> Error {
    match cause {
        ImageError::Limits(_) => too_much_memory(format, size, limits),
        ImageError::Unsupported(e) => Error::UnsupportedMode { format, source: e.into() },
        other => Error::Broken { format, source: other.into() },
    }
}

fn too_much_memory(format: &'static str, (width, height): (u32, u32), limits: &Limits) -> Error {
    Error::TooMuchMemory { format, width: width.into(), height: height.into(), max_bytes: limits.max_bytes }
}

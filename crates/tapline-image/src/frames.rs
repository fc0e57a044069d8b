//! Whether a file holds more pictures than the first, which alone is decoded.

use image::ImageFormat;

use crate::{tiff, webp};

/// Whether pages of TIFF or frames of an animation follow the first; only heads are looked at, no pixels.
pub(crate) fn follow(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Tiff => tiff::has_more_pages(bytes),
        ImageFormat::WebP => webp::claims(bytes).is_ok_and(|claims| claims.frames > 1),
        ImageFormat::Png => png_frames(bytes).is_some_and(|frames| frames > 1),
        ImageFormat::Gif => follow_in_gif(bytes) == Some(true),
        _ => false,
    }
}

/// How many frames a PNG claims, in the chunk acTL ahead of its pixels; none of one that is not animated.
fn png_frames(bytes: &[u8]) -> Option<u32> {
    let mut rest = bytes.get(8..)?;
    loop {
        let (&[a, b, c, d, ref name @ ..], data) = rest.split_first_chunk::<8>()?;
        match name {
            b"acTL" => return Some(u32::from_be_bytes(*data.first_chunk()?)),
            b"IDAT" => return None,
            // What is in the chunk, and its checksum.
            _ => rest = data.get((u32::from_be_bytes([a, b, c, d]) as usize).checked_add(4)?..)?,
        }
    }
}

/// Whether a GIF has a second frame; none where it ends in the middle of the first.
fn follow_in_gif(bytes: &[u8]) -> Option<bool> {
    let mut at = 13 + table_len(*bytes.get(10)?);
    let mut is_first = true;
    loop {
        match bytes.get(at)? {
            // An extension: its kind, then blocks.
            b'!' => at = end_of_blocks(bytes, at + 2)?,
            // A frame: its place and size, whether it has a table, the table, the length of its codes, then blocks.
            b',' if is_first => {
                is_first = false;
                at = end_of_blocks(bytes, at + 11 + table_len(*bytes.get(at + 9)?))?;
            }
            kind => return Some(*kind == b','),
        }
    }
}

/// Bytes of the table of colours that a GIF's flags tell of.
fn table_len(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << (1 + (flags & 7)) }
}

/// Where a row of blocks ends, each with its length before it: behind an empty one.
fn end_of_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1 + len;
        if len == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &[u8] = include_bytes!("../tests/goldens/frames.gif");
    const WEBP: &[u8] = include_bytes!("../tests/goldens/frames.webp");
    const PNG: &[u8] = include_bytes!("../tests/goldens/rgb.png");

    #[test]
    fn animations_are_told_from_single_pictures() {
        assert!(follow(GIF, ImageFormat::Gif) && follow(WEBP, ImageFormat::WebP));
        assert!(crate::decode(GIF, &crate::Limits::default()).expect("the first frame").has_more);
        let single: [(&[u8], ImageFormat); 4] = [
            (include_bytes!("../tests/goldens/clear.gif"), ImageFormat::Gif),
            (include_bytes!("../tests/goldens/lossy.webp"), ImageFormat::WebP),
            (PNG, ImageFormat::Png),
            (include_bytes!("../tests/goldens/raw.tif"), ImageFormat::Tiff),
        ];
        for (bytes, format) in single {
            assert!(!follow(bytes, format), "{format:?}");
        }
    }

    #[test]
    fn frames_of_png_are_those_that_it_claims() {
        // Behind the signature and the header, which take 8 and 25 bytes.
        let claims = |frames: u8| [&PNG[..33], b"\0\0\0\x08acTL\0\0\0", &[frames], &[0; 8], &PNG[33..]].concat();
        assert_eq!([1, 2].map(|frames| follow(&claims(frames), ImageFormat::Png)), [false, true]);
        assert_eq!((png_frames(PNG), png_frames(&claims(9)[..44])), (None, None));
    }

    #[test]
    fn a_file_that_ends_early_has_no_more() {
        const SECOND: usize = 459;
        (0..=SECOND).for_each(|end| assert!(!follow(&GIF[..end], ImageFormat::Gif), "{end}"));
        assert!(follow(&GIF[..=SECOND], ImageFormat::Gif));
    }
}

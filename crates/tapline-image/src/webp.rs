//! A look at what a WebP file claims before the decoder sees it.
//!
//! The decoder takes memory for a chunk of the length it claims, and for a lossy picture of the size that its data state,
//! before it compares them with the file's length and the canvas. For lossless data it takes as many tables of codes as they
//! ask for, of which a picture of a few pixels uses a few.

/// The chunk's own head: four letters and the length of what follows.
const HEAD: usize = 8;

/// Bytes of lossless data that a picture of any size may have, for codes and transforms.
const SPARE_BYTES: u64 = 16 << 10;

/// What the chunks of a file say, those of animations' frames among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// Columns and rows that the lossy pictures claim for themselves.
    pub lossy_sizes: Vec<(u64, u64)>,
    /// Bytes of the longest chunk of lossless data, colours or alpha.
    pub longest_lossless: u64,
    /// Frames of an animation; 0 where there is none.
    pub frames: usize,
}

/// What the chunks of a file say.
///
/// # Errors
/// What is wrong, where a chunk claims more bytes than are left.
pub(crate) fn claims(bytes: &[u8]) -> Result<Claims, String> {
    let mut claims = Claims::default();
    walk(bytes.get(12..).unwrap_or_default(), false, &mut claims)?;
    Ok(claims)
}

/// Checks that so many bytes of `lossless` data are not longer than so many `pixels` are without compression, a quarter and the
/// codes included: each dozen bytes may ask for kilobytes of tables.
///
/// # Errors
/// What is wrong, where they are.
pub(crate) fn check_lossless(lossless: u64, pixels: u64) -> Result<(), String> {
    if lossless > pixels.saturating_mul(5).saturating_add(SPARE_BYTES) {
        return Err(format!("{lossless} bytes of lossless data are more than {pixels} pixels can need"));
    }
    Ok(())
}

/// Goes through chunks one after the other; a frame holds no frames, so that no file leads deeper than one level.
fn walk(mut rest: &[u8], is_frame: bool, claims: &mut Claims) -> Result<(), String> {
    while let Some((head, data)) = rest.split_at_checked(HEAD) {
        let (name, len) = (&head[..4], u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize);
        let Some(inside) = data.get(..len) else {
            let name = name.escape_ascii();
            return Err(format!("chunk {name} claims {len} bytes, more than the {} that are left", data.len()));
        };
        match name {
            b"VP8 " => claims.lossy_sizes.extend(frame_size(inside)),
            b"VP8L" => claims.longest_lossless = claims.longest_lossless.max(len as u64),
            // The first two bits say whether it is compressed.
            b"ALPH" if inside.first().is_some_and(|bits| bits & 3 != 0) => {
                claims.longest_lossless = claims.longest_lossless.max(len as u64);
            }
            // Sixteen bytes on the frame's place and time, then chunks of its own.
            b"ANMF" if !is_frame => {
                claims.frames += 1;
                walk(inside.get(16..).unwrap_or_default(), true, claims)?;
            }
            _ => {}
        }
        rest = data.get(len + len % 2..).unwrap_or_default();
    }
    Ok(())
}

/// Fourteen bits of each side after the frame's tag and start code (RFC 6386, section 9.1).
fn frame_size(data: &[u8]) -> Option<(u64, u64)> {
    let &[width_low, width_high, height_low, height_high] = data.get(6..10)? else { return None };
    let side = |low: u8, high: u8| u64::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((side(width_low, width_high), side(height_low, height_high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
        let mut chunk = [name, &(data.len() as u32).to_le_bytes(), data].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }

    fn lossy(width: u16, height: u16) -> Vec<u8> {
        let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
        chunk(b"VP8 ", &[b"\0\0\0\x9d\x01\x2a".as_slice(), &sides].concat())
    }

    #[test]
    fn every_lossy_frame_is_found() {
        let frame = chunk(b"ANMF", &[&[0; 16][..], &chunk(b"ALPH", b"odd"), &lossy(5, 6)].concat());
        let file = [b"RIFF\0\0\0\0WEBP".as_slice(), &chunk(b"VP8X", &[0; 10]), &lossy(0x7fff, 2), &frame].concat();
        assert_eq!(claims(&file).expect("sound").lossy_sizes, [(0x3fff, 2), (5, 6)]);
        let cut = claims(&file[..file.len() - 2]).expect_err("cut short");
        assert_eq!(cut, "chunk ANMF claims 46 bytes, more than the 44 that are left");
    }

    #[test]
    fn frames_within_frames_are_not_followed() {
        // Each head and place on the way takes 24 bytes of the file and would take a call's share of the stack.
        let depth = 200_000;
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        for level in 0..depth {
            let inside = 24 * (depth - level) - 8;
            file.extend([&b"ANMF"[..], &(inside as u32).to_le_bytes(), &[0; 16]].concat());
        }
        file.extend(lossy(3, 4));
        assert_eq!(claims(&file).expect("sound").lossy_sizes, [(3, 4)]);
    }

    #[test]
    fn the_longest_lossless_data_are_found_in_frames_too() {
        let frame = chunk(b"ANMF", &[&[0; 16][..], &chunk(b"ALPH", &[1; 30]), &lossy(5, 6)].concat());
        let plain = chunk(b"ALPH", &[4; 90]); // alpha without compression
        let file = [b"RIFF\0\0\0\0WEBP".as_slice(), &chunk(b"VP8L", &[0x2f; 20]), &frame, &plain].concat();
        assert_eq!(claims(&file).expect("sound").longest_lossless, 30);
        assert_eq!(claims(&file[..40]).expect("sound").longest_lossless, 20);
    }

    #[test]
    fn more_lossless_data_than_the_pixels_can_need_are_refused() {
        assert_eq!(check_lossless(16_384 + 80, 16), Ok(()));
        let fault = check_lossless(16_384 + 81, 16).expect_err("too long");
        assert_eq!(fault, "16465 bytes of lossless data are more than 16 pixels can need");
    }
}

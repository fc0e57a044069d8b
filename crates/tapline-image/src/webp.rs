//! A look at what a WebP file claims before the decoder sees it.
//!
//! The decoder takes memory for a chunk of the length it claims, and for a lossy picture of the size that its data state,
//! before it compares them with the file's length and the canvas.

/// The chunk's own head: four letters and the length of what follows.
const HEAD: usize = 8;

/// Columns and rows that the lossy pictures in a file claim for themselves, those of animations' frames among them.
///
/// # Errors
/// What is wrong, where a chunk claims more bytes than are left.
pub(crate) fn lossy_sizes(bytes: &[u8]) -> Result<Vec<(u64, u64)>, String> {
    let mut sizes = Vec::new();
    walk(bytes.get(12..).unwrap_or_default(), &mut sizes)?;
    Ok(sizes)
}

fn walk(mut rest: &[u8], sizes: &mut Vec<(u64, u64)>) -> Result<(), String> {
    while let Some((head, data)) = rest.split_at_checked(HEAD) {
        let (name, len) = (&head[..4], u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize);
        let Some(inside) = data.get(..len) else {
            let name = name.escape_ascii();
            return Err(format!("chunk {name} claims {len} bytes, more than the {} that are left", data.len()));
        };
        match name {
            b"VP8 " => sizes.extend(frame_size(inside)),
            // Sixteen bytes on the frame's place and time, then chunks of its own.
            b"ANMF" => walk(inside.get(16..).unwrap_or_default(), sizes)?,
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

    #[test]
    fn every_lossy_frame_is_found() {
        let lossy = |width: u16, height: u16| {
            let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
            chunk(b"VP8 ", &[b"\0\0\0\x9d\x01\x2a".as_slice(), &sides].concat())
        };
        let frame = chunk(b"ANMF", &[&[0; 16][..], &chunk(b"ALPH", b"odd"), &lossy(5, 6)].concat());
        let file = [b"RIFF\0\0\0\0WEBP".as_slice(), &chunk(b"VP8X", &[0; 10]), &lossy(0x7fff, 2), &frame].concat();
        assert_eq!(lossy_sizes(&file).as_deref(), Ok(&[(0x3fff, 2), (5, 6)][..]));
        let cut = lossy_sizes(&file[..file.len() - 2]).expect_err("cut short");
        assert_eq!(cut, "chunk ANMF claims 46 bytes, more than the 44 that are left");
    }
}

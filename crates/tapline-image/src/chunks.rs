//! Strips and tiles of a TIFF file, held against the picture that they make.
//!
//! The decoder takes memory for a row of a tile however wide the tags call it, reads every strip and tile wherever its data
//! lie, and decodes JPEG in one to whatever size the JPEG states. So a small file can ask for terabytes, or for the same
//! data a million times. The strips and tiles of a sound file hold little more than its pixels.

use crate::Limits;
use crate::jpeg::FEW_SCANS;
use crate::tiff::{Directory, directory};

// Numbers of tags (TIFF 6.0, sections 8 and 15; its technical note 2 for JPEG).
const IMAGE_WIDTH: u64 = 256;
const IMAGE_LENGTH: u64 = 257;
const BITS_PER_SAMPLE: u64 = 258;
const COMPRESSION: u64 = 259;
const STRIP_OFFSETS: u64 = 273;
const SAMPLES_PER_PIXEL: u64 = 277;
const ROWS_PER_STRIP: u64 = 278;
const STRIP_BYTE_COUNTS: u64 = 279;
const TILE_WIDTH: u64 = 322;
const TILE_LENGTH: u64 = 323;
const TILE_OFFSETS: u64 = 324;
const TILE_BYTE_COUNTS: u64 = 325;
const JPEG_TABLES: u64 = 347;

// Kinds of compression in which the decoder reads as many bytes as a strip or tile is said to have. (In those of Deflate
// it reads on until it has the pixels.)
const FAX: u64 = 4;
const LZW: u64 = 5;
const JPEG: u64 = 7;
const PACK_BITS: u64 = 32_773;

/// The most bytes in strips and tiles for each byte of the decoded picture: channels that are dropped, tiles that overhang.
const MAX_RATIO: u64 = 4;

/// Bytes that are allowed besides, for small pictures in large tiles.
const SPARE_BYTES: u64 = 64 << 20;

/// What JPEG in a strip or tile counts for besides its data and its pixels: its tables are built each time.
const JPEG_BYTES: u64 = 2 << 10;

/// Bytes of a JPEG frame's header up to the number of components, its marker among them.
const FRAME_HEAD: usize = 10;

const UNREADABLE: &str = "the tags on its strips or tiles are no whole numbers";

/// Whether the strips or tiles of the first picture are JPEG.
pub(crate) fn hold_jpeg(bytes: &[u8]) -> bool {
    directory(bytes).is_some_and(|tags| tags.number(COMPRESSION, 0) == Some(JPEG))
}

/// Bytes that the decoder takes beside the `decoded` ones of a picture that it has accepted: for a row of a strip or tile, or
/// for all of one that is JPEG.
///
/// # Errors
/// What is wrong, where strips or tiles hold more than the picture or the limits explain.
pub(crate) fn check(bytes: &[u8], decoded: u64, limits: &Limits) -> Result<u64, String> {
    let tags = directory(bytes).ok_or(UNREADABLE)?;
    let layout = layout(&tags).ok_or(UNREADABLE)?;
    let allowed = decoded.saturating_mul(MAX_RATIO).saturating_add(SPARE_BYTES);
    if layout.all_bytes > allowed {
        let held = layout.all_bytes;
        return Err(format!("its strips or tiles hold {held} bytes, far more than the {decoded} of its pixels"));
    }
    let compression = tags.number_or(COMPRESSION, 1).ok_or(UNREADABLE)?;
    let beside = if compression == JPEG { layout.row_bytes.saturating_mul(layout.rows) } else { layout.row_bytes };
    if beside > limits.max_bytes {
        let most = limits.max_bytes;
        return Err(format!("one of its strips or tiles takes {beside} bytes, more than the {most} that are allowed"));
    }
    if matches!(compression, FAX | LZW | JPEG | PACK_BITS) {
        // What is said of lengths is often wrong in files of one strip, which is read once all the same.
        let most = allowed.saturating_add(bytes.len() as u64);
        let tables = if compression == JPEG { jpeg_tables(&tags)? } else { &[] };
        let each = if compression == JPEG { JPEG_BYTES + tables.len() as u64 } else { 0 };
        let read = bytes_to_read(&tags, each)?;
        if read > most {
            return Err(format!("its strips or tiles have {read} bytes of data, more than the file: many share them"));
        }
        if compression == JPEG {
            check_frames(&tags, tables, &layout, most - read)?;
        }
    }
    Ok(beside)
}

/// What the tags say of a picture's strips or tiles.
struct Layout {
    /// Columns of one, beyond the picture's edge too.
    columns: u64,
    /// Rows of one: of a tile beyond the picture's edge too.
    rows: u64,
    /// Bytes of a row of one, all channels together.
    row_bytes: u64,
    /// Bytes of the picture's rows in all of them.
    all_bytes: u64,
}

fn layout(tags: &Directory) -> Option<Layout> {
    let (width, height) = (tags.number(IMAGE_WIDTH, 0)?, tags.number(IMAGE_LENGTH, 0)?);
    let (columns, rows) = if tags.has(TILE_OFFSETS) {
        (tags.number(TILE_WIDTH, 0)?, tags.number(TILE_LENGTH, 0)?)
    } else {
        (width, tags.number_or(ROWS_PER_STRIP, height)?.min(height))
    };
    let pixel_bits = tags.number_or(SAMPLES_PER_PIXEL, 1)?.saturating_mul(tags.number_or(BITS_PER_SAMPLE, 1)?);
    let row_bytes = columns.saturating_mul(pixel_bits).div_ceil(8);
    let across = width.div_ceil(columns.max(1));
    Some(Layout { columns, rows, row_bytes, all_bytes: row_bytes.saturating_mul(across).saturating_mul(height) })
}

/// How many strips or tiles there are.
fn count(tags: &Directory) -> u64 {
    tags.values(if tags.has(TILE_OFFSETS) { TILE_OFFSETS } else { STRIP_OFFSETS })
}

/// The data of a strip or tile.
fn data<'a>(tags: &Directory<'a>, index: u64) -> Option<&'a [u8]> {
    let (offsets, lengths) =
        if tags.has(TILE_OFFSETS) { (TILE_OFFSETS, TILE_BYTE_COUNTS) } else { (STRIP_OFFSETS, STRIP_BYTE_COUNTS) };
    Some(tags.data(tags.number(offsets, index)?, tags.number(lengths, index)?))
}

/// Bytes of data of all strips or tiles, those that several share as often, and `each` for every one.
fn bytes_to_read(tags: &Directory, each: u64) -> Result<u64, String> {
    let mut sum = 0_u64;
    for index in 0..count(tags) {
        let len = data(tags, index).ok_or(UNREADABLE)?.len() as u64;
        sum = sum.saturating_add(len).saturating_add(each);
    }
    Ok(sum)
}

/// The tables that JPEG in all strips or tiles begins with, none where each has its own.
fn jpeg_tables<'a>(tags: &Directory<'a>) -> Result<&'a [u8], String> {
    if !tags.has(JPEG_TABLES) {
        return Ok(&[]);
    }
    tags.bytes(JPEG_TABLES).ok_or_else(|| UNREADABLE.to_owned())
}

/// Refuses JPEG larger than its strip or tile, of many scans, or of more than `left` bytes in all strips or tiles together.
///
/// Whatever looks like the header of a frame counts as one: pixels never do, for in them 0xff is followed by 0.
fn check_frames(tags: &Directory, tables: &[u8], layout: &Layout, mut left: u64) -> Result<(), String> {
    let Layout { columns, rows, .. } = layout;
    // Some writers round up to whole blocks, or let the last strip be as high as the others.
    let most = columns.saturating_mul(*rows).max(1024).saturating_mul(2);
    for index in 0..count(tags) {
        let stream = jpeg_stream(tables, data(tags, index).ok_or(UNREADABLE)?);
        let mut scans = 0;
        for window in stream.windows(FRAME_HEAD) {
            if window.starts_with(&[0xff, 0xda]) {
                scans += 1;
            }
            let Some((width, height, components)) = frame(window) else { continue };
            if width * height > most {
                return Err(format!("a strip or tile of {columns} × {rows} pixels holds JPEG of {width} × {height}"));
            }
            let Some(rest) = left.checked_sub(width * height * components) else {
                return Err("its strips or tiles hold JPEG of far more pixels than it has".to_owned());
            };
            left = rest;
        }
        if scans > FEW_SCANS {
            return Err(format!("a strip or tile holds JPEG of {scans} scans, more than {FEW_SCANS}"));
        }
    }
    Ok(())
}

/// The JPEG of a strip or tile as the decoder joins it: tables without their end marker, data without their start marker.
fn jpeg_stream(tables: &[u8], data: &[u8]) -> Vec<u8> {
    match tables.split_last_chunk::<2>() {
        Some((tables, _)) => [tables, data.get(2..).unwrap_or_default()].concat(),
        None => data.to_vec(),
    }
}

/// Columns, rows and components of a JPEG frame, baseline or progressive, whose marker and header `window` begins with.
fn frame(window: &[u8]) -> Option<(u64, u64, u64)> {
    let &[0xff, 0xc0..=0xc2, high, low, 8, rows_high, rows_low, columns_high, columns_low, components] = window else {
        return None;
    };
    let number = |high: u8, low: u8| u64::from(u16::from_be_bytes([high, low]));
    let components = u64::from(components);
    let is_frame = number(high, low) == 8 + 3 * components;
    is_frame.then(|| (number(columns_high, columns_low), number(rows_high, rows_low), components))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG_FILE: &[u8] = include_bytes!("../tests/goldens/jpeg.tif");

    /// A file of `data`, from its byte 8 on, and of tags whose values are longs.
    fn file(tags: &[(u16, &[u32])], data: &[u8]) -> Vec<u8> {
        let directory = 8 + data.len();
        let lists = directory + 2 + 12 * tags.len() + 4;
        let mut bytes = b"II\x2a\0".to_vec();
        bytes.extend((directory as u32).to_le_bytes());
        bytes.extend(data);
        bytes.extend((tags.len() as u16).to_le_bytes());
        let mut after: Vec<u8> = Vec::new();
        for (name, values) in tags {
            bytes.extend(name.to_le_bytes());
            bytes.extend(4_u16.to_le_bytes());
            bytes.extend((values.len() as u32).to_le_bytes());
            if values.len() == 1 {
                bytes.extend(values[0].to_le_bytes());
            } else {
                bytes.extend(((lists + after.len()) as u32).to_le_bytes());
                values.iter().for_each(|value| after.extend(value.to_le_bytes()));
            }
        }
        bytes.extend([0_u8; 4]);
        bytes.extend(after);
        bytes
    }

    fn check_refused(bytes: &[u8], decoded: u64, expected: &str) {
        let fault = check(bytes, decoded, &Limits::default()).expect_err(expected);
        assert!(fault.contains(expected), "{fault}");
    }

    #[test]
    fn a_tile_far_wider_than_its_picture_is_refused_before_a_row_of_it_is_taken() {
        let extra = vec![0_u32; 65_532];
        let size: [(u16, &[u32]); 4] = [(256, &[1]), (257, &[1]), (258, &[8]), (259, &[1])];
        let tile: [(u16, &[u32]); 4] = [(322, &[u32::MAX]), (323, &[1]), (324, &[8]), (325, &[3])];
        let colours: [(u16, &[u32]); 3] = [(262, &[2]), (277, &[65_535]), (338, extra.as_slice())];
        let wide = file(&[&size[..], &tile, &colours].concat(), b"rgb");
        check_refused(&wide, 3, "hold 281470681677825 bytes, far more than the 3 of its pixels");
        // The decoder itself accepts the tags.
        let error = crate::decode(&wide, &Limits::default()).expect_err("256 TiB");
        assert!(format!("{error:?}").contains("far more than the 3 of its pixels"), "{error:?}");
    }

    #[test]
    fn a_small_picture_in_a_large_tile_passes() {
        let size: [(u16, &[u32]); 4] = [(256, &[100]), (257, &[100]), (258, &[8]), (277, &[3])];
        let tile: [(u16, &[u32]); 4] = [(322, &[4096]), (323, &[4096]), (324, &[8]), (325, &[0])];
        assert_eq!(check(&file(&[size, tile].concat(), b""), 30_000, &Limits::default()), Ok(3 * 4096));
    }

    #[test]
    fn tiles_that_share_their_data_count_each() {
        let (offsets, lengths) = (vec![8_u32; 1000], vec![1_u32; 1000]);
        let size: [(u16, &[u32]); 4] = [(256, &[1]), (257, &[1000]), (258, &[8]), (259, &[8])];
        let tile: [(u16, &[u32]); 4] = [(322, &[1 << 30]), (323, &[1]), (324, &offsets), (325, &lengths)];
        check_refused(&file(&[size, tile].concat(), b"z"), 1000, "hold 1073741824000 bytes");
    }

    #[test]
    fn data_that_many_strips_share_count_for_each_where_all_of_them_are_read() {
        let (offsets, lengths) = (vec![8_u32; 1000], vec![200_000_u32; 1000]);
        let strips = |compression: u32| {
            let size: [(u16, &[u32]); 4] = [(256, &[1]), (257, &[1000]), (258, &[8]), (259, &[compression])];
            let strip: [(u16, &[u32]); 3] = [(273, &offsets), (278, &[1]), (279, &lengths)];
            file(&[&size[..], &strip].concat(), &[0; 200_000])
        };
        check_refused(&strips(5), 1000, "have 200000000 bytes of data");
        check_refused(&strips(7), 1000, "have 202048000 bytes of data");
        assert_eq!(check(&strips(1), 1000, &Limits::default()), Ok(1));
    }

    #[test]
    fn a_strip_of_jpeg_takes_the_bytes_of_its_pixels() {
        assert_eq!(check(JPEG_FILE, 33 * 21 * 3, &Limits::default()), Ok(33 * 21 * 3));
        let poor = Limits { max_pixels: 1000, max_bytes: 2000 };
        let fault = check(JPEG_FILE, 33 * 21 * 3, &poor).expect_err("too little");
        assert!(fault.contains("takes 2079 bytes, more than the 2000 that are allowed"), "{fault}");
        assert!(hold_jpeg(JPEG_FILE) && !hold_jpeg(b"II\x2a\0"));
    }

    #[test]
    fn jpeg_larger_than_its_strip_is_refused() {
        let start = JPEG_FILE.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
        let mut large = JPEG_FILE.to_vec();
        large[start + 5..start + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
        check_refused(&large, 33 * 21 * 3, "of 33 × 21 pixels holds JPEG of 16384 × 16384");
        let error = crate::decode(&large, &Limits::default()).expect_err("805 MB");
        assert!(format!("{error:?}").contains("holds JPEG of 16384 × 16384"), "{error:?}");
    }

    #[test]
    fn jpeg_of_many_scans_is_refused_in_a_strip() {
        let mut long = JPEG_FILE.to_vec();
        // Twenty besides its own, amid the pixels, which take most of the strip's 411 bytes from byte 8 on.
        long[100..140].copy_from_slice(&[0xff_u8, 0xda].repeat(20));
        check_refused(&long, 33 * 21 * 3, "JPEG of 21 scans, more than 20");
    }

    #[test]
    fn a_frame_is_known_by_its_length_and_depth() {
        let head: [u8; 10] = [0xff, 0xc2, 0, 11, 8, 1, 2, 3, 4, 1];
        assert_eq!(frame(&head), Some((0x304, 0x102, 1)));
        for (at, other) in [(0, 0), (1, 0xc4), (3, 14), (4, 12), (9, 3)] {
            let mut no_frame = head;
            no_frame[at] = other;
            assert_eq!(frame(&no_frame), None, "byte {at}");
        }
    }

    #[test]
    fn a_frame_across_the_end_of_the_tables_is_found() {
        let tables = [0xff, 0xd8, 0xff, 0xff, 0xd9];
        let stream = jpeg_stream(&tables, &[0xff, 0xd8, 0xc0, 0, 11, 8, 0, 5, 0, 6, 1]);
        assert_eq!(stream.windows(FRAME_HEAD).find_map(frame), Some((6, 5, 1)));
        assert_eq!(jpeg_stream(&[], &[1, 2, 3]), [1, 2, 3]);
    }
}

//! A look at a TIFF file's tags before the decoder sees them.
//!
//! The decoder takes up to 256 MiB for a tag that claims many values, whatever the limits, and reads them one by one; no
//! tag can have more values than the file has room for.

/// What is wrong with the tags of the first picture, if anything is: one that claims more bytes than the file has.
///
/// What cannot be walked at all is left to the decoder, which refuses it.
pub(crate) fn overlong_tag(bytes: &[u8]) -> Option<String> {
    let file = File { bytes, big_endian: bytes.starts_with(b"MM") };
    let is_big = file.number(2, 2)? == 43;
    // Lengths in bytes of: an offset, the number of tags, a tag. BigTIFF has eight bytes where TIFF has four.
    let (offset_len, count_len, tag_len) = if is_big { (8, 8, 20) } else { (4, 2, 12) };
    let directory = usize::try_from(file.number(if is_big { 8 } else { 4 }, offset_len)?).ok()?;
    let tags = file.number(directory, count_len)?;
    let first = directory.checked_add(count_len)?;
    for tag in 0..tags {
        let at = first.checked_add(usize::try_from(tag).ok()?.checked_mul(tag_len)?)?;
        let (name, kind, values) = (file.number(at, 2)?, file.number(at + 2, 2)?, file.number(at + 4, offset_len)?);
        if values.saturating_mul(value_bytes(kind)) > bytes.len() as u64 {
            return Some(format!("tag {name} claims {values} values, more than the file has room for"));
        }
    }
    None
}

/// Bytes of one value by the number of its type (TIFF 6.0, section 2, and BigTIFF); 0 of an unknown type.
fn value_bytes(kind: u64) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 0,
    }
}

struct File<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl File<'_> {
    /// The whole number of `len` bytes at `at`, none where the file ends before.
    fn number(&self, at: usize, len: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(len)?)?;
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        Some(if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 64 bytes whose one tag, 258, has `values` shorts.
    fn tiff(values: u32) -> Vec<u8> {
        let mut bytes = b"II\x2a\0\x08\0\0\0\x01\0\x02\x01\x03\0".to_vec();
        bytes.extend(values.to_le_bytes());
        bytes.resize(64, 0);
        bytes
    }

    #[test]
    fn a_tag_with_more_values_than_the_file_has_room_for_is_named() {
        assert_eq!(overlong_tag(&tiff(32)), None);
        let expected = "tag 258 claims 33 values, more than the file has room for";
        assert_eq!(overlong_tag(&tiff(33)).as_deref(), Some(expected));
        assert!(overlong_tag(&tiff(u32::MAX)).is_some());
    }

    #[test]
    fn both_byte_orders_and_bigtiff_are_walked() {
        let mut big_endian = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x02\0\x03\0\0\0\x21".to_vec();
        big_endian.resize(64, 0);
        assert!(overlong_tag(&big_endian).is_some());
        let mut bigtiff = b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\x01\x10\0".to_vec();
        bigtiff.extend(u64::MAX.to_le_bytes());
        assert_eq!(overlong_tag(&bigtiff[..20]), None, "cut short before its tags");
        assert!(overlong_tag(&bigtiff).is_some());
    }
}

//! A look at a TIFF file's tags before the decoder sees them.
//!
//! The decoder takes up to 256 MiB for a tag that claims many values, whatever the limits, and reads them one by one; no
//! tag can have more values than the file has room for. Nor does it read pictures with a palette, for which it is told that
//! the numbers of the colours are greys.

use std::collections::BTreeMap;
use std::iter;

use crate::Error;

// Numbers of tags (TIFF 6.0, sections 3 to 5, 8 and 19).
const NEW_SUBFILE_TYPE: u64 = 254;
const IMAGE_WIDTH: u64 = 256;
const BITS_PER_SAMPLE: u64 = 258;
const COMPRESSION: u64 = 259;
const PHOTOMETRIC: u64 = 262;
const SAMPLES_PER_PIXEL: u64 = 277;
const COLOUR_MAP: u64 = 320;
const SAMPLE_FORMAT: u64 = 339;

/// What [`PHOTOMETRIC`] calls greys of which 0 is black, and numbers of colours.
const GREY: u16 = 1;
const PALETTE: u64 = 3;

/// Kinds of [`COMPRESSION`] that are read: none, CCITT's, LZW, JPEG, Deflate by both of its numbers, PackBits.
const COMPRESSIONS: [u64; 7] = [1, 4, 5, 7, 8, 32_946, 32_773];

/// How to save what is not read.
const AS_SAMPLES: &str = "as 8- or 16-bit grey or RGB";
const UNCOMPRESSED: &str = "without compression, or with LZW";

/// Bytes of a tag whose values are of no known type, as the decoder skips it: of BigTIFF too, whose tags are longer.
const UNKNOWN_TAG_LEN: usize = 12;

/// Bits of [`NEW_SUBFILE_TYPE`]: a smaller version of another picture, and a mask for one.
const IS_SMALLER: u64 = 1;
const IS_MASK: u64 = 4;

/// The most pages that are looked at for another picture, and the most tags of one: their chain may lead round in a circle.
const MAX_PAGES: usize = 16;
const MAX_TAGS: u64 = 65_535;

/// What is wrong with the tags of the first picture, if anything is: one that claims more bytes than the file has.
///
/// What cannot be walked at all is left to the decoder, which refuses it.
pub(crate) fn overlong_tag(bytes: &[u8]) -> Option<String> {
    let claims_too_much = |tag: &Tag| tag.values.saturating_mul(value_bytes(tag.kind)) > bytes.len() as u64;
    let (name, tag) = directory(bytes)?.tags.into_iter().find(|(_, tag)| claims_too_much(tag))?;
    Some(format!("tag {name} claims {} values, more than the file has room for", tag.values))
}

/// Whether a file is a BigTIFF, which the `image` crate decodes but does not know by its first bytes.
pub(crate) fn is_big(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II\x2b\0") || bytes.starts_with(b"MM\0\x2b")
}

/// An error of the decoder, which calls what it does not read by numbers of its own, in words for what the tags say.
pub(crate) fn in_own_words(error: Error, bytes: &[u8]) -> Error {
    let Error::UnsupportedMode { format, .. } = error else { return error };
    match directory(bytes).and_then(|tags| tags.unread()) {
        Some((kind, remedy)) => Error::UnreadKind { format, kind, remedy },
        None => error,
    }
}

/// Whether another picture follows the first, among the first pages.
pub(crate) fn has_more_pages(bytes: &[u8]) -> bool {
    iter::successors(directory(bytes), Directory::next).take(MAX_PAGES).skip(1).any(|page| page.is_picture())
}

/// The colours of a picture whose pixels are their numbers, of 8 bits.
pub(crate) struct Palette {
    colours: Vec<[u8; 3]>,
    /// Where the file says that it has one.
    said_at: usize,
}

impl Palette {
    /// That of the first picture, if it has one.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let tags = directory(bytes)?;
        let numbers = tags.number(PHOTOMETRIC, 0)? == PALETTE
            && tags.number_or(BITS_PER_SAMPLE, 1)? == 8
            && tags.number_or(SAMPLES_PER_PIXEL, 1)? == 1;
        // All reds, then all greens, then all blues, of 16 bits each.
        let upper = |index: u64| tags.number(COLOUR_MAP, index).map(|value| (value >> 8) as u8);
        let colour = |number: u64| Some([upper(number)?, upper(256 + number)?, upper(512 + number)?]);
        let is_whole = numbers && tags.values(COLOUR_MAP) == 3 * 256;
        let said_at = tags.start(tags.tags.get(&PHOTOMETRIC).filter(|tag| tag.kind == 3)?)?;
        is_whole.then(|| (0..256).map(colour).collect::<Option<_>>())?.map(|colours| Self { colours, said_at })
    }

    /// The file with the numbers of the colours as greys.
    pub(crate) fn numbers(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let grey = if bytes.starts_with(b"MM") { GREY.to_be_bytes() } else { GREY.to_le_bytes() };
        bytes[self.said_at..self.said_at + 2].copy_from_slice(&grey);
        bytes
    }

    /// Pixels in colour, `[pixels, 3]`, of their numbers.
    pub(crate) fn paint(&self, numbers: &[u8]) -> Vec<u8> {
        numbers.iter().flat_map(|&number| self.colours[usize::from(number)]).collect()
    }
}

/// The tags of the first picture, up to the end of the file; none where there is no way to them.
pub(crate) fn directory(bytes: &[u8]) -> Option<Directory<'_>> {
    let file = File { bytes, big_endian: bytes.starts_with(b"MM") };
    let is_big = file.number(2, 2)? == 43;
    // BigTIFF has eight bytes where TIFF has four.
    let lens = if is_big { Lens { offset: 8, count: 8, tag: 20 } } else { Lens { offset: 4, count: 2, tag: 12 } };
    directory_at(file, lens, file.number(if is_big { 8 } else { 4 }, lens.offset)?)
}

/// The tags that begin at `start`.
fn directory_at(file: File<'_>, lens: Lens, start: u64) -> Option<Directory<'_>> {
    let start = usize::try_from(start).ok()?;
    let count = file.number(start, lens.count)?;
    let first = start.checked_add(lens.count)?;
    let (mut at, mut tags) = (first, BTreeMap::new());
    for _ in 0..count {
        let Some((name, tag)) = file.tag(at, lens.offset) else { break };
        if value_bytes(tag.kind) == 0 {
            at += UNKNOWN_TAG_LEN;
        } else {
            tags.insert(name, tag);
            at += lens.tag;
        }
    }
    let end = usize::try_from(count).ok().and_then(|count| first.checked_add(count.checked_mul(lens.tag)?));
    let next = end.and_then(|end| file.number(end, lens.offset)).filter(|&next| next != 0);
    Some(Directory { file, lens, tags, next })
}

/// The tags of a picture by number; of several with one number the last, as in the decoder.
pub(crate) struct Directory<'a> {
    file: File<'a>,
    lens: Lens,
    tags: BTreeMap<u64, Tag>,
    /// Where the tags of the next page begin, if there is one.
    next: Option<u64>,
}

impl<'a> Directory<'a> {
    /// Whether there is a tag called `name`.
    pub(crate) fn has(&self, name: u64) -> bool {
        self.tags.contains_key(&name)
    }

    /// How many values a tag has, 0 where there is none of that name.
    pub(crate) fn values(&self, name: u64) -> u64 {
        self.tags.get(&name).map_or(0, |tag| tag.values)
    }

    /// Value `index` of a tag, none where there is no such value or it is not of a type that the decoder takes for counts.
    pub(crate) fn number(&self, name: u64, index: u64) -> Option<u64> {
        let tag = self.tags.get(&name)?;
        // Bytes, shorts, longs and offsets.
        let is_count = matches!(tag.kind, 1 | 3 | 4 | 7 | 13 | 16 | 18);
        if index >= tag.values || !is_count {
            return None;
        }
        let len = value_bytes(tag.kind) as usize;
        let at = usize::try_from(index).ok()?.checked_mul(len)?.checked_add(self.start(tag)?)?;
        self.file.number(at, len)
    }

    /// The first value of a tag, `default` where there is none of that name.
    pub(crate) fn number_or(&self, name: u64, default: u64) -> Option<u64> {
        if self.has(name) { self.number(name, 0) } else { Some(default) }
    }

    /// The values of a tag whose values are bytes.
    pub(crate) fn bytes(&self, name: u64) -> Option<&'a [u8]> {
        let tag = self.tags.get(&name)?;
        if !matches!(tag.kind, 1 | 7) {
            return None;
        }
        let start = self.start(tag)?;
        self.file.bytes.get(start..start.checked_add(usize::try_from(tag.values).ok()?)?)
    }

    /// What the file has of `len` bytes from `offset` on.
    pub(crate) fn data(&self, offset: u64, len: u64) -> &'a [u8] {
        let bytes = self.file.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = &bytes[start..];
        &rest[..usize::try_from(len).unwrap_or(usize::MAX).min(rest.len())]
    }

    /// What the picture has that is not read, and how to save it instead; none where the tags do not tell.
    fn unread(&self) -> Option<(String, &'static str)> {
        let (bits, channels) = (self.number_or(BITS_PER_SAMPLE, 1)?, self.number_or(SAMPLES_PER_PIXEL, 1)?);
        let (colours, format) = (self.number(PHOTOMETRIC, 0)?, self.number_or(SAMPLE_FORMAT, 1)?);
        let compression = self.number_or(COMPRESSION, 1)?;
        let kind = match (colours, channels, bits, format) {
            (0 | 1, 1, 1 | 8 | 16, 1) | (2, 3 | 4, 8 | 16, 1) | (PALETTE, 1, 8, 1) | (5, 4, 8 | 16, 1) => {
                let is_read = COMPRESSIONS.contains(&compression);
                let kind = || format!("compression {compression} (not LZW, Deflate, PackBits or JPEG)");
                return (!is_read).then(|| (kind(), UNCOMPRESSED));
            }
            (0..=2 | 5, ..) => format!("{bits}-bit {}samples in {}", adjective(format), in_words(channels)),
            (PALETTE, 1, ..) => format!("a palette for {bits}-bit {}samples", adjective(format)),
            (PALETTE, ..) => "a palette beside other channels".to_owned(),
            (6, ..) => "YCbCr colours".to_owned(),
            (8..=10, ..) => "CIELAB colours".to_owned(),
            _ => format!("colours of kind {colours} (tag {PHOTOMETRIC})"),
        };
        Some((kind, AS_SAMPLES))
    }

    /// The tags of the next page; none where they are more than any page has.
    fn next(&self) -> Option<Self> {
        let start = self.next?;
        let count = self.file.number(usize::try_from(start).ok()?, self.lens.count)?;
        if count > MAX_TAGS {
            return None;
        }
        directory_at(self.file, self.lens, start)
    }

    /// Whether the page is a picture in its own right.
    fn is_picture(&self) -> bool {
        let kind = self.number_or(NEW_SUBFILE_TYPE, 0);
        self.has(IMAGE_WIDTH) && kind.is_some_and(|kind| kind & (IS_SMALLER | IS_MASK) == 0)
    }

    /// Where a tag's values start.
    fn start(&self, tag: &Tag) -> Option<usize> {
        if tag.values.saturating_mul(value_bytes(tag.kind)) <= self.lens.offset as u64 {
            return Some(tag.at);
        }
        usize::try_from(self.file.number(tag.at, self.lens.offset)?).ok()
    }
}

/// What [`SAMPLE_FORMAT`] calls samples.
fn adjective(format: u64) -> &'static str {
    match format {
        1 => "",
        2 => "signed ",
        3 => "floating-point ",
        5 | 6 => "complex ",
        _ => "untyped ",
    }
}

fn in_words(channels: u64) -> String {
    if channels == 1 { "one channel".to_owned() } else { format!("{channels} channels") }
}

/// A type of values, how many there are, and where in the file they or their offset lie.
struct Tag {
    kind: u64,
    values: u64,
    at: usize,
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

/// Bytes of an offset, in whose place values lie that fit into it, of the number of tags, and of a tag.
#[derive(Clone, Copy)]
struct Lens {
    offset: usize,
    count: usize,
    tag: usize,
}

#[derive(Clone, Copy)]
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

    /// The name of the tag at `at` and the tag, none where the file ends before.
    fn tag(&self, at: usize, offset_len: usize) -> Option<(u64, Tag)> {
        let (name, kind, values) = (self.number(at, 2)?, self.number(at + 2, 2)?, self.number(at + 4, offset_len)?);
        Some((name, Tag { kind, values, at: at + 4 + offset_len }))
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

    /// A file whose pages have these tags, each of one short.
    fn pages(pages: &[&[(u16, u16)]]) -> Vec<u8> {
        let mut bytes = b"II\x2a\0\x08\0\0\0".to_vec();
        for (index, tags) in pages.iter().enumerate() {
            bytes.extend((tags.len() as u16).to_le_bytes());
            for (name, value) in *tags {
                let [name, value] = [name, value].map(|number| number.to_le_bytes());
                bytes.extend([&name[..], b"\x03\0\x01\0\0\0", &value, b"\0\0"].concat());
            }
            let next = if index + 1 == pages.len() { 0 } else { bytes.len() as u32 + 4 };
            bytes.extend(next.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn pages_that_are_pictures_are_told_from_smaller_versions_and_masks() {
        let page: &[(u16, u16)] = &[(256, 5)];
        let (smaller, mask): (&[_], &[_]) = (&[(254, 1), (256, 5)], &[(254, 4), (256, 5)]);
        let numbered: &[_] = &[(254, 2), (256, 5), (297, 1)];
        for (tags, expected) in [
            (&[page][..], false),
            (&[page, page], true),
            (&[numbered, numbered], true),
            (&[page, smaller, mask], false),
            (&[page, smaller, page], true),
            (&[page, &[(258, 8)]], false),
        ] {
            assert_eq!(has_more_pages(&pages(tags)), expected, "{tags:?}");
        }
        assert!(!has_more_pages(b"II"));
    }

    #[test]
    fn what_is_not_read_is_said_in_words() {
        let check = |tags: &[(u16, u16)], expected: Option<&str>| {
            let bytes = pages(&[tags]);
            let unread = directory(&bytes).expect("tags").unread();
            assert_eq!(unread.as_ref().map(|(kind, _)| kind.as_str()), expected, "{tags:?}");
        };
        check(&[(258, 32), (262, 1), (339, 3)], Some("32-bit floating-point samples in one channel"));
        check(&[(258, 16), (262, 1), (339, 2)], Some("16-bit signed samples in one channel"));
        check(&[(258, 16), (262, 1), (277, 5)], Some("16-bit samples in 5 channels"));
        check(&[(258, 12), (262, 1)], Some("12-bit samples in one channel"));
        check(&[(258, 8), (262, 6), (277, 3)], Some("YCbCr colours"));
        check(&[(258, 8), (262, 8), (277, 3)], Some("CIELAB colours"));
        check(&[(258, 16), (262, 32_803)], Some("colours of kind 32803 (tag 262)"));
        check(&[(258, 8), (259, 50_000), (262, 1)], Some("compression 50000 (not LZW, Deflate, PackBits or JPEG)"));
        check(&[(258, 8), (262, 3), (277, 2)], Some("a palette beside other channels"));
        check(&[(258, 8), (262, 2), (277, 3)], None);
        check(&[(258, 8)], None);

        let mut palette = include_bytes!("../tests/goldens/palette.tif").to_vec();
        let unread = |bytes: &[u8]| directory(bytes).expect("tags").unread().map(|(kind, _)| kind);
        assert_eq!(unread(&palette), None);
        let bits = directory(&palette).expect("tags").tags[&BITS_PER_SAMPLE].at;
        palette[bits] = 4;
        assert_eq!(unread(&palette).as_deref(), Some("a palette for 4-bit samples"));
    }

    #[test]
    fn a_kind_that_is_not_read_is_told_with_what_to_do() {
        let told = |bytes: &[u8]| crate::decode(bytes, &crate::Limits::default()).expect_err("not read").to_string();
        let remedy = "is not read: save it as 8- or 16-bit grey or RGB";
        let float = told(include_bytes!("../tests/goldens/float.tif"));
        assert_eq!(float, format!("TIFF with 32-bit floating-point samples in one channel {remedy}"));
        let size = [(256, 1), (257, 1), (258, 8)];
        let five = pages(&[&[&size[..], &[(262, 1), (273, 8), (277, 5), (279, 5)]].concat()]);
        assert_eq!(told(&five), format!("TIFF with 8-bit samples in 5 channels {remedy}"));
        let zstd = pages(&[&[&size[..], &[(259, 50_000), (262, 2), (273, 8), (277, 3), (279, 3)]].concat()]);
        let other = "TIFF with compression 50000 (not LZW, Deflate, PackBits or JPEG) is not read: save it without compression, or with LZW";
        assert_eq!(told(&zstd), other);
        // In colour the decoder takes them, to no use.
        let colour = pages(&[&[(256, 1), (257, 1), (258, 32), (262, 2), (273, 8), (277, 3), (279, 12), (339, 3)]]);
        assert_eq!(told(&colour), format!("TIFF with 32-bit floating-point samples in 3 channels {remedy}"));
    }

    #[test]
    fn a_chain_of_pages_without_end_ends() {
        let mut bytes = pages(&[&[(256, 5)], &[(254, 1), (256, 5)]]);
        let last = bytes.len() - 4;
        // To the second page again, to the middle of nowhere, beyond the file.
        for next in [26_u32, 5, 9999, u32::MAX] {
            bytes[last..].copy_from_slice(&next.to_le_bytes());
            assert!(!has_more_pages(&bytes), "{next}");
        }
        // To the first page, which is another picture only for the second.
        bytes[last..].copy_from_slice(&8_u32.to_le_bytes());
        assert!(has_more_pages(&bytes));
    }

    #[test]
    fn a_palette_is_known_by_its_tags_and_painted() {
        let bytes = include_bytes!("../tests/goldens/palette.tif");
        let palette = Palette::of(bytes).expect("a palette");
        assert_eq!(palette.paint(&[1, 0]), [palette.colours[1], palette.colours[0]].concat());
        let numbers = palette.numbers(bytes);
        assert!(Palette::of(&numbers).is_none(), "these are greys");
        let changed: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != numbers[at]).collect();
        assert_eq!((changed.len(), numbers[changed[0]]), (1, 1));

        // Of 4 bits, or with fewer colours than that.
        let (tags, grey) = (directory(bytes).expect("tags"), include_bytes!("../tests/goldens/grey.tif"));
        for (name, other) in [(BITS_PER_SAMPLE, 4), (PHOTOMETRIC, 2)] {
            let mut bytes = bytes.to_vec();
            bytes[tags.tags[&name].at] = other;
            assert!(Palette::of(&bytes).is_none(), "tag {name}");
        }
        let mut few = bytes.to_vec();
        few[tags.tags[&COLOUR_MAP].at - 4] = 1;
        assert!(Palette::of(&few).is_none());
        assert!(Palette::of(grey).is_none());
    }

    #[test]
    fn values_are_found_beside_their_tag_and_elsewhere() {
        let mut bytes = tiff(2);
        bytes[18..22].copy_from_slice(&[8, 0, 16, 1]);
        let tags = directory(&bytes).expect("a directory");
        assert_eq!((tags.number(258, 0), tags.number(258, 1), tags.number(258, 2)), (Some(8), Some(272), None));
        assert_eq!((tags.number(259, 0), tags.number_or(259, 1), tags.values(258)), (None, Some(1), 2));

        let mut bytes = tiff(3);
        bytes[18..22].copy_from_slice(&[40, 0, 0, 0]);
        bytes[40..46].copy_from_slice(&[1, 0, 2, 0, 3, 0]);
        let tags = directory(&bytes).expect("a directory");
        assert_eq!((tags.number(258, 0), tags.number(258, 2)), (Some(1), Some(3)));
        assert_eq!((tags.data(44, 9).len(), tags.data(60, 9).len(), tags.data(70, 9).len()), (9, 4, 0));
    }

    #[test]
    fn a_tag_of_an_unknown_type_has_twelve_bytes_in_bigtiff_too() {
        let mut bytes = b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
        bytes.extend(b"\x01\x01\x63\0\0\0\0\0\0\0\0\0"); // tag 257 of type 99
        bytes.extend(b"\x02\x01\x03\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0"); // tag 258: the short 7
        let tags = directory(&bytes).expect("a directory");
        assert_eq!((tags.has(257), tags.number(258, 0)), (false, Some(7)));
    }
}

//! The NumPy array format: its header written in one fixed way, and read strictly.
//!
//! A store trusts no file, so every fault has its own sentence, and nothing is lent before all of them are excluded.
//! The format is NumPy's NEP 1 (`numpy/lib/format.py`).

use std::fs::File;
use std::path::Path;

use super::disk;
use crate::{Dtype, Error, FeatureSpace};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
const ALIGNMENT: usize = 64;
/// Far above any header of a three-dimensional array, far below what could exhaust memory.
const MAX_HEADER: usize = 16 * 1024;

/// A C-ordered array `[rows, features]`, or `[rows, views, features]` of more than one view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Array {
    /// Pictures.
    pub rows: usize,
    /// Views per picture, at least 1.
    pub views: usize,
    /// Numbers per view.
    pub features: usize,
    /// Type of a number.
    pub dtype: Dtype,
}

/// What can be wrong with an array file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyFault {
    /// The file ends within its header.
    #[error("it has {len} bytes, too few for its header")]
    HeaderCutOff {
        /// Length of the file, in bytes.
        len: u64,
    },
    /// The file is something else.
    #[error("it does not begin with NumPy's magic bytes")]
    Magic,
    /// The array format is newer or broken.
    #[error("it has version {major}.{minor} of NumPy's format, expected 1.0, 2.0 or 3.0")]
    Version {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// The header claims to be longer than any sensible one.
    #[error("its header claims {len} bytes, expected at most {max}", max = MAX_HEADER)]
    HeaderTooLong {
        /// Claimed length, in bytes.
        len: u64,
    },
    /// The header is not the dictionary NumPy writes.
    #[error("its header is not a dictionary of descr, fortran_order and shape")]
    HeaderSyntax,
    /// The array is stored column by column.
    #[error("it is in Fortran order, expected C order")]
    FortranOrder,
    /// The numbers have another type.
    #[error("its numbers are {found:?}, expected {expected:?}")]
    Descr {
        /// Type found.
        found: String,
        /// Type the store describes.
        expected: &'static str,
    },
    /// The array has another shape.
    #[error("its shape is {found:?}, expected {expected:?}")]
    Shape {
        /// Shape found.
        found: Vec<u64>,
        /// Shape the store describes.
        expected: Vec<usize>,
    },
    /// The file is shorter or longer than header and numbers.
    #[error("it has {found} bytes, expected {expected}")]
    Length {
        /// Length found, in bytes.
        found: u64,
        /// Length expected, in bytes.
        expected: u64,
    },
}

impl Array {
    /// The array of a tap with this many features in a store of `rows` pictures.
    pub(crate) fn of(space: &FeatureSpace, rows: usize, features: usize) -> Self {
        Self { rows, views: space.views.count(), features, dtype: space.dtype }
    }

    /// Numbers of one row, those of all views.
    pub(crate) fn row_values(&self) -> usize {
        self.views * self.features
    }

    /// Bytes of one row, those of all views.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_values() * self.dtype.size()
    }

    fn shape(&self) -> Vec<usize> {
        if self.views == 1 { vec![self.rows, self.features] } else { vec![self.rows, self.views, self.features] }
    }

    /// Bytes of the whole file, unless no file could be that long.
    pub(crate) fn file_bytes(&self) -> Option<u64> {
        let row = self.views.checked_mul(self.features)?.checked_mul(self.dtype.size())?;
        let data = self.rows.checked_mul(row)?.checked_add(self.header().len())?;
        i64::try_from(data).ok()?;
        u64::try_from(data).ok()
    }

    /// The file's first bytes, a multiple of 64, after which the numbers begin.
    pub(crate) fn header(&self) -> Vec<u8> {
        let descr = self.dtype.descr();
        let shape = self.shape().iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
        let prefix = MAGIC.len() + 4;
        let padding = ALIGNMENT - 1 - (prefix + text.len()) % ALIGNMENT;
        text.extend(std::iter::repeat_n(' ', padding));
        text.push('\n');
        let len = u16::try_from(text.len()).expect("three integers and a type need less than 64 KiB");
        [MAGIC.as_slice(), &[1, 0], &len.to_le_bytes(), text.as_bytes()].concat()
    }
}

/// Checks that an open file holds exactly this array and gives the position of its first number.
pub(crate) fn check(file: &File, path: &Path, expected: &Array) -> Result<u64, Error> {
    let len = file.metadata().map_err(|source| Error::Read { path: path.to_owned(), source })?.len();
    let mut start = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(MAX_HEADER + 12)];
    disk::read_at(file, path, &mut start, 0)?;
    check_start(&start, len, expected).map_err(|fault| Error::BadNpy { path: path.to_owned(), fault })
}

/// `start` is the file's beginning, at least the longest header or the whole file; `len` its length.
fn check_start(start: &[u8], len: u64, expected: &Array) -> Result<u64, NpyFault> {
    let (text, offset) = header_text(start, len)?;
    let header = Header::parse(text).ok_or(NpyFault::HeaderSyntax)?;
    if header.fortran_order {
        return Err(NpyFault::FortranOrder);
    }
    if header.descr != expected.dtype.descr() {
        return Err(NpyFault::Descr { found: header.descr.to_owned(), expected: expected.dtype.descr() });
    }
    let shape = expected.shape();
    if !header.shape.iter().copied().eq(shape.iter().map(|&side| side as u64)) {
        return Err(NpyFault::Shape { found: header.shape, expected: shape });
    }
    let data = (expected.rows as u64).saturating_mul(expected.row_bytes() as u64);
    let whole = data.saturating_add(offset);
    if len != whole {
        return Err(NpyFault::Length { found: len, expected: whole });
    }
    Ok(offset)
}

/// The header's text and the position after it.
fn header_text(start: &[u8], len: u64) -> Result<(&str, u64), NpyFault> {
    if start.len() < MAGIC.len() {
        return Err(NpyFault::HeaderCutOff { len });
    }
    let rest = start.strip_prefix(MAGIC).ok_or(NpyFault::Magic)?;
    let (&[major, minor], rest) = rest.split_first_chunk::<2>().ok_or(NpyFault::HeaderCutOff { len })?;
    let (text_len, prefix, rest) = match (major, minor) {
        (1, 0) => {
            let (bytes, rest) = rest.split_first_chunk::<2>().ok_or(NpyFault::HeaderCutOff { len })?;
            (u64::from(u16::from_le_bytes(*bytes)), 10, rest)
        }
        (2 | 3, 0) => {
            let (bytes, rest) = rest.split_first_chunk::<4>().ok_or(NpyFault::HeaderCutOff { len })?;
            (u64::from(u32::from_le_bytes(*bytes)), 12, rest)
        }
        _ => return Err(NpyFault::Version { major, minor }),
    };
    if text_len > MAX_HEADER as u64 {
        return Err(NpyFault::HeaderTooLong { len: text_len });
    }
    let text = rest.get(..text_len as usize).ok_or(NpyFault::HeaderCutOff { len })?;
    let text = str::from_utf8(text).map_err(|_| NpyFault::HeaderSyntax)?;
    Ok((text, prefix + text_len))
}

/// The three entries of the header's dictionary, each exactly once and in any order.
struct Header<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?.trim_start();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.starts_with('}') {
            let (key, after) = quoted(rest)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" if descr.is_none() => keep(&mut descr, quoted(value)?),
                "fortran_order" if fortran_order.is_none() => keep(&mut fortran_order, boolean(value)?),
                "shape" if shape.is_none() => keep(&mut shape, tuple(value)?),
                _ => return None,
            };
            rest = after_comma(rest, '}')?;
        }
        if rest != "}" {
            return None;
        }
        Some(Self { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }
}

fn keep<'a, T>(place: &mut Option<T>, (value, rest): (T, &'a str)) -> &'a str {
    *place = Some(value);
    rest
}

/// The text after a comma, or before the closing bracket where no comma is needed.
fn after_comma(text: &str, closing: char) -> Option<&str> {
    let text = text.trim_start();
    match text.strip_prefix(',') {
        Some(rest) => Some(rest.trim_start()),
        None if text.starts_with(closing) => Some(text),
        None => None,
    }
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (inside, rest) = text[1..].split_once(quote)?;
    if inside.contains('\\') { None } else { Some((inside, rest)) }
}

fn boolean(text: &str) -> Option<(bool, &str)> {
    let value = |word, value| text.strip_prefix(word).map(|rest| (value, rest));
    value("True", true).or_else(|| value("False", false))
}

fn tuple(text: &str) -> Option<(Vec<u64>, &str)> {
    let mut rest = text.strip_prefix('(')?.trim_start();
    let mut sides = Vec::new();
    while !rest.starts_with(')') {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        sides.push(rest[..end].parse().ok()?);
        rest = after_comma(&rest[end..], ')')?;
    }
    Some((sides, &rest[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRAY: Array = Array { rows: 3, views: 1, features: 2, dtype: Dtype::F32 };

    fn file() -> Vec<u8> {
        let mut bytes = ARRAY.header();
        bytes.extend([0; 24]);
        bytes
    }

    fn with_header(text: &str) -> Vec<u8> {
        let len = u16::try_from(text.len()).expect("short");
        [MAGIC.as_slice(), &[1, 0], &len.to_le_bytes(), text.as_bytes(), &[0; 24]].concat()
    }

    fn fault(bytes: &[u8]) -> String {
        let start = &bytes[..bytes.len().min(MAX_HEADER + 12)];
        check_start(start, bytes.len() as u64, &ARRAY).expect_err("broken").to_string()
    }

    #[test]
    fn a_header_of_any_shape_reads_back() {
        for rows in [1, 9, 10, 99, 2624, 100_000, 4_000_000_000] {
            for (views, features) in [(1, 1), (1, 7), (4, 1280), (1, 1_000_000), (64, 1_000_000)] {
                for dtype in [Dtype::F32, Dtype::F16] {
                    let array = Array { rows, views, features, dtype };
                    let header = array.header();
                    assert_eq!(header.len() % ALIGNMENT, 0);
                    let len = array.file_bytes().expect("fits");
                    assert_eq!(check_start(&header, len, &array), Ok(header.len() as u64));
                }
            }
        }
    }

    #[test]
    fn several_views_have_an_axis_of_their_own_and_one_has_none() {
        let header = |views| String::from_utf8_lossy(&Array { views, ..ARRAY }.header()[10..]).trim().to_owned();
        assert_eq!(header(1), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }");
        assert_eq!(header(4), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 2), }");
        let four = Array { views: 4, ..ARRAY };
        assert_eq!(four.file_bytes(), Some(four.header().len() as u64 + 96));
        let refuse = |array: &Array, file: &Array, expected: &str| {
            let len = file.file_bytes().expect("fits");
            assert_eq!(check_start(&file.header(), len, array).expect_err("views").to_string(), expected);
        };
        refuse(&ARRAY, &four, "its shape is [3, 4, 2], expected [3, 2]");
        refuse(&four, &ARRAY, "its shape is [3, 2], expected [3, 4, 2]");
        refuse(&four, &Array { views: 3, ..ARRAY }, "its shape is [3, 3, 2], expected [3, 4, 2]");
        assert_eq!(Array { features: usize::MAX / 2, ..four }.file_bytes(), None);
    }

    #[test]
    fn other_spellings_of_the_same_header_are_read() {
        for text in [
            "{'shape': (3, 2), 'fortran_order': False, 'descr': '<f4'}\n",
            "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(3,2,),}",
        ] {
            let bytes = with_header(text);
            assert_eq!(check_start(&bytes, bytes.len() as u64, &ARRAY), Ok(10 + text.len() as u64));
        }
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}";
        let len = u32::try_from(text.len()).expect("short");
        let bytes = [MAGIC.as_slice(), &[2, 0], &len.to_le_bytes(), text.as_bytes(), &[0; 24]].concat();
        assert_eq!(check_start(&bytes, bytes.len() as u64, &ARRAY), Ok(12 + text.len() as u64));
    }

    #[test]
    fn every_broken_file_is_refused_by_its_own_sentence() {
        let whole = file();
        let damaged = |change: fn(&mut Vec<u8>)| {
            let mut bytes = whole.clone();
            change(&mut bytes);
            fault(&bytes)
        };
        assert_eq!(damaged(|b| b.truncate(3)), "it has 3 bytes, too few for its header");
        assert_eq!(damaged(|b| b.truncate(60)), "it has 60 bytes, too few for its header");
        assert_eq!(damaged(|b| b.truncate(151)), "it has 151 bytes, expected 152");
        assert_eq!(damaged(|b| b.push(0)), "it has 153 bytes, expected 152");
        assert_eq!(damaged(|b| b[0] = b'P'), "it does not begin with NumPy's magic bytes");
        assert_eq!(damaged(|b| b[6] = 9), "it has version 9.0 of NumPy's format, expected 1.0, 2.0 or 3.0");
        assert_eq!(damaged(|b| b[9] = 0xff), "its header claims 65398 bytes, expected at most 16384");
        assert_eq!(damaged(|b| b[9] = 0x10), "it has 152 bytes, too few for its header");
    }

    #[test]
    fn every_wrong_header_is_refused_by_its_own_sentence() {
        let check = |text: &str, expected: &str| assert_eq!(fault(&with_header(text)), expected, "{text}");
        check("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", "it is in Fortran order, expected C order");
        check(
            "{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2), }",
            "its numbers are \">f4\", expected \"<f4\"",
        );
        check("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", "its shape is [2, 3], expected [3, 2]");
        check("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", "its shape is [6], expected [3, 2]");
        for text in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'more': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, -2)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 99999999999999999999999)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)} + 1",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 2)}",
        ] {
            check(text, "its header is not a dictionary of descr, fortran_order and shape");
        }
    }

    #[test]
    fn a_damaged_byte_anywhere_in_the_header_never_panics() {
        let whole = file();
        for position in 0..ARRAY.header().len() {
            for byte in [0, b'\'', b',', b')', b'}', b'9', 0xc3, 0xff] {
                let mut bytes = whole.clone();
                bytes[position] = byte;
                let _ = check_start(&bytes, bytes.len() as u64, &ARRAY);
            }
        }
    }
}

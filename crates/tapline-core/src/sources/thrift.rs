//! Thrift's compact protocol, walked over before the Parquet library reads it.
//!
//! That library believes lengths, nests as deep as it is told, passes over lists of truths without taking a byte for each,
//! and reads a field that it knows as what it should be, whatever it is said to be. Bytes that pass here it reads to the
//! same end, with work and memory in proportion to them.
//! The protocol: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

use parquet::errors::ParquetError;

/// How deep what the library does not know may be nested: as deep as it passes over itself.
const MAX_DEPTH: usize = 64;

// Types as they are written. Truths are two of them: the one of a field is its value.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

const OTHER_TYPE: Fault = Fault::Bad("a field has another type than it should have");
/// Writers take a byte for each, which the library does not pass over: it would read them as what follows.
const TRUTHS: Fault = Fault::Bad("it has a list of truths, which no field of it is");

/// Why bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They end within what they began.
    Ends,
    /// What is wrong with them.
    Bad(&'static str),
}

impl Fault {
    /// An error that says it of `what`.
    pub(crate) fn of(self, what: &str) -> ParquetError {
        let why = match self {
            Self::Ends => "it ends early",
            Self::Bad(why) => why,
        };
        ParquetError::General(format!("{what} cannot be read: {why}"))
    }
}

/// The fields of a struct that the library knows, by their numbers.
pub(crate) type Fields = &'static [(i16, Known)];

/// What the library reads a field as.
#[derive(Clone, Copy)]
pub(crate) enum Known {
    Truth,
    Byte,
    Number,
    Double,
    Binary,
    Struct(Fields),
    /// A list of numbers.
    Numbers,
    /// A list of structs.
    Structs(Fields),
}

/// Bytes that are still to be walked over.
pub(crate) struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    pub(crate) fn over(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    /// Goes through the fields of a struct: `each` is told number and type of one, and walks over it.
    pub(crate) fn fields(
        &mut self,
        mut each: impl FnMut(&mut Self, i16, u8) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut id: i16 = 0;
        loop {
            let head = self.byte()?;
            let kind = head & 0xf;
            if kind == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.number()? as i16,
                more => id.checked_add(i16::from(more)).ok_or(Fault::Bad("a field has no number"))?,
            };
            each(self, id, kind)?;
        }
    }

    /// Walks over a field of a struct of which these are known.
    pub(crate) fn field(&mut self, known: Fields, id: i16, kind: u8) -> Result<(), Fault> {
        match known.iter().find(|(number, _)| *number == id) {
            Some((_, known)) => self.known(*known, kind),
            None => self.pass_over(kind, MAX_DEPTH),
        }
    }

    /// The number in a field of this type.
    pub(crate) fn number_of(&mut self, kind: u8) -> Result<i64, Fault> {
        if matches!(kind, I16 | I32 | I64) { self.number() } else { Err(OTHER_TYPE) }
    }

    /// How long the text in a field of this type is; walks over it.
    pub(crate) fn length_of(&mut self, kind: u8) -> Result<usize, Fault> {
        if kind == BINARY { self.binary() } else { Err(OTHER_TYPE) }
    }

    /// The truth in a field of this type.
    pub(crate) fn truth_of(&mut self, kind: u8) -> Result<bool, Fault> {
        if matches!(kind, TRUE | FALSE) { Ok(kind == TRUE) } else { Err(OTHER_TYPE) }
    }

    /// Goes through the fields of the struct in a field of this type.
    pub(crate) fn fields_of(
        &mut self,
        kind: u8,
        each: impl FnMut(&mut Self, i16, u8) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if kind == STRUCT { self.fields(each) } else { Err(OTHER_TYPE) }
    }

    /// How many structs the list in a field of this type has, which come next.
    pub(crate) fn structs_of(&mut self, kind: u8) -> Result<usize, Fault> {
        if kind != LIST {
            return Err(OTHER_TYPE);
        }
        let (kind, size) = self.list()?;
        if size > 0 && kind != STRUCT { Err(OTHER_TYPE) } else { Ok(size) }
    }

    /// A number without a sign.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Fault> {
        let mut value: u64 = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Bad("a number has more than ten bytes"))
    }

    /// The next so many bytes.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fault> {
        let (taken, left) = self.0.split_at_checked(bytes).ok_or(Fault::Ends)?;
        self.0 = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<i64, Fault> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn binary(&mut self) -> Result<usize, Fault> {
        let bytes = usize::try_from(self.unsigned()?).map_err(|_| Fault::Ends)?;
        self.take(bytes)?;
        Ok(bytes)
    }

    /// Type and number of a list's elements.
    fn list(&mut self) -> Result<(u8, usize), Fault> {
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => self.unsigned()?,
            few => u64::from(few),
        };
        Ok((head & 0xf, self.size(size)?))
    }

    /// A number of elements, each of which takes a byte at least.
    fn size(&self, elements: u64) -> Result<usize, Fault> {
        if elements > self.0.len() as u64 { Err(Fault::Ends) } else { Ok(elements as usize) }
    }

    fn known(&mut self, known: Known, kind: u8) -> Result<(), Fault> {
        match (known, kind) {
            (Known::Truth, TRUE | FALSE) | (Known::Byte, BYTE) | (Known::Double, DOUBLE) => {
                self.pass_over(kind, MAX_DEPTH)
            }
            (Known::Number, _) => self.number_of(kind).map(drop),
            (Known::Binary, _) => self.length_of(kind).map(drop),
            (Known::Struct(fields), STRUCT) => self.fields(|walk, id, kind| walk.field(fields, id, kind)),
            (Known::Numbers, LIST) => {
                let (kind, size) = self.list()?;
                (0..size).try_for_each(|_| self.number_of(kind).map(drop))
            }
            (Known::Structs(fields), LIST) => {
                let size = self.structs_of(kind)?;
                (0..size).try_for_each(|_| self.known(Known::Struct(fields), STRUCT))
            }
            _ => Err(OTHER_TYPE),
        }
    }

    /// Walks over what the library does not know.
    fn pass_over(&mut self, kind: u8, depth: usize) -> Result<(), Fault> {
        let deeper = depth.checked_sub(1).ok_or(Fault::Bad("it is nested too deeply"))?;
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.take(1).map(drop),
            I16 | I32 | I64 => self.unsigned().map(drop),
            DOUBLE => self.take(8).map(drop),
            BINARY => self.binary().map(drop),
            LIST | SET => {
                let (kind, size) = self.list()?;
                if size > 0 && matches!(kind, TRUE | FALSE) {
                    return Err(TRUTHS);
                }
                (0..size).try_for_each(|_| self.pass_over(kind, deeper))
            }
            MAP => {
                let size = self.unsigned()?;
                let size = self.size(size)?;
                let kinds = if size > 0 { self.byte()? } else { 0 };
                let (key, value) = (kinds >> 4, kinds & 0xf);
                if size > 0 && (matches!(key, TRUE | FALSE) || matches!(value, TRUE | FALSE)) {
                    return Err(TRUTHS);
                }
                (0..size).try_for_each(|_| {
                    self.pass_over(key, deeper)?;
                    self.pass_over(value, deeper)
                })
            }
            STRUCT => self.fields(|walk, _, kind| walk.pass_over(kind, deeper)),
            UUID => self.take(16).map(drop),
            _ => Err(Fault::Bad("a field has a type that does not exist")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = &[(1, Known::Number), (2, Known::Structs(&[(1, Known::Binary)])), (3, Known::Truth)];

    /// Walks over a struct with `FIELDS`; gives how many bytes come after it.
    fn walked(bytes: &[u8]) -> Result<usize, Fault> {
        let mut walk = Walk::over(bytes);
        walk.fields(|walk, id, kind| walk.field(FIELDS, id, kind))?;
        Ok(walk.left())
    }

    fn refuse(bytes: &[u8], words: &str) {
        let message = walked(bytes).expect_err(words).of("it").to_string();
        assert!(message.contains(words), "{message}");
    }

    /// A field that `FIELDS` does not have.
    fn unknown(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[0x90 | kind][..], value, &[0]].concat()
    }

    #[test]
    fn a_struct_ends_where_it_says() {
        // The number 300; two structs, one with a text; true; and the byte after it.
        let known = [0x15, 0xd8, 0x04, 0x19, 0x2c, 0x18, 2, b'a', b'b', 0, 0, 0x11, 0, 99];
        assert_eq!(walked(&known), Ok(1));
        // A field numbered in full, of which the library knows nothing: a map of lists to structs.
        let map = [0x0b, 80, 1, 0x9c, 0x25, 1, 2, 0x18, 1, b'x', 0, 0];
        assert_eq!(walked(&map), Ok(0));
        for cut in 0..map.len() {
            assert_eq!(walked(&map[..cut]), Err(Fault::Ends), "{cut}");
        }
        for (kind, value) in [(SET, &[0x13, 7][..]), (LIST, &[0]), (MAP, &[0]), (DOUBLE, &[0; 8]), (UUID, &[0; 16])] {
            assert_eq!(walked(&unknown(kind, value)), Ok(0), "{kind}");
        }
    }

    #[test]
    fn sizes_beyond_the_bytes_are_refused() {
        // 2,147,483,647 truths, for which the library would take no bytes, but seconds.
        refuse(&unknown(LIST, &[0xf1, 0xff, 0xff, 0xff, 0xff, 0x07]), "it ends early");
        refuse(&unknown(LIST, &[0xf5, 0xff, 0xff, 0xff, 0xff, 0x07]), "it ends early");
        refuse(&unknown(MAP, &[0xff, 0xff, 0xff, 0xff, 0x07, 0x11]), "it ends early");
        refuse(&unknown(BINARY, &[0xff, 0xff, 0xff, 0xff, 0x07]), "it ends early");
        refuse(&unknown(BINARY, &[0xff; 11]), "more than ten bytes");
    }

    #[test]
    fn lists_of_truths_are_refused_and_empty_ones_are_not() {
        for kind in [TRUE, FALSE] {
            assert_eq!(walked(&unknown(LIST, &[kind])), Ok(0));
            refuse(&unknown(LIST, &[0x30 | kind, 1, 1, 1]), "a list of truths");
            refuse(&unknown(MAP, &[1, 0x50 | kind, 2, 1]), "a list of truths");
        }
    }

    #[test]
    fn fields_that_lie_about_their_type_are_refused() {
        refuse(&[0x11, 0], "another type");
        refuse(&[0x25, 2, 0], "another type");
        refuse(&[0x29, 0x15, 2, 0], "another type");
        refuse(&[0x2a, 0x1c, 0, 0], "another type");
        refuse(&[0x35, 2, 0], "another type");
        refuse(&unknown(14, &[]), "a type that does not exist");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| unknown(STRUCT, &[vec![0x1c; depth], vec![0; depth + 1]].concat());
        assert_eq!(walked(&nested(60)), Ok(0));
        refuse(&nested(200_000), "nested too deeply");
    }
}

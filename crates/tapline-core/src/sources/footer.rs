//! The index at the end of a Parquet file, looked at before the library reads it.
//!
//! The library makes a tree of the schema by calling itself as deep as the file says, with room for as many children as it
//! says, and writes out each column's path from the root.

use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;

use super::thrift::Known::{Binary, Byte, Double, Number, Numbers, Struct, Structs, Truth};
use super::thrift::{Fault, Fields, Walk};

/// How deep the columns of a file may lie in each other.
const MAX_NESTED: usize = 64;
/// Bytes that the paths of all columns may take, each written out from the root.
const MAX_PATHS: usize = 256 << 20;

// What the library knows of the format's structs:
// <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.
const EMPTY: Fields = &[];
/// `FileMetaData` but for its schema.
const FILE: Fields = &[
    (1, Number),
    (3, Number),
    (4, Structs(ROW_GROUP)),
    (5, Structs(&[(1, Binary), (2, Binary)])),
    (6, Binary),
    (7, Structs(&[(1, Struct(EMPTY)), (2, Struct(EMPTY)), (3, Struct(EMPTY))])),
];
/// `SchemaElement` but for its name and the number of its children.
const ELEMENT: Fields = &[
    (1, Number),
    (2, Number),
    (3, Number),
    (6, Number),
    (7, Number),
    (8, Number),
    (9, Number),
    (10, Struct(LOGICAL_TYPE)),
];
const LOGICAL_TYPE: Fields = &[
    (1, Struct(EMPTY)),
    (2, Struct(EMPTY)),
    (3, Struct(EMPTY)),
    (4, Struct(EMPTY)),
    (5, Struct(&[(1, Number), (2, Number)])),
    (6, Struct(EMPTY)),
    (7, Struct(TIME)),
    (8, Struct(TIME)),
    (10, Struct(&[(1, Byte), (2, Truth)])),
    (11, Struct(EMPTY)),
    (12, Struct(EMPTY)),
    (13, Struct(EMPTY)),
    (14, Struct(EMPTY)),
    (15, Struct(EMPTY)),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Binary)])),
    (18, Struct(&[(1, Binary), (2, Number)])),
    (19, Struct(EMPTY)),
];
const TIME: Fields = &[(1, Truth), (2, Struct(&[(1, Struct(EMPTY)), (2, Struct(EMPTY)), (3, Struct(EMPTY))]))];
const ROW_GROUP: Fields = &[
    (1, Structs(CHUNK)),
    (2, Number),
    (3, Number),
    (4, Structs(&[(1, Number), (2, Truth), (3, Truth)])),
    (5, Number),
    (7, Number),
];
const CHUNK: Fields =
    &[(1, Binary), (2, Number), (3, Struct(COLUMN)), (4, Number), (5, Number), (6, Number), (7, Number)];
const COLUMN: Fields = &[
    (1, Number),
    (2, Numbers),
    (4, Number),
    (5, Number),
    (6, Number),
    (7, Number),
    (9, Number),
    (10, Number),
    (11, Number),
    (12, Struct(STATISTICS)),
    (13, Structs(&[(1, Number), (2, Number), (3, Number)])),
    (14, Number),
    (15, Number),
    (16, Struct(&[(1, Number), (2, Numbers), (3, Numbers)])),
    (17, Struct(&[(1, Struct(BOX)), (2, Numbers)])),
];
const STATISTICS: Fields = &[
    (1, Binary),
    (2, Binary),
    (3, Number),
    (4, Number),
    (5, Binary),
    (6, Binary),
    (7, Truth),
    (8, Truth),
    (9, Number),
];
const BOX: Fields =
    &[(1, Double), (2, Double), (3, Double), (4, Double), (5, Double), (6, Double), (7, Double), (8, Double)];

/// What the index of a Parquet file says, which nobody has vouched for.
///
/// # Errors
/// Where it is none, or damaged; an encrypted one is refused by the library.
pub(crate) fn read_footer<R: ChunkReader>(file: &R) -> Result<ParquetMetaData, ParquetError> {
    if let Some(end) = file.len().checked_sub(FOOTER_SIZE as u64) {
        let tail = file.get_bytes(end, FOOTER_SIZE)?;
        let tail = FooterTail::try_from(&tail[..])?;
        let start = end.checked_sub(tail.metadata_length() as u64);
        if let Some(start) = start.filter(|_| !tail.is_encrypted_footer()) {
            let footer = file.get_bytes(start, tail.metadata_length())?;
            check(&footer).map_err(|fault| fault.of("its index"))?;
            return ParquetMetaDataReader::decode_metadata(&footer);
        }
    }
    // The library says what is wrong with it.
    ParquetMetaDataReader::new().parse_and_finish(file)
}

fn check(footer: &[u8]) -> Result<(), Fault> {
    Walk::over(footer).fields(|walk, id, kind| match id {
        2 => check_schema(walk, kind),
        _ => walk.field(FILE, id, kind),
    })
}

/// A schema is a tree, written as the list of its nodes, each before its children.
fn check_schema(walk: &mut Walk<'_>, kind: u8) -> Result<(), Fault> {
    let mut tree = Tree::default();
    for after in (0..walk.structs_of(kind)?).rev() {
        let (mut name, mut children) = (0, 0);
        walk.fields(|walk, id, kind| {
            match id {
                4 => name = walk.length_of(kind)?,
                5 => children = walk.number_of(kind)? as i32,
                _ => walk.field(ELEMENT, id, kind)?,
            }
            Ok(())
        })?;
        tree.add(name, children, after)?;
    }
    Ok(())
}

/// A schema as far as it has been read.
#[derive(Default)]
struct Tree {
    /// For the last node and each above it the children that are still to come, and the bytes of its path.
    open: Vec<(usize, usize)>,
    /// Bytes of the paths of all columns so far.
    paths: usize,
}

impl Tree {
    /// A node of so many bytes of name and so many children, which so many nodes come after.
    fn add(&mut self, name: usize, children: i32, after: usize) -> Result<(), Fault> {
        while let Some((0, _)) = self.open.last() {
            self.open.pop();
        }
        let mut path = name + size_of::<String>();
        if let Some((to_come, above)) = self.open.last_mut() {
            *to_come -= 1;
            path += *above;
        }
        let children = usize::try_from(children).ok().filter(|children| *children <= after);
        let children = children.ok_or(Fault::Bad("a column claims more parts than there are"))?;
        if children > 0 {
            if self.open.len() == MAX_NESTED {
                return Err(Fault::Bad("its columns are nested too deeply"));
            }
            self.open.push((children, path));
            return Ok(());
        }
        self.paths += path;
        if self.paths > MAX_PATHS {
            return Err(Fault::Bad("the names of its columns are too long"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// A number without a sign as Thrift writes it.
    fn number(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(0x80 | (value & 0x7f) as u8);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// A node of a schema; twice the children, which is how Thrift writes them.
    fn node(name: &str, twice_children: usize) -> Vec<u8> {
        [&[0x48u8][..], &number(name.len()), name.as_bytes(), &[0x15], &number(twice_children), &[0]].concat()
    }

    fn schema(nodes: &[Vec<u8>]) -> Vec<u8> {
        [&[0x29u8, 0xfc][..], &number(nodes.len()), &nodes.concat(), &[0]].concat()
    }

    fn file(footer: &[u8]) -> Bytes {
        [&b"PAR1"[..], footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat().into()
    }

    fn refuse(footer: &[u8], words: &str) {
        let message = read_footer(&file(footer)).expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
    }

    #[test]
    fn schemas_that_nest_deeply_are_refused() {
        refuse(&schema(&vec![node("a", 2); 200_000]), "nested too deeply");
        refuse(&schema(&vec![node("a", 2); 66]), "nested too deeply");
    }

    #[test]
    fn columns_that_claim_more_parts_than_there_are_are_refused() {
        let words = "a column claims more parts than there are";
        refuse(&schema(&[node("a", 2 * i32::MAX as usize)]), words);
        refuse(&schema(&[node("a", 4), node("b", 0)]), words);
        refuse(&schema(&[node("a", 1), node("b", 0)]), words);
    }

    #[test]
    fn a_long_name_above_many_columns_is_refused() {
        let mut nodes = vec![node("a", 2), node(&"b".repeat(100_000), 2 * 3000)];
        nodes.extend(vec![node("c", 0); 3000]);
        refuse(&schema(&nodes), "the names of its columns are too long");
    }

    #[test]
    fn lists_that_take_no_bytes_and_schemas_that_are_none_are_refused() {
        // A field with number 20, which nobody knows: truths beyond number.
        refuse(&[0x09, 40, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0], "its index cannot be read: it ends early");
        refuse(&[0x09, 40, 0x31, 1, 1, 1, 0], "a list of truths");
        refuse(&[0x21, 0], "another type");
    }

    #[test]
    fn what_is_no_index_is_refused_in_the_words_of_the_library() {
        let check = |file: &[u8], words: &str| {
            let message = read_footer(&Bytes::copy_from_slice(file)).expect_err(words).to_string();
            assert!(message.contains(words), "{message}");
        };
        check(b"PAR1", "Parquet file too small");
        check(b"PAR1\x09\0\0\0PAR1", "Parquet file too small");
        check(b"PAR1\0\0\0\0PAR2", "Corrupt footer");
        check(b"PAR1\0\x01\0\0\0PARE", "encrypted footer");
    }

    #[test]
    fn what_writers_write_passes() {
        let schema = "message rows {
            required int32 a (INTEGER(8,true)); optional int64 b (TIMESTAMP(MICROS,true)); optional int32 c (DECIMAL(8, 3));
            optional fixed_len_byte_array(2) d (FLOAT16); required boolean e; optional double f; optional binary g (UTF8);
            optional group h (LIST) { repeated group list { optional binary element (STRING); } }
        }";
        let schema = parse_message_type(schema).expect("a schema");
        let properties = WriterProperties::builder().build();
        let file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).expect("a writer");
        let file: Bytes = file.into_inner().expect("bytes").into();
        let read = read_footer(&file).expect("an index");
        assert_eq!(read.file_metadata().schema_descr().num_columns(), 8);
    }
}

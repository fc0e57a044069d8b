//! `listing.parquet`: which picture each row belongs to, as a table any data tool reads.
//!
//! All columns are nullable UTF-8 strings; the low-level Parquet interface suffices for that and needs no Arrow.

use std::io::Write;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::reader::ColumnReaderImpl;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::sources::footer::read_footer;
use crate::sources::pages::{at_once, pages};
use crate::sources::words::{MAX_WORDS, spend};
use crate::texts::{GrowingWords, Texts, Words};
use crate::{Digest, Error, Skipped};

/// The columns of `listing.parquet`, each with one value per row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredListing {
    /// The pictures' paths as listed.
    pub path: Texts,
    /// The classes.
    pub label: Words,
    /// The parts of a fixed split.
    pub split: Words,
    /// The user's further columns: name and values, in their order.
    pub extra: Vec<(String, Words)>,
    /// The digests of the pictures' bytes; none where a picture could not be read.
    pub sha256: Vec<Option<Digest>>,
    /// Why a picture has no features; none where it has.
    pub skipped: Words,
}

/// Rows whose texts are held twice while they are written or read; a whole number of the writer's own batches of 1,024.
const AT_ONCE: usize = 8192;

/// Takes the value of a row.
type Take<'a> = &'a mut dyn FnMut(Option<&str>) -> Result<(), ParquetError>;

/// The values of a column.
pub(crate) type Column = Vec<Option<String>>;

impl StoredListing {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.path.len()
    }

    /// Reads and checks the file's bytes, which must have `rows` rows; `path` is named in errors.
    pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>, rows: usize) -> Result<Self, Error> {
        let columns = without_panics(|| decode(bytes.into(), rows))
            .map_err(|source| Error::Parquet { path: path.to_owned(), source })?;
        columns.listing().map_err(|what| Error::BadStore { path: path.to_owned(), what })
    }

    /// The pictures without features.
    pub fn skipped_pictures(&self) -> impl Iterator<Item = Skipped> {
        let named =
            |(path, reason): (&str, Option<&str>)| Some(Skipped { path: path.to_owned(), reason: reason?.to_owned() });
        self.path.iter().zip(self.skipped.iter()).filter_map(named)
    }

    /// The names of all columns.
    pub(crate) fn names(&self) -> Vec<&str> {
        names(self.extra.iter().map(|(name, _)| name.as_str()))
    }

    /// The values of the column with this place among the names, of these rows alone: a long listing's texts are not held twice.
    pub(crate) fn column(&self, index: usize, rows: Range<usize>) -> Column {
        let word = |row: usize| match (index, self.extra.get(index.wrapping_sub(3))) {
            (0, _) => Some(&self.path[row]),
            (1, _) => self.label.get(row),
            (2, _) => self.split.get(row),
            (_, Some((_, values))) => values.get(row),
            (_, None) => self.skipped.get(row),
        };
        let digest = |row: usize| self.sha256[row].map(|digest| digest.to_string());
        let is_digest = index == 3 + self.extra.len();
        rows.map(|row| if is_digest { digest(row) } else { word(row).map(str::to_owned) }).collect()
    }
}

/// The columns of a file so far.
#[derive(Default)]
struct Columns {
    path: Option<Texts>,
    sha256: Option<Vec<Option<Digest>>>,
    others: Vec<(String, Words)>,
    /// What a value cannot be.
    fault: Option<String>,
}

impl Columns {
    fn listing(mut self) -> Result<StoredListing, String> {
        self.fault.map_or(Ok(()), Err)?;
        let absent = |name: &str| format!("it has no column {name:?}");
        let [label, split, skipped] = ["label", "split", "skipped"].map(|name| {
            let position = self.others.iter().position(|(found, _)| found == name);
            position.map(|i| self.others.remove(i).1).ok_or_else(|| absent(name))
        });
        Ok(StoredListing {
            path: self.path.ok_or_else(|| absent("path"))?,
            label: label?,
            split: split?,
            extra: self.others,
            sha256: self.sha256.ok_or_else(|| absent("sha256"))?,
            skipped: skipped?,
        })
    }
}

/// The names of all columns, those of the user's `extra` ones among them.
pub(crate) fn names<'a>(extra: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    ["path", "label", "split"].into_iter().chain(extra).chain(["sha256", "skipped"]).collect()
}

/// Writes the file's bytes, always the same for the same listing of so many rows: `column` gives values of the column with a
/// place among the names.
pub(crate) fn encode(
    names: &[&str],
    rows: usize,
    column: &dyn Fn(usize, Range<usize>) -> Column,
    to: &mut (dyn Write + Send),
) -> Result<(), ParquetError> {
    let fields = names.iter().map(|name| Ok(Arc::new(string_field(name)?)));
    let fields: Vec<_> = fields.collect::<Result<_, ParquetError>>()?;
    let schema = Type::group_type_builder("listing").with_fields(fields).build()?;
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("tapline".to_owned()).build();
    let mut file = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for index in 0..names.len() {
        let mut written = group.next_column()?.expect("as many columns as the schema has");
        for first in (0..rows).step_by(AT_ONCE) {
            write_strings(written.typed::<ByteArrayType>(), &column(index, first..rows.min(first + AT_ONCE)))?;
        }
        written.close()?;
    }
    group.close()?;
    file.close().map(drop)
}

/// A nullable UTF-8 column.
pub(crate) fn string_field(name: &str) -> Result<Type, ParquetError> {
    Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::String))
        .build()
}

/// Writes the texts of a part of a nullable column.
pub(crate) fn write_strings(
    writer: &mut ColumnWriterImpl<'_, ByteArrayType>,
    values: &Column,
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<ByteArray> = values.iter().flatten().map(|text| text.as_str().into()).collect();
    writer.write_batch(&present, Some(&levels), None).map(drop)
}

/// What `work` gives, a panic turned into an error: the Parquet reader checks some damaged lengths by assertion.
pub(crate) fn without_panics<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let gave_up = || ParquetError::General("the table's bytes contradict themselves".to_owned());
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(gave_up()))
}

fn decode(bytes: bytes::Bytes, rows: usize) -> Result<Columns, ParquetError> {
    let metadata = read_footer(&bytes)?;
    check_rows(&metadata, rows)?;
    let file = Arc::new(bytes);
    let schema = metadata.file_metadata().schema_descr_ptr();
    let (mut columns, mut left) = (Columns::default(), MAX_WORDS);
    for (i, field) in schema.columns().iter().enumerate() {
        if field.physical_type() != PhysicalType::BYTE_ARRAY || field.max_def_level() != 1 || field.max_rep_level() != 0
        {
            return Err(ParquetError::General(format!("column {:?} is not of nullable strings", field.name())));
        }
        let mut read = |take: Take| {
            metadata.row_groups().iter().try_for_each(|group| read_column((&file, group), i, (&mut *take, &mut left)))
        };
        match field.name() {
            "path" if columns.path.is_none() => {
                let mut paths = Texts::default();
                read(&mut |path| {
                    if path.is_none() {
                        columns.fault = Some("it has a row without a path".to_owned());
                    }
                    paths.push(path.unwrap_or_default());
                    Ok(())
                })?;
                paths.shrink();
                columns.path = Some(paths);
            }
            "sha256" if columns.sha256.is_none() => {
                let mut digests = Vec::new();
                read(&mut |text| {
                    let digest: Result<Option<Digest>, Error> = text.map(str::parse).transpose();
                    digests.push(digest.unwrap_or_else(|error| {
                        columns.fault = Some(error.to_string());
                        None
                    }));
                    Ok(())
                })?;
                digests.shrink_to_fit();
                columns.sha256 = Some(digests);
            }
            name => {
                let mut words = GrowingWords::default();
                read(&mut |word| {
                    words.push(word);
                    Ok(())
                })?;
                columns.others.push((name.to_owned(), words.finish()));
            }
        }
    }
    Ok(columns)
}

/// The reader takes memory for as many rows as the table claims, so they are compared with what is known of the store first.
fn check_rows(metadata: &ParquetMetaData, rows: usize) -> Result<(), ParquetError> {
    let mut groups = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
    let found = groups.try_fold(0u64, |sum, rows| sum.checked_add(rows?));
    if found == Some(rows as u64) {
        return Ok(());
    }
    let found = found.map_or("an impossible number of".to_owned(), |found| found.to_string());
    Err(ParquetError::General(format!("it has {found} rows, expected {rows}")))
}

fn read_column(
    (file, group): (&Arc<bytes::Bytes>, &RowGroupMetaData),
    i: usize,
    (take, left): (Take, &mut usize),
) -> Result<(), ParquetError> {
    let rows = usize::try_from(group.num_rows()).map_err(|_| ParquetError::General("negative rows".into()))?;
    let chunk = group.column(i);
    let mut reader =
        ColumnReaderImpl::<ByteArrayType>::new(chunk.column_descr_ptr(), pages(file.clone(), chunk, rows)?);
    let mut levels: Vec<i16> = Vec::new();
    let mut present: Vec<ByteArray> = Vec::new();
    let mut read = 0;
    while read < rows {
        levels.clear();
        present.clear();
        let wanted = at_once(chunk, AT_ONCE).min(rows - read);
        let (records, ..) = reader.read_records(wanted, Some(&mut levels), None, &mut present)?;
        if records == 0 {
            return Err(ParquetError::General(format!("a column has {read} of {rows} rows")));
        }
        let mut there = present.iter();
        for level in &levels {
            let text = if *level == 0 { None } else { there.next() };
            let text = text.map(|bytes| bytes.as_utf8()).transpose()?;
            spend(left, text.unwrap_or_default()).map_err(ParquetError::General)?;
            take(text)?;
        }
        read += records;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(each: [Option<&str>; 3]) -> Words {
        each.into_iter().collect()
    }

    fn listing() -> StoredListing {
        StoredListing {
            path: ["a,\"1\".png", "🐈\\xFF.png", "c"].into_iter().collect(),
            label: words([Some("cat"), None, Some("")]),
            split: words([None; 3]),
            extra: vec![("a b;{}".to_owned(), words([None, Some("ä"), Some("x")]))],
            sha256: vec![Some(Digest::of(b"1")), None, Some(Digest::of(b"3"))],
            skipped: words([None, Some("cannot be read"), None]),
        }
    }

    fn encoded(listing: &StoredListing) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&listing.names(), listing.rows(), &|index, rows| listing.column(index, rows), &mut bytes)
            .expect("encode");
        bytes
    }

    fn read(bytes: Vec<u8>, rows: usize) -> Result<StoredListing, Error> {
        StoredListing::from_bytes(Path::new("listing.parquet"), bytes, rows)
    }

    #[test]
    fn a_listing_reads_back_and_its_bytes_are_always_the_same() {
        let bytes = encoded(&listing());
        assert_eq!(bytes, encoded(&listing()));
        assert_eq!(read(bytes, 3).expect("decode"), listing());
    }

    #[test]
    fn many_rows_read_back() {
        let n = 50_000;
        let column = |every: usize| (0..n).map(|i| (i % every == 0).then(|| format!("value {}", i / 3))).collect();
        let many = StoredListing {
            path: (0..n).map(|i| format!("folder/{i}.png")).collect(),
            label: column(2),
            split: column(7),
            extra: vec![("type".to_owned(), column(1))],
            sha256: (0..n).map(|i| Some(Digest::of(&i.to_le_bytes()))).collect(),
            skipped: column(1000),
        };
        assert_eq!(read(encoded(&many), n).expect("decode"), many);
    }

    #[test]
    fn another_number_of_rows_is_refused_before_it_is_read() {
        let bytes = encoded(&listing());
        let error = read(bytes, 4).expect_err("three rows");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.contains("it has 3 rows, expected 4"), "{cause}");
    }

    #[test]
    fn a_dictionary_that_claims_more_texts_than_it_has_bytes_is_refused() {
        let mut bytes = encoded(&listing());
        // The first page's head (Thrift's compact form): kind, two lengths, then the dictionary's number of texts, 3.
        let head = bytes[..14].to_vec();
        assert_eq!((&head[..7], head[11]), (&b"PAR1\x15\x04\x15"[..], 0x15), "{head:02x?}");
        assert_eq!(head[12], 2 * 3, "{head:02x?}");
        bytes[12] = 2 * 63;
        let error = read(bytes, 3).expect_err("63 texts");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.contains("a dictionary claims 63 values"), "{cause}");
    }

    #[test]
    fn an_index_with_a_list_of_truths_beyond_number_is_refused_at_once() {
        // A field with number 20, which nobody knows: 2,147,483,647 truths.
        let index = [0x09, 40, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        let bytes = [&b"PAR1"[..], &index, &(index.len() as u32).to_le_bytes(), b"PAR1"].concat();
        let error = read(bytes, 3).expect_err("no listing");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.contains("its index cannot be read: it ends early"), "{cause}");
    }

    #[test]
    fn a_cut_off_file_and_a_missing_column_are_refused() {
        let bytes = encoded(&listing());
        read(bytes[..bytes.len() / 2].to_vec(), 3).expect_err("cut off");
        read(Vec::new(), 3).expect_err("empty");
        let columns = Columns {
            path: Some(Texts::default()),
            others: vec![("label".to_owned(), Words::default())],
            ..Columns::default()
        };
        assert_eq!(columns.listing().expect_err("no split"), "it has no column \"split\"");
    }

    #[test]
    fn rows_without_a_path_and_what_is_no_digest_do_not_fit_a_store() {
        let good = listing();
        for (index, bad, words) in [(0, None, "it has a row without a path"), (4, Some("ab"), "64 hexadecimal digits")]
        {
            let mut bytes = Vec::new();
            let column = |at: usize, rows: Range<usize>| match at == index {
                true => rows.map(|_| bad.map(str::to_owned)).collect(),
                false => good.column(at, rows),
            };
            encode(&good.names(), 3, &column, &mut bytes).expect("encode");
            let error = read(bytes, 3).expect_err(words).to_string();
            assert!(error.contains("does not fit the store") && error.contains(words), "{error}");
        }
    }
}

//! Rows of a tap as a Parquet table, for tools that read tables rather than arrays.
//!
//! Features are one column of lists: a column for each number would be thousands of them, which every reader opens slowly, and
//! Parquet has no lists of fixed length. Row groups are written one by one, so that memory does not grow with the store.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};

use super::FEATURES as ARRAYS;
use super::building::ArrayFile;
use super::listing::{string_field, write_strings};
use super::reader::{Rows, Store};
use super::widen::widen;
use crate::Error;

const FEATURES: &str = "features";
const VIEW: &str = "view";

/// Numbers in a row group: 16 MiB of them.
const GROUP_NUMBERS: usize = 4 << 20;
/// The most lines of a row group, as texts are in memory too.
const GROUP_LINES: usize = 1 << 16;

/// Writes a line for each picture, in the order of the listing, or for each of its views: the listing's columns, `view` where
/// there are several, and `features`, null where the picture was skipped.
///
/// Gives the number of lines. `path` is named in errors; float16 is written as float32, which every reader knows.
///
/// # Errors
/// [`Error::BadExport`] where the listing has a column of a name that is needed, [`Error::NotFinite`] of a damaged row,
/// [`Error::Parquet`] where the file cannot be written.
pub fn export_rows(store: &Store, tap: usize, (file, path): (&File, &Path)) -> Result<usize, Error> {
    let rows = store.rows(tap);
    let names: Vec<&str> = store.listing().extra.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(column) = names.into_iter().find(|name| [FEATURES, VIEW].contains(name)) {
        return Err(Error::BadExport { column: column.to_owned() });
    }
    let wrap = |source| Error::Parquet { path: path.to_owned(), source };
    let stored = &store.taps()[tap];
    let array = ArrayFile::open_to_read(store.dir().join(ARRAYS).join(&stored.file), store.manifest().array(stored))?;
    let mut writer = open(store, &rows, file).map_err(wrap)?;
    let pictures = (GROUP_NUMBERS / rows.features).min(GROUP_LINES) / rows.views;
    for start in (0..rows.rows).step_by(pictures.max(1)) {
        let part = start..rows.rows.min(start + pictures.max(1));
        let values = values((store, &rows), &array, part.clone())?;
        let mut group = writer.next_row_group().map_err(wrap)?;
        write_group(&mut group, (store, &rows), (part, &values)).map_err(wrap)?;
        group.close().map_err(wrap)?;
    }
    writer.close().map_err(wrap)?;
    Ok(rows.rows * rows.views)
}

fn open<'a>(store: &Store, rows: &Rows, file: &'a File) -> Result<SerializedFileWriter<&'a File>, ParquetError> {
    let mut fields = Vec::new();
    for name in store.listing().names() {
        fields.push(Arc::new(string_field(name)?));
    }
    if rows.views > 1 {
        let field = Type::primitive_type_builder(VIEW, PhysicalType::INT32).with_repetition(Repetition::REQUIRED);
        fields.push(Arc::new(field.build()?));
    }
    fields.push(Arc::new(list_field()?));
    let schema = Type::group_type_builder("rows").with_fields(fields).build()?;
    let numbers = ColumnPath::from(vec![FEATURES.to_owned(), "list".to_owned(), "element".to_owned()]);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_column_dictionary_enabled(numbers, false)
        .set_created_by("tapline".to_owned());
    SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))
}

/// `optional group features (LIST) { repeated group list { required float element } }`, as the format's rules have it.
fn list_field() -> Result<Type, ParquetError> {
    let element = Type::primitive_type_builder("element", PhysicalType::FLOAT).with_repetition(Repetition::REQUIRED);
    let list = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element.build()?)]);
    Type::group_type_builder(FEATURES)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(list.build()?)])
        .build()
}

/// The numbers of all views of the good pictures among `part`; read, not mapped, so that they do not stay in memory.
fn values((store, rows): (&Store, &Rows), file: &ArrayFile, part: Range<usize>) -> Result<Vec<f32>, Error> {
    let each = rows.views * rows.features;
    let mut values = Vec::with_capacity(part.len() * each);
    let mut bytes = Vec::new();
    for row in part.filter(|&row| store.listing().skipped.get(row).is_none()) {
        file.read_row(row, &mut bytes)?;
        let start = values.len();
        values.resize(start + each, 0.0);
        widen(rows.dtype, &bytes, &mut values[start..]);
        values[start..].chunks(rows.features).try_for_each(|view| rows.check_finite(row, view))?;
    }
    Ok(values)
}

fn write_group(
    group: &mut SerializedRowGroupWriter<&File>,
    (store, rows): (&Store, &Rows),
    (part, values): (Range<usize>, &[f32]),
) -> Result<(), ParquetError> {
    let views = rows.views;
    let promised = "as many columns as the schema has";
    for index in 0..store.listing().names().len() {
        let texts = store.listing().column(index, part.clone());
        let texts: Vec<_> = texts.into_iter().flat_map(|text| std::iter::repeat_n(text, views)).collect();
        let mut column = group.next_column()?.expect(promised);
        write_strings(column.typed(), &texts)?;
        column.close()?;
    }
    if views > 1 {
        let numbers: Vec<i32> = part.clone().flat_map(|_| 0..views as i32).collect();
        let mut column = group.next_column()?.expect(promised);
        column.typed::<Int32Type>().write_batch(&numbers, None, None)?;
        column.close()?;
    }
    let is_good = part.flat_map(|row| std::iter::repeat_n(store.listing().skipped.get(row).is_none(), views));
    let mut column = group.next_column()?.expect(promised);
    write_lists(column.typed(), (values, rows.features), is_good)?;
    column.close()
}

/// Levels by Dremel's rules: 2 a number, 0 no list; 1 a number of the same list as the one before it.
fn write_lists(
    writer: &mut ColumnWriterImpl<'_, FloatType>,
    (values, features): (&[f32], usize),
    is_good: impl Iterator<Item = bool>,
) -> Result<(), ParquetError> {
    let (mut definition, mut repetition) = (Vec::new(), Vec::new());
    for is_good in is_good {
        repetition.push(0);
        if is_good {
            repetition.extend(std::iter::repeat_n(1, features - 1));
        }
        definition.extend(std::iter::repeat_n(if is_good { 2 } else { 0 }, if is_good { features } else { 1 }));
    }
    writer.write_batch(values, Some(&definition), Some(&repetition)).map(drop)
}

//! Columns of a Parquet file as text, whatever type they have.
//!
//! Listings are tables of words; numbers are written as a CSV file would have them.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, get_column_reader, get_typed_column_reader};
use parquet::data_type::{BoolType, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use parquet::schema::types::ColumnDescriptor;

use super::pages::{at_once, pages};
use super::words::spend;

/// Rows whose values are held twice while they become text.
const AT_ONCE: usize = 8192;

/// Why a column is not read; none where it can be.
pub(crate) fn unread(column: &ColumnDescriptor) -> Option<&'static str> {
    let is_plain_number = match column.logical_type_ref() {
        None => matches!(
            column.converted_type(),
            ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64
                | ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
        ),
        Some(LogicalType::Integer { .. }) => true,
        Some(_) => false,
    };
    match column.physical_type() {
        _ if column.max_rep_level() > 0 => Some("a column of lists"),
        PhysicalType::BYTE_ARRAY if is_text(column) => None,
        PhysicalType::BYTE_ARRAY => Some("a column of bytes"),
        PhysicalType::BOOLEAN | PhysicalType::FLOAT | PhysicalType::DOUBLE => None,
        PhysicalType::INT32 | PhysicalType::INT64 if is_plain_number => None,
        _ => Some("a column of another type than text, numbers, true and false"),
    }
}

/// Whether a column of bytes is said to hold text.
pub(crate) fn is_text(column: &ColumnDescriptor) -> bool {
    matches!(column.logical_type_ref(), Some(LogicalType::String | LogicalType::Enum | LogicalType::Json))
        || matches!(column.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON)
}

/// Adds the values of the leaf column at `index` in a row group to `found`, which may take as many bytes as are `left`.
pub(crate) fn texts<R: ChunkReader + 'static>(
    (file, metadata): (&Arc<R>, &ParquetMetaData),
    (group, index): (usize, usize),
    (found, left): (&mut Vec<Option<String>>, &mut usize),
) -> Result<(), ParquetError> {
    let group = metadata.row_group(group);
    let rows = usize::try_from(group.num_rows()).unwrap_or(0);
    let chunk = group.column(index);
    let max_level = chunk.column_descr().max_def_level();
    let reader = get_column_reader(chunk.column_descr_ptr(), pages(file.clone(), chunk, rows)?);
    let mut take = Take { reader: Some(reader), rows, at_once: at_once(chunk, AT_ONCE), max_level, found, left };
    match chunk.column_type() {
        PhysicalType::BOOLEAN => take.each::<BoolType>(|value| Ok(value.to_string())),
        PhysicalType::INT32 => take.each::<Int32Type>(|value| Ok(value.to_string())),
        PhysicalType::INT64 => take.each::<Int64Type>(|value| Ok(value.to_string())),
        PhysicalType::FLOAT => take.each::<FloatType>(|value| Ok(format!("{value:?}"))),
        PhysicalType::DOUBLE => take.each::<DoubleType>(|value| Ok(format!("{value:?}"))),
        PhysicalType::BYTE_ARRAY => take.each::<ByteArrayType>(|value| value.as_utf8().map(str::to_owned)),
        other => Err(ParquetError::General(format!("a column has the type {other}"))),
    }
}

/// One column of one row group on its way to text.
struct Take<'a> {
    reader: Option<ColumnReader>,
    rows: usize,
    /// How many of them are read at once.
    at_once: usize,
    /// The level of values that are there.
    max_level: i16,
    found: &'a mut Vec<Option<String>>,
    /// Bytes that they may take.
    left: &'a mut usize,
}

impl Take<'_> {
    fn each<T: DataType>(&mut self, text: impl Fn(&T::T) -> Result<String, ParquetError>) -> Result<(), ParquetError> {
        let mut reader = get_typed_column_reader::<T>(self.reader.take().expect("taken once"));
        let mut levels: Vec<i16> = Vec::new();
        let mut values: Vec<T::T> = Vec::new();
        let mut read = 0;
        while read < self.rows {
            levels.clear();
            values.clear();
            let wanted = self.at_once.min(self.rows - read);
            let (records, ..) = reader.read_records(wanted, Some(&mut levels), None, &mut values)?;
            if records == 0 {
                return Err(ParquetError::General(format!("a column has {read} of {} rows", self.rows)));
            }
            let mut there = values.iter();
            for row in 0..records {
                let is_there = self.max_level == 0 || levels.get(row) == Some(&self.max_level);
                let value = if is_there { there.next() } else { None };
                let value = value.map(&text).transpose()?;
                spend(self.left, value.as_deref().unwrap_or_default()).map_err(ParquetError::General)?;
                self.found.push(value);
            }
            read += records;
        }
        Ok(())
    }
}

//! Parquet files: a listing with a column `path`, or pictures in a column of bytes as Hugging Face's datasets have them.
//!
//! Of a file with pictures only the words are read here; the pictures stay where they are until their turn comes.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use super::columns::{is_text, texts, unread};
use super::footer::read_footer;
use super::shards::{MAX_COLUMNS, Row, read_shards};
use super::words::{MAX_WORDS, swell};
use super::{Holder, PictureTable, Place, column_name};
use crate::listing::ListingRows;
use crate::store::without_panics;
use crate::{Error, Listing, Sample, Skipped, Stamp};

/// Names of columns that are taken for the pictures where a file has several columns of bytes.
const PICTURE_COLUMNS: [&str; 4] = ["image", "img", "picture", "photo"];
/// Names of columns of words that mean something here; of others there may be `MAX_COLUMNS`.
const OWN_WORDS: [&str; 3] = ["path", "label", "split"];
/// What a server may claim of a file: its size, which nothing but its word stands for, and so its rows.
const MAX_REMOTE_BYTES: u64 = 1 << 40;
const MAX_REMOTE_ROWS: usize = 16_000_000;
/// A file may claim this many rows whatever its size; beyond it needs a byte for each.
const FREE_ROWS: u64 = 1_000_000;
/// Bytes that it needs for each beyond them where they are pictures, whose places are held before any is read.
const LEAST_PICTURE: u64 = 16;

/// Whether a file is a Parquet file by its name.
pub(crate) fn is_parquet(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|found| found.eq_ignore_ascii_case("parquet"))
}

/// The pictures that a Parquet file lists, or holds.
pub(crate) fn read_parquet(path: &Path) -> Result<Listing, Error> {
    let table = Table::open(path)?;
    if table.pictures(path)?.is_some() {
        return read_shards(&[path.to_owned()]);
    }
    table.listing(path)
}

/// The pictures that a Parquet file holds, in its order, and the columns that were passed over.
pub(crate) fn read_pictures(path: &Path) -> Result<(Vec<Row>, Vec<Skipped>), Error> {
    let table = Table::open(path)?;
    let stamp = table.stamp;
    pictures(path, table, Holder::File { path: path.to_owned(), stamp })
}

/// The same of a file of `bytes` bytes that lies elsewhere, at `holder`.
pub(crate) fn read_pictures_at<R: ChunkReader + 'static>(
    path: &Path,
    (file, bytes): (R, u64),
    holder: Holder,
) -> Result<(Vec<Row>, Vec<Skipped>), Error> {
    let table = Table::of(path, file, bytes)?;
    table.check_claims().map_err(|what| Error::BadParquet { path: path.to_owned(), what })?;
    pictures(path, table, holder)
}

fn pictures<R: ChunkReader + 'static>(
    path: &Path,
    table: Table<R>,
    holder: Holder,
) -> Result<(Vec<Row>, Vec<Skipped>), Error> {
    let Some(column) = table.pictures(path)? else {
        let what = format!("it has no column of pictures, only {}: name that column image", table.names());
        return Err(Error::BadParquet { path: path.to_owned(), what });
    };
    let (claimed, bytes) = (table.rows, table.bytes);
    if claimed as u64 > FREE_ROWS.max(bytes / LEAST_PICTURE) {
        let what = format!("it claims {claimed} pictures in {bytes} bytes, fewer than {LEAST_PICTURE} for each");
        return Err(Error::BadParquet { path: path.to_owned(), what });
    }
    let pictures = Arc::new(PictureTable::new(holder, table.metadata.clone(), column));
    let place = |row: usize| Place::Cell { table: pictures.clone(), row };
    let mut rows: Vec<Row> = (0..table.rows)
        .map(|row| Row { name: format!("row {row}"), place: place(row), label: None, split: None, extra: Vec::new() })
        .collect();
    let words = table.words(path, column)?;
    for (name, values) in words.columns {
        let column: Arc<str> = column_name(&name).into();
        for (row, value) in rows.iter_mut().zip(values) {
            match name.as_str() {
                "label" => row.label = value,
                "split" => row.split = value,
                _ => row.extra.extend(value.map(|value| (column.clone(), value))),
            }
        }
    }
    Ok((rows, words.passed_over))
}

type Column = Vec<Option<String>>;

/// The columns of words, by name in the order of the file, and those that were not read.
struct Words {
    columns: Vec<(String, Column)>,
    passed_over: Vec<Skipped>,
}

struct Table<R: ChunkReader> {
    file: Arc<R>,
    metadata: Arc<ParquetMetaData>,
    /// How a file of this machine looked just before it was read.
    stamp: Option<Stamp>,
    bytes: u64,
    leaves: Vec<Arc<ColumnDescriptor>>,
    rows: usize,
}

impl Table<File> {
    fn open(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        let stamp = Stamp::of_file(&metadata);
        Ok(Self { stamp, ..Self::of(path, file, metadata.len())? })
    }
}

impl<R: ChunkReader + 'static> Table<R> {
    /// Of a file of `bytes` bytes.
    fn of(path: &Path, file: R, bytes: u64) -> Result<Self, Error> {
        let bad = |what: String| Error::BadParquet { path: path.to_owned(), what };
        let metadata = without_panics(|| read_footer(&file)).map_err(|error| fault(path, error, ""))?;
        let mut claimed = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
        let rows = claimed.try_fold(0u64, |sum, rows| sum.checked_add(rows?));
        let rows = rows.filter(|&rows| rows <= bytes.max(FREE_ROWS));
        let rows = rows.ok_or_else(|| bad(format!("it claims more rows than its {bytes} bytes can hold")))?;
        if rows == 0 {
            return Err(Error::EmptyTable { path: path.to_owned() });
        }
        let leaves = metadata.file_metadata().schema_descr().columns().to_vec();
        let (file, metadata) = (Arc::new(file), Arc::new(metadata));
        Ok(Self { bytes, leaves, rows: rows as usize, file, metadata, stamp: None })
    }

    /// Checks what is read of a file that is not on this machine: that columns lie within its bytes, and share none.
    fn check_claims(&self) -> Result<(), String> {
        if self.bytes > MAX_REMOTE_BYTES || self.rows > MAX_REMOTE_ROWS {
            let (bytes, rows) = (self.bytes, self.rows);
            return Err(format!(
                "it has {bytes} bytes and {rows} rows, more than {MAX_REMOTE_BYTES} and {MAX_REMOTE_ROWS}: part it into several"
            ));
        }
        let chunks = self.metadata.row_groups().iter().flat_map(|group| group.columns());
        let ranges = without_panics(|| Ok(chunks.map(|chunk| chunk.byte_range()).collect::<Vec<_>>()));
        let mut ranges = ranges.map_err(|error| error.to_string())?;
        ranges.retain(|&(_, bytes)| bytes > 0);
        ranges.sort_unstable();
        let mut end = 0;
        for (start, bytes) in ranges {
            if start < end {
                return Err(format!("its columns share the byte {start}"));
            }
            end = start.saturating_add(bytes);
        }
        if end > self.bytes { Err(format!("its columns reach beyond its {} bytes", self.bytes)) } else { Ok(()) }
    }

    /// The leaf with the pictures: `bytes` of a struct, or a column of bytes; none where there is none.
    fn pictures(&self, path: &Path) -> Result<Option<usize>, Error> {
        let mut found: Vec<(usize, &str)> = Vec::new();
        for (index, leaf) in self.leaves.iter().enumerate() {
            let is_bytes = leaf.physical_type() == PhysicalType::BYTE_ARRAY && leaf.max_rep_level() == 0;
            let name = match leaf.path().parts() {
                [name, inner] if is_bytes && inner == "bytes" => name,
                [name] if is_bytes && !is_text(leaf) => name,
                _ => continue,
            };
            if !OWN_WORDS.contains(&name.as_str()) {
                found.push((index, name));
            }
        }
        if let Some((index, _)) = PICTURE_COLUMNS.iter().find_map(|name| found.iter().find(|(_, n)| n == name)) {
            return Ok(Some(*index));
        }
        match &found[..] {
            [(index, _)] if self.leaf("path").is_none() => Ok(Some(*index)),
            [] | [_] => Ok(None),
            _ if self.leaf("path").is_some() => Ok(None),
            several => {
                let names: Vec<String> = several.iter().map(|(_, name)| format!("{name:?}")).collect();
                let what =
                    format!("it has the columns of bytes {}: name the one with pictures image", names.join(", "));
                Err(Error::BadParquet { path: path.to_owned(), what })
            }
        }
    }

    /// The leaf of a column at the top.
    fn leaf(&self, name: &str) -> Option<usize> {
        self.leaves.iter().position(|leaf| matches!(leaf.path().parts(), [only] if only == name))
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.leaves.iter().map(|leaf| format!("{:?}", leaf.path().string())).collect();
        names.join(", ")
    }

    /// All columns of words but the one at `without`.
    fn words(&self, path: &Path, without: usize) -> Result<Words, Error> {
        let bad = |what: String| Error::BadParquet { path: path.to_owned(), what };
        let mut words = Words { columns: Vec::new(), passed_over: Vec::new() };
        let (mut places, mut known, mut further) = (Vec::new(), HashSet::new(), 0);
        for (index, leaf) in self.leaves.iter().enumerate().filter(|(index, _)| *index != without) {
            let name = leaf.path().string();
            if let Some(reason) = unread(leaf) {
                words.passed_over.push(Skipped { path: format!("column {name}"), reason: reason.to_owned() });
                continue;
            }
            if !known.insert(name.clone()) {
                return Err(bad(format!("it has the column {name:?} twice: rename one of them")));
            }
            further += usize::from(!OWN_WORDS.contains(&name.as_str()));
            if further > MAX_COLUMNS {
                return Err(bad(format!("it has more than {MAX_COLUMNS} columns of words: leave some out")));
            }
            words.columns.push((name, Column::new()));
            places.push(index);
        }
        let mut left = MAX_WORDS;
        // What lies together is read together.
        for group in 0..self.metadata.num_row_groups() {
            for ((name, values), &index) in words.columns.iter_mut().zip(&places) {
                let file = (&self.file, &*self.metadata);
                without_panics(|| texts(file, (group, index), (&mut *values, &mut left)))
                    .map_err(|error| fault(path, error, &format!("column {name:?} cannot be read: ")))?;
            }
        }
        let features = self.features().unwrap_or_default();
        for (name, values) in &mut words.columns {
            match class_names(&features, name) {
                Some(names) => name_classes(values, &names, &mut left).map_err(bad)?,
                None if matches!(name.as_str(), "label" | "split") => tidy(values),
                None => {}
            }
        }
        Ok(words)
    }

    /// What Hugging Face's datasets state of the columns.
    fn features(&self) -> Option<Value> {
        let metadata = self.metadata.file_metadata().key_value_metadata()?;
        let text = metadata.iter().find(|entry| entry.key == "huggingface")?.value.as_deref()?;
        let mut stated: Value = serde_json::from_str(text).ok()?;
        stated.pointer_mut("/info/features").map(Value::take)
    }

    fn listing(&self, path: &Path) -> Result<Listing, Error> {
        let bad = |what: String| Error::BadParquet { path: path.to_owned(), what };
        if self.leaf("path").is_none() {
            let what = format!("it has neither a column path nor one of pictures, only {}", self.names());
            return Err(bad(what));
        }
        let words = self.words(path, usize::MAX)?;
        let (mut paths, mut labels, mut splits) = (Column::new(), None, None);
        let (mut columns, mut extra) = (Vec::new(), Vec::new());
        for (name, values) in words.columns {
            match name.as_str() {
                "path" => paths = values,
                "label" => labels = Some(values),
                "split" => splits = Some(values),
                "sha256" | "skipped" => {
                    let why = "the store writes itself";
                    return Err(Error::BadColumn { path: path.to_owned(), column: name, why });
                }
                _ => {
                    columns.push(name);
                    extra.push(values.into_iter());
                }
            }
        }
        if paths.is_empty() {
            return Err(bad("its column path holds no text".to_owned()));
        }
        let mut labels = labels.unwrap_or_default().into_iter();
        let mut splits = splits.unwrap_or_default().into_iter();
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut samples = ListingRows::below(folder);
        for (row, listed) in paths.into_iter().enumerate() {
            let listed = listed.filter(|listed| !listed.is_empty());
            let listed = listed.ok_or_else(|| bad(format!("row {row} has no path: name a picture or drop the row")))?;
            samples.push(Sample {
                place: Place::listed(folder, &listed),
                path: listed,
                label: labels.next().flatten(),
                split: splits.next().flatten(),
                extra: extra.iter_mut().map(|values| values.next().flatten()).collect(),
            });
        }
        let listing = samples.finish(columns).with_skipped(words.passed_over);
        if let Some((first, second)) = listing.first_repeat() {
            let picture = listing.path(second);
            return Err(bad(format!(
                "it lists {picture:?} in row {first} and again in row {second}: drop one of them"
            )));
        }
        Ok(listing)
    }
}

/// What the Parquet library says of a file, or where its bytes could not be had, what the system says.
fn fault(path: &Path, error: ParquetError, what: &str) -> Error {
    let path = path.to_owned();
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(source) => Error::Read { path, source: *source },
            Err(cause) => Error::BadParquet { path, what: format!("{what}{cause}") },
        },
        error => Error::BadParquet { path, what: format!("{what}{error}") },
    }
}

/// The names of a column's classes, as Hugging Face's datasets state them.
fn class_names<'a>(features: &'a Value, column: &str) -> Option<Vec<&'a str>> {
    let feature = features.get(column)?;
    if feature.get("_type").and_then(Value::as_str) != Some("ClassLabel") {
        return None;
    }
    feature.get("names")?.as_array()?.iter().map(Value::as_str).collect()
}

/// Numbers of classes become their names, which may take as many bytes as are `left`; -1 is Hugging Face's word for no label.
fn name_classes(values: &mut Column, names: &[&str], left: &mut usize) -> Result<(), String> {
    for value in values {
        let Some(text) = value.as_deref() else { continue };
        *value = match text.parse::<i64>() {
            Ok(-1) => None,
            Ok(class) => match usize::try_from(class).ok().and_then(|class| names.get(class)) {
                Some(name) => {
                    swell(left, name.len())?;
                    Some((*name).to_owned())
                }
                None => return Err(format!("it has the class {class} where its metadata names {}", names.len())),
            },
            Err(_) => continue,
        };
    }
    Ok(())
}

/// A blank around a word would make a class of its own that nobody sees.
fn tidy(values: &mut Column) {
    for value in values {
        *value = value.take().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::metadata::ParquetMetaDataWriter;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// A file of one row that has these columns of bytes.
    fn written(columns: &str) -> Vec<u8> {
        let schema = parse_message_type(&format!("message rows {{ {columns} }}")).expect("a schema");
        let properties = WriterProperties::builder().build();
        let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).expect("a writer");
        let mut group = file.next_row_group().expect("a group");
        while let Some(mut column) = group.next_column().expect("a column") {
            let value = [ByteArray::from("a.png")];
            column.typed::<ByteArrayType>().write_batch(&value, Some(&[1]), None).expect("written");
            column.close().expect("closed");
        }
        group.close().expect("closed");
        file.into_inner().expect("bytes")
    }

    #[test]
    fn more_columns_than_a_listing_may_have_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        let read = |further: usize| {
            let columns: Vec<String> =
                (0..further).map(|number| format!("optional binary c{number} (UTF8);")).collect();
            let bytes = written(&format!("optional binary path (UTF8); {}", columns.concat()));
            std::fs::write(&path, bytes).expect("written");
            read_parquet(&path).map(|listing| listing.columns().len()).map_err(|error| error.to_string())
        };
        assert_eq!(read(1000), Ok(1000));
        let message = read(1001).expect_err("too many");
        assert!(message.contains("it has more than 1000 columns of words"), "{message}");
    }

    #[test]
    fn more_pictures_than_the_bytes_can_hold_are_refused() {
        let file = written("optional binary image;");
        let read = read_footer(&Bytes::from(file.clone())).expect("an index");
        let group = read.row_groups()[0].clone().into_builder().set_num_rows(2_000_000).build().expect("a group");
        let claimed = ParquetMetaData::new(read.file_metadata().clone(), vec![group]);
        let mut index = Vec::new();
        ParquetMetaDataWriter::new(&mut index, &claimed).finish().expect("an index");
        let holder = Holder::Url { url: "s3://bucket/a.parquet".into(), version: None };
        let file = Bytes::from([file, index].concat());
        // A byte for each row is there.
        let read = read_pictures_at("s3://bucket/a.parquet".as_ref(), (file, 3_000_000), holder);
        let message = read.map(|(rows, _)| rows.len()).expect_err("too many").to_string();
        assert!(message.contains("it claims 2000000 pictures in 3000000 bytes"), "{message}");
    }

    #[test]
    fn names_of_classes_are_counted_however_often_one_is_there() {
        let named = |mut left: usize| {
            let mut values = vec![Some("0".to_owned()), None, Some("0".to_owned())];
            name_classes(&mut values, &["a long name"], &mut left).map(|()| values[2].clone())
        };
        assert_eq!(named(22), Ok(Some("a long name".to_owned())));
        let message = named(21).expect_err("too long");
        assert!(message.contains("its words take more than 2 GiB"), "{message}");
    }
}

//! Parquet files: a listing with a column `path`, or pictures in a column of bytes as Hugging Face's datasets have them.
//!
//! Of a file with pictures only the words are read here; the pictures stay where they are until their turn comes.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use super::columns::{is_text, texts, unread};
use super::pages::MAX_WORDS;
use super::shards::{Row, read_shards};
use super::{Holder, PictureTable, Place, column_name};
use crate::store::without_panics;
use crate::table::first_repeat;
use crate::{Error, Listing, Sample, Skipped, Stamp};

/// Names of columns that are taken for the pictures where a file has several columns of bytes.
const PICTURE_COLUMNS: [&str; 4] = ["image", "img", "picture", "photo"];
/// What a server may claim of a file: its size, which nothing but its word stands for, and so its rows.
const MAX_REMOTE_BYTES: u64 = 1 << 40;
const MAX_REMOTE_ROWS: usize = 16_000_000;
/// A file may claim this many rows whatever its size; beyond it needs a byte for each.
const FREE_ROWS: u64 = 1_000_000;

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
    let metadata = Arc::new(table.file.metadata().clone());
    let pictures = Arc::new(PictureTable::new(holder, metadata, column));
    let place = |row: usize| Place::Cell { table: pictures.clone(), row };
    let mut rows: Vec<Row> = (0..table.rows)
        .map(|row| Row { name: format!("row {row}"), place: place(row), label: None, split: None, extra: Vec::new() })
        .collect();
    let words = table.words(path, column)?;
    for (name, values) in words.columns {
        for (row, value) in rows.iter_mut().zip(values) {
            match name.as_str() {
                "label" => row.label = value,
                "split" => row.split = value,
                other => row.extra.extend(value.map(|value| (column_name(other), value))),
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
    file: SerializedFileReader<R>,
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
        let file = without_panics(|| SerializedFileReader::new(file)).map_err(|error| fault(path, error, ""))?;
        let metadata = file.metadata();
        let claimed = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
        let rows = claimed.sum::<Option<u64>>().filter(|&rows| rows <= bytes.max(FREE_ROWS));
        let rows = rows.ok_or_else(|| bad(format!("it claims more rows than its {bytes} bytes can hold")))?;
        if rows == 0 {
            return Err(Error::EmptyTable { path: path.to_owned() });
        }
        let leaves = metadata.file_metadata().schema_descr().columns().to_vec();
        Ok(Self { bytes, leaves, rows: rows as usize, file, stamp: None })
    }

    /// Checks what is read of a file that is not on this machine: that columns lie within its bytes, and share none.
    fn check_claims(&self) -> Result<(), String> {
        if self.bytes > MAX_REMOTE_BYTES || self.rows > MAX_REMOTE_ROWS {
            let (bytes, rows) = (self.bytes, self.rows);
            return Err(format!(
                "it has {bytes} bytes and {rows} rows, more than {MAX_REMOTE_BYTES} and {MAX_REMOTE_ROWS}: part it into several"
            ));
        }
        let chunks = self.file.metadata().row_groups().iter().flat_map(|group| group.columns());
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
            if !["path", "label", "split"].contains(&name.as_str()) {
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
        let mut places = Vec::new();
        for (index, leaf) in self.leaves.iter().enumerate().filter(|(index, _)| *index != without) {
            let name = leaf.path().string();
            if let Some(reason) = unread(leaf) {
                words.passed_over.push(Skipped { path: format!("column {name}"), reason: reason.to_owned() });
                continue;
            }
            if words.columns.iter().any(|(known, _)| *known == name) {
                return Err(bad(format!("it has the column {name:?} twice: rename one of them")));
            }
            words.columns.push((name, Column::new()));
            places.push(index);
        }
        let mut left = MAX_WORDS;
        // What lies together is read together.
        for group in 0..self.file.num_row_groups() {
            for ((name, values), &index) in words.columns.iter_mut().zip(&places) {
                without_panics(|| texts(&self.file, (group, index), (&mut *values, &mut left)))
                    .map_err(|error| fault(path, error, &format!("column {name:?} cannot be read: ")))?;
            }
        }
        for (name, values) in &mut words.columns {
            match self.class_names(name) {
                Some(names) => name_classes(values, &names).map_err(bad)?,
                None if matches!(name.as_str(), "label" | "split") => tidy(values),
                None => {}
            }
        }
        Ok(words)
    }

    /// The names of a column's classes, as Hugging Face's datasets state them.
    fn class_names(&self, column: &str) -> Option<Vec<String>> {
        let metadata = self.file.metadata().file_metadata().key_value_metadata()?;
        let text = metadata.iter().find(|entry| entry.key == "huggingface")?.value.as_deref()?;
        let stated: Value = serde_json::from_str(text).ok()?;
        let feature = stated.get("info")?.get("features")?.get(column)?;
        if feature.get("_type").and_then(Value::as_str) != Some("ClassLabel") {
            return None;
        }
        feature.get("names")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
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
        let mut samples = Vec::with_capacity(paths.len());
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
        if let Some((first, second)) = first_repeat(&samples) {
            let picture = &samples[second].path;
            return Err(bad(format!(
                "it lists {picture:?} in row {first} and again in row {second}: drop one of them"
            )));
        }
        Ok(Listing { samples, columns, skipped: words.passed_over })
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

/// Numbers of classes become their names; -1 is Hugging Face's word for no label.
fn name_classes(values: &mut Column, names: &[String]) -> Result<(), String> {
    for value in values {
        let Some(text) = value.as_deref() else { continue };
        *value = match text.parse::<i64>() {
            Ok(-1) => None,
            Ok(class) => match usize::try_from(class).ok().and_then(|class| names.get(class)) {
                Some(name) => Some(name.clone()),
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

//! Pictures in the cells of a Parquet file, read on demand: a cursor walks a row group's pages and is kept for the next row.
//!
//! Pages cannot be entered in the middle, but rows are asked for nearly in order, by few threads at a time: each ends up with
//! a cursor of its own, and memory holds a page for each.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::place::check_size;
use crate::store::without_panics;

/// The most cursors that wait for their next row, each with a page in memory.
const MAX_CURSORS: usize = 64;

/// A column of pictures in a Parquet file.
pub struct PictureTable {
    path: PathBuf,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    /// The first row of each row group, and the end of the last.
    starts: Vec<usize>,
    cursors: Mutex<Vec<Cursor>>,
}

/// A place in a row group from which rows are read onwards.
struct Cursor {
    group: usize,
    /// The row of the file that comes next.
    next: usize,
    reader: ColumnReaderImpl<ByteArrayType>,
}

impl PictureTable {
    /// The pictures of the leaf column at `column`.
    pub(crate) fn new(path: &Path, metadata: Arc<ParquetMetaData>, column: usize) -> Self {
        let mut starts = vec![0];
        for group in metadata.row_groups() {
            starts.push(starts[starts.len() - 1] + usize::try_from(group.num_rows()).unwrap_or(0));
        }
        Self { path: path.to_owned(), metadata, column, starts, cursors: Mutex::default() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a row's picture, at most `max_bytes` of them.
    ///
    /// # Errors
    /// Why there are none, as a reason to skip the picture.
    pub fn read(&self, row: usize, max_bytes: u64) -> Result<Vec<u8>, String> {
        let read = without_panics(|| {
            let mut cursor = self.cursor(row)?;
            let found = cursor.read(row)?;
            self.keep(cursor);
            Ok(found)
        });
        match read {
            Ok(Some(bytes)) => {
                check_size(bytes.len() as u64, max_bytes)?;
                Ok(bytes.data().to_vec())
            }
            Ok(None) => Err("has no bytes: the cell is empty".to_owned()),
            Err(error) => Err(format!("cannot be read: {error}")),
        }
    }

    /// The waiting cursor nearest before a row, or a new one at the start of its row group.
    fn cursor(&self, row: usize) -> Result<Cursor, ParquetError> {
        let group = self.starts.partition_point(|&start| start <= row) - 1;
        {
            let mut waiting = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
            let usable = waiting.iter().enumerate().filter(|(_, c)| c.group == group && c.next <= row);
            if let Some((nearest, _)) = usable.max_by_key(|(_, cursor)| cursor.next) {
                return Ok(waiting.remove(nearest));
            }
        }
        let metadata = self.metadata.row_group(group);
        let file = Arc::new(File::open(&self.path)?);
        let rows = self.starts[group + 1] - self.starts[group];
        let pages: Box<dyn PageReader> =
            Box::new(SerializedPageReader::new(file, metadata.column(self.column), rows, None)?);
        let reader = ColumnReaderImpl::new(metadata.column(self.column).column_descr_ptr(), pages);
        Ok(Cursor { group, next: self.starts[group], reader })
    }

    fn keep(&self, cursor: Cursor) {
        let mut waiting = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursor.next == self.starts[cursor.group + 1] {
            return;
        }
        if waiting.len() == MAX_CURSORS {
            waiting.remove(0);
        }
        waiting.push(cursor);
    }
}

impl Cursor {
    fn read(&mut self, row: usize) -> Result<Option<ByteArray>, ParquetError> {
        let ends = || ParquetError::General("its row group ends before the row".to_owned());
        if self.reader.skip_records(row - self.next)? != row - self.next {
            return Err(ends());
        }
        let mut values = Vec::new();
        let mut levels = Vec::new();
        let (records, ..) = self.reader.read_records(1, Some(&mut levels), None, &mut values)?;
        if records != 1 {
            return Err(ends());
        }
        self.next = row + 1;
        Ok(values.pop())
    }
}

impl fmt::Debug for PictureTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PictureTable").field("path", &self.path).field("column", &self.column).finish_non_exhaustive()
    }
}

impl PartialEq for PictureTable {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.column) == (&other.path, other.column)
    }
}

impl Eq for PictureTable {}

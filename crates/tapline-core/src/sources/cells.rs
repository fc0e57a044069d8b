//! Pictures in the cells of a Parquet file, read on demand: a cursor walks a row group's pages and is kept for the next row.
//!
//! Pages cannot be entered in the middle, but rows are asked for nearly in order, by few threads at a time: each ends up with
//! a cursor of its own, and memory holds a page for each. Of a file behind a URL the caller brings a row group's bytes, block
//! after block, and takes its rows one after the other.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use super::pages::{at_once, pages};
use super::place::check_size;
use super::ranges::{NextBlock, Ranges};
use crate::Stamp;
use crate::store::without_panics;

/// The most cursors that wait for their next row, each with a page in memory.
const MAX_CURSORS: usize = 64;

/// A column of pictures in a Parquet file.
pub struct PictureTable {
    holder: Holder,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    /// The first row of each row group, and the end of the last.
    starts: Vec<usize>,
    cursors: Mutex<Vec<Cursor>>,
}

/// Where a Parquet file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// On this machine.
    File {
        /// Where it is.
        path: PathBuf,
        /// How it looked when its index was read; none where that would not tell a change for certain.
        stamp: Option<Stamp>,
    },
    /// Behind a URL, which this crate cannot read.
    Url {
        /// Its URL.
        url: Arc<str>,
        /// Which version of the file its index is of, where its source tells (an entity tag).
        version: Option<Arc<str>>,
    },
}

/// A place in a row group from which rows are read onwards.
struct Cursor {
    group: usize,
    /// The row of the file that comes next.
    next: usize,
    /// How many rows are passed over at once.
    step: usize,
    reader: ColumnReaderImpl<ByteArrayType>,
}

impl PictureTable {
    /// The pictures of the leaf column at `column`.
    pub(crate) fn new(holder: Holder, metadata: Arc<ParquetMetaData>, column: usize) -> Self {
        let mut starts = vec![0];
        for group in metadata.row_groups() {
            starts.push(starts[starts.len() - 1] + usize::try_from(group.num_rows()).unwrap_or(0));
        }
        Self { holder, metadata, column, starts, cursors: Mutex::default() }
    }

    /// Where the file is.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// The leaf column that holds the pictures.
    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// The row group that holds a row.
    pub fn group(&self, row: usize) -> usize {
        self.starts.partition_point(|&start| start <= row) - 1
    }

    /// The bytes of the file that the pictures of a row group take.
    ///
    /// # Errors
    /// Where the file's index contradicts itself.
    pub fn range(&self, group: usize) -> Result<Range<u64>, String> {
        let range = without_panics(|| Ok(self.metadata.row_group(group).column(self.column).byte_range()));
        let (start, bytes) = range.map_err(|error| error.to_string())?;
        Ok(start..start.saturating_add(bytes))
    }

    /// The pictures of a row group, one after the other, from the blocks that [`PictureTable::range`] is cut into.
    ///
    /// # Errors
    /// Why none of them can be read.
    pub fn stream(&self, group: usize, next: NextBlock) -> Result<CellStream, String> {
        let range = self.range(group)?;
        let cursor = without_panics(|| self.open(group, Ranges::of_blocks(&range, next)));
        Ok(CellStream { cursor: cursor.map_err(unreadable)? })
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
        cell(read.map_err(unreadable)?, max_bytes)
    }

    /// The waiting cursor nearest before a row, or a new one at the start of its row group.
    fn cursor(&self, row: usize) -> Result<Cursor, ParquetError> {
        let group = self.group(row);
        {
            let mut waiting = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
            let usable = waiting.iter().enumerate().filter(|(_, c)| c.group == group && c.next <= row);
            if let Some((nearest, _)) = usable.max_by_key(|(_, cursor)| cursor.next) {
                return Ok(waiting.remove(nearest));
            }
        }
        match &self.holder {
            Holder::File { path, stamp } => {
                let file = File::open(path)?;
                if stamp.is_some() && Stamp::look(&file.metadata()?) != *stamp {
                    return Err(ParquetError::General("it changed since its index was read: run again".to_owned()));
                }
                self.open(group, file)
            }
            Holder::Url { url, .. } => Err(ParquetError::General(format!("{url} is no file of this machine"))),
        }
    }

    /// A cursor at the start of a row group.
    fn open(&self, group: usize, file: impl ChunkReader + 'static) -> Result<Cursor, ParquetError> {
        let chunk = self.metadata.row_group(group).column(self.column);
        let rows = self.starts[group + 1] - self.starts[group];
        let reader = ColumnReaderImpl::new(chunk.column_descr_ptr(), pages(Arc::new(file), chunk, rows)?);
        Ok(Cursor { group, next: self.starts[group], step: at_once(chunk, usize::MAX), reader })
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
        while self.next < row {
            let step = self.step.min(row - self.next);
            if self.reader.skip_records(step)? != step {
                return Err(ends());
            }
            self.next += step;
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

/// The pictures of one row group of a file that is not on this machine, from front to back.
pub struct CellStream {
    cursor: Cursor,
}

impl CellStream {
    /// The row of the file that comes next.
    pub fn next_row(&self) -> usize {
        self.cursor.next
    }

    /// The bytes of the next row's picture, at most `max_bytes` of them, or why it has none.
    ///
    /// # Errors
    /// Why neither it nor any row after it can be read.
    pub fn read_next(&mut self, max_bytes: u64) -> Result<Result<Vec<u8>, String>, String> {
        let read = without_panics(|| self.cursor.read(self.cursor.next));
        Ok(cell(read.map_err(unreadable)?, max_bytes))
    }
}

fn unreadable(error: ParquetError) -> String {
    format!("cannot be read: {error}")
}

fn cell(found: Option<ByteArray>, max_bytes: u64) -> Result<Vec<u8>, String> {
    let bytes = found.ok_or(
        "has no bytes: the cell is empty; where pictures are files elsewhere, list these in a table with a column path",
    )?;
    check_size(bytes.len() as u64, max_bytes)?;
    Ok(bytes.data().to_vec())
}

impl fmt::Debug for PictureTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PictureTable")
            .field("holder", &self.holder)
            .field("column", &self.column)
            .finish_non_exhaustive()
    }
}

impl PartialEq for PictureTable {
    fn eq(&self, other: &Self) -> bool {
        (&self.holder, self.column) == (&other.holder, other.column)
    }
}

impl Eq for PictureTable {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor as Bytes;
    use std::time::{Duration, SystemTime};

    use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
    use parquet::file::metadata::ParquetMetaDataWriter;
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::super::Place;
    use super::super::parquet_file::{read_pictures, read_pictures_at};
    use super::*;

    /// The picture of a row; every seventh has none, every fifth is the same.
    fn picture(row: usize) -> Option<Vec<u8>> {
        let (size, factor) = if row.is_multiple_of(5) { (50, 1) } else { (200 + 37 * row, row) };
        (row % 7 != 3).then(|| (0..size).map(|place| (place * factor) as u8).collect())
    }

    /// Two row groups of so many rows, in many pages.
    fn written(rows: usize, has_dictionary: bool) -> Vec<u8> {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(has_dictionary)
            .set_dictionary_page_size_limit(3000)
            .set_data_page_size_limit(700)
            .set_write_batch_size(1);
        written_by(rows, properties.build())
    }

    /// The same as a writer with these properties makes them.
    fn written_by(rows: usize, properties: WriterProperties) -> Vec<u8> {
        let schema = parse_message_type("message rows { optional binary image; }").expect("a schema");
        let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).expect("a writer");
        for group in 0..2 {
            let pictures: Vec<_> = (group * rows..(group + 1) * rows).map(picture).collect();
            let levels: Vec<i16> = pictures.iter().map(|picture| picture.is_some().into()).collect();
            let present: Vec<ByteArray> = pictures.into_iter().flatten().map(ByteArray::from).collect();
            let mut group = file.next_row_group().expect("a group");
            let mut column = group.next_column().expect("a column").expect("one");
            column.typed::<ByteArrayType>().write_batch(&present, Some(&levels), None).expect("written");
            column.close().expect("closed");
            group.close().expect("closed");
        }
        file.into_inner().expect("bytes")
    }

    /// The pictures of a file behind a URL, with blocks of so many bytes.
    fn streamed(file: &[u8], block: usize) -> Vec<Result<Vec<u8>, String>> {
        let holder = Holder::Url { url: "s3://bucket/a.parquet".into(), version: None };
        let (ranges, bytes) = (Ranges::of_file(Bytes::new(file.to_vec()), file.len() as u64), file.len() as u64);
        let rows = read_pictures_at("s3://bucket/a.parquet".as_ref(), (ranges, bytes), holder).expect("pictures").0;
        let mut found = Vec::new();
        for group in 0..2 {
            let Place::Cell { table, .. } = &rows[0].place else { panic!("a cell") };
            let range = table.range(group).expect("a range");
            let blocks: Vec<Vec<u8>> =
                file[range.start as usize..range.end as usize].chunks(block).map(<[u8]>::to_vec).collect();
            let mut blocks = blocks.into_iter();
            let mut stream =
                table.stream(group, Box::new(move || Ok(blocks.next().unwrap_or_default()))).expect("rows");
            while table.group(stream.next_row()) == group && stream.next_row() < rows.len() {
                found.push(stream.read_next(u64::MAX).expect("a row"));
            }
        }
        found
    }

    #[test]
    fn blocks_of_any_size_give_what_the_file_gives() {
        for has_dictionary in [false, true] {
            let file = written(40, has_dictionary);
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("a.parquet");
            fs::write(&path, &file).expect("written");
            let rows = read_pictures(&path).expect("pictures").0;
            let local: Vec<_> = rows.iter().map(|row| row.place.read(u64::MAX)).collect();
            assert_eq!(local.len(), 80);
            for (row, found) in local.iter().enumerate() {
                assert_eq!(found.clone().ok(), picture(row), "{row}");
            }
            for block in [1, 100, 1000, 1 << 20] {
                assert!(streamed(&file, block) == local, "{has_dictionary} {block}");
            }
        }
    }

    #[test]
    fn pictures_come_back_in_any_order_however_they_are_packed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.parquet");
        let check = |version, codec, encoding| {
            let properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_compression(codec)
                .set_encoding(encoding)
                .set_dictionary_enabled(false)
                .set_data_page_size_limit(2000)
                .set_write_batch_size(1);
            fs::write(&path, written_by(12, properties.build())).expect("written");
            let rows = read_pictures(&path).expect("pictures").0;
            for row in (0..24).rev() {
                let found = rows[row].place.read(u64::MAX);
                let fault = found.as_ref().err().cloned();
                assert_eq!(found.ok(), picture(row), "row {row} by {codec} in {encoding}: {fault:?}");
            }
        };
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for encoding in [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
                check(version, Compression::UNCOMPRESSED, encoding);
            }
            let (gzip, zstd) = (Compression::GZIP(GzipLevel::default()), Compression::ZSTD(ZstdLevel::default()));
            for codec in [Compression::SNAPPY, gzip, zstd, Compression::LZ4, Compression::LZ4_RAW] {
                check(version, codec, Encoding::PLAIN);
            }
        }
    }

    #[test]
    fn a_file_that_takes_the_place_of_another_is_not_taken_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
        for (path, rows) in [(&path, 40), (&other, 30)] {
            fs::write(path, written(rows, false)).expect("written");
            let file = File::options().write(true).open(path).expect("open");
            file.set_modified(SystemTime::now() - Duration::from_secs(60 + rows as u64)).expect("a time");
        }
        let rows = read_pictures(&path).expect("pictures").0;
        let stamp = Stamp::of(&rows[0].place);
        assert_eq!(rows[0].place.read(u64::MAX).ok(), picture(0));
        fs::rename(&other, &path).expect("replaced");
        // Who is within a row group goes on with the file that was opened, whose stamp it keeps; nobody begins with another.
        assert_eq!(rows[1].place.read(u64::MAX).ok(), picture(1));
        assert!(stamp.is_some() && stamp == Stamp::of(&rows[1].place));
        let refused = rows[40].place.read(u64::MAX).expect_err("another file");
        assert!(refused.contains("it changed since its index was read"), "{refused}");
        assert_ne!(Stamp::of(&read_pictures(&path).expect("pictures").0[0].place), stamp);
    }

    #[test]
    fn columns_that_share_bytes_or_reach_beyond_the_end_are_refused() {
        let file = written(40, false);
        let holder = Holder::Url { url: "s3://bucket/a.parquet".into(), version: None };
        let read = |file: &[u8], bytes: u64| {
            let ranges = Ranges::of_file(Bytes::new(file.to_vec()), file.len() as u64);
            let read = read_pictures_at("s3://bucket/a.parquet".as_ref(), (ranges, bytes), holder.clone());
            read.map(|_| String::new()).unwrap_or_else(|error| error.to_string())
        };
        let bytes = file.len() as u64;
        assert_eq!(read(&file, bytes), "");
        let message = read(&file, 20_000);
        assert!(message.contains("its columns reach beyond its 20000 bytes"), "{message}");
        let message = read(&file, 1 << 41);
        assert!(message.contains("more than 1099511627776"), "{message}");
        // Another file's index: its second group begins where this one's first does.
        let reader = SerializedFileReader::new(bytes::Bytes::from(file.clone())).expect("a file");
        let mut groups = reader.metadata().row_groups().to_vec();
        groups[1] = groups[0].clone();
        let twice = ParquetMetaData::new(reader.metadata().file_metadata().clone(), groups);
        let mut index = Vec::new();
        ParquetMetaDataWriter::new(&mut index, &twice).finish().expect("an index");
        let message = read(&[file, index].concat(), bytes + 4000);
        assert!(message.contains("its columns share the byte 4"), "{message}");
    }
}

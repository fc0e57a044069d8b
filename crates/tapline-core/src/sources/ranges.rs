//! How the Parquet library gets at files behind URLs: by ranges, for words and their index; block after block, for pictures.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// The least that is asked for at a time: what is small and lies together, as a row group's columns of words, comes together.
const LEAST: u64 = 64 << 10;

/// The most that is asked for at a time.
const MOST: usize = 4 << 20;

/// Gives the next block of a file, in order.
pub type NextBlock = Box<dyn FnMut() -> io::Result<Vec<u8>> + Send>;

/// Bytes of a file, by their range.
#[derive(Clone)]
pub(crate) struct Ranges {
    get: Arc<dyn Fn(Range<u64>) -> io::Result<Bytes> + Send + Sync>,
    end: u64,
}

impl Ranges {
    /// Of a file of so many bytes, wherever they are asked for.
    pub(crate) fn of_file<R: Read + Seek + Send + 'static>(reader: R, bytes: u64) -> Self {
        let held = Mutex::new(Held { reader, last: Bytes::new(), start: 0 });
        let get = move |wanted| held.lock().unwrap_or_else(PoisonError::into_inner).get(wanted, bytes);
        Self { get: Arc::new(get), end: bytes }
    }

    /// Of a range of a file that comes in blocks, asked for from front to back; what lies before is let go.
    pub(crate) fn of_blocks(range: &Range<u64>, next: NextBlock) -> Self {
        let queue = Mutex::new(Queue { next, blocks: VecDeque::new(), span: range.start..range.start });
        let get = move |wanted| queue.lock().unwrap_or_else(PoisonError::into_inner).get(wanted);
        Self { get: Arc::new(get), end: range.end }
    }

    fn get(&self, wanted: Range<u64>) -> io::Result<Bytes> {
        if wanted.end > self.end { Err(ends()) } else { (self.get)(wanted) }
    }
}

impl Length for Ranges {
    fn len(&self) -> u64 {
        self.end
    }
}

impl ChunkReader for Ranges {
    type T = BufReader<Onward>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Onward { ranges: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.get(start..start.saturating_add(length as u64))?)
    }
}

/// The bytes from a place on.
pub(crate) struct Onward {
    ranges: Ranges,
    at: u64,
}

impl Read for Onward {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let end = self.ranges.end.min(self.at.saturating_add(out.len() as u64));
        if end <= self.at {
            return Ok(0);
        }
        let read = self.ranges.get(self.at..end)?;
        out[..read.len()].copy_from_slice(&read);
        self.at = end;
        Ok(read.len())
    }
}

struct Held<R> {
    reader: R,
    /// What was read last, and where it begins.
    last: Bytes,
    start: u64,
}

impl<R: Read + Seek> Held<R> {
    fn get(&mut self, wanted: Range<u64>, end: u64) -> io::Result<Bytes> {
        if let Some(found) = slice(&self.last, self.start, &wanted) {
            return Ok(found);
        }
        // What lies before the end is a Parquet file's index.
        let start = if wanted.end == end { wanted.start.min(end.saturating_sub(LEAST)) } else { wanted.start };
        let most = wanted.end.max(end.min(start.saturating_add(LEAST))) - start;
        self.reader.seek(SeekFrom::Start(start))?;
        let mut read = Vec::new();
        // A request for each read; no more is made room for than comes.
        for first in (0..most).step_by(MOST) {
            let count = (most - first).min(MOST as u64) as usize;
            read.resize(first as usize + count, 0);
            self.reader.read_exact(&mut read[first as usize..])?;
        }
        (self.last, self.start) = (read.into(), start);
        slice(&self.last, self.start, &wanted).ok_or_else(ends)
    }
}

struct Queue {
    next: NextBlock,
    blocks: VecDeque<Bytes>,
    /// Where the first block begins, and where the last one ends.
    span: Range<u64>,
}

impl Queue {
    fn get(&mut self, wanted: Range<u64>) -> io::Result<Bytes> {
        if wanted.start < self.span.start {
            return Err(io::Error::other("its pages are not in order"));
        }
        while self.span.end < wanted.end {
            let block = Bytes::from((self.next)()?);
            if block.is_empty() {
                return Err(ends());
            }
            self.span.end += block.len() as u64;
            self.blocks.push_back(block);
            self.let_go(wanted.start);
        }
        self.let_go(wanted.start);
        let mut found = BytesMut::with_capacity((wanted.end - wanted.start) as usize);
        let mut start = self.span.start;
        for block in &self.blocks {
            let end = start + block.len() as u64;
            let part = wanted.start.max(start)..wanted.end.min(end);
            if part == wanted {
                return slice(block, start, &wanted).ok_or_else(ends);
            }
            found.extend(slice(block, start, &part));
            start = end;
        }
        Ok(found.freeze())
    }

    /// Drops blocks that end before a place.
    fn let_go(&mut self, place: u64) {
        while let Some(first) = self.blocks.front().map(|first| first.len() as u64)
            && self.span.start + first <= place
        {
            self.span.start += first;
            self.blocks.pop_front();
        }
    }
}

/// A part of the `bytes` that begin at `start`, where all of it is there.
fn slice(bytes: &Bytes, start: u64, wanted: &Range<u64>) -> Option<Bytes> {
    let first = usize::try_from(wanted.start.checked_sub(start)?).ok()?;
    let last = usize::try_from(wanted.end.checked_sub(start)?).ok()?;
    (first <= last && last <= bytes.len()).then(|| bytes.slice(first..last))
}

fn ends() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends within it")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const SIZE: u64 = 300_000;

    fn bytes() -> Vec<u8> {
        (0..SIZE).map(|place| (place % 251) as u8).collect()
    }

    fn check(ranges: &Ranges, wanted: Range<u64>) {
        let found = ranges.get_bytes(wanted.start, (wanted.end - wanted.start) as usize).expect("bytes");
        assert_eq!(found, bytes()[wanted.start as usize..wanted.end as usize]);
    }

    #[test]
    fn a_file_gives_any_range_and_little_at_a_time_comes_together() {
        struct Counted(Cursor<Vec<u8>>, Arc<Mutex<usize>>);
        impl Read for Counted {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                *self.1.lock().unwrap() += 1;
                self.0.read(out)
            }
        }
        impl Seek for Counted {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.0.seek(to)
            }
        }
        let count = Arc::new(Mutex::new(0));
        let ranges = Ranges::of_file(Counted(Cursor::new(bytes()), count.clone()), SIZE);
        [1000..2000, 2000..2001, 60_000..60_100].into_iter().for_each(|wanted| check(&ranges, wanted));
        assert_eq!(*count.lock().unwrap(), 1);
        [SIZE - 8..SIZE, 10..SIZE - 1, 5..5].into_iter().for_each(|wanted| check(&ranges, wanted));
        assert!(ranges.get_bytes(SIZE - 1, 2).is_err());
        let mut rest = Vec::new();
        ranges.get_read(SIZE - 70_000).unwrap().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, bytes()[SIZE as usize - 70_000..]);
    }

    #[test]
    fn blocks_are_joined_passed_over_and_let_go() {
        let mut at = 100;
        let next = move || {
            let end = SIZE.min(at + 1000);
            let block = bytes()[at as usize..end as usize].to_vec();
            at = end;
            Ok(block)
        };
        let ranges = Ranges::of_blocks(&(100..SIZE - 500), Box::new(next));
        let wanted = [100..110, 105..1100, 1100..4000, 9000..9001, 9500..9500, 200_000..SIZE - 500];
        wanted.into_iter().for_each(|wanted| check(&ranges, wanted));
        let message = ranges.get_bytes(1000, 1).expect_err("let go").to_string();
        assert!(message.contains("not in order"), "{message}");
        assert!(ranges.get_bytes(SIZE - 501, 2).is_err());
    }

    #[test]
    fn blocks_that_end_early_are_an_error() {
        let mut blocks = vec![vec![], vec![1, 2, 3]];
        let ranges = Ranges::of_blocks(&(0..10), Box::new(move || Ok(blocks.pop().unwrap())));
        assert_eq!(ranges.get_bytes(0, 3).unwrap(), [1, 2, 3][..]);
        assert!(ranges.get_bytes(2, 2).is_err());
    }
}

//! Pages of a Parquet column, checked before its reader takes memory for what they claim.
//!
//! The library unpacks a page into as many bytes as the page's head says, or as it inflates to, and makes room for as many
//! values as its first bytes say. Each head passes here before the library reads it, each page before it is unpacked, and
//! again before it is decoded.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::thrift::Known::{Number, Struct, Truth};
use super::thrift::{Fault, Fields, Walk};

/// The fewest bytes that a value of a dictionary takes: a text has the four of its length, numbers have as many.
const LEAST: usize = 4;

/// Bytes that any page may claim to unpack to.
const FREE_PAGE: i64 = 256 << 20;
/// How often a page that claims more may hold the bytes it takes in the file. Some writers put a thousand pictures into a
/// page, but these hardly shrink.
const MOST_SHRUNK: i64 = 32;

/// Bytes that are read for the head of a page at first.
const HEAD: usize = 256;
/// The longest head, which may hold the least and the greatest value of its page.
const MAX_HEAD: usize = 16 << 20;

/// What the library knows of `PageHeader` but for its sizes; it passes over statistics.
const PAGE: Fields = &[
    (1, Number),
    (4, Number),
    (5, Struct(&[(1, Number), (2, Number), (3, Number), (4, Number)])),
    (6, Struct(&[])),
    (7, Struct(&[(1, Number), (2, Number), (3, Truth)])),
];
/// What it knows of `DataPageHeaderV2` but for the bytes of levels, and whether the rest is packed.
const PAGE_V2: Fields = &[(1, Number), (2, Number), (3, Number), (4, Number)];

/// The pages of a column chunk that has so many rows; its column holds no lists.
pub(crate) fn pages<R: ChunkReader + 'static>(
    file: Arc<R>,
    chunk: &ColumnChunkMetaData,
    rows: usize,
) -> Result<Box<dyn PageReader>> {
    let pages = SerializedPageReader::new(Arc::new(Heads::of(file, chunk)), chunk, rows, None)?;
    let (has_levels, is_chained) = (chunk.column_descr().max_def_level() > 0, is_chained(chunk));
    Ok(Box::new(CheckedPages { pages: Box::new(pages), check: Check { has_levels, is_chained } }))
}

/// How many rows of a chunk are read at once: `most`, or one where a value may repeat the one before it, since few bytes make
/// many long values then.
pub(crate) fn at_once(chunk: &ColumnChunkMetaData, most: usize) -> usize {
    if is_chained(chunk) { 1 } else { most }
}

fn is_chained(chunk: &ColumnChunkMetaData) -> bool {
    chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
}

/// A file whose pages' heads are looked at first: the library asks for a reader where one begins, and for bytes otherwise.
struct Heads<R> {
    file: Arc<R>,
    /// Where the chunk ends.
    end: u64,
    codec: Compression,
    /// What heads claim of pages whose bytes were not asked for yet, by where these begin.
    claims: Mutex<HashMap<u64, Claims>>,
}

impl<R: ChunkReader> Heads<R> {
    fn of(file: Arc<R>, chunk: &ColumnChunkMetaData) -> Self {
        let (start, bytes) = chunk.byte_range();
        Self { file, end: start.saturating_add(bytes), codec: chunk.compression(), claims: Mutex::default() }
    }
}

impl<R: ChunkReader> Length for Heads<R> {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl<R: ChunkReader> ChunkReader for Heads<R> {
    type T = Cursor<Vec<u8>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut known = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        // Where the library holds the head already it still asks for a reader at the page itself, and reads nothing from it.
        if start >= self.end || known.get(&start).is_some_and(|claims| claims.packed > 0) {
            return Ok(Cursor::default());
        }
        let (head, claims) = head(&mut self.file.get_read(start)?)?;
        known.insert(start.saturating_add(head.len() as u64), claims);
        Ok(Cursor::new(head))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let page = self.file.get_bytes(start, length)?;
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner).remove(&start);
        let claims = claims.ok_or_else(|| ParquetError::General("a page has no head".to_owned()))?;
        claims.check_page(self.codec, &page)?;
        Ok(page)
    }
}

/// The head of the page that a file goes on with, and what it claims.
fn head(file: &mut impl Read) -> Result<(Vec<u8>, Claims)> {
    let mut read = Vec::new();
    loop {
        let wanted = read.len().max(HEAD);
        let came = file.by_ref().take(wanted as u64).read_to_end(&mut read)?;
        match Claims::of(&read) {
            Ok(claims) => {
                claims.check()?;
                read.truncate(claims.head);
                return Ok((read, claims));
            }
            Err(Fault::Ends) if came == wanted && read.len() < MAX_HEAD => {}
            Err(fault) => return Err(fault.of("the head of a page")),
        }
    }
}

/// What the head of a page claims.
struct Claims {
    /// Bytes of the head itself.
    head: usize,
    /// Bytes of the page in the file.
    packed: i32,
    /// Bytes of the page once it is unpacked.
    unpacked: i32,
    /// Bytes that it begins with and that are never packed, and whether the others are.
    levels: usize,
    is_packed: bool,
}

impl Claims {
    fn of(bytes: &[u8]) -> Result<Self, Fault> {
        let mut walk = Walk::over(bytes);
        let (mut packed, mut unpacked) = (0, 0);
        let (mut definitions, mut repetitions, mut is_packed) = (0, 0, true);
        walk.fields(|walk, id, kind| {
            match id {
                2 => unpacked = walk.number_of(kind)? as i32,
                3 => packed = walk.number_of(kind)? as i32,
                8 => {
                    // Where it is there twice, the second counts alone.
                    (definitions, repetitions, is_packed) = (0, 0, true);
                    walk.fields_of(kind, |walk, id, kind| {
                        match id {
                            5 => definitions = walk.number_of(kind)? as i32,
                            6 => repetitions = walk.number_of(kind)? as i32,
                            7 => is_packed = walk.truth_of(kind)?,
                            _ => walk.field(PAGE_V2, id, kind)?,
                        }
                        Ok(())
                    })?;
                }
                _ => walk.field(PAGE, id, kind)?,
            }
            Ok(())
        })?;
        // Sums that do not fit are refused by the library.
        let levels = usize::try_from(i64::from(definitions) + i64::from(repetitions)).unwrap_or(usize::MAX);
        Ok(Self { head: bytes.len() - walk.left(), packed, unpacked, levels, is_packed })
    }

    /// The library inflates by these all that is there, and only then looks at what was claimed.
    fn check_page(&self, codec: Compression, page: &[u8]) -> Result<()> {
        let packed = page.get(self.levels..).filter(|_| self.is_packed).unwrap_or_default();
        let most = usize::try_from(self.unpacked).unwrap_or(0).saturating_sub(self.levels) as u64;
        let is_longer = match codec {
            Compression::GZIP(_) => is_longer(MultiGzDecoder::new(packed), most),
            Compression::LZ4 => is_longer(FrameDecoder::new(packed), most),
            _ => false,
        };
        if is_longer {
            return Err(ParquetError::General(format!(
                "a page unpacks to more than the {} bytes it claims",
                self.unpacked
            )));
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let Self { packed, unpacked, .. } = self;
        if i64::from(*unpacked) > FREE_PAGE.max(i64::from(*packed) * MOST_SHRUNK) {
            return Err(ParquetError::General(format!("a page of {packed} bytes claims to unpack to {unpacked}")));
        }
        Ok(())
    }
}

/// Whether more than `most` bytes come, rather than fewer or an error.
fn is_longer(unpacked: impl Read, most: u64) -> bool {
    io::copy(&mut unpacked.take(most + 1), &mut io::sink()).is_ok_and(|bytes| bytes > most)
}

/// Pages of another reader, each checked.
struct CheckedPages {
    pages: Box<dyn PageReader>,
    check: Check,
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.map(|page| self.check.page(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.pages.take_deferred_dictionary()?;
        page.map(|page| self.check.page(page)).transpose()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// What the pages of a chunk are checked by.
struct Check {
    /// Whether values may be missing, so that a page begins with which of them are there.
    has_levels: bool,
    /// Whether the file's index says that a value may repeat the one before it.
    is_chained: bool,
}

impl Check {
    fn page(&self, page: Page) -> Result<Page> {
        let refuse = |what: String| Err(ParquetError::General(what));
        match &page {
            Page::DictionaryPage { buf, num_values, .. } if *num_values as usize > buf.len() / LEAST => {
                return refuse(format!("a dictionary claims {num_values} values in {} bytes", buf.len()));
            }
            _ if page.encoding() == Encoding::DELTA_BYTE_ARRAY && !self.is_chained => {
                return refuse("a page is encoded in another way than the file's index says".to_owned());
            }
            _ => {}
        }
        self.lengths(&page).map_err(|fault| fault.of("a page"))?;
        Ok(page)
    }

    /// Texts may come after all their lengths, for which the decoder makes room: as many as the page has values, at most.
    fn lengths(&self, page: &Page) -> Result<(), Fault> {
        let lists = match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            Encoding::DELTA_BYTE_ARRAY => 2,
            _ => return Ok(()),
        };
        let mut walk = Walk::over(page.buffer());
        match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                walk.take(*def_levels_byte_len as usize)?;
                walk.take(*rep_levels_byte_len as usize)?;
            }
            Page::DataPage { def_level_encoding, .. } if self.has_levels => {
                if *def_level_encoding != Encoding::RLE {
                    return Err(Fault::Bad("its levels are encoded in another way than in runs"));
                }
                let bytes = walk.take(4)?;
                walk.take(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)?;
            }
            _ => {}
        }
        (0..lists).try_for_each(|_| pass_over_numbers(&mut walk, page.num_values()))
    }
}

/// Walks over numbers in DELTA_BINARY_PACKED, at most `most` of them:
/// <https://github.com/apache/parquet-format/blob/master/Encodings.md>.
fn pass_over_numbers(walk: &mut Walk<'_>, most: u32) -> Result<(), Fault> {
    let contradiction = Fault::Bad("its lengths contradict themselves");
    let (block, parts, numbers) = (walk.unsigned()?, walk.unsigned()?, walk.unsigned()?);
    let _first = walk.unsigned()?;
    if numbers > u64::from(most) {
        return Err(Fault::Bad("it claims more lengths than it has values"));
    }
    let each = block.checked_div(parts).ok_or(contradiction)?;
    let mut to_come = numbers.saturating_sub(1);
    while to_come > 0 {
        let _least = walk.unsigned()?;
        let widths = walk.take(usize::try_from(parts).map_err(|_| contradiction)?)?;
        for &width in widths {
            // What has no numbers has no bytes, whatever its width is said to be.
            if to_come == 0 {
                break;
            }
            let bits = u64::from(width).checked_mul(each).ok_or(contradiction)?;
            walk.take(usize::try_from(bits / 8).map_err(|_| contradiction)?)?;
            to_come = to_come.saturating_sub(each);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use super::*;

    const CHECK: Check = Check { has_levels: true, is_chained: true };

    /// A number from 0 as Thrift writes it where it might have a sign.
    fn number(value: u64) -> Vec<u8> {
        let mut left = 2 * value;
        let mut bytes = Vec::new();
        while left > 0x7f {
            bytes.push(0x80 | (left & 0x7f) as u8);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes
    }

    /// The head of a page with one text, of so many bytes once unpacked and so many in the file.
    fn head_of(unpacked: u64, packed: u64) -> Vec<u8> {
        let page = [0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
        [&[0x15u8, 0, 0x15][..], &number(unpacked), &[0x15], &number(packed), &page].concat()
    }

    fn data_page(buf: Vec<u8>, encoding: Encoding) -> Page {
        let (def_level_encoding, rep_level_encoding) = (Encoding::RLE, Encoding::RLE);
        Page::DataPage {
            buf: buf.into(),
            num_values: 3,
            encoding,
            def_level_encoding,
            rep_level_encoding,
            statistics: None,
        }
    }

    fn refuse(check: &Check, page: Page, words: &str) {
        let message = check.page(page).map(drop).expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
    }

    #[test]
    fn a_dictionary_that_claims_more_than_it_holds_is_refused() {
        let page = |num_values| Page::DictionaryPage {
            buf: vec![0; 40].into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        assert!(CHECK.page(page(10)).is_ok());
        refuse(&CHECK, page(11), "a dictionary claims 11 values in 40 bytes");
    }

    #[test]
    fn a_page_that_claims_to_unpack_to_far_more_than_it_takes_is_refused() {
        let check = |unpacked: u64, packed: u64, is_fine: bool| {
            let head_alone = head_of(unpacked, packed);
            let found = head(&mut &[&head_alone[..], &[7; 1000]].concat()[..]);
            let found = found.map(|(head, _)| head).map_err(|error| error.to_string());
            let refused = Err(format!("Parquet error: a page of {packed} bytes claims to unpack to {unpacked}"));
            assert_eq!(found, if is_fine { Ok(head_alone) } else { refused });
        };
        check(300, 200, true);
        check(256 << 20, 10, true);
        check((256 << 20) + 1, 10, false);
        check(1 << 30, 32 << 20, true);
        check(1 << 30, (32 << 20) - 1, false);
    }

    #[test]
    fn a_head_may_be_long_and_must_be_whole() {
        // After what the library knows comes a field of 300,000 bytes.
        let mut long = head_of(30, 20);
        long.pop();
        long.extend([0x48, 0xe0, 0xa7, 0x12]);
        long.extend(std::iter::repeat_n(7, 300_000));
        long.push(0);
        let after = [&long[..], &[9; 5]].concat();
        assert_eq!(head(&mut &after[..]).expect("a head").0, long);
        for cut in [0, 2, 300, 299_999, long.len() - 1] {
            let message = head(&mut &long[..cut]).map(drop).expect_err("cut off").to_string();
            assert!(message.contains("the head of a page cannot be read: it ends early"), "{message}");
        }
        let message = head(&mut &[0x25u8, 2, 0x11, 0][..]).map(drop).expect_err("a size that is a truth").to_string();
        assert!(message.contains("another type"), "{message}");
    }

    #[test]
    fn pages_are_read_from_heads_that_passed() {
        let schema = parse_message_type("message rows { required binary image; }").expect("a schema");
        let column = SchemaDescriptor::new(Arc::new(schema)).column(0);
        let read = |head: &[u8]| {
            let file = Bytes::from([head, b"\x03\0\0\0abc"].concat());
            let chunk = ColumnChunkMetaData::builder(column.clone())
                .set_data_page_offset(0)
                .set_total_compressed_size(file.len() as i64)
                .build()
                .expect("a chunk");
            pages(Arc::new(file), &chunk, 1).expect("pages").get_next_page()
        };
        let page = read(&head_of(7, 7)).expect("read").expect("a page");
        assert_eq!((page.buffer().len(), page.num_values()), (7, 1));
        let message = read(&head_of(1 << 30, 7)).map(drop).expect_err("too much").to_string();
        assert!(message.contains("claims to unpack to 1073741824"), "{message}");
    }

    #[test]
    fn a_page_that_unpacks_to_more_than_it_claims_is_refused() {
        let zeros = vec![0; 100_000];
        let mut gzip = flate2::read::GzEncoder::new(&zeros[..], flate2::Compression::fast());
        let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
        let mut gzipped = Vec::new();
        gzip.read_to_end(&mut gzipped).expect("packed");
        io::copy(&mut &zeros[..], &mut frame).expect("packed");
        let frame = frame.finish().expect("packed");
        for (codec, packed) in [(Compression::GZIP(Default::default()), gzipped), (Compression::LZ4, frame)] {
            for levels in [0, 3] {
                let page = [&vec![1; levels][..], &packed].concat();
                let claims =
                    |unpacked, is_packed| Claims { head: 0, packed: page.len() as i32, unpacked, levels, is_packed };
                let whole = 100_000 + levels as i32;
                assert!(claims(whole, true).check_page(codec, &page).is_ok());
                assert!(claims(10, false).check_page(codec, &page).is_ok());
                let message = claims(whole - 1, true).check_page(codec, &page).expect_err("longer").to_string();
                assert!(message.contains("a page unpacks to more than"), "{message}");
            }
        }
        assert!(Claims::of(&head_of(7, 7)).is_ok_and(|claims| claims.is_packed && claims.levels == 0));
        // The second version of a page, with two bytes of levels, not packed.
        let second =
            [0x15u8, 6, 0x15, 20, 0x15, 10, 0x5c, 0x15, 2, 0x15, 0, 0x15, 2, 0x15, 0, 0x15, 4, 0x15, 0, 0x12, 0, 0];
        assert!(Claims::of(&second).is_ok_and(|claims| !claims.is_packed && claims.levels == 2));
    }

    #[test]
    fn a_page_that_claims_more_lengths_than_it_has_values_is_refused() {
        // Two bytes of levels; blocks of 128 numbers in 4 parts, of which there are 3 from 1 on, each 0 or 1 above the one before.
        let levels = [2, 0, 0, 0, 6, 1];
        let lengths = [128, 1, 4, 3, 2, 0, 1, 0, 0, 0, 0b10, 0, 0, 0];
        let page = |lists: &[u8], encoding| data_page([&levels[..], lists].concat(), encoding);
        assert!(CHECK.page(page(&lengths, Encoding::DELTA_LENGTH_BYTE_ARRAY)).is_ok());
        let mut more = lengths;
        more[3] = 4;
        let words = "it claims more lengths than it has values";
        refuse(&CHECK, page(&more, Encoding::DELTA_LENGTH_BYTE_ARRAY), words);
        let (fine, bad) = ([lengths, lengths].concat(), [lengths, more].concat());
        assert!(CHECK.page(page(&fine, Encoding::DELTA_BYTE_ARRAY)).is_ok());
        refuse(&CHECK, page(&bad, Encoding::DELTA_BYTE_ARRAY), words);
        refuse(&CHECK, page(&lengths, Encoding::DELTA_BYTE_ARRAY), "it ends early");
        let mut no_parts = lengths;
        no_parts[2] = 0;
        refuse(&CHECK, page(&no_parts, Encoding::DELTA_LENGTH_BYTE_ARRAY), "contradict themselves");
        let unchained = Check { has_levels: true, is_chained: false };
        refuse(&unchained, page(&fine, Encoding::DELTA_BYTE_ARRAY), "in another way than the file's index says");
    }
}

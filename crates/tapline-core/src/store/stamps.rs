//! `.stamps`: size and time of the pictures' files when they were read, so that the next run need not read them all again.
//!
//! What it says is about files, not about features, and counts for nothing in a store: it may be deleted, and one that is
//! damaged is not believed. Where a picture's file, or the shard that it lies in, has the size and the time of its stamp, its digest
//! is taken from there; of a picture or a shard behind a URL, where it has the version (the entity tag).

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::{STAMPS, disk};
use crate::{Digest, Error, Holder, Listing, Place};

const MAGIC: &[u8] = b"tapline stamps 1\n";
/// Bytes of one stamp: the file's path (16, of its digest), size, seconds, nanoseconds, the digest of its bytes.
const RECORD: usize = 16 + 8 + 8 + 4 + 32;
/// A longer file is not read: 15 million pictures, whose bytes are read again instead.
const MAX_BYTES: u64 = 1 << 30;
/// A file changed less than this before it is read could change again without a sign: the coarsest times in use, of FAT, count
/// in steps of two seconds. (Git calls such entries racy.)
const SETTLED: Duration = Duration::from_secs(2);

/// How a picture's file, or its shard, looked just before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes; of a version `u64::MAX`.
    size: u64,
    /// When it was changed: seconds since 1970, and nanoseconds; or the first bytes of a version's digest.
    seconds: u64,
    nanoseconds: u32,
}

impl Stamp {
    /// The stamp of a picture; none where that would not tell a change for certain.
    pub fn of(place: &Place) -> Option<Self> {
        match place {
            Place::File(path) => Self::of_file(&std::fs::metadata(path).ok()?),
            Place::Member { shard, .. } => Self::of_file(&std::fs::metadata(shard).ok()?),
            Place::Url { version, .. } | Place::Part { version, .. } => version.as_deref().map(Self::of_version),
            // Its pages are read by the index, whatever the file is by now.
            Place::Cell { table, .. } => match table.holder() {
                Holder::File { stamp, .. } => *stamp,
                Holder::Url { version, .. } => version.as_deref().map(Self::of_version),
            },
        }
    }

    /// The stamp of a file of this machine; none where that would not tell a change for certain.
    pub(crate) fn of_file(metadata: &Metadata) -> Option<Self> {
        let modified = metadata.modified().ok()?;
        // Also none where the file is of the future.
        SystemTime::now().duration_since(modified).ok().filter(|age| *age >= SETTLED)?;
        Self::look(metadata)
    }

    /// How a file of this machine looks, whatever the time is now.
    pub(crate) fn look(metadata: &Metadata) -> Option<Self> {
        let modified = metadata.modified().ok().filter(|_| metadata.is_file())?;
        let since = modified.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { size: metadata.len(), seconds: since.as_secs(), nanoseconds: since.subsec_nanos() })
    }

    /// The stamp of what has this version, an entity tag, at its source. Its quotes do not count, which Azure's listings leave out.
    pub fn of_version(version: &str) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = Digest::of(version.trim_matches('"').as_bytes()).0;
        let seconds = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Self { size: u64::MAX, seconds, nanoseconds: u32::from_le_bytes([i, j, k, l]) }
    }
}

/// The stamps of a listing's pictures.
pub struct Stamps {
    path: PathBuf,
    /// What stands for the place of each row that can have a stamp.
    places: Vec<Option<[u8; 16]>>,
    rows: Mutex<Vec<Option<(Stamp, Digest)>>>,
}

impl Stamps {
    /// The stamps that the store in `dir` has of the pictures of a listing; none at all where they are not to be `trusted`.
    pub fn read(dir: &Path, listing: &Listing, trusted: bool) -> Self {
        let path = dir.join(STAMPS);
        let places: Vec<_> = (0..listing.rows()).map(|row| key(&listing.place(row))).collect();
        let known = if trusted { known(&path).unwrap_or_default() } else { HashMap::new() };
        let rows = places.iter().map(|place| known.get(&(*place)?).copied()).collect();
        Self { path, places, rows: Mutex::new(rows) }
    }

    /// The digest of a row's picture, whose bytes are read only where its stamp does not vouch for them.
    pub fn digest(&self, row: usize, place: &Place) -> Option<Digest> {
        let stamp = Stamp::of(place);
        let known = stamp.and_then(|stamp| self.vouched(row, stamp));
        known.or_else(|| {
            let digest = place.hash()?;
            self.note(row, stamp, Some(digest));
            Some(digest)
        })
    }

    /// Whether a row's picture has a stamp.
    pub fn has(&self, row: usize) -> bool {
        self.rows()[row].is_some()
    }

    /// The digest of a row's picture, if this is the stamp it had.
    pub fn vouched(&self, row: usize, stamp: Stamp) -> Option<Digest> {
        self.rows()[row].and_then(|(known, digest)| (known == stamp).then_some(digest))
    }

    /// Notes that a row's picture had these bytes when it was read, and this stamp just before.
    pub fn note(&self, row: usize, stamp: Option<Stamp>, digest: Option<Digest>) {
        self.rows()[row] = stamp.zip(digest);
    }

    /// Writes them into the store's folder, unless they are there; a folder that is gone needs none.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self) -> Result<(), Error> {
        if !self.path.parent().is_some_and(Path::is_dir) {
            return Ok(());
        }
        let rows = self.rows();
        let records =
            self.places.iter().zip(rows.iter()).filter(|(place, row)| place.is_some() && row.is_some()).count();
        drop(rows);
        let len = (MAGIC.len() + RECORD * records + size_of::<Digest>()) as u64;
        if len > MAX_BYTES {
            let what = format!("its {len} bytes are more than the limit of {MAX_BYTES}");
            return Err(Error::Write { path: self.path.clone(), source: io::Error::other(what) });
        }
        let is_there =
            std::fs::metadata(&self.path).is_ok_and(|found| found.is_file() && found.len() == len) && self.is_written();
        if is_there {
            Ok(())
        } else {
            disk::replace_by(&self.path, |file| self.each_piece(|piece| file.write_all(piece)))
        }
    }

    /// Gives the bytes of the file piece by piece, the digest of all others last: those of many pictures are never in memory
    /// at once.
    fn each_piece(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut digest = Sha256::new();
        let mut hashed = |piece: &[u8]| {
            digest.update(piece);
            take(piece)
        };
        hashed(MAGIC)?;
        for (place, row) in self.places.iter().zip(self.rows().iter()) {
            if let (Some(place), Some((stamp, digest))) = (place, row) {
                let mut record = [0; RECORD];
                record[..16].copy_from_slice(place);
                record[16..24].copy_from_slice(&stamp.size.to_le_bytes());
                record[24..32].copy_from_slice(&stamp.seconds.to_le_bytes());
                record[32..36].copy_from_slice(&stamp.nanoseconds.to_le_bytes());
                record[36..].copy_from_slice(&digest.0);
                hashed(&record)?;
            }
        }
        take(&digest.finalize())
    }

    /// Whether the file begins with these stamps.
    fn is_written(&self) -> bool {
        let Ok(file) = File::open(&self.path) else { return false };
        let (mut file, mut found) = (BufReader::new(file), Vec::new());
        let same = self.each_piece(|piece| {
            found.resize(piece.len(), 0);
            file.read_exact(&mut found)?;
            if found == piece { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
        });
        same.is_ok()
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Vec<Option<(Stamp, Digest)>>> {
        self.rows.lock().expect("nothing panics while it is held")
    }
}

/// What stands for a picture's place, the first bytes of its digest: the same relative path may lead elsewhere from another
/// folder. Within a shard a zero, which no path holds, and numbers follow.
fn key(place: &Place) -> Option<[u8; 16]> {
    let of_file = |path: &Path| Some(std::path::absolute(path).ok()?.into_os_string().into_encoded_bytes());
    let (mut text, within) = match place {
        Place::File(path) => (of_file(path)?, None),
        Place::Member { shard, offset, bytes } => (of_file(shard)?, Some([*offset, *bytes])),
        Place::Part { url, offset, bytes, .. } => (url.as_bytes().to_vec(), Some([*offset, *bytes])),
        Place::Cell { table, row } => {
            let text = match table.holder() {
                Holder::File { path, .. } => of_file(path)?,
                Holder::Url { url, .. } => url.as_bytes().to_vec(),
            };
            (text, Some([table.column() as u64, *row as u64]))
        }
        Place::Url { url, .. } => (url.as_bytes().to_vec(), None),
    };
    for number in within.into_iter().flatten() {
        text.push(0);
        text.extend(number.to_le_bytes());
    }
    Digest::of(&text).0.first_chunk().copied()
}

/// The stamps of a file by picture, none where it is not whole.
fn known(path: &Path) -> Option<HashMap<[u8; 16], (Stamp, Digest)>> {
    let metadata = std::fs::metadata(path).ok().filter(|found| found.is_file() && found.len() <= MAX_BYTES);
    metadata.and_then(|_| parse(&std::fs::read(path).ok()?))
}

fn parse(bytes: &[u8]) -> Option<HashMap<[u8; 16], (Stamp, Digest)>> {
    let (stamps, digest) = bytes.split_last_chunk::<32>()?;
    let records = stamps.strip_prefix(MAGIC).filter(|records| records.len() % RECORD == 0)?;
    if Digest::of(stamps).0 != *digest {
        return None;
    }
    records.chunks_exact(RECORD).map(record).collect()
}

fn record(bytes: &[u8]) -> Option<([u8; 16], (Stamp, Digest))> {
    let (file, bytes) = bytes.split_first_chunk()?;
    let (size, bytes) = bytes.split_first_chunk()?;
    let (seconds, bytes) = bytes.split_first_chunk()?;
    let (nanoseconds, digest) = bytes.split_first_chunk()?;
    let stamp = Stamp {
        size: u64::from_le_bytes(*size),
        seconds: u64::from_le_bytes(*seconds),
        nanoseconds: u32::from_le_bytes(*nanoseconds),
    };
    Some((*file, (stamp, Digest(digest.try_into().ok()?))))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Sample, scan};

    fn age(path: &Path, seconds: u64) {
        let file = File::options().write(true).open(path).expect("open");
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("a time");
    }

    /// A folder of two pictures `a` and `b` that were read long after they were made, with their stamps in `.stamps`.
    fn stamped() -> (tempfile::TempDir, Listing) {
        let folder = tempfile::tempdir().expect("folder");
        let pictures = folder.path().join("pictures");
        fs::create_dir(&pictures).expect("folder");
        for name in ["a.png", "b.png"] {
            fs::write(pictures.join(name), name).expect("write");
            age(&pictures.join(name), 60);
        }
        let listing = scan(&pictures).expect("listing");
        let stamps = Stamps::read(folder.path(), &listing, true);
        assert_eq!(digests(&stamps, &listing), [Digest::of(b"a.png"), Digest::of(b"b.png")]);
        stamps.write().expect("write");
        (folder, listing)
    }

    fn digests(stamps: &Stamps, listing: &Listing) -> Vec<Digest> {
        (0..listing.rows()).map(|row| stamps.digest(row, &listing.place(row)).expect("readable")).collect()
    }

    fn found(folder: &Path, listing: &Listing) -> Vec<Digest> {
        digests(&Stamps::read(folder, listing, true), listing)
    }

    /// Other bytes of the same length at the same time, which no stamp can tell.
    fn swap(path: &Path) {
        let modified = fs::metadata(path).and_then(|found| found.modified()).expect("a time");
        let length = fs::read(path).expect("read").len();
        fs::write(path, vec![b'x'; length]).expect("write");
        File::options().write(true).open(path).and_then(|file| file.set_modified(modified)).expect("a time");
    }

    #[test]
    fn a_file_with_its_stamp_is_not_read_unless_stamps_are_not_trusted() {
        let (folder, listing) = stamped();
        swap(&folder.path().join("pictures/a.png"));
        assert_eq!(found(folder.path(), &listing), [Digest::of(b"a.png"), Digest::of(b"b.png")]);
        let verified = Stamps::read(folder.path(), &listing, false);
        assert_eq!(digests(&verified, &listing), [Digest::of(b"xxxxx"), Digest::of(b"b.png")]);
    }

    fn listing_of(places: Vec<Place>) -> Listing {
        let sample =
            |(row, place)| Sample { place, path: format!("{row}"), label: None, split: None, extra: Vec::new() };
        Listing::of(Path::new(""), places.into_iter().enumerate().map(sample), Vec::new())
    }

    #[test]
    fn pictures_in_a_shard_have_the_stamp_of_the_shard() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tar");
        fs::write(&path, "aabb").expect("write");
        age(&path, 60);
        let member = |offset: u64| Place::Member { shard: path.as_path().into(), offset, bytes: 2 };
        let listing = listing_of(vec![member(0), member(2)]);
        let stamps = Stamps::read(folder.path(), &listing, true);
        assert_eq!(digests(&stamps, &listing), [Digest::of(b"aa"), Digest::of(b"bb")]);
        stamps.write().expect("write");
        swap(&path);
        // One that begins elsewhere in the same shard was never read.
        let other = listing_of(vec![member(2), member(1)]);
        assert_eq!(found(folder.path(), &other), [Digest::of(b"bb"), Digest::of(b"xx")]);
        age(&path, 50);
        assert_eq!(found(folder.path(), &listing), [Digest::of(b"xx"), Digest::of(b"xx")]);
    }

    #[test]
    fn pictures_in_a_shard_behind_a_url_have_its_version() {
        let folder = tempfile::tempdir().expect("folder");
        let part = |version: Option<&str>, offset: u64| {
            let version = version.map(Into::into);
            Place::Part { url: "s3://bucket/a.tar".into(), offset, bytes: 2, version }
        };
        let of = |version| listing_of(vec![part(version, 0), part(version, 2)]);
        let listing = of(Some("\"one\""));
        let stamps = Stamps::read(folder.path(), &listing, true);
        stamps.note(1, Stamp::of(&listing.place(1)), Some(Digest::of(b"bb")));
        stamps.write().expect("write");
        let known = |listing: &Listing, trusted: bool| {
            let stamps = Stamps::read(folder.path(), listing, trusted);
            [0, 1].map(|row| stamps.digest(row, &listing.place(row)))
        };
        assert_eq!(known(&listing, true), [None, Some(Digest::of(b"bb"))]);
        assert_eq!(known(&listing, false), [None, None]);
        assert_eq!(known(&of(Some("\"two\"")), true), [None, None]);
        assert_eq!(known(&of(None), true), [None, None]);
    }

    #[test]
    fn another_size_or_time_is_noticed() {
        let (folder, listing) = stamped();
        let path = folder.path().join("pictures/a.png");
        fs::write(&path, "xxxxx").expect("write");
        age(&path, 59);
        assert_eq!(found(folder.path(), &listing)[0], Digest::of(b"xxxxx"));
        let modified = fs::metadata(&path).and_then(|found| found.modified()).expect("a time");
        fs::write(&path, "longer").expect("write");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("a time");
        assert_eq!(found(folder.path(), &listing)[0], Digest::of(b"longer"));
    }

    #[test]
    fn a_file_changed_just_before_it_was_read_has_no_stamp() {
        let (folder, listing) = stamped();
        let path = folder.path().join("pictures/a.png");
        age(&path, 1);
        let stamps = Stamps::read(folder.path(), &listing, true);
        digests(&stamps, &listing);
        stamps.write().expect("write");
        swap(&path);
        assert_eq!(found(folder.path(), &listing)[0], Digest::of(b"xxxxx"));
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        File::options().write(true).open(&path).and_then(|file| file.set_modified(tomorrow)).expect("a time");
        assert_eq!(Stamp::of(&Place::File(path)), None);
    }

    #[test]
    fn the_same_name_in_another_folder_is_another_file() {
        let (folder, _) = stamped();
        let other = folder.path().join("other");
        fs::create_dir(&other).expect("folder");
        for name in ["a.png", "b.png"] {
            let modified = fs::metadata(folder.path().join("pictures").join(name)).and_then(|found| found.modified());
            fs::write(other.join(name), "xxxxx").expect("write");
            let file = File::options().write(true).open(other.join(name)).expect("open");
            file.set_modified(modified.expect("a time")).expect("a time");
        }
        let listing = scan(&other).expect("listing");
        assert_eq!(found(folder.path(), &listing), [Digest::of(b"xxxxx"); 2]);
    }

    #[test]
    fn no_damaged_stamp_is_believed() {
        let (folder, listing) = stamped();
        let path = folder.path().join(STAMPS);
        let whole = fs::read(&path).expect("stamps");
        assert_eq!(whole.len(), MAGIC.len() + 2 * RECORD + 32);
        assert_eq!(parse(&whole).expect("whole").len(), 2);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(parse(&damaged).is_none(), "byte {at}");
            assert!(parse(&whole[..at]).is_none(), "cut to {at}");
        }
        assert!(parse(&[&whole[..], &[0]].concat()).is_none());
        swap(&folder.path().join("pictures/a.png"));
        fs::write(&path, &whole[..100]).expect("write");
        assert_eq!(found(folder.path(), &listing)[0], Digest::of(b"xxxxx"));
        fs::remove_file(&path).expect("remove");
        fs::create_dir(&path).expect("a folder in its place");
        assert_eq!(found(folder.path(), &listing)[0], Digest::of(b"xxxxx"));
    }
}

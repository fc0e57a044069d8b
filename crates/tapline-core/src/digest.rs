//! SHA-256 of pictures and models: what tells whether stored features still belong to what is on disk.
//!
//! Digests, not paths or dates, identify pictures, so that a moved or renamed picture keeps its features.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::Sha256;

use crate::{Error, Listing, Place};

/// A SHA-256 digest; written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of all these bytes, one piece after the other.
    ///
    /// # Errors
    /// The first piece that is one.
    pub fn of_pieces<E>(pieces: impl Iterator<Item = Result<Vec<u8>, E>>) -> Result<Self, E> {
        let mut hasher = Sha256::new();
        for piece in pieces {
            hasher.update(piece?);
        }
        Ok(Self(hasher.finalize().into()))
    }
}

/// Takes the digest of what is written to it.
#[derive(Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub fn digest(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The digest of a regular file's bytes, read in pieces.
///
/// # Errors
/// [`Error::Read`] for what is no regular file or cannot be read.
pub fn hash_file(path: &Path) -> Result<Digest, Error> {
    hash_regular(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// The digests of all listed pictures, on all cores, none where a picture cannot be read.
///
/// `progress` is told how many pictures are hashed so far, from any thread. Once it says to break, no further picture is
/// read, and those that are left come out as none.
pub fn hash_all(listing: &Listing, progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync)) -> Vec<Option<Digest>> {
    hash_all_by(listing, &|_, place| place.hash(), progress)
}

/// As [`hash_all`], with another way to hash the place of a row.
pub fn hash_all_by(
    listing: &Listing,
    hash: &(dyn Fn(usize, &Place) -> Option<Digest> + Sync),
    progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
) -> Vec<Option<Digest>> {
    let (hashed, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    (0..listing.rows())
        .into_par_iter()
        .map(|row| {
            if stopped.load(Ordering::Relaxed) {
                return None;
            }
            let digest = hash(row, &listing.place(row));
            if progress(hashed.fetch_add(1, Ordering::Relaxed) + 1).is_break() {
                stopped.store(true, Ordering::Relaxed);
            }
            digest
        })
        .collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::NotADigest { found: text.chars().take(80).collect() };
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refuse());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| refuse())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A pipe or a device under a picture's name would never end, so only regular files are read.
fn hash_regular(path: &Path) -> io::Result<Digest> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    hash_reader(File::open(path)?).map(|(digest, _)| digest)
}

/// The digest of all that a reader gives, and how many bytes that was.
pub(crate) fn hash_reader(mut reader: impl Read) -> io::Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut read = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((Digest(hasher.finalize().into()), read)),
            n => {
                hasher.update(&buffer[..n]);
                read += n as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_digest_of_abc_is_the_one_of_fips_180() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(ABC.parse::<Digest>().expect("hex"), Digest::of(b"abc"));
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("abc");
        std::fs::write(&file, "abc").expect("write");
        assert_eq!(hash_file(&file).expect("hash").to_string(), ABC);
    }

    #[test]
    fn anything_but_64_lower_case_hex_digits_is_no_digest() {
        for text in ["", "ba78", &ABC.to_uppercase(), &format!("{ABC}0"), &"é".repeat(32), &"+f".repeat(32)] {
            let message = text.parse::<Digest>().expect_err(text).to_string();
            assert!(message.contains("64 hexadecimal"), "{message}");
        }
    }

    #[test]
    fn a_folder_is_not_hashed() {
        let folder = tempfile::tempdir().expect("folder");
        hash_file(folder.path()).expect_err("a folder");
        hash_file(&folder.path().join("absent")).expect_err("absent");
    }
}

//! Shards of a listing: contiguous ranges of its rows, so that several machines can share an extraction.
//!
//! Ranges rather than every n-th row: rows of one shard then lie side by side in every array, joining is copying blocks in
//! order, and a shard reads neighbouring pictures. Who gets what depends on the listing alone.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::Sha256;

use crate::{Digest, Error, Listing};

/// One of `of` shards: `index/of`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which one, below `of`.
    pub index: usize,
    /// How many there are, at least 1.
    pub of: usize,
}

/// What part of which listing a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardOf {
    /// The shard.
    #[serde(flatten)]
    pub shard: Shard,
    /// Rows of the whole listing.
    pub listing_rows: usize,
    /// The digest of the whole listing: paths, labels, split and further columns in their order.
    pub whole_sha256: Digest,
}

impl Shard {
    /// The most shards that a listing is parted in.
    pub const MOST: usize = 100_000;

    /// The rows of a listing of `rows` pictures that this shard holds: `⌊index · rows / of⌋` to `⌊(index + 1) · rows / of⌋`,
    /// the end excluded.
    pub fn rows(&self, rows: usize) -> Range<usize> {
        let start = |index: usize| (index as u128 * rows as u128 / self.of as u128) as usize;
        start(self.index)..start(self.index + 1)
    }

    /// The shard's part of a listing, and what it is a part of.
    ///
    /// # Errors
    /// [`Error::EmptyShard`] where there are more shards than pictures.
    pub fn part(&self, listing: Listing) -> Result<(Listing, ShardOf), Error> {
        let listing_rows = listing.rows();
        if self.of > listing_rows {
            return Err(Error::EmptyShard { shard: *self, rows: listing_rows });
        }
        let shard_of = ShardOf { shard: *self, listing_rows, whole_sha256: digest(&listing) };
        Ok((listing.part(self.rows(listing_rows)), shard_of))
    }
}

/// Every text with its length before it, so that no two listings have the same bytes.
pub(crate) fn digest(listing: &Listing) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update((listing.columns().len() as u64).to_le_bytes());
    hasher.update((listing.rows() as u64).to_le_bytes());
    let mut add = |text: Option<&str>| {
        let len = text.map_or(u64::MAX, |text| text.len() as u64);
        hasher.update(len.to_le_bytes());
        hasher.update(text.unwrap_or_default());
    };
    listing.columns().iter().for_each(|name| add(Some(name)));
    for row in 0..listing.rows() {
        add(Some(listing.path(row)));
        add(listing.label(row));
        add(listing.split(row));
        (0..listing.columns().len()).for_each(|column| add(listing.extra(row, column)));
    }
    Digest(hasher.finalize().into())
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |text: &str| text.parse::<usize>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        let parts = text.split_once('/').and_then(|(index, of)| Some((number(index)?, number(of)?)));
        match parts {
            Some((index, of)) if index < of && of <= Self::MOST => Ok(Self { index, of }),
            _ => Err(Error::BadShard { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Sample;

    fn listing(rows: usize) -> Listing {
        let sample = |row: usize| Sample {
            place: crate::Place::File(format!("{row}").into()),
            path: format!("{row}"),
            label: Some("a".to_owned()),
            split: None,
            extra: vec![Some("x".to_owned())],
        };
        Listing::of(Path::new(""), (0..rows).map(sample), vec!["camera".to_owned()])
    }

    #[test]
    fn every_row_is_in_one_shard_and_sizes_differ_by_one_at_most() {
        for rows in [1, 2, 7, 100, 101, 1_000_003] {
            for of in [1, 2, 3, 7, 64].into_iter().filter(|of| *of <= rows) {
                let parts: Vec<_> = (0..of).map(|index| Shard { index, of }.rows(rows)).collect();
                assert_eq!((parts[0].start, parts[of - 1].end), (0, rows));
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
                assert!(parts.iter().all(|part| (rows / of..=rows.div_ceil(of)).contains(&part.len())));
            }
        }
    }

    #[test]
    fn a_part_knows_the_whole() {
        let (part, of) = Shard { index: 1, of: 3 }.part(listing(8)).expect("rows for all");
        let paths: Vec<_> = (0..part.rows()).map(|row| part.path(row)).collect();
        assert_eq!((paths, of.listing_rows), (vec!["2", "3", "4"], 8));
        type Change = fn(&mut Vec<Sample>, &mut Vec<String>);
        let digest = |change: Change| {
            let listing = listing(8);
            let (mut samples, mut columns) = (listing.samples().collect(), listing.columns().to_vec());
            change(&mut samples, &mut columns);
            let listing = Listing::of(Path::new(""), samples, columns);
            Shard { index: 0, of: 3 }.part(listing).expect("rows for all").1.whole_sha256
        };
        assert_eq!(digest(|_, _| ()), of.whole_sha256);
        let changes: [Change; 5] = [
            |samples, _| samples[7].label = None,
            |samples, _| samples[7].split = Some(String::new()),
            |samples, _| samples[7].extra[0] = None,
            |samples, _| samples.swap(0, 1),
            |_, columns| columns[0] = "module".to_owned(),
        ];
        for change in changes {
            assert_ne!(digest(change), of.whole_sha256);
        }
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        assert_eq!("3/4".parse::<Shard>().expect("a shard"), Shard { index: 3, of: 4 });
        for text in ["4/4", "0/0", "1", "a/b", "-1/4", "+1/4", "1/4/2", "", "0/100001"] {
            let message = text.parse::<Shard>().expect_err(text).to_string();
            assert!(message.contains("counted from 0"), "{message}");
        }
        let message = Shard { index: 0, of: 4 }.part(listing(3)).expect_err("too many").to_string();
        assert!(message.contains("0/4") && message.contains("3 pictures"), "{message}");
    }
}

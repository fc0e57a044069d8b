//! Where finished pictures go: into the store, or on the list of those that cannot be used.

use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::ProgressBar;
use tapline_core::{Bits, Error, Skipped, Stamps, StoreWriter};

use super::report::Report;
use crate::output::{count, counted};
use crate::pipeline::Finished;

/// How often a run that computes features writes the stamps of what it has read.
const STAMPS_EVERY: Duration = Duration::from_secs(60);

/// Puts finished pictures into the store, and those that cannot be used on the list.
pub struct Keeper<'a> {
    pub writer: &'a mut StoreWriter,
    pub taps: &'a [usize],
    pub stamps: &'a Stamps,
    /// When the stamps were last written.
    pub kept: Instant,
    pub bar: &'a ProgressBar,
    pub strict: bool,
    pub prune: bool,
    pub report: &'a mut Report,
    /// What is known of pictures with 16 bits per sample.
    pub deep: &'a mut Deep,
    /// The rows of the pictures that the report lists last.
    pub skipped: Vec<usize>,
}

impl Keeper<'_> {
    /// Stores a picture's features, or notes why there are none.
    pub fn keep(&mut self, finished: Finished) -> anyhow::Result<()> {
        self.bar.inc(1);
        let Finished { row, stamp, digest, largest, features } = finished;
        self.stamps.note(row, stamp, digest);
        if self.kept.elapsed() >= STAMPS_EVERY {
            keep(self.stamps);
            self.kept = Instant::now();
        }
        let reason = match (features, digest) {
            (Ok(features), Some(digest)) => {
                let values: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
                match self.writer.put(row, digest, self.taps, &values) {
                    Ok(()) => {
                        self.deep.note(largest);
                        self.report.computed += 1;
                        return Ok(());
                    }
                    Err(error) if concerns_one_picture(&error) => error.to_string(),
                    Err(error) => return Err(error.into()),
                }
            }
            (Err(reason), _) => reason,
            (Ok(_), None) => unreachable!("features are made of bytes that were hashed"),
        };
        let path = self.writer.listing().samples[row].path.clone();
        if self.strict {
            bail!("{path}: {reason} (--strict stops at the first picture that cannot be used; the others are kept)");
        }
        // A row has all taps or none.
        if self.taps.len() < self.writer.taps().len() && !self.prune {
            bail!(
                "{path}: {reason}. Features of other taps are there for this picture and would be dropped: leave out the taps that \
                 are new, mend the picture, use another --store, or --prune to drop them"
            );
        }
        self.writer.skip(row, digest, &reason)?;
        // In the order of the listing, whichever worker came first.
        let before = self.report.skipped.len() - self.skipped.len();
        let place = self.skipped.partition_point(|&other| other < row);
        self.skipped.insert(place, row);
        self.report.skipped.insert(before + place, Skipped { path, reason });
        Ok(())
    }
}

/// Pictures with 16 bits per sample that were computed.
#[derive(Default)]
pub struct Deep {
    pictures: usize,
    largest: u16,
}

impl Deep {
    fn note(&mut self, largest: Option<u16>) {
        if let Some(largest) = largest {
            self.pictures += 1;
            self.largest = self.largest.max(largest);
        }
    }

    /// What to say of them where at least the two uppermost of the `bits` are empty in all of them, or where samples lie beyond.
    pub fn warning(&self, bits: Bits) -> Option<String> {
        let used = Bits::of_largest(self.largest);
        let (pictures, largest) = (counted(self.pictures, "picture"), count(usize::from(self.largest)));
        if self.pictures > 0 && u8::from(used) + 2 <= u8::from(bits) {
            let levels = 1 + usize::from(bits.upper_eight(self.largest));
            Some(format!(
                "of {pictures} with 16 bits per sample no sample exceeds {largest}, so that the network has seen {levels} of its 256 \
                 levels: if they are of {used} bits, extract them with --bits {used} into another --store"
            ))
        } else if self.pictures > 0 && used > bits {
            Some(format!(
                "of {pictures} with 16 bits per sample some samples are as large as {largest}, beyond {bits} bits, and were seen as \
                 white: if that is not meant, extract them with --bits {used} into another --store"
            ))
        } else {
            None
        }
    }
}

fn concerns_one_picture(error: &Error) -> bool {
    matches!(error, Error::NotFinite { .. } | Error::Float16Overflow { .. } | Error::PictureChanged { .. })
}

/// Writes the stamps; the store is whole without them.
pub fn keep(stamps: &Stamps) {
    if let Err(error) = stamps.write() {
        eprintln!("tapline: {:#}; the next run will read every picture again", anyhow::Error::from(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_pictures_that_leave_the_upper_bits_empty_are_told() {
        let warning = |largest: &[Option<u16>], bits: Bits| {
            let mut deep = Deep::default();
            largest.iter().for_each(|&largest| deep.note(largest));
            deep.warning(bits)
        };
        let twelve = Bits::try_from(12).expect("8 to 16");
        let told = warning(&[Some(900), None, Some(4095)], Bits::ALL).expect("twelve bits");
        assert!(told.contains("of 2 pictures") && told.contains("4,095") && told.contains("16 of its 256"), "{told}");
        assert!(told.contains("--bits 12"), "{told}");
        assert_eq!(warning(&[Some(900), Some(4095)], twelve), None);
        let told = warning(&[Some(900), Some(9000)], twelve).expect("fourteen bits");
        assert!(told.contains("as large as 9,000, beyond 12 bits") && told.contains("--bits 14"), "{told}");
        assert_eq!(warning(&[Some(20_000), Some(100)], Bits::ALL), None);
        assert_eq!(warning(&[None], Bits::ALL), None);
    }
}

//! Where finished pictures go: into the store, or on the list of those that cannot be used.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::ProgressBar;
use tapline_core::{Bits, Error, Skipped, Stamps, StoreWriter};

use super::report::Report;
use crate::output::{count, counted};
use crate::pipeline::Finished;

/// Dark pictures are told where they are at least one of so many, by the bits that all of them but one of so many use.
const FEW: usize = 10;
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
        let Finished { row, stamp, digest, depth, has_more, features } = finished;
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
                        self.deep.note(depth);
                        self.report.computed += 1;
                        self.report.first_of_several += usize::from(has_more);
                        return Ok(());
                    }
                    Err(error) if concerns_one_picture(&error) => error.to_string(),
                    Err(error) => return Err(error.into()),
                }
            }
            (Err(reason), _) => reason,
            (Ok(_), None) => unreachable!("features are made of bytes that were hashed"),
        };
        let path = self.writer.listing().path(row).to_owned();
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

/// Pictures with 16 bits per sample that were computed, by how many bits they use.
#[derive(Default)]
pub struct Deep([usize; 17]);

impl Deep {
    fn note(&mut self, depth: Option<Bits>) {
        if let Some(depth) = depth {
            self.0[usize::from(u8::from(depth))] += 1;
        }
    }

    /// What to say of those that leave at least the two uppermost of the `bits` empty, and of those that use more.
    pub fn warnings(&self, bits: Bits) -> Vec<String> {
        let bits = usize::from(u8::from(bits));
        [self.dark(bits), self.clipped(bits)].into_iter().flatten().collect()
    }

    fn dark(&self, bits: usize) -> Option<String> {
        let within = |used: usize| -> usize { self.0[8..=used].iter().sum() };
        let (dark, all) = (within((bits - 2).max(7)), self.0.iter().sum::<usize>());
        if dark == 0 || dark * FEW < all {
            return None;
        }
        // By the deepest of them the others might stay dark, and by most of them the bright pictures of a camera be clipped.
        let used = (8..=bits - 2).find(|&used| (dark - within(used)) * FEW <= dark)?;
        let levels = 256 >> (bits - used);
        Some(format!(
            "{} no more than {used} bits{}, so that the network has seen at most {levels} of its 256 levels there: if they are of \
             {used} bits, extract with --bits {used} into another --store",
            self.which_use(8..=used),
            self.and_more(used + 1..=bits - 2)
        ))
    }

    fn clipped(&self, bits: usize) -> Option<String> {
        let used = (bits + 1..=16).rfind(|&used| self.0[used] > 0)?;
        Some(format!(
            "{} more than {bits} bits, up to {used}, and samples beyond were seen as white: if that is not meant, extract with \
             --bits {used} into another --store",
            self.which_use(bits + 1..=used)
        ))
    }

    /// How many use so many bits, as the start of a sentence.
    fn which_use(&self, bits: RangeInclusive<usize>) -> String {
        let (some, all): (usize, usize) = (self.0[bits].iter().sum(), self.0.iter().sum());
        format!("{} of {} with 16 bits per sample {}", count(some), counted(all, "picture"), use_of(some))
    }

    /// How many more use so many bits, in brackets; nothing where none does.
    fn and_more(&self, mut bits: RangeInclusive<usize>) -> String {
        let some: usize = self.0[bits.clone()].iter().sum();
        let last = bits.rfind(|&used| self.0[used] > 0);
        last.map_or(String::new(), |last| format!(" ({} more {} up to {last})", count(some), use_of(some)))
    }
}

/// The verb for so many pictures.
fn use_of(pictures: usize) -> &'static str {
    if pictures == 1 { "uses" } else { "use" }
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

    /// The warnings of a run with `--bits` on pictures of these depths, 0 for those with 8 bits per sample.
    fn warnings(depths: &[u8], bits: u8) -> Vec<String> {
        let mut deep = Deep::default();
        depths.iter().for_each(|&depth| deep.note(Bits::try_from(depth).ok()));
        deep.warnings(Bits::try_from(bits).expect("8 to 16"))
    }

    #[test]
    fn deep_pictures_that_leave_the_upper_bits_empty_are_counted() {
        let expected = "2 of 3 pictures with 16 bits per sample use no more than 12 bits, so that the network has seen at most 16 of \
            its 256 levels there: if they are of 12 bits, extract with --bits 12 into another --store";
        assert_eq!(warnings(&[12, 0, 10, 16], 16), [expected]);
        let told = warnings(&[14], 16).concat();
        assert!(told.starts_with("1 of 1 picture with 16 bits per sample uses no more than 14 bits"), "{told}");
        assert_eq!(warnings(&[15, 16], 16), [""; 0]);
        assert_eq!(warnings(&[12, 11], 12), [""; 0]);
        assert_eq!(warnings(&[0], 16), [""; 0]);
        assert_eq!(warnings(&[8], 8), [""; 0]);
        // A dim one among many of true 16 bits is no sign of a detector.
        assert_eq!(warnings(&[&[12][..], &[16; 10]].concat(), 16), [""; 0]);
        assert_eq!(warnings(&[&[12][..], &[16; 9]].concat(), 16).len(), 1);
    }

    #[test]
    fn the_depth_of_nine_in_ten_dark_pictures_is_told_and_how_many_are_deeper() {
        let expected = "9 of 10 pictures with 16 bits per sample use no more than 10 bits (1 more uses up to 14), so that the network \
            has seen at most 4 of its 256 levels there: if they are of 10 bits, extract with --bits 10 into another --store";
        assert_eq!(warnings(&[&[14][..], &[10; 9]].concat(), 16), [expected]);
        let told = warnings(&[9, 10, 10, 10, 12, 14, 16], 16).concat();
        assert!(told.starts_with("6 of 7") && told.contains("no more than 14 bits, so"), "{told}");
        let told = warnings(&[&[10; 27][..], &[12, 13, 14]].concat(), 16).concat();
        assert!(told.starts_with("27 of 30") && told.contains("10 bits (3 more use up to 14), so"), "{told}");
        assert_eq!(warnings(&[&[12, 14][..], &[16; 18]].concat(), 16).len(), 1);
    }

    #[test]
    fn pictures_deeper_than_asked_for_are_counted() {
        let expected = "1 of 3 pictures with 16 bits per sample uses more than 12 bits, up to 14, and samples beyond were seen as \
            white: if that is not meant, extract with --bits 14 into another --store";
        assert_eq!(warnings(&[12, 14, 11], 12), [expected]);
        let both = warnings(&[8, 16, 13], 12);
        assert!(both.len() == 2 && both[0].contains("--bits 8") && both[1].starts_with("2 of 3"), "{both:?}");
    }
}

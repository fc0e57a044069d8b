//! Which part of a picture a random view shows: torchvision's random resized crop, drawn from the picture's own bytes.
//!
//! Nothing else goes in, neither the listing nor the thread, so that a picture has the same views wherever it stands.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tapline_core::Digest;

/// Share of the picture's area, drawn evenly. torchvision's own default reaches down to 0.08, at which the object is often
/// out of sight: good for training a network, bad for describing a picture.
const AREA: (f64, f64) = (0.5, 1.0);
/// Width by height, its logarithm drawn evenly (torchvision's default).
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
/// Draws before the largest centred part of a fitting shape is taken (torchvision).
const TRIES: usize = 10;

/// A rectangle of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns, at least 1.
    pub width: usize,
    /// Rows, at least 1.
    pub height: usize,
    /// Whether it is mirrored left to right.
    pub mirrored: bool,
}

/// Random numbers for one view of the picture with this digest: ChaCha8 (Bernstein, "ChaCha, a variant of Salsa20", 2008)
/// keyed with the SHA-256 of digest and seed (little-endian), its stream the view's number.
pub(crate) fn numbers(digest: &Digest, seed: u64, view: usize) -> ChaCha8Rng {
    let mut material = [0; 40];
    material[..32].copy_from_slice(&digest.0);
    material[32..].copy_from_slice(&seed.to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(Digest::of(&material).0);
    random.set_stream(view as u64);
    random
}

/// A part of a picture of `width` × `height` (torchvision, `RandomResizedCrop.get_params`), mirrored half of the time.
///
/// The numbers are drawn in this order: area and ratio, again until they fit; then top and left; then the mirror.
pub(crate) fn part((width, height): (u32, u32), random: &mut ChaCha8Rng) -> Part {
    let area = f64::from(width) * f64::from(height);
    for _ in 0..TRIES {
        let wanted = area * between(AREA, random);
        let ratio = between((RATIO.0.ln(), RATIO.1.ln()), random).exp();
        let w = (wanted * ratio).sqrt().round_ties_even();
        let h = (wanted / ratio).sqrt().round_ties_even();
        if (1.0..=f64::from(width)).contains(&w) && (1.0..=f64::from(height)).contains(&h) {
            let top = (unit(random) * (f64::from(height) - h + 1.0)) as usize;
            let left = (unit(random) * (f64::from(width) - w + 1.0)) as usize;
            return Part { left, top, width: w as usize, height: h as usize, mirrored: unit(random) < 0.5 };
        }
    }
    Part { mirrored: unit(random) < 0.5, ..largest((width as usize, height as usize)) }
}

/// The largest centred part whose ratio is in range.
fn largest((width, height): (usize, usize)) -> Part {
    let ratio = width as f64 / height as f64;
    let (w, h) = if ratio < RATIO.0 {
        (width, (width as f64 / RATIO.0).round_ties_even() as usize)
    } else if ratio > RATIO.1 {
        ((height as f64 * RATIO.1).round_ties_even() as usize, height)
    } else {
        (width, height)
    };
    Part { left: (width - w) / 2, top: (height - h) / 2, width: w, height: h, mirrored: false }
}

fn between((low, high): (f64, f64), random: &mut ChaCha8Rng) -> f64 {
    low + (high - low) * unit(random)
}

/// A number from 0 to below 1 in steps of 2^-53.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(size: (u32, u32), count: usize) -> Vec<Part> {
        (0..count).map(|view| part(size, &mut numbers(&Digest::of(b"a"), 7, view))).collect()
    }

    #[test]
    fn parts_lie_within_the_picture_whatever_its_shape() {
        for size in [(1, 1), (2, 1), (1, 1000), (65_000, 3), (300, 300), (400, 300), (31, 57), (10_000, 10_000)] {
            for found in parts(size, 50) {
                let (right, bottom) = (found.left + found.width, found.top + found.height);
                assert!(found.width > 0 && found.height > 0, "{size:?}: {found:?}");
                assert!(right <= size.0 as usize && bottom <= size.1 as usize, "{size:?}: {found:?}");
            }
        }
    }

    #[test]
    fn areas_ratios_places_and_mirrors_are_spread_over_their_ranges() {
        let found = parts((3000, 3000), 4000);
        let check = |name: &str, values: Vec<f64>, (low, high): (f64, f64)| {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
            let slack = (high - low) * 0.03;
            assert!(low - slack <= least && most <= high + slack, "{name}: {least} to {most}");
            assert!((mean - (low + high) / 2.0).abs() < 2.0 * slack, "{name}: mean {mean}");
        };
        // A part of nearly all of a square can hardly be wide: the largest areas are drawn again until a ratio fits.
        let small: Vec<&Part> = found.iter().filter(|p| p.width * p.height < 6_750_000).collect();
        let area = |p: &&Part| (p.width * p.height) as f64 / 9e6;
        check("areas", small.iter().map(area).collect(), (0.5, 0.75));
        let ratio = |p: &&Part| (p.width as f64 / p.height as f64).ln();
        check("ratios", small.iter().map(ratio).collect(), (RATIO.0.ln(), RATIO.1.ln()));
        let room = |p: &&Part| p.left as f64 / (3000 - p.width).max(1) as f64;
        check("places", small.iter().map(room).collect(), (0.0, 1.0));
        check("mirrors", found.iter().map(|p| f64::from(u8::from(p.mirrored))).collect(), (0.0, 1.0));
    }

    #[test]
    fn a_long_picture_gives_its_middle() {
        let found = parts((1000, 30), 20);
        assert!(found.iter().all(|p| (p.left, p.top, p.width, p.height) == (480, 0, 40, 30)), "{found:?}");
        assert!(found.iter().any(|p| p.mirrored) && found.iter().any(|p| !p.mirrored));
    }

    #[test]
    fn picture_seed_and_view_settle_the_part() {
        let of = |bytes: &[u8], seed, view| part((640, 480), &mut numbers(&Digest::of(bytes), seed, view));
        assert_eq!(of(b"a", 1, 2), of(b"a", 1, 2));
        for other in [of(b"b", 1, 2), of(b"a", 2, 2), of(b"a", 1, 3)] {
            assert_ne!(of(b"a", 1, 2), other);
        }
    }
}

//! How many of its 16 bits a picture uses.
//!
//! Cameras and detectors of 10, 12 or 14 bits write their samples into 16, whose upper 8 then show next to nothing. The largest
//! sample does not tell: a scale bar is written over the picture in full white, and there are stray bright pixels.

use image::DynamicImage;
use tapline_core::Bits;

/// What is written over a picture takes at most one in so many of its samples,
const WRITTEN: u64 = 50;

/// and at most one in so many of what is written is of another value than the rest, as the soft edges of letters are: bright
/// objects in a dark field differ.
const EDGES: u64 = 5;

/// At most one in so many samples is a stray one. No more lie in the next bit: what is written is far brighter, where the bright
/// parts of a picture tail off.
const STRAY: u64 = 1000;

/// The bits that a picture with 16 for each sample uses; none of others. Alpha does not count: it is full at any depth.
pub(crate) fn depth(decoded: &DynamicImage) -> Option<Bits> {
    let lengths = match decoded {
        DynamicImage::ImageLuma16(p) => lengths(p.as_raw(), 1, 1),
        DynamicImage::ImageLumaA16(p) => lengths(p.as_raw(), 2, 1),
        DynamicImage::ImageRgb16(p) => lengths(p.as_raw(), 3, 3),
        DynamicImage::ImageRgba16(p) => lengths(p.as_raw(), 4, 3),
        _ => return None,
    };
    Some(in_use(&lengths))
}

/// Samples by how many bits they have up to their highest that is set, 0 to 16.
#[derive(Default)]
struct Lengths {
    /// How many there are,
    counts: [u64; 17],
    /// and how many have the value that is most frequent among them.
    peaks: [u64; 17],
}

/// The lengths of the first `colours` samples in pixels of `each`.
fn lengths(samples: &[u16], each: usize, colours: usize) -> Lengths {
    let mut values = vec![0; 1 << 16];
    for pixel in samples.chunks_exact(each) {
        for &sample in &pixel[..colours] {
            values[usize::from(sample)] += 1;
        }
    }
    let mut lengths = Lengths::default();
    for (value, count) in values.into_iter().enumerate() {
        let length = (usize::BITS - value.leading_zeros()) as usize;
        lengths.counts[length] += count;
        lengths.peaks[length] = lengths.peaks[length].max(count);
    }
    lengths
}

/// The fewest bits, 8 at least, beyond which there is nothing but what is written over the picture, and stray samples.
fn in_use(lengths: &Lengths) -> Bits {
    let all: u64 = lengths.counts.iter().sum();
    let is_stray = |count: u64| count * STRAY <= all;
    let is_enough = |bits: &u8| {
        let from = usize::from(*bits) + 1;
        let beyond: u64 = lengths.counts[from..].iter().sum();
        let others = beyond - lengths.peaks[from..].iter().max().expect("16 at least");
        let is_of_one_value = is_stray(others) || others * EDGES <= beyond;
        beyond * WRITTEN <= all && is_of_one_value && is_stray(lengths.counts[from])
    };
    (8..16).find(is_enough).map_or(Bits::ALL, |bits| Bits::try_from(bits).expect("8 to 15"))
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, LumaA, Rgb};

    use super::*;

    /// Of 100,000 samples so many of each of these sizes, the others 0.
    fn check(sizes: &[(u16, usize)], expected: u8) {
        let mut samples: Vec<u16> = sizes.iter().flat_map(|&(sample, count)| vec![sample; count]).collect();
        samples.resize(100_000, 0);
        assert_eq!(u8::from(in_use(&lengths(&samples, 1, 1))), expected, "{sizes:?}");
    }

    #[test]
    fn samples_say_how_many_bits_are_in_use() {
        check(&[], 8);
        check(&[(255, 100_000)], 8);
        check(&[(256, 100_000)], 9);
        check(&[(4095, 50_000), (900, 50_000)], 12);
        check(&[(65_535, 100_000)], 16);
    }

    #[test]
    fn stray_pixels_and_scale_bars_do_not_count() {
        check(&[(4095, 90_000), (65_535, 1)], 12);
        check(&[(4095, 90_000), (65_535, 2000)], 12);
        check(&[(4095, 90_000), (65_535, 2001)], 16);
        // The soft edges of letters.
        check(&[(4095, 90_000), (5000, 100), (10_000, 100), (30_000, 100), (65_535, 1500)], 12);
        // A bar in light grey, and stray pixels that are brighter.
        check(&[(4095, 90_000), (60_000, 1500), (64_000, 50), (65_535, 50)], 12);
    }

    #[test]
    fn bright_objects_in_a_dark_field_count() {
        check(&[(150, 98_600), (40_000, 700), (50_000, 700)], 16);
        check(&[(150, 98_600), (4000, 1400)], 8);
        let objects: Vec<(u16, usize)> = (0..1400).map(|i| (20_000 + 25 * i, 1)).collect();
        check(&[&[(150, 98_600)][..], &objects].concat(), 16);
        check(&[&[(150, 98_600)][..], &objects[..400]].concat(), 15);
        // Too few to be told from stray ones.
        check(&[&[(150, 99_900)][..], &objects[..100]].concat(), 8);
    }

    #[test]
    fn few_bright_parts_count() {
        check(&[(900, 99_000), (1500, 600), (4095, 400)], 12);
        let tail = [(900, 98_550), (2000, 500), (4000, 300), (8000, 200), (16_000, 150), (30_000, 150), (60_000, 150)];
        check(&tail, 16);
    }

    #[test]
    fn alpha_does_not_count_and_eight_bits_have_no_depth() {
        let clear = ImageBuffer::from_pixel(4, 4, LumaA([1000_u16, 65_535]));
        assert_eq!(depth(&DynamicImage::ImageLumaA16(clear)).map(u8::from), Some(10));
        let colour = ImageBuffer::from_pixel(4, 4, Rgb([0_u16, 0, 65_535]));
        assert_eq!(depth(&DynamicImage::ImageRgb16(colour)).map(u8::from), Some(16));
        assert_eq!(depth(&DynamicImage::new_rgb8(4, 4)), None);
    }
}

//! How far a JPEG may be scaled while it is decoded: Pillow's `draft`, asked for a multiple of the size that is needed.
//!
//! Kept apart from the decoder, because what is needed follows from the preprocessing and the views alone.

use tapline_core::{Preprocess, Views};

use crate::geometry::plan;

/// The factors of libjpeg's scaled transforms that are used, largest first.
const FACTORS: [u64; 3] = [8, 4, 2];

/// How many times the sides it is resized to a scaled picture has at least (Pillow's `reducing_gap`).
///
/// Rows of EfficientNet-Lite0 keep a cosine of 0.9998 or more with exact ones at 2 (12-megapixel photographs, all stages), 0.997 at
/// 1; the time differs little, most of it being the entropy coding that no factor spares. `make bench ROWS=decode` measures it.
const GAP: u64 = 2;

/// By how much the sides of an upright picture of this size are divided, 1, 2, 4 or 8.
pub(crate) fn factor((width, height): (u32, u32), how: &Preprocess, views: Views) -> u32 {
    let (have, need) = match views {
        // A part has more than half of the picture's shorter side (see `random`).
        Views::Random { .. } => {
            let (short, input) = (u64::from(width.min(height)), 2 * u64::from(how.width.max(how.height)));
            ((short, short), (input, input))
        }
        _ => {
            let (x, y) = plan(width, height, how);
            ((u64::from(width), u64::from(height)), (x.to, y.to))
        }
    };
    let fits = |&factor: &u64| have.0 >= factor * GAP * need.0 && have.1 >= factor * GAP * need.1;
    FACTORS.into_iter().find(fits).unwrap_or(1) as u32
}

#[cfg(test)]
mod tests {
    use tapline_core::{Channels, Interpolation, Resize};

    use super::*;

    fn check(size: (u32, u32), resize: Resize, views: Views, expected: u32) {
        let how = Preprocess {
            resize,
            height: 100,
            width: 200,
            interpolation: Interpolation::Bilinear,
            channels: Channels::Grey,
            scale: 1.0,
            mean: vec![0.0],
            std: vec![1.0],
        };
        assert_eq!(factor(size, &how, views), expected, "{size:?} {resize:?} {views}");
    }

    #[test]
    fn the_scaled_picture_has_twice_the_sides_it_is_resized_to() {
        check((3200, 1600), Resize::Squash, Views::Centre, 8);
        check((3199, 1600), Resize::Squash, Views::Centre, 4);
        check((3200, 1599), Resize::Squash, Views::Flips, 4);
        check((800, 9000), Resize::Squash, Views::Centre, 2);
        check((799, 9000), Resize::Squash, Views::Centre, 1);
        check((65_000, 1), Resize::Squash, Views::Centre, 1);
        check((4000, 3000), Resize::ShortSide(250), Views::TenCrop, 4);
        check((4000, 3000), Resize::ShortSide(3000), Views::Centre, 1);
    }

    #[test]
    fn parts_of_a_picture_have_twice_the_inputs_sides_too() {
        let random = Views::Random { count: 3, seed: 0 };
        check((6400, 6400), Resize::Squash, random, 8);
        check((6400, 6399), Resize::Squash, random, 4);
        check((3200, 1600), Resize::Squash, random, 2);
    }
}

//! Where the network's input lies in the resized picture: torchvision's roundings.
//!
//! Kept apart from the resampling, because both axes are planned alike and most of it is easy to get one pixel wrong.

use tapline_core::{Preprocess, Resize};

/// One axis: a picture's side, the side it is resized to, and the part of that which is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Pixels of the picture, or of the part of it that is resized.
    pub from: usize,
    /// Pixels of the resized picture, never held whole: a strip of 1 × 65,000 would become 256 × 16,640,000.
    pub to: u64,
    /// First resized pixel that is kept.
    pub start: u64,
    /// How many are kept.
    pub keep: usize,
}

/// Columns and rows of `how` for a picture of `width` × `height`.
pub(crate) fn plan(width: u32, height: u32, how: &Preprocess) -> (Axis, Axis) {
    let (to_width, to_height) = match how.resize {
        Resize::Squash => (u64::from(how.width), u64::from(how.height)),
        Resize::ShortSide(side) if width <= height => (u64::from(side), long_side(side, width, height)),
        Resize::ShortSide(side) => (long_side(side, height, width), u64::from(side)),
    };
    (axis(width, to_width, how.width), axis(height, to_height, how.height))
}

/// Columns and rows where all of a part is resized to all of the input, each given as (from, to).
pub(crate) fn whole(columns: (usize, u32), rows: (usize, u32)) -> (Axis, Axis) {
    let axis = |(from, to): (usize, u32)| Axis { from, to: u64::from(to), start: 0, keep: to as usize };
    (axis(columns), axis(rows))
}

/// `⌊side · long / short⌋` (torchvision, `_compute_resized_output_size`).
fn long_side(side: u32, short: u32, long: u32) -> u64 {
    u64::from(side) * u64::from(long) / u64::from(short)
}

fn axis(from: u32, to: u64, keep: u32) -> Axis {
    Axis { from: from as usize, to, start: half_to_even(to - u64::from(keep)), keep: keep as usize }
}

/// `n / 2`, halves to the even neighbour: Python's `round` (torchvision, `center_crop`).
fn half_to_even(n: u64) -> u64 {
    let half = n / 2;
    if n % 2 == 1 { half + half % 2 } else { half }
}

#[cfg(test)]
mod tests {
    use tapline_core::{Channels, Interpolation};

    use super::*;

    fn how(resize: Resize, height: u32, width: u32) -> Preprocess {
        Preprocess {
            resize,
            height,
            width,
            interpolation: Interpolation::Bilinear,
            channels: Channels::Grey,
            scale: 1.0,
            mean: vec![0.0],
            std: vec![1.0],
        }
    }

    #[test]
    fn the_long_side_is_rounded_down() {
        let (x, y) = plan(300, 199, &how(Resize::ShortSide(256), 224, 224));
        assert_eq!((x.to, y.to), (385, 256)); // 385.93
        assert_eq!((x.start, y.start), (80, 16)); // 80.5 to even
        let (x, y) = plan(199, 300, &how(Resize::ShortSide(256), 224, 224));
        assert_eq!((x.to, y.to), (256, 385));
    }

    #[test]
    fn halves_go_to_the_even_neighbour_as_in_python() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(half_to_even), [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn squashing_keeps_everything() {
        let (x, y) = plan(10, 20, &how(Resize::Squash, 7, 5));
        assert_eq!(x, Axis { from: 10, to: 5, start: 0, keep: 5 });
        assert_eq!(y, Axis { from: 20, to: 7, start: 0, keep: 7 });
    }
}

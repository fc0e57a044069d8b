//! Several views of one picture as inputs of a network, made from one decoded picture.
//!
//! Flips are flips of the preprocessed picture itself, so that the first view is the centre to the bit; ten-crop cuts from
//! the picture as it was resized once; random views resize each its own part.

use tapline_core::{Digest, Preprocess, Views};

use crate::geometry::{Axis, plan};
use crate::preprocess::{Scratch, normalise, preprocess, stored};
use crate::random::{numbers, part};
use crate::resample::{Buffers, Source, resample, resample_part};
use crate::{Picture, geometry};

/// How many times the input's area the resized picture may have to be held whole; windows of longer strips are resized
/// one by one, to the same bytes.
const WHOLE: u64 = 3;

/// Writes all views of a picture to `out`, `[views, channels, height, width]` f32, each as [`preprocess`] does.
///
/// `digest` is that of the file's bytes: random views depend on it, and on nothing else but their seed and number. They are
/// parts of the picture itself; how `how` resizes does not matter to them.
///
/// # Panics
///
/// If `out` does not hold `views.count() · how.values()` numbers, or [`Preprocess::check`] or [`Views::check`] fails: the
/// caller's promise, as for [`preprocess`].
pub fn preprocess_views(
    (picture, digest): (&Picture, &Digest),
    (how, views): (&Preprocess, Views),
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let values = how.values();
    assert_eq!(out.len(), views.count() * values, "the output must hold all views of one picture");
    match views {
        Views::Centre => preprocess(picture, how, scratch, out),
        Views::Flip | Views::Flips => {
            preprocess(picture, how, scratch, &mut out[..values]);
            flip(out, how);
        }
        Views::TenCrop => ten_crop(picture, how, scratch, out),
        Views::Random { seed, .. } => {
            let (pixels, buffers, _) = stored(picture, how, scratch);
            for (view, out) in out.chunks_exact_mut(values).enumerate() {
                let size = (picture.width, picture.height);
                let part = part(size, &mut numbers(digest, seed, view));
                let whole = geometry::whole((part.width, how.width), (part.height, how.height));
                let source = Source::within(pixels, size, (part.left, part.top));
                normalise(resample_part(&source, whole, how.interpolation, buffers), how, out);
                if part.mirrored {
                    mirror(out, how.width as usize);
                }
            }
        }
    }
}

/// Fills the views behind the first one of [`Views::Flip`] or [`Views::Flips`].
fn flip(out: &mut [f32], how: &Preprocess) {
    let (first, others) = out.split_at_mut(how.values());
    let (width, height) = (how.width as usize, how.height as usize);
    for (view, out) in (1..).zip(others.chunks_exact_mut(how.values())) {
        out.copy_from_slice(first);
        if view & 1 != 0 {
            mirror(out, width);
        }
        if view & 2 != 0 {
            out.chunks_exact_mut(width * height).for_each(|plane| turn_over(plane, width));
        }
    }
}

/// Mirrors `[…, width]` left to right.
fn mirror(values: &mut [f32], width: usize) {
    values.chunks_exact_mut(width).for_each(<[f32]>::reverse);
}

/// Mirrors a plane `[height, width]` top to bottom.
fn turn_over(plane: &mut [f32], width: usize) {
    let height = plane.len() / width;
    let (upper, lower) = plane.split_at_mut(height.div_ceil(2) * width);
    let pairs = upper.chunks_exact_mut(width).zip(lower.chunks_exact_mut(width).rev());
    pairs.for_each(|(above, below)| above.swap_with_slice(below));
}

/// Four corners and the centre of the resized picture, then of its mirror image (torchvision, `ten_crop`).
fn ten_crop(picture: &Picture, how: &Preprocess, scratch: &mut Scratch, out: &mut [f32]) {
    let (x, y) = plan(picture.width, picture.height, how);
    let (right, bottom) = (x.to - x.keep as u64, y.to - y.keep as u64);
    let five = [(0, 0), (right, 0), (0, bottom), (right, bottom), (x.start, y.start)];
    let fits = x.to.saturating_mul(y.to) <= WHOLE * (x.keep * y.keep) as u64;
    let (pixels, buffers, window) = stored(picture, how, scratch);
    let whole = |axis: Axis| Axis { start: 0, keep: axis.to as usize, ..axis };
    let resized = fits.then(|| resample(pixels, (whole(x), whole(y)), how.interpolation, buffers).to_vec());
    for (view, out) in out.chunks_exact_mut(how.values()).enumerate() {
        let mirrored = view >= five.len();
        let (left, top) = five[view % five.len()];
        // A crop of the mirror image is the mirror image of the crop as far from the other side.
        let left = if mirrored { right - left } else { left };
        let bytes = match &resized {
            Some(resized) => cut(resized, (x, y), (left as usize, top as usize), window),
            None => one_by_one(pixels, (x, y), (left, top), (how, &mut *buffers)),
        };
        normalise(bytes, how, out);
        if mirrored {
            mirror(out, how.width as usize);
        }
    }
}

fn one_by_one<'a>(
    pixels: &[u8],
    (x, y): (Axis, Axis),
    (left, top): (u64, u64),
    (how, buffers): (&Preprocess, &'a mut Buffers),
) -> &'a [u8] {
    resample(pixels, (Axis { start: left, ..x }, Axis { start: top, ..y }), how.interpolation, buffers)
}

/// The kept part at `left`, `top` of a resized picture `[y.to, x.to, channels]`.
fn cut<'a>(resized: &[u8], (x, y): (Axis, Axis), (left, top): (usize, usize), window: &'a mut Vec<u8>) -> &'a [u8] {
    let width = x.to as usize;
    let channels = resized.len() / (width * y.to as usize);
    window.clear();
    for row in top..top + y.keep {
        let start = (row * width + left) * channels;
        window.extend_from_slice(&resized[start..start + x.keep * channels]);
    }
    window
}

#[cfg(test)]
mod tests {
    use tapline_core::{Channels, Interpolation, Resize};

    use super::*;

    const FILTERS: [Interpolation; 3] = [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Lanczos];

    fn how(resize: Resize, channels: Channels) -> Preprocess {
        let n = channels.count();
        Preprocess {
            resize,
            height: 6,
            width: 8,
            interpolation: Interpolation::Bilinear,
            channels,
            scale: 0.5,
            mean: (0..n).map(|c| c as f32).collect(),
            std: vec![2.0; n],
        }
    }

    fn scene(width: u32, height: u32, channels: usize) -> Picture {
        let pixels = (0..width as usize * height as usize * channels).map(|i| (i * i / 7 + i * 31) as u8).collect();
        Picture { width, height, channels, pixels, depth: None, has_more: false }
    }

    fn made(picture: &Picture, how: &Preprocess, views: Views) -> Vec<f32> {
        let mut out = vec![f32::NAN; views.count() * how.values()];
        // A buffer used before for another picture must change nothing.
        let mut scratch = Scratch::default();
        preprocess(&scene(9, 13, 3), how, &mut scratch, &mut out[..how.values()]);
        preprocess_views((picture, &Digest::of(b"picture")), (how, views), &mut scratch, &mut out);
        out
    }

    /// Number `[channel, row, column]` of a view.
    fn at(view: &[f32], how: &Preprocess, (c, y, x): (usize, usize, usize)) -> f32 {
        view[(c * how.height as usize + y) * how.width as usize + x]
    }

    #[test]
    fn the_first_flip_is_the_centre_and_the_others_are_its_mirror_images() {
        for resize in [Resize::Squash, Resize::ShortSide(9)] {
            for (channels, stored) in [(Channels::Bgr, 3), (Channels::Rgb, 1), (Channels::Grey, 3)] {
                let how = how(resize, channels);
                let picture = scene(17, 11, stored);
                let centre = made(&picture, &how, Views::Centre);
                let flips = made(&picture, &how, Views::Flips);
                let views: Vec<&[f32]> = flips.chunks(how.values()).collect();
                assert_eq!(views[0], centre);
                assert_eq!(made(&picture, &how, Views::Flip), flips[..2 * how.values()]);
                for c in 0..channels.count() {
                    for (y, x) in (0..6).flat_map(|y| (0..8).map(move |x| (y, x))) {
                        let expected = at(&centre, &how, (c, y, x));
                        assert_eq!(at(views[1], &how, (c, y, 7 - x)), expected);
                        assert_eq!(at(views[2], &how, (c, 5 - y, x)), expected);
                        assert_eq!(at(views[3], &how, (c, 5 - y, 7 - x)), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_an_odd_number_are_turned_over_about_the_middle_one() {
        let mut plane = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        turn_over(&mut plane, 2);
        assert_eq!(plane, [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
        turn_over(&mut plane, 6);
        assert_eq!(plane, [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
    }

    #[test]
    fn crops_cut_from_the_whole_equal_those_resized_one_by_one() {
        for interpolation in FILTERS {
            for (width, height, is_whole) in
                [(17, 13, true), (13, 17, true), (11, 11, true), (200, 9, false), (3, 90, false)]
            {
                let how = Preprocess { interpolation, ..how(Resize::ShortSide(10), Channels::Rgb) };
                let picture = scene(width, height, 3);
                let (x, y) = plan(width, height, &how);
                assert_eq!(x.to * y.to <= WHOLE * 48, is_whole, "{width} × {height}");
                let found = made(&picture, &how, Views::TenCrop);
                let (right, bottom) = (x.to - 8, y.to - 6);
                let five = [(0, 0), (right, 0), (0, bottom), (right, bottom), (x.start, y.start)];
                let mut buffers = Buffers::default();
                for (view, (left, top)) in five.into_iter().enumerate() {
                    let mut expected = vec![0.0; how.values()];
                    let bytes = one_by_one(&picture.pixels, (x, y), (left, top), (&how, &mut buffers));
                    normalise(bytes, &how, &mut expected);
                    assert_eq!(&found[view * how.values()..][..how.values()], expected, "{width} × {height}, {view}");
                }
                assert_eq!(&found[4 * how.values()..][..how.values()], made(&picture, &how, Views::Centre));
            }
        }
    }

    #[test]
    fn the_last_five_crops_are_the_first_five_of_the_mirrored_picture() {
        for (width, height) in [(20, 13), (13, 20), (15, 15), (180, 9)] {
            let how = how(Resize::ShortSide(11), Channels::Rgb);
            let picture = scene(width, height, 3);
            let mut turned = picture.clone();
            for row in turned.pixels.chunks_exact_mut(3 * width as usize) {
                let pixels: Vec<[u8; 3]> = row.as_chunks::<3>().0.iter().rev().copied().collect();
                row.copy_from_slice(pixels.as_flattened());
            }
            let (found, turned) = (made(&picture, &how, Views::TenCrop), made(&turned, &how, Views::TenCrop));
            let half = 5 * how.values();
            // Resizing a mirrored picture may round a half the other way: one level of 255 at most.
            let level = how.scale / how.std[0];
            let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1.001 * level);
            assert!(
                near(&found[half..], &turned[..half]) && near(&found[..half], &turned[half..]),
                "{width} × {height}"
            );
        }
    }

    #[test]
    fn a_random_view_is_its_part_resized() {
        for interpolation in FILTERS {
            for (width, height, channels) in [(40, 30, 3), (30, 40, 1), (300, 7, 3), (1, 1, 3)] {
                let how = Preprocess { interpolation, ..how(Resize::Squash, Channels::Rgb) };
                let picture = scene(width, height, channels);
                let views = Views::Random { count: 5, seed: 3 };
                let found = made(&picture, &how, views);
                for (view, found) in found.chunks(how.values()).enumerate() {
                    let part = part((width, height), &mut numbers(&Digest::of(b"picture"), 3, view));
                    let rows = (part.top..part.top + part.height).flat_map(|row| {
                        let start = (row * width as usize + part.left) * channels;
                        picture.pixels[start..start + part.width * channels].to_vec()
                    });
                    let (w, h) = (part.width as u32, part.height as u32);
                    let cut =
                        Picture { width: w, height: h, channels, pixels: rows.collect(), depth: None, has_more: false };
                    let mut expected = vec![0.0; how.values()];
                    preprocess(&cut, &how, &mut Scratch::default(), &mut expected);
                    if part.mirrored {
                        mirror(&mut expected, 8);
                    }
                    assert_eq!(found, expected, "{interpolation:?}, {width} × {height}, {view}: {part:?}");
                }
            }
        }
    }
}

//! From 8-bit pixels to a network's input.
//!
//! Resizing works on bytes, as in Pillow; the floats come last, through a table of 256 values per channel.

use tapline_core::{Channels, Preprocess};

use crate::geometry::plan;
use crate::resample::{Buffers, resample};
use crate::{Picture, colour};

/// Buffers reused from picture to picture, one per thread; their content never matters.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The picture in luma, where the network reads grey and the picture is in colour.
    luma: Vec<u8>,
    /// Of the resampling.
    buffers: Buffers,
    /// One window of a picture that was resized whole.
    window: Vec<u8>,
}

/// Writes `(pixel · scale − mean) / std` of the resized and cropped picture to `out`, `[channels, height, width]` f32.
///
/// # Panics
///
/// If `out` does not hold [`how.values()`](Preprocess::values) numbers, or `how` fails [`Preprocess::check`]: both are
/// the caller's promise, made once per run and not once per picture.
pub fn preprocess(picture: &Picture, how: &Preprocess, scratch: &mut Scratch, out: &mut [f32]) {
    normalise(resize_and_crop(picture, how, scratch), how, out);
}

/// The bytes of a network's input before they are normalised, `[height, width, 1 or 3]` u8: one channel if the picture or the network is
/// grey, else red, green, blue.
///
/// A colour picture for a grey network turns grey before it is resized.
///
/// # Panics
///
/// As [`preprocess`].
pub fn resize_and_crop<'a>(picture: &Picture, how: &Preprocess, scratch: &'a mut Scratch) -> &'a [u8] {
    let (pixels, buffers, _) = stored(picture, how, scratch);
    resample(pixels, plan(picture.width, picture.height, how), how.interpolation, buffers)
}

/// The pixels to resize, in luma where a grey network gets a colour picture; with the buffers they leave free: those of the
/// resampling and that of a window.
pub(crate) fn stored<'p, 's: 'p>(
    picture: &'p Picture,
    how: &Preprocess,
    scratch: &'s mut Scratch,
) -> (&'p [u8], &'s mut Buffers, &'s mut Vec<u8>) {
    let Scratch { luma, buffers, window } = scratch;
    let pixels = if how.channels == Channels::Grey && picture.channels == 3 {
        colour::luma(&picture.pixels, luma);
        &luma[..]
    } else {
        &picture.pixels[..]
    };
    (pixels, buffers, window)
}

/// Writes `(byte · scale − mean) / std` of what [`resize_and_crop`] gave, in the network's channels, to `out`.
pub(crate) fn normalise(bytes: &[u8], how: &Preprocess, out: &mut [f32]) {
    assert_eq!(out.len(), how.values(), "the output must hold one picture");
    let channels = how.channels.count();
    let plane = out.len() / channels;
    let stored = bytes.len() / plane;
    for channel in 0..channels {
        let source = match how.channels {
            Channels::Bgr => channels - 1 - channel,
            Channels::Rgb | Channels::Grey => channel,
        };
        // A grey picture has one stored channel, which then feeds all three.
        let first = source.min(stored - 1);
        let table = table(how, channel);
        let values = bytes[first..].iter().step_by(stored).map(|&byte| table[usize::from(byte)]);
        out[channel * plane..][..plane].iter_mut().zip(values).for_each(|(o, v)| *o = v);
    }
}

/// `(v · scale − mean) / std` for `v` in 0..=255.
fn table(how: &Preprocess, channel: usize) -> [f32; 256] {
    let (mean, std) = (how.mean[channel], how.std[channel]);
    std::array::from_fn(|v| (v as f32 * how.scale - mean) / std)
}

#[cfg(test)]
mod tests {
    use tapline_core::{Interpolation, Resize};

    use super::*;

    fn how(channels: Channels) -> Preprocess {
        let n = channels.count();
        Preprocess {
            resize: Resize::Squash,
            height: 1,
            width: 2,
            interpolation: Interpolation::Nearest,
            channels,
            scale: 0.5,
            mean: (0..n).map(|c| c as f32).collect(),
            std: vec![2.0; n],
        }
    }

    fn check(channels: Channels, picture: &Picture, expected: &[f32]) {
        let how = how(channels);
        let mut out = vec![f32::NAN; how.values()];
        preprocess(picture, &how, &mut Scratch::default(), &mut out);
        assert_eq!(out, expected, "{channels:?}");
    }

    /// A row of two pixels.
    fn two_pixels(channels: usize, pixels: Vec<u8>) -> Picture {
        Picture { width: 2, height: 1, channels, pixels, depth: None, has_more: false }
    }

    #[test]
    fn channels_are_written_in_the_networks_order() {
        let picture = two_pixels(3, vec![4, 8, 12, 16, 20, 24]);
        check(Channels::Rgb, &picture, &[1.0, 4.0, 1.5, 4.5, 2.0, 5.0]);
        check(Channels::Bgr, &picture, &[3.0, 6.0, 1.5, 4.5, 0.0, 3.0]);
        check(Channels::Grey, &picture, &[7.0 / 4.0, 19.0 / 4.0]);
    }

    #[test]
    fn a_grey_picture_fills_every_channel() {
        let picture = two_pixels(1, vec![4, 16]);
        check(Channels::Rgb, &picture, &[1.0, 4.0, 0.5, 3.5, 0.0, 3.0]);
        check(Channels::Grey, &picture, &[1.0, 4.0]);
    }

    #[test]
    #[should_panic(expected = "the output must hold one picture")]
    fn an_output_of_another_size_is_a_broken_promise() {
        let picture = two_pixels(1, vec![4, 16]);
        preprocess(&picture, &how(Channels::Grey), &mut Scratch::default(), &mut [0.0; 3]);
    }

    #[test]
    fn a_scratch_used_before_changes_nothing() {
        let mut scratch = Scratch::default();
        let large = Picture { width: 9, height: 9, ..two_pixels(3, (0..243).collect()) };
        let small = two_pixels(3, vec![4, 8, 12, 16, 20, 24]);
        for interpolation in [Interpolation::Nearest, Interpolation::Bicubic] {
            let how = Preprocess { interpolation, ..how(Channels::Grey) };
            let fresh = resize_and_crop(&small, &how, &mut Scratch::default()).to_vec();
            resize_and_crop(&large, &how, &mut scratch);
            assert_eq!(resize_and_crop(&small, &how, &mut scratch), fresh);
        }
    }
}

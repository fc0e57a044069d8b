//! What is done to a picture before a network sees it: plain data, part of every feature's identity.
//!
//! It lives at the waist because the image crate applies it, model cards state it and the store records it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The route from decoded 8-bit pixels to the network's input: resize, centre crop, reorder, scale, normalise.
///
/// Every value becomes `(pixel · scale − mean) / std`, `pixel` in 0..=255 and channels in `channels` order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// How the picture is brought near the input's size.
    pub resize: Resize,
    /// Rows of the network's input, in pixels.
    pub height: u32,
    /// Columns of the network's input, in pixels.
    pub width: u32,
    /// The resampling filter; its support grows with the reduction, as in Pillow.
    pub interpolation: Interpolation,
    /// Which channels the network reads, and in which order.
    pub channels: Channels,
    /// Factor on pixel values before the mean is subtracted (1/255 for inputs in 0..1).
    pub scale: f32,
    /// Subtracted from the scaled values, one per channel in the network's order.
    pub mean: Vec<f32>,
    /// Divides the difference, one per channel in the network's order.
    pub std: Vec<f32>,
}

/// How a picture of any size is brought near the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// The shorter side to this many pixels, the longer side in proportion (rounded down, as torchvision), then a centre crop.
    ShortSide(u32),
    /// Both sides to the input's size, whatever the proportions.
    Squash,
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSide(side) => write!(f, "short side to {side}, centre crop"),
            Self::Squash => f.write_str("whole picture (--squash)"),
        }
    }
}

/// The resampling filter, in Pillow's sense (antialiased).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// One source pixel, no filter.
    Nearest,
    /// Area average.
    Box,
    /// Triangle filter.
    Bilinear,
    /// Cubic filter, a = −0.5.
    Bicubic,
    /// Windowed sinc, a = 3.
    Lanczos,
}

/// The channels a network reads, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel of luma (ITU-R 601, as Pillow's mode L).
    Grey,
}

impl Channels {
    /// How many channels: 3, or 1 for grey.
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// The largest side a network's input may have, in pixels.
pub const MAX_SIDE: u32 = 4096;

impl Preprocess {
    /// Numbers in one preprocessed picture `[channels, height, width]`.
    pub fn values(&self) -> usize {
        self.channels.count() * self.height as usize * self.width as usize
    }

    /// Checks sizes and that `mean` and `std` fit the channels; everything else may then rely on it.
    ///
    /// # Errors
    /// [`Error::BadPreprocess`].
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::BadPreprocess { what });
        for (name, side) in [("height", self.height), ("width", self.width)] {
            if side == 0 || side > MAX_SIDE {
                return refuse(format!("{name} is {side}, expected 1 to {MAX_SIDE}"));
            }
        }
        if let Resize::ShortSide(side) = self.resize
            && (side < self.height.max(self.width) || side > 4 * MAX_SIDE)
        {
            return refuse(format!(
                "the short side is resized to {side}, too small for a crop of {} × {} or too large",
                self.height, self.width
            ));
        }
        let channels = self.channels.count();
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != channels {
                return refuse(format!("{name} has {} values, expected {channels}", values.len()));
            }
            if values.iter().any(|v| !v.is_finite()) {
                return refuse(format!("{name} has a value that is not finite"));
            }
        }
        if self.std.contains(&0.0) {
            return refuse("std has a zero".to_owned());
        }
        if !self.scale.is_finite() || self.scale == 0.0 {
            return refuse(format!("scale is {}, expected a finite number other than 0", self.scale));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Preprocess {
        Preprocess {
            resize: Resize::ShortSide(256),
            height: 224,
            width: 224,
            interpolation: Interpolation::Bicubic,
            channels: Channels::Rgb,
            scale: 1.0,
            mean: vec![127.0; 3],
            std: vec![128.0; 3],
        }
    }

    #[test]
    fn a_sound_description_passes() {
        valid().check().expect("valid");
        assert_eq!(valid().values(), 3 * 224 * 224);
    }

    #[test]
    fn each_unsound_field_is_named() {
        let check = |word: &str, unsound: Preprocess| {
            let message = unsound.check().expect_err(word).to_string();
            assert!(message.contains(word), "{message}");
        };
        check("height", Preprocess { height: 0, ..valid() });
        check("width", Preprocess { width: 5000, ..valid() });
        check("short side", Preprocess { resize: Resize::ShortSide(200), ..valid() });
        check("mean", Preprocess { mean: vec![0.0], ..valid() });
        check("std", Preprocess { std: vec![1.0, 0.0, 1.0], ..valid() });
        check("scale", Preprocess { scale: f32::NAN, ..valid() });
    }
}

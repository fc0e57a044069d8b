//! Which views of a picture go through the network: its centre alone, flips, crops, or random crops.
//!
//! Several views of one picture are what test-time averaging and augmented training need (Razavian et al., "CNN Features
//! off-the-shelf", 2014). They are data here, because the image crate makes them, the store keeps them apart and probes
//! average them; which ones they are is part of every feature's identity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Preprocess, Resize};

/// The views of each picture, in the order in which a store keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Views {
    /// The preprocessed picture, as it is: 1 view.
    #[default]
    Centre,
    /// The same, then mirrored left to right: 2 views.
    Flip,
    /// As it is, mirrored left to right, mirrored top to bottom, mirrored both ways (turned by 180°): 4 views.
    Flips,
    /// Crops of the input's size at the top left, top right, bottom left, bottom right and centre of the resized picture,
    /// then the same five of the picture mirrored left to right: 10 views, in the order of torchvision's `TenCrop`.
    TenCrop,
    /// Random resized crops: parts of the picture of random size, shape and place, half of them mirrored, each resized to
    /// the input's size (torchvision's `RandomResizedCrop` and `RandomHorizontalFlip`).
    Random {
        /// How many, 1 to [`Views::MAX_RANDOM`].
        count: u32,
        /// Which ones; together with the picture's bytes it settles every crop.
        seed: u64,
    },
}

impl Views {
    /// The most random views of one picture: all views of a picture are in memory at once.
    pub const MAX_RANDOM: u32 = 64;

    /// How many views of each picture, at least 1.
    pub fn count(self) -> usize {
        match self {
            Self::Centre => 1,
            Self::Flip => 2,
            Self::Flips => 4,
            Self::TenCrop => 10,
            Self::Random { count, .. } => count as usize,
        }
    }

    /// Whether it is the picture's centre alone, which stores do not mention.
    pub fn is_centre(&self) -> bool {
        *self == Self::Centre
    }

    /// Checks that the number of views is in range and that a preprocessing leaves them something to crop.
    ///
    /// # Errors
    /// [`Error::BadViews`].
    pub fn check(self, preprocess: &Preprocess) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::BadViews { views: self, what });
        match (self, preprocess.resize) {
            (Self::Random { count, .. }, _) if count == 0 || count > Self::MAX_RANDOM => {
                refuse(format!("{count} of them, expected 1 to {}", Self::MAX_RANDOM))
            }
            (Self::TenCrop, Resize::Squash) => {
                refuse("squashing leaves no border to crop from; use --resize instead of --squash".to_owned())
            }
            (Self::TenCrop, Resize::ShortSide(side)) if side <= preprocess.height.max(preprocess.width) => {
                refuse(format!(
                    "resizing the short side to {side} leaves no border around a crop of {} × {}; use a larger --resize",
                    preprocess.height, preprocess.width
                ))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Centre => f.write_str("centre"),
            Self::Flip => f.write_str("flip"),
            Self::Flips => f.write_str("flips"),
            Self::TenCrop => f.write_str("ten-crop"),
            Self::Random { count, seed } => write!(f, "random:{count}:{seed}"),
        }
    }
}

impl FromStr for Views {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownViews { found: text.to_owned() };
        match text {
            "centre" => return Ok(Self::Centre),
            "flip" => return Ok(Self::Flip),
            "flips" => return Ok(Self::Flips),
            "ten-crop" => return Ok(Self::TenCrop),
            _ => {}
        }
        let numbers = text.strip_prefix("random:").ok_or_else(unknown)?;
        let (count, seed) = numbers.split_once(':').unwrap_or((numbers, "0"));
        let (count, seed) = (count.parse().map_err(|_| unknown())?, seed.parse().map_err(|_| unknown())?);
        if (1..=Self::MAX_RANDOM).contains(&count) { Ok(Self::Random { count, seed }) } else { Err(unknown()) }
    }
}

impl Serialize for Views {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Views {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channels, Interpolation};

    #[test]
    fn views_read_back_what_they_write() {
        for (text, count) in [("centre", 1), ("flip", 2), ("flips", 4), ("ten-crop", 10), ("random:64:7", 64)] {
            let views: Views = text.parse().expect(text);
            assert_eq!((views.to_string().as_str(), views.count()), (text, count));
            let json = serde_json::to_string(&views).expect("text");
            assert_eq!(serde_json::from_str::<Views>(&json).expect("views"), views);
        }
        assert_eq!("random:3".parse::<Views>().expect("no seed"), Views::Random { count: 3, seed: 0 });
    }

    #[test]
    fn views_out_of_range_are_refused_with_the_choices() {
        for text in ["", "center", "Flip", "random", "random:", "random:0", "random:65", "random:1000000", "random:-1"]
            .into_iter()
            .chain(["random:2:", "random:2:x", "random:2:-1", "random:2:3:4", "random:99999999999"])
        {
            let message = text.parse::<Views>().expect_err(text).to_string();
            assert!(message.contains("ten-crop, random:N or random:N:SEED (1 ≤ N ≤ 64)"), "{message}");
        }
    }

    #[test]
    fn ten_crops_need_a_border() {
        let how = |resize| Preprocess {
            resize,
            height: 200,
            width: 224,
            interpolation: Interpolation::Bilinear,
            channels: Channels::Grey,
            scale: 1.0,
            mean: vec![0.0],
            std: vec![1.0],
        };
        Views::TenCrop.check(&how(Resize::ShortSide(225))).expect("a border of one pixel");
        let refuse = |resize, words: &str| {
            let message = Views::TenCrop.check(&how(resize)).expect_err(words).to_string();
            assert!(message.contains(words), "{message}");
        };
        refuse(Resize::ShortSide(224), "short side to 224 leaves no border around a crop of 200 × 224");
        refuse(Resize::Squash, "instead of --squash");
        for views in [Views::Centre, Views::Flip, Views::Flips, Views::Random { count: 1, seed: 0 }] {
            views.check(&how(Resize::Squash)).expect("nothing to crop");
        }
        Views::Random { count: 65, seed: 0 }.check(&how(Resize::Squash)).expect_err("too many");
    }
}

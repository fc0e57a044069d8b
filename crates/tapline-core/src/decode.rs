//! How much of a picture is decoded: all its pixels, or of large JPEGs only as many as the network's input needs.
//!
//! Pixels that a decoder has scaled are others than those that were decoded and then resized, so this is part of what makes
//! features comparable.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How pictures are decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// Every pixel.
    #[default]
    Exact,
    /// JPEG at 1/2, 1/4 or 1/8 of its sides, by smaller inverse cosine transforms, where that leaves at least twice the sides
    /// it is resized to; all else as it is.
    Scaled,
}

impl Decode {
    /// Whether it is every pixel, which stores do not mention.
    pub fn is_exact(&self) -> bool {
        *self == Self::Exact
    }
}

impl fmt::Display for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Scaled => "scaled",
        })
    }
}

//! In what arithmetic a network runs: as it is stored, in halves, or in bytes whose ranges were measured on the user's pictures.
//!
//! Halves and bytes give other features, so precision and ranges are part of what makes features comparable, and stand in the store.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The arithmetic of a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "arithmetic", rename_all = "lowercase")]
pub enum Precision {
    /// The network as it is stored.
    #[default]
    Float32,
    /// Activations and weights of 16 bits, sums in float32.
    Float16,
    /// Activations of 8 bits without, weights of 8 bits with a sign.
    Int8(Calibration),
}

/// Where the ranges of an int8 network come from; what another run needs to get the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// How many pictures were measured.
    pub pictures: usize,
    /// The digest of their digests, 32 bytes each, in the order of the listing.
    pub pictures_sha256: Digest,
    /// What was found, in the order of execution.
    pub ranges: Vec<TensorRange>,
}

/// The smallest and the largest number that a tensor held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorRange {
    /// The tensor.
    pub tensor: String,
    /// Its smallest number.
    pub min: f32,
    /// Its largest number.
    pub max: f32,
}

impl Precision {
    /// Whether the network runs as it is stored.
    pub fn is_float32(&self) -> bool {
        *self == Self::Float32
    }

    /// What differs in another one, as `ours, asked theirs`; none where features are interchangeable.
    pub(crate) fn difference(&self, asked: &Self) -> Option<String> {
        match (self, asked) {
            (ours, asked) if ours == asked => None,
            (Self::Int8(_), Self::Int8(_)) => Some("--precision int8: other ranges than those asked for".to_owned()),
            (ours, asked) => Some(format!("--precision: {ours}, asked {asked}")),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int8(_) => "int8",
        })
    }
}

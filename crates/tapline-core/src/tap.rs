//! Where a network is tapped and how the tapped map becomes a row: the words every crate shares.
//!
//! A tap is one tensor of a network together with a pooling. Both are part of a feature's identity;
//! the stage name a model card gives the tensor is not, it is only what people read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How one activation map `[c, h, w]` becomes one row of features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pooling {
    /// Mean over the cells of each channel: `c` features.
    Mean,
    /// Maximum over the cells of each channel: `c` features.
    Max,
    /// The means, then the maxima: `2c` features.
    MeanMax,
    /// Generalised mean `(mean(max(x, 0)^p))^(1/p)` of each channel: `c` features
    /// (Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", eq. 3).
    Gem {
        /// The exponent, in (0, 100]; 1 is the mean of the positive part, large values near the maximum.
        p: f32,
    },
    /// Means over a k × k grid of cells, one level of a spatial pyramid: `c·k·k` features in the order
    /// channel, grid row, grid column. Cell i of k covers map rows ⌊i·h/k⌋ to ⌈(i+1)·h/k⌉.
    Grid {
        /// Cells per side, 1 to 32.
        k: u32,
    },
    /// Every number of the map in the order channel, row, column: `c·h·w` features.
    Flatten,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
            Self::MeanMax => f.write_str("mean+max"),
            Self::Gem { p } => write!(f, "gem:{p}"),
            Self::Grid { k } => write!(f, "grid:{k}"),
            Self::Flatten => f.write_str("flatten"),
        }
    }
}

impl FromStr for Pooling {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownPooling { found: text.to_owned() };
        match text {
            "mean" => return Ok(Self::Mean),
            "max" => return Ok(Self::Max),
            "mean+max" => return Ok(Self::MeanMax),
            "gem" => return Ok(Self::Gem { p: 3.0 }),
            "flatten" => return Ok(Self::Flatten),
            _ => {}
        }
        let (kind, value) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "gem" => {
                let p: f32 = value.parse().map_err(|_| unknown())?;
                if p > 0.0 && p <= 100.0 { Ok(Self::Gem { p }) } else { Err(unknown()) }
            }
            "grid" => {
                let k: u32 = value.parse().map_err(|_| unknown())?;
                if (1..=32).contains(&k) { Ok(Self::Grid { k }) } else { Err(unknown()) }
            }
            _ => Err(unknown()),
        }
    }
}

impl Serialize for Pooling {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pooling {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One tap: what identifies a feature within a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tap {
    /// The tensor's name in the ONNX graph.
    pub tensor: String,
    /// How its map becomes a row.
    pub pooling: Pooling,
}

/// A tap as a store records it: its identity, its size, and where it sits in the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TapInfo {
    /// What people call it: the card's stage name where there is one, else the tensor's name.
    pub name: String,
    /// The identity.
    #[serde(flatten)]
    pub tap: Tap,
    /// Features per row, at least 1.
    pub features: usize,
    /// The tapped map's shape for one picture without the batch axis: `[c, h, w]`, or `[c]` for a vector.
    pub shape: Vec<usize>,
    /// Place among the network's layers in execution order, from 0.
    #[serde(default)]
    pub position: usize,
    /// Input pixels per cell along one side (product of strides); none where the tensor has no cells.
    pub reduction: Option<f64>,
    /// Multiply-adds of one picture up to this tensor.
    pub multiply_adds: u64,
    /// The same as a share of the whole network's, 0 to 1.
    pub cost_share: f64,
    /// Whether it belongs to the network's own classifier, so that the layer below it is the top of the backbone.
    #[serde(default)]
    pub classifier: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pooling_reads_back_what_it_writes() {
        for text in ["mean", "max", "mean+max", "gem:3", "gem:2.5", "grid:1", "grid:4", "flatten"] {
            let pooling: Pooling = text.parse().expect(text);
            assert_eq!(pooling.to_string(), text);
        }
        assert_eq!("gem".parse::<Pooling>().expect("gem"), Pooling::Gem { p: 3.0 });
    }

    #[test]
    fn a_pooling_out_of_range_is_refused_with_the_choices() {
        for text in ["", "avg", "gem:0", "gem:nan", "gem:x", "grid", "grid:0", "grid:33", "grid:-1"] {
            let message = text.parse::<Pooling>().expect_err(text).to_string();
            assert!(message.contains("grid:K"), "{message}");
        }
    }
}

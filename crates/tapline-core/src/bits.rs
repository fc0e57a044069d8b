//! Which bits of 16-bit samples carry the picture: detectors of 10, 12 or 14 bits write theirs into 16.
//!
//! Networks see 8 bits. Cut to the upper 8 of 16, a picture of 12 bits would be nearly black, so what is cut is part of what makes
//! features comparable.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many bits of a 16-bit sample are used, counted from the lowest: 8 to 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Bits(u8);

impl Bits {
    /// All 16.
    pub const ALL: Self = Self(16);

    /// Whether it is all of them, which stores do not mention.
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// The upper 8 of the bits that are used, `v >> (bits − 8)`; 255 for samples beyond these bits.
    pub fn upper_eight(self, sample: u16) -> u8 {
        u8::try_from(sample >> (self.0 - 8)).unwrap_or(u8::MAX)
    }
}

impl Default for Bits {
    fn default() -> Self {
        Self::ALL
    }
}

impl TryFrom<u8> for Bits {
    type Error = String;

    fn try_from(bits: u8) -> Result<Self, String> {
        if (8..=16).contains(&bits) { Ok(Self(bits)) } else { Err(format!("{bits} bits: expected 8 to 16")) }
    }
}

impl From<Bits> for u8 {
    fn from(bits: Bits) -> Self {
        bits.0
    }
}

impl FromStr for Bits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<u8>().map_err(|_| "expected a number of bits from 8 to 16, such as 12".to_owned())?.try_into()
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_eight_of_the_bits_in_use_are_kept() {
        for (bits, samples) in [
            (16, [(0, 0), (255, 0), (256, 1), (65_535, 255)]),
            (12, [(15, 0), (16, 1), (4095, 255), (4096, 255)]),
            (8, [(0, 0), (254, 254), (255, 255), (65_535, 255)]),
        ] {
            let bits = Bits::try_from(bits).expect("8 to 16");
            samples
                .iter()
                .for_each(|&(sample, expected)| assert_eq!(bits.upper_eight(sample), expected, "{bits}, {sample}"));
        }
    }

    #[test]
    fn only_eight_to_sixteen_are_read() {
        assert_eq!("12".parse(), Ok(Bits(12)));
        for text in ["7", "17", "", "-1", "twelve", "300"] {
            assert!(text.parse::<Bits>().expect_err(text).contains("8 to 16"), "{text}");
        }
        assert_eq!(serde_json::from_str::<Bits>("14").expect("a number"), Bits(14));
        assert!(serde_json::from_str::<Bits>("20").is_err());
    }
}

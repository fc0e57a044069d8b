//! Features as the bytes of an array row.
//!
//! Encoding refuses what a reader would refuse, so that a bad feature is reported while its picture is at hand.

use half::f16;

use super::npy::Array;
use crate::Dtype;

/// A feature that cannot be stored: NaN, infinite, or too large for float16.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unstorable {
    /// Where it stands in the row.
    pub column: usize,
}

/// The little-endian bytes of a row; float16 rounds to nearest, ties to even.
pub(crate) fn row(dtype: Dtype, values: &[f32]) -> Result<Vec<u8>, Unstorable> {
    let mut bytes = Vec::with_capacity(values.len() * dtype.size());
    for (column, &value) in values.iter().enumerate() {
        let half = f16::from_f32(value);
        let is_finite = if dtype == Dtype::F16 { half.is_finite() } else { value.is_finite() };
        if !is_finite {
            return Err(Unstorable { column });
        }
        match dtype {
            Dtype::F32 => bytes.extend(value.to_le_bytes()),
            Dtype::F16 => bytes.extend(half.to_le_bytes()),
        }
    }
    Ok(bytes)
}

/// The bytes of a row of a skipped picture, always the same NaN.
pub(crate) fn nan_row(array: &Array) -> Vec<u8> {
    match array.dtype {
        Dtype::F32 => 0x7fc0_0000_u32.to_le_bytes().repeat(array.row_values()),
        Dtype::F16 => 0x7e00_u16.to_le_bytes().repeat(array.row_values()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float32_keeps_every_bit() {
        let values = [0.0, -0.0, 1.5e-42, f32::MAX, -1.25];
        let bytes = row(Dtype::F32, &values).expect("finite");
        let back: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
        assert_eq!(back, values.map(f32::to_bits));
    }

    #[test]
    fn float16_rounds_up_to_its_largest_value_and_refuses_more() {
        assert_eq!(row(Dtype::F16, &[65519.9]).expect("rounds down"), f16::MAX.to_le_bytes());
        assert_eq!(row(Dtype::F16, &[1.0, 65520.0]), Err(Unstorable { column: 1 }));
        assert_eq!(row(Dtype::F16, &[-1e9]), Err(Unstorable { column: 0 }));
    }

    #[test]
    fn nan_and_infinity_are_refused() {
        for dtype in [Dtype::F32, Dtype::F16] {
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!(row(dtype, &[0.0, value]), Err(Unstorable { column: 1 }));
            }
        }
    }
}

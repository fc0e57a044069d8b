//! Stored numbers as float32, which holds each of them exactly.

use half::f16;

use crate::Dtype;

/// Writes the numbers that `bytes` holds, little-endian, into `out`.
///
/// # Panics
///
/// If there are not as many bytes as the numbers of `out` take.
pub fn widen(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(bytes.len(), out.len() * dtype.size(), "as many bytes as the numbers take");
    match dtype {
        Dtype::F32 => {
            let values = bytes.as_chunks::<4>().0;
            out.iter_mut().zip(values).for_each(|(out, &value)| *out = f32::from_le_bytes(value));
        }
        Dtype::F16 => widen_halves(bytes, out),
    }
}

fn widen_halves(bytes: &[u8], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("f16c") {
        // SAFETY: the one requirement of the function is F16C, which this processor was just found to have.
        #[allow(unsafe_code)]
        return unsafe { widen_eight_at_a_time(bytes, out) };
    }
    widen_one_at_a_time(bytes, out);
}

/// A pass over stored rows is little more than reading them: eight numbers take an instruction, where [`half`] asks the processor
/// anew for each number, or makes a call for each eight (15 and 4 times slower).
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "f16c")]
fn widen_eight_at_a_time(bytes: &[u8], out: &mut [f32]) {
    use std::arch::x86_64::{__m128i, _mm256_cvtph_ps};

    let (eights, rest) = out.as_chunks_mut::<8>();
    let (halves, last) = bytes.as_chunks::<16>();
    for (out, &halves) in eights.iter_mut().zip(halves) {
        *out = bytemuck::cast(_mm256_cvtph_ps(bytemuck::cast::<_, __m128i>(halves)));
    }
    widen_one_at_a_time(last, rest);
}

fn widen_one_at_a_time(bytes: &[u8], out: &mut [f32]) {
    let halves = bytes.as_chunks::<2>().0;
    out.iter_mut().zip(halves).for_each(|(out, &half)| *out = f16::from_le_bytes(half).to_f32());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_widened_as_the_library_does() {
        // An odd number of them, so that some are left over.
        let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).chain([f16::ONE, f16::NEG_ONE, f16::MAX]).collect();
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        let mut found = vec![0.0; halves.len()];
        widen(Dtype::F16, &bytes, &mut found);
        for (half, found) in halves.iter().zip(found) {
            let expected = half.to_f32();
            assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(), "{half:?}: {found}");
        }
    }

    #[test]
    fn singles_are_as_they_are() {
        let mut found = [0.0; 2];
        widen(Dtype::F32, &[1.5f32.to_le_bytes(), (-0.0f32).to_le_bytes()].concat(), &mut found);
        assert_eq!(found.map(f32::to_bits), [1.5f32.to_bits(), (-0.0f32).to_bits()]);
    }
}

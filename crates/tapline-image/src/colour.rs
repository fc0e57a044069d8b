//! Colour arithmetic, with Pillow's roundings.
//!
//! Pure functions over interleaved samples; Pillow's names for them are `convert("L")`, `convert("RGB")` and `MULDIV255`.

/// `out[i] = (19595·R + 38470·G + 7471·B + 2¹⁵) >> 16` of RGB triples: ITU-R 601 luma (Pillow, `Convert.c`, `L24`).
pub(crate) fn luma(rgb: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend(rgb.chunks_exact(3).map(|p| {
        let sum = 19595 * u32::from(p[0]) + 38470 * u32::from(p[1]) + 7471 * u32::from(p[2]) + 0x8000;
        (sum >> 16) as u8
    }));
}

/// RGB of CMYK stored inverted, as Adobe's JPEG are: `K − (255 − C)·K / 255` per ink (Pillow, `Convert.c`, `cmyk2rgb`).
pub(crate) fn rgb_of_inverted_cmyk(cmyk: &[u8]) -> Vec<u8> {
    cmyk.chunks_exact(4).flat_map(|p| [0, 1, 2].map(|i| p[3] - muldiv255(255 - p[i], p[3]))).collect()
}

/// The first `C` samples of every `C + 1`.
pub(crate) fn drop_alpha<const C: usize>(pixels: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / (C + 1) * C);
    for pixel in pixels.chunks_exact(C + 1) {
        out.extend_from_slice(&pixel[..C]);
    }
    out
}

/// `a · b / 255`, rounded to nearest.
fn muldiv255(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_over_255_is_rounded_to_nearest() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                let exact = (f64::from(a) * f64::from(b) / 255.0).round();
                assert_eq!(f64::from(muldiv255(a, b)), exact, "{a} · {b}");
            }
        }
    }

    #[test]
    fn the_luma_of_grey_is_itself() {
        let grey: Vec<u8> = (0..=255u8).flat_map(|v| [v; 3]).collect();
        let mut out = Vec::new();
        luma(&grey, &mut out);
        assert_eq!(out, (0..=255).collect::<Vec<u8>>());
    }
}

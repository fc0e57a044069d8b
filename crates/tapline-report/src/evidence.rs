//! Colours of the evidence in a picture, and the layer of them that lies over it.
//!
//! A layer is a few cells, which the page stretches over the picture: a thumbnail with the colours mixed in would be ten times
//! the bytes, and could not be taken off.

use resvg::tiny_skia::{ColorU8, Pixmap};

use crate::Evidence;

/// Colours of what speaks for a class and against it, safe for colour-blind readers.
const FOR: [u8; 3] = [213, 94, 0];
const AGAINST: [u8; 3] = [0, 114, 178];
/// How much of its colour the strongest cell gets.
const STRONGEST: f32 = 0.75;

/// The colour that lies over a cell, and how much of it there is, 0 to 1; `share` is the cell's evidence as a share of the
/// strongest cell's, −1 to 1.
pub fn tint(share: f32) -> ([u8; 3], f32) {
    (if share > 0.0 { FOR } else { AGAINST }, STRONGEST * share.abs().min(1.0))
}

/// The colours of the cells, one pixel each, as a PNG file; none without cells.
pub(crate) fn layer(evidence: &Evidence) -> Option<Vec<u8>> {
    let (rows, columns) = (evidence.cells.len(), evidence.cells.first()?.len());
    let mut pixels = Pixmap::new(u32::try_from(columns).ok()?, u32::try_from(rows).ok()?)?;
    for (pixel, &share) in pixels.pixels_mut().iter_mut().zip(evidence.cells.iter().flatten()) {
        let ([red, green, blue], opacity) = tint(share);
        *pixel = ColorU8::from_rgba(red, green, blue, (255.0 * opacity).round() as u8).premultiply();
    }
    pixels.encode_png().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_has_a_pixel_for_each_cell_in_its_colour() {
        let evidence = Evidence { cells: vec![vec![1.0, 0.0, -0.5]], ..Evidence::default() };
        let found = Pixmap::decode_png(&layer(&evidence).unwrap()).unwrap();
        let alphas: Vec<u8> = found.pixels().iter().map(|pixel| pixel.alpha()).collect();
        assert_eq!(((found.width(), found.height()), alphas), ((3, 1), vec![191, 0, 96]));
        let near = |place: usize, colour: [u8; 3]| {
            let pixel = found.pixels()[place].demultiply();
            [pixel.red(), pixel.green(), pixel.blue()].iter().zip(colour).all(|(&a, b)| a.abs_diff(b) <= 2)
        };
        assert!(near(0, FOR) && near(2, AGAINST));
        assert_eq!(layer(&Evidence::default()), None);
    }
}

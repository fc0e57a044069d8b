//! Turning a picture upright.
//!
//! Cameras store the sensor's rows and a tag that says how they were held; networks were trained on upright pictures.

pub(crate) use image::metadata::Orientation;

use crate::Picture;

/// The picture with `orientation` undone.
pub(crate) fn upright(picture: Picture, orientation: Orientation) -> Picture {
    if orientation == Orientation::NoTransforms {
        return picture;
    }
    match picture.channels {
        1 => turn::<1>(&picture, orientation),
        _ => turn::<3>(&picture, orientation),
    }
}

/// Whether columns become rows.
pub(crate) fn swaps(orientation: Orientation) -> bool {
    use Orientation::*;
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// The value of `tiff:Orientation` in an XMP packet, as attribute or as element (Pillow, `Image.getexif`).
pub(crate) fn from_xmp(packet: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = packet.windows(NAME.len()).position(|w| w == NAME)? + NAME.len();
    match &packet[at..] {
        [b'=', b'"', digit, ..] | [b'>', digit, ..] => Orientation::from_exif(digit.wrapping_sub(b'0')),
        _ => None,
    }
}

/// Copies pixel `(x, y)` of the result from where it lies in `picture`.
fn turn<const C: usize>(picture: &Picture, orientation: Orientation) -> Picture {
    use Orientation::*;
    let (w, h) = (picture.width as usize, picture.height as usize);
    let (width, height) = if swaps(orientation) { (h, w) } else { (w, h) };
    let mut pixels = Vec::with_capacity(picture.pixels.len());
    for y in 0..height {
        for x in 0..width {
            let (sx, sy) = match orientation {
                NoTransforms => (x, y),
                FlipHorizontal => (w - 1 - x, y),
                Rotate180 => (w - 1 - x, h - 1 - y),
                FlipVertical => (x, h - 1 - y),
                Rotate90FlipH => (y, x),
                Rotate90 => (y, h - 1 - x),
                Rotate270FlipH => (w - 1 - y, h - 1 - x),
                Rotate270 => (w - 1 - y, x),
            };
            let at = (sy * w + sx) * C;
            pixels.extend_from_slice(&picture.pixels[at..at + C]);
        }
    }
    Picture { width: width as u32, height: height as u32, channels: C, pixels, ..*picture }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xmp_is_read_as_attribute_and_as_element() {
        assert_eq!(from_xmp(br#"<x tiff:Orientation="6"/>"#), Some(Orientation::Rotate90));
        assert_eq!(from_xmp(b"<tiff:Orientation>3</tiff:Orientation>"), Some(Orientation::Rotate180));
        assert_eq!(from_xmp(br#"<x tiff:Orientation="0"/>"#), None);
        assert_eq!(from_xmp(b"<x tiff:Orientation"), None);
        assert_eq!(from_xmp(b""), None);
    }

    #[test]
    fn all_eight_ways_to_hold_a_camera_are_undone() {
        // a b c
        // d e f
        let picture =
            Picture { width: 3, height: 2, channels: 1, pixels: b"abcdef".to_vec(), depth: None, has_more: false };
        let expected = ["abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"];
        for (i, expected) in expected.iter().enumerate() {
            let tag = i as u8 + 1;
            let turned = upright(picture.clone(), Orientation::from_exif(tag).expect("a valid tag"));
            assert_eq!(String::from_utf8_lossy(&turned.pixels), *expected, "tag {tag}");
            assert_eq!((turned.width, turned.height), if tag < 5 { (3, 2) } else { (2, 3) }, "tag {tag}");
        }
    }
}

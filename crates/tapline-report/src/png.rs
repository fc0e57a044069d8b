//! SVG drawings as PNG files.
//!
//! Letters are DejaVu Sans, which comes with the program: with the machine's own fonts the same report would draw other
//! pixels on another machine, and none at all where there are no fonts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{FallbackSelectionFn, FontResolver, Options, Tree, fontdb};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The drawing of an SVG file, `zoom` times its size, and the first letter of each text that the fonts do not know: boxes stand for
/// such.
pub(crate) fn png(svg: &str, zoom: f32) -> Result<(Vec<u8>, BTreeSet<char>), Failure> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let unknown = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = Arc::clone(&unknown);
    let note: FallbackSelectionFn<'_> = Box::new(move |letter, _, _| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).insert(letter);
        None
    });
    let font_resolver = FontResolver { select_font: FontResolver::default_font_selector(), select_fallback: note };
    let font_family = "DejaVu Sans".to_owned();
    let options = Options { fontdb: Arc::new(fonts), font_family, font_resolver, ..Options::default() };
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size();
    let side = |length: f32| (length * zoom).ceil().max(1.0) as u32;
    let mut pixels = Pixmap::new(side(size.width()), side(size.height())).ok_or("it is too large")?;
    resvg::render(&tree, Transform::from_scale(zoom, zoom), &mut pixels.as_mut());
    let unknown = std::mem::take(&mut *unknown.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((pixels.encode_png()?, unknown))
}

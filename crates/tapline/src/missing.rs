//! Pictures that are not where a listing says: what may have been meant.

use std::path::{Path, PathBuf};

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use tapline_core::Place;

/// The reason why a picture cannot be read, with what is there instead of a file that is not: where its path is written with
/// backslashes, or its letters with other code points, as systems differ.
pub fn hinted(reason: String, place: &Place) -> String {
    let hint = match place {
        Place::File(path) if path.try_exists().is_ok_and(|is_there| !is_there) => hint(path),
        _ => None,
    };
    reason + hint.unwrap_or_default()
}

fn hint(path: &Path) -> Option<&'static str> {
    let text = path.to_str()?;
    if text.contains('\\') && Path::new(&text.replace('\\', "/")).exists() {
        return Some("; it is there when its path is written with / instead of \\");
    }
    looks_there(path).then_some("; one is there whose name looks the same, but is written with other code points")
}

/// Whether there is something under a path, each part of it as it is written or with its accents composed or apart.
fn looks_there(path: &Path) -> bool {
    let (composed, apart) = (ComposingNormalizerBorrowed::new_nfc(), DecomposingNormalizerBorrowed::new_nfd());
    let found = path.iter().try_fold(PathBuf::new(), |folder, part| {
        let part = part.to_str()?;
        let written = [part.into(), composed.normalize(part), apart.normalize(part)];
        written.iter().map(|part| folder.join(part.as_ref())).find(|path| path.exists())
    });
    found.is_some()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_there_instead_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("Ka\u{308}fer")).expect("a folder");
        for file in ["Ka\u{308}fer/\u{e9}.png", "Ka\u{308}fer/a.png"] {
            fs::write(folder.path().join(file), "").expect("a file");
        }
        let check = |path: &str, words: &str| {
            let said = hinted("cannot be read".to_owned(), &Place::File(folder.path().join(path)));
            assert_eq!(said, format!("cannot be read{words}"), "{path}");
        };
        let code_points = "; one is there whose name looks the same, but is written with other code points";
        check("K\u{e4}fer/a.png", code_points);
        check("K\u{e4}fer/e\u{301}.png", code_points);
        check("Ka\u{308}fer/e\u{301}.png", code_points);
        check("Ka\u{308}fer\\a.png", "; it is there when its path is written with / instead of \\");
        check("K\u{e4}fer/b.png", "");
        check("Kafer/a.png", "");
        // What is there has another fault.
        check("Ka\u{308}fer/a.png", "");
    }
}

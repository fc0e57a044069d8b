//! File names of taps: readable, safe on every file system, never the same for two taps.
//!
//! A name is only a name. What a file holds is said in `store.json`, so nobody has to parse it back.

use super::manifest::StoredTap;
use crate::TapInfo;

const ENDING: &str = ".npy";
const MAX_STEM: usize = 120;

/// Whether a file name read from a document may be opened: a plain `NAME.npy` of `[A-Za-z0-9._+-]`.
pub(crate) fn is_safe(file: &str) -> bool {
    let stem = file.strip_suffix(ENDING).unwrap_or_default();
    !stem.is_empty() && stem.len() <= 2 * MAX_STEM && !stem.starts_with('.') && stem.bytes().all(is_plain)
}

/// Whether two names are one file where case does not count.
pub(crate) fn collide(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// The taps of a store after new ones are asked for: from shallow to deep, which is the order of execution.
///
/// A tap that is stored keeps its file; its name, its position and the rest follow what is asked.
pub(crate) fn union(stored: &[StoredTap], asked: &[TapInfo]) -> Vec<StoredTap> {
    let mut taps = stored.to_vec();
    let mut fresh: Vec<TapInfo> = Vec::new();
    for info in asked {
        match taps.iter_mut().find(|tap| tap.info.tap == info.tap) {
            Some(tap) => tap.info = info.clone(),
            None if fresh.iter().any(|other| other.tap == info.tap) => {}
            None => fresh.push(info.clone()),
        }
    }
    fresh.sort_by(order);
    for info in fresh {
        let file = file_name(&info, &taps);
        taps.push(StoredTap { info, file });
    }
    taps.sort_by(|a, b| order(&a.info, &b.info));
    taps
}

fn order(a: &TapInfo, b: &TapInfo) -> std::cmp::Ordering {
    let place = a.position.cmp(&b.position).then_with(|| a.tap.tensor.cmp(&b.tap.tensor));
    place.then_with(|| a.tap.pooling.to_string().cmp(&b.tap.pooling.to_string()))
}

fn file_name(info: &TapInfo, taken: &[StoredTap]) -> String {
    let text = format!("{}.{}", info.name, info.tap.pooling);
    let mut stem: String = text.chars().map(|c| if c.is_ascii() && is_plain(c as u8) { c } else { '_' }).collect();
    if stem.len() > MAX_STEM {
        stem.drain(..stem.len() - MAX_STEM);
    }
    if stem.starts_with('.') {
        stem.replace_range(..1, "_");
    }
    let numbered = (2..).map(|n| format!("{stem}-{n}{ENDING}"));
    std::iter::once(format!("{stem}{ENDING}"))
        .chain(numbered)
        .find(|name| !taken.iter().any(|tap| collide(&tap.file, name)))
        .expect("there are more numbers than taps")
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pooling, Tap};

    fn info(name: &str, pooling: &str, position: usize) -> TapInfo {
        let pooling: Pooling = pooling.parse().expect("pooling");
        TapInfo {
            name: name.to_owned(),
            tap: Tap { tensor: name.to_owned(), pooling },
            features: 1,
            shape: vec![1],
            position,
            reduction: None,
            multiply_adds: 7,
            cost_share: 0.0,
            classifier: false,
        }
    }

    fn files(taps: &[StoredTap]) -> Vec<&str> {
        taps.iter().map(|tap| tap.file.as_str()).collect()
    }

    #[test]
    fn names_are_plain_and_tell_tap_and_pooling() {
        let asked = [info("/a/b:0", "gem:2.5", 1), info("stage1", "mean+max", 2), info("..", "max", 3)];
        let taps = union(&[], &asked);
        assert_eq!(files(&taps), ["_a_b_0.gem_2.5.npy", "stage1.mean+max.npy", "_..max.npy"]);
        assert!(taps.iter().all(|tap| is_safe(&tap.file)));
    }

    #[test]
    fn names_that_would_collide_are_numbered() {
        let taps = union(&[], &[info("a/b", "mean", 1), info("a:b", "mean", 2), info("A_B", "mean", 3)]);
        assert_eq!(files(&taps), ["a_b.mean.npy", "a_b.mean-2.npy", "A_B.mean-3.npy"]);
    }

    #[test]
    fn long_names_keep_their_end() {
        let taps = union(&[], &[info(&"x".repeat(400), "mean", 1)]);
        assert_eq!(taps[0].file.len(), MAX_STEM + ENDING.len());
        assert!(taps[0].file.ends_with("x.mean.npy"));
    }

    #[test]
    fn taps_of_equal_cost_stand_in_the_order_of_execution_then_by_tensor_and_pooling() {
        let asked = [
            info("a", "mean", 9),
            info("relu", "mean", 2),
            info("add", "mean", 2),
            info("add", "max", 2),
            info("z", "mean", 1),
        ];
        let order = ["z.mean.npy", "add.max.npy", "add.mean.npy", "relu.mean.npy", "a.mean.npy"];
        assert_eq!(files(&union(&[], &asked)), order);
        let stored = union(&[], &asked[..2]);
        assert_eq!(files(&union(&stored, &asked[2..])), order);
    }

    #[test]
    fn a_stored_tap_that_is_asked_again_takes_its_new_place() {
        let stored = union(&[], &[info("a", "mean", 0), info("b", "mean", 0)]);
        let taps = union(&stored, &[info("a", "mean", 4), info("b", "mean", 3)]);
        let places: Vec<_> = taps.iter().map(|tap| (tap.file.as_str(), tap.info.position)).collect();
        assert_eq!(places, [("b.mean.npy", 3), ("a.mean.npy", 4)]);
    }

    #[test]
    fn a_stored_tap_keeps_its_file() {
        let stored = union(&[], &[info("b", "mean", 5)]);
        let mut renamed = info("z", "mean", 5);
        renamed.tap.tensor = "b".to_owned();
        let taps = union(&stored, &[renamed, info("c", "mean", 1), info("c", "mean", 1)]);
        let names: Vec<_> = taps.iter().map(|tap| (tap.info.name.as_str(), tap.file.as_str())).collect();
        assert_eq!(names, [("c", "c.mean.npy"), ("z", "b.mean.npy")]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_safe() {
        for name in
            ["../x.npy", "a/b.npy", "a\\b.npy", "/x.npy", ".npy", "..npy", ".x.npy", "x", "x.npy\0", "ä.npy", ""]
        {
            assert!(!is_safe(name), "{name:?}");
        }
    }
}

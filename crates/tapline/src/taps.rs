//! The taps that `--tap` names: one, or several joined by `+`.

use anyhow::bail;
use tapline_core::{Pooling, Store, TapInfo};

use crate::output::counted;

/// Positions in the store of the taps typed, in that order: `NAME` or `NAME@POOLING`, joined by `+`.
///
/// A `+` may also belong to a pooling (`mean+max`) or a name: wherever there is a choice, the longest text that names a tap
/// is taken first.
pub fn find(store: &Store, typed: &str) -> anyhow::Result<Vec<usize>> {
    let infos: Vec<&TapInfo> = store.taps().iter().map(|tap| &tap.info).collect();
    let found = find_among(&infos, typed)?;
    match (1..found.len()).find(|&i| found[..i].contains(&found[i])) {
        Some(twice) => bail!("{typed:?} joins tap {} with itself: name it once", full_name(infos[found[twice]])),
        None => Ok(found),
    }
}

/// The tap of a list of one.
pub fn only(taps: &[TapInfo]) -> Option<TapInfo> {
    match taps {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// Their names, joined: `conv1 + pool1`; with poolings where these differ.
pub fn names(taps: &[TapInfo]) -> String {
    let name = |tap: &TapInfo| if one_pooling(taps) { tap.name.clone() } else { full_name(tap) };
    taps.iter().map(name).collect::<Vec<_>>().join(" + ")
}

/// Their pooling, or how many are joined where poolings differ: `pooling mean`, `2 taps joined`.
pub fn poolings(taps: &[TapInfo]) -> String {
    match taps {
        [first, ..] if one_pooling(taps) => format!("pooling {}", first.tap.pooling),
        _ => format!("{} joined", counted(taps.len(), "tap")),
    }
}

/// Their pooling in a table; `joined` where they are several.
pub fn pooling(taps: &[TapInfo]) -> String {
    match taps {
        [one] => one.tap.pooling.to_string(),
        _ => "joined".to_owned(),
    }
}

fn one_pooling(taps: &[TapInfo]) -> bool {
    taps.windows(2).all(|pair| pair[0].tap.pooling == pair[1].tap.pooling)
}

fn full_name(tap: &TapInfo) -> String {
    format!("{}@{}", tap.name, tap.tap.pooling)
}

/// All of the text as one tap, or the longest start of it that names one with what the rest of it names.
fn find_among(infos: &[&TapInfo], typed: &str) -> anyhow::Result<Vec<usize>> {
    let error = match find_one(infos, typed) {
        Ok(one) => return Ok(vec![one]),
        Err(error) => error,
    };
    for (at, _) in typed.rmatch_indices('+') {
        let Ok(first) = find_one(infos, &typed[..at]) else { continue };
        return Ok([vec![first], find_among(infos, &typed[at + 1..])?].concat());
    }
    // Of several the first is to blame, unless the whole names several taps of the store.
    match typed.split_once('+') {
        Some((first, _)) if !first.is_empty() => find_one(infos, first).and(Err(error)),
        _ => Err(error),
    }
}

/// The tap called NAME or NAME@POOLING.
fn find_one(infos: &[&TapInfo], typed: &str) -> anyhow::Result<usize> {
    let named = |name: &str, pooling: Option<Pooling>| -> Vec<usize> {
        let fits = |info: &TapInfo| {
            (info.name == name || info.tap.tensor == name) && pooling.is_none_or(|p| p == info.tap.pooling)
        };
        infos.iter().enumerate().filter(|(_, info)| fits(info)).map(|(index, _)| index).collect()
    };
    let mut found = named(typed, None);
    if let (true, Some((name, pooling))) = (found.is_empty(), typed.rsplit_once('@')) {
        found = named(name, Some(pooling.parse()?));
    }
    let names = |which: &[usize]| which.iter().map(|&tap| full_name(infos[tap])).collect::<Vec<_>>().join(", ");
    match found.as_slice() {
        [one] => Ok(*one),
        [] => bail!("the store has no tap {typed:?}; it has {}", names(&(0..infos.len()).collect::<Vec<_>>())),
        several => bail!("the store has several taps {typed:?}, name one with its pooling: {}", names(several)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: Result<&[usize], &str>) {
        let taps = [("a", "mean"), ("a", "mean+max"), ("b", "mean"), ("c+d", "gem")];
        let infos = taps.map(|(name, pooling)| TapInfo {
            name: name.to_owned(),
            tap: tapline_core::Tap { tensor: format!("t.{name}"), pooling: pooling.parse().unwrap() },
            features: 1,
            shape: vec![1],
            position: 0,
            reduction: None,
            multiply_adds: 0,
            cost_share: 0.0,
            classifier: false,
        });
        let found = find_among(&infos.iter().collect::<Vec<_>>(), typed);
        match expected {
            Ok(expected) => assert_eq!(found.unwrap(), expected, "{typed}"),
            Err(words) => {
                let error = found.unwrap_err().to_string();
                assert!(error.contains(words), "{typed}: {error}");
            }
        }
    }

    #[test]
    fn a_plus_joins_taps_or_belongs_to_a_pooling_or_name() {
        check("b", Ok(&[2]));
        check("a@mean+max", Ok(&[1]));
        check("a@mean+b", Ok(&[0, 2]));
        check("a@mean+max+b", Ok(&[1, 2]));
        check("b+a@mean+max+c+d", Ok(&[2, 1, 3]));
        check("t.b+c+d@gem+a@mean", Ok(&[2, 3, 0]));
    }

    #[test]
    fn the_tap_that_is_missing_or_ambiguous_is_named() {
        check("b+x", Err("no tap \"x\"; it has a@mean, a@mean+max, b@mean, c+d@gem"));
        check("x+b", Err("no tap \"x\""));
        check("b+a", Err("several taps \"a\""));
        check("a+b", Err("several taps \"a\", name one with its pooling: a@mean, a@mean+max"));
        check("b+", Err("no tap \"\""));
    }
}

//! The listing's `split` column: which pictures a probe learns from, and which ones score it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::bail;
use tapline_core::StoredListing;
use tapline_probe::Role;

use crate::output::{count, short};

/// What each picture of the listing is for `[rows]`: `train` or `test` in any case, all else is unused.
pub fn roles(listing: &StoredListing) -> anyhow::Result<Vec<Role>> {
    if !is_present(listing) {
        bail!(
            "--split needs a split column that says train or test, and the listing has none: extract again from a CSV \
             with one (features are reused)"
        );
    }
    Ok(listing.split.iter().map(role).collect())
}

/// Whether any picture has a value in the column.
pub fn is_present(listing: &StoredListing) -> bool {
    listing.split.iter().any(|value| value.is_some())
}

/// What the column says and how often, the commonest first: `train 6, val 6`.
pub fn said(listing: &StoredListing) -> String {
    const MOST: usize = 6;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    listing.split.iter().flatten().for_each(|value| *counts.entry(value).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| Reverse(count));
    let more = if counts.len() > MOST { format!(" and {} others", counts.len() - MOST) } else { String::new() };
    let shown = counts.iter().take(MOST).map(|(value, number)| format!("{} {}", short(value), count(*number)));
    shown.collect::<Vec<_>>().join(", ") + &more
}

fn role(value: Option<&str>) -> Role {
    match value.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        Some("train") => Role::Train,
        Some("test") => Role::Test,
        _ => Role::Unused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_spaces_do_not_matter_and_all_else_is_unused() {
        let check = |value, expected| assert_eq!(role(value), expected, "{value:?}");
        check(Some("train"), Role::Train);
        check(Some(" Train "), Role::Train);
        check(Some("TEST"), Role::Test);
        check(Some("val"), Role::Unused);
        check(Some("testing"), Role::Unused);
        check(None, Role::Unused);
    }
}

//! The listing's `split` column: which pictures a probe learns from, and which ones score it.

use anyhow::bail;
use tapline_core::StoredListing;
use tapline_probe::Role;

/// What each picture of the listing is for `[rows]`: `train` or `test` in any case, all else is unused.
pub fn roles(listing: &StoredListing) -> anyhow::Result<Vec<Role>> {
    if !is_present(listing) {
        bail!(
            "--split needs a split column that says train or test, and the listing has none: extract again from a CSV \
             with one (features are reused)"
        );
    }
    Ok(listing.split.iter().map(|value| role(value.as_deref())).collect())
}

/// Whether any picture has a value in the column.
pub fn is_present(listing: &StoredListing) -> bool {
    listing.split.iter().any(Option::is_some)
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

//! What a run must not do without `--prune`: drop features that are there.
//!
//! A mistyped path, or an option left out, would otherwise cost hours of passes.

use std::collections::HashSet;

use anyhow::bail;
use tapline_core::{Digest, Listing, Store, StoreWriter};

use crate::args::ExtractArgs;
use crate::output::counted;

/// Refuses a listing that leaves out pictures whose features the store holds: a mistyped path must not cost them.
pub fn refuse_to_drop(
    store: &Store,
    (pictures, listed): (&Listing, &[Option<Digest>]),
    args: &ExtractArgs,
) -> anyhow::Result<()> {
    let listed: HashSet<Digest> = listed.iter().copied().flatten().collect();
    let listing = store.listing();
    let good = (0..listing.rows()).filter(|&row| listing.skipped.get(row).is_none());
    let gone: Vec<usize> = good.filter(|&row| listing.sha256[row].is_some_and(|d| !listed.contains(&d))).collect();
    let Some(&row) = gone.first() else { return Ok(()) };
    let path = &listing.path[row];
    let (store, ways) = (args.store.display(), "use another --store, or --prune to drop them");
    if (0..pictures.rows()).any(|row| pictures.path(row) == path) {
        bail!(
            "{store} holds features of {} that changed or cannot be read any more, or are not listed, {path} among them: {ways}",
            counted(gone.len(), "picture")
        );
    }
    bail!(
        "{store} holds features of {} that {}{} does not list, {path} among them: {ways}",
        counted(gone.len(), "picture"),
        args.shard.map_or(String::new(), |shard| format!("shard {shard} of ")),
        args.pictures[0].display()
    )
}

/// Refuses to drop what a run that was stopped has computed, likewise.
pub fn refuse_to_drop_left_over(
    writer: &StoreWriter,
    listed: &[Option<Digest>],
    args: &ExtractArgs,
) -> anyhow::Result<()> {
    let (pictures, taps) = writer.left_over(&listed.iter().copied().flatten().collect());
    let (store, ways) = (args.store.display(), "use another --store, or --prune to drop them");
    if pictures > 0 {
        bail!(
            "a run that was stopped has left features of {} in {store} that {}{} does not list: {ways}",
            counted(pictures, "picture"),
            args.shard.map_or(String::new(), |shard| format!("shard {shard} of ")),
            args.pictures[0].display(),
        );
    }
    if !taps.is_empty() {
        bail!(
            "a run that was stopped has left features in {store} of taps that are not asked for now, {}: ask for them, too, {ways}",
            taps.join(", ")
        );
    }
    Ok(())
}

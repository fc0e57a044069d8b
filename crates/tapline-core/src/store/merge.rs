//! Joining shard stores into the store that one run over the whole listing would have made, byte for byte.
//!
//! Shards are contiguous ranges of rows, so their arrays are copied block by block in their order; memory holds a block and
//! the listing, whatever the arrays' size.

use std::collections::HashSet;
use std::path::Path;

use super::FEATURES;
use super::building::ArrayFile;
use super::manifest::Manifest;
use super::reader::Store;
use super::writer::{Plan, StoreWriter};
use crate::{Digest, Error, Listing, Place, Sample, Shard, ShardOf};

/// Joins shard stores in any order into the store `dir`; a merge that was stopped is done again by the same call.
///
/// # Errors
/// [`Error::BadMerge`] where the stores are no shards or not those of one listing, hold other features or taps, or one is
/// missing or there twice; nothing is written then. The errors of [`StoreWriter`] for `dir`.
pub fn merge(dir: &Path, mut shards: Vec<Store>) -> Result<Store, Error> {
    shards.sort_by_key(|store| store.manifest().shard.map(|of| of.shard));
    let parts = parts(&shards)?;
    check_alike(&shards)?;
    check_whole(&parts)?;
    let listing = listing(&shards);
    if crate::shard::digest(&listing) != parts[0].1.whole_sha256 {
        return refuse(
            "their rows are not those of the listing they were parts of; extract the shards again".to_owned(),
        );
    }
    check_target(dir, &shards, &listing)?;
    let first = shards[0].manifest();
    let plan = Plan {
        space: first.space.clone(),
        taps: first.taps.iter().map(|tap| tap.info.clone()).collect(),
        listing: listing.into(),
        shard: None,
        run: first.run.clone(),
        tapline: first.tapline.clone(),
    };
    let mut writer = StoreWriter::begin(dir, plan)?;
    check_begun(&writer, &shards)?;
    for store in &shards {
        take(&mut writer, store)?;
    }
    writer.finish()
}

/// Each store with what it is a part of.
type Parts<'a> = Vec<(&'a Store, ShardOf)>;

fn parts(shards: &[Store]) -> Result<Parts<'_>, Error> {
    let part = |store: &'_ Store| match store.manifest().shard {
        Some(of) => Ok(of),
        None => refuse(format!("{} is not a shard; extract with --shard I/N", store.dir().display())),
    };
    if shards.is_empty() {
        return refuse("none was named".to_owned());
    }
    shards.iter().map(|store| Ok((store, part(store)?))).collect()
}

/// Refuses stores of other features, taps, versions or listings than the first.
fn check_alike(shards: &[Store]) -> Result<(), Error> {
    let first = &shards[0];
    for other in &shards[1..] {
        let what = difference(first.manifest(), other.manifest()).or_else(|| {
            let names = |store: &Store| store.listing().extra.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            let (ours, theirs) = (names(first), names(other));
            (ours != theirs).then(|| format!("their columns: {}, there {}", ours.join(", "), theirs.join(", ")))
        });
        if let Some(what) = what {
            return refuse(format!("{} and {} differ in {what}", first.dir().display(), other.dir().display()));
        }
    }
    Ok(())
}

/// What keeps two manifests from being parts of one store. Device, batch and threads may differ.
fn difference(ours: &Manifest, theirs: &Manifest) -> Option<String> {
    if let Some(what) = ours.space.difference(&theirs.space) {
        return Some(what.replace("asked", "there"));
    }
    let texts = [
        ("tapline", &ours.tapline, &theirs.tapline),
        ("runtime", &ours.run.runtime, &theirs.run.runtime),
        ("provider", &ours.run.provider, &theirs.run.provider),
    ];
    if let Some((name, ours, theirs)) = texts.into_iter().find(|(_, ours, theirs)| ours != theirs) {
        return Some(format!("{name}: {ours}, there {theirs}"));
    }
    let names = |manifest: &Manifest| -> Vec<String> {
        manifest.taps.iter().map(|tap| format!("{}@{}", tap.info.name, tap.info.tap.pooling)).collect()
    };
    if ours.taps != theirs.taps {
        let (ours, theirs) = (names(ours).join(", "), names(theirs).join(", "));
        return Some(if ours == theirs {
            format!("what they say of the taps {ours}")
        } else {
            format!("taps: {ours}, there {theirs}")
        });
    }
    let (ours, theirs) = (ours.shard?, theirs.shard?);
    if ours.shard.of != theirs.shard.of {
        return Some(format!("the number of shards: {}, there {}", ours.shard, theirs.shard));
    }
    if ours.listing_rows != theirs.listing_rows {
        return Some(format!("the listing: {} pictures, there {}", ours.listing_rows, theirs.listing_rows));
    }
    let is_same = ours.whole_sha256 == theirs.whole_sha256;
    (!is_same).then(|| "the listing: as many pictures, but other paths, labels, splits or columns".to_owned())
}

/// Refuses shards that are there twice and names those that are missing; `parts` are sorted.
fn check_whole(parts: &Parts) -> Result<(), Error> {
    if let Some(pair) = parts.windows(2).find(|pair| pair[0].1.shard == pair[1].1.shard) {
        let [(a, of), (b, _)] = pair else { unreachable!("windows of two") };
        return refuse(format!("{} and {} both are shard {}", a.dir().display(), b.dir().display(), of.shard));
    }
    let of = parts[0].1.shard.of;
    let is_there = |index: &usize| parts.binary_search_by_key(index, |(_, of)| of.shard.index).is_ok();
    let missing: Vec<usize> = (0..of).filter(|index| !is_there(index)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = missing.iter().take(5).map(|&index| Shard { index, of }.to_string()).collect();
    let more = if missing.len() > 5 { format!(" and {} more", missing.len() - 5) } else { String::new() };
    let (noun, verb) = if missing.len() == 1 { ("shard", "is") } else { ("shards", "are") };
    refuse(format!("{noun} {}{more} {verb} missing", named.join(", ")))
}

/// The listing whose parts the shards hold; files are not opened any more.
fn listing(shards: &[Store]) -> Listing {
    let columns = shards[0].listing().extra.iter().map(|(name, _)| name.clone()).collect();
    let samples = shards.iter().map(Store::listing).flat_map(|listing| {
        (0..listing.rows()).map(|row| Sample {
            place: Place::listed(Path::new(""), &listing.path[row]),
            path: listing.path[row].to_owned(),
            label: listing.label.get(row).map(str::to_owned),
            split: listing.split.get(row).map(str::to_owned),
            extra: listing.extra.iter().map(|(_, values)| values.get(row).map(str::to_owned)).collect(),
        })
    });
    Listing::of(Path::new(""), samples, columns)
}

/// A merge must not cost what is there already: only the same rows and taps are written anew. What can be said before anything is
/// touched; [`check_begun`] says the rest.
fn check_target(dir: &Path, shards: &[Store], listing: &Listing) -> Result<(), Error> {
    let same = |a: &Path, b: &Path| a.canonicalize().ok().is_some_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    if let Some(store) = shards.iter().find(|store| same(store.dir(), dir)) {
        return refuse(format!("{} is one of them; name a new folder to write to", store.dir().display()));
    }
    let there = match Store::open(dir) {
        Ok(there) => there,
        Err(Error::NoStore { .. } | Error::Unfinished { .. } | Error::CommitInterrupted { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    check_same(&there, shards, listing)
}

/// The same of a store whose commit has been completed since, and of what a run that was stopped has left.
fn check_begun(writer: &StoreWriter, shards: &[Store]) -> Result<(), Error> {
    if let Some(there) = writer.finished() {
        check_same(there, shards, writer.listing())?;
    }
    let listed: HashSet<Digest> =
        shards.iter().flat_map(|store| store.listing().sha256.iter().flatten().copied()).collect();
    let (pictures, taps) = writer.left_over(&listed);
    if pictures == 0 && taps.is_empty() {
        return Ok(());
    }
    refuse(
        "the folder to write to holds what a run that was stopped has computed of other pictures or taps; name a new folder".to_owned(),
    )
}

fn check_same(there: &Store, shards: &[Store], listing: &Listing) -> Result<(), Error> {
    let paths = (0..listing.rows()).map(|row| listing.path(row));
    if there.taps() == shards[0].taps() && paths.eq(there.listing().path.iter()) {
        return Ok(());
    }
    let dir = there.dir().display();
    refuse(format!("{dir} is a store of other pictures or taps already; name a new folder to write to"))
}

fn take(writer: &mut StoreWriter, store: &Store) -> Result<(), Error> {
    let manifest = store.manifest();
    let first = manifest.shard.map_or(0, |of| of.shard.rows(of.listing_rows).start);
    let listing = store.listing();
    let rows: Vec<(Option<Digest>, Option<&str>)> =
        listing.sha256.iter().copied().zip(listing.skipped.iter()).collect();
    writer.disown_block(first, &rows)?;
    for (tap, stored) in manifest.taps.iter().enumerate() {
        let path = store.dir().join(FEATURES).join(&stored.file);
        writer.copy_block(first, tap, &ArrayFile::open_to_read(path, manifest.array(stored))?)?;
    }
    writer.note_block(first, &rows);
    Ok(())
}

fn refuse<T>(what: String) -> Result<T, Error> {
    Err(Error::BadMerge { what })
}

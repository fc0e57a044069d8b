//! Shards in words.

use tapline_core::{ShardOf, Store};

use crate::output::{count, counted};

/// Says where a store is a part of a listing alone, which scores do not say.
pub fn warn(store: &Store) {
    if let Some(of) = &store.manifest().shard {
        let dir = store.dir().display();
        eprintln!("tapline: {dir} is a part of its pictures alone ({}): `tapline merge` joins all parts", part(of));
    }
}

/// Which rows of which listing a store holds, counted from 0: `shard 1/4: rows 25 to 49 of a listing of 100 pictures`.
pub fn part(of: &ShardOf) -> String {
    let rows = of.shard.rows(of.listing_rows);
    let (first, last) = (count(rows.start), count(rows.end.saturating_sub(1)));
    format!("shard {}: rows {first} to {last} of a listing of {}", of.shard, counted(of.listing_rows, "picture"))
}

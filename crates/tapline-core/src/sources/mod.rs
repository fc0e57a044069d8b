//! Where pictures lie other than in files of their own: members of tar files, cells of Parquet files.
//!
//! All of it becomes a `Listing` of places. Nothing is unpacked: an index holds where each picture's bytes are, and they are
//! read when their turn comes.

mod cells;
mod columns;
mod expand;
pub(crate) mod footer;
pub(crate) mod pages;
mod parquet_file;
mod place;
mod ranges;
mod shards;
mod tar_file;
mod thrift;
mod webdataset;
pub(crate) mod words;

pub use cells::{CellStream, Holder, PictureTable};
pub use expand::{expand, expand_url};
pub(crate) use parquet_file::{is_parquet, read_parquet};
pub use place::{Place, is_url};
pub use ranges::NextBlock;
pub use shards::{OpenShard, RemoteShard, is_shard_url, shards_listing};
pub(crate) use shards::{is_shard, read_shards};

/// The column a value from a source goes to: its own name, unless the store writes a column of that name itself.
pub(crate) fn column_name(name: &str) -> String {
    if crate::table::OWN_COLUMNS.contains(&name) { format!("source.{name}") } else { name.to_owned() }
}

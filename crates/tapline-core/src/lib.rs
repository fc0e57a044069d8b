//! Samples, taps and the feature store: the waist of Tapline, which knows nothing of ONNX and nothing of probes.
//!
//! It exists so that the crate that runs networks and the crate that fits probes can share files without meeting.
//!
//! The whole route, with made-up features in place of a network's:
//!
//! ```
//! use tapline_core::{
//!     Bits, Channels, Decode, Digest, Dtype, FeatureSpace, Interpolation, ModelRef, Plan, Pooling, Precision, Preprocess, Resize, Run,
//!     Sharing, Store, StoreWriter, Tap, TapInfo, Views, hash_all, scan,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let pictures = folder.path().join("pictures");
//! # for (class, bytes) in [("cat", b"one"), ("dog", b"two")] {
//! #     std::fs::create_dir_all(pictures.join(class))?;
//! #     std::fs::write(pictures.join(class).join("1.png"), bytes)?;
//! # }
//! let listing = scan(&pictures)?;
//! let preprocess = Preprocess {
//!     resize: Resize::Squash,
//!     height: 224,
//!     width: 224,
//!     interpolation: Interpolation::Bilinear,
//!     channels: Channels::Rgb,
//!     scale: 1.0,
//!     mean: vec![127.0; 3],
//!     std: vec![128.0; 3],
//! };
//! let model = ModelRef { name: "squeezenet".to_owned(), sha256: Digest::of(b"the ONNX file") };
//! let tap = TapInfo {
//!     name: "pool".to_owned(),
//!     tap: Tap { tensor: "pool/out".to_owned(), pooling: Pooling::Mean },
//!     features: 2,
//!     shape: vec![2, 7, 7],
//!     position: 41,
//!     reduction: Some(32.0),
//!     multiply_adds: 1_000,
//!     cost_share: 1.0,
//!     classifier: false,
//! };
//! let plan = Plan {
//!     space: FeatureSpace {
//!         model,
//!         preprocess,
//!         decode: Decode::Exact,
//!         bits: Bits::ALL,
//!         views: Views::Centre,
//!         precision: Precision::Float32,
//!         dtype: Dtype::F32,
//!     },
//!     taps: vec![tap],
//!     listing: listing.into(),
//!     shard: None,
//!     run: Run {
//!         runtime: "none".to_owned(),
//!         provider: "cpu".to_owned(),
//!         device: "cpu".to_owned(),
//!         sharing: Sharing::alone(1),
//!     },
//!     tapline: "0.1.0".to_owned(),
//! };
//!
//! let dir = folder.path().join("store");
//! let mut writer = StoreWriter::begin(&dir, plan)?;
//! if writer.has_sources() {
//!     let digests = hash_all(writer.listing(), &|_| std::ops::ControlFlow::Continue(()));
//!     writer.reuse(&digests)?;
//! }
//! for group in writer.missing() {
//!     for row in group.rows {
//!         match writer.listing().place(row).read(u64::MAX) {
//!             Ok(bytes) => {
//!                 let features = [f32::from(bytes[0]), f32::from(bytes[1])];
//!                 let values = vec![features.as_slice(); group.taps.len()];
//!                 writer.put(row, Digest::of(&bytes), &group.taps, &values)?;
//!             }
//!             Err(reason) => writer.skip(row, None, &reason)?,
//!         }
//!     }
//! }
//! writer.finish()?;
//!
//! let store = Store::open(&dir)?;
//! assert_eq!(store.listing().path, ["cat/1.png", "dog/1.png"]);
//! assert_eq!(store.rows(0).to_f32(&[1])?, [f32::from(b't'), f32::from(b'w')]);
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

mod bits;
mod decode;
mod digest;
mod error;
mod folder;
mod listing;
mod precision;
mod preprocess;
mod samples;
mod shard;
mod side_table;
mod sources;
mod space;
mod store;
mod table;
mod tap;
mod texts;
mod views;

pub use bits::Bits;
pub use decode::Decode;
pub use digest::{Digest, hash_all, hash_all_by, hash_file};
pub use error::Error;
pub use folder::{objects_listing, scan_folder};
pub use listing::Listing;
pub use precision::{Calibration, Precision, TensorRange};
pub use preprocess::{Channels, Interpolation, MAX_SIDE, Preprocess, Resize};
pub use samples::{Sample, Skipped, scan, scan_all};
pub use shard::{Shard, ShardOf};
pub use side_table::SideTable;
pub use sources::{
    CellStream, Holder, NextBlock, OpenShard, PictureTable, Place, RemoteShard, expand, expand_url, is_shard_url,
    is_url, shards_listing,
};
pub use space::{Dtype, FeatureSpace, ModelRef};
pub use store::{
    FORMAT, Group, Indexes, Manifest, NpyFault, Plan, Rows, Run, Sharing, SharingBy, Stamp, Stamps, Store, StoreWriter,
    StoredListing, StoredTap, VERSION, export_rows, is_store, merge, stored_calibration, widen,
};
pub use table::read_csv;
pub use tap::{Pooling, Tap, TapInfo};
pub use texts::{Texts, Words};
pub use views::Views;

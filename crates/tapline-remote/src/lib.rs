//! Pictures behind URLs: `s3://`, `gs://`, `az://`, `http://` and `https://`, fetched ahead of the work within bounds.
//!
//! It exists so that nothing else knows of sockets, credentials or asynchronous work: what goes in are URLs, what comes out
//! are bytes, or why there are none. A missing object concerns one picture; refused credentials and a source that is dead
//! after all retries concern the run. No message and no path holds a credential.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tapline_remote::{Config, Order, Remote, Wanted};
//!
//! // Not `std::env::vars`, which panics where a variable is no text.
//! let variables = std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
//! let config = Config { environment: variables.collect(), retries: 5 };
//! let remote = Remote::new(config)?;
//! let objects = ["s3://bucket/a.jpg", "s3://bucket/b.jpg"].map(|url| Wanted::from(Arc::from(url))).to_vec();
//! let ahead = remote.fetch(Order { objects, bytes_in_flight: 64 << 20, max_bytes: 1 << 30 })?;
//! let picture = ahead.take(0, &|| false)?.bytes;
//! # Ok::<(), tapline_remote::Fault>(())
//! ```

#![deny(unsafe_code)]

mod ahead;
mod error;
mod file;
mod objects;
mod stores;

pub use ahead::{Ahead, Fetched, Order, Wanted};
pub use error::Fault;
pub use file::RemoteFile;
pub use objects::{Hashed, Object};
pub use stores::{Config, Remote};

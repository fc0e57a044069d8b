//! Maps of feature space: rows of features in, points of the plane out.
//!
//! Knows nothing of pictures, stores or drawing. The same rows give the same points, bit for bit, on any number of
//! threads, so that what is drawn from them is the same file from run to run. The whole route, on rows of two groups:
//!
//! ```
//! use ndarray::Array2;
//! use tapline_map::{principal, sample, tsne};
//!
//! // Rows of group 1 lie 10 away from those of group 0 in every column.
//! let rows = Array2::from_shape_fn((60, 8), |(r, c)| (10 * (r % 2)) as f32 + ((r * 7 + c * 3) % 5) as f32 / 5.0);
//!
//! // Too many rows are sampled; 60 are not.
//! let chosen = sample(60, 2_000, 0);
//! assert_eq!(chosen.len(), 60);
//!
//! // The first principal component holds nearly all of the variance, and tells the groups apart.
//! let pca = principal(rows.view(), 2)?;
//! assert!(pca.explained[0] > 0.9);
//! let side = |row: usize| pca.scores[[row, 0]] > 0.0;
//! assert!((0..60).all(|row| side(row) == side(row % 2)));
//!
//! // t-SNE starts from the principal components.
//! assert_eq!(tsne(&pca)?.len(), 60);
//! # Ok::<(), tapline_map::Error>(())
//! ```

mod error;
mod principal;
mod sample;
mod symmetric;
mod tsne;

pub use error::Error;
pub use principal::{Principal, principal};
pub use sample::sample;
pub use tsne::{FEWEST_ROWS, tsne};

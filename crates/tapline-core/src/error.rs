//! Everything that can go wrong at the waist: what was asked, what was found, what to do.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pooling nobody knows, or one with a number out of range.
    #[error(
        "pooling {found:?} is unknown: use mean, max, mean+max, gem, gem:P (0 < P ≤ 100), grid:K (1 ≤ K ≤ 32) or flatten"
    )]
    UnknownPooling {
        /// What was asked.
        found: String,
    },
    /// A preprocessing that cannot be carried out.
    #[error("the preprocessing is unsound: {what}")]
    BadPreprocess {
        /// Which field, and why.
        what: String,
    },
}

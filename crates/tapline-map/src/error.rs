//! Why a map cannot be made.

/// What is wrong with the rows asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing to lay out.
    #[error("{rows} rows of {columns} columns hold nothing to map: give at least 2 rows and 1 column")]
    Empty {
        /// Rows given.
        rows: usize,
        /// Columns given.
        columns: usize,
    },
    /// A number is NaN or infinite.
    #[error("row {row} holds a number that is not finite: leave the row out")]
    NotFinite {
        /// The first such row.
        row: usize,
    },
    /// Too few rows to have neighbours.
    #[error("t-SNE needs at least {least} rows and was given {found}: use the principal components")]
    TooFewRows {
        /// Rows given.
        found: usize,
        /// The fewest it takes.
        least: usize,
    },
}

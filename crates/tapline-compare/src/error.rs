//! Everything that can be wrong with what is compared: what was asked, what was found, what to do.

/// An error of this crate. Rows, columns, classes, taps and pictures are counted from 0.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to compute from.
    #[error("there are no {what}: give at least one")]
    Empty {
        /// What is missing, in the plural.
        what: &'static str,
    },
    /// Two lists that cannot be paired.
    #[error("{found} {what} came with {expected} {of}: give one for each")]
    Length {
        /// The list of the wrong length.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The list it belongs to.
        of: &'static str,
        /// The length of that list.
        expected: usize,
    },
    /// A number that is NaN or infinite.
    #[error("row {row}, column {column} of the {what} is {value}: compute it again or leave the row out")]
    NotFinite {
        /// Which table.
        what: &'static str,
        /// The first such row.
        row: usize,
        /// Its first such column.
        column: usize,
        /// What was found there.
        value: f64,
    },
    /// A number outside its range.
    #[error("{what} number {index} is {value}: it must lie from {low} to {high}")]
    OutOfRange {
        /// Which list.
        what: &'static str,
        /// The first such position.
        index: usize,
        /// What was found there.
        value: f64,
        /// The lowest value allowed.
        low: f64,
        /// The highest value allowed.
        high: f64,
    },
    /// A test over folds with too few of them.
    #[error("a t test over folds needs at least 2 of them, found {folds}: score by cross-validation")]
    FewFolds {
        /// Folds found.
        folds: usize,
    },
    /// A fold that holds nothing, or leaves nothing to learn from.
    #[error("fold {fold} has {train} rows to learn from and {test} to score: it needs at least one of each")]
    EmptyFold {
        /// Position of the first such fold.
        fold: usize,
        /// Rows to learn from.
        train: usize,
        /// Rows scored.
        test: usize,
    },
    /// More right rows than rows.
    #[error("fold {fold} has {right} right rows out of {test}: count each scored row once")]
    TooManyRight {
        /// Position of the first such fold.
        fold: usize,
        /// Rows said to be right.
        right: usize,
        /// Rows scored.
        test: usize,
    },
    /// A tap that was not compared.
    #[error("there is no tap {tap} among {taps}: count from 0")]
    NoSuchTap {
        /// What was asked.
        tap: usize,
        /// Taps compared.
        taps: usize,
    },
    /// A level that is no share.
    #[error("level {level} is out of range: use a number between 0 and 1, such as 0.05")]
    BadLevel {
        /// What was asked.
        level: f64,
    },
    /// Too few resamples for the level asked.
    #[error("{resamples} resamples cannot tell a level of {level}: use at least {least}")]
    FewResamples {
        /// What was asked.
        resamples: usize,
        /// The level asked.
        level: f64,
        /// Resamples it takes.
        least: usize,
    },
    /// Labels of one class only.
    #[error("every row has class {class}: a ranking needs rows of at least two classes")]
    OneClass {
        /// That class.
        class: usize,
    },
    /// Features that do not vary over the rows.
    #[error("all {columns} columns of the features are constant: use another layer or pooling, or more pictures")]
    ConstantFeatures {
        /// Columns found.
        columns: usize,
    },
    /// Target values that are all zero.
    #[error("column {column} of the targets is all zero: leave it out")]
    ZeroTarget {
        /// The first such column.
        column: usize,
    },
    /// An eigenvalue decomposition that did not converge.
    #[error("the eigenvalues of a {size} × {size} matrix were not found: check the features for values out of scale")]
    NoEigenvalues {
        /// Rows and columns of the matrix.
        size: usize,
    },
    /// A rank correlation of a list without order.
    #[error("all {count} values of the {which} list are equal: they rank nothing")]
    NoRanking {
        /// "first" or "second".
        which: &'static str,
        /// Values found.
        count: usize,
    },
    /// A learning curve of too few sizes for its three numbers.
    #[error("a learning curve needs at least 3 sizes, found {sizes}: use more rows or a smaller first size")]
    FewSizes {
        /// Sizes found.
        sizes: usize,
    },
    /// Sizes that do not ascend from 1 or more.
    #[error(
        "the sizes of a learning curve must ascend from 1, found {size} at position {position}: sort them, each once"
    )]
    SizesDescend {
        /// First position that does not ascend.
        position: usize,
        /// The size there.
        size: usize,
    },
    /// A batch norm's epsilon that is negative or no number.
    #[error("epsilon {epsilon} is out of range: use the batch norm's own, 0 or a small positive number")]
    BadEpsilon {
        /// What was asked.
        epsilon: f64,
    },
    /// A temperature that is not a positive number.
    #[error("temperature {temperature} is out of range: use a positive, finite number, such as 1")]
    BadTemperature {
        /// What was asked.
        temperature: f64,
    },
    /// No channel that can be compared.
    #[error("all {channels} channels have no variance and epsilon is 0: give the batch norm's epsilon")]
    NoChannel {
        /// Channels found.
        channels: usize,
    },
}

//! Everything that can be wrong with a task before it is solved: what was asked, what was found, what to do.
//!
//! A problem that does not converge is no error: it comes back as a [`Solution`](crate::Solution) that says so.

/// An error of this crate. Rows, columns, classes, training sets and problems are counted from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table without rows or without columns.
    #[error("the features have {rows} rows and {columns} columns: give at least one of each")]
    Empty {
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// Rows and labels that cannot be paired.
    #[error("{rows} rows came with {labels} labels: give one label for each row")]
    LabelCount {
        /// Rows of features.
        rows: usize,
        /// Labels given.
        labels: usize,
    },
    /// Fewer than two classes announced.
    #[error("a regression tells at least two classes apart, found {classes}: label the rows with two or more")]
    FewClasses {
        /// Number of classes announced.
        classes: usize,
    },
    /// A label that names no class.
    #[error("row {row} has class {class}, but there are {classes} classes: number the classes from 0")]
    ClassOutOfRange {
        /// The first such row.
        row: usize,
        /// Its label.
        class: usize,
        /// Number of classes announced.
        classes: usize,
    },
    /// More classes than rows: numbers that are no classes' numbers, most likely.
    #[error("{rows} rows came with {classes} classes: give each class a row, and number them from 0 without gaps")]
    FewRows {
        /// Rows of features.
        rows: usize,
        /// Number of classes announced.
        classes: usize,
    },
    /// A feature that is NaN or infinite, or beyond what float32 holds.
    #[error("row {row}, column {column} of the features is {value}: compute it again or leave the row out")]
    NotFinite {
        /// The first such row.
        row: usize,
        /// Its first such column.
        column: usize,
        /// What was found there.
        value: f64,
    },
    /// Row weights that cannot be paired with the rows.
    #[error("training set {set} has {weights} weights for {rows} rows: give one weight for each row")]
    WeightCount {
        /// The first such set.
        set: usize,
        /// Weights given.
        weights: usize,
        /// Rows of features.
        rows: usize,
    },
    /// A row weight that is negative, NaN or infinite.
    #[error("training set {set} gives row {row} the weight {weight}: use finite weights of at least 0")]
    BadWeight {
        /// The first such set.
        set: usize,
        /// Its first such row.
        row: usize,
        /// What was found there.
        weight: f64,
    },
    /// A training set without rows.
    #[error("training set {set} gives no row a weight above 0: choose at least one row")]
    NoRowOfWeight {
        /// The first such set.
        set: usize,
    },
    /// Class weights that cannot be paired with the classes.
    #[error("{weights} class weights came with {classes} classes: give one weight for each class")]
    ClassWeightCount {
        /// Number of classes announced.
        classes: usize,
        /// Class weights given.
        weights: usize,
    },
    /// A class weight that is not a positive number.
    #[error("class {class} has the weight {weight}: use a positive, finite number")]
    BadClassWeight {
        /// The first such class.
        class: usize,
        /// What was found there.
        weight: f64,
    },
    /// Targets without columns.
    #[error("the targets have no column: give one for each output")]
    NoOutputs,
    /// A target that is NaN or infinite.
    #[error("row {row}, output {output} of the targets is {value}: correct it or leave the row out")]
    BadTarget {
        /// The first such row.
        row: usize,
        /// Its first such output.
        output: usize,
        /// What was found there.
        value: f64,
    },
    /// A label of several that says neither no nor yes.
    #[error("row {row}, output {output} of the targets is {value}: use 0 or 1, or a loss for numbers")]
    NotALabel {
        /// The first such row.
        row: usize,
        /// Its first such output.
        output: usize,
        /// What was found there.
        value: f64,
    },
    /// A label of several that is the same for all rows of a training set.
    #[error("all rows of training set {set} have {side} for output {output}: give it a row of {} or drop the output", 1 - side)]
    OneSided {
        /// The first such set.
        set: usize,
        /// Its first such output.
        output: usize,
        /// What all its rows have: 0 or 1.
        side: u8,
    },
    /// A class that no row of a training set belongs to.
    #[error("training set {set} has no row of class {class}: give it one or drop the class")]
    NoRowOfClass {
        /// The first such set.
        set: usize,
        /// Its first such class.
        class: usize,
    },
    /// A problem on a training set that does not exist.
    #[error("problem {problem} names training set {set} of {sets}: number the sets from 0")]
    NoSuchSet {
        /// The first such problem.
        problem: usize,
        /// What it named.
        set: usize,
        /// Training sets given.
        sets: usize,
    },
    /// A regularisation strength that is not a positive number.
    #[error("regularisation strength C = {c} is out of range: use a positive, finite number")]
    BadStrength {
        /// What was asked.
        c: f64,
    },
    /// A tolerance that is not a positive number.
    #[error("tolerance {tolerance} is out of range: use a positive number below 1, such as 1e-8")]
    BadTolerance {
        /// What was asked.
        tolerance: f64,
    },
    /// A memory of no steps.
    #[error("a memory of 0 steps cannot steer the search: remember at least 1, 40 are usual")]
    NoMemory,
    /// A warm start that does not fit the task.
    #[error(
        "problem {problem} starts from {found_columns} columns and {found_outputs} outputs, the task has {columns} and {outputs}: start from a solution of the same task"
    )]
    WarmStart {
        /// The first such problem.
        problem: usize,
        /// Columns of the features.
        columns: usize,
        /// Outputs of the task.
        outputs: usize,
        /// Columns of the start.
        found_columns: usize,
        /// Outputs of the start.
        found_outputs: usize,
    },
    /// A warm start that is no point.
    #[error("problem {problem} starts from weights or an intercept that are not finite: leave out the start")]
    StartNotFinite {
        /// The first such problem.
        problem: usize,
    },
    /// What linfa itself refuses.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

//! Everything that can go wrong before a probe is fitted: what was asked, what was found, what to do.
//!
//! A fit that does not converge is no error: it comes back as a [`Fit`](crate::Fit) that says so.

/// An error of this crate. Rows, columns, classes and folds are counted from 0.
#[derive(Debug, thiserror::Error, PartialEq)]
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
    /// Fewer than two classes announced.
    #[error("a probe tells at least two classes apart, found {classes}: label the rows with two or more")]
    FewClasses {
        /// Number of classes announced.
        classes: usize,
    },
    /// Fewer rows than classes.
    #[error("{rows} rows cannot show {classes} classes: add rows, at least one of each class")]
    FewRows {
        /// Rows found.
        rows: usize,
        /// Number of classes announced.
        classes: usize,
    },
    /// A class that no row to learn from belongs to.
    #[error("no row to learn from has class {class}: add rows of it or drop the class")]
    NoRowOfClass {
        /// The first such class.
        class: usize,
    },
    /// A feature that is NaN or infinite.
    #[error("row {row}, column {column} of the features is {value}: compute it again or leave the row out")]
    NotFinite {
        /// The first such row.
        row: usize,
        /// Its first such column.
        column: usize,
        /// What was found there.
        value: f64,
    },
    /// Rows of another width than the probe was fitted on.
    #[error("the probe was fitted on {expected} columns, found {found}: use features of the same layer and pooling")]
    ColumnCount {
        /// Columns the probe was fitted on.
        expected: usize,
        /// Columns found.
        found: usize,
    },
    /// A warm start that does not fit the task.
    #[error(
        "the warm start has {found_columns} columns and {found_outputs} outputs, the task {columns} and {outputs}: start from a probe of the same task"
    )]
    WarmStart {
        /// Columns of the features.
        columns: usize,
        /// Outputs of the task.
        outputs: usize,
        /// Columns of the probe given.
        found_columns: usize,
        /// Outputs of the probe given.
        found_outputs: usize,
    },
    /// A regularisation strength that is not a positive number.
    #[error("regularisation strength C = {c} is out of range: use a positive, finite number")]
    BadStrength {
        /// What was asked.
        c: f64,
    },
    /// A grid without strengths.
    #[error("the grid of regularisation strengths is empty: give at least one C")]
    EmptyGrid,
    /// A tolerance that is not a positive number.
    #[error("tolerance {tolerance} is out of range: use a positive number below 1, such as 1e-8")]
    BadTolerance {
        /// What was asked.
        tolerance: f64,
    },
    /// Too few folds to choose a strength without looking at the test fold.
    #[error("{folds} folds are too few: use at least 3, so that strength and score come from different rows")]
    FewFolds {
        /// What was asked.
        folds: usize,
    },
    /// More folds than rows.
    #[error("{folds} folds need at least {folds} rows, found {rows}: use fewer folds or more rows")]
    FoldsExceedRows {
        /// What was asked.
        folds: usize,
        /// Rows found.
        rows: usize,
    },
    /// All rows to learn from belong to one class.
    #[error("every row has class {class}: a probe needs rows of at least two classes")]
    OneClass {
        /// That class.
        class: usize,
    },
    /// A class too small to be in every fold.
    #[error("class {class} has {rows} rows for {folds} folds: use fewer folds, add rows or drop the class")]
    SmallClass {
        /// The first such class.
        class: usize,
        /// Its rows.
        rows: usize,
        /// What was asked.
        folds: usize,
    },
    /// Rows and groups that cannot be paired.
    #[error("{rows} rows came with {groups} groups: say of each row which group it belongs to")]
    GroupCount {
        /// Rows of features or labels.
        rows: usize,
        /// Groups given.
        groups: usize,
    },
    /// Fewer groups than folds.
    #[error("{groups} groups cannot fill {folds} folds: use {}more groups", fewer_folds(.groups))]
    FewGroups {
        /// Groups found.
        groups: usize,
        /// What was asked.
        folds: usize,
    },
    /// A class that some training set would lack, since its groups lie in too few folds.
    #[error(
        "the groups with class {class} lie in {found} folds, and every training set has rows of it only from {least} on: use more groups with it or drop the class"
    )]
    ClassInFewFolds {
        /// The first such class.
        class: usize,
        /// Folds with rows of it.
        found: usize,
        /// Folds it takes.
        least: usize,
    },
    /// A group that a split tears apart.
    #[error("the split has rows of group {group} for training and for testing: give all of them one role")]
    GroupInBoth {
        /// The first such group.
        group: usize,
    },
    /// A split that does not cover the rows.
    #[error("{rows} rows came with a split of {split}: say of each row whether it is for training or testing")]
    SplitLength {
        /// Rows of features.
        rows: usize,
        /// Entries of the split.
        split: usize,
    },
    /// A split that leaves nothing to score.
    #[error("the split has no test row: mark at least one")]
    NoTestRow,
    /// Shuffles without a shuffle.
    #[error("0 shuffles score nothing: use at least 1")]
    NoShuffle,
    /// A share of the rows that leaves none to learn from or none to score.
    #[error("a test share of {share} is out of range: use a number between 0 and 1, such as 0.25")]
    BadTestShare {
        /// What was asked.
        share: f64,
    },
    /// A share too small for a row, or for a whole group.
    #[error(
        "a test share of {share} of {rows} rows leaves nothing to score in shuffle {shuffle}: use a larger share, more rows or smaller groups"
    )]
    EmptyShuffle {
        /// What was asked.
        share: f64,
        /// Rows there are.
        rows: usize,
        /// The first such shuffle.
        shuffle: usize,
    },
    /// No shots to learn from, or no draws of them.
    #[error("there is nothing to learn from: ask for at least 1 row of each class and at least 1 repeat")]
    NoShots,
    /// Few shots of rows that are not drawn alone.
    #[error("few shots are drawn row by row, and these rows come in groups: leave the groups out")]
    ShotsOfGroups,
    /// A class that few shots would use up.
    #[error("class {class} has {rows} rows, and {shots} shots leave none of it to score: use fewer shots or more rows")]
    FewForShots {
        /// The first such class.
        class: usize,
        /// Its rows.
        rows: usize,
        /// The most shots that were asked for.
        shots: usize,
    },
    /// Something asked of a solver that only the other one does.
    #[error("linfa-logistic fits no {what}: leave it out, or use the batched solver")]
    SolverCannot {
        /// What was asked.
        what: &'static str,
    },
    /// Principal components that were not found.
    #[error("the eigenvalues of a {size} × {size} matrix were not found: check the features for values out of scale")]
    NoComponents {
        /// Rows of the matrix.
        size: usize,
    },
    /// No components at all.
    #[error("0 principal components say nothing: ask for at least 1")]
    NoComponent,
    /// Rows without a column of targets.
    #[error("there are no targets: give at least one column of them")]
    NoTarget,
    /// A label of several that is neither there nor not.
    #[error("row {row}, label {label} is {value}: a label is 1 where a row has it and 0 where it has not")]
    NotALabel {
        /// The first such row.
        row: usize,
        /// Its first such label.
        label: usize,
        /// What was found there.
        value: f64,
    },
    /// A target that is NaN, infinite or beyond 1e100 either way.
    #[error("row {row} of target {target} is {value}: give a number within ±1e100 or leave the row out")]
    BadTarget {
        /// The first such row.
        row: usize,
        /// Its first such target.
        target: usize,
        /// What was found there.
        value: f64,
    },
    /// A label that all rows to learn from have, or none.
    #[error("{} row to learn from has label {label}: add rows with{} it or drop the label",
            if *side == 1 { "every" } else { "no" }, if *side == 1 { "out" } else { "" })]
    OneSidedLabel {
        /// The first such label.
        label: usize,
        /// 1 where all have it, 0 where none has.
        side: u8,
    },
    /// A target that is the same in all rows to learn from.
    #[error("target {target} is {value} in every row to learn from: nothing can be learned of it, drop the target")]
    ConstantTarget {
        /// The first such target.
        target: usize,
        /// What it is.
        value: f64,
    },
    /// A label of which some training set would lack a side, since it lies in too few folds.
    #[error("the rows with{} label {label} lie in {found} folds, and every training set has one only from {least} on: add such rows, use other folds or drop the label",
            if *side == 1 { "" } else { "out" })]
    LabelInFewFolds {
        /// The first such label.
        label: usize,
        /// 1 for rows that have it, 0 for those that have not.
        side: u8,
        /// Folds with such rows.
        found: usize,
        /// Folds it takes.
        least: usize,
    },
    /// A split that leaves nothing to learn from.
    #[error("the split has no training row: mark at least one")]
    NoTrainingRow,
    /// Something asked for targets that only classes have.
    #[error("{what} is for classes that exclude each other: leave it out for other targets")]
    ForClassesAlone {
        /// What was asked.
        what: &'static str,
    },
    /// An operating point of more than two classes.
    #[error("an operating point parts two classes, and there are {classes}: evaluate a class against the rest")]
    TwoClasses {
        /// Number of classes.
        classes: usize,
    },
    /// A class with too few rows to choose a threshold by.
    #[error(
        "{rows} rows of the class are too few to choose a threshold for this recall: use at least {least}, or ask for less"
    )]
    FewToFind {
        /// Its rows to choose a threshold by.
        rows: usize,
        /// How many it takes.
        least: usize,
    },
    /// A choice between no layers.
    #[error("there is no layer to choose from: evaluate at least one")]
    NoLayer,
    /// Evaluations that did not hold the same rows out.
    #[error("evaluation {index} held out other rows than the first: use the same rows, labels, folds and seed for all")]
    FoldsDiffer {
        /// Position of the first evaluation that differs.
        index: usize,
    },
}

/// What also helps, where there are groups enough for the least number of folds.
fn fewer_folds(groups: &usize) -> &'static str {
    if *groups < 3 { "" } else { "fewer folds (at least 3) or " }
}

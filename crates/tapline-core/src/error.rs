//! Everything that can go wrong at the waist: what was asked, what was found, what to do.
//!
//! One enum for the crate, so that the binary can turn any of it into one line without knowing where it came from.

use std::io;
use std::path::PathBuf;

use crate::store::NpyFault;
use crate::{Shard, Views};

/// An error of this crate. Rows and columns are counted from 0, lines of a file from 1.
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
    /// Views nobody knows, or a number of them out of range.
    #[error(
        "views {found:?} are unknown: use centre, flip, flips, ten-crop, random:N or random:N:SEED (1 ≤ N ≤ {max})",
        max = Views::MAX_RANDOM
    )]
    UnknownViews {
        /// What was asked.
        found: String,
    },
    /// Views that cannot be had with a preprocessing.
    #[error("--views {views} cannot be made: {what}")]
    BadViews {
        /// What was asked.
        views: Views,
        /// Why, and what to do.
        what: String,
    },
    /// A text that should be a SHA-256 digest and is not.
    #[error("{found:?} is not a SHA-256 digest: expected 64 hexadecimal digits")]
    NotADigest {
        /// What was read.
        found: String,
    },
    /// A file or folder that could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder that could not be written: a full disk, no permission.
    #[error("cannot write {path}: the store stays resumable, run the same command again once this is settled")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// Samples that do not exist.
    #[error(
        "{path} does not exist: give a folder of pictures, a .csv, .tsv or .parquet file that lists them, or shards"
    )]
    NoSamples {
        /// What was asked.
        path: PathBuf,
    },
    /// Samples that are neither a folder nor a table nor a shard.
    #[error(
        "{path} is neither a folder nor a .csv, .tsv, .parquet or .tar file, nor a picture by its name: give one of these, and unpack what is compressed"
    )]
    UnknownSamples {
        /// What was asked.
        path: PathBuf,
    },
    /// A folder with pictures both beside and inside its sub-folders.
    #[error(
        "{root} holds the picture {picture} beside the class folder {folder}: \
         move the loose pictures into class folders, or list what you want in a CSV file"
    )]
    MixedFolder {
        /// The folder.
        root: PathBuf,
        /// A picture directly in it.
        picture: String,
        /// A sub-folder with pictures.
        folder: String,
    },
    /// A sub-folder that cannot be read.
    #[error("cannot read the folder {path}: its pictures would be missing; allow reading it, or move it out of {root}")]
    UnreadableFolder {
        /// The folder with the samples.
        root: PathBuf,
        /// The sub-folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder without a single picture.
    #[error(
        "{root} holds no picture ({others} other entries): expected files named {extensions}",
        extensions = crate::folder::EXTENSIONS.join(", ")
    )]
    EmptyFolder {
        /// The folder.
        root: PathBuf,
        /// How many entries were passed over.
        others: usize,
    },
    /// A pattern that stands for nothing, or for too much.
    #[error("{pattern:?} names no pictures: {what}")]
    BadPattern {
        /// What was asked.
        pattern: String,
        /// Why.
        what: String,
    },
    /// One of several sources that is neither a picture nor a shard, or not what the others are.
    #[error(
        "{path} is neither a picture by its name nor a .tar or .parquet file like the others: several pictures, or several shards, \
         can be given at a time"
    )]
    NotAShard {
        /// The file or folder.
        path: PathBuf,
    },
    /// A shard given twice.
    #[error("{path} is given twice: name each shard once")]
    RepeatedShard {
        /// The shard.
        path: PathBuf,
    },
    /// Shards without a single picture.
    #[error(
        "{path} and the shards given with it hold no picture ({others} other members): expected members named {extensions}",
        extensions = crate::folder::EXTENSIONS.join(", ")
    )]
    EmptyShards {
        /// The first shard.
        path: PathBuf,
        /// How many members were passed over.
        others: usize,
    },
    /// A tar file that cannot be read as a whole.
    #[error("{path} cannot be used: {what}")]
    BadTar {
        /// The tar file.
        path: PathBuf,
        /// What was found, and what to do.
        what: String,
    },
    /// A Parquet file that holds or lists no pictures, or is damaged.
    #[error("{path} cannot be used: {what}")]
    BadParquet {
        /// The file.
        path: PathBuf,
        /// What was found, and what to do.
        what: String,
    },
    /// A table without a row below its header.
    #[error("{path} lists no picture: write one row for each below the header")]
    EmptyTable {
        /// The table.
        path: PathBuf,
    },
    /// A table that does not say where the pictures are.
    #[error("{path} has no column \"path\", {}: name the column with the pictures' paths so", only(.found))]
    NoPathColumn {
        /// The table.
        path: PathBuf,
        /// Its columns.
        found: Vec<String>,
    },
    /// A table of values that does not say what its rows are about.
    #[error("{path} has neither a column path nor label, {}: name the one that says what a row is about so", only(.found))]
    NoKeyColumn {
        /// The table.
        path: PathBuf,
        /// Its columns.
        found: Vec<String>,
    },
    /// A table of values of another kind than can be read.
    #[error("{path} is no .csv or .tsv file: give one of these")]
    NotATable {
        /// The file.
        path: PathBuf,
    },
    /// A column whose name the store needs for itself, or that has none.
    #[error("{path} has a column {column:?}, which {why}: rename it")]
    BadColumn {
        /// The table.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A row of a table that cannot be read.
    #[error("{path}, line {line}: {what}")]
    BadTableRow {
        /// The table.
        path: PathBuf,
        /// The line the row starts on.
        line: u64,
        /// What was found, and what was expected.
        what: String,
    },
    /// A picture listed twice.
    #[error("{path} lists {picture:?} on line {first} and again on line {second}: drop one of them")]
    RepeatedPath {
        /// The table.
        path: PathBuf,
        /// The picture as listed.
        picture: String,
        /// The line of its first row.
        first: u64,
        /// The line of its second row.
        second: u64,
    },

    /// A shard nobody can compute.
    #[error(
        "shard {found:?} is none: use I/N with I counted from 0 to N − 1, such as 0/4, 1/4, 2/4 and 3/4 (N ≤ {most})",
        most = Shard::MOST
    )]
    BadShard {
        /// What was asked.
        found: String,
    },
    /// More shards than pictures.
    #[error("shard {shard} would hold no picture: the listing has {rows} pictures, use {rows} shards at most")]
    EmptyShard {
        /// What was asked.
        shard: Shard,
        /// Pictures of the whole listing.
        rows: usize,
    },
    /// Stores that do not make a whole.
    #[error("the stores cannot be merged: {what}")]
    BadMerge {
        /// Which of them, and why.
        what: String,
    },

    /// A listing whose columns and those of an export have the same name.
    #[error("the listing has a column {column:?}, which the export needs for itself: rename it and extract again")]
    BadExport {
        /// The column.
        column: String,
    },

    /// A plan without pictures or without taps.
    #[error("there is nothing to store: the plan has {rows} pictures and {taps} taps, give at least one of each")]
    EmptyPlan {
        /// Pictures in the plan.
        rows: usize,
        /// Taps in the plan and in the store.
        taps: usize,
    },
    /// A tap whose rows have no or too many numbers.
    #[error(
        "tap {tap:?} has {features} features for each of {rows} pictures, which no file can hold: tap another layer"
    )]
    BadTapSize {
        /// The tap.
        tap: String,
        /// Its features per row.
        features: usize,
        /// The pictures.
        rows: usize,
    },
    /// A tap that the store knows with another number of features.
    #[error("tap {tap:?} has {asked} features, but the store {dir} holds {stored} for it: use another --store")]
    TapChanged {
        /// The store.
        dir: PathBuf,
        /// The tap.
        tap: String,
        /// Features per row in the store.
        stored: usize,
        /// Features per row asked.
        asked: usize,
    },
    /// A store another run is writing to.
    #[error("the store {dir} is in use by another run: wait for it to end, or use another --store")]
    StoreBusy {
        /// The store.
        dir: PathBuf,
    },
    /// A store that was deleted or moved while it was written to.
    #[error(
        "the store {dir} was deleted or moved while this run wrote to it: nothing more can be kept there; put it back, or \
         run the same command again to begin anew"
    )]
    StoreGone {
        /// The store.
        dir: PathBuf,
    },
    /// A folder with files of somebody else, or no folder.
    #[error("{dir} is {} and not a store of tapline: nothing was written, name a new or empty folder", if .dir.is_file() { "a file" } else { "not empty" })]
    NotAStore {
        /// The folder.
        dir: PathBuf,
    },
    /// Features of another model, preprocessing, views or number type.
    #[error("the store {dir} holds other features ({what}): use another --store")]
    OtherSpace {
        /// The store.
        dir: PathBuf,
        /// What differs, stored value first.
        what: String,
    },
    /// Nothing there to open.
    #[error("{dir} is no store: it has no store.json; run `tapline extract` to make one")]
    NoStore {
        /// The folder.
        dir: PathBuf,
    },
    /// A store whose first extraction was stopped.
    #[error(
        "the extraction into {dir} has not finished: run the same `tapline extract` again, it goes on where it stopped"
    )]
    Unfinished {
        /// The store.
        dir: PathBuf,
    },
    /// A store stopped while its new files were moved into place.
    #[error("a run stopped while it moved new files into {dir}: run `tapline extract` again to finish")]
    CommitInterrupted {
        /// The store.
        dir: PathBuf,
    },
    /// A store that another run replaced while it was being opened.
    #[error("the store {dir} was replaced while it was being opened: open it again")]
    StoreReplaced {
        /// The store.
        dir: PathBuf,
    },
    /// A store written by another version of the format.
    #[error(
        "{path} is a {format:?} of version {found}, this tapline reads \"tapline-store\" version {expected}: \
         use the tapline that wrote it ({writer}), or extract into another --store"
    )]
    StoreVersion {
        /// The file that says so.
        path: PathBuf,
        /// The format it names.
        format: String,
        /// The version it names.
        found: u64,
        /// The version that can be read.
        expected: u64,
        /// The tapline version that wrote it.
        writer: String,
    },
    /// A JSON document of the store that cannot be read.
    #[error("{path} is damaged: extract again into another --store")]
    BadJson {
        /// The document.
        path: PathBuf,
        /// What the parser found.
        source: serde_json::Error,
    },
    /// A file of the store that does not fit the rest.
    #[error("{path} does not fit the store: {what}; extract again into another --store")]
    BadStore {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        what: String,
    },
    /// A feature file that is not the array the store describes.
    #[error("{path} is not the array the store describes: {fault}; extract again into another --store")]
    BadNpy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: NpyFault,
    },
    /// A table of the store that could not be written or read.
    #[error("the store's table {path} cannot be written or read")]
    Parquet {
        /// The table.
        path: PathBuf,
        /// What the Parquet library found.
        source: parquet::errors::ParquetError,
    },
    /// A feature too large for float16.
    #[error("tap {tap:?} of {path}: {value} does not fit float16 (up to 65504); use --dtype f32 and another --store")]
    Float16Overflow {
        /// The tap.
        tap: String,
        /// The row.
        row: usize,
        /// The picture as listed.
        path: String,
        /// The feature.
        value: f32,
    },
    /// A feature of a good picture that is NaN or infinite.
    #[error(
        "tap {tap:?} of {path} (row {row}): feature {column} is {value}; leave the picture out or tap another layer"
    )]
    NotFinite {
        /// The tap.
        tap: String,
        /// The row.
        row: usize,
        /// The first such column.
        column: usize,
        /// The picture as listed.
        path: String,
        /// The feature.
        value: f32,
    },
    /// A picture whose bytes are not those that were hashed.
    #[error("{path} changed while its features were computed: run the same command again")]
    PictureChanged {
        /// The picture as listed.
        path: String,
    },
    /// A store that was to be finished with rows still open.
    #[error("{open} of {rows} rows have no features yet: compute or skip them before the store is finished")]
    RowsOpen {
        /// Rows without features.
        open: usize,
        /// All rows.
        rows: usize,
    },
}

/// `only "a", "b"` of a table's columns.
fn only(names: &[String]) -> String {
    match names.iter().all(String::is_empty) {
        true => "nor any other".to_owned(),
        false => format!("only {}", names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")),
    }
}

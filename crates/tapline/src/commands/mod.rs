//! One module for each command: arguments in, a result struct, its renderings out.

pub mod advise;
pub mod compare;
pub mod explain;
pub mod export_rows;
pub mod extract;
pub mod info;
pub mod layers;
pub mod merge;
pub mod models;
pub mod predict;
pub mod probe;
mod probe_targets;
pub mod report;

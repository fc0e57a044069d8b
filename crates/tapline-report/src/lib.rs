//! Reports on linear probes: plain structs in, one HTML page, figures (SVG, PNG) and tables (CSV, Markdown) out.
//!
//! Knows nothing of stores, networks, probes or files. Nothing here reads a clock or draws a random number: the same
//! struct gives the same bytes. Every text that came from outside is escaped at the one place that writes it
//! (`escape.rs`). The whole route:
//!
//! ```
//! use tapline_report::{Backbone, Report, Scores, TapRow, figures, page, table};
//!
//! let tap = |name: &str, cost_share, correct: usize| TapRow {
//!     name: name.to_owned(),
//!     pooling: "mean".to_owned(),
//!     features: 64,
//!     cost_share,
//!     scores: Some(Scores { correct, total: 100, accuracy: correct as f64 / 100.0, ..Scores::default() }),
//!     ..TapRow::default()
//! };
//! let report = Report {
//!     title: "Two layers <of one network>".to_owned(),
//!     backbones: vec![Backbone { name: "net".to_owned(), ..Backbone::default() }],
//!     taps: vec![tap("shallow", 0.2, 70), tap("deep", 1.0, 80)],
//!     best: Some(1),
//!     ..Report::default()
//! };
//!
//! assert!(page(&report).contains("<h1 dir=\"auto\">Two layers &lt;of one network&gt;</h1>"));
//! assert!(table(&report).csv()?.starts_with("backbone,tap,pooling"));
//! assert!(figures(&report).iter().any(|figure| figure.name == "layers" && figure.file().contains("</svg>")));
//! # Ok::<(), tapline_report::Error>(())
//! ```

mod error;
mod escape;
mod evidence;
mod figures;
mod model;
pub mod numbers;
mod page;
mod png;
mod svg;
mod table;

pub use error::Error;
pub use escape::{line, shortened, shortened_to};
pub use evidence::tint;
pub use figures::{Figure, figures};
pub use model::{
    Accuracy, Backbone, Bin, Comparison, Confused, Confusion, Evidence, FeatureMap, Field, Layer, LearningCurve,
    LearningFit, LearningPoint, MapLayer, MapPoint, OperatingPoint, Picture, Provenance, Report, Roc, Scores, Skipped,
    Sprite, TapRow, Thumbnails,
};
pub use numbers::probability;
pub use page::page;
pub use table::{Table, table};

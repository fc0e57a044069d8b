//! Everything that can go wrong with a network: what was asked, what was found, what to do.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that is not an ONNX model, with a guess at what it is.
    #[error("{} is not an ONNX model: {what}", path.display())]
    NotOnnx {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// An ONNX model that Tapline cannot use.
    #[error("{} cannot be used as a picture network: {what}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why not, and what would do.
        what: String,
    },
    /// A card that cannot be used.
    #[error("the model card {} {what}", path.display())]
    Card {
        /// Which card.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The model is not the one its card was written for.
    #[error(
        "{} is not the file its card describes: SHA-256 is {found}, the card says {expected}; \
         build or fetch the model again, or pass the .onnx file itself to use it without the card",
        path.display()
    )]
    Digest {
        /// The model file.
        path: PathBuf,
        /// The card's digest.
        expected: String,
        /// The file's digest.
        found: String,
    },
    /// A preprocessing description from elsewhere that cannot be used.
    #[error("the preprocessing in {} {what}", path.display())]
    Preprocessing {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// A tap nobody knows.
    #[error("no layer{} {asked:?}{}; `tapline layers` lists them all", of_name(asked), did_you_mean(nearest))]
    UnknownTap {
        /// What was asked.
        asked: String,
        /// Names that look like it, best first.
        nearest: Vec<String>,
    },
    /// The word for all stages, where there are none.
    #[error(
        "`stages` needs a model card, which names them; without one, name layers or use a glob (`tapline layers` lists them)"
    )]
    NoStages,
    /// A pooling the tapped tensor has no cells for.
    #[error("tap {tensor:?} with pooling {pooling} is impossible: {what}")]
    Pooling {
        /// The tensor.
        tensor: String,
        /// The pooling as written.
        pooling: String,
        /// Why, and what to do.
        what: String,
    },
    /// No ONNX Runtime library.
    #[error(
        "the ONNX Runtime library was not found (looked for {}); run `make setup` in the project, \
         or set ORT_DYLIB_PATH to a libonnxruntime.so of version 1.{minor} or newer",
        looked_for(looked)
    )]
    NoRuntime {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
        /// The oldest minor version that would do.
        minor: u32,
    },
    /// An ONNX Runtime library that does not load.
    #[error("the ONNX Runtime library {} cannot be used: {what}", path.display())]
    BadRuntime {
        /// Which library.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A device that was asked for by name and cannot be had.
    #[error("device {device} cannot be used: {what}")]
    Device {
        /// The device as asked for.
        device: String,
        /// What is missing, and what to do.
        what: String,
    },
    /// The runtime refused the network.
    #[error("ONNX Runtime refuses {}", path.display())]
    Load {
        /// The model file.
        path: PathBuf,
        /// The runtime's words.
        source: ort::Error,
    },
    /// A forward pass failed.
    #[error("the forward pass over {count} picture(s) failed")]
    Run {
        /// How many pictures were in the batch.
        count: usize,
        /// The runtime's words.
        source: ort::Error,
    },
    /// A forward pass found no memory.
    #[error("there is no memory for a forward pass over {count} picture(s): use a smaller --batch, or fewer --workers")]
    Memory {
        /// How many pictures a pass has.
        count: usize,
        /// The runtime's words.
        source: ort::Error,
    },
    /// Numbers that no bytes can stand for.
    #[error(
        "tensor {tensor:?} held numbers from {min} to {max} on the calibration pictures, which no range of bytes can hold; \
         leave out --precision int8"
    )]
    Range {
        /// The tensor.
        tensor: String,
        /// Its smallest number.
        min: f32,
        /// Its largest number.
        max: f32,
    },
    /// The runtime gave something else than the graph promised.
    #[error("tap {tensor:?} gave a tensor of shape {found:?}, expected {expected:?}")]
    Output {
        /// The tensor.
        tensor: String,
        /// What came.
        found: Vec<i64>,
        /// What was promised.
        expected: Vec<i64>,
    },
    /// An error of the waist.
    #[error(transparent)]
    Core(#[from] tapline_core::Error),
}

/// What a layer of that name, or of a name that fits that pattern, would be.
fn of_name(asked: &str) -> &'static str {
    if asked.contains(['*', '?', '[', '{']) { "'s name fits" } else { " is called" }
}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => format!(" (did you mean {}?)", names.join(", ")),
    }
}

fn looked_for(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

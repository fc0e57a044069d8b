//! What can be typed, as typed; commands turn it into checked plans.

mod extraction;
mod probing;
mod stored;

use clap::{Args as ClapArgs, Parser, Subcommand};
use tapline_core::MAX_SIDE;

pub use self::extraction::*;
pub use self::probing::*;
pub use self::stored::*;

/// Features from any layer of a frozen, pretrained CNN, and which layer suits your pictures.
///
/// The usual route: `tapline models` and `tapline layers MODEL` show what can be tapped, `tapline extract` pushes the
/// pictures through the network once and caches every wanted layer, `tapline compare` says which layer a linear
/// classifier does best on.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  tapline layers squeezenet1.1
  tapline extract photos/ --model efficientnet-lite0 --store photos.store
  tapline compare photos.store
  tapline probe photos.store --tap blocks.11 --save probe.json
  tapline predict probe.json new-photos/

Exit codes: 0 done, 1 failed or not one picture could be used, 2 a command line that cannot be
read, 3 done but some pictures were skipped and listed, 130 or 143 an extraction was stopped by
SIGINT (Ctrl-C) or SIGTERM and can be continued (of `predict` nothing is kept)."
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the networks that come with a model card
    Models(ModelsArgs),
    /// List every tensor of a network that can be tapped
    Layers(LayersArgs),
    /// Push pictures through a network once and cache layers' features
    Extract(ExtractArgs),
    /// Join the stores of an extraction that several machines shared
    Merge(MergeArgs),
    /// Say what a feature store holds
    Info(InfoArgs),
    /// Write a layer's features as a Parquet table
    ExportRows(ExportRowsArgs),
    /// Train and score a linear probe on one layer's features
    Probe(ProbeArgs),
    /// Apply a saved probe to new pictures, or to those of a store
    Predict(PredictArgs),
    /// Probe every layer of a store and compare them by depth
    Compare(CompareArgs),
    /// Say which layer to use, whether a linear classifier is enough, and what to do next
    Advise(AdviseArgs),
    /// Write a page with all that was found, pictures included
    Report(ReportArgs),
    /// Show where in pictures the evidence for a class is
    Explain(ExplainArgs),
}

/// Arguments of `tapline models`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tapline models
  tapline models --json")]
pub struct ModelsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tapline layers`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Columns:
  reduction  input pixels from one cell of the map to the next
  field      input pixels one cell depends on (\"whole\": the whole picture)
  cost       share of the network's multiply-adds needed to reach the layer

Examples:
  tapline layers efficientnet-lite0
  tapline layers resnet50.onnx --json")]
pub struct LayersArgs {
    /// A model card's name or file, or a .onnx file
    pub model: String,
    /// Only the stages the model card names
    #[arg(long)]
    pub stages: bool,
    /// Side of the input in pixels, where the file leaves it free
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SIDE)))]
    pub size: Option<u32>,
    /// Order of the input's axes, where it cannot be seen from the file
    #[arg(long)]
    pub layout: Option<LayoutArg>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}

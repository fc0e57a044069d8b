//! What is asked of stores that are there: to join them, to write them as tables, to say what they hold.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use tapline_onnx::DeviceRequest;

use super::LayoutArg;

/// Arguments of `tapline merge`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The stores are those of `tapline extract --shard I/N`, all N of them, in any order. What comes out
is byte for byte the store of a run without --shard: arrays, listing.parquet and store.json. They
must agree in the model, the preprocessing, decoding, bits, views, precision with its ranges,
number type, taps, versions of tapline and of the runtime, kind of device, and the whole listing
(paths, labels, split, further columns); what does not fit, is missing or is there twice is named,
and then nothing is written. Where sessions, batch, threads or the device's number differ,
store.json names those of shard 0.

The shards stay as they are and may be deleted afterwards. A merge that was stopped is done again
by the same command. Memory does not grow with the features.

Exit codes: 0 done, 1 failed or no picture could be used, 3 done, but some pictures were skipped by
the extractions.

Examples:
  tapline merge photos.0.store photos.1.store photos.2.store photos.3.store --out photos.store
  tapline merge shards/*.store --out photos.store --json"
)]
pub struct MergeArgs {
    /// The shards' folders
    #[arg(required = true, value_name = "SHARD")]
    pub shards: Vec<PathBuf>,
    /// The folder of the store to make
    #[arg(long, short, value_name = "STORE")]
    pub out: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tapline export-rows`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "A line for each picture in the order of the listing: path, label, split, your further columns
(as text), sha256, skipped (why there are no features; null where there are) and features, a list of float32
that is null where the picture was skipped. A store of several views has a line for each view of
each picture, with its number from 0 in the column view.

Lists are what Polars, DuckDB, Spark, pandas and pyarrow all open as they are; a column for each
number would not be opened well by any of them.
  duckdb    SELECT label, features::FLOAT[512] FROM 'rows.parquet' WHERE skipped IS NULL
  polars    pl.read_parquet('rows.parquet').drop_nulls('features')['features'].list.to_array(512)
  pandas    np.stack(pd.read_parquet('rows.parquet').features.dropna())
  spark     spark.read.parquet('rows.parquet').where('skipped is null').select('label', 'features')

Memory does not grow with the store.

Examples:
  tapline export-rows photos.store --tap blocks.11 --out rows.parquet
  tapline export-rows photos.store --tap head@mean+max --out rows.parquet --json")]
pub struct ExportRowsArgs {
    /// The store's folder
    pub store: PathBuf,
    /// The tap, by stage or tensor name; NAME@POOLING where the store has several poolings of it
    #[arg(long)]
    pub tap: String,
    /// The Parquet file to write
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tapline info`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  tapline info cells.store
  tapline info cells.store --json")]
pub struct InfoArgs {
    /// The store's folder
    pub store: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tapline predict`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Pictures are a folder, a table, shards or files, as `tapline extract` takes them. Their features are
computed as those that the probe learned from, by its own network, preprocessing, views, decoding,
bits and precision, and are gone when all is predicted (until then they take room in the folder for
temporary files, TMPDIR); nothing of a run that is stopped is kept. A store that is named instead
must hold the taps of the probe, extracted in the same way.

The CSV has a line for each picture of the listing: path, label, the columns below, and last
skipped (why there are no features; the columns between are empty then):
  of classes   predicted (the most probable, or what the probe's --recall calls), and the
               probability of each class
  of labels    predicted (those above one half, parted by |), and the probability of each
  of numbers   a column \"predicted NAME\" for each
Where pictures have labels, those of the probe's classes are compared with what it says, and those
it does not know are named.
Probabilities are those of the fit: they are as well calibrated as `tapline probe` and `tapline
report` say.

Examples:
  tapline probe cells.store --tap blocks.11 --save cells.probe.json
  tapline predict cells.probe.json new/ --out new.csv
  tapline predict cells.probe.json one.png another.jpg
  tapline predict cells.probe.json new.store --out - | cut -d, -f1,3"
)]
pub struct PredictArgs {
    /// The JSON file that `tapline probe --save` wrote
    pub probe: PathBuf,
    /// Pictures, or the folder of a store with their features
    #[arg(required = true, value_name = "PICTURES|STORE")]
    pub pictures: Vec<PathBuf>,
    /// The card or .onnx file of the probe's network, where it has no model card or was moved [default: the card of its name]
    #[arg(long, short)]
    pub model: Option<String>,
    /// Order of the axes of the network's input, where it cannot be seen from the file
    #[arg(long)]
    pub layout: Option<LayoutArg>,
    /// Where to run the network: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: DeviceRequest,
    /// Largest picture to decode, in megapixels
    #[arg(long, value_name = "MEGAPIXELS", default_value_t = 100)]
    pub max_megapixels: u32,
    /// Write all predictions to this CSV file; - prints them, and all else goes to standard error
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON: counts, not the predictions
    #[arg(long)]
    pub json: bool,
}

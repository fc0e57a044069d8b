//! What can be typed, as typed; commands turn it into checked plans.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use tapline_core::{Channels, Interpolation, MAX_SIDE, Pooling, Shard, Views};
use tapline_onnx::{DeviceRequest, Layout};
use tapline_probe::Solver;

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
  tapline probe photos.store --tap blocks.11

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 features were extracted but some pictures were skipped, 130 or 143 an
extraction was stopped by SIGINT (Ctrl-C) or SIGTERM and can be continued."
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

/// Arguments of `tapline extract`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Pictures, none of which is unpacked or copied:
  folder         of class folders (train/CLASS and test/CLASS are read as a split), of pictures, or of shards
  table          .csv, .tsv or .parquet with the columns path, label (optional), split (optional) and any others, which are
                 kept
  tar shards     WebDataset: NAME.jpg (or .png, ...) with NAME.cls (the label) or NAME.json (label, split, other columns);
                 without either, a packed folder of class folders
  Parquet        pictures in a column of bytes, or in `bytes` of a column `image` as Hugging Face's datasets have them; label,
                 split and other columns; the names of classes are read from the file's metadata
  URLs           s3://, gs://, az://, http:// or https:// in a table's column path; or s3://BUCKET/PREFIX (gs, az) as a
                 folder. Credentials come from AWS_*, GOOGLE_* and AZURE_* variables (AWS_ENDPOINT and AWS_ALLOW_HTTP for
                 servers of your own), never from a URL. Pictures are fetched ahead of the work within --prefetch-bytes
Several shards: each as an argument, with wildcards, or with braces in quotes ('train-{000..146}.tar'), where all must be
there. A picture of a shard is listed as \"SHARD: MEMBER\".

Taps: stage or tensor names, globs, or `stages` for every stage of the card; NAME@POOLING pools one tap its own way.
Poolings: mean, max, mean+max, gem, gem:P, grid:K (K × K cells), flatten.

Views: what the network sees of each picture. All are kept, row i of an array holding the views of picture i, and `probe`
and `compare` take their mean. Each view costs a pass; flips suit pictures without an up and down (cells, tiles, maps).
  centre         the picture alone (the default)
  flip           as it is, and mirrored left to right
  flips          as it is, mirrored left to right, top to bottom, both
  ten-crop       the four corners and the centre of the resized picture, then the same five of its mirror image; needs a
                 --resize larger than the input
  random:N       N parts of the picture (half of its area or more, half of them mirrored), drawn anew for each picture
  random:N:SEED  by another seed than 0; N up to 64

Precision: `--precision int8` first measures the ranges of the network's tensors on up to 128 of the pictures, evenly spread
over the listing, and then runs it in bytes. Its features are others than those of float32 (`make bench ROWS=int8` shows by
how much), so a store holds one or the other. The ranges are kept in the store and used again by later runs over it.

Shards: `--shard I/N` takes part I of N of the listing, counted from 0: its rows ⌊I·rows/N⌋ up to ⌊(I+1)·rows/N⌋. Every shard
needs the whole listing and a --store of its own, and may run anywhere and at any time; `tapline merge` joins them to the
very bytes of a run without --shard. With --precision int8 every shard measures the same pictures, those of the whole
listing, so it must be able to read them.

Running it again on the same store computes only what is missing: new pictures, new taps; changed labels cost nothing.
A run that was stopped goes on where it was. Ctrl-C (SIGINT) and SIGTERM let the pictures in flight finish first and exit
with 130 or 143; a second one ends at once, which costs two seconds of work at most.

Examples:
  tapline extract photos/ --model squeezenet1.1 --store photos.store
  tapline extract 'shards/train-{000..009}.tar' --model squeezenet1.1 --store photos.store
  tapline extract list.csv --model efficientnet-lite0 --taps blocks.10,blocks.11@mean+max,head --store cells.store
  tapline extract photos/ --model resnet50.onnx --preprocess torchvision --taps '*relu*' --store photos.store
  tapline extract cells/ --model squeezenet1.1 --squash --views flips --store cells-flips.store
  tapline extract photos/ --model efficientnet-lite0 --precision int8 --device cpu --store photos-int8.store
  tapline extract photos/ --model efficientnet-lite0 --shard 0/4 --store photos.0.store")]
pub struct ExtractArgs {
    /// A folder of pictures, a .csv, .tsv or .parquet file that lists them, or .tar or .parquet shards that hold them
    #[arg(required = true)]
    pub pictures: Vec<PathBuf>,
    /// A model card's name or file, or a .onnx file
    #[arg(long, short)]
    pub model: String,
    /// The folder to keep the features in
    #[arg(long, short)]
    pub store: PathBuf,
    /// What to tap, separated by commas or given several times [default: stages, where a model card names them]
    #[arg(long, short)]
    pub taps: Vec<String>,
    /// Poolings of the taps that name none, separated by commas
    #[arg(long, short, value_delimiter = ',', default_value = "mean")]
    pub pool: Vec<Pooling>,
    /// What the network sees of each picture: centre, flip, flips, ten-crop, random:N or random:N:SEED
    #[arg(long, default_value_t = Views::Centre)]
    pub views: Views,
    /// Arithmetic of the network: float32 runs it as it is stored; int8 runs it in bytes, on the processor alone, in
    /// about half the time where that has instructions for it
    #[arg(long, default_value = "float32")]
    pub precision: PrecisionArg,
    /// Number type of stored features
    #[arg(long, default_value = "f32")]
    pub dtype: DtypeArg,
    /// Where to run: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: DeviceRequest,
    /// Pictures, or views of them, per pass [default: 1 on the processor, 32 on a GPU]
    #[arg(long, value_name = "N")]
    pub batch: Option<std::num::NonZeroUsize>,
    /// Worker threads, each with a session of its own [default: one for each core, 3 on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Largest picture to decode, in megapixels
    #[arg(long, value_name = "MEGAPIXELS", default_value_t = 100)]
    pub max_megapixels: u32,
    /// Only part I of N of the listing, counted from 0 (0/4, 1/4, 2/4, 3/4), into a store that `tapline merge` joins
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Stop at the first picture that cannot be used, instead of skipping it
    #[arg(long)]
    pub strict: bool,
    /// Bytes of pictures behind URLs to hold ahead of the work; the one that is due is fetched even if it is larger
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub prefetch_bytes: u64,
    /// How often a failed request to a source behind URLs is made again, at growing intervals, before the run ends
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u8,
    /// Drop stored features of pictures that are not listed any more
    #[arg(long)]
    pub prune: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
}

/// How pictures are prepared. A model card states all of it, and only `--resize` and `--squash` may overrule it;
/// without a card all of it must be stated.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Preprocessing (a model card states it; --squash and --resize may overrule the card)")]
pub struct PreprocessingArgs {
    /// A Hugging Face preprocessor_config.json, a timm config.json, or `torchvision` for what its classifiers take
    #[arg(long, value_name = "FILE|torchvision")]
    pub preprocess: Option<String>,
    /// Side of the network's input in pixels, where the file leaves it free
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SIDE)))]
    pub size: Option<u32>,
    /// Resize the short side to this many pixels, then crop the centre
    #[arg(long, value_name = "PIXELS", conflicts_with = "squash")]
    pub resize: Option<u32>,
    /// Use the whole picture: resize both sides to the input's size, whatever the proportions
    #[arg(long)]
    pub squash: bool,
    /// Resampling filter
    #[arg(long)]
    pub interpolation: Option<InterpolationArg>,
    /// Channel order
    #[arg(long)]
    pub channels: Option<ChannelsArg>,
    /// Factor on pixel values 0..255, such as 0.00392157 for inputs in 0..1
    #[arg(long)]
    pub scale: Option<f32>,
    /// Subtracted after scaling, one number or one per channel in the network's order
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true)]
    pub mean: Vec<f32>,
    /// Divides the difference, one number or one per channel in the network's order
    #[arg(long, value_delimiter = ',')]
    pub std: Vec<f32>,
    /// Order of the input's axes, where it cannot be seen from the file
    #[arg(long)]
    pub layout: Option<LayoutArg>,
}

/// Arguments of `tapline merge`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The stores are those of `tapline extract --shard I/N`, all N of them, in any order. What comes out is byte for byte the
store of a run without --shard: arrays, listing.parquet and store.json. They must agree in the model, the preprocessing,
views, precision with its ranges, number type, taps, versions of tapline and of the runtime, kind of device, and the whole
listing (paths, labels, split, further columns); what does not fit, is missing or is there twice is named, and then nothing
is written. Where batch, threads or the device's number differ, store.json names those of shard 0.

The shards stay as they are and may be deleted afterwards. A merge that was stopped is done again by the same command.
Memory does not grow with the features.

Exit codes: 0 done, 1 failed, 3 done, but some pictures were skipped by the extractions.

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
#[command(
    after_help = "A line for each picture in the order of the listing: path, label, split, your further columns, sha256, skipped (why there
are no features; null where there are) and features, a list of float32 that is null where the picture was skipped. A store of
several views has a line for each view of each picture, with its number from 0 in the column view.

Lists are what Polars, DuckDB, Spark, pandas and pyarrow all open as they are; a column for each number would not be opened
well by any of them.
  duckdb    SELECT label, features::FLOAT[512] FROM 'rows.parquet' WHERE skipped IS NULL
  polars    pl.read_parquet('rows.parquet').drop_nulls('features')['features'].list.to_array(512)
  pandas    np.stack(pd.read_parquet('rows.parquet').features.dropna())
  spark     spark.read.parquet('rows.parquet').where('skipped is null').select('label', 'features')

Memory does not grow with the store.

Examples:
  tapline export-rows photos.store --tap blocks.11 --out rows.parquet
  tapline export-rows photos.store --tap head@mean+max --out rows.parquet --json"
)]
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
pub struct InfoArgs {
    /// The store's folder
    pub store: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How probes are chosen and scored.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Protocol")]
pub struct ProtocolArgs {
    /// Stratified folds; every picture is scored by a probe that never saw its fold
    #[arg(long, default_value_t = 5)]
    pub folds: usize,
    /// Score the pictures whose split column says test, by probes that learn from those that say train; the others are
    /// unused, and strengths and layers are chosen on folds of the training pictures
    #[arg(long)]
    pub split: bool,
    /// Keep pictures with the same value in this column of the listing on one side of every fold, such as those of one
    /// patient, module or camera; intervals then come from a bootstrap over the groups
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<String>,
    /// Also probe with labels shuffled within folds: what is right then is chance, the largest class's share at most but
    /// for luck
    #[arg(long)]
    pub control: bool,
    /// Seed of the folds
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Regularisation strengths C to choose from on inner folds (scikit-learn's C), separated by commas; the largest are left
    /// out where 100 times the best of the smaller ones has brought half as much held-out loss again [default: 45 from
    /// 1e-6 to 1e5, four in each decade; with linfa-logistic 0.001,0.01,0.1,1]
    #[arg(long, value_delimiter = ',', value_name = "C")]
    pub strengths: Vec<f64>,
    /// Memory in MiB that the features of a tap and their fits may take; features that take more are read from the store in
    /// each pass
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub memory: usize,
    /// What fits the probes; both minimise the same objective
    #[arg(long, default_value = "batched")]
    pub solver: SolverArg,
}

/// What `compare`, `advise` and `report` look at, and how it is scored.
#[derive(Debug, ClapArgs)]
pub struct ComparedArgs {
    /// The stores' folders
    #[arg(required = true, value_name = "STORE")]
    pub stores: Vec<PathBuf>,
    /// Also probe these taps of a store as one, their features side by side; may be given several times
    #[arg(long, value_name = "TAP+TAP...")]
    pub join: Vec<String>,
    #[command(flatten)]
    pub protocol: ProtocolArgs,
    #[command(flatten)]
    pub design: DesignArgs,
}

/// What else there is to say of the protocol of `probe`, `compare`, `advise` and `report`.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Protocol")]
pub struct DesignArgs {
    /// Instead of folds that take turns, part the pictures N times at random, the classes alike (with --group: whole
    /// groups): each time --test-share of them are scored by a probe that learns from the others, and chooses its strength
    /// on --folds folds of those. Intervals come from a bootstrap over the pictures (or groups), each drawn with all its
    /// scores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "split")]
    pub shuffles: Option<u16>,
    /// Share of the pictures that each shuffle scores
    #[arg(long, value_name = "SHARE", default_value_t = 0.25, requires = "shuffles")]
    pub test_share: f64,
    /// What is done to the features first, learned on training pictures alone
    #[arg(long, default_value = "standardise")]
    pub transform: TransformArg,
    /// Principal components that --transform pca keeps at most [default: 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub components: Option<u16>,
    /// Let each class weigh as much as any other in the fits, however few its pictures are (scikit-learn's
    /// class_weight="balanced"); strengths are still chosen by the pictures right
    #[arg(long)]
    pub balanced: bool,
}

/// Arguments of `tapline probe`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Scores:
  balanced accuracy  mean over classes of the share of each classified right
  macro F1           mean over classes of the harmonic mean of precision and recall
  top-5 accuracy     share whose class is among the five most probable, of more than five classes
  AUROC              area under the ROC curve; of more than two classes the mean of each against the rest
  average precision  area under the precision-recall curve: of two classes for the second by name, of more the mean of each
                     against the rest
  log loss           mean of -ln of the probability given to the true class
  calibration error  mean gap between probability and share right, over 15 bins of equal width

Examples:
  tapline probe cells.store --tap blocks.11
  tapline probe cells.store --tap head --save head.probe.json --json
  tapline probe cells.store --tap head --split --predictions head.csv
  tapline probe cells.store --tap blocks.10+blocks.11@mean+max+head
  tapline probe cells.store --tap head --shuffles 10 --test-share 0.25
  tapline probe cells.store --tap head --shots 1,2,5,10,30 --repeats 10")]
pub struct ProbeArgs {
    /// The store's folder
    pub store: PathBuf,
    /// The tap, by stage or tensor name; NAME@POOLING where the store has several poolings of it. Several joined by + are
    /// probed as one, their features side by side
    #[arg(long, visible_alias = "taps", value_name = "TAP[+TAP...]")]
    pub tap: String,
    /// Also score the nearest class mean and the 1, 5 and 20 nearest neighbours (each by itself, none is chosen), by Euclidean
    /// and cosine distance of the same transformed features, on the same pictures
    #[arg(long)]
    pub baselines: bool,
    /// Also probe with so few pictures of each class to learn from, separated by commas: drawn --repeats times, all other
    /// pictures scored; from 3 on, strengths are chosen on folds of those drawn
    #[arg(long, value_delimiter = ',', value_name = "K", conflicts_with_all = ["split", "group"],
          value_parser = clap::value_parser!(u16).range(1..))]
    pub shots: Vec<u16>,
    /// Draws for each number of --shots
    #[arg(long, value_name = "N", default_value_t = 10, requires = "shots", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub repeats: u16,
    /// Fit a probe on all labelled pictures (with --split: the training ones) and write it to this JSON file
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Write what was predicted for each picture to this CSV file: path, label, fold, predicted class, the probabilities of
    /// the predicted and of the true class
    #[arg(long, value_name = "FILE")]
    pub predictions: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub protocol: ProtocolArgs,
    #[command(flatten)]
    pub design: DesignArgs,
}

/// Arguments of `tapline compare`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Columns:
  >, =       the tap with most right pictures, and those not significantly worse than the best, at a level of 5 %: a model
             confidence set over all pairs of taps, by random signs of pictures or groups; --json has every p
  accuracy   share of pictures classified right, with its 95 % interval: Wilson's, or with --group the percentiles of
             2,000 resamples of the groups, with --shuffles of the pictures (too narrow where nearly all pictures are right)
  balanced   mean over classes of the share of each classified right
  strength   the regularisation strength C, the median of what the folds chose
  *          after a strength: the grid's edge, a wider grid may do better
  LogME      evidence of a linear model of the classes, in nats for each picture (with --rankings)
  H-score    variance between classes over variance (with --rankings); both grow with the number of features
  CKA        how alike the features are to those of the best tap, 0 to 1 (linear, with --rankings)

Several stores (other networks, other poolings) must hold the same pictures; the top layer is compared with the stages
below it in its own network.

Scores are kept in the store, so that a second run prints them at once.

Examples:
  tapline compare cells.store --json
  tapline compare cells.store --rankings
  tapline compare small.store large.store
  tapline compare cells.store --join blocks.10+blocks.11
  tapline compare cells.store --split
  tapline compare cells.store --group module --control
  tapline compare cells.store --shuffles 10 --test-share 0.25")]
pub struct CompareArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV
    #[arg(long)]
    pub csv: bool,
    /// Add LogME, H-score and CKA: what can be said of the taps without probes, and how well that agrees with the probes
    #[arg(long)]
    pub rankings: bool,
    #[command(flatten)]
    pub compared: ComparedArgs,
}

/// Arguments of `tapline advise`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "The table (Stanford's course CS231n):
                              similar to the pretraining set     very different from it
  little data                 linear classifier on the top       linear classifiers on different stages
  quite a lot of data         finetune a few layers              finetune more layers

How much data: pictures of the median class, and what doubling them would bring, by a power law through probes that learn
from nested subsets. How similar: whether the top layer falls behind an inner stage, how sure the network's own classifier
is, and how far its batch norms' channels have moved. Where these are weak or do not agree the answer is \"uncertain\";
docs/advice.md shows what they say of known sets.

The layer is the cheapest that is not significantly worse than the best. Several stores (other networks, other poolings)
must hold the same pictures. Extract with --taps stages, so that all stages and the network's answers are there.

Examples:
  tapline advise cells.store
  tapline advise small.store large.store --json")]
pub struct AdviseArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compared: ComparedArgs,
}

/// Arguments of `tapline explain`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "A linear probe on the mean of a map scores each cell of the map, too; the picture's score is the mean of its cells. One
PNG for each picture: as the network sees it, and beside that in orange what speaks for the class and in blue what speaks
against it. The probe learns from all labelled pictures of the store (with --split, from its training pictures), so it may
have seen the pictures explained: this shows what it looks at, not how well it does.

Examples:
  tapline explain cells.store --tap blocks.11 cells/cell0001.png --out explained
  tapline explain cells.store --tap fire8 --class defective new/*.png --out explained --json"
)]
pub struct ExplainArgs {
    /// The store's folder
    pub store: PathBuf,
    /// Picture files, of the store or new ones
    #[arg(required = true, value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
    /// The tap whose probe is explained, with pooling mean: NAME or NAME@mean
    #[arg(long)]
    pub tap: String,
    /// The folder to write to
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,
    /// The class whose evidence is shown [default: for each picture the one that the probe says]
    #[arg(long)]
    pub class: Option<String>,
    /// The network's card or .onnx file, where the store's name for it is not a card's
    #[arg(long)]
    pub model: Option<String>,
    /// Print JSON, with the maps
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub protocol: ProtocolArgs,
}

/// Arguments of `tapline report`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The page is one file that loads nothing: it opens from disk, in light and dark, on paper and by keyboard. It holds
the verdict, accuracy by depth, the table of all layers, confusion, calibration, the most confident mistakes and the least
confident hits, a map of the pictures in feature space, and where everything comes from.

Several stores (other networks, other poolings) must hold the same pictures. Where there are no labels, one class alone, or a
class smaller than the folds, the page says so and holds the map.

Thumbnails are made of the original files, which are looked for below --pictures; a file that is not there or has other
bytes than were extracted from is shown as an empty frame, and counted. Of mean-pooled taps the same files show where in
each picture the evidence for the predicted class is (as `tapline explain` does), by the probe that scored it.

Examples:
  tapline report cells.store --out report.html
  tapline report small.store large.store --pictures photos/ --out report.html --figures figures/"
)]
pub struct ReportArgs {
    /// The HTML file to write
    #[arg(long, short, value_name = "FILE", required_unless_present_any = ["figures", "json"])]
    pub out: Option<PathBuf>,
    /// Write the figures as SVG and PNG and the table as CSV and Markdown to this folder
    #[arg(long, value_name = "DIR")]
    pub figures: Option<PathBuf>,
    /// What was extracted from, a folder or a .csv/.tsv file, to find the original pictures [default: paths are tried from
    /// the working folder and from the store's]
    #[arg(long, value_name = "PICTURES")]
    pub pictures: Option<PathBuf>,
    /// A network's card or .onnx file, where a store's name for it is not a card's; may be given several times. The galleries'
    /// pictures go through it once more, to show where in them the evidence is
    #[arg(long, value_name = "MODEL")]
    pub model: Vec<String>,
    /// The page's title
    #[arg(long)]
    pub title: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compared: ComparedArgs,
}

/// Solvers of linear probes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SolverArg {
    /// All folds, strengths and classes at once
    Batched,
    /// The crate linfa-logistic, one fit after the other: slower, and with many classes not always converged
    LinfaLogistic,
}

impl From<SolverArg> for Solver {
    fn from(solver: SolverArg) -> Self {
        match solver {
            SolverArg::Batched => Self::Batched,
            SolverArg::LinfaLogistic => Self::LinfaLogistic,
        }
    }
}

/// Transforms of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TransformArg {
    /// Columns to mean 0 and standard deviation 1
    Standardise,
    /// Nothing: strengths are in the features' own unit
    None,
    /// Rows to Euclidean length 1, then standardised
    L2,
    /// Signed square root, then standardised
    Sqrt,
    /// Standardised, then projected on the first principal components
    Pca,
}

/// What arithmetic a network runs in, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    /// As it is stored.
    Float32,
    /// In bytes, with ranges measured on the pictures.
    Int8,
}

/// Number type of stored features.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DtypeArg {
    /// float32, 4 bytes
    F32,
    /// float16, 2 bytes, numbers up to 65504
    F16,
}

/// Order of the input's axes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LayoutArg {
    /// Channel, row, column
    Nchw,
    /// Row, column, channel
    Nhwc,
}

impl From<LayoutArg> for Layout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Nchw => Self::Nchw,
            LayoutArg::Nhwc => Self::Nhwc,
        }
    }
}

/// Resampling filters.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[allow(missing_docs)]
pub enum InterpolationArg {
    Nearest,
    Box,
    Bilinear,
    Bicubic,
    Lanczos,
}

impl From<InterpolationArg> for Interpolation {
    fn from(interpolation: InterpolationArg) -> Self {
        match interpolation {
            InterpolationArg::Nearest => Self::Nearest,
            InterpolationArg::Box => Self::Box,
            InterpolationArg::Bilinear => Self::Bilinear,
            InterpolationArg::Bicubic => Self::Bicubic,
            InterpolationArg::Lanczos => Self::Lanczos,
        }
    }
}

/// Channel orders.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[allow(missing_docs)]
pub enum ChannelsArg {
    Rgb,
    Bgr,
    Grey,
}

impl From<ChannelsArg> for Channels {
    fn from(channels: ChannelsArg) -> Self {
        match channels {
            ChannelsArg::Rgb => Self::Rgb,
            ChannelsArg::Bgr => Self::Bgr,
            ChannelsArg::Grey => Self::Grey,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}

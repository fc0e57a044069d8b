//! What is asked of probes: which taps, which protocol, which renderings.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args as ClapArgs, ValueEnum};
use tapline_probe::Solver;

/// How probes are chosen and scored.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Protocol")]
pub struct ProtocolArgs {
    /// Stratified folds; every picture is scored by a probe that never saw its fold
    #[arg(long, default_value_t = 5)]
    pub folds: usize,
    /// Train on the pictures whose split column says train and score those that say test; the others are unused, and
    /// strengths and layers are chosen on folds of the training pictures
    #[arg(long)]
    pub split: bool,
    /// Never split pictures with the same value in this column of the listing between training and test, such as those of
    /// one patient, module or camera; intervals then come from a bootstrap over the groups
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<String>,
    /// Leave out classes with fewer pictures than this (with --split: training pictures)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_class: usize,
    /// Seed of the folds
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Regularisation strengths C to choose from on inner folds (scikit-learn's C), separated by commas; larger ones are not
    /// tried once C is 100 times the best and the held-out loss 1.5 times its lowest [default: 45 from 1e-6 to 1e5, four per
    /// decade; with linfa-logistic 0.001,0.01,0.1,1]
    #[arg(long, value_delimiter = ',', value_name = "C")]
    pub strengths: Vec<f64>,
    /// Memory in MiB that the features of a tap may take, and about twice as much again their fits; features that take more are
    /// read from the store in each pass (but --baselines and linfa-logistic keep training rows in double precision, pca those of
    /// taps with more features than pictures, and maps and --rankings a sample of 2,000 and 4,096 pictures)
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
    /// Instead of cross-validation, N random splits, stratified by class (with --group: by whole groups): each time a probe
    /// is trained on all but --test-share of the pictures, its strength chosen on --folds folds of those, and scored on the
    /// rest. Intervals come from a bootstrap over the pictures (or groups), each drawn with all its scores. Not with --split
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "split")]
    pub shuffles: Option<u16>,
    /// Share of the pictures that each of the --shuffles scores
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
    /// Also probe with labels shuffled within folds (with --shuffles over all pictures): accuracy is then at chance, at most the
    /// largest class's share but for luck
    #[arg(long)]
    pub control: bool,
}

/// The share of a class's pictures that is to be found, typed as `CLASS=SHARE`.
#[derive(Debug, Clone, PartialEq)]
pub struct Recall {
    /// The class.
    pub class: String,
    /// The share, between 0 and 1.
    pub share: f64,
}

impl FromStr for Recall {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let parted = typed.rsplit_once('=').and_then(|(class, share)| Some((class, share.parse::<f64>().ok()?)));
        match parted {
            Some((class, share)) if share > 0.0 && share < 1.0 => Ok(Self { class: class.to_owned(), share }),
            _ => Err("give a class and a share of its pictures between 0 and 1, such as defective=0.95".to_owned()),
        }
    }
}

/// Arguments of `tapline probe`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Scores:
  balanced accuracy  mean over classes of the share of each classified right
  macro F1           mean over classes of the harmonic mean of precision and recall
  top-5 accuracy     share whose class is among the five most probable, of more than five classes
  AUROC              area under the ROC curve; of more than two classes the mean of each against
                     the rest
  average precision  area under the precision-recall curve: of two classes for the second by name,
                     of more the mean of each against the rest
  log loss           mean of -ln of the probability given to the true class
  calibration error  mean gap between probability and share right, over 15 bins of equal width

Scores of --multi-label (strengths are chosen by held-out log loss):
  mAP                mean over labels of the average precision; labels that no picture scored has
                     are left out
  micro F1           F1 of all labels of all pictures together, a label predicted where its
                     probability is above one half
  macro F1           mean over labels of the F1 of each
  log loss           mean over pictures and labels of -ln of the probability given to what is so

Scores of --regression (strengths are chosen by held-out squared error, each target in units of
its standard deviation):
  R2                 1 - squared error / variance, the mean over targets
  cosine             median over pictures of the cosine of predicted and true numbers, of several
                     targets
  MAE, RMSE          mean absolute and root mean squared error, in the target's unit

Examples:
  tapline probe cells.store --tap blocks.11
  tapline probe scenes.store --multi-label
  tapline probe faces.store --regression --target age,height --tap head --predictions head.csv
  tapline probe birds.store --regression --target-table word-vectors.csv --target 'v*'
  tapline probe cells.store --tap head --save head.probe.json --json
  tapline probe cells.store --tap head --split --predictions head.csv
  tapline probe cells.store --tap head --recall defective=0.95 --save head.probe.json
  tapline probe cells.store --tap blocks.10+blocks.11@mean+max+head
  tapline probe cells.store --tap head --shuffles 10 --test-share 0.25
  tapline probe cells.store --tap head --shots 1,2,5,10,30 --repeats 10")]
#[command(group(ArgGroup::new("numbers").multiple(true).args(["target", "target_table"])))]
pub struct ProbeArgs {
    /// The store's folder
    pub store: PathBuf,
    /// The tap, by stage or tensor name; NAME@POOLING where the store has several poolings of it. Several joined by + are
    /// probed as one, their features side by side
    #[arg(long, visible_alias = "taps", value_name = "TAP[+TAP...]", required_unless_present_any = ["multi_label", "regression"])]
    pub tap: Option<String>,
    /// The label column holds any number of labels for each picture, separated by | or ; (none where it is empty): one-vs-rest
    /// logistic regression. Without --tap, all taps in one table
    #[arg(long, conflicts_with_all = ["regression", "baselines", "shots", "balanced", "control", "min_class"])]
    pub multi_label: bool,
    /// Predict the numbers in the columns of --target by ridge regression; pictures without all of them are left out. Without
    /// --tap, all taps in one table
    #[arg(long, requires = "numbers", conflicts_with_all = ["baselines", "shots", "balanced", "control", "min_class"])]
    pub regression: bool,
    /// Columns of the listing that hold the numbers of --regression, separated by commas; 'v*' stands for all whose names fit
    #[arg(long, value_delimiter = ',', value_name = "COLUMN[,COLUMN...]", requires = "regression")]
    pub target: Vec<String>,
    /// A .csv or .tsv file that holds the columns instead, joined to the listing by its column path, or else label: a row for
    /// each picture, or for each class (word vectors). Without --target, all its columns
    #[arg(long, value_name = "FILE", requires = "regression")]
    pub target_table: Option<PathBuf>,
    /// Also score the nearest class mean and the 1, 5 and 20 nearest neighbours (each by itself, none is chosen), by Euclidean
    /// and cosine distance of the same transformed features, on the same pictures
    #[arg(long)]
    pub baselines: bool,
    /// Also train few-shot probes on K pictures of each class (K separated by commas): drawn --repeats times, all other
    /// pictures scored; from 3 on, strengths are chosen on folds of those drawn. Not with --split or --group
    #[arg(long, value_delimiter = ',', value_name = "K", conflicts_with_all = ["split", "group"],
          value_parser = clap::value_parser!(u16).range(1..))]
    pub shots: Vec<u16>,
    /// Draws for each number of --shots
    #[arg(long, value_name = "N", default_value_t = 10, requires = "shots", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub repeats: u16,
    /// Aim at finding this share of a class's pictures, of two classes: choose the probability from which on it is called, and
    /// show what that costs (recall, specificity, precision). --save keeps it, and `predict` and --predictions go by it. With few
    /// pictures of the class, more or less than this may be found of new ones. Not with --shuffles
    #[arg(long, value_name = "CLASS=SHARE", conflicts_with_all = ["multi_label", "regression", "shuffles"])]
    pub recall: Option<Recall>,
    /// Fit a probe on all labelled pictures (with --split: the training ones) and write it to this JSON file
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Write what was predicted for each picture to this CSV file: path, label, fold, predicted class, the probabilities of
    /// the predicted and of the true class; of several labels the probability of each, of numbers what was to be predicted too
    /// (a target called as one of these columns as `target NAME`)
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
  >, =       the best tap (most pictures classified right), and those not significantly worse at
             the 5 % level: a model confidence set over all pairs of taps, by random signs of
             pictures or groups; --json has every p
  accuracy   share of pictures classified right, with its 95 % interval: Wilson's, or with --group
             the percentiles of 2,000 resamples of the groups, with --shuffles of the pictures
             (too narrow where nearly all pictures are right)
  balanced   balanced accuracy: the mean of the classes' recalls
  strength   the regularisation strength C, the median of the folds' choices
  *          after a strength: the grid's edge, a wider grid may do better
  LogME      log evidence of a linear model of the classes, in nats per picture (with --rankings)
  H-score    between-class variance over variance (with --rankings); both grow with the number of
             features
  CKA        how alike the features are to those of the best tap, 0 to 1 (linear, with --rankings)

Several stores (other networks, other poolings) must hold the same pictures; the top layer is
compared with the stages below it in its own network.

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

/// Points of accuracy that the layer `advise` names may lose against the best, unless said otherwise.
pub const MAX_LOSS: f64 = 2.0;

/// Arguments of `tapline advise`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "The table (Stanford's course CS231n):
                      similar to the pretraining set    very different from it
  little data         linear classifier on the top      linear classifiers on different stages
  quite a lot of data finetune a few layers             finetune more layers

How much data: pictures in the median class, and what doubling them would bring, by a power law
fitted to probes trained on nested subsets. How similar: whether the top layer falls behind an
inner stage, how confident the network's own classifier is, and how far its batch norms' channels
have shifted. The last two take a model card: of a plain .onnx file the layer curve is left, whose
top is the deepest tap you extracted (leave the network's own classifier out of --taps). Where
these are weak or disagree the answer is \"uncertain\"; docs/advice.md shows the results on known
data sets.

The layer is the cheapest that neither `compare` (all pairs of layers at once) nor a test against
the best alone calls worse, and the 95 % interval of whose loss ends at --max-loss or below (each
layer's own interval, not corrected for the choice). With few pictures that is most often the best
layer itself; a cheaper one that is not shown to be worse is named beside it, and with --max-loss
100 in its place.

Several stores (other networks, other poolings) must hold the same pictures. Extract with --taps
stages, so that all stages and the network's outputs are there.

Examples:
  tapline advise cells.store
  tapline advise cells.store --max-loss 100
  tapline advise small.store large.store --json")]
pub struct AdviseArgs {
    /// Name a layer only if it loses at most so many points of accuracy against the best, by the 95 % interval of its loss; 100 to
    /// name any that is not shown to be worse
    #[arg(long, value_name = "POINTS", value_parser = points, default_value_t = MAX_LOSS)]
    pub max_loss: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compared: ComparedArgs,
}

/// Points of accuracy.
fn points(text: &str) -> Result<f64, String> {
    let points = text.parse().ok().filter(|points| (0.0..=100.0).contains(points));
    points.ok_or_else(|| "give points of accuracy, from 0 to 100, such as 2".to_owned())
}

/// Arguments of `tapline explain`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "A linear probe on the mean of a map scores each cell of the map, too; the picture's score is the
mean of its cells. One PNG for each picture: as the network sees it, and beside that in orange
what speaks for the class and in blue what speaks against it. The probe learns from all labelled
pictures of the store (with --split, from its training pictures), so it may have seen the pictures
explained: this shows what it looks at, not how well it does.

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
    /// Largest new picture to decode, in megapixels; those of the store are decoded whatever their size
    #[arg(long, value_name = "MEGAPIXELS", default_value_t = 100)]
    pub max_megapixels: u32,
    /// Print JSON, with the maps
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub protocol: ProtocolArgs,
}

/// Arguments of `tapline report`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The page is one file that loads nothing: it opens from disk, in light and dark, on paper and by
keyboard. It holds the table of transfer learning with the pictures' field marked and what
`advise` says, the verdict, accuracy by depth and by number of pictures, the table of all layers,
confusion, calibration, the ROC curve of two classes, the most confident mistakes and the least
confident hits, a map of the pictures in feature space, and where everything comes from.

Several stores (other networks, other poolings) must hold the same pictures. Where there are no
labels, one class alone, or a class smaller than the folds, the page says so and holds the map.

Thumbnails are made of the original files, which are looked for below --pictures; a file that is
not there or has other bytes than were extracted from is shown as an empty frame, and counted;
pictures are read whatever limit of pixels they were extracted with. Of
mean-pooled taps the same files show where in each picture the evidence for the predicted class is
(as `tapline explain` does), by the probe that scored it.

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
    /// What was extracted from, a folder of pictures, a table or shards ('shards/*.tar'), to find the original pictures
    /// [default: paths are tried from the working folder and from the store's]
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

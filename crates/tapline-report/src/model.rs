//! What a report shows, as plain data: filled in by whoever knows stores and probes, rendered here.
//!
//! Optional parts that are not there are left out of the page, not drawn empty.

use serde::Serialize;

use crate::escape::{line, shortened};

/// Everything a report shows. Positions in `taps` and `backbones` are referred to by number.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What it is about, in a few words.
    pub title: String,
    /// What was found, in a few sentences.
    pub verdict: Vec<String>,
    /// Which field of the table of transfer learning the pictures are in; none where nothing was probed.
    pub field: Option<Field>,
    /// What a reader must know to trust it: pictures left out, copies, fits that did not converge.
    pub notes: Vec<String>,
    /// Pictures scored, or mapped where nothing was probed.
    pub pictures: usize,
    /// Pictures that a fixed split trains on and does not score; none where there is no such split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<usize>,
    /// Class names and their pictures, in order of their numbers.
    pub classes: Vec<(String, usize)>,
    /// The networks.
    pub backbones: Vec<Backbone>,
    /// All taps: by backbone, from shallow to deep.
    pub taps: Vec<TapRow>,
    /// The tap with most right pictures.
    pub best: Option<usize>,
    /// The score when the tap, too, is chosen without the pictures that score it.
    pub expected: Option<Accuracy>,
    /// How intervals are made, such as `Wilson interval`.
    pub interval: String,
    /// What `similarity` of the taps measures, for its axis.
    pub similarity: Option<String>,
    /// Learning curves.
    pub learning: Vec<LearningCurve>,
    /// Taps looked at closely, the best one first.
    pub layers: Vec<Layer>,
    /// Where pictures lie in feature space.
    pub map: Option<FeatureMap>,
    /// Small pictures; too many bytes for JSON.
    #[serde(skip)]
    pub thumbnails: Thumbnails,
    /// Where everything comes from.
    pub provenance: Provenance,
}

/// Which field of the table of transfer learning the pictures are in, and why: rows by the amount of data (little, quite a lot),
/// columns by likeness to the pretraining set (similar, very different).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Field {
    /// The field in words; where it may be several, they are to follow.
    pub sentence: String,
    /// Whether it may be this one `[row][column]`.
    pub may_be: [[bool; 2]; 2],
    /// What the table says to do `[row][column]`.
    pub recipes: [[String; 2]; 2],
    /// The layer to use and the evidence of each axis: a heading, and sentences.
    pub evidence: Vec<(String, Vec<String>)>,
}

/// One network with one preprocessing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Backbone {
    /// What people call it.
    pub name: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// The store's folder as it was typed.
    pub store: String,
    /// What is done to a picture first.
    pub preprocessing: String,
    /// Runtime and device that computed the features.
    pub computed: String,
}

/// One tap: where it is, and how probes on it did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TapRow {
    /// Its network: a position in `backbones`.
    pub backbone: usize,
    /// Its name.
    pub name: String,
    /// Its pooling.
    pub pooling: String,
    /// Numbers for each picture.
    pub features: usize,
    /// Share of the network's multiply-adds needed to reach it, 0 to 1.
    pub cost_share: f64,
    /// Whether it belongs to the network's own classifier.
    pub classifier: bool,
    /// Whether it is of the deepest layer below the classifier; several poolings of it all are.
    pub top: bool,
    /// Whether it is several taps, their features side by side.
    pub joined: bool,
    /// How its probes did; none where nothing was probed.
    pub scores: Option<Scores>,
    /// How it compares with the others, as far as that was computed.
    pub comparison: Comparison,
}

/// Pictures right out of all scored, with the 95 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Accuracy {
    /// Pictures right.
    pub correct: usize,
    /// Pictures scored.
    pub total: usize,
    /// Their ratio, 0 to 1.
    pub accuracy: f64,
    /// 95 % interval, 0 to 1.
    pub interval: (f64, f64),
}

/// Scores of one tap's probes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Scores {
    /// Pictures right.
    pub correct: usize,
    /// Pictures scored.
    pub total: usize,
    /// Their ratio, 0 to 1.
    pub accuracy: f64,
    /// 95 % interval, 0 to 1.
    pub interval: (f64, f64),
    /// Mean recall of the classes, 0 to 1.
    pub balanced_accuracy: f64,
    /// Mean F1 score of the classes, 0 to 1.
    pub macro_f1: f64,
    /// Of more than five classes: share whose class is among the five most probable, 0 to 1.
    pub top_five_accuracy: Option<f64>,
    /// Area under the ROC curve, 0 to 1.
    pub auroc: Option<f64>,
    /// Expected calibration error, 0 to 1.
    pub calibration_error: f64,
    /// Mean of `−ln p(true class)`, in nats.
    pub log_loss: f64,
    /// Accuracy with shuffled labels, where it was asked for, 0 to 1.
    pub control: Option<f64>,
    /// Strength C, the median of those the folds chose.
    pub strength: f64,
    /// Whether some fold's choice lies at the edge of the grid.
    pub at_edge: bool,
    /// Fits that did not converge.
    pub not_converged: usize,
}

/// How a tap compares with the others; what was not computed is none.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Comparison {
    /// Whether it is among those not significantly worse than the best.
    pub not_worse: Option<bool>,
    /// LogME of its features, in nats for each picture.
    pub log_me: Option<f64>,
    /// H-score of its features.
    pub h_score: Option<f64>,
    /// Linear centred kernel alignment with the best tap, 0 to 1.
    pub cka: Option<f64>,
    /// How similar the pictures are to the pretraining set, seen at this tap; `Report::similarity` says in what.
    pub similarity: Option<f64>,
}

/// Accuracy against the number of pictures to learn from.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LearningCurve {
    /// The tap: a position in `taps`.
    pub tap: usize,
    /// What was measured, ascending in pictures.
    pub points: Vec<LearningPoint>,
    /// The law fitted to it.
    pub fit: Option<LearningFit>,
}

/// One size of training set.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct LearningPoint {
    /// Pictures to learn from.
    pub pictures: usize,
    /// Mean accuracy over the repeats, 0 to 1.
    pub accuracy: f64,
    /// Their spread or interval, 0 to 1.
    pub interval: (f64, f64),
}

/// A law fitted to a learning curve.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LearningFit {
    /// The curve with its interval, ascending in pictures; it may go beyond what was measured.
    pub curve: Vec<LearningPoint>,
    /// What it says of more pictures, in a sentence.
    pub sentence: String,
}

/// A tap looked at closely.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Layer {
    /// The tap: a position in `taps`.
    pub tap: usize,
    /// Which classes are taken for which.
    pub confusion: Confusion,
    /// Reliability of the probabilities: bins of equal width over 0 to 1.
    pub calibration: Vec<Bin>,
    /// Of two classes, what it costs to find more of the rarer one; none of more classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roc: Option<Roc>,
    /// Wrong pictures, the surest first.
    pub mistakes: Vec<Picture>,
    /// Right pictures, the least sure first.
    pub hits: Vec<Picture>,
    /// Why the evidence in its pictures is not shown, to follow "not shown here:"; none where it is, or was not looked for.
    pub no_evidence: Option<String>,
}

/// Which classes are taken for which.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Confusion {
    /// Counts `[true class][predicted class]`; empty where there are too many classes to show.
    pub counts: Vec<Vec<usize>>,
    /// The most confused pairs, most confused first.
    pub pairs: Vec<Confused>,
}

/// Pictures of one class taken for another: classes by number.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Confused {
    /// True class.
    pub truth: usize,
    /// Predicted class.
    pub predicted: usize,
    /// How many.
    pub pictures: usize,
    /// Of how many of the true class.
    pub of: usize,
}

/// Predictions whose probability lies in one range.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Bin {
    /// Their mean probability, 0 to 1.
    pub probability: f64,
    /// Those right.
    pub correct: usize,
    /// All of them.
    pub total: usize,
    /// 95 % interval of the share right, 0 to 1.
    pub interval: (f64, f64),
}

/// Of two classes, what it costs to find more of one: the receiver operating characteristic.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Roc {
    /// The class to be found, by number.
    pub class: usize,
    /// Corners of the curve, from (0, 0) to (1, 1): share of the other class's pictures called this class, share of its own.
    pub curve: Vec<(f64, f64)>,
    /// Some points near it, ascending in recall; empty where no threshold could be chosen without the pictures that are called.
    pub points: Vec<OperatingPoint>,
}

/// A class of two, called from some probability of it on.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct OperatingPoint {
    /// The share of its pictures that was to be found, 0 to 1.
    pub wanted_recall: f64,
    /// The probability from which on it is called, 0 to 1.
    pub threshold: f64,
    /// Pictures of the class called so.
    pub recall: Accuracy,
    /// Pictures of the other class called the other class.
    pub specificity: Accuracy,
    /// Pictures called so that are of the class; none where none is called.
    pub precision: Option<Accuracy>,
}

/// One picture and what its probe said.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Picture {
    /// Its path as listed.
    pub path: String,
    /// Its class, by number.
    pub label: usize,
    /// The predicted class, by number.
    pub predicted: usize,
    /// Probability of the predicted class, 0 to 1.
    pub probability: f64,
    /// Position in `Thumbnails::pictures`; none where the file is not there.
    pub thumbnail: Option<usize>,
    /// What in the picture speaks for the predicted class; none where that cannot be traced back.
    pub evidence: Option<Evidence>,
}

/// Where in a picture the evidence for the predicted class is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Evidence {
    /// Mean over the cells, in the probe's unit: log-odds for two classes, else the score above the mean of all classes.
    pub score: f64,
    /// Width and height of the part that the network sees, from the picture's centre, as shares of its longer side.
    pub seen: (f64, f64),
    /// Cells of that part `[rows][columns]` from the top, as shares of the strongest, −1 to 1; too many numbers for JSON.
    #[serde(skip)]
    pub cells: Vec<Vec<f32>>,
}

/// Pictures in the plane, for several taps.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FeatureMap {
    /// Pictures there are; `points` are a sample where they are fewer.
    pub pictures: usize,
    /// Pictures shown, in an order shared by `layers` and the sprite.
    pub points: Vec<MapPoint>,
    /// Where they lie at each tap.
    pub layers: Vec<MapLayer>,
}

/// A picture on the map.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MapPoint {
    /// Its path as listed.
    pub path: String,
    /// Its class, by number.
    pub label: Option<usize>,
    /// Whether the sprite has it.
    pub has_thumbnail: bool,
}

/// Positions at one tap.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MapLayer {
    /// The tap: a position in `taps`.
    pub tap: usize,
    /// The first two principal components `[points]`.
    pub pca: Vec<[f32; 2]>,
    /// Share of the variance along each, 0 to 1.
    pub explained: [f64; 2],
    /// t-SNE `[points]`; none for too few pictures.
    pub tsne: Option<Vec<[f32; 2]>>,
    /// What was predicted `[points]`: class and its probability; none where a picture was not scored.
    pub predicted: Vec<Option<(usize, f64)>>,
}

/// Small pictures as JPEG files.
#[derive(Debug, Clone, Default)]
pub struct Thumbnails {
    /// Each of them once.
    pub pictures: Vec<Vec<u8>>,
    /// All points of the map in one picture.
    pub sprite: Option<Sprite>,
}

/// One picture of many: square cells in rows from the top left, cell i that of point i.
#[derive(Debug, Clone, Default)]
pub struct Sprite {
    /// A JPEG file.
    pub jpeg: Vec<u8>,
    /// Side of a cell in pixels.
    pub side: u32,
    /// Cells in a row.
    pub columns: u32,
}

/// Where a report comes from.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Provenance {
    /// The program and its version.
    pub program: String,
    /// How scores were made, line by line.
    pub protocol: Vec<String>,
    /// Rows of the listing.
    pub listed: usize,
    /// Pictures without features, with the reason.
    pub skipped: Vec<Skipped>,
    /// Pictures shown as an empty frame, for their file is not there or has changed.
    pub without_file: usize,
    /// Commands that make all of it again.
    pub commands: Vec<String>,
}

/// A picture without features.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Skipped {
    /// Its path as listed.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Field {
    /// Whether it is one field of the four.
    pub fn is_certain(&self) -> bool {
        self.may_be.iter().flatten().filter(|may_be| **may_be).count() == 1
    }

    /// The sentence, to its end.
    pub fn text(&self) -> String {
        format!("Field of the table: {}{}", self.sentence, if self.is_certain() { "." } else { " those marked." })
    }
}

impl Report {
    /// A tap's name in a sentence, not too long for one: with its pooling and its network where the name alone is not enough.
    pub fn tap_name(&self, tap: usize) -> String {
        let this = &self.taps[tap];
        let same = |other: &&TapRow| other.backbone == this.backbone && other.name == this.name;
        let pooled = self.taps.iter().filter(same).count() > 1;
        let name = line(&shortened(&this.name));
        let name = if pooled { format!("{name}@{}", this.pooling) } else { name };
        match self.backbones.get(this.backbone) {
            Some(backbone) if self.backbones.len() > 1 => {
                format!("{name} of {}", line(&shortened(&backbone.name)))
            }
            _ => name,
        }
    }

    /// A class's name.
    pub fn class_name(&self, class: usize) -> &str {
        self.classes.get(class).map_or("", |(name, _)| name)
    }

    /// Whether probes were scored.
    pub fn is_probed(&self) -> bool {
        self.taps.iter().any(|tap| tap.scores.is_some())
    }
}

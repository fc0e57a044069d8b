//! Model cards: what a network is, what it wants to be fed, and which of its tensors are stages.
//!
//! A card pins its model file by SHA-256: preprocessing that fits another file would cost accuracy in silence.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tapline_core::{Channels, Interpolation, Preprocess, Resize};

use crate::{Error, Layer, Layout, Model};

/// A model card, read from TOML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The name people type.
    pub name: String,
    /// The model file, relative to the card.
    pub file: PathBuf,
    /// The model file's SHA-256, lower-case hex.
    pub sha256: String,
    /// One sentence.
    pub description: String,
    /// Where the weights come from.
    pub source: String,
    /// The weights' licence.
    pub licence: String,
    /// Class names, one a line in the order of the network's output, relative to the card.
    pub classes: Option<PathBuf>,
    /// What the network wants to be fed.
    pub input: CardInput,
    /// Its stages in execution order.
    pub stages: Vec<Stage>,
    /// The card's own file.
    #[serde(skip)]
    pub path: PathBuf,
}

/// The input as a card states it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardInput {
    /// The input tensor's name.
    pub tensor: String,
    /// The order of its axes.
    pub layout: Layout,
    /// Rows, in pixels.
    pub height: u32,
    /// Columns, in pixels.
    pub width: u32,
    /// How a picture is brought near that size.
    pub resize: ResizeRule,
    /// Crop side over resized short side, in (0, 1]; 1 where the picture is squashed.
    #[serde(default = "one")]
    pub crop_fraction: f64,
    /// The resampling filter.
    pub interpolation: Interpolation,
    /// The channels and their order.
    pub channels: Channels,
    /// Factor on pixel values 0..=255.
    pub scale: f32,
    /// Subtracted after scaling, in the network's channel order.
    pub mean: Vec<f32>,
    /// Divides the difference, in the network's channel order.
    pub std: Vec<f32>,
}

/// The rule by which a picture is brought near the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResizeRule {
    /// The short side first, then a centre crop.
    ShortSide,
    /// Both sides at once, whatever the proportions.
    Squash,
}

/// A named depth of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The name people type.
    pub name: String,
    /// The tensor.
    pub tensor: String,
    /// Its channels, or its length where it is a vector.
    pub channels: usize,
    /// Input pixels from one cell to the next; none where it has no cells.
    pub reduction: Option<u32>,
    /// Whether it belongs to the network's own classifier, so that the layer below it is the top of the backbone.
    #[serde(default)]
    pub classifier: bool,
}

fn one() -> f64 {
    1.0
}

impl Card {
    /// Reads and checks a card.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Card`] with the file's path.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let refuse = |what: String| Error::Card { path: path.to_owned(), what };
        let mut card: Self = toml::from_str(&text).map_err(|e| refuse(format!("cannot be read: {e}")))?;
        card.path = path.to_owned();
        card.preprocess().check().map_err(|e| refuse(format!("is unsound: {e}")))?;
        if !(card.input.crop_fraction > 0.0 && card.input.crop_fraction <= 1.0) {
            return Err(refuse(format!("has a crop_fraction of {}, expected (0, 1]", card.input.crop_fraction)));
        }
        Ok(card)
    }

    /// The model file's path.
    pub fn model_path(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(&self.file)
    }

    /// Reads the card's model and checks that it is the one the card was written for.
    ///
    /// # Errors
    /// As [`Model::read`], and [`Error::Digest`] where the file is another one.
    pub fn read_model(&self) -> Result<Model, Error> {
        let path = self.model_path();
        if !path.exists() {
            let what = format!("names the model {}, which is not there; `make setup` builds it", path.display());
            return Err(Error::Card { path: self.path.clone(), what });
        }
        let model = Model::read(&path, Some(self.input.layout))?;
        if model.sha256 != self.sha256 {
            return Err(Error::Digest { path, expected: self.sha256.clone(), found: model.sha256 });
        }
        Ok(model)
    }

    /// Checks that the card's input and stages are those of its model, whose layers are `layers`.
    ///
    /// # Errors
    /// [`Error::Card`] naming the first difference.
    pub fn check(&self, model: &Model, layers: &[Layer]) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Card { path: self.path.clone(), what });
        if self.input.tensor != model.input.name {
            return refuse(format!("names the input {:?}, the model's is {:?}", self.input.tensor, model.input.name));
        }
        for stage in &self.stages {
            let Some(layer) = layers.iter().find(|layer| layer.name == stage.tensor) else {
                return refuse(format!(
                    "names the stage {:?}, but the model has no layer {:?}",
                    stage.name, stage.tensor
                ));
            };
            let (channels, reduction) = (layer.shape[0], layer.reduction);
            if channels != stage.channels || reduction != stage.reduction.map(f64::from) {
                return refuse(format!(
                    "gives the stage {:?} {} channels and reduction {:?}, the model has {channels} and {reduction:?}",
                    stage.name, stage.channels, stage.reduction
                ));
            }
        }
        Ok(())
    }

    /// The preprocessing the card states.
    pub fn preprocess(&self) -> Preprocess {
        let input = &self.input;
        let resize = match input.resize {
            ResizeRule::ShortSide => {
                let side = f64::from(input.height.max(input.width));
                Resize::ShortSide((side / input.crop_fraction.max(1e-3)).floor() as u32)
            }
            ResizeRule::Squash => Resize::Squash,
        };
        Preprocess {
            resize,
            height: input.height,
            width: input.width,
            interpolation: input.interpolation,
            channels: input.channels,
            scale: input.scale,
            mean: input.mean.clone(),
            std: input.std.clone(),
        }
    }
}

/// The cards (`*.toml`) in a folder, in order of name; files that are not cards are errors, none is passed over.
///
/// # Errors
/// As [`Card::read`].
pub fn read_cards(folder: &Path) -> Result<Vec<Card>, Error> {
    let entries = fs::read_dir(folder).map_err(|source| Error::Read { path: folder.to_owned(), source })?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    paths.iter().map(|path| Card::read(path)).collect()
}

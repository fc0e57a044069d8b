//! From MODEL as typed to a checked network with its preprocessing and stages.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tapline_core::{FeatureSpace, Preprocess, Resize};
use tapline_onnx::{
    Card, InputSize, Layer, Layout, Model, PictureInput, Runtime, Stage, list_layers, read_preprocessing, torchvision,
};

use crate::args::{LayoutArg, PreprocessingArgs};
use crate::{output, project};

/// A network ready to be listed or tapped.
pub struct Network {
    /// What to call it.
    pub name: String,
    /// The model.
    pub model: Model,
    /// The card, where there is one.
    pub card: Option<Card>,
}

/// Side of the pictures that torchvision's networks take, where nothing else is said.
const TORCHVISION_SIDE: u32 = 224;

/// Files other tools ship beside a network, read where no flag says otherwise.
const SIDE_FILES: [&str; 2] = ["preprocessor_config.json", "config.json"];

impl Network {
    /// Finds and reads what MODEL stands for: a card's file or name, or a .onnx file.
    pub fn open(typed: &str, layout: Option<Layout>) -> anyhow::Result<Self> {
        let path = Path::new(typed);
        let card = match path.extension().and_then(|e| e.to_str()) {
            Some("toml") => Some(Card::read(path)?),
            _ if path.is_file() => None,
            Some("onnx") => bail!("{} does not exist", path.display()),
            _ => Some(project::card_named(typed)?),
        };
        match card {
            Some(card) if layout.is_some() => {
                bail!("{} has a model card, which states the order of its axes; leave out --layout", card.name)
            }
            Some(card) => Ok(Self { name: card.name.clone(), model: card.read_model()?, card: Some(card) }),
            None => {
                let model = Model::read(path, layout)?;
                // A broken card elsewhere is no reason to refuse this file.
                let cards = project::cards().unwrap_or_default();
                if let Some(card) = cards.iter().find(|card| card.sha256 == model.sha256) {
                    eprintln!(
                        "tapline: {typed} is the model of the card {0}: naming {0} instead of the file brings its preprocessing and stages",
                        card.name
                    );
                }
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Self { name, model, card: None })
            }
        }
    }

    /// The network that features of `space` were made with: MODEL as typed, or the card of its name; it takes what the space's
    /// preprocessing makes.
    pub fn of((typed, layout): (&str, Option<LayoutArg>), space: &FeatureSpace) -> anyhow::Result<Self> {
        let expected = &space.model;
        let name = || output::short(&expected.name);
        let network = Self::open(typed, layout.map(Layout::from))
            .with_context(|| format!("the network {} cannot be opened; give its card or file with --model", name()))?;
        if network.model.sha256 != expected.sha256.to_string() {
            bail!(
                "{} is not the network that the features were made with: its digest is {}, theirs {}; give the right one \
                 with --model",
                output::short(&network.name),
                network.model.sha256,
                expected.sha256
            );
        }
        space.check()?;
        fits(&network.model.input, &space.preprocess, false)?;
        Ok(network)
    }

    /// The card's stages.
    pub fn stages(&self) -> &[Stage] {
        self.card.as_ref().map_or(&[], |card| &card.stages)
    }

    /// The layers at an input size, checked against the card.
    pub fn layers(&self, size: InputSize, runtime: &Runtime) -> anyhow::Result<Vec<Layer>> {
        let layers = list_layers(&self.model, size, self.stages(), runtime)?;
        if let Some(card) = &self.card {
            card.check(&self.model, &layers)?;
        }
        Ok(layers)
    }

    /// The input's size to list layers at, and a remark where it had to be assumed.
    pub fn listing_size(&self, side: Option<u32>) -> anyhow::Result<(InputSize, Option<String>)> {
        let input = &self.model.input;
        let fixed = [input.height, input.width];
        if let (Some(side), true) = (side, fixed.iter().flatten().any(|&fixed| Some(fixed) != side)) {
            bail!(
                "--size {side} does not fit {}: its file fixes the input at {} × {}",
                self.name,
                text(input.height),
                text(input.width)
            );
        }
        let from_card = self.card.as_ref().map(Card::preprocess);
        let usual = from_card.as_ref().map_or(224, |p| p.height);
        let pick = |fixed: Option<u32>| fixed.or(side).unwrap_or(usual);
        let free = input.height.is_none() || input.width.is_none();
        let size = InputSize {
            channels: input.channels.or(from_card.map(|p| p.channels.count())).unwrap_or(3),
            height: pick(input.height),
            width: pick(input.width),
        };
        let assumed = free && side.is_none() && self.card.is_none();
        let remark = assumed.then(|| {
            format!(
                "the model leaves its input's size free: listed at {} × {}, --size changes that",
                size.height, size.width
            )
        });
        Ok((size, remark))
    }

    /// The preprocessing: the card's, else what flags or a side file state; never a guess. Says where it is from.
    pub fn preprocessing(&self, args: &PreprocessingArgs) -> anyhow::Result<(Preprocess, String)> {
        let (preprocess, origin) = match &self.card {
            Some(card) => with_card(card, args)?,
            None => self.without_card(args)?,
        };
        preprocess.check()?;
        let takes_size = args.preprocess.as_deref() == Some("torchvision");
        fits(&self.model.input, &preprocess, takes_size).with_context(|| origin.clone())?;
        Ok((preprocess, origin))
    }

    fn without_card(&self, args: &PreprocessingArgs) -> anyhow::Result<(Preprocess, String)> {
        let flags = from_flags(args, &self.model.input);
        match (&args.preprocess, flags) {
            (Some(_), Flags::Complete(_) | Flags::Partial(_)) => {
                bail!("--preprocess already states everything; leave out --mean, --std, --scale and the others")
            }
            (Some(name), Flags::None) if name == "torchvision" => {
                let size = args.size.map_or(String::new(), |side| format!(" --size {side}"));
                let preprocess = torchvision(args.size.unwrap_or(TORCHVISION_SIDE));
                Ok((preprocess, format!("--preprocess torchvision{size}")))
            }
            (_, Flags::None) if args.size.is_some() => {
                bail!(
                    "--size belongs to preprocessing stated by flags, or to --preprocess torchvision; {} states its own",
                    match &args.preprocess {
                        Some(source) => format!("--preprocess {source}"),
                        None => "without --scale, --mean and --std a file beside the model".to_owned(),
                    }
                )
            }
            (Some(file), Flags::None) => {
                let path = PathBuf::from(file);
                Ok((read_preprocessing(&path)?, path.display().to_string()))
            }
            (None, Flags::Complete(preprocess)) => Ok((preprocess, "the flags".to_owned())),
            (None, Flags::Partial(missing)) => {
                bail!("the preprocessing of {} is not complete: {} missing", self.name, missing.join(", "))
            }
            (None, Flags::None) => self.beside_model(),
        }
    }

    fn beside_model(&self) -> anyhow::Result<(Preprocess, String)> {
        let folder = self.model.path.parent().unwrap_or(Path::new(""));
        match SIDE_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
            Some(path) => Ok((read_preprocessing(&path)?, path.display().to_string())),
            None => bail!(
                "how {} wants its pictures is not known, and a guess would cost accuracy: pass --preprocess FILE|torchvision, \
                 or --mean, --std, --scale, --channels, --interpolation and --resize or --squash",
                self.name
            ),
        }
    }
}

enum Flags {
    None,
    Partial(Vec<&'static str>),
    Complete(Preprocess),
}

/// The card's preprocessing; only what part of the picture is used may be chosen, for the rest belongs to the weights.
fn with_card(card: &Card, args: &PreprocessingArgs) -> anyhow::Result<(Preprocess, String)> {
    let states_pixels = args.preprocess.is_some()
        || args.size.is_some()
        || args.interpolation.is_some()
        || args.channels.is_some()
        || args.scale.is_some()
        || !args.mean.is_empty()
        || !args.std.is_empty();
    if states_pixels {
        bail!(
            "{} has a model card, which states its preprocessing; only --squash and --resize may overrule it (pass the \
             .onnx file itself to state all of it)",
            card.name
        );
    }
    let mut preprocess = card.preprocess();
    let mut origin = format!("the model card {}", card.path.display());
    if args.squash {
        preprocess.resize = Resize::Squash;
        origin += " with --squash";
    } else if let Some(side) = args.resize {
        preprocess.resize = Resize::ShortSide(side);
        origin += &format!(" with --resize {side}");
    }
    Ok((preprocess, origin))
}

fn from_flags(args: &PreprocessingArgs, input: &PictureInput) -> Flags {
    let mut missing = Vec::new();
    let mut need = |given: bool, flag: &'static str| {
        if !given {
            missing.push(flag);
        }
    };
    need(!args.mean.is_empty(), "--mean");
    need(!args.std.is_empty(), "--std");
    need(args.scale.is_some(), "--scale");
    need(args.channels.is_some(), "--channels");
    need(args.interpolation.is_some(), "--interpolation");
    need(args.resize.is_some() || args.squash, "--resize or --squash");
    if missing.len() == 6 {
        return Flags::None;
    }
    let (height, width) = (input.height.or(args.size), input.width.or(args.size));
    if height.is_none() || width.is_none() {
        missing.push("--size");
    }
    match (args.channels, args.scale, args.interpolation, height, width) {
        (Some(channels), Some(scale), Some(interpolation), Some(height), Some(width)) if missing.is_empty() => {
            let channels = tapline_core::Channels::from(channels);
            let spread = |values: &[f32]| match values {
                [one] => vec![*one; channels.count()],
                many => many.to_vec(),
            };
            Flags::Complete(Preprocess {
                resize: args.resize.map_or(Resize::Squash, Resize::ShortSide),
                height,
                width,
                interpolation: interpolation.into(),
                channels,
                scale,
                mean: spread(&args.mean),
                std: spread(&args.std),
            })
        }
        _ => Flags::Partial(missing),
    }
}

/// Whether a network can take what a preprocessing makes; of one that `takes_size` it is said where --size would do it.
fn fits(input: &PictureInput, preprocess: &Preprocess, takes_size: bool) -> anyhow::Result<()> {
    let wanted = (input.channels, input.height, input.width);
    let made = (preprocess.channels.count(), preprocess.height, preprocess.width);
    let differs = wanted.0.is_some_and(|c| c != made.0)
        || wanted.1.is_some_and(|h| h != made.1)
        || wanted.2.is_some_and(|w| w != made.2);
    if differs {
        let remedy = match (wanted.1, wanted.2) {
            (Some(height), Some(width)) if takes_size && height == width && height != made.1 => {
                format!(": use --size {height}")
            }
            _ => String::new(),
        };
        bail!(
            "the network takes {} channel(s) of {} × {} pixels, the preprocessing makes {} of {} × {}{remedy}",
            text(wanted.0.and_then(|channels| u32::try_from(channels).ok())),
            text(wanted.1),
            text(wanted.2),
            made.0,
            made.1,
            made.2
        );
    }
    let unchanged = |values: &[f32], value: f32| values.iter().all(|&v| v == value);
    if input.reads_bytes()
        && !(preprocess.scale == 1.0 && unchanged(&preprocess.mean, 0.0) && unchanged(&preprocess.std, 1.0))
    {
        bail!("the network reads bytes, so pixels must stay as they are: --scale 1 --mean 0 --std 1");
    }
    Ok(())
}

fn text(size: Option<u32>) -> String {
    size.map_or("any".to_owned(), |size| size.to_string())
}

//! Command lines that a user can type, made of what was typed before or of what a store was made with.

use std::collections::BTreeSet;
use std::path::Path;

use tapline_core::{Dtype, FeatureSpace, Pooling, Resize, Store, Views};
use tapline_onnx::{Card, Stage};
use tapline_probe::{ProtocolConfig, Solver};

use crate::args::{ComparedArgs, DesignArgs, ProtocolArgs, TransformArg};
use crate::project;

/// The extraction that fills a store with `pictures`.
pub fn extraction(pictures: &str, store: &Store) -> String {
    let manifest = store.manifest();
    let taps = manifest.taps.iter().map(|tap| format!("{}@{}", tap.info.name, tap.info.tap.pooling));
    let taps: Vec<String> = taps.collect();
    let is_all = stages(&manifest.space) == taps.iter().cloned().collect();
    let taps = if is_all { vec!["stages".to_owned()] } else { taps };
    extraction_of((pictures, &taps), &manifest.space, &word_of(store.dir()))
}

/// The card of a space's network, if there is one.
fn card_of(space: &FeatureSpace) -> Option<Card> {
    let cards = project::cards().unwrap_or_default();
    cards.into_iter().find(|card| card.sha256 == space.model.sha256.to_string())
}

/// The taps that `stages` stands for, pooled as they are where nothing else is typed; none without a card.
fn stages(space: &FeatureSpace) -> BTreeSet<String> {
    let pooled = |stage: &Stage| {
        let pooling = if stage.reduction.is_some() { Pooling::Mean } else { Pooling::Flatten };
        format!("{}@{pooling}", stage.name)
    };
    card_of(space).map(|card| card.stages.iter().map(pooled).collect()).unwrap_or_default()
}

/// The extraction of these taps into the store typed as `store`. Where the network is no card's, what only its user knows is
/// left to be filled in.
pub fn extraction_of((pictures, taps): (&str, &[String]), space: &FeatureSpace, store: &str) -> String {
    let (model, resize) = match card_of(space) {
        Some(card) => (word(&space.model.name), resize_flag(&card.preprocess().resize, &space.preprocess.resize)),
        None => (word(&format!("{}.onnx", space.model.name)) + " --preprocess PREPROCESSING", String::new()),
    };
    let (taps, flags) = (word(&taps.join(",")), space_flags(space));
    format!("tapline extract {pictures} --model {model} --taps {taps}{resize}{flags} --store {store}")
}

/// What overrules a card's rule.
fn resize_flag(of_card: &Resize, wanted: &Resize) -> String {
    match wanted {
        same if same == of_card => String::new(),
        Resize::Squash => " --squash".to_owned(),
        Resize::ShortSide(side) => format!(" --resize {side}"),
    }
}

/// The options of `extract` that a store's features were made with, but for preprocessing; each after a space.
fn space_flags(space: &FeatureSpace) -> String {
    let mut flags = String::new();
    if space.views != Views::Centre {
        flags += &format!(" --views {}", space.views);
    }
    if !space.decode.is_exact() {
        flags += &format!(" --decode {}", space.decode);
    }
    if !space.bits.is_all() {
        flags += &format!(" --bits {}", space.bits);
    }
    if !space.precision.is_float32() {
        flags += &format!(" --precision {}", space.precision);
    }
    if space.dtype == Dtype::F16 {
        flags += " --dtype f16";
    }
    flags
}

/// The options of a protocol that differ from what is the default.
pub fn protocol_flags(args: &ComparedArgs) -> String {
    of_protocol(&args.protocol) + &of_design(&args.design)
}

fn of_protocol(args: &ProtocolArgs) -> String {
    let default = ProtocolConfig::default();
    let mut flags = String::new();
    if args.folds != default.folds {
        flags += &format!(" --folds {}", args.folds);
    }
    if args.split {
        flags += " --split";
    }
    if args.min_class > 0 {
        flags += &format!(" --min-class {}", args.min_class);
    }
    args.group.iter().for_each(|group| flags += &format!(" --group {}", word(group)));
    if args.seed != default.seed {
        flags += &format!(" --seed {}", args.seed);
    }
    if !args.strengths.is_empty() {
        let strengths: Vec<String> = args.strengths.iter().map(f64::to_string).collect();
        flags += &format!(" --strengths {}", strengths.join(","));
    }
    if Solver::from(args.solver) == Solver::LinfaLogistic {
        flags += " --solver linfa-logistic";
    }
    flags
}

fn of_design(args: &DesignArgs) -> String {
    let mut flags = String::new();
    if args.control {
        flags += " --control";
    }
    if let Some(shuffles) = args.shuffles {
        flags += &format!(" --shuffles {shuffles} --test-share {}", args.test_share);
    }
    match args.transform {
        TransformArg::Standardise => {}
        TransformArg::None => flags += " --transform none",
        TransformArg::L2 => flags += " --transform l2",
        TransformArg::Sqrt => flags += " --transform sqrt",
        TransformArg::Pca => flags += " --transform pca",
    }
    args.components.iter().for_each(|components| flags += &format!(" --components {components}"));
    if args.balanced {
        flags += " --balanced";
    }
    flags
}

/// A path as a word of a shell's command line.
pub fn word_of(path: &Path) -> String {
    word(&path.display().to_string())
}

/// A word of a shell's command line, in quotes where it needs them.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./,:@+%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_or_expand_them() {
        for (text, expected) in
            [("a/b.store", "a/b.store"), ("my photos", "'my photos'"), ("a'b$(c)", "'a'\\''b$(c)'"), ("", "''")]
        {
            assert_eq!(word(text), expected);
        }
    }

    #[test]
    fn only_what_overrules_a_card_is_typed() {
        let short = Resize::ShortSide;
        for (of_card, wanted, expected) in [
            (short(256), short(256), ""),
            (short(256), short(300), " --resize 300"),
            (short(256), Resize::Squash, " --squash"),
            (Resize::Squash, Resize::Squash, ""),
        ] {
            assert_eq!(resize_flag(&of_card, &wanted), expected);
        }
    }
}

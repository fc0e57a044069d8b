//! `tapline explain`: where in a picture the evidence for a class is.
//!
//! The maps are `evidence.rs`'s; here they become files and numbers.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use image::{GenericImage, Rgb, RgbImage};
use serde::Serialize;
use tapline_core::{Digest, Place, Skipped, Store};
use tapline_image::{Limits, Picture, decode_for};
use tapline_probe::{FinalFit, Transform, fit_final};
use tapline_report::tint;

use crate::args::ExplainArgs;
use crate::evidence::{self, Evidence, Tapped, no_cells, not_the_mean};
use crate::features::Features;
use crate::network::Network;
use crate::output::{percent, quoted};
use crate::plan::Plan;
use crate::{Outcome, output, progress, taps};

#[derive(Serialize)]
struct Report {
    store: String,
    model: String,
    tap: String,
    classes: Vec<String>,
    strength: f64,
    pictures: Vec<Explained>,
    /// Files that are no pictures, with the reasons.
    skipped: Vec<Skipped>,
}

#[derive(Serialize)]
struct Explained {
    picture: String,
    /// The overlay: the picture as the network sees it, without and with colour.
    file: String,
    /// The class the probe says, and its probability.
    predicted: String,
    probability: f64,
    /// The class whose evidence is shown.
    class: String,
    /// Mean of the map: log-odds for two classes, else the class's score less the mean score of all.
    score: f64,
    /// Rows of cells from the top, in the score's unit.
    map: Vec<Vec<f64>>,
}

pub fn run(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    let store = Store::open(&args.store)?;
    let tap = match taps::find(&store, &args.tap)?.as_slice() {
        [one] => *one,
        _ => bail!("--tap {} joins taps, whose maps differ in size: explain one of them", args.tap),
    };
    let info = &store.taps()[tap].info;
    if let Some(reason) = no_cells(info) {
        bail!("tap {} {reason}; name a tap with pooling mean", args.tap);
    }
    if let Some(reason) = not_the_mean(store.manifest().space.views, Transform::Standardise) {
        bail!("{}: {reason}; extract without --views", store.dir().display());
    }
    let plan = Plan::of(store.listing(), &args.protocol)?;
    let class = args.class.as_deref().map(|name| class_named(name, &plan.data.names)).transpose()?;
    let mut tapped = Tapped::open(&network(args, &store)?, &store, &[tap], &evidence::runtime()?)?;
    let data = plan.data.to_learn_from();
    let features = Features::of(&store, &[tap], (&data, plan.config.max_bytes))?;
    let bar = progress::bar("fitting the probe", plan.config.holdout_fits()?, "fits");
    let FinalFit { fit, choice, .. } = features.with(|rows| fit_final(&plan.config, rows, &|| bar.inc(1)))?;
    bar.finish_and_clear();
    fs::create_dir_all(&args.out).with_context(|| format!("{} cannot be made", args.out.display()))?;
    let mut report = Report {
        store: store.dir().display().to_string(),
        model: store.manifest().space.model.name.clone(),
        tap: info.name.clone(),
        classes: data.names.clone(),
        strength: choice.c,
        pictures: Vec::new(),
        skipped: Vec::new(),
    };
    let bar = progress::bar("explaining", args.pictures.len(), "pictures");
    for (index, picture) in args.pictures.iter().enumerate() {
        bar.inc(1);
        let decoded = match read(picture, &store, Limits::megapixels(args.max_megapixels)) {
            Ok(decoded) => decoded,
            Err(reason) => {
                report.skipped.push(Skipped { path: picture.display().to_string(), reason });
                continue;
            }
        };
        let map = tapped.maps(&decoded).with_context(|| picture.display().to_string())?.swap_remove(0);
        let evidence = Evidence::of(&fit.probe, &map, class)?;
        let (predicted, probability) = evidence.predicted;
        let shown = class.unwrap_or(predicted);
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
        let file = args.out.join(format!("{}-{stem}.png", index + 1));
        let both = overlay(&tapped.seen(&decoded), &evidence);
        both.save(&file).with_context(|| format!("{} cannot be written", file.display()))?;
        report.pictures.push(Explained {
            picture: output::path(picture),
            file: output::path(&file),
            predicted: data.names[predicted].clone(),
            probability,
            class: data.names[shown].clone(),
            score: evidence.score(),
            map: evidence.cells,
        });
    }
    bar.finish_and_clear();
    if let ([], [only]) = (report.pictures.as_slice(), report.skipped.as_slice()) {
        bail!("{}: {}", only.path, only.reason);
    }
    output::either(args.json, &report, render)?;
    Ok(match (report.pictures.as_slice(), report.skipped.as_slice()) {
        (_, []) => Outcome::Done,
        ([], _) => Outcome::Nothing,
        _ => Outcome::Skipped,
    })
}

fn class_named(name: &str, names: &[String]) -> anyhow::Result<usize> {
    match names.iter().position(|other| other == name) {
        Some(class) => Ok(class),
        None => bail!("--class {}: the store has no such class; it has {}", quoted(name), names.join(", ")),
    }
}

/// The store's network: the one typed, or the card of its name.
fn network(args: &ExplainArgs, store: &Store) -> anyhow::Result<Network> {
    let space = &store.manifest().space;
    Network::of((args.model.as_deref().unwrap_or(&space.model.name), None), space)
}

/// A picture as its features are computed from it, or why that cannot be; `of_new` bounds those that the store does not know.
fn read(path: &Path, store: &Store, of_new: Limits) -> Result<Picture, String> {
    if path.is_dir() {
        return Err("is a folder: name the pictures in it".to_owned());
    }
    let bytes = Place::File(path.to_owned()).read(of_new.max_bytes.max(Limits::default().max_bytes))?;
    // A picture of the store was within the limit that it was extracted with.
    let is_known = store.listing().sha256.contains(&Some(Digest::of(&bytes)));
    let limits = if is_known { Limits::megapixels(u32::MAX) } else { of_new };
    let space = &store.manifest().space;
    decode_for(&bytes, &limits, (&space.preprocess, space.views), (space.decode, space.bits))
        .map_err(|error| format!("{:#}", anyhow::Error::from(error)))
}

/// The picture, and beside it the same under the colours of the map.
fn overlay(seen: &RgbImage, evidence: &Evidence) -> RgbImage {
    let (width, height) = seen.dimensions();
    let cells = evidence.shares((width, height));
    let coloured = RgbImage::from_fn(width, height, |x, y| {
        let (colour, share) = tint(cells[y as usize][x as usize]);
        let mixed =
            |channel: usize| f32::from(colour[channel]) * share + f32::from(seen[(x, y)][channel]) * (1.0 - share);
        Rgb(std::array::from_fn(|channel| mixed(channel).round() as u8))
    });
    let mut both = RgbImage::new(2 * width, height);
    both.copy_from(seen, 0, 0).expect("it fits");
    both.copy_from(&coloured, width, 0).expect("it fits");
    both
}

fn render(report: &Report) -> String {
    let rows = report.pictures.iter().map(|picture| {
        vec![
            output::line(&picture.picture),
            format!("{} {} %", output::cell(&picture.predicted), percent(picture.probability)),
            output::cell(&picture.class),
            format!("{:+.2}", picture.score),
            output::line(&picture.file),
        ]
    });
    let mut text = format!(
        "{} at {}: which cells speak for a class (orange) and against it (blue); a picture's score is the mean of its cells.\n\n{}",
        report.model,
        report.tap,
        output::table(&["picture", "predicted", "shown", ">score", "file"], rows)
    );
    report
        .skipped
        .iter()
        .for_each(|file| text += &format!("skipped {}: {}\n", output::line(&file.path), output::line(&file.reason)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_cell_has_the_most_colour() {
        let grey = RgbImage::from_pixel(4, 2, Rgb([100; 3]));
        let both = overlay(&grey, &Evidence { predicted: (0, 1.0), cells: vec![vec![1.0, -0.5]] });
        assert_eq!(both.dimensions(), (8, 2));
        assert_eq!(both[(0, 0)], Rgb([100; 3]));
        let (strong, weak) = (both[(4, 0)], both[(7, 0)]);
        let near = |found: Rgb<u8>, colour: [u8; 3], share: f64| {
            (0..3).all(|i| (f64::from(found[i]) - 100.0 - share * (f64::from(colour[i]) - 100.0)).abs() <= 1.0)
        };
        assert!(near(strong, [213, 94, 0], 0.75) && near(weak, [0, 114, 178], 0.375), "{strong:?} {weak:?}");
    }
}

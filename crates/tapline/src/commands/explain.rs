//! `tapline explain`: where in a picture the evidence for a class is.
//!
//! A linear probe on mean-pooled features scores the mean of a map. The mean may be taken last: each cell of the map has a
//! score of its own, and the picture's is their mean, exactly (class activation mapping; Zhou et al., "Learning deep features
//! for discriminative localization", CVPR 2016).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use image::imageops::{self, FilterType};
use image::{GenericImage, ImageBuffer, Luma, Rgb, RgbImage};
use serde::Serialize;
use tapline_core::{Pooling, Precision, Store};
use tapline_image::{Limits, Scratch, decode, preprocess, resize_and_crop};
use tapline_onnx::{Device, DeviceRequest, Extractor, InputSize, TapRequest, quantise, tap_model};
use tapline_probe::{FinalFit, Probe, Transform, fit_final};

use crate::args::ExplainArgs;
use crate::network::Network;
use crate::output::{percent, quoted};
use crate::plan::Plan;
use crate::scores::{features, labelled};
use crate::{Outcome, output, progress, project, taps};

/// Colours of cells for and against the class, safe for colour-blind readers.
const FOR: Rgb<u8> = Rgb([213, 94, 0]);
const AGAINST: Rgb<u8> = Rgb([0, 114, 178]);
/// How much of the colour the strongest cell gets.
const STRONGEST: f32 = 0.75;

#[derive(Serialize)]
struct Report {
    store: String,
    model: String,
    tap: String,
    classes: Vec<String>,
    strength: f64,
    pictures: Vec<Explained>,
}

#[derive(Serialize)]
struct Explained {
    picture: PathBuf,
    /// The overlay: the picture as the network sees it, without and with colour.
    file: PathBuf,
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
    if info.tap.pooling != Pooling::Mean || info.shape.len() != 3 {
        bail!(
            "tap {} is pooled by {}: only the mean of a map can be traced back to its cells; name a tap with pooling mean",
            args.tap,
            info.tap.pooling
        );
    }
    let plan = Plan::of(store.listing(), &args.protocol)?;
    let class = args.class.as_deref().map(|name| class_named(name, &plan.data.names)).transpose()?;
    let mut network = Tapped::open(args, &store, tap)?;
    let data = plan.data.to_learn_from();
    let values = features(&store, &[tap], &data)?;
    let bar = progress::bar("fitting the probe", plan.config.holdout_fits()?, "fits");
    let FinalFit { fit, choice, .. } = fit_final(&plan.config, &labelled(&values, &data), &|| bar.inc(1))?;
    bar.finish_and_clear();
    fs::create_dir_all(&args.out).with_context(|| format!("{} cannot be made", args.out.display()))?;
    let mut report = Report {
        store: store.dir().display().to_string(),
        model: store.manifest().space.model.name.clone(),
        tap: info.name.clone(),
        classes: data.names.clone(),
        strength: choice.c,
        pictures: Vec::new(),
    };
    let bar = progress::bar("explaining", args.pictures.len(), "pictures");
    for (index, picture) in args.pictures.iter().enumerate() {
        let (seen, map) = network.look(picture)?;
        let (predicted, probability, map) = explain(&fit.probe, &map, class)?;
        let shown = class.unwrap_or(predicted);
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
        let file = args.out.join(format!("{}-{stem}.png", index + 1));
        overlay(&seen, &map).save(&file).with_context(|| format!("{} cannot be written", file.display()))?;
        report.pictures.push(Explained {
            picture: picture.clone(),
            file,
            predicted: data.names[predicted].clone(),
            probability,
            class: data.names[shown].clone(),
            score: map.iter().flatten().sum::<f64>() / (map.len() * map[0].len()) as f64,
            map,
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    if args.json {
        output::json(&report)?
    } else {
        output::text(&render(&report))?
    }
    Ok(Outcome::Done)
}

fn class_named(name: &str, names: &[String]) -> anyhow::Result<usize> {
    match names.iter().position(|other| other == name) {
        Some(class) => Ok(class),
        None => bail!("--class {}: the store has no such class; it has {}", quoted(name), names.join(", ")),
    }
}

/// The store's network up to the tap, unpooled.
struct Tapped {
    extractor: Extractor,
    preprocess: tapline_core::Preprocess,
    /// Channels, rows and columns of the map.
    shape: [usize; 3],
    scratch: Scratch,
}

impl Tapped {
    fn open(args: &ExplainArgs, store: &Store, tap: usize) -> anyhow::Result<Self> {
        let space = &store.manifest().space;
        let network = Network::open(args.model.as_deref().unwrap_or(&space.model.name), None)
            .context("the store's network cannot be opened; give its card or file with --model")?;
        if network.model.sha256 != space.model.sha256.to_string() {
            bail!(
                "{} is not the network of the store: its digest is {}, the store's {}; give the right one with --model",
                network.name,
                network.model.sha256,
                space.model.sha256
            );
        }
        let preprocess = space.preprocess.clone();
        let size =
            InputSize { channels: preprocess.channels.count(), height: preprocess.height, width: preprocess.width };
        let runtime = project::runtime(DeviceRequest::Only(Device::Cpu))?;
        let model = match &space.precision {
            Precision::Float32 => network.model.clone(),
            Precision::Int8(calibration) => quantise(&network.model, &calibration.ranges)?,
        };
        let info = &store.taps()[tap].info;
        let layers = network.layers(size, &runtime)?;
        let Some(layer) = layers.iter().find(|layer| layer.name == info.tap.tensor) else {
            bail!("the network has no tensor {}: extract the store again", quoted(&info.tap.tensor));
        };
        let request = TapRequest { layer, pooling: Pooling::Flatten };
        let tapped = tap_model(&model, &[request], size, network.model.input.batch)?;
        let [channels, rows, columns] = layer.shape[..] else {
            bail!("tap {} is no map", info.name);
        };
        let extractor = Extractor::load(&tapped, &runtime, Device::Cpu, 0)?;
        Ok(Self { extractor, preprocess, shape: [channels, rows, columns], scratch: Scratch::default() })
    }

    /// A picture as the network sees it, and the tap's map of it.
    fn look(&mut self, path: &Path) -> anyhow::Result<(RgbImage, Map)> {
        let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let picture = decode(&bytes, &Limits::default()).with_context(|| path.display().to_string())?;
        let how = &self.preprocess;
        let mut input = vec![0.0; how.values()];
        preprocess(&picture, how, &mut self.scratch, &mut input);
        let pixels = resize_and_crop(&picture, how, &mut self.scratch);
        let size = (how.width * how.height) as usize;
        let wide = pixels.len() / size;
        let seen = RgbImage::from_fn(how.width, how.height, |x, y| {
            let first = (y * how.width + x) as usize * wide;
            Rgb(std::array::from_fn(|channel| pixels[first + channel.min(wide - 1)]))
        });
        let mut rows = vec![Vec::new()];
        self.extractor.run(&input, &mut rows)?;
        let values = rows.swap_remove(0);
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            bail!("{}: the network makes {value} of it at this tap", path.display());
        }
        Ok((seen, Map { values, shape: self.shape }))
    }
}

/// Activations `[channels, rows, columns]`.
struct Map {
    values: Vec<f32>,
    shape: [usize; 3],
}

/// What the probe says of the picture, with how much; and the scores `[rows][columns]` of the cells for `class`, or for what it
/// says.
fn explain(probe: &Probe, map: &Map, class: Option<usize>) -> anyhow::Result<(usize, f64, Vec<Vec<f64>>)> {
    let [channels, rows, columns] = map.shape;
    let cells = rows * columns;
    let mean: Vec<f64> = map
        .values
        .chunks_exact(cells)
        .map(|channel| channel.iter().map(|&value| f64::from(value)).sum::<f64>() / cells as f64)
        .collect();
    let mean = ndarray::ArrayView2::from_shape((1, channels), &mean)?;
    let probabilities = probe.probabilities(mean)?;
    let predicted = probe.predict(mean)?[0];
    let class = class.unwrap_or(predicted);
    let of_cell =
        ndarray::Array2::from_shape_fn((cells, channels), |(cell, channel)| map.values[channel * cells + cell]);
    debug_assert_eq!(probe.transform, Transform::Standardise);
    let scores = probe.scores(of_cell.view())?;
    let score = |cell: usize| match scores.ncols() {
        1 if class == 1 => scores[[cell, 0]],
        1 => -scores[[cell, 0]],
        outputs => scores[[cell, class]] - scores.row(cell).sum() / outputs as f64,
    };
    let map = (0..rows).map(|row| (0..columns).map(|column| score(row * columns + column)).collect()).collect();
    Ok((predicted, probabilities[[0, predicted]], map))
}

/// The picture, and beside it the same under the colours of the map.
fn overlay(seen: &RgbImage, map: &[Vec<f64>]) -> RgbImage {
    let (width, height) = seen.dimensions();
    let highest = map.iter().flatten().fold(f64::MIN_POSITIVE, |highest, cell| highest.max(cell.abs()));
    // Resizing keeps to 0 to 1: a half stands for nothing.
    let cells: ImageBuffer<Luma<f32>, Vec<f32>> =
        ImageBuffer::from_fn(map[0].len() as u32, map.len() as u32, |x, y| {
            Luma([(0.5 + 0.5 * map[y as usize][x as usize] / highest) as f32])
        });
    let cells = imageops::resize(&cells, width, height, FilterType::Triangle);
    let coloured = RgbImage::from_fn(width, height, |x, y| {
        let value = 2.0 * cells[(x, y)].0[0] - 1.0;
        let colour = if value > 0.0 { FOR } else { AGAINST };
        let share = STRONGEST * value.abs();
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
            picture.picture.display().to_string(),
            format!("{} {} %", picture.predicted, percent(picture.probability)),
            picture.class.clone(),
            format!("{:+.2}", picture.score),
            picture.file.display().to_string(),
        ]
    });
    format!(
        "{} at {}: which cells speak for a class (orange) and against it (blue); a picture's score is the mean of its cells.\n\n{}",
        report.model,
        report.tap,
        output::table(&["picture", "predicted", "shown", ">score", "file"], rows)
    )
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use tapline_probe::Standardisation;

    use super::*;

    #[test]
    fn the_mean_of_the_cells_is_the_score_of_the_mean() {
        let standardisation = Standardisation { mean: array![0.5, -1.0], scale: array![2.0, 0.25] };
        let weights: Array2<f64> = array![[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]];
        let probe =
            Probe { transform: Transform::Standardise, standardisation, weights, intercept: array![0.1, 0.2, -0.3] };
        let map = Map { values: (0..12).map(|i| (i * i % 7) as f32).collect(), shape: [2, 2, 3] };
        let (predicted, _, cells) = explain(&probe, &map, None).unwrap();
        let mean = [0, 6].map(|first| map.values[first..first + 6].iter().sum::<f32>() / 6.0);
        let scores = probe.scores(array![mean].view()).unwrap();
        let expected = scores[[0, predicted]] - scores.sum() / 3.0;
        assert!((cells.iter().flatten().sum::<f64>() / 6.0 - expected).abs() < 1e-5);
        assert_eq!((cells.len(), cells[0].len()), (2, 3));
    }

    #[test]
    fn the_strongest_cell_has_the_most_colour() {
        let grey = RgbImage::from_pixel(4, 2, Rgb([100; 3]));
        let both = overlay(&grey, &[vec![1.0, -0.5]]);
        assert_eq!(both.dimensions(), (8, 2));
        assert_eq!(both[(0, 0)], Rgb([100; 3]));
        let (strong, weak) = (both[(4, 0)], both[(7, 0)]);
        let near = |found: Rgb<u8>, colour: Rgb<u8>, share: f64| {
            (0..3).all(|i| (f64::from(found[i]) - 100.0 - share * (f64::from(colour[i]) - 100.0)).abs() <= 1.0)
        };
        assert!(near(strong, FOR, 0.75) && near(weak, AGAINST, 0.375), "{strong:?} {weak:?}");
    }
}

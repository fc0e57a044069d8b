//! Where in a picture the evidence for a class is: what `explain` writes as files, and `report` lays over its pictures.
//!
//! A linear probe on mean-pooled features scores the mean of a map. The mean may be taken last: each cell of the map has a
//! score of its own, and the picture's is their mean, exactly (class activation mapping; Zhou et al., "Learning deep features
//! for discriminative localization", CVPR 2016).

use anyhow::{Context, bail};
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Rgb, RgbImage};
use ndarray::{Array2, ArrayView2};
use tapline_core::{Pooling, Preprocess, Sharing, Store, TapInfo, Views};
use tapline_image::{Picture, Scratch, preprocess, resize_and_crop};
use tapline_onnx::{Device, DeviceRequest, Extractor, InputSize, Layer, Runtime, TapRequest, in_precision, tap_model};
use tapline_probe::{Probe, Transform};

use crate::network::Network;
use crate::output::quoted;
use crate::project;

/// Why the features of a tap cannot be traced back to the cells of a map; none where they can.
pub fn no_cells(tap: &TapInfo) -> Option<String> {
    let is_mean = tap.tap.pooling == Pooling::Mean && tap.shape.len() == 3;
    (!is_mean)
        .then(|| format!("is pooled by {}: only the mean of a map can be traced back to its cells", tap.tap.pooling))
}

/// Why what is probed is not the mean of one map's cells; none where it is.
pub fn not_the_mean(views: Views, transform: Transform) -> Option<String> {
    match (views, transform) {
        (Views::Centre, Transform::Standardise | Transform::None | Transform::Pca(_)) => None,
        (Views::Centre, _) => {
            Some("features are bent row by row first, so that no score is the mean of its cells' scores".to_owned())
        }
        _ => Some("features are the mean over several views of a picture, not over one map".to_owned()),
    }
}

/// The runtime that networks are looked into with; a process can load it once.
pub fn runtime() -> anyhow::Result<Runtime> {
    project::runtime(DeviceRequest::Only(Device::Cpu))
}

/// A store's network up to some of its taps, unpooled.
pub struct Tapped {
    extractor: Extractor,
    preprocess: Preprocess,
    /// Channels, rows and columns of each tap's map.
    shapes: Vec<[usize; 3]>,
    scratch: Scratch,
}

impl Tapped {
    /// The network of the store, ending at `taps`, all of which have maps.
    pub fn open(network: &Network, store: &Store, taps: &[usize], runtime: &Runtime) -> anyhow::Result<Self> {
        let space = &store.manifest().space;
        let preprocess = space.preprocess.clone();
        let size =
            InputSize { channels: preprocess.channels.count(), height: preprocess.height, width: preprocess.width };
        let model = in_precision(&network.model, &space.precision)?;
        let layers = network.layers(size, runtime)?;
        let found = taps.iter().map(|&tap| layer_of(&layers, &store.taps()[tap].info));
        let found = found.collect::<anyhow::Result<Vec<(&Layer, [usize; 3])>>>()?;
        let requests: Vec<TapRequest<'_>> =
            found.iter().map(|&(layer, _)| TapRequest { layer, pooling: Pooling::Flatten }).collect();
        let tapped = tap_model(&model, &requests, size)?;
        let extractor = Extractor::load(&tapped, runtime, Device::Cpu, &Sharing::alone(0))?;
        let shapes = found.into_iter().map(|(_, shape)| shape).collect();
        Ok(Self { extractor, preprocess, shapes, scratch: Scratch::default() })
    }

    /// The maps of a picture, one for each tap, from one pass.
    pub fn maps(&mut self, picture: &Picture) -> anyhow::Result<Vec<Map>> {
        let mut input = vec![0.0; self.preprocess.values()];
        preprocess(picture, &self.preprocess, &mut self.scratch, &mut input);
        let mut rows = vec![Vec::new(); self.shapes.len()];
        self.extractor.run(&input, &mut rows)?;
        if let Some(value) = rows.iter().flatten().find(|value| !value.is_finite()) {
            bail!("the network makes {value} of it at this tap");
        }
        Ok(rows.into_iter().zip(&self.shapes).map(|(values, &shape)| Map { values, shape }).collect())
    }

    /// A picture as the network sees it.
    pub fn seen(&mut self, picture: &Picture) -> RgbImage {
        let how = &self.preprocess;
        let pixels = resize_and_crop(picture, how, &mut self.scratch);
        let wide = pixels.len() / (how.width * how.height) as usize;
        RgbImage::from_fn(how.width, how.height, |x, y| {
            let first = (y * how.width + x) as usize * wide;
            Rgb(std::array::from_fn(|channel| pixels[first + channel.min(wide - 1)]))
        })
    }
}

fn layer_of<'a>(layers: &'a [Layer], tap: &TapInfo) -> anyhow::Result<(&'a Layer, [usize; 3])> {
    let Some(layer) = layers.iter().find(|layer| layer.name == tap.tap.tensor) else {
        bail!("the network has no tensor {}: extract the store again", quoted(&tap.tap.tensor));
    };
    let [channels, rows, columns] = layer.shape[..] else { bail!("tap {} is no map", tap.name) };
    Ok((layer, [channels, rows, columns]))
}

/// Activations `[channels, rows, columns]`.
pub struct Map {
    values: Vec<f32>,
    shape: [usize; 3],
}

/// What a probe says of a picture, and which cells of its map speak for a class.
pub struct Evidence {
    /// The class the probe says, and its probability.
    pub predicted: (usize, f64),
    /// Scores of the cells `[rows][columns]` from the top, in the unit of the picture's score: log-odds for two classes, else
    /// the class's score less the mean score of all.
    pub cells: Vec<Vec<f64>>,
}

impl Evidence {
    /// For `class`, or for the class that the probe says.
    ///
    /// The probe must be linear in the features: [`not_the_mean`] says where it is not.
    pub fn of(probe: &Probe, map: &Map, class: Option<usize>) -> anyhow::Result<Self> {
        let [channels, rows, columns] = map.shape;
        let cells = rows * columns;
        let sum = |channel: &[f32]| channel.iter().map(|&value| f64::from(value)).sum::<f64>();
        let mean: Vec<f64> = map.values.chunks_exact(cells).map(|channel| sum(channel) / cells as f64).collect();
        let mean = ArrayView2::from_shape((1, channels), &mean)?;
        let probabilities = probe.probabilities(mean)?;
        let predicted = probe.predict(mean)?[0];
        let class = class.unwrap_or(predicted);
        let of_cell = Array2::from_shape_fn((cells, channels), |(cell, channel)| map.values[channel * cells + cell]);
        let scores = probe.scores(of_cell.view()).context("the map does not fit the probe")?;
        let score = |cell: usize| match scores.ncols() {
            1 if class == 1 => scores[[cell, 0]],
            1 => -scores[[cell, 0]],
            outputs => scores[[cell, class]] - scores.row(cell).sum() / outputs as f64,
        };
        let cells = (0..rows).map(|row| (0..columns).map(|column| score(row * columns + column)).collect()).collect();
        Ok(Self { predicted: (predicted, probabilities[[0, predicted]]), cells })
    }

    /// Mean of the cells: the picture's score.
    pub fn score(&self) -> f64 {
        self.cells.iter().flatten().sum::<f64>() / (self.cells.len() * self.cells[0].len()) as f64
    }

    /// The cells at another size, as shares of the strongest one, −1 to 1.
    pub fn shares(&self, (width, height): (u32, u32)) -> Vec<Vec<f32>> {
        let highest = self.cells.iter().flatten().fold(f64::MIN_POSITIVE, |highest, cell| highest.max(cell.abs()));
        // Resizing keeps to 0 to 1: a half stands for nothing.
        let half = |x: u32, y: u32| Luma([(0.5 + 0.5 * self.cells[y as usize][x as usize] / highest) as f32]);
        let cells: ImageBuffer<Luma<f32>, Vec<f32>> =
            ImageBuffer::from_fn(self.cells[0].len() as u32, self.cells.len() as u32, half);
        let cells = imageops::resize(&cells, width, height, FilterType::Triangle);
        cells.rows().map(|row| row.map(|cell| 2.0 * cell.0[0] - 1.0).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use tapline_probe::Standardisation;

    use super::*;

    #[test]
    fn the_mean_of_the_cells_is_the_score_of_the_mean() {
        let standardisation = Standardisation { mean: array![0.5, -1.0], scale: array![2.0, 0.25] };
        let weights: Array2<f64> = array![[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]];
        let probe =
            Probe { transform: Transform::Standardise, standardisation, weights, intercept: array![0.1, 0.2, -0.3] };
        let map = Map { values: (0..12).map(|i| (i * i % 7) as f32).collect(), shape: [2, 2, 3] };
        let found = Evidence::of(&probe, &map, None).unwrap();
        let mean = [0, 6].map(|first| map.values[first..first + 6].iter().sum::<f32>() / 6.0);
        let scores = probe.scores(array![mean].view()).unwrap();
        let expected = scores[[0, found.predicted.0]] - scores.sum() / 3.0;
        assert!((found.score() - expected).abs() < 1e-5);
        assert_eq!((found.cells.len(), found.cells[0].len()), (2, 3));
    }

    #[test]
    fn shares_keep_their_sign_and_the_strongest_cell_is_one() {
        let found = Evidence { predicted: (0, 1.0), cells: vec![vec![2.0, -1.0]] };
        let shares = found.shares((4, 2));
        assert_eq!((shares.len(), shares[0].len()), (2, 4));
        assert!((shares[0][0] - 1.0).abs() < 1e-6 && (shares[1][3] + 0.5).abs() < 1e-6, "{shares:?}");
    }

    #[test]
    fn only_the_mean_over_one_map_is_explained() {
        let check = |views, transform, is: bool| assert_eq!(not_the_mean(views, transform).is_none(), is);
        check(Views::Centre, Transform::Standardise, true);
        check(Views::Centre, Transform::None, true);
        check(Views::Centre, Transform::Pca(3), true);
        check(Views::Centre, Transform::L2, false);
        check(Views::Flips, Transform::Standardise, false);
    }
}

//! Where pictures lie in the feature spaces of a few taps.

use anyhow::Context;
use ndarray::ArrayView2;
use rayon::prelude::*;
use tapline_map::{FEWEST_ROWS, principal, sample, tsne};
use tapline_report::{FeatureMap, MapLayer, MapPoint};

use super::probed::Probed;
use super::thumbnails::Wanted;
use crate::features::gathered;
use crate::progress;
use crate::stores::Stores;

/// Pictures on a map, at most.
const POINTS: usize = 2_000;
/// Seed of the sample, always the same: folds have one of their own.
const SEED: u64 = 0;
/// Principal components that t-SNE sees.
const COMPONENTS: usize = 50;

/// The map; none for fewer than two pictures.
pub fn map(
    stores: &Stores,
    shown: &[usize],
    probed: &Probed,
    wanted: &mut Wanted,
) -> anyhow::Result<Option<FeatureMap>> {
    let rows = probed.rows(stores);
    if rows.len() < 2 {
        return Ok(None);
    }
    let places = sample(rows.len(), POINTS, SEED);
    let chosen: Vec<usize> = places.iter().map(|&place| rows[place]).collect();
    let classes = super::probed::class_numbers(stores, probed);
    let bar = progress::bar("mapping", shown.len(), "layers");
    // One thread for each tap: t-SNE comes out the same every time only on a single thread.
    let layers: anyhow::Result<Vec<MapLayer>> = shown
        .par_iter()
        .map(|&tap| {
            let layer = layer(stores, tap, &chosen, predictions(probed, tap, &places));
            bar.inc(1);
            layer
        })
        .collect();
    bar.finish_and_clear();
    let point = |&row: &usize| MapPoint {
        path: stores.listing().path[row].to_owned(),
        label: stores.listing().label.get(row).and_then(|label| classes.get(label).copied()),
        has_thumbnail: true,
    };
    wanted.small = chosen.clone();
    Ok(Some(FeatureMap { pictures: rows.len(), points: chosen.iter().map(point).collect(), layers: layers? }))
}

fn layer(
    stores: &Stores,
    tap: usize,
    rows: &[usize],
    predicted: Vec<Option<(usize, f64)>>,
) -> anyhow::Result<MapLayer> {
    let name = || format!("tap {}", stores.typed(tap));
    let values = gathered(stores.store_of(tap), &stores.taps[tap].taps, rows)?;
    let view = ArrayView2::from_shape((rows.len(), values.len() / rows.len()), &values).expect("whole rows");
    let pca = principal(view, COMPONENTS).with_context(name)?;
    let second = |row: usize| if pca.scores.ncols() > 1 { pca.scores[[row, 1]] } else { 0.0 };
    let tsne = if rows.len() >= FEWEST_ROWS { Some(tsne(&pca).with_context(name)?) } else { None };
    Ok(MapLayer {
        tap,
        pca: (0..rows.len()).map(|row| [pca.scores[[row, 0]], second(row)]).collect(),
        explained: [pca.explained[0], pca.explained.get(1).copied().unwrap_or(0.0)],
        tsne,
        predicted,
    })
}

/// What the probes said of the pictures at `places` among those probed, the first time of several; none where one was not
/// scored.
fn predictions(probed: &Probed, tap: usize, places: &[usize]) -> Vec<Option<(usize, f64)>> {
    let Probed::Scored(scored) = probed else { return vec![None; places.len()] };
    let e = &scored.evaluations[tap];
    let said = |place: &usize| {
        let i = e.scored_rows.partition_point(|row| row < place);
        e.scored_rows.get(i).filter(|row| *row == place)?;
        Some((e.predicted[i], e.predicted_probability[i]))
    };
    places.iter().map(said).collect()
}

//! Where the evidence is in the pictures of the galleries, by the very probes that scored them.
//!
//! A probe that never saw a picture is fitted again for each fold that the pictures are of; each store's network then sees
//! each picture once, for all its taps. What stands in the way is said on the page, and is no error.

use std::collections::{BTreeMap, BTreeSet};

use tapline_core::{Resize, Store};
use tapline_image::Picture as Pixels;
use tapline_onnx::Runtime;
use tapline_probe::{Chosen, Evaluation, Probe, refit};
use tapline_report::{Evidence, Layer, Picture};

use super::closer;
use super::thumbnails::Files;
use crate::evidence::{self, Tapped, no_cells, not_the_mean};
use crate::features::Features;
use crate::network::Network;
use crate::plan::Plan;
use crate::probes::Probes;
use crate::stores::{Place, Stores};
use crate::{output, progress};

/// Cells along each side of what lies over a picture: a finer map would be too fine to see.
const CELLS: (u32, u32) = (24, 24);

/// A tap whose pictures are looked into.
struct Looked {
    /// Its place among the closer looks.
    layer: usize,
    /// Its place in its store.
    index: usize,
    /// The pictures of both galleries.
    pictures: Vec<Shown>,
    /// The probe of each fold that they are of.
    probes: BTreeMap<usize, Probe>,
}

/// A picture in a gallery.
struct Shown {
    right: bool,
    place: usize,
    row: usize,
    fold: usize,
}

/// Puts the evidence into the pictures of `layers`, or says why it is not there.
pub fn put(stores: &Stores, probes: &Probes, files: &Files<'_>, (layers, models): (&mut [Layer], &[String])) {
    let mut of_store: BTreeMap<usize, Vec<Looked>> = BTreeMap::new();
    for (place, layer) in layers.iter_mut().enumerate() {
        match looked(stores, probes, (place, layer.tap)) {
            Ok((store, looked)) => of_store.entry(store).or_default().push(looked),
            Err(reason) => layer.no_evidence = Some(reason),
        }
    }
    let mut runtime = None;
    for (store, looked) in of_store {
        let to = To { store: &stores.stores[store], files, models };
        if let Err(reason) = look(&to, &looked, layers, &mut runtime) {
            looked.iter().for_each(|tap| layers[tap.layer].no_evidence = Some(reason.clone()));
        }
    }
}

/// What is to be looked at, with its store; or why it cannot be.
fn looked(stores: &Stores, probes: &Probes, (layer, tap): (usize, usize)) -> Result<(usize, Looked), String> {
    let (home, Place { store, taps }) = (stores.store_of(tap), &stores.taps[tap]);
    let Some(info) = stores.info(tap) else { return Err("the maps of joined taps differ in size".to_owned()) };
    if let Some(reason) = no_cells(info) {
        return Err(format!("{} {reason}", output::short(&info.name)));
    }
    if let Some(reason) = not_the_mean(home.manifest().space.views, probes.plan.config.transform) {
        return Err(reason);
    }
    let evaluation = &probes.evaluations[tap];
    let pictures = shown(evaluation, &probes.plan);
    let folds: BTreeSet<usize> = pictures.iter().map(|picture| picture.fold).collect();
    let wanted: Vec<Chosen> = folds.iter().map(|&fold| learned_from(evaluation, &probes.plan, fold)).collect();
    let (data, config) = (&probes.plan.data, &probes.plan.config);
    let fitted = Features::of(home, taps, (data, config.max_bytes))
        .and_then(|features| Ok(features.with(|rows| refit(config, rows, &wanted, &|| {}))?));
    let fits = fitted.map_err(|error| said(&error, "its probes could not be fitted again"))?;
    let probes = folds.into_iter().zip(fits.into_iter().map(|fit| fit.probe)).collect();
    Ok((*store, Looked { layer, index: taps[0], pictures, probes }))
}

fn shown(evaluation: &Evaluation, plan: &Plan) -> Vec<Shown> {
    let gallery = |right: bool| {
        let one = move |(place, i): (usize, usize)| Shown {
            right,
            place,
            row: plan.data.rows[evaluation.scored_rows[i]],
            fold: evaluation.fold_of[i],
        };
        closer::chosen(evaluation, right).into_iter().enumerate().map(one)
    };
    gallery(false).chain(gallery(true)).collect()
}

/// The rows that the probe of a fold learned from, and its strength.
fn learned_from(evaluation: &Evaluation, plan: &Plan, fold: usize) -> Chosen {
    Chosen { rows: plan.learned_from(evaluation, fold), strength: evaluation.folds[fold].choice.index }
}

/// A store whose network is looked into.
struct To<'a> {
    store: &'a Store,
    files: &'a Files<'a>,
    models: &'a [String],
}

/// Sends each picture through the store's network once.
fn look(
    To { store, files, models }: &To<'_>,
    looked: &[Looked],
    layers: &mut [Layer],
    runtime: &mut Option<Runtime>,
) -> Result<(), String> {
    let rows: BTreeSet<usize> = looked.iter().flat_map(|tap| tap.pictures.iter().map(|picture| picture.row)).collect();
    let mut found =
        rows.iter().filter_map(|&row| Some((row, files.find_for(row, &store.manifest().space)?))).peekable();
    if found.peek().is_none() {
        return Err("the files of the pictures are not there, or have changed".to_owned());
    }
    let network = network(store, models)?;
    let taps: Vec<usize> = looked.iter().map(|tap| tap.index).collect();
    let failed = |error| said(&error, "the network could not be run");
    if runtime.is_none() {
        *runtime = Some(evidence::runtime().map_err(failed)?);
    }
    let runtime = runtime.as_ref().expect("it was just loaded");
    let mut tapped = Tapped::open(&network, store, &taps, runtime).map_err(failed)?;
    let bar = progress::bar("evidence", rows.len(), "pictures");
    for (row, picture) in found {
        let maps = tapped.maps(&picture).map_err(failed)?;
        for (tap, map) in looked.iter().zip(&maps) {
            for shown in tap.pictures.iter().filter(|shown| shown.row == row) {
                let found = evidence::Evidence::of(&tap.probes[&shown.fold], map, None).map_err(failed)?;
                of_gallery(&mut layers[tap.layer], shown).evidence =
                    Some(Evidence { score: found.score(), seen: seen(&picture, store), cells: found.shares(CELLS) });
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn of_gallery<'a>(layer: &'a mut Layer, shown: &Shown) -> &'a mut Picture {
    if shown.right { &mut layer.hits[shown.place] } else { &mut layer.mistakes[shown.place] }
}

/// The store's network: one of those typed, or the card of its name.
fn network(store: &Store, models: &[String]) -> Result<Network, String> {
    let expected = &store.manifest().space.model;
    let is_it = |network: &Network| network.model.sha256 == expected.sha256.to_string();
    let opened =
        models.iter().map(String::as_str).chain([expected.name.as_str()]).map(|typed| Network::open(typed, None));
    opened.flatten().find(is_it).ok_or_else(|| {
        format!(
            "no file of {} with the digest that the features come from was found; --model names it",
            output::short(&expected.name)
        )
    })
}

/// Width and height of what the network sees of a picture, as shares of its longer side.
fn seen(picture: &Pixels, store: &Store) -> (f64, f64) {
    let how = &store.manifest().space.preprocess;
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let longer = width.max(height);
    match how.resize {
        Resize::Squash => (width / longer, height / longer),
        Resize::ShortSide(side) => {
            let pixel = width.min(height) / f64::from(side);
            let part = |input: u32, whole: f64| (f64::from(input) * pixel).min(whole) / longer;
            (part(how.width, width), part(how.height, height))
        }
    }
}

/// A reason for the page; what it was exactly may name paths, and goes to stderr.
fn said(error: &anyhow::Error, reason: &str) -> String {
    eprintln!("tapline: no maps of the evidence: {error:#}");
    format!("{reason} (tapline says on stderr why)")
}

//! `tapline info`: what a store holds and where it came from.

use std::collections::BTreeMap;

use serde::Serialize;
use tapline_core::{Dtype, FeatureSpace, Manifest, Resize, Skipped, Store};

use crate::args::InfoArgs;
use crate::{Outcome, output, precision, shards, sharing, views};

#[derive(Serialize)]
struct Report {
    store: String,
    /// Views of each picture.
    views: usize,
    #[serde(flatten)]
    manifest: Manifest,
    labels: BTreeMap<String, usize>,
    unlabelled: usize,
    skipped_pictures: Vec<Skipped>,
}

pub fn run(args: &InfoArgs) -> anyhow::Result<Outcome> {
    let store = Store::open(&args.store)?;
    let listing = store.listing();
    let mut labels = BTreeMap::new();
    for label in listing.label.iter().flatten() {
        *labels.entry(label.clone()).or_insert(0) += 1;
    }
    let skipped_pictures: Vec<Skipped> = listing
        .path
        .iter()
        .zip(&listing.skipped)
        .filter_map(|(path, reason)| Some(Skipped { path: path.clone(), reason: reason.clone()? }))
        .collect();
    let report = Report {
        store: args.store.display().to_string(),
        views: store.manifest().space.views.count(),
        manifest: store.manifest().clone(),
        unlabelled: listing.label.iter().filter(|l| l.is_none()).count(),
        labels,
        skipped_pictures,
    };
    output::either(args.json, &report, render)?;
    Ok(Outcome::Done)
}

fn render(report: &Report) -> String {
    let manifest = &report.manifest;
    let taps = manifest.taps.iter().map(|tap| {
        let shape: Vec<String> = tap.info.shape.iter().map(usize::to_string).collect();
        vec![
            tap.info.name.clone(),
            tap.info.tap.pooling.to_string(),
            shape.join("×"),
            tap.info.features.to_string(),
            format!("{} %", output::percent(tap.info.cost_share)),
            format!("features/{}", tap.file),
        ]
    });
    let mut text = format!(
        "{}: {} pictures{} through {}{} ({} on {}, {}), {} skipped\n{}\n\n{}",
        report.store,
        output::count(manifest.rows),
        views::each(manifest.space.views),
        manifest.space.model.name,
        precision::inside(&manifest.space.precision),
        manifest.run.runtime,
        manifest.run.device,
        sharing::said(&manifest.run.sharing),
        report.skipped_pictures.len(),
        prepared(&manifest.space),
        output::table(&["tap", "pooling", "map", ">features", ">cost", "file"], taps)
    );
    if let Some(of) = &manifest.shard {
        text += &format!("\n{}\n", shards::part(of));
    }
    if !report.labels.is_empty() {
        let classes = report.labels.iter().map(|(label, n)| vec![output::cell(label), output::count(*n)]);
        text += &format!("\n{}", output::table(&["label", ">pictures"], classes));
    }
    for skipped in &report.skipped_pictures {
        text += &format!("skipped {}: {}\n", skipped.path, skipped.reason);
    }
    text
}

/// How the pictures were prepared and how features are stored, in the words of the flags.
fn prepared(space: &FeatureSpace) -> String {
    let how = &space.preprocess;
    let resize = match how.resize {
        Resize::ShortSide(side) => format!("short side to {side}, centre crop"),
        Resize::Squash => "whole picture (--squash)".to_owned(),
    };
    let dtype = match space.dtype {
        Dtype::F32 => "f32",
        Dtype::F16 => "f16",
    };
    format!(
        "pictures: {resize}, {} × {} pixels, {:?} filter, {:?} channels{}; features: {dtype}",
        how.height,
        how.width,
        how.interpolation,
        how.channels,
        if space.decode.is_exact() { "" } else { ", jpeg scaled while decoding (--decode scaled)" }
    )
    .to_lowercase()
}

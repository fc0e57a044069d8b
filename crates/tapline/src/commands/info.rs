//! `tapline info`: what a store holds and where it came from.

use std::collections::BTreeMap;

use serde::Serialize;
use tapline_core::{FeatureSpace, Manifest, Skipped, Store, Words};

use crate::args::InfoArgs;
use crate::{Outcome, output, precision, shards, sharing, views};

#[derive(Serialize)]
struct Report {
    store: String,
    /// Views of each picture.
    views: usize,
    #[serde(flatten)]
    manifest: Manifest,
    /// The labels, with their pictures that have features.
    labels: BTreeMap<String, usize>,
    /// Pictures with features and no label.
    unlabelled: usize,
    /// What the split column says, with its pictures that have features.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    splits: BTreeMap<String, usize>,
    /// The listing's further columns.
    columns: Vec<String>,
    skipped_pictures: Vec<Skipped>,
}

pub fn run(args: &InfoArgs) -> anyhow::Result<Outcome> {
    let store = Store::open(&args.store)?;
    let listing = store.listing();
    let counts = |values: &Words| {
        let mut counts = BTreeMap::new();
        let good = values.iter().zip(listing.skipped.iter()).filter(|(_, reason)| reason.is_none());
        good.filter_map(|(value, _)| value).for_each(|value| *counts.entry(value.to_owned()).or_insert(0) += 1);
        counts
    };
    let labels = counts(&listing.label);
    let report = Report {
        store: args.store.display().to_string(),
        views: store.manifest().space.views.count(),
        manifest: store.manifest().clone(),
        unlabelled: listing.skipped.iter().zip(listing.label.iter()).filter(|row| *row == (None, None)).count(),
        labels,
        splits: counts(&listing.split),
        columns: listing.extra.iter().map(|(name, _)| name.clone()).collect(),
        skipped_pictures: listing.skipped_pictures().collect(),
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
    let counted = |(value, n): (&String, &usize)| vec![output::cell(value), output::count(*n)];
    if !report.labels.is_empty() {
        let mut classes: Vec<Vec<String>> = report.labels.iter().map(counted).collect();
        if report.unlabelled > 0 {
            classes.push(vec!["(none)".to_owned(), output::count(report.unlabelled)]);
        }
        text += &format!("\n{}", output::table(&["label", ">with features"], classes));
    }
    if !report.splits.is_empty() {
        text += &format!("\n{}", output::table(&["split", ">with features"], report.splits.iter().map(counted)));
    }
    if !report.columns.is_empty() {
        text += &format!("\ncolumns: {}\n", output::line(&report.columns.join(", ")));
    }
    for skipped in &report.skipped_pictures {
        text += &format!("skipped {}: {}\n", output::line(&skipped.path), output::line(&skipped.reason));
    }
    text
}

/// How the pictures were prepared and how features are stored, in the words of the flags.
fn prepared(space: &FeatureSpace) -> String {
    let how = &space.preprocess;
    format!(
        "pictures: {}, {} × {} pixels, {:?} filter, {:?} channels{}{}; features: {}",
        how.resize,
        how.height,
        how.width,
        how.interpolation,
        how.channels,
        if space.decode.is_exact() { "" } else { ", jpeg scaled while decoding (--decode scaled)" },
        if space.bits.is_all() { String::new() } else { format!(", {} of 16 bits (--bits)", space.bits) },
        space.dtype
    )
    .to_lowercase()
}

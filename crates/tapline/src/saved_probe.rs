//! `--save`: a probe with all it takes to use it elsewhere, as JSON.

use std::io::Write;

use anyhow::Context;
use serde::Serialize;
use tapline_core::{Decode, Precision, Store, TapInfo, Views};
use tapline_probe::{Probe, Transform};

use crate::replacement::Replacement;
use crate::taps;

/// What a probe's outputs are.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outputs<'a> {
    /// Classes that exclude each other: one output, the log-odds of the second, for two; else one for each.
    Classes(&'a [String]),
    /// Labels that do not: the log-odds of each.
    Labels(&'a [String]),
    /// Numbers, in their own units.
    Targets(&'a [String]),
}

#[derive(Serialize)]
struct SavedProbe<'a> {
    model: &'a tapline_core::ModelRef,
    preprocess: &'a tapline_core::Preprocess,
    /// Of which views' mean the features are; not written where it is the centre alone.
    #[serde(skip_serializing_if = "Views::is_centre")]
    views: Views,
    /// How JPEG is decoded; not written where it is in full.
    #[serde(skip_serializing_if = "Decode::is_exact")]
    decode: Decode,
    /// The network's arithmetic; not written where it is float32.
    #[serde(skip_serializing_if = "Precision::is_float32")]
    precision: &'a Precision,
    /// The tap; none where several are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    tap: Option<TapInfo>,
    /// The taps whose features are joined, in this order.
    taps: Vec<TapInfo>,
    #[serde(flatten)]
    outputs: Outputs<'a>,
    strength: f64,
    converged: bool,
    /// What is done to each row of features first: `l2` divides it by its Euclidean length, `sqrt` takes signed square roots,
    /// `standardise` and `none` leave it; `mean` and `scale` come after it.
    transform: Transform,
    /// Subtracted from the features `[features]`.
    mean: Vec<f64>,
    /// Divides the difference `[features]`.
    scale: Vec<f64>,
    /// `[features][outputs]`.
    weights: Vec<Vec<f64>>,
    /// `[outputs]`.
    intercept: Vec<f64>,
}

/// Writes `probe`, fitted on `taps` of a store with a strength; warns where it did not converge.
pub fn write(
    file: &mut Replacement,
    (store, taps): (&Store, &[usize]),
    (probe, outputs): (&Probe, Outputs<'_>),
    (strength, converged): (f64, bool),
) -> anyhow::Result<()> {
    if !converged {
        eprintln!("tapline: the saved probe did not converge; its weights are not the optimum for C = {strength}");
    }
    let space = &store.manifest().space;
    let infos: Vec<TapInfo> = taps.iter().map(|&tap| store.taps()[tap].info.clone()).collect();
    let saved = SavedProbe {
        model: &space.model,
        preprocess: &space.preprocess,
        views: space.views,
        decode: space.decode,
        precision: &space.precision,
        tap: taps::only(&infos),
        taps: infos,
        outputs,
        strength,
        converged,
        transform: probe.transform,
        mean: probe.standardisation.mean.to_vec(),
        scale: probe.standardisation.scale.to_vec(),
        weights: probe.weights.outer_iter().map(|row| row.to_vec()).collect(),
        intercept: probe.intercept.to_vec(),
    };
    let bytes = serde_json::to_vec(&saved)?;
    file.file.write_all(&bytes).with_context(|| format!("{} cannot be written", file.beside.display()))
}

//! A probe with all it takes to use it elsewhere, as JSON: what `probe --save` writes and `predict` reads.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use tapline_core::{Bits, Decode, Dtype, FeatureSpace, ModelRef, Precision, Preprocess, Store, TapInfo, Views};
use tapline_probe::{Probe, Standardisation, Transform};

use crate::operating::OperatingPoint;
use crate::output::{counted, quoted};
use crate::replacement::Replacement;
use crate::taps;

/// Bytes of a file at most: a thousand classes of ten thousand features take a fifth of it.
const MAX_BYTES: u64 = 1 << 30;

/// What a probe's outputs are.
#[derive(Debug, Clone)]
pub enum Outputs {
    /// Classes that exclude each other: one output, the log-odds of the second, for two; else one for each. One of two may be
    /// called from another probability than one half on.
    Classes(Vec<String>, Option<OperatingPoint>),
    /// Labels that do not: the log-odds of each.
    Labels(Vec<String>),
    /// Numbers, in their own units.
    Targets(Vec<String>),
}

impl Outputs {
    /// The classes, labels or targets.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Classes(names, _) | Self::Labels(names) | Self::Targets(names) => names,
        }
    }

    /// How many outputs the probe has.
    fn count(&self) -> usize {
        match self {
            Self::Classes(names, _) if names.len() == 2 => 1,
            _ => self.names().len(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedProbe {
    model: ModelRef,
    preprocess: Preprocess,
    /// Of which views' mean the features are; not written where it is the centre alone.
    #[serde(default, skip_serializing_if = "Views::is_centre")]
    views: Views,
    /// How JPEG is decoded; not written where it is in full.
    #[serde(default, skip_serializing_if = "Decode::is_exact")]
    decode: Decode,
    /// Which bits of 16-bit samples are used; not written where it is all of them.
    #[serde(default, skip_serializing_if = "Bits::is_all")]
    bits: Bits,
    /// The network's arithmetic; not written where it is float32.
    #[serde(default, skip_serializing_if = "Precision::is_float32")]
    precision: Precision,
    /// The tap; none where several are joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tap: Option<TapInfo>,
    /// The taps whose features are side by side, in this order.
    pub taps: Vec<TapInfo>,
    /// Their arrays below the store's folder.
    #[serde(default)]
    files: Vec<String>,
    /// The classes, where there are some; else labels, or else targets ([`Outputs`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    targets: Option<Vec<String>>,
    /// From which probability on one of two classes is called; not written where the more probable one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operating_point: Option<OperatingPoint>,
    strength: f64,
    converged: bool,
    /// What is done to each row of features first: `l2` divides it by its Euclidean length, `sqrt` takes signed square roots,
    /// all others leave it; `mean` and `scale` come after it.
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
    (probe, outputs): (&Probe, Outputs),
    (strength, converged): (f64, bool),
) -> anyhow::Result<()> {
    if !converged {
        eprintln!("tapline: the saved probe did not converge; its weights are not the optimum for C = {strength}");
    }
    let space = store.manifest().space.clone();
    let infos: Vec<TapInfo> = taps.iter().map(|&tap| store.taps()[tap].info.clone()).collect();
    let mut saved = SavedProbe {
        model: space.model,
        preprocess: space.preprocess,
        views: space.views,
        decode: space.decode,
        bits: space.bits,
        precision: space.precision,
        tap: taps::only(&infos),
        taps: infos,
        files: taps.iter().map(|&tap| format!("features/{}", store.taps()[tap].file)).collect(),
        classes: None,
        labels: None,
        targets: None,
        operating_point: None,
        strength,
        converged,
        transform: probe.transform,
        mean: probe.standardisation.mean.to_vec(),
        scale: probe.standardisation.scale.to_vec(),
        weights: probe.weights.outer_iter().map(|row| row.to_vec()).collect(),
        intercept: probe.intercept.to_vec(),
    };
    match outputs {
        Outputs::Classes(names, point) => {
            saved.classes = Some(names);
            saved.operating_point = point;
        }
        Outputs::Labels(names) => saved.labels = Some(names),
        Outputs::Targets(names) => saved.targets = Some(names),
    }
    let bytes = serde_json::to_vec(&saved)?;
    file.file.write_all(&bytes).with_context(|| format!("{} cannot be written", file.beside.display()))
}

impl SavedProbe {
    /// Reads what [`write()`] wrote, and checks that it can be used.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("{} cannot be read", path.display());
        if path.is_dir() {
            bail!(
                "{} is a folder: first name the file that `tapline probe --save` wrote, then the pictures",
                path.display()
            );
        }
        let bytes = fs::metadata(path).with_context(cannot)?.len();
        if bytes > MAX_BYTES {
            bail!("{} is no saved probe: it has {bytes} bytes, and {MAX_BYTES} are allowed", path.display());
        }
        let text = fs::read(path).with_context(cannot)?;
        let saved: Self = serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} is no probe that `tapline probe --save` wrote (it comes first, before the pictures)",
                path.display()
            )
        })?;
        saved.check().with_context(|| format!("{} is no probe that can be used", path.display()))?;
        Ok(saved)
    }

    fn check(&self) -> anyhow::Result<()> {
        let features = self.taps.iter().try_fold(0, |sum: usize, tap| sum.checked_add(tap.features));
        let columns = self.mean.len();
        ensure!(
            features == Some(columns) && columns > 0 && [self.scale.len(), self.weights.len()] == [columns; 2],
            "its mean, scale, weights and taps speak of different numbers of features"
        );
        let outputs = self.outputs().context("it has not one of classes, labels and targets")?;
        let (names, count) = (outputs.names(), outputs.count());
        ensure!(
            names.len() >= if matches!(outputs, Outputs::Classes(..)) { 2 } else { 1 },
            "it has {} alone",
            counted(names.len(), "name")
        );
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            bail!("it names {} twice", quoted(twice));
        }
        if let Some(OperatingPoint { class, wanted_recall, threshold }) = &self.operating_point {
            let is_of_two = names.len() == 2 && matches!(outputs, Outputs::Classes(..)) && names.contains(class);
            ensure!(is_of_two, "its operating point is not of one of two classes");
            let is_share = |share: &f64| share.is_sign_positive() && *share <= 1.0;
            ensure!(
                is_share(wanted_recall) && is_share(threshold),
                "a number of its operating point is not between 0 and 1"
            );
        }
        ensure!(
            self.intercept.len() == count && self.weights.iter().all(|row| row.len() == count),
            "its weights and intercept are not those of {}",
            counted(count, "output")
        );
        let numbers = self.mean.iter().chain(&self.intercept).chain(self.weights.iter().flatten());
        ensure!(numbers.copied().all(f64::is_finite), "a number of it is not finite");
        ensure!(self.scale.iter().all(|scale| scale.is_finite() && *scale > 0.0), "a scale of it is not above 0");
        // So that no feature, which is a float32, makes a score that is none.
        let most = |(column, weight): (usize, &f64)| {
            (f64::from(f32::MAX) + self.mean[column].abs()) / self.scale[column] * weight.abs() * columns as f64
        };
        let weights =
            self.weights.iter().enumerate().flat_map(|(column, row)| row.iter().map(move |weight| (column, weight)));
        ensure!(weights.map(most).all(f64::is_finite), "its weights are too large to be multiplied");
        Ok(())
    }

    /// What the outputs are; none where not one of the three is there.
    pub fn outputs(&self) -> Option<Outputs> {
        match (&self.classes, &self.labels, &self.targets) {
            (Some(names), None, None) => Some(Outputs::Classes(names.clone(), self.operating_point.clone())),
            (None, Some(names), None) => Some(Outputs::Labels(names.clone())),
            (None, None, Some(names)) => Some(Outputs::Targets(names.clone())),
            _ => None,
        }
    }

    /// The space that features must be of, in float32.
    pub fn own_space(&self) -> FeatureSpace {
        FeatureSpace {
            model: self.model.clone(),
            preprocess: self.preprocess.clone(),
            decode: self.decode,
            bits: self.bits,
            views: self.views,
            precision: self.precision.clone(),
            dtype: Dtype::F32,
        }
    }

    /// The probe itself.
    pub fn probe(&self) -> Probe {
        let weights = self.weights.concat();
        Probe {
            transform: self.transform,
            standardisation: Standardisation {
                mean: Array1::from_vec(self.mean.clone()),
                scale: Array1::from_vec(self.scale.clone()),
            },
            weights: Array2::from_shape_vec((self.mean.len(), self.intercept.len()), weights).expect("checked"),
            intercept: Array1::from_vec(self.intercept.clone()),
        }
    }
}

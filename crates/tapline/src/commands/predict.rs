//! `tapline predict`: what a saved probe says of the pictures of a store.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use ndarray::{Array2, ArrayView2};
use serde::Serialize;
use tapline_core::{Skipped, Store};
use tapline_probe::Score;

use crate::args::PredictArgs;
use crate::features::gathered;
use crate::output::{count, counted, percent};
use crate::replacement::Replacement;
use crate::saved_probe::{Outputs, SavedProbe};
use crate::target_scores::probabilities;
use crate::typing::{space_flags, word};
use crate::{Outcome, output, progress, taps};

/// Pictures scored at a time.
const BLOCK: usize = 1024;
/// Pictures that are shown.
const SHOWN: usize = 20;
/// Numbers of a picture that are shown.
const NUMBERS: usize = 6;

#[derive(Serialize)]
struct Report {
    store: String,
    probe: PathBuf,
    tap: String,
    /// Pictures that the probe was applied to.
    pictures: usize,
    /// The classes or labels, with the pictures they were predicted for; none for numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    predicted: BTreeMap<String, usize>,
    /// How the labels of the listing compare, where these are of the probe's classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    labelled: Option<Labelled>,
    /// The file that all is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    skipped: Vec<Skipped>,
    /// The first pictures, as people see them.
    #[serde(skip)]
    first: (Vec<String>, Vec<Vec<String>>),
}

/// Pictures whose label is one of the probe's classes.
#[derive(Serialize)]
struct Labelled {
    correct: usize,
    total: usize,
    accuracy: f64,
    /// 95 % Wilson interval.
    interval: (f64, f64),
}

pub fn run(args: &PredictArgs) -> anyhow::Result<Outcome> {
    let saved = SavedProbe::read(&args.probe)?;
    let store = Store::open(&args.store)?;
    let found = places(&saved, &store, args)?;
    let mut file = args.out.as_deref().map(|path| Replacement::create(path, &["csv"])).transpose()?;
    let listing = store.listing();
    let rows: Vec<usize> = (0..listing.rows()).filter(|&row| listing.skipped[row].is_none()).collect();
    let said = said(&saved, (&store, &found), &rows)?;
    let cells = Cells { outputs: &saved.outputs, said: said.view() };
    let label = |row: usize| listing.label[row].as_deref().unwrap_or_default();
    if let Some(file) = &mut file {
        let mut writer = csv::Writer::from_writer(&file.file);
        let written = (|| {
            writer.write_record(["path", "label"].map(str::to_owned).into_iter().chain(cells.headers()))?;
            for (place, &row) in rows.iter().enumerate() {
                let known = [listing.path[row].clone(), label(row).to_owned()];
                writer.write_record(known.into_iter().chain(cells.of(place)))?;
            }
            anyhow::Ok(writer.flush()?)
        })();
        written.with_context(|| format!("{} cannot be written", file.beside.display()))?;
    }
    file.into_iter().try_for_each(Replacement::put_in_place)?;
    let shown = rows.iter().take(SHOWN).enumerate().map(|(place, &row)| {
        let path = output::cell(&listing.path[row]);
        std::iter::once(path).chain(cells.short(place)).collect()
    });
    let skipped = listing.path.iter().zip(&listing.skipped);
    let report = Report {
        store: args.store.display().to_string(),
        probe: args.probe.clone(),
        tap: format!("{} ({})", taps::names(&saved.taps), taps::poolings(&saved.taps)),
        pictures: rows.len(),
        predicted: cells.counts(),
        labelled: cells.labelled(&rows.iter().map(|&row| label(row)).collect::<Vec<_>>()),
        file: args.out.clone(),
        skipped: skipped
            .filter_map(|(path, reason)| Some(Skipped { path: path.clone(), reason: reason.clone()? }))
            .collect(),
        first: (cells.short_headers(), shown.collect()),
    };
    output::either(args.json, &report, render)?;
    Ok(Outcome::Done)
}

/// Positions in the store of the probe's taps; refused where features are not those it was fitted on.
fn places(saved: &SavedProbe, store: &Store, args: &PredictArgs) -> anyhow::Result<Vec<usize>> {
    let asked = saved.space(&store.manifest().space);
    let names: Vec<String> = saved.taps.iter().map(|tap| format!("{}@{}", tap.name, tap.tap.pooling)).collect();
    let how = format!(
        "tapline extract PICTURES --model {} --taps {}{} --store STORE",
        word(&asked.model.name),
        word(&names.join(",")),
        space_flags(&asked)
    );
    let (dir, probe) = (store.dir().display(), args.probe.display());
    if let Some(what) = store.manifest().space.difference(&asked) {
        bail!("{dir} holds other features than those of {probe} ({what}): {how}");
    }
    let place = |(tap, name): (&tapline_core::TapInfo, &String)| {
        let found = store.tap_index(&tap.tap).filter(|&at| store.taps()[at].info.features == tap.features);
        found.with_context(|| format!("{dir} has no {name}, which {probe} takes: {how}"))
    };
    saved.taps.iter().zip(&names).map(place).collect()
}

/// What the probe says of these rows: the probability of each class or label `[rows, names]`, or the numbers.
fn said(saved: &SavedProbe, (store, taps): (&Store, &[usize]), rows: &[usize]) -> anyhow::Result<Array2<f64>> {
    let probe = saved.probe();
    let bar = progress::bar("predicting", rows.len(), "pictures");
    let mut said = Vec::new();
    for block in rows.chunks(BLOCK) {
        let features = gathered(store, taps, block)?;
        let features = ArrayView2::from_shape((block.len(), probe.weights.nrows()), &features)?;
        said.extend(match saved.outputs {
            Outputs::Classes(_) => probe.probabilities(features)?,
            Outputs::Labels(_) => probabilities(probe.scores(features)?.view()),
            Outputs::Targets(_) => probe.scores(features)?,
        });
        bar.inc(block.len() as u64);
    }
    bar.finish_and_clear();
    Ok(Array2::from_shape_vec((rows.len(), saved.outputs.names().len()), said)?)
}

/// What the probe said, as cells of tables.
struct Cells<'a> {
    outputs: &'a Outputs,
    /// Probabilities or numbers `[pictures, names]`.
    said: ArrayView2<'a, f64>,
}

impl Cells<'_> {
    fn headers(&self) -> Vec<String> {
        let of = |names: &[String]| names.iter().map(|name| format!("probability of {name}")).collect::<Vec<_>>();
        match self.outputs {
            Outputs::Classes(names) | Outputs::Labels(names) => [vec!["predicted".to_owned()], of(names)].concat(),
            Outputs::Targets(names) => names.iter().map(|name| format!("predicted {name}")).collect(),
        }
    }

    /// All that is to be written of a picture.
    fn of(&self, place: usize) -> Vec<String> {
        let numbers = self.said.row(place).iter().map(f64::to_string).collect();
        match self.outputs {
            Outputs::Classes(_) | Outputs::Labels(_) => [vec![self.predicted(place).join("|")], numbers].concat(),
            Outputs::Targets(_) => numbers,
        }
    }

    fn short_headers(&self) -> Vec<String> {
        match self.outputs {
            Outputs::Classes(_) => ["picture", "predicted", ">probability %"].map(str::to_owned).to_vec(),
            Outputs::Labels(_) => ["picture", "predicted"].map(str::to_owned).to_vec(),
            Outputs::Targets(names) => {
                let names = names.iter().take(NUMBERS).map(|name| format!(">{}", output::cell(name)));
                std::iter::once("picture".to_owned()).chain(names).collect()
            }
        }
    }

    /// What is shown of a picture.
    fn short(&self, place: usize) -> Vec<String> {
        let said = self.said.row(place);
        let predicted = || output::cell(&self.predicted(place).join("|"));
        match self.outputs {
            Outputs::Classes(_) => vec![predicted(), percent(said.fold(0.0, |highest, &p| highest.max(p)))],
            Outputs::Labels(_) => vec![predicted()],
            Outputs::Targets(_) => said.iter().take(NUMBERS).map(|number| format!("{number:.4}")).collect(),
        }
    }

    /// The first of the most probable classes, or the labels whose probability is above one half.
    fn predicted(&self, place: usize) -> Vec<&str> {
        let said = self.said.row(place);
        match self.outputs {
            Outputs::Classes(names) => {
                vec![&names[(1..said.len()).fold(0, |best, class| if said[class] > said[best] { class } else { best })]]
            }
            Outputs::Labels(names) => {
                names.iter().zip(said).filter(|(_, p)| **p > 0.5).map(|(name, _)| name.as_str()).collect()
            }
            Outputs::Targets(_) => Vec::new(),
        }
    }

    /// For how many pictures each class or label was predicted.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, usize> = match self.outputs {
            Outputs::Classes(names) | Outputs::Labels(names) => names.iter().map(|name| (name.clone(), 0)).collect(),
            Outputs::Targets(_) => BTreeMap::new(),
        };
        for place in 0..self.said.nrows() {
            for name in self.predicted(place) {
                *counts.get_mut(name).expect("a name of the probe") += 1;
            }
        }
        counts
    }

    /// How the labels of the pictures compare with the classes predicted; none where none of them is a class of the probe.
    fn labelled(&self, labels: &[&str]) -> Option<Labelled> {
        let Outputs::Classes(names) = self.outputs else { return None };
        let known: Vec<usize> = (0..labels.len()).filter(|&i| names.iter().any(|name| name == labels[i])).collect();
        let correct = known.iter().filter(|&&i| self.predicted(i) == [labels[i]]).count();
        let score = Score { correct, total: known.len() };
        (!known.is_empty()).then(|| Labelled {
            correct,
            total: score.total,
            accuracy: score.accuracy(),
            interval: score.interval(),
        })
    }
}

fn render(report: &Report) -> String {
    let (headers, rows) = &report.first;
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let mut text = format!(
        "{}: {} by {}, a probe of {}\n\n{}",
        report.store,
        counted(report.pictures, "picture"),
        report.probe.display(),
        report.tap,
        output::table(&headers, rows.iter().cloned())
    );
    if report.pictures > rows.len() && report.file.is_none() {
        text += &format!(
            "and {} more; --out FILE.csv writes all of them, with every probability\n",
            count(report.pictures - rows.len())
        );
    }
    if !report.predicted.is_empty() {
        let counts: Vec<String> = report
            .predicted
            .iter()
            .take(SHOWN)
            .map(|(name, n)| format!("{} {}", count(*n), output::short(name)))
            .collect();
        text += &format!("\nPredicted: {}\n", counts.join(", "));
    }
    if let Some(Labelled { correct, total, accuracy, interval: (low, high) }) = &report.labelled {
        text += &format!(
            "{} of {} with a label of its classes are right ({} %, 95 % Wilson interval {} to {}); where it learned from some of \
             them that is too high.\n",
            count(*correct),
            counted(*total, "picture"),
            percent(*accuracy),
            percent(*low),
            percent(*high)
        );
    }
    if !report.skipped.is_empty() {
        text += &format!("Left out: {} without features.\n", counted(report.skipped.len(), "picture"));
    }
    if let Some(file) = &report.file {
        text += &format!("Written: {}\n", file.display());
    }
    text
}

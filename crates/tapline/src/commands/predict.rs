//! `tapline predict`: what a saved probe says of the pictures of a store, or of pictures that it has the features computed for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use clap::Parser;
use ndarray::{ArrayView1, ArrayView2};
use serde::Serialize;
use tapline_core::{Decode, FeatureSpace, Listing, Precision, Skipped, Store, is_store};
use tapline_probe::Score;
use tapline_report::probability;
use tempfile::TempDir;

use crate::args::{DecodeArg, ExtractArgs, PrecisionArg, PredictArgs, PreprocessingArgs};
use crate::commands::extract::of_taps;
use crate::features::gathered;
use crate::interrupt::Interrupt;
use crate::operating::OperatingPoint;
use crate::output::{count, counted, percent};
use crate::reading::Sources;
use crate::replacement::{Replacement, is_stdout};
use crate::saved_probe::{Outputs, SavedProbe};
use crate::target_scores::probabilities;
use crate::typing::extraction_of;
use crate::{Outcome, output, progress, taps};

/// Pictures scored at a time.
const BLOCK: usize = 1024;
/// Pictures that are shown.
const SHOWN: usize = 20;
/// Numbers of a picture that are shown.
const NUMBERS: usize = 6;
/// Labels that a probe does not know that are named.
const NAMED: usize = 6;

#[derive(Serialize)]
struct Report {
    /// The store, where one was typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// Else where the pictures are, as typed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from: Vec<String>,
    probe: String,
    tap: String,
    /// Pictures that the probe was applied to.
    pictures: usize,
    /// The classes or labels, with the pictures they were predicted for; none for numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    predicted: BTreeMap<String, usize>,
    /// From which probability on one of two classes is predicted, where it is not the more probable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    operating_point: Option<OperatingPoint>,
    /// How the labels of the listing compare, where these are of the probe's classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    labelled: Option<Labelled>,
    /// Other labels of the listing, with their pictures, where the probe tells classes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unknown_labels: BTreeMap<String, usize>,
    /// The file that all is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    skipped: Vec<Skipped>,
    /// What was passed over where the pictures are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_listed: Vec<Skipped>,
    /// The first pictures, as people see them.
    #[serde(skip)]
    first: (Vec<String>, Vec<Vec<String>>),
}

/// Pictures whose label is one of the probe's classes.
#[derive(Serialize)]
struct Labelled {
    #[serde(flatten)]
    all: Share,
    /// With an operating point: of its class those called so, of the other class those called the other, of those called so
    /// those of the class; none without such pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    recall: Option<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    specificity: Option<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<Share>,
}

/// Pictures that are right, out of all of a kind.
#[derive(Serialize)]
struct Share {
    correct: usize,
    total: usize,
    accuracy: f64,
    /// 95 % Wilson interval.
    interval: (f64, f64),
}

impl Share {
    /// None of no pictures.
    fn of(score: Score) -> Option<Self> {
        let Score { correct, total } = score;
        (total > 0).then(|| Self { correct, total, accuracy: score.accuracy(), interval: score.interval() })
    }

    /// `12 of 13 (92.3 %, 95 % Wilson interval 66.7 to 98.6)`.
    fn text(&self) -> String {
        let (low, high) = self.interval;
        format!(
            "{} of {} ({} %, 95 % Wilson interval {} to {})",
            count(self.correct),
            count(self.total),
            percent(self.accuracy),
            percent(low),
            percent(high)
        )
    }
}

pub fn run(args: &PredictArgs) -> anyhow::Result<Outcome> {
    let saved = SavedProbe::read(&args.probe)?;
    let stored = match &args.pictures[..] {
        [dir] if is_store(dir) => Some(dir.as_path()),
        _ => None,
    };
    if let (Some(_), Some(model)) = (stored, &args.model) {
        bail!("--model {model} is for pictures whose features are to be computed: leave it out for a store");
    }
    // Before anything is made that a signal would leave behind.
    let scanned = match stored {
        Some(_) => None,
        None => Some(Sources::scan(&extraction(args, &saved, Path::new("")))?),
    };
    let interrupt = Interrupt::watch()?;
    let file = destination(args)?;
    let made = scanned.map(|scanned| extracted(args, &saved, (scanned, &interrupt))).transpose()?;
    let report = match (&made, stored, interrupt.caught()) {
        (Some((folder, not_listed)), _, None) => {
            let from = args.pictures.iter().map(|path| output::path(path)).collect();
            let found = predicted(args, &saved, (folder.path(), file), &interrupt)?;
            found.map(|report| Report { from, not_listed: not_listed.clone(), ..report })
        }
        (None, Some(dir), None) => {
            let found = predicted(args, &saved, (dir, file), &interrupt)?;
            found.map(|report| Report { store: Some(output::path(dir)), ..report })
        }
        _ => None,
    };
    match (report, interrupt.caught()) {
        (Some(report), _) => print(args, &report),
        (None, Some(signal)) => {
            eprintln!("tapline: stopped by {}; not all was predicted, and nothing is kept", signal.name());
            Ok(Outcome::Stopped(signal))
        }
        (None, None) => unreachable!("only a signal stops it"),
    }
}

/// What the probe says of a store's pictures, all of it in `file`; none where a signal stopped it.
fn predicted(
    args: &PredictArgs,
    saved: &SavedProbe,
    (dir, file): (&Path, Option<Replacement>),
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Report>> {
    let outputs = saved.outputs().context("checked when it was read")?;
    let store = Store::open(dir)?;
    let found = places(saved, &store, args)?;
    let mut sums = Sums::new(&outputs);
    let table = file.as_ref().map(|file| csv::Writer::from_writer(&file.file));
    apply((saved, &outputs), (&store, &found), (&mut sums, table), interrupt)?;
    if interrupt.caught().is_some() {
        return Ok(None);
    }
    file.into_iter().try_for_each(Replacement::put_in_place)?;
    Ok(Some(Report {
        store: None,
        from: Vec::new(),
        probe: output::path(&args.probe),
        tap: format!("{} ({})", taps::names(&saved.taps), taps::poolings(&saved.taps)),
        pictures: sums.pictures,
        predicted: sums.predicted,
        operating_point: match &outputs {
            Outputs::Classes(_, point) => point.clone(),
            Outputs::Labels(_) | Outputs::Targets(_) => None,
        },
        labelled: Share::of(sums.known).map(|all| {
            let [recall, specificity, precision] = sums.operated.map(Share::of);
            Labelled { all, recall, specificity, precision }
        }),
        unknown_labels: sums.unknown,
        file: args.out.as_deref().map(|path| match is_stdout(path) {
            true => "standard output".to_owned(),
            false => output::path(path),
        }),
        skipped: store.listing().skipped_pictures().collect(),
        not_listed: Vec::new(),
        first: (short_headers(&outputs), sums.first),
    }))
}

/// Prints the report, on standard error where the predictions are on standard output.
fn print(args: &PredictArgs, report: &Report) -> anyhow::Result<Outcome> {
    if args.out.as_deref().is_some_and(is_stdout) {
        eprintln!("{}", render(report).trim_end());
    } else {
        output::either(args.json, report, render)?;
    }
    Ok(match (report.pictures, report.skipped.as_slice()) {
        (_, []) => Outcome::Done,
        (0, _) => Outcome::Nothing,
        _ => Outcome::Skipped,
    })
}

/// The features of the scanned pictures in a store of a temporary folder, and what was passed over.
fn extracted(
    args: &PredictArgs,
    saved: &SavedProbe,
    (scanned, interrupt): ((Listing, Sources), &Interrupt),
) -> anyhow::Result<(TempDir, Vec<Skipped>)> {
    let place = || format!("features in the folder for temporary files, {}", std::env::temp_dir().display());
    let folder = tempfile::Builder::new().prefix("tapline-").tempdir().with_context(place)?;
    let extraction = extraction(args, saved, folder.path());
    let passed_over = of_taps(&extraction, (scanned, interrupt), (&saved.own_space(), &saved.taps));
    let passed_over = passed_over.map_err(|error| match error.downcast_ref() {
        Some(tapline_core::Error::Write { .. }) => error.context(place() + " (nothing of them is kept)"),
        _ => error,
    })?;
    Ok((folder, passed_over))
}

/// The extraction of the typed pictures, with the options that the probe's features were made with, into `store`.
fn extraction(args: &PredictArgs, saved: &SavedProbe, store: &Path) -> ExtractArgs {
    /// So that options have their usual values.
    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        extract: ExtractArgs,
    }
    let space = saved.own_space();
    let usual = Typed::parse_from(["extract", "PICTURES", "--model", "MODEL", "--store", "STORE"]).extract;
    ExtractArgs {
        pictures: args.pictures.clone(),
        model: args.model.clone().unwrap_or(space.model.name),
        store: store.to_owned(),
        views: space.views,
        decode: match space.decode {
            Decode::Exact => DecodeArg::Exact,
            Decode::Scaled => DecodeArg::Scaled,
        },
        bits: space.bits,
        precision: match space.precision {
            Precision::Float32 => PrecisionArg::Float32,
            Precision::Float16 => PrecisionArg::Float16,
            Precision::Int8(_) => PrecisionArg::Int8,
        },
        device: args.device,
        max_megapixels: args.max_megapixels,
        // Nothing is known of them from another run.
        verify: true,
        preprocessing: PreprocessingArgs { layout: args.layout, ..usual.preprocessing },
        ..usual
    }
}

/// The file that was asked for, or standard output, which then holds the predictions alone.
fn destination(args: &PredictArgs) -> anyhow::Result<Option<Replacement>> {
    match &args.out {
        Some(path) if is_stdout(path) && args.json => bail!(
            "--out {} prints the predictions where --json prints the counts: name a file, or leave out --json",
            path.display()
        ),
        Some(path) if is_stdout(path) => Replacement::stdout().map(Some),
        Some(path) => Replacement::create(path, &["csv"]).map(Some),
        None => Ok(None),
    }
}

/// Positions in the store of the probe's taps; refused where features are not those it was fitted on.
fn places(saved: &SavedProbe, store: &Store, args: &PredictArgs) -> anyhow::Result<Vec<usize>> {
    // Whichever number type they are stored in.
    let asked = FeatureSpace { dtype: store.manifest().space.dtype, ..saved.own_space() };
    let names: Vec<String> = saved.taps.iter().map(|tap| format!("{}@{}", tap.name, tap.tap.pooling)).collect();
    // Ranges are measured on each store's own pictures, unless they are given.
    let ranges = match asked.precision {
        Precision::Int8(_) => " --ranges STORE-OF-THE-PROBE",
        Precision::Float32 | Precision::Float16 => "",
    };
    let how = extraction_of(("PICTURES", &names), &asked, "STORE") + ranges;
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

/// Has the probe say what it does of every picture, block by block, into `sums` and a line of the table each.
fn apply<W: Write>(
    (saved, outputs): (&SavedProbe, &Outputs),
    (store, taps): (&Store, &[usize]),
    (sums, mut table): (&mut Sums<'_>, Option<csv::Writer<W>>),
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let (probe, listing) = (saved.probe(), store.listing());
    if let Some(table) = &mut table {
        let own = ["path", "label"].map(str::to_owned).into_iter().chain(headers(outputs));
        table.write_record(own.chain(["skipped".to_owned()]))?;
    }
    let bar = progress::bar("predicting", listing.rows(), "pictures");
    let all: Vec<usize> = (0..listing.rows()).collect();
    for block in all.chunks(BLOCK) {
        if interrupt.caught().is_some() {
            break;
        }
        let good: Vec<usize> = block.iter().copied().filter(|&row| listing.skipped.get(row).is_none()).collect();
        let features = gathered(store, taps, &good)?;
        let features = ArrayView2::from_shape((good.len(), probe.weights.nrows()), &features)?;
        let said = match outputs {
            Outputs::Classes(..) => probe.probabilities(features)?,
            Outputs::Labels(_) => probabilities(probe.scores(features)?.view()),
            Outputs::Targets(_) => probe.scores(features)?,
        };
        let mut said = said.outer_iter();
        for &row in block {
            let (path, label) = (&listing.path[row], listing.label.get(row).unwrap_or_default());
            let known = [path.to_owned(), label.to_owned()].into_iter();
            let cells = match listing.skipped.get(row) {
                Some(reason) => {
                    known.chain(headers(outputs).map(|_| String::new())).chain([reason.to_owned()]).collect()
                }
                None => {
                    let said = Said { outputs, said: said.next().expect("one of each picture with features") };
                    sums.add(&said, (path, label));
                    known.chain(said.cells()).chain([String::new()]).collect::<Vec<_>>()
                }
            };
            if let Some(table) = &mut table {
                table.write_record(cells)?;
            }
        }
        bar.inc(block.len() as u64);
    }
    bar.finish_and_clear();
    Ok(table.map_or(Ok(()), |mut table| table.flush())?)
}

/// What all pictures come to.
struct Sums<'a> {
    pictures: usize,
    predicted: BTreeMap<String, usize>,
    /// Of the pictures whose label is one of these classes.
    known: Score,
    /// Of these, by the class of an operating point: recall, specificity and precision.
    operated: [Score; 3],
    /// The other labels, with their pictures.
    unknown: BTreeMap<String, usize>,
    /// None where the probe says something else.
    classes: HashSet<&'a str>,
    /// The first pictures, as people see them.
    first: Vec<Vec<String>>,
}

impl<'a> Sums<'a> {
    fn new(outputs: &'a Outputs) -> Self {
        let classes = match outputs {
            Outputs::Classes(names, _) => names.iter().map(String::as_str).collect(),
            Outputs::Labels(_) | Outputs::Targets(_) => HashSet::new(),
        };
        let predicted = match outputs {
            Outputs::Classes(names, _) | Outputs::Labels(names) => names.iter().map(|name| (name.clone(), 0)).collect(),
            Outputs::Targets(_) => BTreeMap::new(),
        };
        let (known, operated, unknown) = (Score::default(), Default::default(), BTreeMap::new());
        Self { pictures: 0, predicted, known, operated, unknown, classes, first: Vec::new() }
    }

    fn add(&mut self, said: &Said<'_>, (path, label): (&str, &str)) {
        self.pictures += 1;
        let names = said.names();
        for name in &names {
            *self.predicted.get_mut(*name).expect("a name of the probe") += 1;
        }
        if self.classes.contains(label) {
            self.known.total += 1;
            self.known.correct += usize::from(names == [label]);
            if let Outputs::Classes(_, Some(point)) = said.outputs {
                let (is_own, is_called) = (label == point.class, names == [point.class.as_str()]);
                let parts = [(is_own, is_called), (!is_own, !is_called), (is_called, is_own)];
                for (score, (_, is_right)) in self.operated.iter_mut().zip(parts).filter(|(_, (counts, _))| *counts) {
                    score.total += 1;
                    score.correct += usize::from(is_right);
                }
            }
        } else if !label.is_empty() && !self.classes.is_empty() {
            *self.unknown.entry(label.to_owned()).or_default() += 1;
        }
        if self.first.len() < SHOWN {
            self.first.push(std::iter::once(output::cell(path)).chain(said.short()).collect());
        }
    }
}

/// The columns of the table that the probe fills.
fn headers(outputs: &Outputs) -> impl Iterator<Item = String> {
    let (first, what) = match outputs {
        Outputs::Classes(..) | Outputs::Labels(_) => (Some("predicted".to_owned()), "probability of"),
        Outputs::Targets(_) => (None, "predicted"),
    };
    first.into_iter().chain(outputs.names().iter().map(move |name| format!("{what} {name}")))
}

/// The columns that are shown.
fn short_headers(outputs: &Outputs) -> Vec<String> {
    match outputs {
        Outputs::Classes(..) => ["picture", "predicted", ">probability %"].map(str::to_owned).to_vec(),
        Outputs::Labels(_) => ["picture", "predicted"].map(str::to_owned).to_vec(),
        Outputs::Targets(names) => {
            let names = names.iter().take(NUMBERS).map(|name| format!(">{}", output::cell(name)));
            std::iter::once("picture".to_owned()).chain(names).collect()
        }
    }
}

/// What the probe says of a picture: the probability of each class or label, or the numbers.
struct Said<'a> {
    outputs: &'a Outputs,
    said: ArrayView1<'a, f64>,
}

impl Said<'_> {
    /// All that is to be written of it.
    fn cells(&self) -> Vec<String> {
        let numbers = self.said.iter().map(f64::to_string).collect();
        match self.outputs {
            Outputs::Classes(..) | Outputs::Labels(_) => [vec![self.names().join("|")], numbers].concat(),
            Outputs::Targets(_) => numbers,
        }
    }

    /// What is shown of it.
    fn short(&self) -> Vec<String> {
        let predicted = || output::cell(&self.names().join("|"));
        match self.outputs {
            Outputs::Classes(names, point) => {
                vec![predicted(), percent(self.said[class_of(names, point.as_ref(), self.said)])]
            }
            Outputs::Labels(_) => vec![predicted()],
            Outputs::Targets(_) => self.said.iter().take(NUMBERS).map(|number| format!("{number:.4}")).collect(),
        }
    }

    /// The class, or the labels whose probability is above one half.
    fn names(&self) -> Vec<&str> {
        let said = self.said;
        match self.outputs {
            Outputs::Classes(names, point) => vec![&names[class_of(names, point.as_ref(), said)]],
            Outputs::Labels(names) => {
                names.iter().zip(said).filter(|(_, p)| **p > 0.5).map(|(name, _)| name.as_str()).collect()
            }
            Outputs::Targets(_) => Vec::new(),
        }
    }
}

/// The first of the most probable classes, or with an operating point the class that this calls.
fn class_of(names: &[String], point: Option<&OperatingPoint>, said: ArrayView1<'_, f64>) -> usize {
    let wanted = point.and_then(|point| Some((names.iter().position(|name| *name == point.class)?, point.threshold)));
    match wanted {
        Some((class, threshold)) => {
            if said[class] >= threshold {
                class
            } else {
                1 - class
            }
        }
        None => (1..said.len()).fold(0, |best, class| if said[class] > said[best] { class } else { best }),
    }
}

/// What the pictures are called: the store, or where they are.
fn named(report: &Report) -> String {
    match (&report.store, &report.from[..]) {
        (Some(store), _) => store.clone(),
        (None, [one]) => one.clone(),
        (None, several) => format!("{} to {}", several[0], several[several.len() - 1]),
    }
}

fn render(report: &Report) -> String {
    let (headers, rows) = &report.first;
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let mut text = format!(
        "{}: {} by {}, a probe of {}\n\n{}",
        named(report),
        counted(report.pictures, "picture"),
        report.probe,
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
        text += &format!("\nPredicted: {}\n", frequent(&report.predicted, SHOWN));
    }
    if let Some(point) = &report.operating_point {
        text += &format!(
            "A picture is predicted {} from a probability of {} on, chosen to find {} % of that class.\n",
            output::short(&point.class),
            probability(point.threshold),
            point.wanted_percent()
        );
    }
    if let Some(found) = &report.labelled {
        let parts = [("Recall", &found.recall), ("Specificity", &found.specificity), ("Precision", &found.precision)];
        for (what, share) in parts.into_iter().filter_map(|(what, share)| Some((what, share.as_ref()?))) {
            text += &format!("{what}: {}\n", share.text());
        }
        let Share { correct, total, accuracy, interval: (low, high) } = found.all;
        text += &format!(
            "{} of {} with a label of its classes are right ({} %, 95 % Wilson interval {} to {}); where it learned from some of \
             them that is too high.\n",
            count(correct),
            counted(total, "picture"),
            percent(accuracy),
            percent(low),
            percent(high)
        );
    }
    if !report.unknown_labels.is_empty() {
        text += &format!(
            "Not scored: {} with a label that the probe does not know ({})\n",
            counted(report.unknown_labels.values().sum(), "picture"),
            frequent(&report.unknown_labels, NAMED)
        );
    }
    let all = report
        .store
        .as_ref()
        .map_or("--json lists all of them".to_owned(), |store| format!("`tapline info {store}` lists all of them"));
    text += &output::list("skipped", &report.skipped, &all);
    text += &output::list("not listed", &report.not_listed, "--json lists all of them");
    if let Some(file) = &report.file {
        text += &format!("Written: {file}\n");
    }
    text
}

/// Names with their pictures, the most frequent first and at most so many: `12 bird, 8 fish, and 3 more`.
fn frequent(pictures: &BTreeMap<String, usize>, most: usize) -> String {
    let mut found: Vec<(&String, usize)> = pictures.iter().map(|(name, &n)| (name, n)).collect();
    found.retain(|&(_, n)| n > 0);
    found.sort_by_key(|&(_, n)| Reverse(n));
    let left = found.len().saturating_sub(most);
    found.truncate(most);
    let mut counts: Vec<String> =
        found.into_iter().map(|(name, n)| format!("{} {}", count(n), output::short(name))).collect();
    if left > 0 {
        counts.push(format!("and {} more", count(left)));
    }
    if counts.is_empty() { "none of them".to_owned() } else { counts.join(", ") }
}

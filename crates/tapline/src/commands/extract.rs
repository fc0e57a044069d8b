//! `tapline extract`: from pictures to a feature store, computing only what is missing.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde::Serialize;
use tapline_core::{
    Decode, Digest, Dtype, Error, FeatureSpace, Group, Listing, ModelRef, Plan, Precision, Run, Sample, ShardOf,
    Sharing, Skipped, Stamps, Store, StoreWriter, TapInfo, Views,
};
use tapline_onnx::{Device, Layer, Model, TapRequest, select_taps, tap_model};

use crate::args::{DtypeArg, ExtractArgs, PrecisionArg};
use crate::interrupt::{Interrupt, Signal};
use crate::network::Network;
use crate::noted::Noted;
use crate::output::{count, counted};
use crate::pipeline::{Finished, run_pass};
use crate::reading::Sources;
use crate::settled::{Settled, settle};
use crate::{Outcome, calibrate, output, precision, progress, shards, sharing, views};

/// How often a run that computes features writes the stamps of what it has read.
const STAMPS_EVERY: Duration = Duration::from_secs(60);

/// What was done; every rendering is made from it.
#[derive(Serialize)]
struct Report {
    store: String,
    model: String,
    device: String,
    device_reason: String,
    sharing: Sharing,
    #[serde(skip_serializing_if = "Precision::is_float32")]
    precision: Precision,
    preprocessing: String,
    #[serde(skip_serializing_if = "Decode::is_exact")]
    decode: Decode,
    views: Views,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<ShardOf>,
    pictures: usize,
    reused: usize,
    computed: usize,
    taps: Vec<String>,
    passed_over: Vec<String>,
    features: usize,
    stored_taps: usize,
    bytes: u64,
    skipped: Vec<Skipped>,
    not_listed: Vec<Skipped>,
    /// The classes, as a line.
    #[serde(skip)]
    labels: String,
    /// What to type next, as a line.
    #[serde(skip)]
    next: String,
    /// Whether all features are in the store.
    #[serde(skip)]
    is_complete: bool,
}

pub fn run(args: &ExtractArgs) -> anyhow::Result<Outcome> {
    // Until pictures are computed there is nothing to finish: a signal ends the program as any other.
    let (whole, sources) = Sources::scan(args)?;
    let interrupt = Interrupt::watch()?;
    let measured = calibrate::pictures(args, &whole.samples);
    let listed = whole.samples.len();
    let (listing, shard) = match args.shard {
        Some(shard) => shard.part(whole).map(|(part, of)| (part, Some(of)))?,
        None => (whole, None),
    };
    let mut settled = settle(args, sources)?;
    let requests = requests(args, &settled.network)?;
    let selection = select_taps(&settled.layers, &requests, &args.pool)?;
    let passed_over: Vec<String> = selection.passed_over.iter().map(|(_, reason)| reason.clone()).collect();
    if selection.taps.is_empty() {
        bail!("no tap is left: {}", passed_over.first().map_or("none was asked for", String::as_str));
    }
    passed_over.iter().for_each(|reason| eprintln!("tapline: passed over: {reason}"));
    let model = &settled.network.model;
    let tapped = tap_model(model, &selection.taps, settled.size, model.input.batch)?;
    // A network in another precision is not the one that is at hand here.
    if settled.chosen.device == Device::Cpu && args.precision == PrecisionArg::Float32 {
        settled.sharing = sharing::fastest(settled.sharing, &tapped, &settled.runtime, listed * args.views.count());
    }
    let taps = tapped.taps;
    let mut report = Report {
        store: args.store.display().to_string(),
        model: settled.network.name.clone(),
        device: settled.chosen.device.to_string(),
        device_reason: settled.chosen.why.clone(),
        sharing: settled.sharing,
        precision: Precision::Float32,
        preprocessing: settled.origin.clone(),
        decode: args.decode.into(),
        views: args.views,
        shard,
        pictures: listing.samples.len(),
        reused: 0,
        computed: 0,
        taps: taps.iter().map(|t| format!("{}@{}", t.name, t.tap.pooling)).collect(),
        passed_over,
        features: taps.iter().map(|t| t.features).sum(),
        stored_taps: 0,
        bytes: 0,
        skipped: Vec::new(),
        not_listed: listing.skipped.clone(),
        labels: String::new(),
        next: String::new(),
        is_complete: false,
    };
    let mut plan = Plan { shard, ..plan(args, &settled, taps, listing)? };
    let trunk = calibrate::trunk(args, (&settled, &interrupt), &plan.space, &measured)?;
    if let Some(trunk) = &trunk {
        plan.space.precision = trunk.precision.clone();
        report.precision = trunk.precision.clone();
        let means = Means { settled: &settled, trunk: &trunk.model, interrupt: &interrupt };
        fill(args, plan, &means, &mut report)?;
    }
    if let (Some(signal), false) = (interrupt.caught(), report.is_complete) {
        eprintln!("tapline: {}", how_to_go_on(signal, &report));
        return Ok(Outcome::Stopped(signal));
    }
    output::either(args.json, &report, render)?;
    Ok(match (report.computed + report.reused, report.skipped.as_slice()) {
        (_, []) => Outcome::Done,
        (0, _) => Outcome::Nothing,
        _ => Outcome::Skipped,
    })
}

fn requests(args: &ExtractArgs, network: &Network) -> anyhow::Result<Vec<String>> {
    match (args.taps.is_empty(), network.stages().is_empty()) {
        (false, _) => Ok(args.taps.iter().flat_map(|taps| split_outside_braces(taps)).collect()),
        (true, false) => Ok(vec!["stages".to_owned()]),
        (true, true) => bail!(
            "{} has no model card that names its stages: say what to tap with --taps NAME,NAME… or a glob; \
             `tapline layers {}` lists the names",
            network.name,
            args.model
        ),
    }
}

/// Splits at commas, but not at those of a glob such as `{conv1,conv2}`.
fn split_outside_braces(taps: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0usize;
    for letter in taps.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match letter {
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().expect("at least one part").push(letter),
        }
    }
    parts
}

fn plan(args: &ExtractArgs, settled: &Settled, taps: Vec<TapInfo>, listing: Listing) -> anyhow::Result<Plan> {
    let model = &settled.network.model;
    let on_processor = settled.chosen.device == Device::Cpu;
    Ok(Plan {
        space: FeatureSpace {
            model: ModelRef {
                name: settled.network.name.clone(),
                sha256: model.sha256.parse().map_err(anyhow::Error::msg).context("the model's digest")?,
            },
            preprocess: settled.preprocess.clone(),
            decode: args.decode.into(),
            views: args.views,
            precision: Precision::Float32,
            dtype: match args.dtype {
                DtypeArg::F32 => Dtype::F32,
                DtypeArg::F16 => Dtype::F16,
            },
        },
        taps,
        listing: listing.into(),
        shard: None,
        run: Run {
            runtime: format!("ONNX Runtime {}", settled.runtime.version),
            provider: if on_processor { "CPUExecutionProvider" } else { "CUDAExecutionProvider" }.to_owned(),
            device: settled.chosen.device.to_string(),
            sharing: settled.sharing,
        },
        tapline: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// What features are computed with.
struct Means<'a> {
    settled: &'a Settled,
    /// The network that runs: the one that was read, or what precision made of it.
    trunk: &'a Model,
    interrupt: &'a Interrupt,
}

/// Opens the store, takes over what it has, computes the rest; after a signal the report stays incomplete.
fn fill(args: &ExtractArgs, plan: Plan, means: &Means, report: &mut Report) -> anyhow::Result<()> {
    let &Means { settled, trunk, interrupt } = means;
    let total = plan.listing.samples.len();
    let stamps = Stamps::read(&args.store, &plan.listing, !args.verify);
    let hash = |listing: &Listing| {
        let bar = progress::bar("looking for what is there", total, "pictures");
        let digests = settled.sources.hash((listing, &stamps), interrupt, &|hashed| bar.set_position(hashed as u64));
        bar.finish_and_clear();
        if digests.is_err() || interrupt.caught().is_some() {
            keep(&stamps);
        }
        digests
    };
    let stored = Store::open(&args.store).ok();
    let known = stored.as_ref().map(|_| hash(&plan.listing)).transpose()?;
    if interrupt.caught().is_some() {
        return Ok(());
    }
    if let (Some(store), Some(digests), false) = (&stored, &known, args.prune) {
        refuse_to_drop(store, (&plan.listing.samples, digests), args)?;
    }
    let was_open = stored.is_some();
    drop(stored);
    let mut writer = StoreWriter::begin(&args.store, plan)?;
    if let Err(error) = settled.sources.keep_indexes(&args.store) {
        eprintln!("tapline: {:#}; the next run will go through all tar files again", anyhow::Error::from(error));
    }
    if writer.has_sources() {
        let digests = known.map_or_else(|| hash(writer.listing()), Ok)?;
        if interrupt.caught().is_some() {
            return Ok(());
        }
        if !args.prune {
            // A store whose commit was interrupted opens only now that it is completed.
            if let Some(store) = writer.finished().filter(|_| !was_open) {
                refuse_to_drop(store, (&writer.listing().samples, &digests), args)?;
            }
            refuse_to_drop_left_over(&writer, &digests, args)?;
        }
        report.reused = writer.reuse(&digests)?;
    }
    let listing = Arc::clone(writer.listing());
    let groups = writer.missing();
    let open: usize = groups.iter().map(|g| g.rows.len()).sum();
    let bar = progress::bar("extracting", total, "pictures");
    bar.set_position((total - open) as u64);
    bar.reset_eta();
    for group in groups {
        let requests = requests_of(&writer, &group, &settled.layers)?;
        let model = tap_model(trunk, &requests, settled.size, trunk.input.batch)?;
        let pass = settled.pass(&model, interrupt);
        let (writer, strict, prune) = (&mut writer, args.strict, args.prune);
        let (taps, skipped, kept) = (&group.taps, Vec::new(), Instant::now());
        let mut keeper = Keeper { writer, taps, stamps: &stamps, kept, bar: &bar, strict, prune, report, skipped };
        let done = run_pass(&pass, &listing.samples, &group.rows, |finished| keeper.keep(finished));
        if done.is_err() || interrupt.caught().is_some() {
            writer.checkpoint()?;
            keep(&stamps);
        }
        done?;
        if interrupt.caught().is_some() && !writer.missing().is_empty() {
            bar.finish_and_clear();
            return Ok(());
        }
    }
    bar.finish_and_clear();
    keep(&stamps);
    let store = writer.finish()?;
    report.bytes = output::stored_bytes(&store);
    report.stored_taps = store.taps().len();
    let Noted { classes, next, oddities } = Noted::of(store.listing(), &report.store, args.pictures[0].is_dir());
    (report.labels, report.next) = (classes, next);
    oddities.iter().for_each(|oddity| eprintln!("tapline: {oddity}"));
    if let Some(table) = args.pictures.iter().find(|path| path.is_file()) {
        let skipped = store.listing().skipped.iter().zip(&listing.samples).filter(|(reason, _)| reason.is_some());
        let gone = skipped.filter(|(_, sample)| sample.place.container().is_some_and(|path| !path.exists())).count();
        if gone > 0 {
            let folder = table.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
            eprintln!(
                "tapline: {} of the list {} not there: a path that is not absolute starts at the table's own folder, {}",
                counted(gone, "file"),
                if gone == 1 { "is" } else { "are" },
                folder.display()
            );
        }
    }
    report.is_complete = true;
    Ok(())
}

/// Writes the stamps; the store is whole without them.
fn keep(stamps: &Stamps) {
    if let Err(error) = stamps.write() {
        eprintln!("tapline: {:#}; the next run will read every picture again", anyhow::Error::from(error));
    }
}

/// Refuses a listing that leaves out pictures whose features the store holds: a mistyped path must not cost them.
fn refuse_to_drop(
    store: &Store,
    (samples, listed): (&[Sample], &[Option<Digest>]),
    args: &ExtractArgs,
) -> anyhow::Result<()> {
    let listed: HashSet<Digest> = listed.iter().copied().flatten().collect();
    let listing = store.listing();
    let good = (0..listing.rows()).filter(|&row| listing.skipped[row].is_none());
    let gone: Vec<usize> = good.filter(|&row| listing.sha256[row].is_some_and(|d| !listed.contains(&d))).collect();
    let Some(&row) = gone.first() else { return Ok(()) };
    let path = &listing.path[row];
    let (store, ways) = (args.store.display(), "use another --store, or --prune to drop them");
    if samples.iter().any(|sample| sample.path == *path) {
        bail!(
            "{store} holds features of {} that changed or cannot be read any more, or are not listed, {path} among them: {ways}",
            counted(gone.len(), "picture")
        );
    }
    bail!(
        "{store} holds features of {} that {}{} does not list, {path} among them: {ways}",
        counted(gone.len(), "picture"),
        args.shard.map_or(String::new(), |shard| format!("shard {shard} of ")),
        args.pictures[0].display()
    )
}

/// Refuses to drop what a run that was stopped has computed, likewise.
fn refuse_to_drop_left_over(writer: &StoreWriter, listed: &[Option<Digest>], args: &ExtractArgs) -> anyhow::Result<()> {
    let (pictures, taps) = writer.left_over(&listed.iter().copied().flatten().collect());
    let (store, ways) = (args.store.display(), "use another --store, or --prune to drop them");
    if pictures > 0 {
        bail!(
            "a run that was stopped has left features of {} in {store} that {}{} does not list: {ways}",
            counted(pictures, "picture"),
            args.shard.map_or(String::new(), |shard| format!("shard {shard} of ")),
            args.pictures[0].display(),
        );
    }
    if !taps.is_empty() {
        bail!(
            "a run that was stopped has left features in {store} of taps that are not asked for now, {}: ask for them, too, {ways}",
            taps.join(", ")
        );
    }
    Ok(())
}

/// The taps a group of rows lacks, as requests to the network; their order is the group's.
fn requests_of<'a>(writer: &StoreWriter, group: &Group, layers: &'a [Layer]) -> anyhow::Result<Vec<TapRequest<'a>>> {
    group
        .taps
        .iter()
        .map(|&tap| {
            let tap = &writer.taps()[tap].info.tap;
            let layer = layers.iter().find(|l| l.name == tap.tensor);
            let layer =
                layer.with_context(|| format!("the model has no layer {:?}, which the store has", tap.tensor))?;
            Ok(TapRequest { layer, pooling: tap.pooling })
        })
        .collect()
}

/// Puts finished pictures into the store, and those that cannot be used on the list.
struct Keeper<'a> {
    writer: &'a mut StoreWriter,
    taps: &'a [usize],
    stamps: &'a Stamps,
    /// When the stamps were last written.
    kept: Instant,
    bar: &'a ProgressBar,
    strict: bool,
    prune: bool,
    report: &'a mut Report,
    /// The rows of the pictures that the report lists last.
    skipped: Vec<usize>,
}

impl Keeper<'_> {
    fn keep(&mut self, finished: Finished) -> anyhow::Result<()> {
        self.bar.inc(1);
        let Finished { row, stamp, digest, features } = finished;
        self.stamps.note(row, stamp, digest);
        if self.kept.elapsed() >= STAMPS_EVERY {
            keep(self.stamps);
            self.kept = Instant::now();
        }
        let reason = match (features, digest) {
            (Ok(features), Some(digest)) => {
                let values: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
                match self.writer.put(row, digest, self.taps, &values) {
                    Ok(()) => {
                        self.report.computed += 1;
                        return Ok(());
                    }
                    Err(error) if concerns_one_picture(&error) => error.to_string(),
                    Err(error) => return Err(error.into()),
                }
            }
            (Err(reason), _) => reason,
            (Ok(_), None) => unreachable!("features are made of bytes that were hashed"),
        };
        let path = self.writer.listing().samples[row].path.clone();
        if self.strict {
            bail!("{path}: {reason} (--strict stops at the first picture that cannot be used; the others are kept)");
        }
        // A row has all taps or none.
        if self.taps.len() < self.writer.taps().len() && !self.prune {
            bail!(
                "{path}: {reason}. Features of other taps are there for this picture and would be dropped: leave out the taps that \
                 are new, mend the picture, use another --store, or --prune to drop them"
            );
        }
        self.writer.skip(row, digest, &reason)?;
        // In the order of the listing, whichever worker came first.
        let before = self.report.skipped.len() - self.skipped.len();
        let place = self.skipped.partition_point(|&other| other < row);
        self.skipped.insert(place, row);
        self.report.skipped.insert(before + place, Skipped { path, reason });
        Ok(())
    }
}

fn concerns_one_picture(error: &Error) -> bool {
    matches!(error, Error::NotFinite { .. } | Error::Float16Overflow { .. } | Error::PictureChanged { .. })
}

fn how_to_go_on(signal: Signal, report: &Report) -> String {
    let done = match report.reused + report.computed + report.skipped.len() {
        0 => "before a picture was done".to_owned(),
        done => format!("with {} of {} done", count(done), counted(report.pictures, "picture")),
    };
    format!(
        "stopped by {} {done}; what the store holds is kept, and the same command goes on with the rest",
        signal.name()
    )
}

fn render(report: &Report) -> String {
    let mut text = format!(
        "{}: {}{}, {} ({} asked for now, {} each), {:.1} MB\n",
        report.store,
        counted(report.pictures, "picture"),
        views::each(report.views),
        counted(report.stored_taps, "tap"),
        count(report.taps.len()),
        counted(report.features, "feature"),
        report.bytes as f64 / 1e6
    );
    if let Some(of) = &report.shard {
        text += &format!("{}; next: tapline merge, once all {} are there\n", shards::part(of), of.shard.of);
    }
    text += &format!(
        "{} computed, {} taken from the store, {} skipped\n",
        count(report.computed),
        count(report.reused),
        count(report.skipped.len())
    );
    text += &format!(
        "{}{} on {} ({}); preprocessing from {}{}\n",
        report.model,
        precision::inside(&report.precision),
        report.device,
        report.device_reason,
        report.preprocessing,
        if report.decode.is_exact() { "" } else { ", JPEG scaled while decoding" }
    );
    text += &output::list("skipped", &report.skipped, &format!("`tapline info {}` lists all of them", report.store));
    text += &output::list("not listed", &report.not_listed, "--json lists all of them");
    if report.computed + report.reused > 0 {
        text += &report.labels;
    }
    if report.computed + report.reused == 0 {
        text += "no picture could be used: the store holds no features\n";
    } else if report.shard.is_none() {
        text += &report.next;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_split_at_commas_but_not_within_a_glob() {
        for (typed, parts) in [
            ("a", &["a"][..]),
            ("a,b@mean+max", &["a", "b@mean+max"]),
            ("{a,b}@max,c", &["{a,b}@max", "c"]),
            ("{a,b", &["{a,b"]),
        ] {
            assert_eq!(split_outside_braces(typed), parts);
        }
    }
}

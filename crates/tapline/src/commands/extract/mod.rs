//! `tapline extract`: from pictures to a feature store, computing only what is missing.

mod dropping;
mod keeper;
mod report;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use tapline_core::{
    Dtype, FeatureSpace, Listing, ModelRef, Plan, Precision, Run, ShardOf, Skipped, Stamps, Store, StoreWriter, Tap,
    TapInfo,
};
use tapline_onnx::{Device, Layer, Model, TapRequest, in_precision, select_taps, tap_model};

use self::dropping::{refuse_to_drop, refuse_to_drop_left_over};
use self::keeper::{Deep, Keeper, keep};
use self::report::{Report, how_to_go_on, only_the_first, render};
use crate::args::{DtypeArg, ExtractArgs, PrecisionArg};
use crate::interrupt::Interrupt;
use crate::network::Network;
use crate::noted::Noted;
use crate::output::counted;
use crate::pipeline::run_pass;
use crate::reading::Sources;
use crate::settled::{Settled, settle, settle_with};
use crate::{Outcome, calibrate, output, progress, sharing};

pub fn run(args: &ExtractArgs) -> anyhow::Result<Outcome> {
    // Until pictures are computed there is nothing to finish: a signal ends the program as any other.
    let (whole, sources) = Sources::scan(args)?;
    let interrupt = Interrupt::watch()?;
    let measured = calibrate::pictures(args, &whole);
    let listed = whole.rows();
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
    let tapped = tap_model(model, &selection.taps, settled.size)?;
    // A network in another precision is not the one that is at hand here.
    if settled.chosen.device == Device::Cpu && args.precision == PrecisionArg::Float32 {
        settled.sharing = sharing::fastest(settled.sharing, &tapped, &settled.runtime, listed * args.views.count());
    }
    let taps = tapped.taps;
    let mut report = Report { shard, passed_over, ..Report::of(args, &settled, &taps, &listing) };
    let mut plan = Plan { shard, ..plan(args, &settled, taps, listing)? };
    let trunk = calibrate::trunk(args, (&settled, &interrupt), &plan.space, &measured)?;
    if let Some(trunk) = &trunk {
        plan.space.precision = trunk.precision.clone();
        report.precision = trunk.precision.clone();
        let means = Means { settled: &settled, trunk: &trunk.model, interrupt: &interrupt, is_passing: false };
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

/// Extracts into `args.store` what a probe takes of the scanned pictures, these taps in this space whatever the options say, and
/// gives what was passed over. The store is to be read once and is gone then, so that nothing is said of how to go on with it.
///
/// # Errors
/// As the command's own, and where the space and the taps are none of the network.
pub fn of_taps(
    args: &ExtractArgs,
    ((listing, sources), interrupt): ((Listing, Sources), &Interrupt),
    (space, taps): (&FeatureSpace, &[TapInfo]),
) -> anyhow::Result<Vec<Skipped>> {
    let network = Network::of((&args.model, args.preprocessing.layout), space)?;
    let mut settled = settle_with(args, sources, (network, (space.preprocess.clone(), "the probe".to_owned())))?;
    let wanted: Vec<&Tap> = taps.iter().map(|info| &info.tap).collect();
    let trunk = in_precision(&settled.network.model, &space.precision)?;
    let tapped = tap_model(&trunk, &requests_of(&wanted, &settled.layers, "the probe takes")?, settled.size)?;
    if let Some((tap, has)) = taps.iter().zip(&tapped.taps).find(|(tap, has)| tap.features != has.features) {
        bail!(
            "the probe takes {} of {}, which has {}",
            counted(tap.features, "feature"),
            output::short(&tap.name),
            has.features
        );
    }
    if settled.chosen.device == Device::Cpu && space.precision.is_float32() {
        let views = listing.rows() * args.views.count();
        settled.sharing = sharing::fastest(settled.sharing, &tapped, &settled.runtime, views);
    }
    let mut report = Report::of(args, &settled, &tapped.taps, &listing);
    let plan = Plan { space: space.clone(), ..plan(args, &settled, tapped.taps, listing)? };
    fill(args, plan, &Means { settled: &settled, trunk: &trunk, interrupt, is_passing: true }, &mut report)?;
    Ok(report.not_listed)
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
            bits: args.bits,
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
    /// Whether the store is gone once it has been read.
    is_passing: bool,
}

/// Opens the store, takes over what it has, computes the rest; after a signal the report stays incomplete.
fn fill(args: &ExtractArgs, plan: Plan, means: &Means, report: &mut Report) -> anyhow::Result<()> {
    let &Means { settled, trunk, interrupt, is_passing } = means;
    let total = plan.listing.rows();
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
    stored.as_ref().map_or(Ok(()), |store| refuse_to_end_shard(store, args))?;
    let known = stored.as_ref().map(|_| hash(&plan.listing)).transpose()?;
    if interrupt.caught().is_some() {
        return Ok(());
    }
    if let (Some(store), Some(digests), false) = (&stored, &known, args.prune) {
        refuse_to_drop(store, (&plan.listing, digests), args)?;
    }
    let was_open = stored.is_some();
    drop(stored);
    let precision = plan.space.precision.clone();
    let mut writer = StoreWriter::begin(&args.store, plan)?;
    calibrate::say_of_bytes(&precision);
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
                refuse_to_end_shard(store, args)?;
                refuse_to_drop(store, (writer.listing(), &digests), args)?;
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
    let mut deep = Deep::default();
    for group in groups {
        let taps: Vec<&Tap> = group.taps.iter().map(|&tap| &writer.taps()[tap].info.tap).collect();
        let requests = requests_of(&taps, &settled.layers, "the store has")?;
        let model = tap_model(trunk, &requests, settled.size)?;
        let pass = settled.pass(&model, interrupt);
        let (writer, strict, prune) = (&mut writer, args.strict, args.prune);
        let (taps, skipped, kept) = (&group.taps, Vec::new(), Instant::now());
        let deep = &mut deep;
        let mut keeper =
            Keeper { writer, taps, stamps: &stamps, kept, bar: &bar, strict, prune, report, deep, skipped };
        let done = run_pass(&pass, &listing, &group.rows, |finished| keeper.keep(finished));
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
    let gone = absent_files(&writer);
    // A long listing is not held while that of the store is read back.
    drop((stamps, listing));
    let store = writer.finish()?;
    report.bytes = output::stored_bytes(&store);
    report.stored_taps = store.taps().len();
    let Noted { classes, next, oddities } = Noted::of(store.listing(), &report.store, args.pictures[0].is_dir());
    (report.labels, report.next) = (classes, next);
    if !is_passing {
        oddities.iter().chain(&deep.warnings(args.bits)).for_each(|warning| eprintln!("tapline: {warning}"));
    }
    only_the_first(report.first_of_several).iter().for_each(|warning| eprintln!("tapline: {warning}"));
    if gone > 0 {
        tell_absent_files(args, gone);
    }
    report.is_complete = true;
    Ok(())
}

/// Refuses the whole listing where the store holds a shard of one: it would be none any more.
fn refuse_to_end_shard(store: &Store, args: &ExtractArgs) -> anyhow::Result<()> {
    if let (Some(ShardOf { shard, .. }), None, false) = (store.manifest().shard, args.shard, args.prune) {
        bail!(
            "{} holds shard {shard} of a listing, and `tapline merge` takes it only as such: add --shard {shard}, use another \
             --store, or --prune to extract the whole listing into it",
            args.store.display()
        );
    }
    Ok(())
}

/// How many files of skipped pictures are not there.
fn absent_files(writer: &StoreWriter) -> usize {
    let skipped = (0..writer.listing().rows()).filter(|&row| writer.is_skipped(row));
    skipped.filter(|&row| writer.listing().place(row).container().is_some_and(|path| !path.exists())).count()
}

/// Says where a table's paths start, some of whose files are not there.
fn tell_absent_files(args: &ExtractArgs, gone: usize) {
    let Some(table) = args.pictures.iter().find(|path| path.is_file()) else { return };
    let folder = table.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    eprintln!(
        "tapline: {} of the list {} not there: a path that is not absolute starts at the table's own folder, {}",
        counted(gone, "file"),
        if gone == 1 { "is" } else { "are" },
        folder.display()
    );
}

/// Taps as requests to the network, in their order.
fn requests_of<'a>(taps: &[&Tap], layers: &'a [Layer], whose: &str) -> anyhow::Result<Vec<TapRequest<'a>>> {
    let request = |tap: &&Tap| {
        let layer = layers.iter().find(|layer| layer.name == tap.tensor);
        let layer = layer.with_context(|| format!("the model has no layer {:?}, which {whose}", tap.tensor))?;
        Ok(TapRequest { layer, pooling: tap.pooling })
    };
    taps.iter().map(request).collect()
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

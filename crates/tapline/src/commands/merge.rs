//! `tapline merge`: the stores of an extraction that several machines shared, as one.

use serde::Serialize;
use tapline_core::{Shard, Store, merge};

use crate::args::MergeArgs;
use crate::output::{count, counted};
use crate::typing::word;
use crate::{Outcome, output};

#[derive(Serialize)]
struct Report {
    store: String,
    model: String,
    shards: Vec<Part>,
    pictures: usize,
    skipped: usize,
    taps: usize,
    /// Bytes of all arrays.
    bytes: u64,
    /// What the shards did not agree in, where that does not matter to their features.
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Part {
    store: String,
    /// None of a store that is no shard, which is refused.
    #[serde(flatten)]
    shard: Option<Shard>,
    pictures: usize,
    skipped: usize,
}

pub fn run(args: &MergeArgs) -> anyhow::Result<Outcome> {
    let stores = args.shards.iter().map(|dir| Store::open(dir)).collect::<Result<Vec<_>, _>>()?;
    let mut shards: Vec<Part> = stores.iter().map(part).collect();
    shards.sort_by_key(|part| part.shard);
    let notes = notes(&stores);
    let merged = merge(&args.out, stores)?;
    let manifest = merged.manifest();
    let report = Report {
        store: args.out.display().to_string(),
        model: manifest.space.model.name.clone(),
        shards,
        pictures: manifest.rows,
        skipped: manifest.skipped,
        taps: manifest.taps.len(),
        bytes: output::stored_bytes(&merged),
        notes,
    };
    report.notes.iter().for_each(|note| eprintln!("tapline: {note}"));
    output::either(args.json, &report, render)?;
    Ok(match report.skipped {
        0 => Outcome::Done,
        all if all == report.pictures => Outcome::Nothing,
        _ => Outcome::Skipped,
    })
}

fn part(store: &Store) -> Part {
    let manifest = store.manifest();
    let shard = manifest.shard.map(|of| of.shard);
    Part { store: store.dir().display().to_string(), shard, pictures: manifest.rows, skipped: manifest.skipped }
}

/// Where runs differ in what moves the last bits of features at most; `store.json` names what shard 0 ran with.
fn notes(stores: &[Store]) -> Vec<String> {
    let mut runs: Vec<_> =
        stores.iter().map(|store| (store.manifest().shard.map(|of| of.shard), &store.manifest().run)).collect();
    runs.sort_by_key(|(shard, _)| *shard);
    let texts = |of: &dyn Fn(&tapline_core::Run) -> String| -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        runs.iter().map(|(_, run)| of(run)).for_each(|text| {
            if !texts.contains(&text) {
                texts.push(text);
            }
        });
        texts
    };
    let kinds: [(&str, Vec<String>); 4] = [
        ("devices", texts(&|run| run.device.clone())),
        ("sessions", texts(&|run| run.sharing.sessions.to_string())),
        ("batches", texts(&|run| run.sharing.batch.to_string())),
        ("threads", texts(&|run| run.sharing.threads.to_string())),
    ];
    let note = |(name, texts): (&str, Vec<String>)| {
        let is_mixed = texts.len() > 1;
        is_mixed.then(|| format!("the shards ran with other {name}: {}; store.json names the first", texts.join(", ")))
    };
    kinds.into_iter().filter_map(note).collect()
}

fn render(report: &Report) -> String {
    let rows = report.shards.iter().map(|part| {
        let shard = part.shard.map_or(String::new(), |shard| shard.to_string());
        vec![shard, count(part.pictures), count(part.skipped), part.store.clone()]
    });
    format!(
        "{}: {} through {}, {}, {:.1} MB, {} skipped\n\n{}\nnext: tapline compare {}\n",
        report.store,
        counted(report.pictures, "picture"),
        report.model,
        counted(report.taps, "tap"),
        report.bytes as f64 / 1e6,
        count(report.skipped),
        output::table(&["shard", ">pictures", ">skipped", "store"], rows),
        word(&report.store)
    )
}

//! `tapline export-rows`: a tap's features as a Parquet table.

use anyhow::bail;
use serde::Serialize;
use tapline_core::{Store, export_rows};

use crate::args::ExportRowsArgs;
use crate::output::{count, counted};
use crate::replacement::Replacement;
use crate::{Outcome, output, taps};

#[derive(Serialize)]
struct Report {
    file: String,
    store: String,
    tap: String,
    pictures: usize,
    views: usize,
    lines: usize,
    /// Numbers in each line's list.
    features: usize,
    /// Pictures whose lists are null.
    skipped: usize,
}

pub fn run(args: &ExportRowsArgs) -> anyhow::Result<Outcome> {
    let store = Store::open(&args.store)?;
    let found = taps::find(&store, &args.tap)?;
    let [tap] = found[..] else { bail!("--tap names {}: export one at a time", counted(found.len(), "tap")) };
    let manifest = store.manifest();
    let info = &store.taps()[tap].info;
    let file = Replacement::create(&args.out, &["parquet", "pq"])?;
    let lines = export_rows(&store, tap, (&file.file, &args.out))?;
    file.put_in_place()?;
    let report = Report {
        file: args.out.display().to_string(),
        store: args.store.display().to_string(),
        tap: format!("{}@{}", info.name, info.tap.pooling),
        pictures: manifest.rows,
        views: manifest.space.views.count(),
        lines,
        features: info.features,
        skipped: manifest.skipped,
    };
    output::either(args.json, &report, render)?;
    Ok(Outcome::Done)
}

fn render(report: &Report) -> String {
    format!(
        "{}: {} of {}, {} with {} each, {} skipped\n",
        report.file,
        report.tap,
        report.store,
        counted(report.lines, "line"),
        counted(report.features, "feature"),
        count(report.skipped)
    )
}

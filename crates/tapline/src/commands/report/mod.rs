//! `tapline report`: everything that was found, as a page, figures and tables.
//!
//! This module gathers; `tapline-report` renders. Nothing that differs from run to run (times, absolute paths beyond those
//! typed) goes into the report, so that the same stores give the same bytes.

mod closer;
mod maps;
mod overlays;
mod probed;
mod provenance;
mod thumbnails;
mod verdict;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use tapline_report::{Field, Report, figures, page, table};

use self::probed::Probed;
use self::thumbnails::Files;
use crate::args::ReportArgs;
use crate::replacement::Replacement;
use crate::stores::Stores;
use crate::{Outcome, output};

pub fn run(args: &ReportArgs) -> anyhow::Result<Outcome> {
    let stores = Stores::of(&args.compared)?;
    let out = args.out.as_deref().map(|path| Replacement::create(path, &["html", "htm"])).transpose()?;
    if let Some(folder) = &args.figures {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let files = Files::of(&stores, args.pictures.as_deref())?;
    let report = gather(&stores, &files, args)?;
    let size = out.map(|out| write_page(out, &report)).transpose()?;
    let written = args.figures.as_deref().map(|folder| write_figures(folder, &report)).transpose()?;
    output::either(args.json, &report, |report| summary(args, report, (size, written)))?;
    Ok(Outcome::Done)
}

fn gather(stores: &Stores, files: &Files<'_>, args: &ReportArgs) -> anyhow::Result<Report> {
    let probed = Probed::of(stores, &args.compared)?;
    let mut report = stores.describe();
    probed.fill(stores, &mut report)?;
    report.title = args.title.clone().unwrap_or_else(|| stores.title(report.pictures));
    let shown = closer::shown(&report);
    let mut pictures = thumbnails::Wanted::default();
    if let Probed::Scored(scored) = &probed {
        report.layers = closer::layers(&report, &shown, scored, stores, &mut pictures);
    }
    report.map = maps::map(stores, &shown, &probed, &mut pictures)?;
    if let Probed::Scored(scored) = &probed {
        overlays::put(stores, scored, files, (&mut report.layers, &args.model));
    }
    let found = thumbnails::make(files, &pictures);
    thumbnails::put(found, &pictures, &mut report);
    report.provenance = provenance::provenance(stores, &probed, args, report.provenance.without_file);
    Ok(report)
}

fn write_page(mut out: Replacement, report: &Report) -> anyhow::Result<usize> {
    let html = page(report);
    out.file.write_all(html.as_bytes()).with_context(|| format!("{} cannot be written", out.beside.display()))?;
    out.put_in_place()?;
    Ok(html.len())
}

/// Writes figures and tables, and says how many files.
fn write_figures(folder: &Path, report: &Report) -> anyhow::Result<usize> {
    let write = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))
    };
    let figures = figures(report);
    let mut unknown = BTreeSet::new();
    for figure in &figures {
        write(format!("{}.svg", figure.name), figure.file().as_bytes())?;
        let (png, letters) = figure.png()?;
        unknown.extend(letters);
        write(format!("{}.png", figure.name), &png)?;
    }
    if !unknown.is_empty() {
        let letters: String = unknown.iter().take(20).collect();
        eprintln!(
            "tapline: in the PNG files boxes stand for letters that their fonts do not know, such as {letters}: the SVG files \
             have them"
        );
    }
    let table = table(report);
    write("taps.csv".to_owned(), table.csv()?.as_bytes())?;
    write("taps.md".to_owned(), table.markdown().as_bytes())?;
    Ok(2 * figures.len() + 2)
}

fn summary(args: &ReportArgs, report: &Report, (size, written): (Option<usize>, Option<usize>)) -> String {
    let field = report.field.as_ref().filter(|field| field.is_certain()).map(Field::text);
    let lines = report.verdict.iter().chain(&field).chain(&report.notes);
    let mut text: String = lines.map(|line| format!("{line}\n")).collect();
    if let (Some(out), Some(size)) = (&args.out, size) {
        text += &format!("Written: {} ({:.1} MB)\n", out.display(), size as f64 / 1e6);
    }
    let missing = report.provenance.without_file;
    if missing > 0 {
        text += &format!(
            "{} shown without a thumbnail: the files are not where the listing says (or behind URLs), or have other bytes than \
             were extracted from; --pictures names what was extracted from, a folder, a table or a shard\n",
            output::counted(missing, "picture")
        );
    }
    if let (Some(folder), Some(written)) = (&args.figures, written) {
        text += &format!("Written: {} in {}\n", output::counted(written, "file"), folder.display());
    }
    text
}

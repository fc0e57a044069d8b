//! What an extraction has done, as a table for people and as JSON.

use serde::Serialize;
use tapline_core::{Bits, Decode, Listing, Precision, ShardOf, Sharing, Skipped, TapInfo, Views};

use crate::args::ExtractArgs;
use crate::interrupt::Signal;
use crate::output::{self, count, counted};
use crate::settled::Settled;
use crate::{precision, shards, views};

/// What was done; every rendering is made from it.
#[derive(Serialize)]
pub struct Report {
    pub store: String,
    pub model: String,
    pub device: String,
    pub device_reason: String,
    pub sharing: Sharing,
    #[serde(skip_serializing_if = "Precision::is_float32")]
    pub precision: Precision,
    pub preprocessing: String,
    #[serde(skip_serializing_if = "Decode::is_exact")]
    pub decode: Decode,
    #[serde(skip_serializing_if = "Bits::is_all")]
    pub bits: Bits,
    pub views: Views,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardOf>,
    pub pictures: usize,
    pub reused: usize,
    pub computed: usize,
    /// Of those computed, how many are the first of several pictures in their file.
    pub first_of_several: usize,
    pub taps: Vec<String>,
    pub passed_over: Vec<String>,
    pub features: usize,
    pub stored_taps: usize,
    pub bytes: u64,
    pub skipped: Vec<Skipped>,
    pub not_listed: Vec<Skipped>,
    /// The classes, as a line.
    #[serde(skip)]
    pub labels: String,
    /// What to type next, as a line.
    #[serde(skip)]
    pub next: String,
    /// Whether all features are in the store.
    #[serde(skip)]
    pub is_complete: bool,
}

impl Report {
    /// Of an extraction of these taps of a listing's pictures, of which nothing is done yet.
    pub fn of(args: &ExtractArgs, settled: &Settled, taps: &[TapInfo], listing: &Listing) -> Self {
        Self {
            store: args.store.display().to_string(),
            model: settled.network.name.clone(),
            device: settled.chosen.device.to_string(),
            device_reason: settled.chosen.why.clone(),
            sharing: settled.sharing,
            precision: Precision::Float32,
            preprocessing: settled.origin.clone(),
            decode: args.decode.into(),
            bits: args.bits,
            views: args.views,
            shard: None,
            pictures: listing.rows(),
            reused: 0,
            computed: 0,
            first_of_several: 0,
            taps: taps.iter().map(|t| format!("{}@{}", t.name, t.tap.pooling)).collect(),
            passed_over: Vec::new(),
            features: taps.iter().map(|t| t.features).sum(),
            stored_taps: 0,
            bytes: 0,
            skipped: Vec::new(),
            not_listed: listing.skipped.clone(),
            labels: String::new(),
            next: String::new(),
            is_complete: false,
        }
    }
}

/// Why a stopped run ended, what it has done, and what to do next.
pub fn how_to_go_on(signal: Signal, report: &Report) -> String {
    let done = match report.reused + report.computed + report.skipped.len() {
        0 => "before a picture was done".to_owned(),
        done => format!("with {} of {} done", count(done), counted(report.pictures, "picture")),
    };
    format!(
        "stopped by {} {done}; what the store holds is kept, and the same command goes on with the rest",
        signal.name()
    )
}

/// What to say of files whose other pictures were left out, if there are any.
pub fn only_the_first(files: usize) -> Option<String> {
    let hold = if files == 1 { "holds" } else { "hold" };
    (files > 0).then(|| {
        format!(
            "{} {hold} several pictures (pages of TIFF, frames of an animation), of which the first was used: save the others as \
             files of their own to use them, too",
            counted(files, "file")
        )
    })
}

/// The report as people read it.
pub fn render(report: &Report) -> String {
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
        "{}{} on {} ({}); preprocessing from {}{}{}\n",
        report.model,
        precision::inside(&report.precision),
        report.device,
        report.device_reason,
        report.preprocessing,
        if report.decode.is_exact() { "" } else { ", JPEG scaled while decoding" },
        if report.bits.is_all() { String::new() } else { format!(", {} of 16 bits", report.bits) }
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

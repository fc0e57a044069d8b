//! `tapline probe`: one tap in detail, and a probe to keep.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Serialize;
use tapline_core::{Store, TapInfo, Views};
use tapline_probe::{FinalFit, NotConverged, ProtocolConfig, fit_final};

use super::compare::SplitSizes;
use super::probe_targets;
use crate::accuracy::{Accuracy, Interval};
use crate::args::ProbeArgs;
use crate::baselines::{self, BaselineScore};
use crate::classes::{Class, LeftOut};
use crate::control::{Control, sentence};
use crate::features::Features;
use crate::groups::{GroupSizes, Groups};
use crate::operating::{self, Operated, OperatingPoint};
use crate::output::{count, percent};
use crate::plan::Plan;
use crate::replacement::Replacement;
use crate::report_scores::{Scores, unconverged};
use crate::saved_probe::{self, Outputs};
use crate::scores::score_taps;
use crate::shots::{self, FewShots};
use crate::shuffles::{ShuffleScores, design_text};
use crate::{Outcome, output, predictions, progress, shards, taps, views};

/// Confusion matrices of more classes than this are left to `--json`.
const SHOWN_CLASSES: usize = 12;

#[derive(Serialize)]
struct Report {
    store: String,
    model: String,
    /// The tap; none where several are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    tap: Option<TapInfo>,
    /// The taps whose features are joined, in this order.
    taps: Vec<TapInfo>,
    /// The views of each picture whose mean was probed.
    views: Views,
    pictures: usize,
    left_out: LeftOut,
    classes: Vec<Class>,
    protocol: ProtocolConfig,
    /// How many pictures a fixed split learns from and scores on; none where folds take turns.
    split: Option<SplitSizes>,
    /// What no fold tears apart; none where every picture is a draw of its own.
    groups: Option<GroupSizes>,
    /// How the intervals are made.
    interval: Interval,
    #[serde(flatten)]
    scores: Scores,
    folds: Vec<Fold>,
    /// Counts: true classes in rows, predicted ones in columns.
    confusion: Vec<Vec<usize>>,
    /// From which probability on a class is called, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    operating_point: Option<Operated>,
    /// Rules that learn nothing but where the training pictures are; empty where they were not asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    baselines: Vec<BaselineScore>,
    /// Probes that learned from few pictures, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    shots: Option<FewShots>,
    fits: usize,
    not_converged: Vec<NotConverged>,
    seconds: f64,
    saved: Option<String>,
    predictions: Option<String>,
}

#[derive(Serialize)]
struct Fold {
    strength: f64,
    at_edge: bool,
    #[serde(flatten)]
    accuracy: Accuracy,
}

pub fn run(args: &ProbeArgs) -> anyhow::Result<Outcome> {
    if !args.regression && (!args.target.is_empty() || args.target_table.is_some()) {
        bail!("--target and --target-table are for --regression: add it, or leave them out");
    }
    if args.multi_label || args.regression {
        return probe_targets::run(args);
    }
    let store = Store::open(&args.store)?;
    shards::warn(&store);
    let taps = taps::find(&store, args.tap.as_deref().context("name a tap with --tap")?)?;
    let plan = Plan::of(store.listing(), &args.protocol)?.with_design(&args.design)?;
    let data = &plan.data;
    let shots = shots::check(args, &plan)?;
    let wanted = operating::check(args.recall.as_ref(), &plan)?;
    let bar = progress::bar("probing", plan.fits()?, "fits");
    let (mut file, predictions) = outputs(args)?;
    let scored = score_taps(&store, &taps, &plan, &|| bar.inc(1))?;
    let control = Control::of_taps(&store, &taps, &plan, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let shots = shots.map(|shots| FewShots::of(&store, &taps, (&shots, &plan))).transpose()?;
    let evaluation = &scored.evaluation;
    let operated = wanted.map(|wanted| Operated::of(&store, (&taps, &plan), evaluation, wanted)).transpose()?;
    let baselines = if args.baselines { baselines::score(&store, &taps, (&plan, evaluation))? } else { Vec::new() };
    let folds = evaluation.folds.iter().enumerate().map(|(index, fold)| Fold {
        strength: fold.choice.c,
        at_edge: fold.choice.at_edge,
        accuracy: Accuracy::of_fold(evaluation, index, &plan),
    });
    let infos: Vec<TapInfo> = taps.iter().map(|&tap| store.taps()[tap].info.clone()).collect();
    let report = Report {
        store: store.dir().display().to_string(),
        model: store.manifest().space.model.name.clone(),
        tap: taps::only(&infos),
        taps: infos,
        views: store.manifest().space.views,
        pictures: data.rows.len(),
        left_out: data.left_out.clone(),
        classes: data.classes(),
        scores: Scores::of(evaluation, control, &plan),
        folds: folds.collect(),
        confusion: evaluation.confusion().outer_iter().map(|row| row.to_vec()).collect(),
        operating_point: operated,
        baselines,
        shots,
        fits: evaluation.fits,
        not_converged: evaluation.not_converged.clone(),
        seconds: scored.seconds,
        saved: args.save.as_deref().map(output::path),
        predictions: args.predictions.as_deref().map(output::path),
        split: SplitSizes::of(data),
        groups: data.groups.as_ref().map(Groups::sizes),
        interval: Interval::of(&plan),
        protocol: plan.config.clone(),
    };
    if let Some(file) = file.as_mut() {
        let point = report.operating_point.as_ref().map(|operated| operated.point.clone());
        save(file, (&store, &taps), &plan, point)?;
    }
    if let Some(predictions) = &predictions {
        let called = report.operating_point.as_ref().map(|operated| &operated.called[..]);
        predictions::write(predictions, (&store, &plan), (evaluation, called))?;
    }
    [file, predictions].into_iter().flatten().try_for_each(Replacement::put_in_place)?;
    output::either(args.json, &report, render)?;
    Ok(Outcome::Done)
}

/// The files of `--save` and `--predictions`, opened.
pub fn outputs(args: &ProbeArgs) -> anyhow::Result<(Option<Replacement>, Option<Replacement>)> {
    if args.save.is_some() && args.save == args.predictions {
        bail!("--save and --predictions name the same file: give each its own");
    }
    let create =
        |path: &Option<PathBuf>, ending| path.as_deref().map(|path| Replacement::create(path, &[ending])).transpose();
    Ok((create(&args.save, "json")?, create(&args.predictions, "csv")?))
}

fn save(
    file: &mut Replacement,
    (store, taps): (&Store, &[usize]),
    plan: &Plan,
    point: Option<OperatingPoint>,
) -> anyhow::Result<()> {
    let data = plan.data.to_learn_from();
    let features = Features::of(store, taps, (&data, plan.config.max_bytes))?;
    let bar = progress::bar("fitting the probe to keep", plan.config.holdout_fits()?, "fits");
    let FinalFit { fit, choice, .. } = features.with(|rows| fit_final(&plan.config, rows, &|| bar.inc(1)))?;
    bar.finish_and_clear();
    let outputs = Outputs::Classes(data.names.clone(), point);
    saved_probe::write(file, (store, taps), (&fit.probe, outputs), (choice.c, fit.converged))
}

/// What else there is to say of the predictions, in one line.
fn other_scores(report: &Report) -> String {
    let mut scores = vec![
        format!("balanced accuracy {} %", percent(report.scores.balanced_accuracy)),
        format!("macro F1 {} %", percent(report.scores.macro_f1)),
    ];
    scores.extend(report.scores.top_five_accuracy.map(|share| format!("top-5 accuracy {} %", percent(share))));
    scores.extend(report.scores.auroc.map(|area| format!("AUROC {area:.3}")));
    scores.extend(report.scores.average_precision.map(|area| format!("average precision {area:.3}")));
    scores.push(format!("log loss {:.3} nats", report.scores.log_loss));
    scores.push(format!("calibration error {} %", percent(report.scores.calibration_error)));
    scores.join(", ")
}

fn render(report: &Report) -> String {
    let (accuracy, shuffles) = (&report.scores.accuracy, report.scores.shuffles.as_ref());
    let mut text = format!(
        "{}: {} % of {} {} right (95 % {} {})\n{}\n{}\n",
        subject((&report.model, report.views), &report.taps, &report.protocol),
        percent(accuracy.accuracy),
        count(accuracy.total),
        // Shuffles score a picture several times.
        if shuffles.is_some() { "scores" } else { "pictures" },
        report.interval.name(),
        accuracy.interval_text(),
        other_scores(report),
        shuffles.map_or(String::new(), ShuffleScores::sentence)
    );
    let folds = report.folds.iter().enumerate().map(|(index, fold)| {
        vec![
            if report.split.is_some() { "test".to_owned() } else { (index + 1).to_string() },
            format!("{} of {}", fold.accuracy.correct, fold.accuracy.total),
            percent(fold.accuracy.accuracy),
            format!("{}{}", output::strength(fold.strength), if fold.at_edge { "*" } else { "" }),
        ]
    });
    text += &output::table(
        &[if shuffles.is_some() { ">shuffle" } else { ">fold" }, ">right", ">accuracy %", ">strength"],
        folds,
    );
    if report.folds.iter().any(|fold| fold.at_edge) {
        text += "* at the edge of the grid; a wider one (--strengths) may do better.\n";
    }
    if report.classes.len() <= SHOWN_CLASSES {
        let names: Vec<&str> = report.classes.iter().map(|c| c.name.as_str()).collect();
        let headers: Vec<String> = std::iter::once("true class".to_owned())
            .chain(names.iter().map(|n| format!(">as {}", output::cell(n))))
            .collect();
        let rows = names.iter().zip(&report.confusion).map(|(name, counts)| {
            std::iter::once(output::cell(name)).chain(counts.iter().map(|&n| count(n))).collect()
        });
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        text += &format!("\n{}", output::table(&headers, rows));
    }
    text += &report.operating_point.as_ref().map_or(String::new(), Operated::text);
    if !report.baselines.is_empty() {
        text += &baselines::table(&report.baselines);
    }
    text += &report.shots.as_ref().map_or(String::new(), FewShots::text);
    text += &sentence(&report.scores.control.iter().collect::<Vec<_>>());
    let chosen = report.folds.iter().map(|fold| fold.strength);
    text += &unconverged(&report.not_converged, (report.fits, ""), chosen);
    text += &report.left_out.sentence();
    text + &written((report.pictures, report.split), (&report.saved, &report.predictions))
}

/// Which features of which network: `squeezenet1.1 at pool1 (64 features, pooling mean)`.
pub fn subject((model, views): (&str, Views), taps: &[TapInfo], protocol: &ProtocolConfig) -> String {
    format!(
        "{model} at {} ({} features, {}{}{})",
        taps::names(taps),
        taps.iter().map(|tap| tap.features).sum::<usize>(),
        taps::poolings(taps),
        views::averaged(views),
        design_text(protocol),
    )
}

/// The files written, a line each.
pub fn written(
    (pictures, split): (usize, Option<SplitSizes>),
    (saved, predictions): (&Option<String>, &Option<String>),
) -> String {
    let mut text = String::new();
    if let Some(path) = saved {
        let fitted_on = match split {
            Some(split) => format!("the {} training", count(split.train)),
            None => format!("all {}", count(pictures)),
        };
        text += &format!("\nA probe fitted on {fitted_on} pictures is in {path}.\n");
    }
    if let Some(path) = predictions {
        text += &format!("What was predicted for each picture is in {path}.\n");
    }
    text
}

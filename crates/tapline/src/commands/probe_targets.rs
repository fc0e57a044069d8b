//! `tapline probe --multi-label` and `--regression`: one tap in detail, or all taps of a store in one table.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Serialize;
use tapline_core::{Store, TapInfo, Views};
use tapline_probe::{
    LabelScores, NotConverged, NumberScores, ProtocolConfig, Shuffles, TargetChoice, TargetEvaluation, TargetFit,
    fit_final_targets,
};

use super::compare::{SplitSizes, usual_strength};
use super::probe::{outputs, subject, written};
use crate::accuracy::Interval;
use crate::args::ProbeArgs;
use crate::classes::LeftOut;
use crate::features::Features;
use crate::groups::{GroupSizes, Groups};
use crate::output::{count, counted, percent, short};
use crate::plan::Plan;
use crate::replacement::Replacement;
use crate::saved_probe::{self, Outputs};
use crate::split::roles;
use crate::target_scores::{TargetScores, probabilities, score_taps};
use crate::targets::{Targeted, Task};
use crate::{Outcome, output, progress, shuffles, taps, views};

/// Labels or targets that are counted in a heading.
const NAMED: usize = 6;

#[derive(Serialize)]
struct Report {
    store: String,
    model: String,
    task: Task,
    /// The views of each picture whose mean was probed.
    views: Views,
    pictures: usize,
    left_out: LeftOut,
    /// The labels with their pictures among those probed, or the columns of numbers; scores of each come in this order.
    targets: Vec<Target>,
    protocol: ProtocolConfig,
    /// How many pictures a fixed split learns from and scores on; none where folds take turns.
    split: Option<SplitSizes>,
    /// How the pictures are parted again and again; none where they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    shuffles: Option<Shuffles>,
    /// What no fold tears apart; none where every picture is a draw of its own.
    groups: Option<GroupSizes>,
    /// How the intervals are made.
    interval: Interval,
    taps: Vec<TapReport>,
    saved: Option<PathBuf>,
    predictions: Option<PathBuf>,
}

#[derive(Serialize)]
struct Target {
    name: String,
    /// Pictures that have the label; none of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pictures: Option<usize>,
}

#[derive(Serialize)]
struct TapReport {
    name: String,
    pooling: String,
    features: usize,
    cost_share: f64,
    /// The taps whose features are joined, in this order; itself where it is one.
    taps: Vec<TapInfo>,
    /// Pictures scored; of shuffles, their scores.
    scored: usize,
    #[serde(flatten)]
    scores: TargetScores,
    /// 95 % interval of the mean average precision, or of R².
    interval: Option<(f64, f64)>,
    folds: Vec<Fold>,
    fits: usize,
    not_converged: Vec<NotConverged>,
    seconds: f64,
}

#[derive(Serialize)]
struct Fold {
    strength: f64,
    at_edge: bool,
    scored: usize,
    /// Loss of the strength on rows held out: log loss, or squared error in units of the variance.
    held_out: f64,
}

pub fn run(args: &ProbeArgs) -> anyhow::Result<Outcome> {
    let store = Store::open(&args.store)?;
    let places = match &args.tap {
        Some(tap) => vec![taps::find(&store, tap)?],
        None if args.save.is_some() || args.predictions.is_some() => {
            bail!("--save and --predictions are of one tap: name it with --tap")
        }
        None => (0..store.taps().len()).map(|tap| vec![tap]).collect(),
    };
    let listing = store.listing();
    let split = args.protocol.split.then(|| roles(listing)).transpose()?;
    let mut data = match args.multi_label {
        true => Targeted::labels(listing, split.as_deref())?,
        false => Targeted::numbers(listing, &args.target, split.as_deref())?,
    };
    let plan = Plan::of_targets(listing, data.pictures.clone(), args)?;
    data.pictures = plan.data.clone();
    let (mut file, predictions) = outputs(args)?;
    let bar = progress::bar("probing", places.len() * plan.fits()?, "fits");
    let mut found = Vec::new();
    for place in &places {
        found.push(score_taps(&store, place, (&plan, &data), &|| bar.inc(1))?);
    }
    bar.finish_and_clear();
    let reports = places.iter().zip(&found).map(|(place, scored)| {
        let infos = place.iter().map(|&tap| store.taps()[tap].info.clone()).collect();
        TapReport::of(infos, (&scored.evaluation, scored.seconds), (&plan, &data))
    });
    let report = Report {
        store: store.dir().display().to_string(),
        model: store.manifest().space.model.name.clone(),
        task: data.task,
        views: store.manifest().space.views,
        pictures: plan.data.rows.len(),
        left_out: plan.data.left_out.clone(),
        targets: named(&data),
        taps: reports.collect(),
        saved: args.save.clone(),
        predictions: args.predictions.clone(),
        split: SplitSizes::of(&plan.data),
        shuffles: plan.shuffles,
        groups: plan.data.groups.as_ref().map(Groups::sizes),
        interval: if plan.data.groups.is_some() { Interval::Groups } else { Interval::Pictures },
        protocol: plan.config.clone(),
    };
    if let Some(file) = file.as_mut() {
        save(file, (&store, &places[0]), (&plan, &data))?;
    }
    if let Some(predictions) = &predictions {
        predicted(csv::Writer::from_writer(&predictions.file), &store, (&data, &found[0].evaluation))
            .with_context(|| format!("{} cannot be written", predictions.beside.display()))?;
    }
    [file, predictions].into_iter().flatten().try_for_each(Replacement::put_in_place)?;
    output::either(args.json, &report, render)?;
    Ok(Outcome::Done)
}

fn named(data: &Targeted) -> Vec<Target> {
    let pictures = |name: usize| data.values.column(name).iter().filter(|&&side| side == 1.0).count();
    let target = |(number, name): (usize, &String)| Target {
        name: name.clone(),
        pictures: (data.task == Task::MultiLabel).then(|| pictures(number)),
    };
    data.names.iter().enumerate().map(target).collect()
}

impl TapReport {
    fn of(
        infos: Vec<TapInfo>,
        (evaluation, seconds): (&TargetEvaluation, f64),
        (plan, data): (&Plan, &Targeted),
    ) -> Self {
        let (scores, interval) = TargetScores::of(evaluation, (plan, data));
        let fold = |(number, choice): (usize, &TargetChoice)| Fold {
            strength: choice.c,
            at_edge: choice.at_edge,
            scored: evaluation.fold_of.iter().filter(|&&fold| fold == number).count(),
            held_out: choice.chosen().loss,
        };
        Self {
            name: taps::names(&infos),
            pooling: taps::pooling(&infos),
            features: infos.iter().map(|info| info.features).sum(),
            cost_share: infos.iter().map(|info| info.cost_share).fold(0.0, f64::max),
            taps: infos,
            scored: evaluation.scored_rows.len(),
            scores,
            interval,
            folds: evaluation.folds.iter().enumerate().map(fold).collect(),
            fits: evaluation.fits,
            not_converged: evaluation.not_converged.clone(),
            seconds,
        }
    }

    fn at_edge(&self) -> bool {
        self.folds.iter().any(|fold| fold.at_edge)
    }
}

fn save(
    file: &mut Replacement,
    (store, taps): (&Store, &[usize]),
    (plan, data): (&Plan, &Targeted),
) -> anyhow::Result<()> {
    let data = data.to_learn_from();
    let features = Features::of(store, taps, (&data.pictures, plan.config.max_bytes))?;
    let bar = progress::bar("fitting the probe to keep", plan.config.holdout_fits()?, "fits");
    let fit = features.with(|rows| fit_final_targets(&plan.config, &data.data(rows.rows), &|| bar.inc(1)));
    let TargetFit { probe, choice, converged } = fit.map_err(|error| data.in_words(error))?;
    bar.finish_and_clear();
    let outputs = match data.task {
        Task::MultiLabel => Outputs::Labels(&data.names),
        Task::Regression => Outputs::Targets(&data.names),
    };
    saved_probe::write(file, (store, taps), (&probe, outputs), (choice.c, converged))
}

/// A line for each picture scored, in the order of the listing; folds are numbered from 1, as in the table.
fn predicted<W: std::io::Write>(
    mut writer: csv::Writer<W>,
    store: &Store,
    (data, evaluation): (&Targeted, &TargetEvaluation),
) -> anyhow::Result<()> {
    let header = match data.task {
        Task::MultiLabel => ["path", "label", "fold", "predicted"]
            .into_iter()
            .map(str::to_owned)
            .chain(data.names.iter().map(|name| format!("probability of {name}")))
            .collect::<Vec<_>>(),
        Task::Regression => ["path", "fold"]
            .into_iter()
            .map(str::to_owned)
            .chain(data.names.iter().flat_map(|name| [name.clone(), format!("predicted {name}")]))
            .collect(),
    };
    writer.write_record(header)?;
    let probabilities = probabilities(evaluation.predicted.view());
    for (i, &row) in evaluation.scored_rows.iter().enumerate() {
        let path = store.listing().path[data.pictures.rows[row]].clone();
        let fold =
            if data.pictures.split.is_some() { "test".to_owned() } else { (evaluation.fold_of[i] + 1).to_string() };
        let (truth, said) = (evaluation.truth.row(i), evaluation.predicted.row(i));
        let cells = match data.task {
            Task::MultiLabel => {
                [path, data.named(|name| truth[name] == 1.0), fold, data.named(|name| said[name] > 0.0)]
                    .into_iter()
                    .chain(probabilities.row(i).iter().map(f64::to_string))
                    .collect::<Vec<_>>()
            }
            Task::Regression => [path, fold]
                .into_iter()
                .chain(truth.iter().zip(said).flat_map(|(truth, said)| [truth.to_string(), said.to_string()]))
                .collect(),
        };
        writer.write_record(cells)?;
    }
    Ok(writer.flush()?)
}

fn render(report: &Report) -> String {
    let mut text = match report.taps.as_slice() {
        [tap] => one(report, tap),
        taps => all(report, taps),
    };
    text += &unscored(report);
    if report.taps.iter().any(TapReport::at_edge) {
        text += "* the strength lies at the edge of the grid in some fold; a wider one (--strengths) may do better.\n";
    }
    for tap in report.taps.iter().filter(|tap| !tap.not_converged.is_empty()) {
        text +=
            &format!("warning: {} of {} fits on {} did not converge.\n", tap.not_converged.len(), tap.fits, tap.name);
    }
    let missing = match report.task {
        Task::MultiLabel => "a label".to_owned(),
        Task::Regression => format!("a number in {}", names(report).join(" and in ")),
    };
    text += &report.left_out.sentence_of(&missing);
    text + &written((report.pictures, report.split), (&report.saved, &report.predictions))
}

fn names(report: &Report) -> Vec<String> {
    report.targets.iter().map(|target| short(&target.name)).collect()
}

/// One tap in detail.
fn one(report: &Report, tap: &TapReport) -> String {
    let scored = format!("{} {}", count(tap.scored), if report.shuffles.is_some() { "scores" } else { "pictures" });
    let subject = subject((&report.model, report.views), &tap.taps, &report.protocol);
    let what = match &tap.scores {
        TargetScores::Labels(labels) => format!("mAP {} %", share(labels.mean_average_precision)),
        TargetScores::Numbers(numbers) => format!("R² {}", figure(numbers.r2)),
    };
    let mut text = format!("{subject}: {what} of {scored} (95 % {} {})\n", report.interval.name(), interval(tap));
    text += &match &tap.scores {
        TargetScores::Labels(labels) => of_labels(report, labels),
        TargetScores::Numbers(numbers) => of_numbers(report, numbers),
    };
    let folds = tap.folds.iter().enumerate().map(|(index, fold)| {
        vec![
            if report.split.is_some() { "test".to_owned() } else { (index + 1).to_string() },
            count(fold.scored),
            format!("{}{}", output::strength(fold.strength), if fold.at_edge { "*" } else { "" }),
        ]
    });
    let part = if report.shuffles.is_some() { ">shuffle" } else { ">fold" };
    text + "\n" + &output::table(&[part, ">pictures", ">strength"], folds)
}

fn of_labels(report: &Report, labels: &LabelScores) -> String {
    let rows = report.targets.iter().zip(&labels.labels).map(|(target, label)| {
        vec![output::cell(&target.name), count(label.positives), share(label.average_precision), share(label.f1)]
    });
    format!(
        "micro F1 {} %, macro F1 {} %, log loss {:.3} nats\n\n{}",
        share(labels.micro_f1),
        share(labels.macro_f1),
        labels.log_loss,
        output::table(&["label", ">pictures", ">average precision %", ">F1 %"], rows)
    )
}

fn of_numbers(report: &Report, numbers: &NumberScores) -> String {
    let rows = report.targets.iter().zip(&numbers.targets).map(|(target, scores)| {
        vec![
            output::cell(&target.name),
            figure(scores.r2),
            measure(scores.mean_absolute_error),
            measure(scores.root_mean_squared_error),
        ]
    });
    let cosine = numbers.median_cosine.map_or(String::new(), |cosine| format!("median cosine {cosine:.3}\n"));
    format!("{cosine}\n{}", output::table(&["target", ">R²", ">mean absolute error", ">RMSE"], rows))
}

/// All taps in one table.
fn all(report: &Report, taps: &[TapReport]) -> String {
    let single = report.targets.len() == 1;
    let scores: &[&str] = match (report.task, single) {
        (Task::MultiLabel, _) => &[">mAP %", "95 % interval", ">micro F1 %", ">macro F1 %", ">log loss"],
        (Task::Regression, true) => &[">R²", "95 % interval", ">MAE", ">RMSE"],
        (Task::Regression, false) => &[">R²", "95 % interval", ">cosine"],
    };
    let rows = taps.iter().map(|tap| {
        let mut cells = vec![
            output::cell(&tap.name),
            tap.pooling.clone(),
            tap.features.to_string(),
            format!("{} %", percent(tap.cost_share)),
        ];
        match &tap.scores {
            TargetScores::Labels(labels) => cells.extend([
                share(labels.mean_average_precision),
                interval(tap),
                share(labels.micro_f1),
                share(labels.macro_f1),
                format!("{:.3}", labels.log_loss),
            ]),
            TargetScores::Numbers(numbers) => {
                cells.extend([figure(numbers.r2), interval(tap)]);
                match numbers.targets.as_slice() {
                    [one] => cells.extend([measure(one.mean_absolute_error), measure(one.root_mean_squared_error)]),
                    _ => cells.push(figure(numbers.median_cosine)),
                }
            }
        }
        let strengths: Vec<f64> = tap.folds.iter().map(|fold| fold.strength).collect();
        let edge = if tap.at_edge() { "*" } else { "" };
        cells.push(format!("{}{edge}", output::strength(usual_strength(&strengths))));
        cells.push(format!("{:.1}", tap.seconds));
        cells
    });
    let headers = [&["tap", "pooling", ">features", ">cost"][..], scores, &[">strength", ">seconds"][..]].concat();
    format!(
        "{}\n\n{}\nIntervals are of each tap by itself ({}); the best of {} taps by the same pictures is an optimistic choice.\n",
        heading(report),
        output::table(&headers, rows),
        report.interval.name(),
        taps.len()
    )
}

/// What was probed, on which pictures, by which protocol.
fn heading(report: &Report) -> String {
    let pictures = match report.split {
        Some(split) => format!("{} training pictures, scored on {}", count(split.train), count(split.test)),
        None => counted(report.pictures, "picture"),
    };
    let named = |target: &Target| match target.pictures {
        Some(pictures) => format!("{} {}", count(pictures), short(&target.name)),
        None => short(&target.name),
    };
    let mut targets: Vec<String> = report.targets.iter().take(NAMED).map(named).collect();
    if report.targets.len() > NAMED {
        targets.push(format!("{} more", report.targets.len() - NAMED));
    }
    format!(
        "{}: {} probes on {}{pictures} ({}), {} folds{}{}, seed {}",
        report.model,
        match report.task {
            Task::MultiLabel => "multi-label",
            Task::Regression => "ridge",
        },
        views::mean_of(report.views),
        targets.join(", "),
        report.protocol.folds,
        report.groups.as_ref().map(GroupSizes::text).unwrap_or_default(),
        shuffles::heading(report.shuffles, &report.protocol),
        report.protocol.seed,
    )
}

/// The labels or targets that the scored pictures say nothing of, as a line; all taps are scored on the same ones.
fn unscored(report: &Report) -> String {
    let silent: Vec<bool> = match report.taps.first().map(|tap| &tap.scores) {
        Some(TargetScores::Labels(labels)) => labels.labels.iter().map(|label| label.positives == 0).collect(),
        Some(TargetScores::Numbers(numbers)) => numbers.targets.iter().map(|target| target.r2.is_none()).collect(),
        None => Vec::new(),
    };
    let names: Vec<String> = report
        .targets
        .iter()
        .zip(silent)
        .filter(|(_, silent)| *silent)
        .map(|(target, _)| short(&target.name))
        .collect();
    match (names.as_slice(), report.task) {
        ([], _) => String::new(),
        (names, Task::MultiLabel) => {
            format!("No picture scored has {}: left out of mAP and macro F1.\n", names.join(", "))
        }
        (names, Task::Regression) => {
            format!("{} is the same in all pictures scored: left out of R².\n", names.join(", "))
        }
    }
}

fn interval(tap: &TapReport) -> String {
    let Some((low, high)) = tap.interval else { return "–".to_owned() };
    match tap.scores {
        TargetScores::Labels(_) => format!("{} to {}", percent(low), percent(high)),
        TargetScores::Numbers(_) => format!("{low:.3} to {high:.3}"),
    }
}

fn share(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), percent)
}

fn figure(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

/// A number in a target's unit, to three digits.
fn measure(value: f64) -> String {
    output::strength(value)
}

//! `tapline probe --multi-label` and `--regression`: one tap in detail, or all taps of a store in one table.

mod rendering;

use anyhow::{Context, bail};
use serde::Serialize;
use tapline_core::{SideTable, Store, TapInfo, Views};
use tapline_probe::{
    NotConverged, ProtocolConfig, Shuffles, TargetChoice, TargetEvaluation, TargetFit, fit_final_targets,
};

use super::compare::SplitSizes;
use super::probe::outputs;
use crate::accuracy::Interval;
use crate::args::ProbeArgs;
use crate::classes::LeftOut;
use crate::features::Features;
use crate::groups::{GroupSizes, Groups};
use crate::plan::Plan;
use crate::replacement::Replacement;
use crate::saved_probe::{self, Outputs};
use crate::split::roles;
use crate::target_scores::{TargetScores, probabilities, score_taps};
use crate::targets::{Targeted, Task};
use crate::{Outcome, output, progress, shards, taps};

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
    saved: Option<String>,
    predictions: Option<String>,
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
    shards::warn(&store);
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
        false => {
            let beside = args.target_table.as_deref().map(SideTable::read).transpose()?;
            Targeted::numbers(listing, (beside.as_ref(), &args.target), split.as_deref())?
        }
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
        saved: args.save.as_deref().map(output::path),
        predictions: args.predictions.as_deref().map(output::path),
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
    output::either(args.json, &report, rendering::render)?;
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
        Task::MultiLabel => Outputs::Labels(data.names.clone()),
        Task::Regression => Outputs::Targets(data.names.clone()),
    };
    saved_probe::write(file, (store, taps), (&probe, outputs), (choice.c, converged))
}

/// A column for each target, and one for what was predicted of it: a target with the name of a column of ours, or of what is
/// predicted of another, is called `target NAME`.
fn target_columns(names: &[String]) -> Vec<String> {
    let taken = |name: &String| {
        ["path", "fold"].contains(&name.as_str()) || names.iter().any(|other| *name == format!("predicted {other}"))
    };
    let named = |name: &String| if taken(name) { format!("target {name}") } else { name.clone() };
    names.iter().map(named).flat_map(|name| [name.clone(), format!("predicted {name}")]).collect()
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
        Task::Regression => {
            let own = ["path", "fold"].map(str::to_owned);
            own.into_iter().chain(target_columns(&data.names)).collect()
        }
    };
    writer.write_record(header)?;
    let probabilities = probabilities(evaluation.predicted.view());
    for (i, &row) in evaluation.scored_rows.iter().enumerate() {
        let path = store.listing().path[data.pictures.rows[row]].to_owned();
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

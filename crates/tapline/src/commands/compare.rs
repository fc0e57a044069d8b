//! `tapline compare`: probes every tap of a store and says which stage does best, and by how much.

use std::io;

use serde::Serialize;
use tapline_core::{Store, TapInfo, Views};
use tapline_probe::{Evaluation, NotConverged, ProtocolConfig, Role, Shuffles, select_layer};

use crate::accuracy::{Accuracy, Interval};
use crate::args::CompareArgs;
use crate::classes::{Class, Labelled, LeftOut};
use crate::comparison::{Comparison, Summary, TapComparison};
use crate::control::{Control, sentence};
use crate::groups::{GroupSizes, Groups};
use crate::output::{count, percent};
use crate::plan::Plan;
use crate::rankings::{Agreement, Ranking};
use crate::report_scores::Scores;
use crate::scores::{Scored, score_tap};
use crate::shuffles::{self, ShuffleScores};
use crate::{Outcome, output, progress, views};

/// What the comparison found; every rendering is made from it.
#[derive(Debug, Serialize)]
pub struct Report {
    store: String,
    model: String,
    /// The views of each picture whose mean was probed.
    views: Views,
    pictures: usize,
    left_out: LeftOut,
    classes: Vec<Class>,
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
    /// From shallow to deep.
    taps: Vec<TapReport>,
    /// Position in `taps` of the most right pictures, the shallowest of equals.
    best: usize,
    /// Position in `taps` of the deepest tap below the network's own classifier; none where there is only the classifier.
    top: Option<usize>,
    /// Pictures only the best tap got right, and only the top tap.
    best_only_top_only: Option<(usize, usize)>,
    /// p of the top tap being as good as the best of all; none where it is that.
    top_p: Option<f64>,
    /// Which taps cannot be told from the best.
    comparison: Summary,
    /// How well rankings without training agree with the probes; none where they were not asked for.
    rankings: Option<Agreement>,
    /// What the comparison says, in a sentence.
    #[serde(skip)]
    set_sentence: String,
    /// Whether the top tap is behind, in a sentence.
    #[serde(skip)]
    top_sentence: String,
    /// The score of choosing the tap, too, on inner folds: the honest promise for "the best layer".
    chosen_on_inner_folds: Accuracy,
    /// The taps so chosen, one for each fold.
    chosen_taps: Vec<String>,
}

/// One tap's probes.
#[derive(Debug, Serialize)]
struct TapReport {
    name: String,
    pooling: String,
    features: usize,
    cost_share: f64,
    classifier: bool,
    #[serde(flatten)]
    scores: Scores,
    #[serde(flatten)]
    comparison: TapComparison,
    /// LogME and H-score; none where they were not asked for.
    #[serde(flatten)]
    ranking: Option<Ranking>,
    /// Strength C chosen for each fold.
    strengths: Vec<f64>,
    /// Folds whose choice lies at the edge of the grid.
    at_edge: usize,
    not_converged: Vec<NotConverged>,
    fits: usize,
    seconds: f64,
}

/// Pictures of a fixed split.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SplitSizes {
    /// Pictures to learn from.
    pub train: usize,
    /// Pictures scored.
    pub test: usize,
}

impl SplitSizes {
    /// The sizes, where there is a split.
    pub fn of(data: &Labelled) -> Option<Self> {
        let size = |role| data.with_role(role).len();
        data.split.as_ref().map(|_| Self { train: size(Role::Train), test: size(Role::Test) })
    }
}

pub fn run(args: &CompareArgs) -> anyhow::Result<Outcome> {
    let store = Store::open(&args.store)?;
    let plan = Plan::of(store.listing(), &args.protocol)?.with_design(&args.design)?;
    let bar = progress::bar("probing", store.taps().len() * plan.fits()?, "fits");
    let mut scored = Vec::new();
    for index in 0..store.taps().len() {
        let real = score_tap(&store, index, &plan, &|| bar.inc(1))?;
        scored.push((real, Control::of(&store, index, &plan, &|| bar.inc(1))?));
        bar.set_position(((index + 1) * plan.fits()?) as u64);
    }
    bar.finish_and_clear();
    let mut report = report(&store, &plan, scored)?;
    if args.json || args.csv || args.rankings {
        rank(&mut report, &store, &plan)?;
    }
    if args.json {
        output::json(&report)?;
    } else if args.csv {
        csv(&report)?;
        eprint!("{}", report.left_out.sentence());
    } else {
        output::text(&render(&report))?;
    }
    Ok(Outcome::Done)
}

fn report(store: &Store, plan: &Plan, scored: Vec<(Scored, Option<Control>)>) -> anyhow::Result<Report> {
    let data = &plan.data;
    let infos: Vec<&TapInfo> = store.taps().iter().map(|t| &t.info).collect();
    let evaluations: Vec<Evaluation> = scored.iter().map(|(scored, _)| scored.evaluation.clone()).collect();
    let comparison = Comparison::of(&evaluations, &infos, plan)?;
    let taps = infos.iter().zip(&scored).enumerate();
    let taps: Vec<TapReport> =
        taps.map(|(tap, (info, scored))| tap_report(info, scored, (comparison.of_tap(tap), plan))).collect();
    let best = comparison.verdict.leader;
    let top = taps.iter().rposition(|tap| !tap.classifier);
    let nested = select_layer(&evaluations)?;
    let all: Vec<usize> = (0..taps.len()).collect();
    let top_p = top.map(|top| comparison.behind_p(top, &all)).transpose()?.flatten();
    Ok(Report {
        store: store.dir().display().to_string(),
        model: store.manifest().space.model.name.clone(),
        views: store.manifest().space.views,
        pictures: data.rows.len(),
        left_out: data.left_out.clone(),
        classes: data.classes(),
        split: SplitSizes::of(data),
        shuffles: plan.shuffles,
        groups: data.groups.as_ref().map(Groups::sizes),
        interval: Interval::of(plan),
        protocol: plan.config.clone(),
        best,
        top,
        best_only_top_only: top.map(|top| disagreement(&evaluations[best], &evaluations[top])),
        top_p,
        rankings: None,
        set_sentence: comparison.sentence(&|tap| label(&taps, tap), &|tap| taps[tap].cost_share),
        top_sentence: top_p
            .map(|p| format!("That is {}.\n", comparison.behind_text(p, taps.len())))
            .unwrap_or_default(),
        comparison: comparison.summary(),
        chosen_on_inner_folds: Accuracy::of_predicted(&evaluations[0], &nested.predicted, plan),
        chosen_taps: nested.chosen.iter().map(|&tap| label(&taps, tap)).collect(),
        taps,
    })
}

fn tap_report(
    info: &TapInfo,
    (scored, control): &(Scored, Option<Control>),
    (comparison, plan): (TapComparison, &Plan),
) -> TapReport {
    let evaluation = &scored.evaluation;
    TapReport {
        name: info.name.clone(),
        pooling: info.tap.pooling.to_string(),
        features: info.features,
        cost_share: info.cost_share,
        classifier: info.classifier,
        scores: Scores::of(evaluation, control.clone(), plan),
        comparison,
        ranking: None,
        strengths: evaluation.folds.iter().map(|fold| fold.choice.c).collect(),
        at_edge: evaluation.folds.iter().filter(|fold| fold.choice.at_edge).count(),
        not_converged: evaluation.not_converged.clone(),
        fits: evaluation.fits,
        seconds: scored.seconds,
    }
}

/// Adds the rankings that need no probe.
fn rank(report: &mut Report, store: &Store, plan: &Plan) -> anyhow::Result<()> {
    let rankings: Vec<Ranking> =
        (0..report.taps.len()).map(|tap| Ranking::of(store, tap, plan)).collect::<Result<_, _>>()?;
    let accuracies: Vec<f64> = report.taps.iter().map(|tap| tap.scores.accuracy.accuracy).collect();
    report.rankings = Some(Agreement::of(&rankings, &accuracies, plan));
    report.taps.iter_mut().zip(rankings).for_each(|(tap, ranking)| tap.ranking = Some(ranking));
    Ok(())
}

/// Pictures that only `a` got right, and that only `b` got right.
pub fn disagreement(a: &Evaluation, b: &Evaluation) -> (usize, usize) {
    let right = |e: &Evaluation, i: usize| e.predicted[i] == e.labels[i];
    let only = |x: &Evaluation, y: &Evaluation| (0..x.labels.len()).filter(|&i| right(x, i) && !right(y, i)).count();
    (only(a, b), only(b, a))
}

/// A tap's name, with its pooling where the name alone is not enough.
fn label(taps: &[TapReport], tap: usize) -> String {
    let same = taps.iter().filter(|t| t.name == taps[tap].name).count();
    if same > 1 { format!("{}@{}", taps[tap].name, taps[tap].pooling) } else { taps[tap].name.clone() }
}

/// The median of the strengths chosen over the folds, the lower of two.
pub fn usual_strength(strengths: &[f64]) -> f64 {
    let mut sorted = strengths.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

fn render(report: &Report) -> String {
    let rows = report.taps.iter().enumerate().map(|(index, tap)| {
        let mut cells = vec![
            mark(report, index).to_owned(),
            tap.name.clone(),
            tap.pooling.clone(),
            tap.features.to_string(),
            format!("{} %", percent(tap.cost_share)),
            percent(tap.scores.accuracy.accuracy),
            tap.scores.accuracy.interval_text(),
            percent(tap.scores.balanced_accuracy),
            format!("{}{}", output::strength(usual_strength(&tap.strengths)), if tap.at_edge > 0 { "*" } else { "" }),
        ];
        if let Some(ranking) = tap.ranking {
            cells.extend(
                [ranking.log_me, ranking.h_score].map(|value| value.map_or("–".to_owned(), |v| format!("{v:.3}"))),
            );
        }
        cells.push(format!("{:.1}", tap.seconds));
        cells
    });
    let mut headers =
        vec!["", "tap", "pooling", ">features", ">cost", ">accuracy %", "95 % interval", ">balanced %", ">strength"];
    if report.rankings.is_some() {
        headers.extend([">LogME", ">H-score"]);
    }
    headers.push(">seconds");
    let classes: Vec<String> =
        report.classes.iter().take(6).map(|c| format!("{} {}", count(c.pictures), c.name)).collect();
    let more = if report.classes.len() > 6 {
        format!(" and {} classes more", report.classes.len() - 6)
    } else {
        String::new()
    };
    let pictures = match report.split {
        Some(split) => format!("{} training pictures, scored on {}", count(split.train), count(split.test)),
        None => format!("{} pictures", count(report.pictures)),
    };
    let mut text = format!(
        "{}: linear probes on {}{pictures} ({}{more}), {} folds{}{}, seed {}\n\n{}\n",
        report.model,
        views::mean_of(report.views),
        classes.join(", "),
        report.protocol.folds,
        report.groups.as_ref().map(GroupSizes::text).unwrap_or_default(),
        shuffles::heading(report.shuffles, report.protocol.transform),
        report.protocol.seed,
        output::table(&headers, rows)
    );
    text += &verdict(report);
    text += &sentence(&report.taps.iter().filter_map(|tap| tap.scores.control.as_ref()).collect::<Vec<_>>());
    text += &report.rankings.as_ref().map(Agreement::sentence).unwrap_or_default();
    text += &warnings(report);
    text
}

fn verdict(report: &Report) -> String {
    let best = &report.taps[report.best];
    let mut text = format!(
        "Best stage: {}, {} % of {} {} right (95 % {} {}).\n",
        label(&report.taps, report.best),
        percent(best.scores.accuracy.accuracy),
        count(best.scores.accuracy.total),
        if report.shuffles.is_some() { "scores" } else { "pictures" },
        report.interval.name(),
        best.scores.accuracy.interval_text()
    );
    text += &best.scores.shuffles.as_ref().map_or(String::new(), ShuffleScores::sentence);
    text += &report.set_sentence;
    text += &top_against_best(report);
    let chosen = &report.chosen_on_inner_folds;
    text += &format!(
        "Expect {} % (95 % interval {}) of new pictures like these: that is the score when the stage, too, is chosen \
         without the pictures that score it{}.\n",
        percent(chosen.accuracy),
        chosen.interval_text(),
        match report.taps.len() {
            1 => String::new(),
            taps => format!(
                "; picking the best of {} by the same pictures would claim {} %",
                output::counted(taps, "tap"),
                percent(report.comparison.naive_maximum)
            ),
        }
    );
    if report.split.is_some() {
        text += "One test set tells how sure this is for other pictures, not for other training pictures.\n";
    }
    text
}

/// `>` for the best tap, `=` for others that are not significantly worse.
fn mark(report: &Report, tap: usize) -> &'static str {
    match report.taps[tap].comparison.not_worse {
        _ if tap == report.best => ">",
        true => "=",
        false => "",
    }
}

/// How far the top layer is behind the best one, with the pictures that make the difference.
fn top_against_best(report: &Report) -> String {
    let (Some(top), Some((only_best, only_top))) = (report.top, report.best_only_top_only) else {
        return String::new();
    };
    let (best_name, top_name) = (label(&report.taps, report.best), label(&report.taps, top));
    let behind =
        report.taps[report.best].scores.accuracy.correct.saturating_sub(report.taps[top].scores.accuracy.correct);
    // Only a card says where the network's own classifier begins; without one the deepest tap may belong to it.
    let which = if report.taps.iter().any(|tap| tap.classifier) { "top layer" } else { "deepest layer probed" };
    if top == report.best {
        return format!("It is the {which}.\n");
    }
    if behind == 0 {
        return format!("The {which}, {top_name}, has as many right.\n");
    }
    // Shuffles score a picture several times.
    let scored = if report.shuffles.is_some() { "scores" } else { "pictures" };
    let mut text = format!(
        "The {which}, {top_name}, is {:.1} points behind: {} {scored} are right only at {best_name}, {} only at {top_name}.\n",
        100.0 * behind as f64 / report.taps[top].scores.accuracy.total as f64,
        count(only_best),
        count(only_top),
    );
    text += &report.top_sentence;
    text
}

fn warnings(report: &Report) -> String {
    let mut text = String::new();
    if report.taps.iter().any(|tap| tap.at_edge > 0) {
        text += "* the strength lies at the edge of the grid in some fold; a wider one (--strengths) may do better.\n";
    }
    for tap in report.taps.iter().filter(|tap| !tap.not_converged.is_empty()) {
        text +=
            &format!("warning: {} of {} fits on {} did not converge.\n", tap.not_converged.len(), tap.fits, tap.name);
    }
    text += &report.left_out.sentence();
    text
}

fn figure(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn csv(report: &Report) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(io::stdout().lock());
    writer.write_record([
        "tap",
        "pooling",
        "features",
        "cost_share",
        "correct",
        "total",
        "accuracy",
        "interval_low",
        "interval_high",
        "balanced_accuracy",
        "control_accuracy",
        "macro_f1",
        "top_five_accuracy",
        "auroc",
        "calibration_error",
        "log_loss",
        "strength",
        "at_edge",
        "not_converged",
        "seconds",
        "not_worse",
        "not_worse_p",
        "log_me",
        "h_score",
    ])?;
    for tap in &report.taps {
        writer.write_record([
            tap.name.clone(),
            tap.pooling.clone(),
            tap.features.to_string(),
            tap.cost_share.to_string(),
            tap.scores.accuracy.correct.to_string(),
            tap.scores.accuracy.total.to_string(),
            tap.scores.accuracy.accuracy.to_string(),
            tap.scores.accuracy.interval.0.to_string(),
            tap.scores.accuracy.interval.1.to_string(),
            tap.scores.balanced_accuracy.to_string(),
            tap.scores.control.as_ref().map(|control| control.accuracy.accuracy.to_string()).unwrap_or_default(),
            tap.scores.macro_f1.to_string(),
            tap.scores.top_five_accuracy.map(|share| share.to_string()).unwrap_or_default(),
            tap.scores.auroc.map(|area| area.to_string()).unwrap_or_default(),
            tap.scores.calibration_error.to_string(),
            tap.scores.log_loss.to_string(),
            usual_strength(&tap.strengths).to_string(),
            tap.at_edge.to_string(),
            tap.not_converged.len().to_string(),
            format!("{:.3}", tap.seconds),
            tap.comparison.not_worse.to_string(),
            tap.comparison.against_best.p.to_string(),
            figure(tap.ranking.and_then(|ranking| ranking.log_me)),
            figure(tap.ranking.and_then(|ranking| ranking.h_score)),
        ])?;
    }
    Ok(writer.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_strength_is_the_median() {
        assert_eq!(usual_strength(&[0.1, 0.01, 0.1, 1.0, 0.1]), 0.1);
        assert_eq!(usual_strength(&[0.1, 10.0, 1.0, 0.01]), 0.1);
    }
}

//! `tapline compare`: probes every tap of a store and says which stage does best, and by how much.

use std::io;

use serde::Serialize;
use tapline_core::Views;
use tapline_probe::{NotConverged, ProtocolConfig, Role, Shuffles};
use tapline_report::TapRow;

use crate::accuracy::{Accuracy, Interval};
use crate::args::CompareArgs;
use crate::classes::{Class, Labelled, LeftOut};
use crate::comparison::{Summary, TapComparison, TopComparison};
use crate::control::sentence;
use crate::groups::{GroupSizes, Groups};
use crate::output::{count, percent, short};
use crate::plan::Plan;
use crate::probes::Probes;
use crate::rankings::{self, Agreement, Ranking};
use crate::report_scores::{Scores, unconverged};
use crate::shuffles::{self, ShuffleScores};
use crate::stores::Stores;
use crate::{Outcome, output, views};

/// What the comparison found; every rendering is made from it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The stores, as typed.
    stores: Vec<String>,
    /// The networks.
    models: Vec<String>,
    /// The views of each picture whose mean was probed; none where the stores differ in them.
    views: Option<Views>,
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
    /// By network, from shallow to deep.
    taps: Vec<TapReport>,
    /// Position in `taps` of the most right pictures, the shallowest of equals.
    best: usize,
    /// Position in `taps` of the deepest tap below the classifier of the best tap's network, of several poolings the best; none where
    /// there is only the classifier.
    top: Option<usize>,
    /// The top layer of each network against the best stage below it.
    tops: Vec<TopComparison>,
    /// Which taps cannot be told from the best.
    comparison: Summary,
    /// How well rankings without training agree with the probes; none where they were not asked for.
    rankings: Option<Agreement>,
    /// What was probed, and how: `squeezenet1.1: linear probes on 85 pictures (…), 5 folds, seed 0`.
    #[serde(skip)]
    heading: String,
    /// What the comparison says of the taps as good as the best and of the top layers, in sentences.
    #[serde(skip)]
    sentences: Vec<String>,
    /// The score of choosing the tap, too, on inner folds: the honest promise for "the best layer".
    chosen_on_inner_folds: Accuracy,
    /// The taps so chosen, one for each fold.
    chosen_taps: Vec<String>,
}

/// One tap's probes.
#[derive(Debug, Serialize)]
struct TapReport {
    /// Its network: a position in `models`.
    backbone: usize,
    name: String,
    /// The name in sentences, with pooling and network where it takes them.
    #[serde(skip)]
    label: String,
    pooling: String,
    features: usize,
    cost_share: f64,
    classifier: bool,
    /// Whether it is of the deepest layer below the classifier.
    #[serde(skip)]
    is_top: bool,
    /// Whether it is several taps, their features side by side.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    joined: bool,
    #[serde(flatten)]
    scores: Scores,
    #[serde(flatten)]
    comparison: TapComparison,
    /// LogME, H-score and CKA; none where they were not asked for.
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
    let stores = Stores::of(&args.compared)?;
    let plan = Plan::of_all(stores.listing(), &args.compared)?;
    let probes = Probes::of(&stores, plan)?;
    let mut report = report(&stores, &probes)?;
    if args.rankings {
        rank(&mut report, &stores, &probes)?;
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

fn report(stores: &Stores, probes: &Probes) -> anyhow::Result<Report> {
    let Probes { plan, comparison, nested, .. } = probes;
    let data = &plan.data;
    let rows = stores.describe().taps;
    let taps: Vec<TapReport> = rows.into_iter().enumerate().map(|(tap, row)| tap_report((tap, row), probes)).collect();
    let best = comparison.verdict.leader;
    let tops = comparison.tops()?;
    let set = Some(comparison.set_sentence()).filter(|sentence| !sentence.is_empty());
    Ok(Report {
        stores: stores.stores.iter().map(|store| store.dir().display().to_string()).collect(),
        models: stores.names(),
        views: stores.views(),
        pictures: data.rows.len(),
        left_out: data.left_out.clone(),
        classes: data.classes(),
        split: SplitSizes::of(data),
        shuffles: plan.shuffles,
        groups: data.groups.as_ref().map(Groups::sizes),
        interval: Interval::of(plan),
        protocol: plan.config.clone(),
        best,
        top: comparison.top(taps[best].backbone),
        sentences: set.into_iter().chain(comparison.top_sentences(&tops)).collect(),
        tops,
        rankings: None,
        comparison: comparison.summary(),
        chosen_on_inner_folds: Accuracy::of_predicted(&probes.evaluations[0], &nested.predicted, plan),
        chosen_taps: nested.chosen.iter().map(|&tap| taps[tap].label.clone()).collect(),
        taps,
        heading: heading(stores, plan),
    })
}

/// What was probed, and how.
pub fn heading(stores: &Stores, plan: &Plan) -> String {
    let data = &plan.data;
    let classes = data.scored_classes();
    let shown: Vec<String> =
        classes.iter().take(6).map(|c| format!("{} {}", count(c.pictures), short(&c.name))).collect();
    let more = if classes.len() > 6 { format!(" and {} classes more", classes.len() - 6) } else { String::new() };
    let pictures = match SplitSizes::of(data) {
        Some(split) => format!("{} training pictures, scored on {}", count(split.train), count(split.test)),
        None => format!("{} pictures", count(data.rows.len())),
    };
    format!(
        "{}: linear probes on {}{pictures} ({}{more}), {} folds{}{}, seed {}",
        stores.names().join(" and "),
        stores.views().map(views::mean_of).unwrap_or_default(),
        shown.join(", "),
        plan.config.folds,
        data.groups.as_ref().map(|groups| groups.sizes().text()).unwrap_or_default(),
        shuffles::heading(plan.shuffles, &plan.config),
        plan.config.seed,
    )
}

fn tap_report((tap, row): (usize, TapRow), probes: &Probes) -> TapReport {
    let evaluation = &probes.evaluations[tap];
    let compared = &probes.comparison.taps[tap];
    TapReport {
        backbone: compared.backbone,
        name: row.name,
        label: compared.name.clone(),
        pooling: row.pooling,
        features: row.features,
        cost_share: row.cost_share,
        is_top: row.top,
        classifier: row.classifier,
        joined: row.joined,
        scores: Scores::of(evaluation, probes.controls[tap].clone(), &probes.plan),
        comparison: probes.comparison.of_tap(tap),
        ranking: None,
        strengths: evaluation.folds.iter().map(|fold| fold.choice.c).collect(),
        at_edge: evaluation.folds.iter().filter(|fold| fold.choice.at_edge).count(),
        not_converged: evaluation.not_converged.clone(),
        fits: evaluation.fits,
        seconds: probes.seconds[tap],
    }
}

/// Adds the rankings that need no probe.
fn rank(report: &mut Report, stores: &Stores, probes: &Probes) -> anyhow::Result<()> {
    let rankings = rankings::of_all(stores, probes)?;
    report.rankings = Some(Agreement::of(&rankings, probes));
    report.taps.iter_mut().zip(rankings).for_each(|(tap, ranking)| tap.ranking = Some(ranking));
    Ok(())
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
            output::cell(&tap.name),
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
                [ranking.log_me, ranking.h_score, ranking.cka]
                    .map(|value| value.map_or("–".to_owned(), |v| format!("{v:.3}"))),
            );
        }
        cells.push(format!("{:.1}", tap.seconds));
        if report.models.len() > 1 {
            cells.insert(1, output::cell(&report.models[tap.backbone]));
        }
        cells
    });
    let mut headers =
        vec!["", "tap", "pooling", ">features", ">cost", ">accuracy %", "95 % interval", ">balanced %", ">strength"];
    if report.rankings.is_some() {
        headers.extend([">LogME", ">H-score", ">CKA"]);
    }
    headers.push(">seconds");
    if report.models.len() > 1 {
        headers.insert(1, "network");
    }
    let mut text = format!("{}\n\n{}\n", report.heading, output::table(&headers, rows));
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
        best.label,
        percent(best.scores.accuracy.accuracy),
        count(best.scores.accuracy.total),
        if report.shuffles.is_some() { "scores" } else { "pictures" },
        report.interval.name(),
        best.scores.accuracy.interval_text()
    );
    text += &best.scores.shuffles.as_ref().map_or(String::new(), ShuffleScores::sentence);
    if best.is_top {
        // Only a card says where the network's own classifier begins; without one the deepest tap may belong to it.
        let known = report.taps.iter().any(|tap| tap.backbone == best.backbone && tap.classifier);
        text += if known { "It is the top layer.\n" } else { "It is the deepest layer probed.\n" };
    }
    report.sentences.iter().for_each(|sentence| text += &format!("{sentence}\n"));
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

fn warnings(report: &Report) -> String {
    let mut text = String::new();
    if report.taps.iter().any(|tap| tap.at_edge > 0) {
        text += "* the strength lies at the edge of the grid in some fold; a wider one (--strengths) may do better.\n";
    }
    for tap in &report.taps {
        let of = format!(" on {}", tap.label);
        text += &unconverged(&tap.not_converged, (tap.fits, &of), tap.strengths.iter().copied());
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
        "network",
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
        "average_precision",
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
        "cka",
    ])?;
    for tap in &report.taps {
        writer.write_record([
            report.models[tap.backbone].clone(),
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
            tap.scores.average_precision.map(|area| area.to_string()).unwrap_or_default(),
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
            figure(tap.ranking.and_then(|ranking| ranking.cka)),
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

//! Closer looks at a few taps: confusion, calibration, the pictures that say most.

use std::collections::BTreeSet;

use tapline_probe::{CALIBRATION_BINS, Evaluation, calibration_bin, roc};
use tapline_report::{Bin, Confused, Confusion, Layer, OperatingPoint, Picture, Report, Roc};

use super::probed::plain;
use super::thumbnails::Wanted;
use crate::accuracy::Accuracy;
use crate::operating::Operated;
use crate::plan::Plan;
use crate::probes::Probes;
use crate::stores::Stores;

/// Taps looked at, at most.
const TAPS: usize = 6;
/// Classes whose confusion matrix can still be read.
const MATRIX: usize = 20;
/// Pairs of classes and pictures of each kind that are shown.
const PAIRS: usize = 20;
const PICTURES: usize = 12;
/// Shares of a class to be found that are looked at, where there are pictures enough.
const RECALLS: &[f64] = &[0.8, 0.9, 0.95, 0.99];

/// Taps worth a closer look: the best, those that were joined, the top of its network, best and top of the others, the shallowest
/// of its network.
pub fn shown(report: &Report) -> Vec<usize> {
    let best = report.best.unwrap_or_else(|| report.taps.iter().rposition(|tap| tap.top).unwrap_or(0));
    let mut shown = vec![best];
    shown.extend((0..report.taps.len()).filter(|&tap| report.taps[tap].joined));
    let home = report.taps[best].backbone;
    let others = (0..report.backbones.len()).filter(|&backbone| backbone != home);
    for backbone in std::iter::once(home).chain(others) {
        let of: Vec<usize> = (0..report.taps.len()).filter(|&tap| report.taps[tap].backbone == backbone).collect();
        let right = |tap: usize| report.taps[tap].scores.as_ref().map_or(0, |scores| scores.correct);
        shown.extend(
            of.iter().copied().reduce(|a, b| if right(b) > right(a) { b } else { a }).filter(|_| report.best.is_some()),
        );
        let tops = of.iter().copied().filter(|&tap| report.taps[tap].top);
        shown.extend(tops.reduce(|a, b| if right(b) > right(a) { b } else { a }));
    }
    let first = (0..report.taps.len()).find(|&tap| report.taps[tap].backbone == home);
    let middle = report.taps.iter().enumerate().filter(|(_, tap)| tap.backbone == home && !tap.classifier);
    let middle = middle.min_by(|a, b| (a.1.cost_share - 0.5).abs().total_cmp(&(b.1.cost_share - 0.5).abs()));
    shown.extend(first);
    shown.extend(middle.map(|(tap, _)| tap));
    let mut seen = Vec::new();
    shown.retain(|tap| {
        !seen.contains(tap) && {
            seen.push(*tap);
            true
        }
    });
    shown.truncate(TAPS);
    shown
}

/// The closer looks; pictures they show are noted in `wanted`.
pub fn layers(report: &Report, shown: &[usize], scored: &Probes, stores: &Stores, wanted: &mut Wanted) -> Vec<Layer> {
    shown
        .iter()
        .map(|&tap| {
            let evaluation = &scored.evaluations[tap];
            Layer {
                tap,
                confusion: confusion(evaluation, report.classes.len()),
                calibration: calibration(evaluation, scored),
                roc: trade_off(evaluation, &scored.plan),
                mistakes: pictures(evaluation, scored, stores, (false, wanted)),
                hits: pictures(evaluation, scored, stores, (true, wanted)),
                no_evidence: None,
            }
        })
        .collect()
}

fn confusion(evaluation: &Evaluation, classes: usize) -> Confusion {
    let counts = evaluation.confusion();
    let of: Vec<usize> = counts.outer_iter().map(|row| row.sum()).collect();
    let wrong = counts.indexed_iter().filter(|((truth, predicted), n)| truth != predicted && **n > 0);
    let mut pairs: Vec<Confused> =
        wrong.map(|((truth, predicted), &pictures)| Confused { truth, predicted, pictures, of: of[truth] }).collect();
    pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.pictures), pair.truth, pair.predicted));
    pairs.truncate(PAIRS);
    let counts = if classes <= MATRIX { counts.outer_iter().map(|row| row.to_vec()).collect() } else { Vec::new() };
    Confusion { counts, pairs }
}

/// The predicted classes' probabilities by bin, with the share of them that is right.
fn calibration(evaluation: &Evaluation, scored: &Probes) -> Vec<Bin> {
    let mut inside = vec![Vec::new(); CALIBRATION_BINS];
    for (i, &probability) in evaluation.predicted_probability.iter().enumerate() {
        inside[calibration_bin(probability)].push(i);
    }
    let bin = |inside: Vec<usize>| {
        if inside.is_empty() {
            return Bin::default();
        }
        let sum: f64 = inside.iter().map(|&i| evaluation.predicted_probability[i]).sum();
        let Accuracy { correct, total, interval, .. } = Accuracy::of_some(evaluation, &inside, &scored.plan);
        Bin { correct, total, interval, probability: sum / total as f64 }
    };
    inside.into_iter().map(bin).collect()
}

/// Of two classes, what it costs to find more of the rarer one, of equals the second.
fn trade_off(evaluation: &Evaluation, plan: &Plan) -> Option<Roc> {
    let sizes = plan.data.sizes();
    let class = if sizes.first() < sizes.get(1) { 0 } else { 1 };
    let curve = roc(evaluation, class).ok()?;
    // By a split or shuffles, thresholds would be chosen by the pictures that they call.
    let recalls = if plan.data.split.is_none() && plan.shuffles.is_none() { RECALLS } else { &[] };
    let points = recalls.iter().filter_map(|&recall| {
        let Operated { point, recall, specificity, precision, .. } =
            Operated::across((evaluation, plan), (class, recall)).ok()?;
        Some(OperatingPoint {
            wanted_recall: point.wanted_recall,
            threshold: point.threshold,
            recall: plain(&recall?),
            specificity: plain(&specificity?),
            precision: precision.as_ref().map(plain),
        })
    });
    Some(Roc { class, curve, points: points.collect() })
}

/// Positions among the scored pictures of those in a gallery: right ones, the least sure first, or wrong ones, the surest first.
pub fn chosen(e: &Evaluation, right: bool) -> Vec<usize> {
    let mut found: Vec<usize> = (0..e.labels.len()).filter(|&i| (e.predicted[i] == e.labels[i]) == right).collect();
    let sure = |i: usize| e.predicted_probability[i];
    found.sort_by(|&a, &b| if right { sure(a).total_cmp(&sure(b)) } else { sure(b).total_cmp(&sure(a)) });
    // Shuffles score a picture several times.
    let mut seen = BTreeSet::new();
    found.retain(|&i| seen.len() < PICTURES && seen.insert(e.scored_rows[i]));
    found
}

fn pictures(e: &Evaluation, scored: &Probes, stores: &Stores, (right, wanted): (bool, &mut Wanted)) -> Vec<Picture> {
    chosen(e, right)
        .into_iter()
        .map(|i| {
            let row = scored.plan.data.rows[e.scored_rows[i]];
            Picture {
                path: stores.listing().path[row].to_owned(),
                label: e.labels[i],
                predicted: e.predicted[i],
                probability: e.predicted_probability[i],
                thumbnail: Some(wanted.large(row)),
                evidence: None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tapline_report::{Backbone, Scores, TapRow};

    use super::*;

    #[test]
    fn the_best_tap_comes_first_then_the_tops_and_none_twice() {
        let tap = |backbone, cost_share, top, correct| TapRow {
            backbone,
            cost_share,
            top,
            scores: Some(Scores { correct, ..Scores::default() }),
            ..TapRow::default()
        };
        let report = Report {
            backbones: vec![Backbone::default(); 2],
            taps: vec![
                tap(0, 0.1, false, 5),
                tap(0, 1.0, true, 9),
                tap(1, 0.1, false, 6),
                tap(1, 0.5, false, 12),
                tap(1, 0.9, false, 7),
                tap(1, 1.0, true, 8),
            ],
            best: Some(3),
            ..Report::default()
        };
        assert_eq!(shown(&report), [3, 5, 1, 2]);
    }
}

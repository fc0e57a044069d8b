//! Every statistic against NumPy, SciPy and scikit-learn; `goldens/make.py` wrote the numbers, each by another road.

use ndarray::{Array2, ArrayView2};
use serde::Deserialize;
use tapline_compare::{
    Channels, FoldPair, Outcomes, Resampling, behind_best_p, best_set_p, confidence, corrected_t_test, energy,
    fit_power_law, h_score, holm, kendall, linear_cka, log_me, log_me_regression, paired_bootstrap, spearman,
    statistics_shift,
};

/// Absolute difference allowed where both sides are closed forms.
const EXACT: f64 = 1e-9;
/// The same for p of random draws: four standard errors of a share of 20,000 of them.
const DRAWN: f64 = 0.015;
/// The same for ends of bootstrap intervals, in accuracy: a fifth of a picture's standard error in the tables used.
const INTERVAL: f64 = 0.004;
/// The same for a maximum found by search, in nats for each row.
const EVIDENCE: f64 = 1e-7;
/// Relative difference allowed between sums of squares of fitted curves, and the absolute one of their predictions.
const LOSS: f64 = 1e-6;
const PREDICTION: f64 = 1e-4;
/// Absolute difference allowed to a numerical integral.
const INTEGRAL: f64 = 1e-7;

#[derive(Deserialize)]
struct Goldens {
    t_tests: Vec<GoldenT>,
    bootstraps: Vec<Bootstrap>,
    confidence_sets: Vec<ConfidenceSet>,
    holms: Vec<GoldenHolm>,
    transfers: Vec<Transfer>,
    similarities: Similarities,
    curves: Vec<Curve>,
    shifts: GoldenShift,
}

#[derive(Deserialize)]
struct GoldenT {
    train: Vec<usize>,
    test: Vec<usize>,
    first: Vec<usize>,
    second: Vec<usize>,
    t: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Bootstrap {
    first: Vec<bool>,
    second: Vec<bool>,
    groups: Option<Vec<usize>>,
    low: f64,
    high: f64,
    p: f64,
}

#[derive(Deserialize)]
struct ConfidenceSet {
    right: Vec<Vec<bool>>,
    fold_of: Vec<usize>,
    p: Vec<f64>,
    behind: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenHolm {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct Transfer {
    name: String,
    rows: Vec<Vec<f32>>,
    labels: Vec<usize>,
    targets: Vec<Vec<f64>>,
    log_me: f64,
    log_me_regression: f64,
    h_score: f64,
}

#[derive(Deserialize)]
struct Similarities {
    cka: Vec<Cka>,
    ranks: Vec<Ranks>,
}

#[derive(Deserialize)]
struct Cka {
    rows: usize,
    widths: Vec<usize>,
    layers: Vec<Vec<f32>>,
    cka: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Ranks {
    first: Vec<f64>,
    second: Vec<f64>,
    spearman: f64,
    kendall: f64,
}

#[derive(Deserialize)]
struct Curve {
    sizes: Vec<usize>,
    errors: Vec<Vec<f64>>,
    loss: f64,
    doubled: f64,
}

#[derive(Deserialize)]
struct GoldenShift {
    epsilon: f64,
    found_mean: Vec<f64>,
    found_variance: Vec<f64>,
    stored_mean: Vec<f64>,
    stored_variance: Vec<f64>,
    divergence: f64,
    mean_shift: f64,
    logits: Vec<Vec<f32>>,
    temperature: f64,
    energy: Vec<f64>,
    confidence: Vec<f64>,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/goldens.json")).expect("goldens")
}

fn table<T: Copy>(rows: &[Vec<T>]) -> Array2<T> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).expect("rows of one length")
}

fn draws() -> Resampling {
    Resampling { resamples: 20_000, seed: 11, level: 0.05 }
}

fn near(what: &str, found: f64, expected: f64, allowed: f64) {
    assert!((found - expected).abs() <= allowed, "{what}: {found}, reference {expected}");
}

#[test]
fn t_tests_are_scipys() {
    for case in goldens().t_tests {
        let fold = |i: usize| FoldPair {
            train: case.train[i],
            test: case.test[i],
            first: case.first[i],
            second: case.second[i],
        };
        let found = corrected_t_test(&(0..case.test.len()).map(fold).collect::<Vec<_>>()).unwrap();
        near("t", found.t, case.t, EXACT);
        near("p", found.p, case.p, EXACT);
    }
}

#[test]
fn bootstraps_are_numpys() {
    for case in goldens().bootstraps {
        let found = paired_bootstrap(&draws(), &case.first, &case.second, case.groups.as_deref()).unwrap();
        near("low", found.low, case.low, INTERVAL);
        near("high", found.high, case.high, INTERVAL);
        near("p", found.p, case.p, DRAWN);
    }
}

#[test]
fn confidence_sets_are_those_of_all_signs() {
    for case in goldens().confidence_sets {
        let right = table(&case.right);
        let outcomes = Outcomes::of(right.view(), &case.fold_of);
        for (tap, found) in best_set_p(&draws(), &outcomes).unwrap().into_iter().enumerate() {
            near(&format!("tap {tap}"), found, case.p[tap], DRAWN);
            near(
                &format!("tap {tap} behind"),
                behind_best_p(&draws(), &outcomes, tap).unwrap(),
                case.behind[tap],
                DRAWN,
            );
        }
    }
}

#[test]
fn holms_adjustment_goes_rank_by_rank() {
    for case in goldens().holms {
        for (found, expected) in holm(&case.p).unwrap().into_iter().zip(case.adjusted) {
            near("adjusted p", found, expected, EXACT);
        }
    }
}

#[test]
fn rankings_are_those_of_the_dense_formulas() {
    for case in goldens().transfers {
        let rows = table(&case.rows);
        let found = log_me_regression(rows.view(), table(&case.targets).view()).unwrap();
        near(&format!("LogME of numbers, {}", case.name), found, case.log_me_regression, EVIDENCE);
        near(&format!("LogME, {}", case.name), log_me(rows.view(), &case.labels).unwrap(), case.log_me, EVIDENCE);
        near(&format!("H-score, {}", case.name), h_score(rows.view(), &case.labels).unwrap(), case.h_score, EXACT);
    }
}

#[test]
fn alignments_and_rank_correlations_are_those_of_numpy_and_scipy() {
    let goldens = goldens().similarities;
    for case in &goldens.cka {
        let view = |i: usize| ArrayView2::from_shape((case.rows, case.widths[i]), &case.layers[i]).expect("whole rows");
        let layers: Vec<ArrayView2<'_, f32>> = (0..case.widths.len()).map(view).collect();
        for ((i, j), &found) in linear_cka(&layers).unwrap().indexed_iter() {
            near("CKA", found, case.cka[i][j], EXACT);
        }
    }
    for case in &goldens.ranks {
        near("Spearman", spearman(&case.first, &case.second).unwrap(), case.spearman, EXACT);
        near("Kendall", kendall(&case.first, &case.second).unwrap(), case.kendall, EXACT);
    }
}

#[test]
fn learning_curves_are_scipys() {
    for case in goldens().curves {
        let found = fit_power_law(&draws(), &case.sizes, table(&case.errors).view()).unwrap();
        let square =
            |(size, error): (&usize, &f64)| (error - found.law.error(*size as f64)).powi(2) / (error * (1.0 - error));
        let loss: f64 = found.sizes.iter().zip(&found.errors).map(square).sum();
        near("weighted sum of squares", loss / case.loss, 1.0, LOSS);
        near("error at twice the size", found.doubled.value, case.doubled, PREDICTION);
    }
}

#[test]
fn shifts_and_confidences_are_those_of_scipy() {
    let case = goldens().shifts;
    let found = Channels { mean: &case.found_mean, variance: &case.found_variance };
    let stored = Channels { mean: &case.stored_mean, variance: &case.stored_variance };
    let shift = statistics_shift(found, stored, case.epsilon).unwrap();
    near("divergence", shift.divergence, case.divergence, INTEGRAL);
    near("mean shift", shift.mean_shift, case.mean_shift, EXACT);
    let logits = table(&case.logits);
    for (found, expected) in energy(logits.view(), case.temperature).unwrap().into_iter().zip(case.energy) {
        near("energy", found, expected, EXACT);
    }
    for (found, expected) in confidence(logits.view()).unwrap().into_iter().zip(case.confidence) {
        near("confidence", found, expected, EXACT);
    }
}

//! Probes and standardisation against scikit-learn; `goldens/make.py` wrote the numbers.

use ndarray::ArrayView2;
use serde::Deserialize;
use tapline_probe::{FitConfig, Labelled, Probe, fit, standardisation};

/// Relative difference allowed between our objective and scikit-learn's.
const OBJECTIVE: f64 = 1e-6;
/// Relative difference allowed between our norm of the weights and scikit-learn's.
const WEIGHT_NORM: f64 = 1e-3;
/// Relative difference allowed in means and scales.
const MOMENT: f64 = 1e-12;
/// Rows whose two best scores are nearer than this may be predicted either way.
const NEAR_TIE: f64 = 5e-3;

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    classes: usize,
    columns: usize,
    rows: Vec<f64>,
    labels: Vec<usize>,
    mean: Vec<f64>,
    scale: Vec<f64>,
    fits: Vec<GoldenFit>,
}

#[derive(Deserialize)]
struct GoldenFit {
    c: f64,
    objective: f64,
    predicted: Vec<usize>,
    margin: Vec<f64>,
    weight_norm: f64,
}

impl Case {
    fn data(&self) -> Labelled<'_, f64> {
        let shape = (self.labels.len(), self.columns);
        let rows = ArrayView2::from_shape(shape, &self.rows).expect("rows × columns values");
        Labelled { rows, labels: &self.labels, classes: self.classes, groups: None }
    }
}

#[test]
fn mean_and_scale_are_scikit_learns() {
    for case in goldens().cases {
        let all: Vec<usize> = (0..case.labels.len()).collect();
        let found = standardisation(case.data().rows, &all);
        for (found, expected) in found.mean.iter().chain(&found.scale).zip(case.mean.iter().chain(&case.scale)) {
            assert!(near(*found, *expected, MOMENT), "{}: {found} {expected}", case.name);
        }
    }
}

#[test]
fn objective_and_predictions_are_scikit_learns() {
    for case in goldens().cases {
        for golden in &case.fits {
            check_fit(&case, golden, None);
        }
    }
}

#[test]
fn a_warm_start_leads_to_the_same_probe() {
    for case in goldens().cases {
        case.fits.iter().fold(None, |start: Option<Probe>, golden| Some(check_fit(&case, golden, start.as_ref())));
    }
}

#[test]
fn single_precision_features_give_the_same_fit() {
    for case in goldens().cases {
        let data = case.data();
        let narrow = data.rows.mapv(|value| value as f32);
        let narrow = Labelled { rows: narrow.view(), labels: data.labels, classes: data.classes, groups: None };
        assert_eq!(fit(&FitConfig::default(), &narrow, None), fit(&FitConfig::default(), &data, None));
    }
}

fn check_fit(case: &Case, golden: &GoldenFit, start: Option<&Probe>) -> Probe {
    let name = format!("{}, C = {}", case.name, golden.c);
    let found = fit(&FitConfig { c: golden.c, ..FitConfig::default() }, &case.data(), start).unwrap();
    assert!(found.converged, "{name}: {found:?}");
    assert!(near(found.objective, golden.objective, OBJECTIVE), "{name}: {} {}", found.objective, golden.objective);
    assert!(found.objective - golden.objective <= found.excess + 1e-9 * golden.objective, "{name}: the proof is wrong");
    let norm = found.probe.weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
    assert!(near(norm, golden.weight_norm, WEIGHT_NORM), "{name}: {norm} {}", golden.weight_norm);
    let predicted = found.probe.predict(case.data().rows).unwrap();
    for (row, (found, expected)) in predicted.iter().zip(&golden.predicted).enumerate() {
        assert!(found == expected || golden.margin[row] < NEAR_TIE, "{name}: row {row}");
    }
    found.probe
}

fn near(found: f64, expected: f64, relative: f64) -> bool {
    (found - expected).abs() <= relative * expected.abs().max(1e-3)
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/goldens.json")).expect("goldens.json")
}

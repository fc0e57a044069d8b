//! Principal components and balanced classes against scikit-learn's pipelines; `goldens/make_designs.py` wrote the numbers.

mod common;

use common::Task;
use ndarray::{Array2, ArrayView2};
use serde::Deserialize;
use tapline_probe::{Error, Labelled, ProtocolConfig, Solver, Splits, Transform, baselines, evaluate, fit_final};

/// Absolute difference of probabilities allowed.
const TOLERANCE: f64 = 2e-5;

#[derive(Deserialize)]
struct Goldens {
    c: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    columns: usize,
    classes: usize,
    components: Option<usize>,
    balanced: bool,
    features: Vec<f32>,
    labels: Vec<usize>,
    probabilities: Vec<f64>,
}

#[test]
fn probabilities_are_those_of_scikit_learns_pipelines() {
    let goldens: Goldens = serde_json::from_str(include_str!("goldens/designs.json")).expect("designs.json");
    for case in goldens.cases {
        let count = case.labels.len();
        let rows = ArrayView2::from_shape((count, case.columns), &case.features).expect("rows × columns numbers");
        let data = Labelled { rows, labels: &case.labels, classes: case.classes, groups: None };
        let config = ProtocolConfig {
            folds: 3,
            grid: vec![goldens.c],
            tolerance: 1e-10,
            transform: case.components.map_or(Transform::Standardise, Transform::Pca),
            balanced: case.balanced,
            ..ProtocolConfig::default()
        };
        let fit = fit_final(&config, &data, &|| {}).unwrap().fit;
        assert!(fit.converged);
        let found = fit.probe.probabilities(rows).unwrap();
        let expected = Array2::from_shape_vec((count, case.classes), case.probabilities).expect("rows × classes");
        let worst = (&found - &expected).iter().fold(0.0f64, |worst, gap| worst.max(gap.abs()));
        assert!(worst < TOLERANCE, "{} classes, {:?} components: off by {worst}", case.classes, case.components);
    }
}

#[test]
fn as_many_components_as_columns_are_the_standardised_columns() {
    let task = Task::new(120, 6, 3);
    let usual = ProtocolConfig { folds: 4, grid: vec![0.1, 1.0], tolerance: 1e-9, ..ProtocolConfig::default() };
    let config = ProtocolConfig { transform: Transform::Pca(20), ..usual.clone() };
    let (found, expected) =
        (evaluate(&config, &task.data(), &|| {}).unwrap(), evaluate(&usual, &task.data(), &|| {}).unwrap());
    assert_eq!(found.predicted, expected.predicted);
    assert!((found.log_loss - expected.log_loss).abs() < 1e-4, "{} {}", found.log_loss, expected.log_loss);
}

#[test]
fn components_are_learned_on_training_rows_alone() {
    let task = Task::new(90, 6, 3);
    let config =
        ProtocolConfig { folds: 3, grid: vec![0.1], transform: Transform::Pca(2), ..ProtocolConfig::default() };
    let before = evaluate(&config, &task.data(), &|| {}).unwrap();
    // A row that would turn every axis towards it changes nothing for the other rows of its test fold.
    let (row, mut changed) = (17, task.rows.clone());
    changed[[row, 3]] = 1e4;
    let after = evaluate(&config, &Labelled { rows: changed.view(), ..task.data() }, &|| {}).unwrap();
    for other in (0..90).filter(|&other| other != row && before.fold_of[other] == before.fold_of[row]) {
        assert!((before.true_probability[other] - after.true_probability[other]).abs() < 1e-4);
    }
    assert_ne!(before.log_loss, after.log_loss);
}

#[test]
fn what_linfa_does_not_do_is_refused() {
    let task = Task::new(60, 3, 2);
    let linfa = ProtocolConfig { solver: Solver::LinfaLogistic, grid: vec![1.0], ..ProtocolConfig::default() };
    let balanced = ProtocolConfig { balanced: true, ..linfa.clone() };
    let found = evaluate(&balanced, &task.data(), &|| {}).unwrap_err();
    assert_eq!(found, Error::SolverCannot { what: "classes that weigh alike" });
    let reduced = ProtocolConfig { transform: Transform::Pca(2), ..linfa };
    let found = evaluate(&reduced, &task.data(), &|| {}).unwrap_err();
    assert_eq!(found, Error::SolverCannot { what: "principal components" });
    let none = ProtocolConfig { transform: Transform::Pca(0), ..ProtocolConfig::default() };
    assert_eq!(evaluate(&none, &task.data(), &|| {}).unwrap_err(), Error::NoComponent);
    assert_eq!(baselines(&none, Splits::Folds, &task.data()).unwrap_err(), Error::NoComponent);
}

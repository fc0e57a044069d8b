//! A transform does what it says, with either solver, and goes with the probe.

mod common;

use common::Task;
use ndarray::{Array2, Axis};
use tapline_probe::{
    Labelled, ProtocolConfig, Role, Shuffles, Solver, Transform, evaluate, fit_final, holdout, repeated_holdout,
};

fn config(transform: Transform) -> ProtocolConfig {
    let grid = vec![0.01, 0.1, 1.0];
    ProtocolConfig { folds: 4, seed: 3, grid, tolerance: 1e-8, transform, ..ProtocolConfig::default() }
}

/// Columns of very different scales, rows of very different lengths.
fn task() -> Task {
    let mut task = Task::new(120, 6, 3);
    task.rows
        .axis_iter_mut(Axis(1))
        .enumerate()
        .for_each(|(column, mut values)| values *= 10f32.powi(column as i32 - 3));
    task.rows.outer_iter_mut().enumerate().for_each(|(row, mut values)| values *= 1.0 + (row % 7) as f32);
    task
}

/// The same as the usual transform of rows that were changed by hand, in every protocol.
fn check_as_by_hand(transform: Transform, by_hand: impl Fn(&Array2<f32>) -> Array2<f32>) {
    let (task, usual) = (task(), config(Transform::Standardise));
    let changed = by_hand(&task.rows);
    let (data, other) = (task.data(), Labelled { rows: changed.view(), ..task.data() });
    let split: Vec<Role> = (0..120).map(|row| if row % 3 == 0 { Role::Test } else { Role::Train }).collect();
    let shuffles = Shuffles { count: 2, test_share: 0.25 };
    let config = config(transform);
    let pairs = [
        (evaluate(&config, &data, &|| {}), evaluate(&usual, &other, &|| {})),
        (holdout(&config, &data, &split, &|| {}), holdout(&usual, &other, &split, &|| {})),
        (repeated_holdout(&config, &shuffles, &data, &|| {}), repeated_holdout(&usual, &shuffles, &other, &|| {})),
    ];
    for (found, expected) in pairs {
        let (found, expected) = (found.unwrap(), expected.unwrap());
        assert_eq!(found.predicted, expected.predicted);
        assert!((found.log_loss - expected.log_loss).abs() < 1e-5);
    }
    // The probe to keep takes features as they are.
    let probe = fit_final(&config, &data, &|| {}).unwrap().fit.probe;
    let expected = fit_final(&usual, &other, &|| {}).unwrap().fit.probe;
    assert_eq!((probe.transform, expected.transform), (transform, Transform::Standardise));
    assert_eq!(probe.predict(data.rows), expected.predict(other.rows));
}

#[test]
fn rows_are_brought_to_length_1() {
    check_as_by_hand(Transform::L2, |rows| {
        let mut rows = rows.clone();
        rows.outer_iter_mut().for_each(|mut row| row /= row.dot(&row).sqrt());
        rows
    });
}

#[test]
fn features_become_signed_square_roots() {
    check_as_by_hand(Transform::Sqrt, |rows| {
        rows.mapv(|value| if value < 0.0 { -(-value).sqrt() } else { value.sqrt() })
    });
}

#[test]
fn without_a_transform_weights_are_penalised_in_the_features_own_unit() {
    let task = task();
    let found = evaluate(&config(Transform::None), &task.data(), &|| {}).unwrap();
    let usual = evaluate(&config(Transform::Standardise), &task.data(), &|| {}).unwrap();
    assert!(found.not_converged.is_empty() && (found.log_loss - usual.log_loss).abs() > 0.01, "{}", found.log_loss);
    let linfa = ProtocolConfig { solver: Solver::LinfaLogistic, ..config(Transform::None) };
    let other = evaluate(&linfa, &task.data(), &|| {}).unwrap();
    assert!(other.not_converged.is_empty(), "{:?}", other.not_converged);
    assert_eq!(other.predicted, found.predicted);
    assert!((other.log_loss - found.log_loss).abs() < 1e-4, "{} {}", other.log_loss, found.log_loss);
    let probe = fit_final(&config(Transform::None), &task.data(), &|| {}).unwrap().fit.probe;
    assert!(probe.standardisation.scale.iter().all(|&scale| scale == 1.0));
}

#[test]
fn older_configurations_and_probes_standardise() {
    let text = serde_json::to_string(&config(Transform::Standardise)).unwrap();
    let older = text.replace(r#""transform":"standardise","#, "");
    assert_ne!(older, text);
    assert_eq!(serde_json::from_str::<ProtocolConfig>(&older).unwrap(), config(Transform::Standardise));
}

//! Nearest class mean and nearest neighbours against scikit-learn; `goldens/make_baselines.py` wrote the predictions.

mod common;

use std::collections::BTreeMap;

use common::Task;
use ndarray::ArrayView2;
use serde::Deserialize;
use tapline_probe::{
    Baseline, Error, Labelled, Metric, ProtocolConfig, Role, Rule, Shuffles, Splits, Transform, baselines, evaluate,
    repeated_holdout,
};

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    columns: usize,
    classes: usize,
    rows: Vec<f32>,
    labels: Vec<usize>,
    test: Vec<bool>,
    predicted: BTreeMap<String, Vec<i64>>,
}

fn name(baseline: &Baseline) -> String {
    let metric = if baseline.metric == Metric::Cosine { "cosine" } else { "euclidean" };
    match baseline.rule {
        Rule::NearestClassMean => format!("mean {metric}"),
        Rule::NearestNeighbours(count) => format!("{count} {metric}"),
    }
}

#[test]
fn predictions_are_scikit_learns() {
    let goldens: Goldens = serde_json::from_str(include_str!("goldens/baselines.json")).expect("baselines.json");
    for case in goldens.cases {
        let rows = ArrayView2::from_shape((case.labels.len(), case.columns), &case.rows).expect("whole rows");
        let data = Labelled { rows, labels: &case.labels, classes: case.classes, groups: None };
        let split: Vec<Role> = case.test.iter().map(|&test| if test { Role::Test } else { Role::Train }).collect();
        let found = baselines(&ProtocolConfig::default(), Splits::Fixed(&split), &data).unwrap();
        assert_eq!(found.len(), case.predicted.len());
        for baseline in found {
            let expected = &case.predicted[&name(&baseline)];
            assert_eq!(baseline.predicted.len(), expected.len());
            let known = || baseline.predicted.iter().zip(expected).filter(|(_, expected)| **expected >= 0);
            let same = known().filter(|&(&found, &expected)| found as i64 == expected).count();
            assert_eq!(same, known().count(), "{} of {} columns", name(&baseline), case.columns);
        }
    }
}

#[test]
fn rows_are_scored_in_the_order_of_the_evaluation() {
    let task = Task::new(150, 6, 3);
    let config = ProtocolConfig { folds: 4, seed: 3, grid: vec![0.1, 1.0], ..ProtocolConfig::default() };
    let shuffles = Shuffles { count: 3, test_share: 0.25 };
    let found = baselines(&config, Splits::Shuffles(&shuffles), &task.data()).unwrap();
    let evaluation = repeated_holdout(&config, &shuffles, &task.data(), &|| {}).unwrap();
    // Each shuffle alone, as a fixed split, gives what stands at its places.
    for shuffle in 0..3 {
        let places: Vec<usize> = (0..evaluation.fold_of.len()).filter(|&i| evaluation.fold_of[i] == shuffle).collect();
        let mut split = vec![Role::Train; 150];
        places.iter().for_each(|&i| split[evaluation.scored_rows[i]] = Role::Test);
        let alone = baselines(&config, Splits::Fixed(&split), &task.data()).unwrap();
        for (alone, found) in alone.iter().zip(&found) {
            assert_eq!(alone.predicted, places.iter().map(|&i| found.predicted[i]).collect::<Vec<_>>());
        }
    }
    let folds = evaluate(&config, &task.data(), &|| {}).unwrap();
    let found = baselines(&config, Splits::Folds, &task.data()).unwrap();
    let split: Vec<Role> = folds.fold_of.iter().map(|&fold| if fold == 2 { Role::Test } else { Role::Train }).collect();
    let alone = baselines(&config, Splits::Fixed(&split), &task.data()).unwrap();
    let inside: Vec<usize> = (0..150).filter(|&row| folds.fold_of[row] == 2).collect();
    assert_eq!(alone[0].predicted, inside.iter().map(|&row| found[0].predicted[row]).collect::<Vec<_>>());
}

#[test]
fn the_transform_counts_and_bad_splits_are_refused() {
    let task = Task::new(90, 6, 3);
    let mut rows = task.rows.clone();
    rows.column_mut(5).mapv_inplace(|value| value * 1000.0);
    let data = Labelled { rows: rows.view(), ..task.data() };
    let right = |transform| {
        let config = ProtocolConfig { transform, ..ProtocolConfig::default() };
        let found = baselines(&config, Splits::Folds, &data).unwrap();
        found[0].predicted.iter().zip(&task.labels).filter(|(a, b)| a == b).count()
    };
    assert!(right(Transform::Standardise) > right(Transform::None) + 10);
    let config = ProtocolConfig::default();
    assert_eq!(baselines(&config, Splits::Fixed(&[Role::Train; 90]), &data).unwrap_err(), Error::NoTestRow);
    let split: Vec<Role> = task.labels.iter().map(|&label| if label == 1 { Role::Test } else { Role::Train }).collect();
    assert_eq!(baselines(&config, Splits::Fixed(&split), &data).unwrap_err(), Error::NoRowOfClass { class: 1 });
}

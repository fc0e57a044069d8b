//! Repeated shuffles: each is a fixed split like any other, and nothing of its test rows reaches its probe.

mod common;

use common::Task;
use ndarray::Array2;
use tapline_probe::{Error, Evaluation, Labelled, ProtocolConfig, Role, Shuffles, Solver, holdout, repeated_holdout};

const SHUFFLES: Shuffles = Shuffles { count: 3, test_share: 0.25 };

fn config() -> ProtocolConfig {
    ProtocolConfig { folds: 4, seed: 3, grid: vec![0.01, 0.1, 1.0], tolerance: 1e-8, ..ProtocolConfig::default() }
}

fn in_shuffle(found: &Evaluation, shuffle: usize) -> Vec<usize> {
    (0..found.fold_of.len()).filter(|&i| found.fold_of[i] == shuffle).collect()
}

/// Each shuffle's choice and predictions are those of [`holdout`] on the same split.
fn check_as_splits(data: &Labelled<'_, f32>) {
    let found = repeated_holdout(&config(), &SHUFFLES, data, &|| {}).unwrap();
    assert_eq!((found.folds.len(), found.fits), (3, 3 * 13));
    for shuffle in 0..3 {
        let mut split = vec![Role::Train; data.labels.len()];
        let inside = in_shuffle(&found, shuffle);
        inside.iter().for_each(|&i| split[found.scored_rows[i]] = Role::Test);
        let seed = config().seed + shuffle as u64;
        let alone = holdout(&ProtocolConfig { seed, ..config() }, data, &split, &|| {}).unwrap();
        assert_eq!(alone.predicted, inside.iter().map(|&i| found.predicted[i]).collect::<Vec<_>>());
        let scores = |evaluation: &Evaluation, fold: usize| {
            evaluation.folds[fold].choice.inner.iter().map(|validation| validation.score).collect::<Vec<_>>()
        };
        assert_eq!(scores(&alone, 0), scores(&found, shuffle));
        assert_eq!(alone.folds[0].test, found.folds[shuffle].test);
    }
}

#[test]
fn a_shuffle_is_a_fixed_split() {
    check_as_splits(&Task::new(120, 6, 3).data());
}

#[test]
fn a_shuffle_of_groups_tears_none() {
    let task = Task::new(120, 6, 2);
    let groups: Vec<usize> = (0..120).map(|row| row / 3).collect();
    let data = Labelled { groups: Some(&groups), ..task.data() };
    // holdout() refuses a group on both sides.
    check_as_splits(&data);
}

#[test]
fn test_rows_do_not_change_the_probe_that_scores_them() {
    let task = Task::new(120, 6, 2);
    let before = repeated_holdout(&config(), &SHUFFLES, &task.data(), &|| {}).unwrap();
    let mut changed = task.rows.clone();
    let spoilt = before.scored_rows[in_shuffle(&before, 0)[0]];
    changed.row_mut(spoilt).fill(-30.0);
    let after =
        repeated_holdout(&config(), &SHUFFLES, &Labelled { rows: changed.view(), ..task.data() }, &|| {}).unwrap();
    assert_eq!(before.folds[0].choice.index, after.folds[0].choice.index);
    for i in in_shuffle(&before, 0).into_iter().filter(|&i| before.scored_rows[i] != spoilt) {
        assert!((before.true_probability[i] - after.true_probability[i]).abs() < 1e-4);
    }
}

#[test]
fn both_solvers_and_a_control_work() {
    let task = Task::new(120, 6, 2);
    let found = repeated_holdout(&config(), &SHUFFLES, &task.data(), &|| {}).unwrap();
    let linfa = ProtocolConfig { solver: Solver::LinfaLogistic, ..config() };
    assert_eq!(repeated_holdout(&linfa, &SHUFFLES, &task.data(), &|| {}).unwrap().predicted, found.predicted);
    let control = ProtocolConfig { control: true, ..config() };
    let shuffled = repeated_holdout(&control, &SHUFFLES, &task.data(), &|| {}).unwrap();
    assert!(shuffled.score().accuracy() < found.score().accuracy() - 0.1, "{:?}", shuffled.score());
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let check = |shuffles: Shuffles, expected: Error| {
        let task = Task::new(30, 3, 2);
        assert_eq!(repeated_holdout(&config(), &shuffles, &task.data(), &|| {}).unwrap_err(), expected);
    };
    check(Shuffles { count: 0, ..SHUFFLES }, Error::NoShuffle);
    check(Shuffles { test_share: 1.0, ..SHUFFLES }, Error::BadTestShare { share: 1.0 });
    check(Shuffles { test_share: 0.001, ..SHUFFLES }, Error::EmptyShuffle { share: 0.001, rows: 30, shuffle: 0 });
    let labels: Vec<usize> = (0..30).map(|row| row % 2).collect();
    let rows = Array2::<f32>::from_shape_fn((30, 2), |(i, j)| (i * (j + 2) % 7) as f32);
    let data = Labelled { rows: rows.view(), labels: &labels, classes: 2, groups: None };
    let most = Shuffles { test_share: 0.9, ..SHUFFLES };
    let error = repeated_holdout(&config(), &most, &data, &|| {}).unwrap_err();
    assert_eq!(error, Error::FoldsExceedRows { folds: 4, rows: 3 });
}

#[test]
fn shuffles_that_do_not_fit_into_memory_together_are_fitted_one_after_the_other() {
    let task = Task::new(120, 6, 3);
    let of = |max_bytes| {
        let config = ProtocolConfig { max_bytes, ..config() };
        repeated_holdout(&config, &SHUFFLES, &task.data(), &|| {}).unwrap()
    };
    let (together, alone) = (of(ProtocolConfig::default().max_bytes), of(1));
    assert_eq!((&alone.predicted, &alone.scored_rows), (&together.predicted, &together.scored_rows));
    let strengths = |found: &Evaluation| found.folds.iter().map(|fold| fold.choice.c).collect::<Vec<_>>();
    assert_eq!(strengths(&alone), strengths(&together));
}

//! Groups never stand on both sides of a fold: not of the outer ones, not of the inner ones, not of a split.

mod common;

use common::{Task, random};
use ndarray::Array2;
use tapline_probe::{Error, Labelled, ProtocolConfig, Role, Solver, evaluate, fit_final, grouped_folds, holdout};

fn config() -> ProtocolConfig {
    ProtocolConfig { folds: 4, seed: 3, grid: vec![0.1, 1.0], ..ProtocolConfig::default() }
}

/// Thirty groups of five rows; the features name the group, the labels are thrown by group: nothing to be learnt of another.
fn groups_that_can_be_memorised() -> (Array2<f32>, Vec<usize>, Vec<usize>) {
    let mut next = random(8);
    let kind: Vec<usize> = (0..30).map(|_| usize::from(next() < 0.5)).collect();
    let groups: Vec<usize> = (0..150).map(|row| row * 7 % 30).collect();
    let rows = Array2::from_shape_fn((150, 30), |(row, column)| f32::from(u8::from(groups[row] == column)));
    let labels = groups.iter().map(|&group| kind[group]).collect();
    (rows, labels, groups)
}

#[test]
fn what_is_learnt_of_a_group_cannot_be_used_on_it() {
    let (rows, labels, groups) = groups_that_can_be_memorised();
    let alone = Labelled { rows: rows.view(), labels: &labels, classes: 2, groups: None };
    let together = Labelled { groups: Some(&groups), ..alone };
    let torn = evaluate(&config(), &alone, &|| {}).unwrap();
    assert_eq!(torn.score().correct, 150);
    assert!(torn.folds.iter().all(|fold| fold.choice.validation().score.accuracy() > 0.9));
    let whole = evaluate(&config(), &together, &|| {}).unwrap();
    // Outer and inner folds alike are at the chance of a coin thrown thirty times.
    assert!(whole.score().accuracy() < 0.8, "{:?}", whole.score());
    assert!(whole.folds.iter().all(|fold| fold.choice.validation().score.accuracy() < 0.8));
    let kept = fit_final(&config(), &together, &|| {}).unwrap();
    assert!(kept.choice.validation().score.accuracy() < 0.8);
}

#[test]
fn folds_are_those_dealt_for_groups_with_either_solver() {
    let task = Task::new(120, 6, 3);
    let groups: Vec<usize> = (0..120).map(|row| row / 4).collect();
    let data = Labelled { groups: Some(&groups), ..task.data() };
    let found = evaluate(&config(), &data, &|| {}).unwrap();
    assert_eq!(found.fold_of, grouped_folds(&task.labels, &groups, 4, 3).unwrap());
    let linfa = evaluate(&ProtocolConfig { solver: Solver::LinfaLogistic, ..config() }, &data, &|| {}).unwrap();
    assert_eq!((found.fold_of, found.predicted), (linfa.fold_of, linfa.predicted));
}

#[test]
fn a_group_on_both_sides_of_a_split_is_refused() {
    let task = Task::new(90, 4, 2);
    let groups: Vec<usize> = (0..90).map(|row| row / 3).collect();
    let data = Labelled { groups: Some(&groups), ..task.data() };
    let split: Vec<Role> = (0..90).map(|row| if row < 61 { Role::Train } else { Role::Test }).collect();
    let error = holdout(&config(), &data, &split, &|| {}).unwrap_err();
    assert_eq!(error, Error::GroupInBoth { group: 20 });
    let expected = "the split has rows of group 20 for training and for testing: give all of them one role";
    assert_eq!(error.to_string(), expected);
    let whole: Vec<Role> = (0..90).map(|row| if row < 60 { Role::Train } else { Role::Test }).collect();
    assert_eq!(holdout(&config(), &data, &whole, &|| {}).unwrap().score().total, 30);
}

#[test]
fn groups_that_keep_a_class_out_of_a_training_set_are_refused() {
    let task = Task::new(90, 4, 2);
    // All rows of class 0 are in two groups: where both are left out, none is there to learn from.
    let group = |(row, &label): (usize, &usize)| if label == 0 { row % 2 } else { 2 + row / 3 };
    let groups: Vec<usize> = task.labels.iter().enumerate().map(group).collect();
    let data = Labelled { groups: Some(&groups), ..task.data() };
    let error = evaluate(&config(), &data, &|| {}).unwrap_err();
    assert_eq!(error, Error::ClassInFewFolds { class: 0, found: 2, least: 3 });
    assert!(fit_final(&config(), &data, &|| {}).is_ok());
}

#[test]
fn groups_that_do_not_pair_up_with_rows_are_refused() {
    let task = Task::new(90, 4, 2);
    let data = Labelled { groups: Some(&[1, 2]), ..task.data() };
    assert_eq!(evaluate(&config(), &data, &|| {}).unwrap_err(), Error::GroupCount { rows: 90, groups: 2 });
}

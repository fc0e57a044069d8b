//! Labels and numbers keep the protocol's promises: each row scored by nothing it helped to choose, in whatever unit.

mod common;

use common::{Task, random};
use ndarray::{Array2, ArrayView1};
use tapline_probe::{
    Error, ProtocolConfig, Role, Shuffles, Solver, Splits, TargetEvaluation, Targeted, Targets, evaluate_targets,
    fit_final_targets, holdout, number_scores,
};

fn config() -> ProtocolConfig {
    ProtocolConfig { folds: 4, seed: 3, grid: vec![0.01, 0.1, 1.0], tolerance: 1e-8, ..ProtocolConfig::default() }
}

/// Uniform features, and for each of `outputs` a column with noise added: `[rows, 6]`, `[rows, outputs]`.
fn task(rows: usize, outputs: usize) -> (Array2<f32>, Array2<f64>) {
    let mut next = random(rows as u64 * 31 + outputs as u64);
    let features = Array2::from_shape_fn((rows, 6), |_| next() as f32 * 2.0 - 1.0);
    let numbers =
        Array2::from_shape_fn((rows, outputs), |(row, output)| f64::from(features[[row, output]]) + next() - 0.5);
    (features, numbers)
}

fn sides(numbers: &Array2<f64>) -> Array2<f64> {
    numbers.mapv(|number| f64::from(u8::from(number > 0.2)))
}

fn found(splits: Splits<'_>, rows: &Array2<f32>, targets: Targets<'_>, groups: Option<&[usize]>) -> TargetEvaluation {
    evaluate_targets(&config(), splits, &Targeted { rows, targets, groups }, &|| {}).expect("an evaluation")
}

fn near(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>, tolerance: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

#[test]
fn every_row_is_scored_once_and_a_changed_row_changes_nothing_else_in_its_fold() {
    let (rows, numbers) = task(90, 2);
    let labels = sides(&numbers);
    let row = 17;
    let mut changed = rows.clone();
    changed.row_mut(row).fill(20.0);
    for (targets, tolerance) in [(Targets::Labels(&labels), 2e-3), (Targets::Numbers(&numbers), 1e-3)] {
        let (before, after) =
            (found(Splits::Folds, &rows, targets, None), found(Splits::Folds, &changed, targets, None));
        assert_eq!(before.scored_rows, (0..90).collect::<Vec<_>>());
        assert!(before.not_converged.is_empty());
        let fold = before.fold_of[row];
        assert_eq!(before.folds[fold].c, after.folds[fold].c);
        for other in (0..90).filter(|&other| other != row && before.fold_of[other] == fold) {
            assert!(near(before.predicted.row(other), after.predicted.row(other), tolerance));
        }
        assert_ne!(before.predicted, after.predicted);
    }
}

#[test]
fn a_targets_own_value_has_no_say_in_its_prediction() {
    let (rows, numbers) = task(90, 2);
    let before = found(Splits::Folds, &rows, Targets::Numbers(&numbers), None);
    let (row, mut changed) = (17, numbers.clone());
    changed[[row, 0]] += 30.0;
    let after = found(Splits::Folds, &rows, Targets::Numbers(&changed), None);
    let fold = before.fold_of[row];
    for other in (0..90).filter(|&other| before.fold_of[other] == fold) {
        assert!(near(before.predicted.row(other), after.predicted.row(other), 1e-3), "row {other}");
    }
}

#[test]
fn the_unit_of_a_number_changes_neither_strength_nor_prediction() {
    let (rows, numbers) = task(120, 2);
    let mut scaled = numbers.clone();
    scaled.column_mut(0).mapv_inplace(|number| 1e6 + 1e-3 * number);
    scaled.column_mut(1).mapv_inplace(|number| -4e5 * number);
    let split: Vec<Role> = (0..120).map(|row| if row < 90 { Role::Train } else { Role::Test }).collect();
    for splits in [Splits::Folds, Splits::Fixed(&split)] {
        let one = found(splits, &rows, Targets::Numbers(&numbers), None);
        let two = found(splits, &rows, Targets::Numbers(&scaled), None);
        for (one, two) in one.folds.iter().zip(&two.folds) {
            assert_eq!(one.c, two.c);
        }
        let (first, second) = (two.predicted.column(0), two.predicted.column(1));
        assert!(near(one.predicted.column(0), first.mapv(|number| (number - 1e6) * 1e3).view(), 1e-3));
        assert!(near(one.predicted.column(1), second.mapv(|number| number / -4e5).view(), 1e-3));
    }
}

#[test]
fn a_shuffle_is_a_fixed_split() {
    let (rows, numbers) = task(120, 2);
    let labels = sides(&numbers);
    for targets in [Targets::Labels(&labels), Targets::Numbers(&numbers)] {
        let shuffles = Shuffles { count: 2, test_share: 0.25 };
        let both = found(Splits::Shuffles(&shuffles), &rows, targets, None);
        let inside: Vec<usize> = (0..both.fold_of.len()).filter(|&i| both.fold_of[i] == 0).collect();
        assert_eq!((inside.len(), both.folds.len()), (30, 2));
        let mut split = vec![Role::Train; 120];
        inside.iter().for_each(|&i| split[both.scored_rows[i]] = Role::Test);
        let alone = found(Splits::Fixed(&split), &rows, targets, None);
        assert_eq!(alone.folds[0].c, both.folds[0].c);
        for (i, &scored) in inside.iter().enumerate() {
            assert_eq!(alone.scored_rows[i], both.scored_rows[scored]);
            assert!(near(alone.predicted.row(i), both.predicted.row(scored), 1e-3));
        }
    }
}

#[test]
fn what_is_learnt_of_a_group_cannot_be_used_on_it() {
    // The features name the group, the number is drawn for each group: nothing to be learnt of another.
    let mut next = random(8);
    let kind: Vec<f64> = (0..30).map(|_| next()).collect();
    let groups: Vec<usize> = (0..150).map(|row| row * 7 % 30).collect();
    let rows = Array2::from_shape_fn((150, 30), |(row, column)| f32::from(u8::from(groups[row] == column)));
    let numbers = Array2::from_shape_fn((150, 1), |(row, _)| kind[groups[row]]);
    let r2 = |groups| {
        let found = found(Splits::Folds, &rows, Targets::Numbers(&numbers), groups);
        number_scores(found.truth.view(), found.predicted.view()).r2.unwrap()
    };
    assert!(r2(None) > 0.9 && r2(Some(&groups)) < 0.1);
}

#[test]
fn one_label_is_the_second_of_two_classes() {
    let task = Task::new(120, 6, 2);
    let split: Vec<Role> = (0..120).map(|row| if row < 90 { Role::Train } else { Role::Test }).collect();
    let config = ProtocolConfig { grid: vec![0.1], ..config() };
    let classes = holdout(&config, &task.data(), &split, &|| {}).unwrap();
    let labels = Array2::from_shape_fn((120, 1), |(row, _)| task.labels[row] as f64);
    let data = Targeted { rows: &task.rows, targets: Targets::Labels(&labels), groups: None };
    let found = evaluate_targets(&config, Splits::Fixed(&split), &data, &|| {}).unwrap();
    assert_eq!(found.scored_rows, classes.scored_rows);
    for (i, &label) in classes.labels.iter().enumerate() {
        let probability = 1.0 / (1.0 + (-found.predicted[[i, 0]]).exp());
        let of_truth = if label == 1 { probability } else { 1.0 - probability };
        assert!((of_truth - classes.true_probability[i]).abs() < 1e-4);
    }
}

#[test]
fn weak_regularisation_of_several_labels_converges() {
    let (rows, numbers) = task(200, 3);
    let labels = sides(&numbers);
    let data = Targeted { rows: &rows, targets: Targets::Labels(&labels), groups: None };
    let config = ProtocolConfig { grid: vec![0.1, 10.0, 1e3, 1e5], ..ProtocolConfig::default() };
    let found = evaluate_targets(&config, Splits::Folds, &data, &|| {}).unwrap();
    assert!(found.folds.iter().all(|choice| choice.inner.len() == 4));
    assert_eq!(found.not_converged, []);
}

#[test]
fn the_probe_to_keep_predicts_in_the_targets_unit() {
    let (rows, numbers) = task(120, 2);
    let numbers = numbers * 500.0 + 1e4;
    let data = Targeted { rows: &rows, targets: Targets::Numbers(&numbers), groups: None };
    let kept = fit_final_targets(&config(), &data, &|| {}).unwrap();
    assert!(kept.converged && kept.choice.chosen().loss < 1.0);
    let found = number_scores(numbers.view(), kept.probe.scores(rows.view()).unwrap().view());
    assert!(found.r2 > Some(0.6), "{found:?}");
}

#[test]
fn what_is_for_classes_alone_is_refused() {
    let (rows, numbers) = task(60, 1);
    let data = Targeted { rows: &rows, targets: Targets::Numbers(&numbers), groups: None };
    let check = |config: ProtocolConfig, expected: &str| {
        let error = evaluate_targets(&config, Splits::Folds, &data, &|| {}).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let expected = "a control is for classes that exclude each other: leave it out for other targets";
    check(ProtocolConfig { control: true, ..config() }, expected);
    let expected = "linfa-logistic is for classes that exclude each other: leave it out for other targets";
    check(ProtocolConfig { solver: Solver::LinfaLogistic, ..config() }, expected);
    let expected = "class balance is for classes that exclude each other: leave it out for other targets";
    check(ProtocolConfig { balanced: true, ..config() }, expected);
    let split = [Role::Test; 60];
    let error = evaluate_targets(&config(), Splits::Fixed(&split), &data, &|| {}).unwrap_err();
    assert_eq!(error, Error::NoTrainingRow);
}

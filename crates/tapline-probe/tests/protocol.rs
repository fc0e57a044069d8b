//! The protocol keeps its promises: each row scored once, by nothing it helped to choose, alike on any number of threads.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Task, random};
use ndarray::{Array2, Axis};
use tapline_probe::{
    Error, FitConfig, Labelled, ProtocolConfig, Role, Score, Solver, evaluate, fit, fit_final, holdout,
    stratified_folds,
};

fn config() -> ProtocolConfig {
    ProtocolConfig { folds: 4, seed: 3, grid: vec![0.01, 0.1, 1.0], tolerance: 1e-8, ..ProtocolConfig::default() }
}

#[test]
fn shared_fits_choose_and_score_like_plain_nested_cross_validation() {
    for classes in [2, 3] {
        let task = Task::new(120, 7, classes);
        let found = evaluate(&config(), &task.data(), &|| {}).unwrap();
        let folds = stratified_folds(&task.labels, 4, 3).unwrap();
        assert_eq!(found.fold_of, folds);
        assert_eq!(found.scored_rows, (0..120).collect::<Vec<_>>());
        for test in 0..4 {
            let inner: Vec<Score> = config().grid.iter().map(|&c| plain_inner(&task, &folds, (test, c))).collect();
            let choice = &found.folds[test].choice;
            assert_eq!(choice.inner.iter().map(|validation| validation.score).collect::<Vec<_>>(), inner);
            let rows: Vec<usize> = (0..120).filter(|&row| folds[row] == test).collect();
            let predicted = plain_predictions(&task, &folds, (&[test], test, choice.c));
            assert_eq!(rows.iter().map(|&row| found.predicted[row]).collect::<Vec<_>>(), predicted);
        }
    }
}

#[test]
fn both_solvers_choose_predict_and_score_alike() {
    for (classes, columns) in [(2, 7), (3, 7), (2, 150)] {
        let task = Task::new(120, columns, classes);
        let linfa = ProtocolConfig { solver: Solver::LinfaLogistic, ..config() };
        let (one, two) =
            (evaluate(&config(), &task.data(), &|| {}).unwrap(), evaluate(&linfa, &task.data(), &|| {}).unwrap());
        assert!(one.not_converged.is_empty() && two.not_converged.is_empty());
        assert_eq!(one.predicted, two.predicted);
        assert!((one.log_loss - two.log_loss).abs() < 1e-4, "{} {}", one.log_loss, two.log_loss);
        for (one, two) in one.folds.iter().zip(&two.folds) {
            assert_eq!((one.choice.index, one.test), (two.choice.index, two.test));
        }
        let (one, two) =
            (fit_final(&config(), &task.data(), &|| {}).unwrap(), fit_final(&linfa, &task.data(), &|| {}).unwrap());
        let (means, others) = (&one.fit.probe.standardisation.mean, &two.fit.probe.standardisation.mean);
        assert!((means - others).iter().all(|difference| difference.abs() < 1e-6));
        assert!((one.fit.objective - two.fit.objective).abs() <= 1e-6 * two.fit.objective);
    }
}

#[test]
fn rows_of_wildly_unequal_size_reach_the_tolerance() {
    let mut task = Task::new(300, 40, 5);
    let mut next = random(11);
    for mut row in task.rows.outer_iter_mut() {
        let normal = (0..12).map(|_| next()).sum::<f64>() - 6.0;
        row *= (3.0 * normal).exp() as f32;
    }
    let found =
        evaluate(&ProtocolConfig { grid: vec![0.1, 10.0], tolerance: 1e-6, ..config() }, &task.data(), &|| {}).unwrap();
    assert!(found.not_converged.is_empty(), "{:?}", found.not_converged);
}

#[test]
fn a_configuration_names_its_solver() {
    let text = serde_json::to_string(&ProtocolConfig { solver: Solver::LinfaLogistic, ..config() }).unwrap();
    assert!(text.ends_with(r#""solver":"linfa-logistic"}"#), "{text}");
    let older = text.replace(r#","solver":"linfa-logistic""#, "");
    assert_eq!(serde_json::from_str::<ProtocolConfig>(&older).unwrap(), config());
}

#[test]
fn a_changed_row_changes_nothing_else_in_its_test_fold() {
    let task = Task::new(90, 6, 3);
    let before = evaluate(&config(), &task.data(), &|| {}).unwrap();
    let (row, mut changed) = (17, task.rows.clone());
    changed.row_mut(row).fill(30.0);
    let after = evaluate(&config(), &Labelled { rows: changed.view(), ..task.data() }, &|| {}).unwrap();
    let fold = before.fold_of[row];
    // The unit that all rows share moves the last digits of float32.
    assert_eq!(before.folds[fold].choice.index, after.folds[fold].choice.index);
    for other in (0..90).filter(|&other| other != row && before.fold_of[other] == fold) {
        assert!((before.true_probability[other] - after.true_probability[other]).abs() < 1e-4);
    }
    assert_ne!(before.log_loss, after.log_loss);
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let task = Task::new(90, 6, 3);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| evaluate(&config(), &task.data(), &|| {}).unwrap())
    };
    assert_eq!(on(1), on(2));
    assert_eq!(on(1), on(5));
}

#[test]
fn labels_that_have_nothing_to_do_with_the_features_score_near_chance() {
    let mut next = random(5);
    let rows = Array2::from_shape_fn((400, 20), |_| next() as f32);
    let labels: Vec<usize> = (0..400).map(|_| usize::from(next() < 0.5)).collect();
    let data = Labelled { rows: rows.view(), labels: &labels, classes: 2, groups: None };
    let accuracy = evaluate(&config(), &data, &|| {}).unwrap().score().accuracy();
    // Four standard deviations of 400 throws of a coin.
    assert!((accuracy - 0.5).abs() < 4.0 * (0.25f64 / 400.0).sqrt(), "{accuracy}");
}

#[test]
fn the_order_of_the_columns_changes_no_score() {
    let task = Task::new(120, 6, 2);
    let permuted = task.rows.select(Axis(1), &[5, 3, 1, 0, 2, 4]);
    let one = evaluate(&config(), &task.data(), &|| {}).unwrap();
    let two = evaluate(&config(), &Labelled { rows: permuted.view(), ..task.data() }, &|| {}).unwrap();
    assert_eq!(one.predicted, two.predicted);
}

#[test]
fn counts_and_probabilities_agree() {
    let task = Task::new(120, 6, 3);
    let found = evaluate(&config(), &task.data(), &|| {}).unwrap();
    let pooled = found.folds.iter().map(|fold| fold.test.correct).sum::<usize>();
    assert_eq!(found.score(), Score { correct: pooled, total: 120 });
    assert_eq!(found.confusion().diag().sum(), pooled);
    let loss = found.true_probability.iter().map(|probability| -probability.ln()).sum::<f64>() / 120.0;
    assert!((found.log_loss - loss).abs() < 1e-9);
    for row in 0..120 {
        let (label, predicted) = (found.true_probability[row], found.predicted_probability[row]);
        assert!(if found.labels[row] == found.predicted[row] { label == predicted } else { label <= predicted });
    }
}

#[test]
fn every_fit_is_announced() {
    let (task, count) = (Task::new(90, 4, 2), AtomicUsize::new(0));
    let announced = |run: &dyn Fn(&(dyn Fn() + Sync))| {
        count.store(0, Ordering::Relaxed);
        run(&|| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        count.load(Ordering::Relaxed)
    };
    let evaluated = announced(&|progress| assert_eq!(evaluate(&config(), &task.data(), progress).unwrap().fits, 22));
    assert_eq!((evaluated, config().evaluate_fits()), (22, Ok(22)));
    let kept = announced(&|progress| assert_eq!(fit_final(&config(), &task.data(), progress).unwrap().fits, 13));
    assert_eq!((kept, config().holdout_fits()), (13, Ok(13)));
}

#[test]
fn strengths_that_only_overfit_are_not_tried() {
    // As many columns as rows and labels of chance: everything beyond the strongest regularisation overfits.
    let mut task = Task::new(120, 90, 2);
    let mut next = random(8);
    task.labels = (0..120).map(|_| usize::from(next() < 0.5)).collect();
    let grid: Vec<f64> = (-6..=5).map(|exponent| 10f64.powi(exponent)).collect();
    let config = ProtocolConfig { grid: grid.clone(), tolerance: 1e-6, ..config() };
    let announced = AtomicUsize::new(0);
    let progress = || {
        announced.fetch_add(1, Ordering::Relaxed);
    };
    let found = evaluate(&config, &task.data(), &progress).unwrap();
    let tried: Vec<usize> = found.folds.iter().map(|fold| fold.choice.inner.len()).collect();
    assert!(tried.iter().all(|&tried| (4..grid.len()).contains(&tried)), "{tried:?}");
    let fits = config.evaluate_fits().unwrap();
    assert!(found.fits < fits && announced.into_inner() == fits, "{} of {fits}", found.fits);
    // Where a search ends is not the test fold's to say: its rows may be anything.
    let mut changed = task.rows.clone();
    (0..120).filter(|&row| found.fold_of[row] == 0).for_each(|row| changed.row_mut(row).fill(0.5));
    let other = evaluate(&config, &Labelled { rows: changed.view(), ..task.data() }, &|| {}).unwrap();
    assert_eq!(other.folds[0].choice.inner.len(), tried[0]);
    // What is tried alone does not depend on what else is tried: a grid that ends there chooses alike.
    let short = ProtocolConfig { grid: grid[..tried[0]].to_vec(), ..config.clone() };
    assert_eq!(evaluate(&short, &task.data(), &|| {}).unwrap().folds[0].choice.index, found.folds[0].choice.index);
}

#[test]
fn fits_that_do_not_converge_are_listed_with_their_folds() {
    let task = Task::new(90, 4, 2);
    let found = evaluate(&ProtocolConfig { max_iterations: 0, ..config() }, &task.data(), &|| {}).unwrap();
    assert_eq!(found.not_converged.len(), 22);
    assert_eq!((&found.not_converged[0].left_out, found.not_converged[0].c), (&vec![0, 1], 0.01));
    assert_eq!(found.not_converged[21].left_out, [3]);
    assert!(found.not_converged.iter().all(|entry| entry.relative_excess > 1e-8 && entry.gradient_norm > 0.0));
}

#[test]
fn a_fixed_split_scores_its_test_rows_alone() {
    let task = Task::new(150, 6, 3);
    let roles = [Role::Train, Role::Test, Role::Train, Role::Train, Role::Unused];
    let split: Vec<Role> = (0..150).map(|row| roles[row % 5]).collect();
    let found = holdout(&config(), &task.data(), &split, &|| {}).unwrap();
    assert_eq!(found.scored_rows, (0..150).filter(|row| row % 5 == 1).collect::<Vec<_>>());
    assert_eq!((found.folds.len(), found.fits, found.score().total), (1, 13, 30));
    assert_eq!(found.folds[0].choice.validation().score.total, 90);
}

#[test]
fn what_is_not_for_training_does_not_change_the_probe() {
    let task = Task::new(150, 6, 3);
    let split: Vec<Role> = (0..150).map(|row| if row % 3 == 0 { Role::Test } else { Role::Train }).collect();
    let before = holdout(&config(), &task.data(), &split, &|| {}).unwrap();
    let mut changed = task.rows.clone();
    changed.row_mut(0).fill(-30.0);
    let after = holdout(&config(), &Labelled { rows: changed.view(), ..task.data() }, &split, &|| {}).unwrap();
    assert_eq!(before.folds[0].choice.index, after.folds[0].choice.index);
    let pairs = before.true_probability.iter().zip(&after.true_probability).skip(1);
    pairs.for_each(|(before, after)| assert!((before - after).abs() < 1e-4));
}

#[test]
fn the_probe_to_keep_is_the_fit_on_all_rows_at_the_chosen_strength() {
    let task = Task::new(120, 6, 3);
    let found = fit_final(&config(), &task.data(), &|| {}).unwrap();
    let plain = fit(&FitConfig { c: found.choice.c, ..FitConfig::default() }, &task.data(), None).unwrap();
    assert!((found.fit.objective - plain.objective).abs() <= 1e-6 * plain.objective);
    assert_eq!(found.fit.probe.predict(task.rows.view()), plain.probe.predict(task.rows.view()));
    assert_eq!(found.choice.validation().score.total, 120);
}

#[test]
fn a_split_of_another_length_is_refused() {
    let error = holdout(&config(), &Task::new(90, 4, 2).data(), &[Role::Test], &|| {}).unwrap_err();
    let expected = "90 rows came with a split of 1: say of each row whether it is for training or testing";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_split_without_test_rows_is_refused() {
    let error = holdout(&config(), &Task::new(90, 4, 2).data(), &[Role::Train; 90], &|| {}).unwrap_err();
    assert_eq!(error.to_string(), "the split has no test row: mark at least one");
}

#[test]
fn a_class_missing_from_the_training_rows_is_named() {
    let task = Task::new(90, 4, 3);
    let role = |&label: &usize| if label == 2 { Role::Test } else { Role::Train };
    let split: Vec<Role> = task.labels.iter().map(role).collect();
    let error = holdout(&config(), &task.data(), &split, &|| {}).unwrap_err();
    assert_eq!(error, Error::NoRowOfClass { class: 2 });
    assert_eq!(error.to_string(), "no row to learn from has class 2: add rows of it or drop the class");
}

/// Right rows of a strength in plain nested cross-validation, summed over the folds other than the test fold.
fn plain_inner(task: &Task, folds: &[usize], (test, c): (usize, f64)) -> Score {
    let mut sum = Score::default();
    for validation in (0..4).filter(|&fold| fold != test) {
        let predicted = plain_predictions(task, folds, (&[test, validation], validation, c));
        let labels = task.labels.iter().zip(folds).filter(|&(_, &fold)| fold == validation).map(|(&label, _)| label);
        sum.correct += labels.zip(&predicted).filter(|(label, predicted)| label == *predicted).count();
        sum.total += predicted.len();
    }
    sum
}

/// Predictions for one fold by a probe fitted from zero outside the folds left out.
fn plain_predictions(task: &Task, folds: &[usize], (left_out, fold, c): (&[usize], usize, f64)) -> Vec<usize> {
    let rows = |chosen: &dyn Fn(usize) -> bool| (0..folds.len()).filter(|&row| chosen(folds[row])).collect::<Vec<_>>();
    let train = rows(&|found| !left_out.contains(&found));
    let labels: Vec<usize> = train.iter().map(|&row| task.labels[row]).collect();
    let features = task.rows.select(Axis(0), &train);
    let data = Labelled { rows: features.view(), labels: &labels, classes: task.classes, groups: None };
    let probe = fit(&FitConfig { c, ..FitConfig::default() }, &data, None).unwrap().probe;
    probe.predict(task.rows.select(Axis(0), &rows(&|found| found == fold)).view()).unwrap()
}

#[test]
fn top_five_is_for_more_than_five_classes() {
    let task = Task::new(240, 8, 7);
    let found = evaluate(&config(), &task.data(), &|| {}).unwrap();
    let top_five = found.top_five.unwrap();
    assert!(top_five.total == 240 && top_five.correct > found.score().correct, "{top_five:?}");
    assert!(found.auroc.is_some_and(|area| area > 0.6 && area < 1.0), "{:?}", found.auroc);
    assert_eq!(evaluate(&config(), &Task::new(120, 6, 3).data(), &|| {}).unwrap().top_five, None);
}

#[test]
fn a_control_keeps_the_folds_and_scores_at_chance() {
    let task = Task::new(400, 6, 2);
    let control = ProtocolConfig { control: true, ..config() };
    let real = evaluate(&config(), &task.data(), &|| {}).unwrap();
    let found = evaluate(&control, &task.data(), &|| {}).unwrap();
    assert_eq!((&found.fold_of, &found.scored_rows), (&real.fold_of, &real.scored_rows));
    assert_ne!(found.labels, real.labels);
    let split: Vec<Role> = (0..400).map(|row| if row % 2 == 0 { Role::Test } else { Role::Train }).collect();
    let held_out = holdout(&control, &task.data(), &split, &|| {}).unwrap();
    let tests: Vec<usize> = (0..400).step_by(2).map(|row| task.labels[row]).collect();
    assert_eq!(held_out.labels.iter().sum::<usize>(), tests.iter().sum::<usize>());
    for (found, real) in [(&found, real.score().accuracy()), (&held_out, 0.7)] {
        let ones = found.labels.iter().sum::<usize>() as f64 / found.labels.len() as f64;
        let (chance, rows) = (ones.max(1.0 - ones), found.labels.len() as f64);
        // Four standard deviations of as many throws.
        let accuracy = found.score().accuracy();
        assert!(
            (accuracy - chance).abs() < 4.0 * (0.25 / rows).sqrt() && accuracy < real,
            "{accuracy} {chance} {real}"
        );
    }
}

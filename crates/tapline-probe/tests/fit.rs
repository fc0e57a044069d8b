//! Fits that go wrong say so, and fits that go right depend on nothing they should not.

mod common;

use common::{Task, random};
use ndarray::{Array2, Axis};
use tapline_probe::{Error, FitConfig, Labelled, fit};

#[test]
fn rows_of_wildly_unequal_size_are_reported_as_not_converged() {
    // linfa takes one maximum out of the whole matrix of scores: rows far below it lose their loss.
    let mut task = Task::new(300, 40, 5);
    let mut next = random(11);
    for mut row in task.rows.outer_iter_mut() {
        let normal = (0..12).map(|_| next()).sum::<f64>() - 6.0;
        row *= (3.0 * normal).exp() as f32;
    }
    let found = fit(&FitConfig { c: 10.0, ..FitConfig::default() }, &task.data(), None).unwrap();
    assert!(!found.converged, "{} {} {}", found.objective, found.excess, found.gradient_norm);
    assert!(found.excess > 1e-6 * found.objective);
}

#[test]
fn no_iterations_are_no_convergence() {
    let task = Task::new(60, 5, 3);
    let found = fit(&FitConfig { max_iterations: 0, ..FitConfig::default() }, &task.data(), None).unwrap();
    assert!(!found.converged);
    assert!(found.probe.weights.iter().all(|&weight| weight == 0.0));
}

#[test]
fn the_order_of_the_columns_changes_no_prediction() {
    for classes in [2, 4] {
        let task = Task::new(120, 9, classes);
        let order = [4, 0, 8, 2, 6, 1, 7, 3, 5];
        let permuted = task.rows.select(Axis(1), &order);
        let other = Labelled { rows: permuted.view(), ..task.data() };
        let config = FitConfig { c: 0.1, ..FitConfig::default() };
        let (one, two) = (fit(&config, &task.data(), None).unwrap(), fit(&config, &other, None).unwrap());
        assert_eq!(one.probe.predict(task.rows.view()), two.probe.predict(permuted.view()));
        let weights = one.probe.weights.select(Axis(0), &order);
        assert!((&weights - &two.probe.weights).iter().all(|difference| difference.abs() < 1e-3));
    }
}

#[test]
fn constant_features_leave_the_shares_of_the_classes() {
    let rows = Array2::from_elem((10, 3), 7.0f32);
    let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2];
    let data = Labelled { rows: rows.view(), labels: &labels, classes: 3, groups: None };
    let found = fit(&FitConfig::default(), &data, None).unwrap();
    assert!(found.converged);
    let probabilities = found.probe.probabilities(rows.view()).unwrap();
    for (found, expected) in probabilities.row(0).iter().zip([0.6, 0.3, 0.1]) {
        assert!((found - expected).abs() < 1e-6, "{found}");
    }
}

#[test]
fn a_start_of_another_shape_is_refused() {
    let (narrow, wide) = (Task::new(60, 5, 3), Task::new(60, 6, 2));
    let start = fit(&FitConfig::default(), &narrow.data(), None).unwrap().probe;
    let expected = Error::WarmStart { columns: 6, outputs: 1, found_columns: 5, found_outputs: 3 };
    assert_eq!(fit(&FitConfig::default(), &wide.data(), Some(&start)), Err(expected));
}

#[test]
fn a_class_without_rows_is_refused() {
    let task = Task::new(60, 5, 3);
    let data = Labelled { classes: 4, ..task.data() };
    assert_eq!(fit(&FitConfig::default(), &data, None), Err(Error::NoRowOfClass { class: 3 }));
}

#[test]
fn a_tolerance_out_of_range_is_refused() {
    let config = FitConfig { tolerance: 0.0, ..FitConfig::default() };
    let error = fit(&config, &Task::new(60, 5, 3).data(), None).unwrap_err();
    assert_eq!(error.to_string(), "tolerance 0 is out of range: use a positive number below 1, such as 1e-8");
}

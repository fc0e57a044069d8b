//! Probes fitted again are those of the evaluation: what they say of the rows they left out is what it kept.

mod common;

use common::Task;
use ndarray::Axis;
use tapline_probe::{Chosen, Error, ProtocolConfig, Solver, Transform, evaluate, refit};

/// Of probabilities: two fits within 1e-10 of the same objective.
const TOLERANCE: f64 = 1e-4;

fn config() -> ProtocolConfig {
    ProtocolConfig { folds: 4, seed: 3, grid: vec![1.0, 0.01, 0.1], tolerance: 1e-10, ..ProtocolConfig::default() }
}

#[test]
fn they_say_what_the_evaluation_kept() {
    for classes in [2, 3] {
        for (solver, transform) in [(Solver::Batched, Transform::Standardise), (Solver::LinfaLogistic, Transform::L2)] {
            let task = Task::new(120, 6, classes);
            let (data, config) = (task.data(), ProtocolConfig { solver, transform, ..config() });
            let found = evaluate(&config, &data, &|| {}).unwrap();
            let wanted: Vec<Chosen> = (0..4)
                .map(|fold| Chosen {
                    rows: (0..120).filter(|&row| found.fold_of[row] != fold).collect(),
                    strength: found.folds[fold].choice.index,
                })
                .collect();
            let fits = refit(&config, &data, &wanted, &|| {}).unwrap();
            for (fold, fit) in fits.iter().enumerate() {
                let rows: Vec<usize> = (0..120).filter(|&row| found.fold_of[row] == fold).collect();
                let left_out = data.rows.select(Axis(0), &rows);
                let probabilities = fit.probe.probabilities(left_out.view()).unwrap();
                for (row, said) in rows.iter().zip(probabilities.outer_iter()) {
                    let gap = said[found.predicted[*row]] - found.predicted_probability[*row];
                    assert!(gap.abs() < TOLERANCE, "{solver:?} {transform:?}, row {row}: {gap}");
                }
            }
        }
    }
}

#[test]
fn rows_without_a_class_are_refused() {
    let task = Task::new(30, 3, 3);
    let rows = (0..30).filter(|&row| task.labels[row] != 2).collect();
    let refused = refit(&config(), &task.data(), &[Chosen { rows, strength: 0 }], &|| {});
    assert_eq!(refused, Err(Error::NoRowOfClass { class: 2 }));
}

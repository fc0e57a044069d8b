//! Solutions against scikit-learn; `goldens/make*.py` and tapline-probe's `tests/goldens/make.py` wrote the numbers.

use ndarray::ArrayView2;
use serde::Deserialize;
use tapline_solver::{Problem, Solved, SolverConfig, Task, solve};

/// Relative difference allowed between our objective and scikit-learn's.
const OBJECTIVE: f64 = 1e-6;

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
    weights: Option<Vec<f64>>,
    fits: Vec<GoldenFit>,
}

#[derive(Deserialize)]
struct GoldenFit {
    c: f64,
    objective: f64,
    predicted: Option<Vec<usize>>,
    margin: Option<Vec<f64>>,
}

#[test]
fn objectives_are_scikit_learns() {
    check(include_str!("../../tapline-probe/tests/goldens/goldens.json"));
}

#[test]
fn weighted_rows_wild_rows_and_separable_classes_are_scikit_learns() {
    check(include_str!("goldens/goldens.json"));
}

#[test]
fn objectives_at_all_45_strengths_are_scikit_learns() {
    check(include_str!("goldens/path.json"));
}

fn check(goldens: &str) {
    let goldens: Goldens = serde_json::from_str(goldens).expect("goldens");
    for case in goldens.cases {
        for (solved, golden) in solved(&case).iter().zip(&case.fits) {
            check_fit(&case, golden, solved);
        }
    }
}

/// Each fit of a case, all in one batch.
fn solved(case: &Case) -> Vec<Solved> {
    let rows = ArrayView2::from_shape((case.labels.len(), case.columns), &case.rows).expect("rows × columns values");
    let sets = [case.weights.clone().unwrap_or_else(|| vec![1.0; case.labels.len()])];
    let task = Task { rows: &rows, labels: &case.labels, classes: case.classes, sets: &sets };
    let problems: Vec<Problem<'_>> = case.fits.iter().map(|fit| Problem { set: 0, c: fit.c, start: None }).collect();
    let mut found = Vec::new();
    solve(&SolverConfig::default(), &task, &problems, &mut |solved| found.push(solved)).expect("a task to solve");
    found.sort_by_key(|solved| solved.problem);
    found
}

fn check_fit(case: &Case, golden: &GoldenFit, solved: &Solved) {
    let (name, found) = (format!("{}, C = {}", case.name, golden.c), &solved.solution);
    let difference = found.objective - golden.objective;
    assert!(found.converged, "{name}: {} {} after {}", found.objective, found.excess, found.iterations);
    assert!(
        difference.abs() <= OBJECTIVE * golden.objective,
        "{name}: {} {}, excess {}, decrement {} after {}",
        found.objective,
        golden.objective,
        found.excess,
        found.decrement,
        found.iterations
    );
    assert!(difference <= found.excess + 3e-7 * golden.objective, "{name}: the proof is wrong");
    let (Some(predicted), Some(margin)) = (&golden.predicted, &golden.margin) else { return };
    for (row, scores) in solved.scores.outer_iter().enumerate() {
        let highest = |best, class| if scores[class] > scores[best] { class } else { best };
        let class = if scores.len() == 1 { usize::from(scores[0] > 0.0) } else { (1..scores.len()).fold(0, highest) };
        // Rows whose two best scores are nearly equal may be predicted either way.
        assert!(class == predicted[row] || margin[row] < 5e-3, "{name}: row {row}");
    }
}

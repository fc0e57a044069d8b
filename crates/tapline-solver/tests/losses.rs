//! Every loss and class weights against scikit-learn and SciPy (`goldens/make_losses.py` wrote the numbers), the proofs that
//! come with them, and what is refused.

use ndarray::{Array2, ArrayView2, Axis, array};
use serde::Deserialize;
use tapline_solver::{
    ClassWeights, Classes, Loss, LossTask, Problem, Solved, SolverConfig, Start, Task, solve, solve_loss,
};

/// Relative difference allowed between our objective and the reference's.
const OBJECTIVE: f64 = 1e-6;
/// Relative difference allowed between objectives where float32 alone tells them apart, as well as the proof's slack.
const EXACT: f64 = 3e-7;

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    loss: String,
    columns: usize,
    rows: Vec<f64>,
    row_weights: Vec<f64>,
    #[serde(default)]
    classes: usize,
    #[serde(default)]
    labels: Vec<usize>,
    class_weights: Option<Weights>,
    #[serde(default)]
    targets: Vec<f64>,
    fits: Vec<GoldenFit>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Weights {
    Rule(String),
    Given(Vec<f64>),
}

#[derive(Deserialize)]
struct GoldenFit {
    c: f64,
    objective: f64,
    #[serde(default)]
    weights: Vec<f64>,
    #[serde(default)]
    intercept: Vec<f64>,
}

impl Case {
    fn rows(&self) -> ArrayView2<'_, f64> {
        ArrayView2::from_shape((self.row_weights.len(), self.columns), &self.rows).expect("rows × columns values")
    }

    fn loss(&self) -> Loss<'_> {
        let weights = match &self.class_weights {
            None => ClassWeights::Equal,
            Some(Weights::Rule(rule)) => {
                assert_eq!(rule, "balanced");
                ClassWeights::Balanced
            }
            Some(Weights::Given(weights)) => ClassWeights::Given(weights),
        };
        let classes = Classes { labels: &self.labels, count: self.classes, weights };
        let rows = self.row_weights.len();
        let targets = ArrayView2::from_shape((rows, self.targets.len() / rows), &self.targets).expect("whole rows");
        match self.loss.as_str() {
            "logistic" => Loss::Logistic(classes),
            "squared_hinge" => Loss::SquaredHinge(classes),
            "one_vs_rest" => Loss::OneVsRest(targets),
            "squared_error" => Loss::SquaredError(targets),
            other => panic!("unknown loss {other}"),
        }
    }

    /// Each fit of the case, all in one batch.
    fn solved(&self, config: &SolverConfig) -> Vec<Solved> {
        let problems: Vec<_> = self.fits.iter().map(|fit| Problem { set: 0, c: fit.c, start: None }).collect();
        let task = LossTask { rows: &self.rows(), loss: self.loss(), sets: std::slice::from_ref(&self.row_weights) };
        solved(config, &task, &problems)
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str::<Goldens>(include_str!("goldens/losses.json")).expect("goldens").cases
}

fn solved(config: &SolverConfig, task: &LossTask<'_>, problems: &[Problem<'_>]) -> Vec<Solved> {
    let mut found = Vec::new();
    solve_loss(config, task, problems, &mut |solved| found.push(solved)).expect("a task");
    found.sort_by_key(|solved| solved.problem);
    found
}

#[test]
fn objectives_are_those_of_scikit_learn_and_scipy() {
    let config = SolverConfig::default();
    for case in &cases() {
        for (solved, golden) in case.solved(&config).iter().zip(&case.fits) {
            let (name, found) = (format!("{}, C = {}", case.name, golden.c), &solved.solution);
            assert!(found.converged, "{name}: {} {} after {}", found.objective, found.excess, found.iterations);
            let difference = found.objective - golden.objective;
            assert!(
                difference.abs() <= OBJECTIVE * golden.objective,
                "{name}: {} {}",
                found.objective,
                golden.objective
            );
            assert!(difference <= found.excess + EXACT * golden.objective, "{name}: the proof is wrong");
        }
    }
}

#[test]
fn the_bound_holds_wherever_a_search_is_stopped() {
    for case in &cases() {
        for max_iterations in 0..12 {
            let config = SolverConfig { max_iterations, ..SolverConfig::default() };
            for (solved, golden) in case.solved(&config).iter().zip(&case.fits) {
                let (found, difference) = (&solved.solution, solved.solution.objective - golden.objective);
                let name = format!("{}, C = {}, {max_iterations} steps", case.name, golden.c);
                assert!(found.iterations <= max_iterations, "{name}: {}", found.iterations);
                assert!(difference >= -EXACT * golden.objective, "{name}: below the minimum");
                assert!(difference <= found.excess + EXACT * golden.objective, "{name}: {difference} {}", found.excess);
            }
        }
    }
}

#[test]
fn a_search_from_its_own_end_is_over() {
    let config = SolverConfig::default();
    for case in &cases() {
        let half = SolverConfig { tolerance: 0.25 * config.tolerance, ..config };
        let ends = case.solved(&half);
        let starts = ends.iter().zip(&case.fits).map(|(end, fit)| {
            let start = Start { weights: &end.solution.weights, intercept: &end.solution.intercept };
            Problem { set: 0, c: fit.c, start: Some(start) }
        });
        let task = LossTask { rows: &case.rows(), loss: case.loss(), sets: std::slice::from_ref(&case.row_weights) };
        let again = solved(&config, &task, &starts.collect::<Vec<_>>());
        assert!(again.iter().all(|solved| solved.solution.iterations == 0), "{}", case.name);
    }
}

#[test]
fn weights_of_squared_errors_are_those_of_the_normal_equations() {
    for case in &cases() {
        let config = SolverConfig { tolerance: 1e-9, ..SolverConfig::default() };
        if case.loss != "squared_error" {
            continue;
        }
        for (solved, golden) in case.solved(&config).iter().zip(&case.fits) {
            let found = solved.solution.weights.iter().chain(&solved.solution.intercept);
            let expected = golden.weights.iter().chain(&golden.intercept);
            let highest = golden.weights.iter().fold(0.0, |highest: f64, weight| highest.max(weight.abs()));
            for (found, expected) in found.zip(expected) {
                assert!((found - expected).abs() <= 1e-3 * highest, "{}: {found} {expected}", case.name);
            }
        }
    }
}

#[test]
fn a_batch_is_its_problems_one_by_one() {
    let config = SolverConfig::default();
    for case in &cases() {
        let mut fewer = case.row_weights.clone();
        fewer.iter_mut().step_by(7).for_each(|weight| *weight = 0.0);
        let sets = [case.row_weights.clone(), fewer];
        let problems: Vec<_> = (0..2).flat_map(|set| [0.01, 1.0].map(|c| Problem { set, c, start: None })).collect();
        let task = LossTask { rows: &case.rows(), loss: case.loss(), sets: &sets };
        let solve = |problems: &[_]| solved(&config, &task, problems);
        for (together, problem) in solve(&problems).iter().zip(&problems) {
            let alone = &solve(&[*problem])[0];
            let (one, two) = (together.solution.objective, alone.solution.objective);
            assert!((one - two).abs() <= 1e-6 * two, "{}: {one} {two}", case.name);
        }
    }
}

#[test]
fn class_weights_leave_means_and_scales_alone() {
    for case in cases().iter().filter(|case| case.class_weights.is_some()) {
        let found = &case.solved(&SolverConfig::default())[0].solution;
        let numbers = Array2::zeros((case.row_weights.len(), 1));
        let loss = Loss::SquaredError(numbers.view());
        let task = LossTask { rows: &case.rows(), loss, sets: std::slice::from_ref(&case.row_weights) };
        let plain = solved(&SolverConfig::default(), &task, &[Problem { set: 0, c: 1.0, start: None }]);
        assert_eq!(found.moments, plain[0].solution.moments);
    }
}

#[test]
fn one_output_of_labels_is_two_classes() {
    for case in cases().iter().filter(|case| case.loss == "one_vs_rest") {
        let targets = ArrayView2::from_shape((case.row_weights.len(), 3), &case.targets).unwrap();
        let labels: Vec<usize> = targets.column(1).iter().map(|&value| usize::from(value == 1.0)).collect();
        let task =
            Task { rows: &case.rows(), labels: &labels, classes: 2, sets: std::slice::from_ref(&case.row_weights) };
        let problem = [Problem { set: 0, c: 1.0, start: None }];
        let mut two = None;
        solve(&SolverConfig::default(), &task, &problem, &mut |solved| two = Some(solved)).unwrap();
        let only = targets.select(Axis(1), &[1]);
        let loss = Loss::OneVsRest(only.view());
        let task = LossTask { rows: &case.rows(), loss, sets: std::slice::from_ref(&case.row_weights) };
        let one = solved(&SolverConfig::default(), &task, &problem);
        let (one, two) = (&one[0].solution, &two.unwrap().solution);
        assert!((one.objective - two.objective).abs() <= 1e-6 * two.objective, "{} {}", one.objective, two.objective);
    }
}

#[test]
fn targets_that_never_change_are_met_by_the_intercept() {
    let rows = Array2::from_shape_fn((40, 5), |(row, column)| ((row * 7 + column * 11) % 13) as f64 + 0.1);
    let weights: Vec<f64> = (0..40).map(|row| 0.1 * (1 + row % 7) as f64).collect();
    for value in [0.0, 0.1, 1.0 / 3.0, -1e9, 1e-9] {
        let targets = Array2::from_elem((40, 2), value);
        let problem = [Problem { set: 0, c: 1e6, start: None }];
        let loss = Loss::SquaredError(targets.view());
        let task = LossTask { rows: &rows, loss, sets: std::slice::from_ref(&weights) };
        let found = &solved(&SolverConfig::default(), &task, &problem)[0].solution;
        assert!(found.converged, "{value}: {} {}", found.objective, found.excess);
        assert!(found.intercept.iter().all(|found| (found - value).abs() <= 1e-6 * value.abs()), "{value}");
    }
}

/// What is changed, one at a time.
struct Made {
    labels: Vec<usize>,
    class_weights: Vec<f64>,
    targets: Array2<f64>,
    set: Vec<f64>,
}

fn check_refused(loss: fn(&Made) -> Loss<'_>, change: fn(&mut Made), expected: &str) {
    let mut made = Made {
        labels: vec![0, 1, 2, 1],
        class_weights: vec![1.0, 2.0, 3.0],
        targets: array![[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]],
        set: vec![1.0; 4],
    };
    change(&mut made);
    let rows = array![[0.5], [1.0], [2.0], [-1.0]];
    let task = LossTask { rows: &rows, loss: loss(&made), sets: std::slice::from_ref(&made.set) };
    let found = solve_loss(&SolverConfig::default(), &task, &[Problem { set: 0, c: 1.0, start: None }], &mut |_| {});
    assert_eq!(found.unwrap_err().to_string(), expected);
}

fn hinge(made: &Made) -> Loss<'_> {
    Loss::SquaredHinge(Classes { labels: &made.labels, count: 3, weights: ClassWeights::Given(&made.class_weights) })
}

fn several(made: &Made) -> Loss<'_> {
    Loss::OneVsRest(made.targets.view())
}

fn numbers(made: &Made) -> Loss<'_> {
    Loss::SquaredError(made.targets.view())
}

#[test]
fn broken_weights_are_refused() {
    let expected = "training set 0 gives row 1 the weight -0.5: use finite weights of at least 0";
    check_refused(numbers, |made| made.set[1] = -0.5, expected);
    let expected = "training set 0 gives row 3 the weight NaN: use finite weights of at least 0";
    check_refused(hinge, |made| made.set[3] = f64::NAN, expected);
    let expected = "training set 0 gives no row a weight above 0: choose at least one row";
    for loss in [hinge, several, numbers] {
        check_refused(loss, |made| made.set.fill(0.0), expected);
    }
    let expected = "2 class weights came with 3 classes: give one weight for each class";
    check_refused(hinge, |made| made.class_weights.truncate(2), expected);
    let expected = "class 1 has the weight 0: use a positive, finite number";
    check_refused(hinge, |made| made.class_weights[1] = 0.0, expected);
}

#[test]
fn broken_targets_are_refused() {
    for loss in [several, numbers] {
        let expected = "row 2, output 1 of the targets is NaN: correct it or leave the row out";
        check_refused(loss, |made| made.targets[[2, 1]] = f64::NAN, expected);
        let expected = "row 0, output 0 of the targets is inf: correct it or leave the row out";
        check_refused(loss, |made| made.targets[[0, 0]] = f64::INFINITY, expected);
        let expected = "the targets have no column: give one for each output";
        check_refused(loss, |made| made.targets = Array2::zeros((4, 0)), expected);
        let expected = "4 rows came with 3 labels: give one label for each row";
        check_refused(loss, |made| made.targets = Array2::zeros((3, 2)), expected);
    }
    let expected = "row 1, output 0 of the targets is 0.5: use 0 or 1, or a loss for numbers";
    check_refused(several, |made| made.targets[[1, 0]] = 0.5, expected);
    let expected = "all rows of training set 0 have 1 for output 1: give it a row of 0 or drop the output";
    check_refused(several, |made| made.set = vec![1.0, 0.0, 1.0, 0.0], expected);
    let expected = "training set 0 has no row of class 2: give it one or drop the class";
    check_refused(hinge, |made| made.set[2] = 0.0, expected);
}

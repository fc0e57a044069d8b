//! A problem's numbers depend on nothing but the problem: not on the threads at all, and within the tolerance neither on its
//! company nor on rows it does not learn from.

use ndarray::{Array2, Axis};
use tapline_solver::{Error, Problem, Solution, Solved, SolverConfig, Start, Task, solve};

struct Made {
    rows: Array2<f64>,
    labels: Vec<usize>,
    classes: usize,
    sets: Vec<Vec<f64>>,
}

impl Made {
    /// Uniform features; class `c` is the more likely, the higher column `c`. Set `s` leaves out every fifth row, from row `s`.
    fn new(rows: usize, columns: usize, classes: usize) -> Self {
        let mut next = random();
        let features = Array2::from_shape_fn((rows, columns), |_| next() * 2.0 + 1.0);
        let label = |row: usize| {
            let scores: Vec<f64> = (0..classes).map(|class| features[[row, class]] + 0.8 * next()).collect();
            (0..classes).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).expect("a class")
        };
        let labels = (0..rows).map(label).collect();
        let weight = |set: usize, row: usize| if row % 5 == set { 0.0 } else { 1.0 };
        let sets = (0..3).map(|set| (0..rows).map(|row| weight(set, row)).collect()).collect();
        Self { rows: features, labels, classes, sets }
    }

    fn solve(&self, config: &SolverConfig, problems: &[Problem<'_>]) -> Vec<Solved> {
        let task = Task { rows: &self.rows, labels: &self.labels, classes: self.classes, sets: &self.sets };
        let mut found = Vec::new();
        solve(config, &task, problems, &mut |solved| found.push(solved)).expect("a task to solve");
        found.sort_by_key(|solved| solved.problem);
        found
    }
}

fn problems() -> Vec<Problem<'static>> {
    (0..3).flat_map(|set| [0.01, 0.1, 1.0].map(|c| Problem { set, c, start: None })).collect()
}

#[test]
fn a_batch_is_its_problems_one_by_one() {
    for made in [Made::new(150, 12, 2), Made::new(150, 12, 4), Made::new(40, 70, 2), Made::new(600, 5, 3)] {
        let batch = made.solve(&SolverConfig::default(), &problems());
        for (together, problem) in batch.iter().zip(problems()) {
            let alone = &made.solve(&SolverConfig::default(), &[problem])[0];
            assert!(alone.solution.converged);
            check_same(&together.solution, &alone.solution);
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for made in [Made::new(700, 12, 2), Made::new(700, 12, 4), Made::new(60, 700, 3), Made::new(400, 40, 36)] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let little = SolverConfig { max_bytes: 1, ..SolverConfig::default() };
            // So weak that float32 does not prove it.
            let weak = (0..3).map(|set| Problem { set, c: 1e4, start: None });
            let problems: Vec<Problem<'_>> = problems().into_iter().chain(weak).collect();
            pool.install(|| (made.solve(&SolverConfig::default(), &problems), made.solve(&little, &problems)))
        };
        assert_eq!(on(1), on(2));
        assert_eq!(on(1), on(5));
    }
}

/// Both are proven to be within 1e-6 of the minimum.
fn check_same(one: &Solution, two: &Solution) {
    assert!((one.objective - two.objective).abs() <= 1e-6 * two.objective, "{} {}", one.objective, two.objective);
}

#[test]
fn little_memory_means_fewer_at_a_time_and_rows_read_anew() {
    let made = Made::new(150, 12, 3);
    let little = SolverConfig { max_bytes: 1, ..SolverConfig::default() };
    let (little, all) = (made.solve(&little, &problems()), made.solve(&SolverConfig::default(), &problems()));
    little.iter().zip(&all).for_each(|(little, all)| check_same(&little.solution, &all.solution));
}

#[test]
fn rows_of_weight_0_leave_no_trace() {
    for made in [Made::new(150, 12, 3), Made::new(60, 80, 3)] {
        let before = made.solve(&SolverConfig::default(), &problems());
        let mut rows = made.rows.clone();
        rows.row_mut(5).fill(30.0);
        // Row 5 is outside set 0 alone.
        let after = Made { rows, ..made }.solve(&SolverConfig::default(), &problems());
        before.iter().zip(&after).take(3).for_each(|(before, after)| check_same(&before.solution, &after.solution));
        let moved = |(before, after): (&Solved, &Solved)| {
            (before.solution.objective - after.solution.objective).abs() > 1e-3 * before.solution.objective
        };
        assert!(before.iter().zip(&after).skip(3).all(moved));
    }
}

#[test]
fn a_set_is_solved_like_its_rows_alone() {
    let made = Made::new(150, 12, 3);
    let chosen: Vec<usize> = (0..150).filter(|row| row % 5 != 0).collect();
    let labels = chosen.iter().map(|&row| made.labels[row]).collect();
    let alone = Made { rows: made.rows.select(Axis(0), &chosen), labels, classes: 3, sets: vec![vec![1.0; 120]] };
    let (one, two) = (
        made.solve(&SolverConfig::default(), &problems()[..3]),
        alone.solve(&SolverConfig::default(), &problems()[..3]),
    );
    for (one, two) in one.iter().zip(two) {
        check_same(&one.solution, &two.solution);
        assert!((&one.solution.weights - &two.solution.weights).iter().all(|difference| difference.abs() < 1e-3));
    }
}

#[test]
fn a_warm_start_leads_to_the_same_minimum_and_at_the_minimum_nowhere() {
    let made = Made::new(300, 20, 3);
    let solve = |set: usize, start: Option<Start<'_>>| {
        made.solve(&SolverConfig::default(), &[Problem { set, c: 1.0, start }]).remove(0).solution
    };
    let (cold, other) = (solve(0, None), solve(1, None));
    check_same(&solve(0, Some(Start { weights: &other.weights, intercept: &other.intercept })), &cold);
    let again = solve(0, Some(Start { weights: &cold.weights, intercept: &cold.intercept }));
    check_same(&again, &cold);
    assert!(again.iterations <= 1 && cold.iterations > 3, "{} {}", again.iterations, cold.iterations);
}

#[test]
fn no_iterations_are_no_convergence() {
    let made = Made::new(60, 5, 3);
    let config = SolverConfig { max_iterations: 0, ..SolverConfig::default() };
    let found: &Solution = &made.solve(&config, &problems())[0].solution;
    assert!(!found.converged && found.iterations == 0 && found.excess > 1e-6 * found.objective);
    assert!(found.weights.iter().all(|&weight| weight == 0.0));
}

#[test]
fn a_tolerance_below_rounding_comes_to_an_end() {
    let config = SolverConfig { tolerance: 1e-40, ..SolverConfig::default() };
    for classes in [2, 3] {
        let found = &Made::new(60, 5, classes).solve(&config, &problems()[..1])[0].solution;
        assert!(found.iterations < 1000, "{} {}", found.excess, found.iterations);
        assert!(found.excess <= 1e-8 * found.objective, "{}", found.excess);
    }
}

fn check_refused(change: impl Fn(&mut Made, &mut Problem<'_>), expected: &str) {
    let (mut made, mut problem) = (Made::new(30, 4, 3), Problem { set: 0, c: 1.0, start: None });
    change(&mut made, &mut problem);
    let task = Task { rows: &made.rows, labels: &made.labels, classes: made.classes, sets: &made.sets };
    let found: Result<(), Error> = solve(&SolverConfig::default(), &task, &[problem], &mut |_| {});
    assert_eq!(found.unwrap_err().to_string(), expected);
}

#[test]
fn a_broken_task_is_refused() {
    check_refused(
        |made, _| made.rows = Array2::zeros((0, 4)),
        "the features have 0 rows and 4 columns: give at least one of each",
    );
    check_refused(|made, _| made.labels.truncate(29), "30 rows came with 29 labels: give one label for each row");
    check_refused(
        |made, _| made.classes = 1,
        "a regression tells at least two classes apart, found 1: label the rows with two or more",
    );
    check_refused(
        |made, _| made.labels[4] = 3,
        "row 4 has class 3, but there are 3 classes: number the classes from 0",
    );
    check_refused(
        |made, _| made.rows[[2, 1]] = f64::NAN,
        "row 2, column 1 of the features is NaN: compute it again or leave the row out",
    );
}

#[test]
fn a_broken_training_set_or_problem_is_refused() {
    check_refused(
        |made, _| made.sets[1].truncate(3),
        "training set 1 has 3 weights for 30 rows: give one weight for each row",
    );
    check_refused(
        |made, _| made.sets[2][7] = -1.0,
        "training set 2 gives row 7 the weight -1: use finite weights of at least 0",
    );
    check_refused(|made, _| made.classes = 4, "training set 0 has no row of class 3: give it one or drop the class");
    check_refused(|_, problem| problem.set = 3, "problem 0 names training set 3 of 3: number the sets from 0");
    check_refused(
        |_, problem| problem.c = -1.0,
        "regularisation strength C = -1 is out of range: use a positive, finite number",
    );
}

#[test]
fn a_start_of_another_shape_is_refused() {
    let (made, other) = (Made::new(30, 4, 3), Made::new(30, 5, 2));
    let found = &made.solve(&SolverConfig::default(), &problems()[..1])[0].solution;
    let start = Start { weights: &found.weights, intercept: &found.intercept };
    let task = Task { rows: &other.rows, labels: &other.labels, classes: 2, sets: &other.sets };
    let problem = Problem { set: 0, c: 1.0, start: Some(start) };
    let expected =
        "problem 0 starts from 4 columns and 3 outputs, the task has 5 and 1: start from a solution of the same task";
    assert_eq!(solve(&SolverConfig::default(), &task, &[problem], &mut |_| {}).unwrap_err().to_string(), expected);
}

#[test]
fn a_start_with_another_intercept_or_without_numbers_is_refused() {
    let made = Made::new(30, 4, 3);
    let check = |weights: &Array2<f64>, intercept: &ndarray::Array1<f64>, expected: &str| {
        let task = Task { rows: &made.rows, labels: &made.labels, classes: 3, sets: &made.sets };
        let problem = Problem { set: 0, c: 1.0, start: Some(Start { weights, intercept }) };
        let error = solve(&SolverConfig::default(), &task, &[problem], &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let zeros = Array2::zeros((4, 3));
    check(
        &zeros,
        &ndarray::Array1::zeros(2),
        "problem 0 starts from 4 columns and 2 outputs, the task has 4 and 3: start from a solution of the same task",
    );
    check(
        &zeros,
        &ndarray::array![0.0, f64::NAN, 0.0],
        "problem 0 starts from weights or an intercept that are not finite: leave out the start",
    );
}

/// Near the minimum of separable classes float32 is too coarse for the loss, wherever the search comes from.
#[test]
fn a_start_near_nothing_is_held_to_the_proof_of_a_cold_one() {
    let rows =
        Array2::from_shape_fn((60, 3), |(row, column)| (row % 2) as f64 * 5.0 + ((row * 7 + column * 3) % 5) as f64);
    let labels: Vec<usize> = (0..60).map(|row| row % 2).collect();
    let sets = [vec![1.0; 60]];
    let task = Task { rows: &rows, labels: &labels, classes: 2, sets: &sets };
    let objective = |start: Option<Start<'_>>, config: &SolverConfig| {
        let mut found = None;
        solve(config, &task, &[Problem { set: 0, c: 1e4, start }], &mut |solved| found = Some(solved.solution))
            .unwrap();
        found.unwrap()
    };
    let best = objective(None, &strict());
    let loose = objective(None, &SolverConfig { tolerance: 0.5, ..strict() });
    let start = Start { weights: &loose.weights, intercept: &loose.intercept };
    let config = SolverConfig { tolerance: 1e-6, ..strict() };
    let warm = objective(Some(start), &config);
    assert!(warm.converged && warm.objective <= best.objective * (1.0 + 1e-6), "{} {}", warm.objective, best.objective);
}

/// Numbers from 0 to 1, exclusive of 1 (Marsaglia, "Xorshift RNGs", 2003).
fn random() -> impl FnMut() -> f64 {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn strict() -> SolverConfig {
    SolverConfig { tolerance: 1e-10, ..SolverConfig::default() }
}

/// Weak regularisation, where little holds a weight.
fn weak() -> Vec<Problem<'static>> {
    vec![Problem { set: 0, c: 100.0, start: None }]
}

#[test]
fn a_column_that_is_constant_in_a_set_scores_no_row() {
    for (rows, columns) in [(150, 12), (60, 300)] {
        let made = Made::new(rows, columns, 3);
        let scores = |far: f64| {
            // Row 5 is not learnt from.
            let dead = Array2::from_shape_fn((rows, 1), |(row, _)| if row == 5 { far } else { 0.0 });
            let with = ndarray::concatenate![Axis(1), made.rows, dead];
            let made = Made { rows: with, labels: made.labels.clone(), sets: made.sets.clone(), ..made };
            let solved = made.solve(&strict(), &weak()).remove(0);
            assert!(solved.solution.converged);
            // A number added to the scores of all classes changes nothing.
            let scores = solved.scores.row(5);
            scores.iter().map(|score| score - scores[0]).collect::<Vec<f64>>()
        };
        let without = scores(0.0);
        for far in [1.0, 1e4, 1e8] {
            let off = scores(far).iter().zip(&without).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-3, "{rows} × {columns}, {far}: {off}");
        }
    }
}

#[test]
fn a_column_that_hardly_changes_in_a_set_keeps_no_fit_from_its_end() {
    for classes in [2, 3] {
        let mut made = Made::new(60, 300, classes);
        made.rows.column_mut(4).fill(0.0);
        made.rows[[2, 4]] = 1e-5;
        made.rows[[35, 4]] = 0.16;
        let problems: Vec<Problem<'_>> = (0..45)
            .flat_map(|step| {
                (0..3).map(move |set| Problem { set, c: 10f64.powf(f64::from(step) / 4.0 - 6.0), start: None })
            })
            .collect();
        let solved = made.solve(&strict(), &problems);
        let open: Vec<_> = solved.iter().filter(|solved| !solved.solution.converged).collect();
        assert!(open.is_empty(), "{} of {}", open.len(), solved.len());
    }
}

#[test]
fn a_sample_of_rows_too_wide_for_memory_leads_to_the_same_minimum() {
    let made = Made::new(600, 700, 3);
    // 512 rows of 600, whatever they take.
    let little = SolverConfig { max_bytes: 1, ..SolverConfig::default() };
    let problems = [0.01, 1.0].map(|c| Problem { set: 1, c, start: None });
    let (all, few) = (made.solve(&SolverConfig::default(), &problems), made.solve(&little, &problems));
    for (all, few) in all.iter().zip(&few) {
        assert!(all.solution.converged && few.solution.converged);
        check_same(&all.solution, &few.solution);
    }
}

/// Six classes of 120 columns: a search takes 0.66 MB, a curvature for each class 1.53 MB.
#[test]
fn what_searches_leave_of_the_memory_is_there_for_their_curvatures() {
    let made = Made::new(1500, 120, 6);
    let problems = [1.0, 100.0, 1e4].map(|c| Problem { set: 0, c, start: None });
    let steps = |max_bytes: usize| {
        let config = SolverConfig { max_bytes, tolerance: 1e-8, ..SolverConfig::default() };
        made.solve(&config, &problems).iter().map(|solved| solved.solution.iterations).sum::<u64>()
    };
    let (enough, too_little) = (steps(2_400_000), steps(2_000_000));
    assert_eq!(enough, steps(1 << 30));
    assert!(too_little > enough, "{too_little} {enough}");
}

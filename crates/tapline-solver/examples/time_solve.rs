//! Times each loss on made-up features: `time_solve ROWS COLUMNS CLASSES SETS [MEMORY]`, each set at C of 0.001, 0.01, 0.1
//! and 1. Prints a row for each loss, tab-separated: name, whether in the space of the rows (tried where they are fewer than the
//! columns), seconds, problems, problems converged, steps of all, outputs.
//!
//! The features are rectified mixtures of 40 directions, as correlated and as skewed as those of a layer; each set leaves
//! every fifth row out, another fifth for each. The labels of a row are its class, or for the losses of several outputs
//! whether it is of each class, which squared errors take as numbers.

use std::time::Instant;

use ndarray::Array2;
use tapline_solver::{ClassWeights, Classes, Loss, LossTask, Problem, SolverConfig, solve_loss};

/// Distance of the classes' centres from one another, against rows that spread by up to 1.5 in each direction.
const SPREAD: f64 = 0.25;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).map(|size| size.parse().expect("a number")).collect();
    let &[rows, columns, classes, sets, ref memory @ ..] = sizes.as_slice() else {
        panic!("give ROWS COLUMNS CLASSES SETS")
    };
    let config = SolverConfig { memory: memory.first().copied().unwrap_or(40), ..SolverConfig::default() };
    let (features, labels) = task(rows, columns, classes);
    let weight = |set: usize, row: usize| if row / classes % 5 == set % 5 { 0.0 } else { 1.0 };
    let sets: Vec<Vec<f64>> = (0..sets).map(|set| (0..rows).map(|row| weight(set, row)).collect()).collect();
    let several = Array2::from_shape_fn((rows, classes), |(row, class)| if labels[row] == class { 1.0 } else { 0.0 });
    let equal = Classes { labels: &labels, count: classes, weights: ClassWeights::Equal };
    let balanced = Classes { weights: ClassWeights::Balanced, ..equal };
    let losses = [
        ("logistic", Loss::Logistic(equal)),
        ("logistic, balanced", Loss::Logistic(balanced)),
        ("one-vs-rest", Loss::OneVsRest(several.view())),
        ("squared hinge", Loss::SquaredHinge(equal)),
        ("squared error", Loss::SquaredError(several.view())),
    ];
    println!("loss\trow space\tseconds\tproblems\tconverged\tsteps\toutputs");
    for (name, loss) in losses {
        for row_space in [false, true].into_iter().take(if rows < columns { 2 } else { 1 }) {
            let config = SolverConfig { row_space, ..config };
            let timed = timed(&config, &LossTask { rows: features.view(), loss, sets: &sets });
            println!("{name}\t{row_space}\t{timed}");
        }
    }
}

fn timed(config: &SolverConfig, task: &LossTask<'_>) -> String {
    let strengths = [0.001, 0.01, 0.1, 1.0];
    let problems: Vec<Problem<'_>> =
        (0..task.sets.len()).flat_map(|set| strengths.map(|c| Problem { set, c, start: None })).collect();
    let (mut steps, mut converged, mut outputs) = (0, 0, 0);
    let start = Instant::now();
    solve_loss(config, task, &problems, &mut |solved| {
        steps += solved.solution.iterations;
        converged += usize::from(solved.solution.converged);
        outputs = solved.scores.ncols();
    })
    .expect("a task to solve");
    let seconds = start.elapsed().as_secs_f64();
    format!("{seconds:.3}\t{}\t{converged}\t{steps}\t{outputs}", problems.len())
}

/// Rows scattered about one centre for each class, the classes in turn.
fn task(rows: usize, columns: usize, classes: usize) -> (Array2<f64>, Vec<usize>) {
    let (rank, mut next) = (40, random());
    let directions = Array2::from_shape_fn((rank, columns), |_| next());
    let centres = Array2::from_shape_fn((classes, rank), |_| next());
    let centre = |row: usize, j: usize| SPREAD * centres[[row % classes, j]];
    let hidden = Array2::from_shape_fn((rows, rank), |(row, j)| centre(row, j) + next() * 3.0 / (1.0 + j as f64 * 0.1));
    let noise = Array2::from_shape_fn((rows, columns), |_| next() * 0.5);
    let features = (hidden.dot(&directions) + noise).mapv(|value| value.max(0.0));
    (features, (0..rows).map(|row| row % classes).collect())
}

/// Numbers from −½ to ½ (Marsaglia, "Xorshift RNGs", 2003).
fn random() -> impl FnMut() -> f64 {
    let mut state = 1u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    }
}

//! Times one evaluation by each solver on made-up features: `time_evaluate ROWS COLUMNS CLASSES [FOLDS] [batched]`.
//!
//! The features are rectified mixtures of 40 directions, as correlated and as skewed as those of a layer.

use std::time::Instant;

use ndarray::Array2;
use tapline_probe::{Labelled, ProtocolConfig, Solver, evaluate};

/// Distance of the classes' centres from one another, against rows that spread by up to 1.5 in each direction.
const SPREAD: f64 = 0.25;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let batched_only = arguments.last().is_some_and(|last| last == "batched");
    arguments.truncate(arguments.len() - usize::from(batched_only));
    let sizes: Vec<usize> = arguments.iter().map(|size| size.parse().expect("a number")).collect();
    let [rows, columns, classes] = sizes[..3] else { panic!("give ROWS COLUMNS CLASSES") };
    let (features, labels) = task(rows, columns, classes);
    let data = Labelled { rows: features.view(), labels: &labels, classes, groups: None };
    let config = ProtocolConfig { folds: sizes.get(3).copied().unwrap_or(5), ..ProtocolConfig::default() };
    let batched = time(&config, &data);
    if !batched_only {
        let linfa = time(&ProtocolConfig { solver: Solver::LinfaLogistic, ..config }, &data);
        println!("linfa-logistic took {:.1} times as long", linfa / batched);
    }
}

/// Seconds of one evaluation.
fn time(config: &ProtocolConfig, data: &Labelled<'_, f32>) -> f64 {
    let start = Instant::now();
    let found = evaluate(config, data, &|| {}).expect("an evaluation");
    let seconds = start.elapsed().as_secs_f64();
    let strengths: Vec<f64> = found.folds.iter().map(|fold| fold.choice.c).collect();
    println!("{:?}: {seconds:.1} s, {} fits, {} not converged", config.solver, found.fits, found.not_converged.len());
    println!("{:?}, log loss {:.6}, strengths {strengths:?}", found.score(), found.log_loss);
    seconds
}

/// Rows scattered about one centre for each class, the classes in turn.
fn task(rows: usize, columns: usize, classes: usize) -> (Array2<f32>, Vec<usize>) {
    let (rank, mut next) = (40, random());
    let directions = Array2::from_shape_fn((rank, columns), |_| next());
    let centres = Array2::from_shape_fn((classes, rank), |_| next());
    let centre = |row: usize, j: usize| SPREAD * centres[[row % classes, j]];
    let hidden = Array2::from_shape_fn((rows, rank), |(row, j)| centre(row, j) + next() * 3.0 / (1.0 + j as f64 * 0.1));
    let noise = Array2::from_shape_fn((rows, columns), |_| next() * 0.5);
    let features = (hidden.dot(&directions) + noise).mapv(|value| value.max(0.0) as f32);
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

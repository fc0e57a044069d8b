//! Solves a grid of strengths for each fold of a raw table, for other programs to time and to check:
//! `solve_file ROWS COLUMNS CLASSES FEATURES LABELS FOLDS TOLERANCE LOSS SCALING STRENGTH…`.
//!
//! FEATURES holds float32 `[rows, columns]`, LABELS and FOLDS uint32 `[rows]`, all little-endian; one training set for each
//! fold leaves its rows out,
//! and rows of fold 2³² − 1 are always learnt from. LOSS is `logistic`, `hinge` or `squares` (of the
//! label as a number), SCALING `standardise` or `none`. Prints JSON: seconds of the solver alone, and fold, strength, objective, excess, iterations and right
//! rows among those left out for each problem.

use std::time::Instant;

use ndarray::{Array2, ArrayView2};
use serde_json::json;
use tapline_solver::{ClassWeights, Classes, Loss, LossTask, Problem, Scaling, Solved, SolverConfig, solve_loss};

/// The fold of rows that are always learnt from.
const ALWAYS: usize = u32::MAX as usize;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, columns, classes, features, labels, folds, tolerance, loss, scaling, strengths @ ..] = args.as_slice()
    else {
        panic!("give ROWS COLUMNS CLASSES FEATURES LABELS FOLDS TOLERANCE LOSS SCALING STRENGTH…")
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (rows, columns, classes) = (number(rows), number(columns), number(classes));
    let values: Vec<f32> = words(features).map(f32::from_le_bytes).collect();
    let features = ArrayView2::from_shape((rows, columns), &values).expect("rows × columns values");
    let labels: Vec<usize> = words(labels).map(|word| u32::from_le_bytes(word) as usize).collect();
    let folds: Vec<usize> = words(folds).map(|word| u32::from_le_bytes(word) as usize).collect();
    let count = folds.iter().filter(|&&fold| fold != ALWAYS).max().map_or(0, |highest| highest + 1);
    let mut sets: Vec<Vec<f64>> =
        (0..count).map(|out| folds.iter().map(|&fold| if fold == out { 0.0 } else { 1.0 }).collect()).collect();
    sets.retain(|set| set.contains(&0.0));
    let strengths: Vec<f64> = strengths.iter().map(|c| c.parse().expect("a strength")).collect();
    let problems: Vec<Problem<'_>> =
        (0..sets.len()).flat_map(|set| strengths.iter().map(move |&c| Problem { set, c, start: None })).collect();
    let memory = if classes > 20 { 10 } else { 40 };
    let scaling = if scaling == "none" { Scaling::None } else { Scaling::Standardise };
    let config =
        SolverConfig { memory, scaling, tolerance: tolerance.parse().expect("a tolerance"), ..SolverConfig::default() };
    let equal = Classes { labels: &labels, count: classes, weights: ClassWeights::Equal };
    let numbers = Array2::from_shape_fn((rows, 1), |(row, _)| labels[row] as f64);
    let loss = match loss.as_str() {
        "logistic" => Loss::Logistic(equal),
        "hinge" => Loss::SquaredHinge(equal),
        _ => Loss::SquaredError(numbers.view()),
    };
    let task = LossTask { rows: &features, loss, sets: &sets };
    let mut found = Vec::new();
    let start = Instant::now();
    solve_loss(&config, &task, &problems, &mut |solved| {
        let Problem { set, c, .. } = problems[solved.problem];
        let right = (0..rows).filter(|&row| sets[set][row] == 0.0 && class(&solved, row) == labels[row]).count();
        let solution = &solved.solution;
        found.push(json!({
            "fold": set, "c": c, "objective": solution.objective, "excess": solution.excess,
            "converged": solution.converged, "iterations": solution.iterations, "right": right,
        }));
    })
    .expect("a task to solve");
    println!("{}", json!({ "seconds": start.elapsed().as_secs_f64(), "fits": found }));
}

fn class(solved: &Solved, row: usize) -> usize {
    let scores = solved.scores.row(row);
    match scores.len() {
        1 => usize::from(scores[0] > 0.0),
        count => (1..count).fold(0, |best, class| if scores[class] > scores[best] { class } else { best }),
    }
}

fn words(path: &str) -> impl Iterator<Item = [u8; 4]> {
    let bytes = std::fs::read(path).expect("a file");
    let words: Vec<[u8; 4]> = bytes.as_chunks::<4>().0.to_vec();
    words.into_iter()
}

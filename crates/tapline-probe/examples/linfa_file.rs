//! One fit by linfa-logistic on a raw table, for other programs to time: `linfa_file ROWS COLUMNS CLASSES FEATURES LABELS C
//! TOLERANCE`, files as for tapline-solver's `solve_file`. Prints JSON: seconds, objective and whether it converged.

use std::time::Instant;

use ndarray::ArrayView2;
use serde_json::json;
use tapline_probe::{FitConfig, Labelled, fit};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, columns, classes, features, labels, c, tolerance] = args.as_slice() else {
        panic!("give ROWS COLUMNS CLASSES FEATURES LABELS C TOLERANCE")
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let values: Vec<f32> = words(features).map(f32::from_le_bytes).collect();
    let rows = ArrayView2::from_shape((number(rows), number(columns)), &values).expect("rows × columns values");
    let labels: Vec<usize> = words(labels).map(|word| u32::from_le_bytes(word) as usize).collect();
    let data = Labelled { rows, labels: &labels, classes: number(classes), groups: None };
    let parse = |text: &String| text.parse::<f64>().expect("a number");
    let config = FitConfig { c: parse(c), tolerance: parse(tolerance), ..FitConfig::default() };
    let start = Instant::now();
    let found = fit(&config, &data, None).expect("a task to fit");
    let seconds = start.elapsed().as_secs_f64();
    println!("{}", json!({ "seconds": seconds, "objective": found.objective, "converged": found.converged }));
}

fn words(path: &str) -> impl Iterator<Item = [u8; 4]> {
    let bytes = std::fs::read(path).expect("a file");
    let words: Vec<[u8; 4]> = bytes.as_chunks::<4>().0.to_vec();
    words.into_iter()
}

//! Solves a grid of strengths over a raw table that stays on disk, for other programs to time:
//! `stream_file ROWS COLUMNS CLASSES FEATURES LABELS FOLDS TOLERANCE WHERE STRENGTH…`.
//!
//! FEATURES holds float16 `[rows, columns]`, LABELS and FOLDS uint32 `[rows]`, all little-endian; one training set leaves out the rows of
//! fold 0. WHERE is `file`, for rows read anew in each pass, or `memory`, for rows kept in float32. Prints JSON: seconds of the
//! solver alone, how often the whole table was read, the most memory the process had resident in bytes, and strength, objective, iterations and whether it
//! converged for each problem.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;
use tapline_core::{Dtype, widen};
use tapline_solver::{
    ClassWeights, Classes, Loss, LossTask, Problem, RowSource, Scaling, SolverConfig, Units, solve_loss,
};

/// Bytes read from the file at a time.
const NEAR_BYTES: usize = 64 << 10;

/// A table of float16 in a file.
struct OnDisk {
    file: File,
    rows: usize,
    columns: usize,
    /// Rows read so far.
    read: AtomicU64,
}

impl OnDisk {
    /// Gives each row from `first` on to `write`, with its place in `out [rows, columns]`.
    fn read_by<T>(&self, first: usize, out: &mut [T], write: impl Fn(&[f32], &mut [T])) {
        let row_bytes = self.columns * Dtype::F16.size();
        // What is read at a time stays near.
        let some = (NEAR_BYTES / row_bytes).max(1);
        let (mut bytes, mut row) = (vec![0; some * row_bytes], vec![0.0; self.columns]);
        for (part, out) in out.chunks_mut(some * self.columns).enumerate() {
            let rows = out.len() / self.columns;
            let bytes = &mut bytes[..rows * row_bytes];
            self.file.read_exact_at(bytes, ((first + part * some) * row_bytes) as u64).expect("rows of the file");
            for (out, bytes) in out.chunks_exact_mut(self.columns).zip(bytes.chunks_exact(row_bytes)) {
                widen(Dtype::F16, bytes, &mut row);
                write(&row, out);
            }
        }
        self.read.fetch_add((out.len() / self.columns) as u64, Ordering::Relaxed);
    }
}

impl RowSource for OnDisk {
    fn dim(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn read(&self, first: usize, units: &Units, out: &mut [f32]) {
        self.read_by(first, out, |row, out| units.apply_f32(row, out));
    }

    fn read_f64(&self, first: usize, units: &Units, out: &mut [f64]) {
        self.read_by(first, out, |row, out| units.apply(row, out, |value| value));
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, columns, classes, features, labels, folds, tolerance, kept, strengths @ ..] = args.as_slice() else {
        panic!("give ROWS COLUMNS CLASSES FEATURES LABELS FOLDS TOLERANCE WHERE STRENGTH…")
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (rows, columns, classes) = (number(rows), number(columns), number(classes));
    let table = OnDisk { file: File::open(features).expect("a file"), rows, columns, read: AtomicU64::new(0) };
    let labels: Vec<usize> = words(labels);
    let set: Vec<f64> = words(folds).into_iter().map(|fold| if fold == 0 { 0.0 } else { 1.0 }).collect();
    let strengths: Vec<f64> = strengths.iter().map(|c| c.parse().expect("a strength")).collect();
    let problems: Vec<Problem<'_>> = strengths.iter().map(|&c| Problem { set: 0, c, start: None }).collect();
    let config = SolverConfig {
        memory: 10,
        scaling: Scaling::Standardise,
        tolerance: tolerance.parse().expect("a tolerance"),
        max_bytes: if kept == "memory" { 6 * rows * columns } else { 512 << 20 },
        ..SolverConfig::default()
    };
    let loss = Loss::Logistic(Classes { labels: &labels, count: classes, weights: ClassWeights::Equal });
    let sets = [set];
    let task = LossTask { rows: &table, loss, sets: &sets };
    let mut fits = Vec::new();
    let start = Instant::now();
    solve_loss(&config, &task, &problems, &mut |solved| {
        let (c, found) = (strengths[solved.problem], &solved.solution);
        fits.push(json!({
            "c": c, "objective": found.objective, "iterations": found.iterations, "converged": found.converged,
        }));
    })
    .expect("a task to solve");
    let seconds = start.elapsed().as_secs_f64();
    let reads = table.read.into_inner() as f64 / rows as f64;
    println!("{}", json!({ "seconds": seconds, "reads": reads, "resident": resident(), "fits": fits }));
}

/// The most memory that was ever resident, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

fn words(path: &str) -> Vec<usize> {
    let bytes = std::fs::read(path).expect("a file");
    bytes.as_chunks::<4>().0.iter().map(|&word| u32::from_le_bytes(word) as usize).collect()
}

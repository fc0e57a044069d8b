//! Small made-up tasks for the tests, each the same on every run.

use ndarray::Array2;
use tapline_probe::Labelled;

/// Features with labels that depend on them.
pub struct Task {
    /// Features `[rows, columns]`.
    pub rows: Array2<f32>,
    /// Class of each row `[rows]`.
    pub labels: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
}

impl Task {
    /// Uniform features; class `c` is the more likely, the higher column `c` (of few columns, in turn).
    pub fn new(rows: usize, columns: usize, classes: usize) -> Self {
        let mut next = random(rows as u64 * 31 + columns as u64 * 7 + classes as u64);
        let features = Array2::from_shape_fn((rows, columns), |_| next() as f32 * 2.0 - 1.0);
        let label = |row: usize| {
            let scores: Vec<f64> =
                (0..classes).map(|class| f64::from(features[[row, class % columns]]) + 0.8 * next()).collect();
            (0..classes).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).expect("a class")
        };
        let labels = (0..rows).map(label).collect();
        Self { rows: features, labels, classes }
    }

    /// Features and labels as the crate takes them.
    pub fn data(&self) -> Labelled<'_, f32> {
        Labelled { rows: self.rows.view(), labels: &self.labels, classes: self.classes, groups: None }
    }
}

/// Numbers from 0 to 1, exclusive of 1 (Marsaglia, "Xorshift RNGs", 2003).
pub fn random(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

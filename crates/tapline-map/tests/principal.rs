//! Principal components against NumPy's singular value decomposition (`goldens/make.py`).

use ndarray::Array2;
use serde::Deserialize;
use tapline_map::principal;

#[derive(Deserialize)]
struct Golden {
    rows: usize,
    columns: usize,
    components: usize,
    explained: Vec<f64>,
    scores: Vec<Vec<f64>>,
}

/// Of the share of variance; ten times it of the coordinates, as a share of the largest.
const TOLERANCE: f64 = 1e-5;

fn rows(n: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, columns), |(r, c)| {
        let noise = ((r * 7919 + c * 104_729 + r * c * 31) % 1009) as f64 / 1009.0;
        (noise * (10.0 / (1.0 + c as f64)) + if r % 3 == c % 3 { 2.0 } else { 0.0 }) as f32
    })
}

#[test]
fn components_are_those_of_a_singular_value_decomposition() {
    let goldens: Vec<Golden> = serde_json::from_str(include_str!("goldens/goldens.json")).expect("goldens");
    assert_eq!(goldens.len(), 3);
    for golden in goldens {
        let found = principal(rows(golden.rows, golden.columns).view(), golden.components).expect("finite rows");
        let largest = golden.scores.iter().flatten().fold(0.0_f64, |a, b| a.max(b.abs()));
        for (k, expected) in golden.explained.iter().enumerate() {
            assert!((found.explained[k] - expected).abs() < TOLERANCE, "share {k}: {} {expected}", found.explained[k]);
            for (row, expected) in golden.scores.iter().enumerate() {
                let gap = (f64::from(found.scores[[row, k]]) - expected[k]).abs();
                assert!(gap < TOLERANCE * largest * 10.0, "row {row} of component {k} is off by {gap}");
            }
        }
    }
}

//! Seconds of a verdict, of LogME and of H-score at the sizes given: pictures, taps, columns.
//!
//!     cargo run --release -p tapline-compare --example time_compare -- 2624 19 1280

use std::time::Instant;

use ndarray::Array2;
use tapline_compare::{Cost, Outcomes, Resampling, h_score, log_me, verdict};

fn main() -> Result<(), tapline_compare::Error> {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let &[pictures, taps, columns] = &sizes[..] else {
        eprintln!("give three numbers: pictures, taps, columns");
        return Ok(());
    };
    let scatter = |a: usize, b: usize| (a.wrapping_mul(0x9e37_79b9) ^ b.wrapping_mul(0x85eb_ca6b)) % 10_007;
    let right =
        Array2::from_shape_fn((taps, pictures), |(tap, picture)| scatter(picture, 1) + scatter(picture, tap) < 15_000);
    let fold_of: Vec<usize> = (0..pictures).map(|picture| picture % 5).collect();
    let costs = vec![Cost { multiply_adds: 1, features: columns }; taps];
    let started = Instant::now();
    verdict(&Resampling::default(), &Outcomes::of(right.view(), &fold_of), &costs)?;
    println!("verdict, {pictures} pictures, {taps} taps: {:.2} s", started.elapsed().as_secs_f64());
    let rows = Array2::from_shape_fn((pictures, columns), |(row, column)| scatter(row, column + 7) as f32 / 1e4);
    let labels: Vec<usize> = (0..pictures).map(|row| row % 20).collect();
    let started = Instant::now();
    log_me(rows.view(), &labels)?;
    println!("LogME, {pictures} rows, {columns} columns, 20 classes: {:.2} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    h_score(rows.view(), &labels)?;
    println!("H-score, {pictures} rows, {columns} columns, 20 classes: {:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}

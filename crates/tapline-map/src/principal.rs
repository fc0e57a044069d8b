//! Principal components of many rows, the largest ones alone.
//!
//! A full decomposition of 2,000 × 1,280 takes seconds; a map needs two components, and t-SNE fifty.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use crate::Error;
use crate::sample::next;
use crate::symmetric::eigen;

/// Directions kept beyond those asked for, and passes over the rows: with both, the components asked for converge fast.
const SPARE: usize = 10;
const PASSES: usize = 12;

/// Rows seen along their principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// Coordinates of the rows, centred `[rows, components]`, in the units of the features.
    pub scores: Array2<f32>,
    /// Share of the total variance along each component, descending, 0 to 1; zeros where no column varies.
    pub explained: Vec<f64>,
}

/// The first `components` principal components of `rows` `[rows, columns]`, or as many as there are rows or columns.
///
/// Columns are centred, not scaled. Block power iteration with orthonormalisation, then the eigenvectors of the
/// projected covariance (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithm 4.4, from a
/// fixed start). The sign of each component makes its largest loading positive.
///
/// # Errors
/// For fewer than two rows, no columns, and numbers that are not finite.
pub fn principal(rows: ArrayView2<'_, f32>, components: usize) -> Result<Principal, Error> {
    check(&rows)?;
    let (n, columns) = rows.dim();
    let wanted = components.min(n).min(columns);
    let kept = (wanted + SPARE).min(n).min(columns);
    let mut centred = centre(&rows);
    let unit = unit_of(&centred);
    centred.mapv_inplace(|x| x / unit);
    let total: f64 = centred.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let mut basis = start(columns, kept);
    for _ in 0..PASSES {
        orthonormalise(&mut basis);
        basis = centred.t().dot(&centred.dot(&basis));
    }
    orthonormalise(&mut basis);
    let projected = centred.dot(&basis);
    let wide = projected.mapv(f64::from);
    let (values, turn) = eigen(wide.t().dot(&wide));
    let turn = turn.slice(s![.., ..wanted]).mapv(|x| x as f32);
    let mut scores = projected.dot(&turn);
    point_up(&mut scores, &basis.dot(&turn));
    scores.mapv_inplace(|x| x * unit);
    let explained = values[..wanted].iter().map(|value| if total > 0.0 { (value / total).max(0.0) } else { 0.0 });
    Ok(Principal { scores, explained: explained.collect() })
}

/// The power of two that brings the largest magnitude to between 1 and 2: squares of numbers far from 1 leave float32, and dividing by
/// it rounds nothing.
pub(crate) fn unit_of(values: &Array2<f32>) -> f32 {
    let largest = values.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let power = f32::from_bits(largest.to_bits() & f32::INFINITY.to_bits());
    if largest == 0.0 { 1.0 } else { power.max(f32::MIN_POSITIVE) }
}

fn check(rows: &ArrayView2<'_, f32>) -> Result<(), Error> {
    let (n, columns) = rows.dim();
    if n < 2 || columns == 0 {
        return Err(Error::Empty { rows: n, columns });
    }
    match rows.outer_iter().position(|row| row.iter().any(|x| !x.is_finite())) {
        Some(row) => Err(Error::NotFinite { row }),
        None => Ok(()),
    }
}

/// The rows less their mean.
fn centre(rows: &ArrayView2<'_, f32>) -> Array2<f32> {
    let mean: Array1<f64> = rows.mapv(f64::from).mean_axis(Axis(0)).expect("at least two rows");
    let mean = mean.mapv(|x| x as f32);
    rows - &mean
}

/// Directions to start from `[columns, kept]`: fixed, and in no likely relation to any data.
fn start(columns: usize, kept: usize) -> Array2<f32> {
    let mut state = 0;
    Array2::from_shape_simple_fn((columns, kept), || (next(&mut state) >> 40) as f32 / (1 << 23) as f32 - 1.0)
}

/// Makes the columns orthonormal by Gram and Schmidt, twice over for accuracy; what depends on earlier ones becomes zero.
fn orthonormalise(basis: &mut Array2<f32>) {
    for column in 0..basis.ncols() {
        let (done, mut rest) = basis.view_mut().split_at(Axis(1), column);
        let mut this = rest.column_mut(0);
        let before = this.dot(&this).sqrt();
        for _ in 0..2 {
            let along = done.t().dot(&this);
            this -= &done.dot(&along);
        }
        let length = this.dot(&this).sqrt();
        if length > 1e-6 * before && length.is_finite() {
            this /= length;
        } else {
            this.fill(0.0);
        }
    }
}

/// Turns components round so that the largest loading of each is positive.
fn point_up(scores: &mut Array2<f32>, loadings: &Array2<f32>) {
    for (mut scores, loadings) in scores.columns_mut().into_iter().zip(loadings.columns()) {
        let largest = loadings.iter().fold(0.0_f32, |best, &x| if x.abs() > best.abs() { x } else { best });
        if largest < 0.0 {
            scores *= -1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_on_a_line_have_one_component() {
        let found = principal(array![[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]].view(), 2).unwrap();
        let first: Vec<f32> = found.scores.column(0).to_vec();
        assert!(first.iter().zip([-5.0, 0.0, 5.0]).all(|(a, b)| (a - b).abs() < 1e-5), "{first:?}");
        assert!((found.explained[0] - 1.0).abs() < 1e-6 && found.explained[1] < 1e-9, "{:?}", found.explained);
    }

    #[test]
    fn large_and_small_features_have_the_map_of_those_near_one() {
        let rows = Array2::from_shape_fn((40, 30), |(row, column)| ((row * 7 + column * row * 3) % 11) as f32 - 5.0);
        let expected = principal(rows.view(), 3).unwrap();
        for unit in [2.0_f32.powi(40), 2.0_f32.powi(-60)] {
            let found = principal((&rows * unit).view(), 3).unwrap();
            assert_eq!(found.explained, expected.explained);
            assert_eq!(found.scores, &expected.scores * unit);
        }
    }

    #[test]
    fn rows_that_are_all_alike_lie_at_zero() {
        let found = principal(Array2::from_elem((4, 3), 2.5).view(), 2).unwrap();
        assert_eq!(found.explained, [0.0, 0.0]);
        assert!(found.scores.iter().all(|&x| x == 0.0));
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        assert_eq!(principal(Array2::zeros((1, 3)).view(), 2), Err(Error::Empty { rows: 1, columns: 3 }));
        let broken = array![[0.0, 1.0], [f32::NAN, 1.0]];
        assert_eq!(principal(broken.view(), 2), Err(Error::NotFinite { row: 1 }));
    }
}

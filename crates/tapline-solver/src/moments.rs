//! Mean and scale of the columns over each training set.

use ndarray::{Array1, Array2};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::table::{Table, Units};
use crate::{Scaling, Start};

/// Mean and scale of each column over the rows of one training set.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Weighted mean of each column `[columns]`.
    pub mean: Array1<f64>,
    /// What the weights are penalised in: the weighted population standard deviation of each column `[columns]`, 1 where it is
    /// constant; or 1 throughout ([`Scaling::None`]).
    pub scale: Array1<f64>,
    /// Whether a column is the same number in all rows of the set, so that its weight is 0 `[columns]`.
    pub(crate) is_constant: Vec<bool>,
}

impl Moments {
    /// A start as a point for rows in the table's units: weights row by row, then intercepts.
    ///
    /// `v = w / (σ i)` and `b + Σ w (μ − m) / σ`, with mean `m` and scale `σ` of the set, `μ` and `i` the table's units.
    pub(crate) fn point(&self, units: &Units, start: Start<'_>) -> Vec<f64> {
        let mut point = Vec::with_capacity(start.weights.len() + start.intercept.len());
        let mut intercept = start.intercept.to_vec();
        for (column, weights) in start.weights.outer_iter().enumerate() {
            let (mean, scale) = (self.mean[column], self.scale[column]);
            let (centre, inverse) = (f64::from(units.mean[column]), f64::from(units.inverse[column]));
            if self.is_constant[column] {
                point.extend(weights.iter().map(|_| 0.0));
                continue;
            }
            point.extend(weights.iter().map(|weight| weight / (scale * inverse)));
            intercept.iter_mut().zip(weights).for_each(|(b, weight)| *b += weight * (centre - mean) / scale);
        }
        point.extend(intercept);
        point
    }

    /// The way back, to weights `[columns, outputs]` and intercepts: `w = v σ i` and `b − Σ w (μ − m) / σ`.
    pub(crate) fn weights(&self, units: &Units, point: &[f64], outputs: usize) -> (Array2<f64>, Array1<f64>) {
        let columns = self.mean.len();
        let (weights, intercept) = point.split_at(columns * outputs);
        let mut weights = Array2::from_shape_vec((columns, outputs), weights.to_vec()).expect("columns × outputs");
        let mut intercept = Array1::from_vec(intercept.to_vec());
        for (column, mut weights) in weights.outer_iter_mut().enumerate() {
            let (mean, scale) = (self.mean[column], self.scale[column]);
            weights *= scale * f64::from(units.inverse[column]);
            intercept.scaled_add((mean - f64::from(units.mean[column])) / scale, &weights);
        }
        (weights, intercept)
    }
}

/// A variance below this share of the squared mean is rounding: the column is constant.
const ROUNDING: f64 = 1e-12;

/// Columns that one thread sums.
const TILE: usize = 256;

/// The moments of each of `sets [sets][rows]`, in one pass over the table.
///
/// `mean = Σ d x / Σ d` and `scale = √(Σ d x² / Σ d − mean²)`, in the table's units, where means are small beside spreads.
pub(crate) fn moments(table: &Table<'_>, sets: &[Vec<f64>], scaling: Scaling) -> Vec<Moments> {
    let columns = table.columns;
    let mut sums = vec![(vec![0.0f64; columns], vec![0.0f64; columns]); sets.len()];
    let mut buffer = Vec::new();
    for block in table.blocks() {
        let values = table.block(block.clone(), &mut buffer);
        sums.par_iter_mut().zip(sets).for_each(|((sums, squares), weights)| {
            let tiles = sums.par_chunks_mut(TILE).zip(squares.par_chunks_mut(TILE)).enumerate();
            tiles.for_each(|(tile, (sums, squares))| {
                let (first, weights) = (tile * TILE, &weights[block.clone()]);
                Arch::new().dispatch(Add { values, columns, first, weights, sums, squares });
            });
        });
    }
    let moments = |((sums, squares), weights): (&(Vec<f64>, Vec<f64>), &Vec<f64>)| {
        let total: f64 = weights.iter().sum();
        let of_column = |(column, (sum, square)): (usize, (&f64, &f64))| {
            let (mean, square) = (sum / total, square / total);
            let variance = square - mean * mean;
            let unit = 1.0 / f64::from(table.units.inverse[column]);
            let is_constant = variance.is_nan() || variance <= ROUNDING * mean * mean || variance < f64::MIN_POSITIVE;
            let scale = if is_constant || scaling == Scaling::None { 1.0 } else { variance.sqrt() * unit };
            (mean * unit + f64::from(table.units.mean[column]), (scale, is_constant))
        };
        let (mean, rest): (Vec<f64>, Vec<_>) = sums.iter().zip(squares).enumerate().map(of_column).unzip();
        let (scale, is_constant): (Vec<f64>, Vec<bool>) = rest.into_iter().unzip();
        Moments { mean: mean.into(), scale: scale.into(), is_constant }
    };
    sums.iter().zip(sets).map(moments).collect()
}

/// What adds rows of a set to the sums of some columns.
struct Add<'a> {
    /// `[rows, columns]`.
    values: &'a [f32],
    columns: usize,
    /// The first of the columns summed.
    first: usize,
    /// Of each row.
    weights: &'a [f64],
    /// `Σ d x` of each column.
    sums: &'a mut [f64],
    /// `Σ d x²` of each column.
    squares: &'a mut [f64],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { values, columns, first, weights, sums, squares } = self;
        for (row, &weight) in values.chunks_exact(columns).zip(weights).filter(|&(_, &weight)| weight > 0.0) {
            for ((sum, square), &value) in sums.iter_mut().zip(&mut *squares).zip(&row[first..]) {
                let value = f64::from(value);
                *sum += weight * value;
                *square += weight * value * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn check(sets: &[Vec<f64>], scaling: Scaling, expected: &[(f64, f64)]) {
        let rows = array![[1.0, 0.1], [3.0, 0.1], [4.0, 0.1], [1e4, 0.1]];
        let used: Vec<bool> = (0..4).map(|row| sets.iter().any(|set| set[row] > 0.0)).collect();
        let table = Table::new(&rows, &used, usize::MAX).unwrap();
        for (found, (mean, scale)) in moments(&table, sets, scaling).iter().zip(expected) {
            assert!((found.mean[0] - mean).abs() < 1e-2 && (found.scale[0] - scale).abs() < 1e-2, "{found:?}");
            assert!((found.mean[1] - 0.1).abs() < 1e-7 && found.scale[1] == 1.0, "{found:?}");
        }
    }

    #[test]
    fn each_set_has_moments_of_its_own() {
        let sets = [vec![1.0, 1.0, 0.0, 0.0], vec![1.0, 0.0, 2.0, 0.0]];
        check(&sets, Scaling::Standardise, &[(2.0, 1.0), (3.0, 2f64.sqrt())]);
        check(&sets, Scaling::None, &[(2.0, 1.0), (3.0, 1.0)]);
    }

    #[test]
    fn a_start_leaves_out_columns_that_are_constant_in_the_set() {
        let rows = array![[1.0, 5.0], [3.0, 5.0], [8.0, 9.0]];
        let table = Table::new(&rows, &[true; 3], usize::MAX).unwrap();
        let moments = moments(&table, &[vec![1.0, 1.0, 0.0]], Scaling::Standardise).remove(0);
        let (weights, intercept) = (array![[2.0], [7.0]], array![0.5]);
        let point = moments.point(&table.units, Start { weights: &weights, intercept: &intercept });
        assert_eq!(point[1], 0.0);
        // Scores of the rows of the set are those of the other column alone.
        for (value, score) in [(1.0, -1.5), (3.0, 2.5)] {
            let unit = (value - f64::from(table.units.mean[0])) * f64::from(table.units.inverse[0]);
            assert!((point[0] * unit + point[2] - score).abs() < 1e-5, "{point:?}");
        }
    }

    #[test]
    fn a_set_without_the_far_rows_of_others_keeps_its_digits() {
        check(&[vec![1.0, 1.0, 0.0, 0.0], vec![1.0; 4]], Scaling::Standardise, &[(2.0, 1.0), (2502.0, 4328.97)]);
    }
}

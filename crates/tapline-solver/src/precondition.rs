//! The curvature that all problems of a batch share: what turns a gradient into nearly the whole way to the minimum.
//!
//! The Hessian of one output is `Xᵀ D X + ρ / C` with `D` the second derivatives of the rows' losses. Here stands their mean
//! over all outputs and training sets, factored anew for each strength; what the mean leaves out, the memory of steps
//! learns. It need not be exact: it steers the search, and proves nothing.

use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::table::Table;

/// Rows that the curvature is taken from, at most: evenly spread over the table where there are more.
const SAMPLE: usize = 4096;
/// Columns of a product that one thread works on.
const TILE: usize = 128;

/// The rows that the curvature is taken from.
pub(crate) struct Sample {
    /// Numbers of the rows, ascending.
    pub(crate) rows: Vec<usize>,
    /// How many rows of the table each stands for.
    share: f64,
    /// `[columns, sample]`: each row in one run.
    values: Mat<f32>,
}

/// A factor of the curvature at one strength, ready to be applied.
pub(crate) struct Preconditioner<'a> {
    sample: &'a Sample,
    /// `√(C / ρ)` of each weight `[columns]`: the problem is scaled so that the penalty is the identity.
    scale: Vec<f32>,
    factor: Factor,
    /// `1 / Σ D`: the curvature of the intercept, taken apart.
    intercept: f32,
}

enum Factor {
    /// Cholesky factor of `I + S Xᵀ D X S`, lower `[columns, columns]`.
    Columns(Mat<f32>),
    /// Cholesky factor of `I + √D X S² Xᵀ √D`, lower `[sample, sample]`, and `√D`; the other follows by Woodbury's identity.
    Rows(Mat<f32>, Vec<f32>),
}

/// What does not change from one strength to the next: products of the sample with itself.
pub(crate) enum Products {
    /// `Xᵀ D X`, lower `[columns, columns]`, and `Σ D`.
    Columns(Mat<f32>, f64),
    /// `X ρ⁻¹ Xᵀ`, lower `[sample, sample]`, `D` and `Σ D`.
    Rows(Mat<f32>, Vec<f32>, f64),
}

impl Sample {
    /// A sample of the rows that `used [rows]` marks.
    pub(crate) fn of(table: &Table<'_>, used: &[bool]) -> Self {
        let all: Vec<usize> = (0..table.rows).filter(|&row| used[row]).collect();
        let size = all.len().min(SAMPLE);
        let rows: Vec<usize> = (0..size).map(|place| all[place * all.len() / size]).collect();
        let mut values = Mat::zeros(table.columns, size);
        let (mut buffer, mut place) = (Vec::new(), 0);
        for block in table.blocks() {
            if place == size || rows[place] >= block.end {
                continue;
            }
            let lent = table.block(block.clone(), &mut buffer);
            while place < size && rows[place] < block.end {
                let first = (rows[place] - block.start) * table.columns;
                let row = &lent[first..first + table.columns];
                values.col_as_slice_mut(place).copy_from_slice(row);
                place += 1;
            }
        }
        Self { share: all.len() as f64 / size as f64, rows, values }
    }

    /// Floating-point operations of [`Sample::products`] and a factor.
    pub(crate) fn cost(&self) -> f64 {
        let (columns, rows) = (self.values.nrows() as f64, self.rows.len() as f64);
        if self.by_columns() {
            rows * columns * columns + columns.powi(3) / 3.0
        } else {
            rows.powi(3) / 3.0 + rows * rows
        }
    }

    fn by_columns(&self) -> bool {
        self.values.nrows() <= self.rows.len()
    }

    /// Products for curvatures `d [sample]` of the rows, and mean penalties `rho [columns]`; `before` is used up where it
    /// can be.
    pub(crate) fn products(&self, d: &[f64], rho: &[f64], before: Option<Products>) -> Products {
        let total = d.iter().sum::<f64>() * self.share;
        let d: Vec<f32> = d.iter().map(|&d| (d * self.share) as f32).collect();
        if self.by_columns() {
            let mut weighted = self.values.clone();
            weighted.par_col_chunks_mut(TILE).zip(d.par_chunks(TILE)).for_each(|(mut rows, d)| {
                for (row, d) in d.iter().enumerate() {
                    rows.as_mut().col_mut(row).iter_mut().for_each(|value| *value *= d.sqrt());
                }
            });
            return Products::Columns(gram(weighted.transpose()), total);
        }
        if let Some(Products::Rows(gram, ..)) = before {
            return Products::Rows(gram, d, total);
        }
        let mut scaled = self.values.clone();
        for column in 0..scaled.ncols() {
            let values = scaled.col_as_slice_mut(column).iter_mut();
            values.zip(rho).for_each(|(value, &rho)| *value *= (1.0 / rho.sqrt()) as f32);
        }
        Products::Rows(gram(scaled.as_ref()), d, total)
    }

    /// The preconditioner for strength `c`.
    pub(crate) fn factor(&self, products: &Products, rho: &[f64], c: f64) -> Preconditioner<'_> {
        let scale: Vec<f32> = rho.iter().map(|&rho| (c / rho).sqrt() as f32).collect();
        let (factor, total) = match products {
            Products::Columns(gram, total) => (Factor::Columns(cholesky(scaled(gram, &scale))), total),
            Products::Rows(gram, d, total) => {
                let roots: Vec<f32> = d.iter().map(|d| d.sqrt()).collect();
                let scale: Vec<f32> = d.iter().map(|&d| (f64::from(d) * c).sqrt() as f32).collect();
                (Factor::Rows(cholesky(scaled(gram, &scale)), roots), total)
            }
        };
        Preconditioner { sample: self, scale, factor, intercept: (1.0 / total.max(f64::MIN_POSITIVE)) as f32 }
    }
}

impl Preconditioner<'_> {
    /// Multiplies each of `gradients [columns + 1]`, the last of each the intercept's, by the inverse curvature.
    pub(crate) fn apply(&self, mut gradients: MatMut<'_, f32>) {
        let columns = self.scale.len();
        gradients.as_mut().par_col_chunks_mut(16).for_each(|mut part| {
            for column in 0..part.ncols() {
                part[(columns, column)] *= self.intercept;
                (0..columns).for_each(|row| part[(row, column)] *= self.scale[row]);
            }
            let mut weights = part.as_mut().subrows_mut(0, columns);
            match &self.factor {
                Factor::Columns(factor) => solve(factor.as_ref(), weights.as_mut()),
                Factor::Rows(factor, roots) => self.by_rows(factor.as_ref(), roots, weights.as_mut()),
            }
            for column in 0..part.ncols() {
                (0..columns).for_each(|row| part[(row, column)] *= self.scale[row]);
            }
        });
    }

    /// `(I + Aᵀ A)⁻¹ q = q − Aᵀ (I + A Aᵀ)⁻¹ A q` with `A = √D X S` (Woodbury).
    fn by_rows(&self, factor: MatRef<'_, f32>, roots: &[f32], mut q: MatMut<'_, f32>) {
        let (columns, sample) = self.sample.values.shape();
        let scaled = Mat::from_fn(columns, q.ncols(), |row, column| q[(row, column)] * self.scale[row]);
        let mut inner = Mat::zeros(sample, q.ncols());
        let values = self.sample.values.as_ref();
        matmul(inner.as_mut(), Accum::Replace, values.transpose(), scaled.as_ref(), 1.0f32, Par::Seq);
        let weigh = |inner: &mut Mat<f32>| {
            for column in 0..inner.ncols() {
                inner.col_as_slice_mut(column).iter_mut().zip(roots).for_each(|(value, root)| *value *= root);
            }
        };
        weigh(&mut inner);
        solve(factor, inner.as_mut());
        weigh(&mut inner);
        let mut back = Mat::zeros(columns, q.ncols());
        matmul(back.as_mut(), Accum::Replace, values, inner.as_ref(), 1.0f32, Par::Seq);
        for column in 0..q.ncols() {
            (0..columns).for_each(|row| q[(row, column)] -= back[(row, column)] * self.scale[row]);
        }
    }
}

/// `Aᵀ A`, lower `[n, n]`, of `A [m, n]`.
fn gram(values: MatRef<'_, f32>) -> Mat<f32> {
    let mut product = Mat::zeros(values.ncols(), values.ncols());
    product.par_col_chunks_mut(TILE).enumerate().for_each(|(tile, out)| {
        let first = tile * TILE;
        let count = out.ncols();
        let below = out.subrows_mut(first, values.ncols() - first);
        let (left, right) = (values.subcols(first, values.ncols() - first), values.subcols(first, count));
        matmul(below, Accum::Replace, left.transpose(), right, 1.0f32, Par::Seq);
    });
    product
}

/// `I + S gram S`, lower, with `S` the diagonal matrix of `scale [n]`.
fn scaled(gram: &Mat<f32>, scale: &[f32]) -> Mat<f32> {
    let mut scaled = gram.clone();
    scaled.par_col_chunks_mut(TILE).enumerate().for_each(|(tile, mut columns)| {
        for place in 0..columns.ncols() {
            let column = tile * TILE + place;
            let below = columns.as_mut().col_mut(place).subrows_mut(column, scale.len() - column);
            below
                .iter_mut()
                .zip(&scale[column..])
                .for_each(|(value, &scale_of_row)| *value *= scale[column] * scale_of_row);
            columns[(column, place)] += 1.0;
        }
    });
    scaled
}

/// The lower factor of `matrix`, whose lower half is given and whose eigenvalues are at least 1 but for rounding.
fn cholesky(matrix: Mat<f32>) -> Mat<f32> {
    let size = matrix.nrows();
    let highest = (0..size).map(|i| matrix[(i, i)]).fold(1.0f32, f32::max);
    let mut memory =
        faer::dyn_stack::MemBuffer::new(cholesky_in_place_scratch::<f32>(size, Par::Seq, Default::default()));
    let mut lift = 0.0f32;
    loop {
        let mut factor = matrix.clone();
        (0..size).for_each(|i| factor[(i, i)] += lift);
        let stack = faer::dyn_stack::MemStack::new(&mut memory);
        if cholesky_in_place(factor.as_mut(), Default::default(), Par::Seq, stack, Default::default()).is_ok()
            && (0..size).all(|i| factor[(i, i)].is_normal())
        {
            return factor;
        }
        if !lift.is_finite() || !highest.is_finite() {
            return Mat::identity(size, size);
        }
        lift = if lift == 0.0 { highest * f32::EPSILON } else { 10.0 * lift };
    }
}

fn solve(factor: MatRef<'_, f32>, mut right: MatMut<'_, f32>) {
    solve_lower_triangular_in_place(factor, right.as_mut(), Par::Seq);
    solve_upper_triangular_in_place(factor.transpose(), right, Par::Seq);
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// The product of curvature and preconditioned gradient is the gradient.
    fn check(rows: usize, columns: usize) {
        let made = Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64);
        let table = Table::new(&made, &vec![true; rows], usize::MAX).unwrap();
        let sample = Sample::of(&table, &vec![true; rows]);
        let d: Vec<f64> = (0..rows).map(|row| 0.05 + (row % 5) as f64 / 20.0).collect();
        let rho: Vec<f64> = (0..columns).map(|column| 0.5 + (column % 3) as f64).collect();
        let c = 0.3;
        let products = sample.products(&d, &rho, None);
        let found = sample.factor(&products, &rho, c);
        let gradient: Vec<f32> = (0..=columns).map(|row| (row % 7) as f32 - 3.0).collect();
        let mut solved = Mat::from_fn(columns + 1, 1, |row, _| gradient[row]);
        found.apply(solved.as_mut());
        for row in 0..columns {
            let mut sum = rho[row] / c * f64::from(solved[(row, 0)]);
            for (sampled, &d) in d.iter().enumerate() {
                let score: f64 =
                    (0..columns).map(|j| f64::from(sample.values[(j, sampled)]) * f64::from(solved[(j, 0)])).sum();
                sum += d * f64::from(sample.values[(row, sampled)]) * score;
            }
            assert!((sum - f64::from(gradient[row])).abs() < 1e-2, "{row}: {sum} {}", gradient[row]);
        }
        let total: f64 = d.iter().sum();
        assert!((f64::from(solved[(columns, 0)]) * total - f64::from(gradient[columns])).abs() < 1e-4);
    }

    #[test]
    fn it_is_the_inverse_of_the_curvature_by_columns_and_by_rows() {
        check(60, 9);
        check(12, 40);
    }
}

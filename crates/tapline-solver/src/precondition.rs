//! The curvature that turns a gradient into nearly the whole way to the minimum.
//!
//! The Hessian of one output is `Xᵀ D X + ρ / C` with `D` the second derivatives of the rows' losses. All problems of a batch
//! share the mean of these over outputs and training sets, in float32, factored anew for each strength; what the mean
//! leaves out, the memory of steps learns. It need not be exact: it steers the search. A problem that float32 is too coarse
//! for may buy a curvature of its own, in double precision: with one output and all rows that is the Hessian itself.

use std::sync::OnceLock;

use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::table::{Real, Table};

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
    /// The same in double precision, from when it was first asked for.
    values_f64: OnceLock<Mat<f64>>,
}

/// A precision that curvature is kept in.
pub(crate) trait Kept: Real {
    /// The sample in this precision `[columns, sample]`.
    fn values(sample: &Sample) -> MatRef<'_, Self>;
}

impl Kept for f32 {
    fn values(sample: &Sample) -> MatRef<'_, Self> {
        sample.values.as_ref()
    }
}

impl Kept for f64 {
    fn values(sample: &Sample) -> MatRef<'_, Self> {
        let values = &sample.values;
        let wide = || Mat::from_fn(values.nrows(), values.ncols(), |row, column| f64::from(values[(row, column)]));
        sample.values_f64.get_or_init(wide).as_ref()
    }
}

/// A factor of the curvature at one strength, ready to be applied.
pub(crate) struct Preconditioner<'a, T> {
    sample: &'a Sample,
    /// `√(C / ρ)` of each weight `[columns]`: the problem is scaled so that the penalty is the identity.
    scale: Vec<T>,
    factor: Factor<T>,
    /// `1 / Σ D`: the curvature of the intercept.
    intercept: T,
}

enum Factor<T> {
    /// Cholesky factor of `I + S (X − 1 mᵀ)ᵀ D (X − 1 mᵀ) S`, lower `[columns, columns]`, and `m = Xᵀ D 1 / Σ D`, what an
    /// intercept takes out of each column.
    Columns(Mat<T>, Vec<T>),
    /// Cholesky factor of `I + √D X S² Xᵀ √D`, lower `[sample, sample]`, and `√D`; the other follows by Woodbury's identity.
    /// The intercept is taken apart.
    Rows(Mat<T>, Vec<T>),
}

/// What does not change from one strength to the next: products of the sample with itself.
pub(crate) enum Products<T> {
    /// `(X − 1 mᵀ)ᵀ D (X − 1 mᵀ)`, lower `[columns, columns]`, `m` and `Σ D`.
    Columns(Mat<T>, Vec<T>, f64),
    /// `X ρ⁻¹ Xᵀ`, lower `[sample, sample]`, `D` and `Σ D`.
    Rows(Mat<T>, Vec<T>, f64),
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
        Self { share: all.len() as f64 / size as f64, rows, values, values_f64: OnceLock::new() }
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

    /// Whether a curvature of one problem is its whole Hessian: of all rows in use, and with the intercept.
    pub(crate) fn is_whole(&self) -> bool {
        self.share == 1.0 && self.by_columns()
    }

    /// Bytes of a factor in double precision while it is made.
    pub(crate) fn bytes(&self) -> usize {
        3 * size_of::<f64>() * self.rows.len().min(self.values.nrows()).pow(2)
    }

    pub(crate) fn columns(&self) -> usize {
        self.values.nrows()
    }

    /// A number of a row of the sample, in the table's units.
    pub(crate) fn value(&self, column: usize, row: usize) -> f64 {
        f64::from(self.values[(column, row)])
    }

    fn by_columns(&self) -> bool {
        self.values.nrows() <= self.rows.len()
    }

    /// Products for curvatures `d [sample]` of the rows, and mean penalties `rho [columns]`; `before` is used up where it
    /// can be.
    pub(crate) fn products<T: Kept>(&self, d: &[f64], rho: &[f64], before: Option<Products<T>>) -> Products<T> {
        let total = d.iter().sum::<f64>() * self.share;
        if self.by_columns() {
            let roots: Vec<T> = d.iter().map(|&d| T::of((d * self.share).sqrt())).collect();
            let mut weighted = T::values(self).to_owned();
            weighted.par_col_chunks_mut(TILE).zip(roots.par_chunks(TILE)).for_each(|(mut rows, roots)| {
                for (row, &root) in roots.iter().enumerate() {
                    rows.as_mut().col_mut(row).iter_mut().for_each(|value| *value *= root);
                }
            });
            let mut mean = Mat::zeros(weighted.nrows(), 1);
            let rooted = MatRef::from_column_major_slice(&roots, roots.len(), 1);
            let inverse = T::of(1.0 / total.max(f64::MIN_POSITIVE));
            matmul(mean.as_mut(), Accum::Replace, weighted.as_ref(), rooted, inverse, Par::Seq);
            let mean: Vec<T> = mean.col_as_slice(0).to_vec();
            weighted.par_col_chunks_mut(TILE).zip(roots.par_chunks(TILE)).for_each(|(mut rows, roots)| {
                for (row, &root) in roots.iter().enumerate() {
                    let values = rows.as_mut().col_mut(row).iter_mut();
                    values.zip(&mean).for_each(|(value, &mean)| *value -= root * mean);
                }
            });
            return Products::Columns(gram(weighted.transpose()), mean, total);
        }
        let d: Vec<T> = d.iter().map(|&d| T::of(d * self.share)).collect();
        if let Some(Products::Rows(gram, ..)) = before {
            return Products::Rows(gram, d, total);
        }
        let mut scaled = T::values(self).to_owned();
        for column in 0..scaled.ncols() {
            let values = scaled.col_as_slice_mut(column).iter_mut();
            values.zip(rho).for_each(|(value, &rho)| *value *= T::of(1.0 / rho.sqrt()));
        }
        Products::Rows(gram(scaled.as_ref()), d, total)
    }

    /// The preconditioner for strength `c`.
    pub(crate) fn factor<T: Kept>(&self, products: &Products<T>, rho: &[f64], c: f64) -> Preconditioner<'_, T> {
        let scale: Vec<T> = rho.iter().map(|&rho| T::of((c / rho).sqrt())).collect();
        let (factor, total) = match products {
            Products::Columns(gram, mean, total) => {
                (Factor::Columns(cholesky(scaled(gram, &scale)), mean.clone()), total)
            }
            Products::Rows(gram, d, total) => {
                let root = |d: T| -> f64 { d.into() };
                let roots: Vec<T> = d.iter().map(|&d| T::of(root(d).sqrt())).collect();
                let scale: Vec<T> = d.iter().map(|&d| T::of((root(d) * c).sqrt())).collect();
                (Factor::Rows(cholesky(scaled(gram, &scale)), roots), total)
            }
        };
        Preconditioner { sample: self, scale, factor, intercept: T::of(1.0 / total.max(f64::MIN_POSITIVE)) }
    }
}

impl<T: Kept> Preconditioner<'_, T> {
    /// Multiplies each of `gradients [columns + 1]`, the last of each the intercept's, by the inverse curvature.
    pub(crate) fn apply(&self, mut gradients: MatMut<'_, T>) {
        let columns = self.scale.len();
        gradients.as_mut().par_col_chunks_mut(16).for_each(|mut part| {
            for column in 0..part.ncols() {
                let slope = part[(columns, column)];
                part[(columns, column)] = slope * self.intercept;
                if let Factor::Columns(_, mean) = &self.factor {
                    (0..columns).for_each(|row| part[(row, column)] -= mean[row] * slope);
                }
                self.rescale(part.as_mut(), column);
            }
            let mut weights = part.as_mut().subrows_mut(0, columns);
            match &self.factor {
                Factor::Columns(factor, _) => solve(factor.as_ref(), weights.as_mut()),
                Factor::Rows(factor, roots) => self.by_rows(factor.as_ref(), roots, weights.as_mut()),
            }
            for column in 0..part.ncols() {
                self.rescale(part.as_mut(), column);
                if let Factor::Columns(_, mean) = &self.factor {
                    let taken = (0..columns).fold(T::default(), |sum, row| sum + mean[row] * part[(row, column)]);
                    part[(columns, column)] -= taken;
                }
            }
        });
    }

    fn rescale(&self, mut part: MatMut<'_, T>, column: usize) {
        self.scale.iter().enumerate().for_each(|(row, &scale)| part[(row, column)] *= scale);
    }

    /// `(I + Aᵀ A)⁻¹ q = q − Aᵀ (I + A Aᵀ)⁻¹ A q` with `A = √D X S` (Woodbury).
    fn by_rows(&self, factor: MatRef<'_, T>, roots: &[T], mut q: MatMut<'_, T>) {
        let values = T::values(self.sample);
        let (columns, sample) = values.shape();
        let scaled = Mat::from_fn(columns, q.ncols(), |row, column| q[(row, column)] * self.scale[row]);
        let mut inner = Mat::zeros(sample, q.ncols());
        matmul(inner.as_mut(), Accum::Replace, values.transpose(), scaled.as_ref(), T::of(1.0), Par::Seq);
        let weigh = |inner: &mut Mat<T>| {
            for column in 0..inner.ncols() {
                let values = inner.col_as_slice_mut(column).iter_mut();
                values.zip(roots).for_each(|(value, &root)| *value *= root);
            }
        };
        weigh(&mut inner);
        solve(factor, inner.as_mut());
        weigh(&mut inner);
        let mut back = Mat::zeros(columns, q.ncols());
        matmul(back.as_mut(), Accum::Replace, values, inner.as_ref(), T::of(1.0), Par::Seq);
        for column in 0..q.ncols() {
            (0..columns).for_each(|row| q[(row, column)] -= back[(row, column)] * self.scale[row]);
        }
    }
}

/// `Aᵀ A`, lower `[n, n]`, of `A [m, n]`.
fn gram<T: Kept>(values: MatRef<'_, T>) -> Mat<T> {
    let mut product = Mat::zeros(values.ncols(), values.ncols());
    product.par_col_chunks_mut(TILE).enumerate().for_each(|(tile, out)| {
        let first = tile * TILE;
        let count = out.ncols();
        let below = out.subrows_mut(first, values.ncols() - first);
        let (left, right) = (values.subcols(first, values.ncols() - first), values.subcols(first, count));
        matmul(below, Accum::Replace, left.transpose(), right, T::of(1.0), Par::Seq);
    });
    product
}

/// `I + S gram S`, lower, with `S` the diagonal matrix of `scale [n]`.
fn scaled<T: Kept>(gram: &Mat<T>, scale: &[T]) -> Mat<T> {
    let mut scaled = gram.clone();
    scaled.par_col_chunks_mut(TILE).enumerate().for_each(|(tile, mut columns)| {
        for place in 0..columns.ncols() {
            let column = tile * TILE + place;
            let below = columns.as_mut().col_mut(place).subrows_mut(column, scale.len() - column);
            below
                .iter_mut()
                .zip(&scale[column..])
                .for_each(|(value, &scale_of_row)| *value = *value * scale[column] * scale_of_row);
            columns[(column, place)] += T::of(1.0);
        }
    });
    scaled
}

/// The lower factor of `matrix`, whose lower half is given and whose eigenvalues are at least 1 but for rounding.
pub(crate) fn cholesky<T: Kept>(matrix: Mat<T>) -> Mat<T> {
    let size = matrix.nrows();
    let highest = (0..size).map(|i| matrix[(i, i)].into()).fold(1.0f64, f64::max);
    let mut memory =
        faer::dyn_stack::MemBuffer::new(cholesky_in_place_scratch::<T>(size, Par::Seq, Default::default()));
    let mut lift = 0.0f64;
    loop {
        let mut factor = matrix.clone();
        (0..size).for_each(|i| factor[(i, i)] += T::of(lift));
        let stack = faer::dyn_stack::MemStack::new(&mut memory);
        if cholesky_in_place(factor.as_mut(), Default::default(), Par::Seq, stack, Default::default()).is_ok()
            && (0..size).all(|i| factor[(i, i)].into().is_normal())
        {
            return factor;
        }
        if !lift.is_finite() || !highest.is_finite() {
            return Mat::identity(size, size);
        }
        lift = if lift == 0.0 { highest * T::EPSILON } else { 10.0 * lift };
    }
}

/// `A⁻¹ right` from the lower factor of `A`.
pub(crate) fn solve<T: Kept>(factor: MatRef<'_, T>, mut right: MatMut<'_, T>) {
    solve_lower_triangular_in_place(factor, right.as_mut(), Par::Seq);
    solve_upper_triangular_in_place(factor.transpose(), right, Par::Seq);
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// The product of curvature and preconditioned gradient is the gradient; by rows the intercept stands apart.
    fn check<T: Kept>(rows: usize, columns: usize, tolerance: f64) {
        let made = Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64);
        let table = Table::new(&made, &vec![true; rows], usize::MAX).unwrap();
        let sample = Sample::of(&table, &vec![true; rows]);
        let d: Vec<f64> = (0..rows).map(|row| 0.05 + (row % 5) as f64 / 20.0).collect();
        let rho: Vec<f64> = (0..columns).map(|column| 0.5 + (column % 3) as f64).collect();
        let c = 0.3;
        let products = sample.products::<T>(&d, &rho, None);
        let found = sample.factor(&products, &rho, c);
        let gradient: Vec<f64> = (0..=columns).map(|row| (row % 7) as f64 - 3.0).collect();
        let mut solved = Mat::from_fn(columns + 1, 1, |row, _| T::of(gradient[row]));
        found.apply(solved.as_mut());
        let solved = |row: usize| -> f64 { solved[(row, 0)].into() };
        let coupled = if sample.by_columns() { 1.0 } else { 0.0 };
        let mut sums: Vec<f64> = (0..columns).map(|row| rho[row] / c * solved(row)).chain([0.0]).collect();
        for (sampled, &d) in d.iter().enumerate() {
            let value = |column: usize| f64::from(sample.values[(column, sampled)]);
            let score: f64 = (0..columns).map(|column| value(column) * solved(column)).sum();
            (0..columns).for_each(|row| sums[row] += d * value(row) * (score + coupled * solved(columns)));
            sums[columns] += d * (coupled * score + solved(columns));
        }
        for (row, (sum, gradient)) in sums.iter().zip(&gradient).enumerate() {
            assert!((sum - gradient).abs() < tolerance, "{row}: {sum} {gradient}");
        }
    }

    #[test]
    fn it_is_the_inverse_of_the_curvature_by_columns_and_by_rows() {
        check::<f32>(60, 9, 1e-3);
        check::<f32>(12, 40, 1e-2);
        check::<f64>(60, 9, 1e-11);
        check::<f64>(12, 40, 1e-11);
    }
}

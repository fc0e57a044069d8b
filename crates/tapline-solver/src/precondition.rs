//! The curvature that turns a gradient into nearly the whole way to the minimum.
//!
//! The Hessian of one output is `Xᵀ D X + ρ / C` with `D` the second derivatives of the rows' losses. All problems of a batch
//! share the mean of these over outputs and training sets, in float32, factored anew for each strength; what the mean
//! leaves out, the memory of steps learns. It need not be exact: it steers the search. A problem that this is too coarse
//! for may buy a curvature of its own ([`crate::own`]).

use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::table::Real;

/// Columns of a product that one thread works on.
pub(crate) const TILE: usize = 128;

/// The least curvature of an intercept, where there is any: single precision still holds its inverse.
pub(crate) const LEAST: f64 = 1e-30;

/// A factor of the curvature at one strength, ready to be applied.
pub(crate) struct Preconditioner<'a, T> {
    /// `√(C / ρ)` of each weight `[columns]`: the problem is scaled so that the penalty is the identity.
    scale: Vec<T>,
    factor: Factor<'a, T>,
    /// `m = Xᵀ D 1 / Σ D`, what an intercept takes out of each column; empty where it is taken apart.
    mean: Vec<T>,
    /// `1 / Σ D`: the curvature of the intercept.
    intercept: T,
}

enum Factor<'a, T> {
    /// The inverse of the diagonal of `I + Σ D S²` `[columns]`.
    Diagonal(Vec<T>),
    /// Cholesky factor of `I + S (X − 1 mᵀ)ᵀ D (X − 1 mᵀ) S`, lower `[columns, columns]`.
    Columns(Mat<T>),
    /// Cholesky factor of `I + √D (X − 1 mᵀ) S² (X − 1 mᵀ)ᵀ √D`, lower `[sample, sample]`, `√D`, and `Xᵀ [columns, sample]`; the
    /// other follows by Woodbury's identity.
    Rows(Mat<T>, Vec<T>, MatRef<'a, f32>),
}

/// What does not change from one strength to the next: products of the rows with themselves.
pub(crate) enum Products<'a, T> {
    /// None: columns are taken for independent, each with a spread of 1, and `total = Σ D`.
    Diagonal { total: f64 },
    /// `gram = (X − 1 mᵀ)ᵀ D (X − 1 mᵀ)`, lower `[columns, columns]`, `mean = m` and `total = Σ D`.
    Columns { gram: Mat<T>, mean: Vec<T>, total: f64 },
    /// `gram = (X − 1 oᵀ) ρ⁻¹ (X − 1 oᵀ)ᵀ` about some origin `o`, lower `[sample, sample]`, `mean = m`, `d = D` and `total = Σ D`, with `values = Xᵀ [columns, sample]`.
    Rows { gram: Mat<T>, mean: Vec<T>, d: Vec<T>, total: f64, values: MatRef<'a, f32> },
}

impl<'a, T: Real> Products<'a, T> {
    /// The preconditioner for strength `c`, with penalties `rho [columns]`.
    pub(crate) fn factor(&self, rho: &[f64], c: f64) -> Preconditioner<'a, T> {
        let scale: Vec<T> = rho.iter().map(|&rho| T::of((c / rho).sqrt())).collect();
        let (factor, mean, total) = match self {
            Self::Diagonal { total } => (
                Factor::Diagonal(rho.iter().map(|&rho| T::of(1.0 / (1.0 + total * c / rho))).collect()),
                &[][..],
                total,
            ),
            Self::Columns { gram, mean, total } => {
                (Factor::Columns(cholesky(|| scaled(gram.clone(), &scale))), &mean[..], total)
            }
            Self::Rows { gram, mean, d, total, values } => {
                let roots: Vec<f64> = d.iter().map(|&d| d.into().sqrt()).collect();
                let scale: Vec<T> = roots.iter().map(|&root| T::of(root * c.sqrt())).collect();
                let factor = cholesky(|| {
                    let mut centred = gram.clone();
                    centre(&mut centred, d);
                    scaled(centred, &scale)
                });
                (Factor::Rows(factor, roots.into_iter().map(T::of).collect(), *values), &mean[..], total)
            }
        };
        let intercept = T::of(if *total > 0.0 { 1.0 / total.max(LEAST) } else { 0.0 });
        Preconditioner { scale, factor, mean: mean.to_vec(), intercept }
    }
}

impl<T: Real> Preconditioner<'_, T> {
    /// Multiplies each of `gradients [columns + 1]`, the last of each the intercept's, by the inverse curvature.
    pub(crate) fn apply(&self, mut gradients: MatMut<'_, T>) {
        let columns = self.scale.len();
        gradients.as_mut().par_col_chunks_mut(16).for_each(|mut part| {
            for column in 0..part.ncols() {
                let slope = part[(columns, column)];
                part[(columns, column)] = slope * self.intercept;
                self.mean.iter().enumerate().for_each(|(row, &mean)| part[(row, column)] -= mean * slope);
                self.rescale(part.as_mut(), column);
            }
            let mut weights = part.as_mut().subrows_mut(0, columns);
            match &self.factor {
                Factor::Diagonal(inverse) => {
                    for column in 0..weights.ncols() {
                        let values = weights.as_mut().col_mut(column).iter_mut();
                        values.zip(inverse).for_each(|(value, &inverse)| *value *= inverse);
                    }
                }
                Factor::Columns(factor) => solve(factor.as_ref(), weights.as_mut()),
                Factor::Rows(factor, roots, values) => {
                    self.by_rows(*values, (factor.as_ref(), roots), weights.as_mut());
                }
            }
            for column in 0..part.ncols() {
                self.rescale(part.as_mut(), column);
                let means = self.mean.iter().enumerate();
                let taken = means.fold(T::default(), |sum, (row, &mean)| sum + mean * part[(row, column)]);
                part[(columns, column)] -= taken;
            }
        });
    }

    fn rescale(&self, mut part: MatMut<'_, T>, column: usize) {
        self.scale.iter().enumerate().for_each(|(row, &scale)| part[(row, column)] *= scale);
    }

    /// `(I + Aᵀ A)⁻¹ q = q − Aᵀ (I + A Aᵀ)⁻¹ A q` with `A = √D (X − 1 mᵀ) S` (Woodbury).
    fn by_rows(&self, values: MatRef<'_, f32>, (factor, roots): (MatRef<'_, T>, &[T]), mut q: MatMut<'_, T>) {
        let (columns, sample) = values.shape();
        let scaled = Mat::from_fn(columns, q.ncols(), |row, column| q[(row, column)] * self.scale[row]);
        let mut inner = Mat::zeros(sample, q.ncols());
        let mut buffer = Mat::zeros(0, 0);
        for first in (0..columns).step_by(T::AT_ONCE) {
            let some = T::some_columns(values, first, T::AT_ONCE, &mut buffer);
            let scaled = scaled.as_ref().subrows(first, some.nrows());
            matmul(inner.as_mut(), Accum::Add, some.transpose(), scaled, T::of(1.0), Par::Seq);
        }
        let dot = |one: &[T], two: &[T]| one.iter().zip(two).fold(T::default(), |sum, (&one, &two)| sum + one * two);
        for column in 0..q.ncols() {
            let of_mean = dot(&self.mean, scaled.col_as_slice(column));
            let values = inner.col_as_slice_mut(column).iter_mut();
            values.zip(roots).for_each(|(value, &root)| *value = (*value - of_mean) * root);
        }
        solve(factor, inner.as_mut());
        let mut sums = vec![T::default(); q.ncols()];
        for (column, sum) in sums.iter_mut().enumerate() {
            for (value, &root) in inner.col_as_slice_mut(column).iter_mut().zip(roots) {
                *value *= root;
                *sum += *value;
            }
        }
        for first in (0..columns).step_by(T::AT_ONCE) {
            let some = T::some_columns(values, first, T::AT_ONCE, &mut buffer);
            let mut back = Mat::zeros(some.nrows(), q.ncols());
            matmul(back.as_mut(), Accum::Replace, some, inner.as_ref(), T::of(1.0), Par::Seq);
            for (column, &sum) in sums.iter().enumerate() {
                for (row, &back) in (first..).zip(back.col_as_slice(column)) {
                    q[(row, column)] -= (back - self.mean[row] * sum) * self.scale[row];
                }
            }
        }
    }
}

/// Takes the mean by `d [n]` out of the products `gram [n, n]` of rows, of which the lower half is given:
/// `(I − 1 dᵀ / Σ d) gram (I − d 1ᵀ / Σ d)`.
fn centre<T: Real>(gram: &mut Mat<T>, d: &[T]) {
    let sum = d.iter().fold(T::default(), |sum, &d| sum + d);
    if sum.into() <= 0.0 {
        return;
    }
    let size = d.len();
    let value = |row: usize, column: usize| gram[(row.max(column), row.min(column))];
    let product = |row: usize| (0..size).fold(T::default(), |sum, column| sum + value(row, column) * d[column]);
    let with_mean: Vec<T> = (0..size).into_par_iter().map(|row| product(row) / sum).collect();
    let of_mean = with_mean.iter().zip(d).fold(T::default(), |sum, (&value, &d)| sum + value * d) / sum;
    gram.par_col_chunks_mut(TILE).enumerate().for_each(|(tile, mut columns)| {
        for place in 0..columns.ncols() {
            let column = tile * TILE + place;
            let below = columns.as_mut().col_mut(place).subrows_mut(column, size - column);
            let taken = with_mean[column] - of_mean;
            below.iter_mut().zip(&with_mean[column..]).for_each(|(value, &row)| *value = *value - row - taken);
        }
    });
}

/// Adds `Aᵀ A` of `values = A [m, n]` to the lower half of `product [n, n]`.
pub(crate) fn add_gram<T: Real>(product: &mut Mat<T>, values: MatRef<'_, T>) {
    product.par_col_chunks_mut(TILE).enumerate().for_each(|(tile, out)| {
        let first = tile * TILE;
        let count = out.ncols();
        let below = out.subrows_mut(first, values.ncols() - first);
        let (left, right) = (values.subcols(first, values.ncols() - first), values.subcols(first, count));
        matmul(below, Accum::Add, left.transpose(), right, T::of(1.0), Par::Seq);
    });
}

/// `I + S gram S`, lower, with `S` the diagonal matrix of `scale [n]`.
fn scaled<T: Real>(gram: Mat<T>, scale: &[T]) -> Mat<T> {
    let mut scaled = gram;
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

/// The lower factor of the matrix that `make` makes, whose lower half is given and whose eigenvalues are above 0 but for rounding.
pub(crate) fn cholesky<T: Real>(make: impl Fn() -> Mat<T>) -> Mat<T> {
    let mut lift = 0.0f64;
    loop {
        let mut factor = make();
        let size = factor.nrows();
        let highest = (0..size).map(|i| factor[(i, i)].into()).fold(1.0f64, f64::max);
        (0..size).for_each(|i| factor[(i, i)] += T::of(lift));
        if factorise(factor.as_mut()) && (0..size).all(|i| factor[(i, i)].into().is_normal()) {
            return factor;
        }
        if !lift.is_finite() || !highest.is_finite() {
            return Mat::identity(size, size);
        }
        lift = if lift == 0.0 { highest * T::EPSILON } else { 10.0 * lift };
    }
}

/// Replaces the lower half of `matrix` by its factor, a panel of columns after the other; false where it has none.
///
/// The library's own works in parts that depend on the number of threads, by which its last digits do too.
fn factorise<T: Real>(mut matrix: MatMut<'_, T>) -> bool {
    let size = matrix.nrows();
    let scratch = cholesky_in_place_scratch::<T>(TILE.min(size), Par::Seq, Default::default());
    let mut memory = faer::dyn_stack::MemBuffer::new(scratch);
    for first in (0..size).step_by(TILE) {
        let (left, width) = (size - first, TILE.min(size - first));
        let rest = matrix.as_mut().submatrix_mut(first, first, left, left);
        let (mut panel, _, mut below, mut trailing) = rest.split_at_mut(width, width);
        let stack = faer::dyn_stack::MemStack::new(&mut memory);
        if cholesky_in_place(panel.as_mut(), Default::default(), Par::Seq, stack, Default::default()).is_err() {
            return false;
        }
        let panel = panel.as_ref();
        below.as_mut().par_row_chunks_mut(TILE).for_each(|rows| {
            solve_lower_triangular_in_place(panel, rows.transpose_mut(), Par::Seq);
        });
        let below = below.as_ref();
        trailing.as_mut().par_col_chunks_mut(TILE).enumerate().for_each(|(tile, columns)| {
            let (first, count) = (tile * TILE, columns.ncols());
            let (low, here) = (below.subrows(first, below.nrows() - first), below.subrows(first, count));
            let columns = columns.subrows_mut(first, low.nrows());
            matmul(columns, Accum::Add, low, here.transpose(), T::of(-1.0), Par::Seq);
        });
    }
    true
}

/// `A⁻¹ right` from the lower factor of `A`.
pub(crate) fn solve<T: Real>(factor: MatRef<'_, T>, mut right: MatMut<'_, T>) {
    solve_lower_triangular_in_place(factor, right.as_mut(), Par::Seq);
    solve_upper_triangular_in_place(factor.transpose(), right, Par::Seq);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A Aᵀ` and its factor, of more columns than one panel has.
    fn check(size: usize, rank: usize, tolerance: f64) {
        let values = Mat::from_fn(size, rank, |r, c| ((r * 37 + c * 101 + r * c * 7) % 23) as f64 - 11.0);
        let whole = &values * values.transpose();
        let found = cholesky(|| whole.clone());
        let lower = Mat::from_fn(size, size, |row, column| if row < column { 0.0 } else { found[(row, column)] });
        let back = &lower * lower.transpose();
        let off = |row: usize, column: usize| (back[(row, column)] - whole[(row, column)]).abs();
        let most = (0..size).flat_map(|row| (0..size).map(move |column| off(row, column))).fold(0.0, f64::max);
        assert!(most <= tolerance * whole[(0, 0)], "{most}");
    }

    #[test]
    fn a_factor_in_panels_multiplies_to_the_matrix() {
        check(300, 700, 1e-11);
        check(TILE, 200, 1e-11);
        check(1, 3, 1e-11);
    }

    #[test]
    fn what_has_no_factor_is_lifted_by_rounding() {
        check(300, 20, 1e-8);
    }
}

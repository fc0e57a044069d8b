//! What curvature is taken from: rows of the table, drawn anew each time; or where there are fewer rows than columns, or so many
//! columns that their products do not fit, an even sample of the rows that stays.

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use crate::draw::{Drawn, draw};
use crate::precondition::{LEAST, Products, TILE, add_gram};
use crate::table::{Lent, Real, Table};

/// Rows that a curvature is taken from, at most: so many, or by columns so many for each column where that is more.
const ROWS: usize = 4096;
const ROWS_OF_COLUMN: usize = 4;
/// Rows of a sample, whatever they take.
const FEW: usize = 512;
/// Rows that are weighted together before they enter a product.
pub(crate) const PIECE: usize = 1024;
/// Rows whose mean one thread sums.
const RUN: usize = 256;
/// The rows that curvature is taken from.
pub(crate) struct Ground<'a> {
    table: &'a Table<'a>,
    /// The rows whose second derivatives are asked for, ascending.
    pub(crate) rows: Vec<usize>,
    /// The values of these, where curvature is taken in the space of rows.
    sample: Option<Sample<'a>>,
}

/// Rows to be multiplied with each other.
pub(crate) struct Sample<'a> {
    /// How many rows of the table each stands for.
    share: f64,
    /// Row by row `[sample, columns]`: the table's own, where these are all of its rows and it keeps them.
    values: Cow<'a, [f32]>,
}

impl<'a> Ground<'a> {
    /// Of the rows that `used [rows]` marks. Where a curvature by columns takes more than half of `max_bytes`, it is that of
    /// a few rows in their own space.
    pub(crate) fn of(table: &'a Table<'a>, used: &[bool], max_bytes: usize) -> Self {
        let rows: Vec<usize> = (0..table.rows).filter(|&row| used[row]).collect();
        // Products and their factor.
        let bytes = 2 * size_of::<f32>() * table.columns * table.columns;
        if table.columns <= rows.len() && (table.columns <= ROWS || bytes <= max_bytes / 2) {
            return Self { table, rows, sample: None };
        }
        let size = rows.len().min(ROWS);
        let kept = f32::kept(table).filter(|_| size == table.rows);
        let most = max_bytes / 2 / (size_of::<f32>() * table.columns);
        let size = if kept.is_some() { size } else { size.min(most.max(FEW)) };
        let evenly: Vec<usize> = (0..size).map(|place| rows[place * rows.len() / size]).collect();
        let values = kept.map_or_else(|| Cow::Owned(table.gather(&evenly)), Cow::Borrowed);
        let sample = Sample { share: rows.len() as f64 / size as f64, values };
        Self { table, rows: evenly, sample: Some(sample) }
    }

    pub(crate) fn table(&self) -> &'a Table<'a> {
        self.table
    }

    /// How many rows in use each of these rows stands for.
    pub(crate) fn share(&self) -> f64 {
        self.sample.as_ref().map_or(1.0, |sample| sample.share)
    }

    /// Whether curvature is taken in the space of columns.
    pub(crate) fn is_by_columns(&self) -> bool {
        self.sample.is_none()
    }

    /// Rows that a curvature is taken from at most.
    fn most(&self) -> usize {
        (ROWS_OF_COLUMN * self.table.columns).max(ROWS)
    }

    /// Floating-point operations of [`Ground::products`] and a factor.
    pub(crate) fn cost(&self) -> f64 {
        let (columns, rows) = (self.table.columns as f64, self.rows.len().min(self.most()) as f64);
        if self.is_by_columns() {
            rows * columns * columns + columns.powi(3) / 3.0
        } else {
            rows.powi(3) / 3.0 + rows * rows
        }
    }

    /// Bytes of products and factor in double precision.
    pub(crate) fn bytes(&self) -> usize {
        let side = if self.is_by_columns() { self.table.columns } else { self.rows.len() };
        2 * size_of::<f64>() * side * side
    }

    /// Products for second derivatives `d` of the rows, and mean penalties `rho [columns]`; `before` is used up where it can
    /// be. Says as well whether these are the Hessian's: of all rows that have a second derivative.
    pub(crate) fn products<'s, T: Real>(
        &'s self,
        d: &[f64],
        rho: &[f64],
        before: Option<Products<'s, T>>,
    ) -> (Products<'s, T>, bool) {
        let Some(sample) = &self.sample else {
            let drawn = draw(d, self.most());
            return (self.by_columns(&drawn), drawn.is_whole);
        };
        let total = d.iter().sum::<f64>() * sample.share;
        let d: Vec<T> = d.iter().map(|&d| T::of(d * sample.share)).collect();
        let (columns, size) = (self.table.columns, self.rows.len());
        let values = MatRef::from_column_major_slice(&sample.values, columns, size);
        let mut buffer = Mat::zeros(0, 0);
        let mut mean = Mat::zeros(columns, 1);
        for first in (0..columns).step_by(TILE) {
            let some = T::some_columns(values, first, TILE, &mut buffer);
            let (d, share) = (MatRef::from_column_major_slice(&d, size, 1), T::of(total.max(LEAST).recip()));
            let mean = mean.as_mut().subrows_mut(first, some.nrows());
            matmul(mean, Accum::Replace, some, d, share, Par::Seq);
        }
        let mean = mean.col_as_slice(0).to_vec();
        // All rows, and with them the intercept: nothing is left out.
        let is_whole = sample.share == 1.0;
        if let Some(Products::Rows { gram, .. }) = before {
            return (Products::Rows { gram, mean, d, total, values }, is_whole);
        }
        let mut gram = Mat::zeros(size, size);
        for first in (0..columns).step_by(PIECE) {
            let mut some = T::some_columns(values, first, PIECE, &mut buffer).to_owned();
            // About the mean: where a column hardly changes, 1 / ρ is large.
            some.par_col_chunks_mut(1).for_each(|row| {
                let values = row.col_mut(0).iter_mut().zip(&mean[first..]).zip(&rho[first..]);
                values.for_each(|((value, &mean), rho)| *value = (*value - mean) * T::of(rho.sqrt().recip()));
            });
            add_gram(&mut gram, some.as_ref());
        }
        (Products::Rows { gram, mean, d, total, values }, is_whole)
    }

    /// The values of rows drawn, by their places among these.
    pub(crate) fn lend(&self, drawn: &[(usize, f64)]) -> Lent<'a> {
        self.table.lend(drawn.iter().map(|&(place, _)| self.rows[place]).collect())
    }

    /// `(X − 1 mᵀ)ᵀ D (X − 1 mᵀ)` of the rows drawn, with `m = Xᵀ D 1 / Σ D`, each read once: products of pieces about their own
    /// means, joined (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983). About the table's mean
    /// single precision would lose what little bends where features lie far on one side of it together.
    pub(crate) fn by_columns<'s, T: Real>(&self, drawn: &Drawn) -> Products<'s, T> {
        let columns = self.table.columns;
        let (mut total, mut mean) = (0.0f64, vec![0.0f64; columns]);
        let mut gram = Mat::zeros(columns, columns);
        let mut weighted = Mat::zeros(columns, PIECE.min(drawn.rows.len()));
        for piece in drawn.rows.chunks(PIECE) {
            let values = self.lend(piece);
            let own_total: f64 = piece.iter().map(|&(_, d)| d).sum();
            let own_mean = mean_of(&values, (piece, own_total), columns);
            let origin: Vec<T> = own_mean.iter().map(|&mean| T::of(mean)).collect();
            let mut weighted = weighted.as_mut().subcols_mut(0, piece.len());
            weighted.as_mut().par_col_chunks_mut(TILE).enumerate().for_each(|(tile, mut rows)| {
                for column in 0..rows.ncols() {
                    let place = tile * TILE + column;
                    let root = T::of(piece[place].1.sqrt());
                    let out = rows.as_mut().col_mut(column).iter_mut();
                    out.zip(values.row(place)).zip(&origin).for_each(|((out, &value), &origin)| {
                        *out = root * (T::of(f64::from(value)) - origin);
                    });
                }
            });
            add_gram(&mut gram, weighted.as_ref().transpose());
            let share = own_total / (total + own_total);
            let gap: Vec<f64> = own_mean.iter().zip(&mean).map(|(own, mean)| own - mean).collect();
            if total > 0.0 {
                add_square(&mut gram, &gap, total * share);
            }
            mean.iter_mut().zip(&gap).for_each(|(mean, gap)| *mean += gap * share);
            total += own_total;
        }
        Products::Columns { gram, mean: mean.into_iter().map(T::of).collect(), total }
    }
}

/// Mean `[columns]` of the rows of a piece, whose weights have this total.
fn mean_of(values: &Lent<'_>, (piece, total): (&[(usize, f64)], f64), columns: usize) -> Vec<f64> {
    let parts = piece.par_chunks(RUN).enumerate().map(|(run, rows)| {
        let mut sums = vec![0.0f64; columns];
        for (place, &(_, d)) in rows.iter().enumerate() {
            let values = values.row(run * RUN + place);
            sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += d / total * f64::from(value));
        }
        sums
    });
    let parts: Vec<Vec<f64>> = parts.collect();
    let mut mean = vec![0.0; columns];
    parts.iter().for_each(|part| mean.iter_mut().zip(part).for_each(|(mean, part)| *mean += part));
    mean
}

/// Adds `factor · v vᵀ` to the lower half of `product [n, n]`.
fn add_square<T: Real>(product: &mut Mat<T>, v: &[f64], factor: f64) {
    product.par_col_chunks_mut(TILE).enumerate().for_each(|(tile, mut part)| {
        for place in 0..part.ncols() {
            let column = tile * TILE + place;
            let below = part.as_mut().col_mut(place).subrows_mut(column, v.len() - column);
            below.iter_mut().zip(&v[column..]).for_each(|(value, row)| *value += T::of(factor * v[column] * row));
        }
    });
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn made(rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64)
    }

    /// The product of curvature and preconditioned gradient is the gradient.
    fn check<T: Real>(rows: usize, columns: usize, tolerance: f64) {
        let made = made(rows, columns);
        let table = Table::new(&made, &vec![true; rows], usize::MAX).unwrap();
        let ground = Ground::of(&table, &vec![true; rows], usize::MAX);
        let d: Vec<f64> = (0..rows).map(|row| 0.05 + (row % 5) as f64 / 20.0).collect();
        let rho: Vec<f64> = (0..columns).map(|column| 0.5 + (column % 3) as f64).collect();
        let c = 0.3;
        let found = ground.products::<T>(&d, &rho, None).0.factor(&rho, c);
        let gradient: Vec<f64> = (0..=columns).map(|row| (row % 7) as f64 - 3.0).collect();
        let mut solved = Mat::from_fn(columns + 1, 1, |row, _| T::of(gradient[row]));
        found.apply(solved.as_mut());
        let solved = |row: usize| -> f64 { solved[(row, 0)].into() };
        let mut sums: Vec<f64> = (0..columns).map(|row| rho[row] / c * solved(row)).chain([0.0]).collect();
        let values = table.gather(&ground.rows);
        for (values, &d) in values.chunks_exact(columns).zip(&d) {
            let score: f64 = (0..columns).map(|column| f64::from(values[column]) * solved(column)).sum();
            (0..columns).for_each(|row| sums[row] += d * f64::from(values[row]) * (score + solved(columns)));
            sums[columns] += d * (score + solved(columns));
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
        check::<f64>(200, 400, 1e-9);
        check::<f32>(200, 400, 1e-1);
    }

    #[test]
    fn a_diagonal_is_the_curvature_of_columns_that_are_apart() {
        // Two columns of spread 1 that have nothing to do with each other: the Hessian is diagonal.
        let made = Array2::from_shape_fn((8, 2), |(row, column)| if row >> column & 1 == 0 { 1.0 } else { -1.0 });
        let table = Table::new(&made, &[true; 8], usize::MAX).unwrap();
        let ground = Ground::of(&table, &[true; 8], usize::MAX);
        let apply = |products: &Products<'_, f64>| {
            let mut out = Mat::from_fn(3, 1, |row, _| [3.0, -1.0, 2.0][row]);
            products.factor(&[1.0, 2.0], 0.7).apply(out.as_mut());
            [0, 1, 2].map(|row| out[(row, 0)])
        };
        let (found, expected) =
            (apply(&Products::Diagonal { total: 2.0 }), apply(&ground.products(&[0.25; 8], &[1.0, 2.0], None).0));
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {expected:?}");
    }

    #[test]
    fn rows_drawn_give_nearly_the_products_of_all_of_them_also_from_a_file() {
        let made = made(3 * ROWS, 5);
        // A thousand rows have nearly all of the curvature.
        let d: Vec<f64> = (0..3 * ROWS).map(|row| if row % 12 == 0 { 0.25 } else { 1e-3 }).collect();
        let of = |max_bytes: usize| {
            let table = Table::new(&made, &vec![true; 3 * ROWS], max_bytes).unwrap();
            let ground = Ground::of(&table, &vec![true; 3 * ROWS], max_bytes);
            let every = Drawn { rows: d.iter().copied().enumerate().collect(), is_whole: true };
            let all = |products: Products<'_, f64>| match products {
                Products::Columns { gram, mean, total } => (gram, mean, total),
                _ => panic!("there are fewer columns than rows"),
            };
            let (drawn, is_whole) = ground.products::<f64>(&d, &[1.0; 5], None);
            assert!(!is_whole);
            (all(drawn), all(ground.by_columns(&every)))
        };
        let (drawn, every) = of(usize::MAX);
        assert!((drawn.2 / every.2 - 1.0).abs() < 1e-3);
        for column in 0..5 {
            assert!((drawn.1[column] - every.1[column]).abs() < 0.02);
            let highest = every.0[(column, column)];
            (column..5)
                .for_each(|row| assert!((drawn.0[(row, column)] - every.0[(row, column)]).abs() < 0.02 * highest));
        }
        assert_eq!(of(0).0.0, drawn.0);
    }
}

//! The singular values of a table of features, and what targets look like in its column space: all that rankings need.
//!
//! Taken from the smaller of the two Gram matrices, in f64: features are f32, so squaring their singular values loses
//! nothing that was there. The Gram matrix is summed a block of rows at a time, its columns spread over all threads in
//! panels of fixed size, so that it is alike to the last bit on any number of threads and needs no f64 copy of the table.
//! Its eigenvalues come from `faer`: pure Rust, and in the tree already for the solver.

use faer::{Mat, Side};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::Error;

/// Eigenvalues below this share of the largest are rounding, and are taken for 0.
const RANK: f64 = 1e-12;
/// Rows turned to f64 at a time.
const ROWS: usize = 512;
/// Columns of the Gram matrix that one thread sums at a time.
const PANEL: usize = 128;

/// What is done to each column before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Nothing.
    Raw,
    /// Its mean is taken off.
    Centred,
    /// Its mean is taken off, and it is divided by its standard deviation; a constant column becomes 0.
    Standardised,
}

/// Features `[n, d]` as f64, each column changed as asked.
pub(crate) struct Table<'a> {
    rows: ArrayView2<'a, f32>,
    mean: Array1<f64>,
    factor: Array1<f64>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(rows: ArrayView2<'a, f32>, columns: Columns) -> Result<Self, Error> {
        check_finite("features", rows)?;
        let mean = sum_rows(rows, |sum, row| *sum += f64::from(row)) / rows.nrows() as f64;
        let centre = if columns == Columns::Raw { Array1::zeros(mean.len()) } else { mean.clone() };
        let mut factor = Array1::ones(mean.len());
        let first = rows.row(0);
        for (column, values) in rows.axis_iter(Axis(1)).enumerate() {
            if values.iter().all(|value| *value == first[column]) && columns != Columns::Raw {
                factor[column] = 0.0;
            }
        }
        if columns == Columns::Standardised {
            let mut squares = Array1::<f64>::zeros(mean.len());
            for row in rows.outer_iter() {
                ndarray::Zip::from(&mut squares).and(row).and(&mean).for_each(|sum, &value, &mean| {
                    *sum += (f64::from(value) - mean).powi(2);
                });
            }
            let deviation = (squares / rows.nrows() as f64).mapv(f64::sqrt);
            factor.zip_mut_with(&deviation, |factor, &deviation| {
                *factor = if *factor == 0.0 || deviation == 0.0 { 0.0 } else { 1.0 / deviation };
            });
        }
        Ok(Self { rows, mean: centre, factor })
    }

    /// Whether no column varies.
    pub(crate) fn is_constant(&self) -> bool {
        self.factor.iter().all(|factor| *factor == 0.0)
    }

    fn block(&self, first: usize, end: usize) -> Array2<f64> {
        let mut block = self.rows.slice(s![first..end, ..]).mapv(f64::from);
        block -= &self.mean;
        block *= &self.factor;
        block
    }

    /// `Fᵀ T [d, m]` of targets `[n, m]`.
    pub(crate) fn transposed_times(&self, targets: ArrayView2<'_, f64>) -> Array2<f64> {
        let mut product = Array2::zeros((self.rows.ncols(), targets.ncols()));
        for first in (0..self.rows.nrows()).step_by(ROWS) {
            let end = (first + ROWS).min(self.rows.nrows());
            general_mat_mul(1.0, &self.block(first, end).t(), &targets.slice(s![first..end, ..]), 1.0, &mut product);
        }
        product
    }

    /// `Fᵀ G [d, e]` with another table over the same rows.
    pub(crate) fn cross(&self, other: &Table<'_>) -> Array2<f64> {
        let mut product = Array2::zeros((self.rows.ncols(), other.rows.ncols()));
        for first in (0..self.rows.nrows()).step_by(ROWS) {
            let end = (first + ROWS).min(self.rows.nrows());
            let (own, others) = (self.block(first, end), other.block(first, end));
            let panels: Vec<_> = product.axis_chunks_iter_mut(Axis(1), PANEL).enumerate().collect();
            panels.into_par_iter().for_each(|(panel, mut out)| {
                let start = panel * PANEL;
                let others = others.slice(s![.., start..start + out.ncols()]);
                general_mat_mul(1.0, &own.t(), &others, 1.0, &mut out);
            });
        }
        product
    }

    /// `F Fᵀ [n, n]`.
    pub(crate) fn between_rows(&self) -> Array2<f64> {
        let rows = self.block(0, self.rows.nrows());
        let mut product = Array2::zeros((rows.nrows(), rows.nrows()));
        let panels: Vec<_> = product.axis_chunks_iter_mut(Axis(0), PANEL).enumerate().collect();
        panels.into_par_iter().for_each(|(panel, mut out)| {
            let start = panel * PANEL;
            general_mat_mul(1.0, &rows.slice(s![start..start + out.nrows(), ..]), &rows.t(), 0.0, &mut out);
        });
        product
    }

    /// Rows and columns.
    pub(crate) fn dim(&self) -> (usize, usize) {
        self.rows.dim()
    }

    /// The singular values above rounding, and targets `[n, m]` along the left singular vectors.
    pub(crate) fn spectrum(&self, targets: ArrayView2<'_, f64>) -> Result<Spectrum, Error> {
        let (n, d) = self.dim();
        let wide = n < d;
        let gram = if wide { self.between_rows() } else { self.cross(self) };
        let (values, vectors) = eigen(&gram)?;
        let largest = values.iter().copied().fold(0.0, f64::max);
        let kept: Vec<usize> = (0..values.len()).filter(|&i| values[i] > RANK * largest && values[i] > 0.0).collect();
        let squared: Vec<f64> = kept.iter().map(|&i| values[i]).collect();
        let vectors = vectors.select(Axis(1), &kept);
        let along = if wide {
            vectors.t().dot(&targets)
        } else {
            // Uᵀ T = S⁻¹ Vᵀ Fᵀ T.
            let mut along = vectors.t().dot(&self.transposed_times(targets));
            along.outer_iter_mut().zip(&squared).for_each(|(mut row, squared)| row /= squared.sqrt());
            along
        };
        Ok(Spectrum { squared, along })
    }
}

/// A thin singular value decomposition `F = U S Vᵀ` of rank k, as far as rankings need it.
pub(crate) struct Spectrum {
    /// Squares of the singular values `[k]`.
    pub(crate) squared: Vec<f64>,
    /// `Uᵀ T [k, m]`.
    pub(crate) along: Array2<f64>,
}

fn eigen(gram: &Array2<f64>) -> Result<(Vec<f64>, Array2<f64>), Error> {
    let size = gram.nrows();
    let matrix = Mat::from_fn(size, size, |i, j| gram[[i, j]]);
    let found = matrix.self_adjoint_eigen(Side::Lower).map_err(|_| Error::NoEigenvalues { size })?;
    let values = (0..size).map(|i| found.S().column_vector()[i]).collect();
    let vectors = found.U();
    Ok((values, Array2::from_shape_fn((size, size), |(i, j)| vectors[(i, j)])))
}

fn sum_rows(rows: ArrayView2<'_, f32>, add: impl Fn(&mut f64, f32)) -> Array1<f64> {
    let mut sum = Array1::zeros(rows.ncols());
    for row in rows.outer_iter() {
        sum.iter_mut().zip(&row).for_each(|(sum, &value)| add(sum, value));
    }
    sum
}

/// That a table has rows and columns and every number is finite.
pub(crate) fn check_finite<T: Copy + Into<f64>>(what: &'static str, rows: ArrayView2<'_, T>) -> Result<(), Error> {
    if rows.is_empty() {
        return Err(Error::Empty { what });
    }
    for ((row, column), &value) in rows.indexed_iter() {
        let value: f64 = value.into();
        if !value.is_finite() {
            return Err(Error::NotFinite { what, row, column, value });
        }
    }
    Ok(())
}

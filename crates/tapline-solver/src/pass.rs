//! One pass over the rows: scores, losses, residuals and gradients of all problems under way, each row read once.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::loss::Targets;
use crate::table::{CHUNK, Real, Table};

/// Columns of a gradient that one thread works on.
const TILE: usize = 64;

/// Rows whose residuals are summed in the rows' own precision.
const SHORT: usize = 256;

/// Where one problem is to be looked at.
pub(crate) struct Look<'a, 't> {
    /// Weights row by row, then intercepts `[(columns + 1) · outputs]`, for rows in the table's units.
    pub(crate) point: &'a [f64],
    pub(crate) targets: &'a Targets<'t>,
}

/// What one problem looks like there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// `Σ d loss`, without penalty.
    pub(crate) loss: f64,
    /// `Xᵀ R` row by row, then `1ᵀ R`: `[(columns + 1) · outputs]`.
    pub(crate) gradient: Vec<f64>,
    /// Sum of the losses' second derivatives by each intercept `[outputs]`.
    pub(crate) curvature: Vec<f64>,
    /// Scores of all rows, row by row `[rows · outputs]`.
    pub(crate) scores: Vec<f32>,
}

/// Looks at all of `looks`, each with `outputs` outputs; rows, scores and residuals are in the precision `T`.
pub(crate) fn look<T: Real>(table: &Table<'_>, outputs: usize, looks: &[Look<'_, '_>]) -> Vec<View> {
    let (columns, width) = (table.columns, looks.len() * outputs);
    let weights = Mat::from_fn(columns, width, |column, place| {
        T::of(looks[place / outputs].point[column * outputs + place % outputs])
    });
    let mut views: Vec<View> = looks
        .iter()
        .map(|_| View {
            loss: 0.0,
            gradient: vec![0.0; (columns + 1) * outputs],
            curvature: vec![0.0; outputs],
            scores: vec![0.0; table.rows * outputs],
        })
        .collect();
    let mut buffer: Vec<T> = Vec::new();
    let mut gradient = vec![0.0f64; columns * width];
    for block in table.blocks() {
        let values = table.block(block.clone(), &mut buffer);
        let mut residuals = vec![T::default(); block.len() * width];
        // Scores first, then what each row makes of them.
        let sums: Vec<Vec<Part>> = residuals
            .par_chunks_mut(CHUNK * width)
            .zip(values.par_chunks(CHUNK * columns))
            .enumerate()
            .map(|(chunk, (residuals, values))| {
                let rows = residuals.len() / width;
                let scores = MatMut::from_row_major_slice_mut(residuals, rows, width);
                let values = MatRef::from_row_major_slice(values, rows, columns);
                matmul(scores, Accum::Replace, values, weights.as_ref(), T::of(1.0), Par::Seq);
                let first = block.start + chunk * CHUNK;
                looks
                    .iter()
                    .enumerate()
                    .map(|(place, look)| {
                        let own = Strided { values: &mut *residuals, width, place };
                        Arch::new().dispatch(Fill { look, outputs, first, own })
                    })
                    .collect()
            })
            .collect();
        for (chunk, parts) in sums.into_iter().enumerate() {
            let first = (block.start + chunk * CHUNK) * outputs;
            for (view, part) in views.iter_mut().zip(parts) {
                view.loss += part.loss;
                let sums = view.gradient[columns * outputs..].iter_mut().zip(&part.residuals);
                sums.for_each(|(sum, part)| *sum += part);
                view.curvature.iter_mut().zip(&part.curvature).for_each(|(sum, part)| *sum += part);
                view.scores[first..first + part.scores.len()].copy_from_slice(&part.scores);
            }
        }
        let values = MatRef::from_row_major_slice(values, block.len(), columns);
        let residuals = MatRef::from_row_major_slice(&residuals, block.len(), width);
        gradient.par_chunks_mut(TILE * width).enumerate().for_each(|(tile, sums)| {
            let count = sums.len() / width;
            let mut product = vec![T::default(); count * width];
            let values = values.subcols(tile * TILE, count).transpose();
            // The precision of the rows over few of them, float64 over all.
            for first in (0..block.len()).step_by(SHORT) {
                let rows = SHORT.min(block.len() - first);
                let target = MatMut::from_row_major_slice_mut(&mut product, count, width);
                let (values, residuals) = (values.subcols(first, rows), residuals.subrows(first, rows));
                matmul(target, Accum::Replace, values, residuals, T::of(1.0), Par::Seq);
                sums.iter_mut().zip(&product).for_each(|(sum, &part)| *sum += part.into());
            }
        });
    }
    for (place, view) in views.iter_mut().enumerate() {
        for (column, sums) in gradient.chunks_exact(width).enumerate() {
            let own = &sums[place * outputs..(place + 1) * outputs];
            view.gradient[column * outputs..(column + 1) * outputs].copy_from_slice(own);
        }
    }
    views
}

/// The columns of one problem in a chunk's table of scores and residuals.
struct Strided<'a, T> {
    values: &'a mut [T],
    width: usize,
    place: usize,
}

/// One chunk's part of a view.
struct Part {
    loss: f64,
    residuals: Vec<f64>,
    curvature: Vec<f64>,
    scores: Vec<f32>,
}

/// What turns the scores of a chunk, but for intercepts, into residuals.
struct Fill<'a, 'b, 't, T> {
    look: &'a Look<'b, 't>,
    outputs: usize,
    /// The chunk's first row.
    first: usize,
    own: Strided<'a, T>,
}

impl<T: Real> WithSimd for Fill<'_, '_, '_, T> {
    type Output = Part;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Part {
        let Self { look, outputs, first, own: Strided { values, width, place } } = self;
        let intercepts = &look.point[look.point.len() - outputs..];
        let rows = values.len() / width;
        let mut part = Part {
            loss: 0.0,
            residuals: vec![0.0; outputs],
            curvature: vec![0.0; outputs],
            scores: Vec::with_capacity(rows * outputs),
        };
        let mut scores = vec![0.0f64; outputs];
        for (row, values) in values.chunks_exact_mut(width).enumerate() {
            let own = &mut values[place * outputs..(place + 1) * outputs];
            for ((score, &value), &intercept) in scores.iter_mut().zip(&*own).zip(intercepts) {
                *score = value.into() + intercept;
            }
            part.scores.extend(scores.iter().map(|&score| score as f32));
            part.loss += look.targets.differentiate(first + row, &mut scores, &mut part.curvature);
            for ((value, &residual), sum) in own.iter_mut().zip(&scores).zip(&mut part.residuals) {
                *value = T::of(residual);
                *sum += residual;
            }
        }
        part
    }
}

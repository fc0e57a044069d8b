//! One pass over the rows: scores, losses, residuals and gradients of all problems under way, each row read once.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::loss::Targets;
use crate::table::{CHUNK, Real, Table};

/// How much of a gradient one thread sums: so many times the number of outputs.
const TILE: usize = 64;

/// Outputs up to which products are made faster one output after the other than column by column.
const NARROW: usize = 10;

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
    T::pass_begins(table);
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
    let mut gradient = vec![0.0f64; columns * width];
    for block in table.blocks() {
        // Each chunk is gone through twice while it is near: for its scores, and for its part of the gradient.
        let chunks: Vec<(Vec<Part>, Vec<T>)> = (block.clone())
            .into_par_iter()
            .step_by(CHUNK)
            .map_init(Vec::<T>::new, |buffer, first| {
                let rows = CHUNK.min(block.end - first);
                let values = MatRef::from_row_major_slice(table.chunk(first..first + rows, buffer), rows, columns);
                let mut residuals = vec![T::default(); rows * width];
                let scores = MatMut::from_row_major_slice_mut(&mut residuals, rows, width);
                matmul(scores, Accum::Replace, values, weights.as_ref(), T::of(1.0), Par::Seq);
                let parts = looks.iter().enumerate().map(|(place, look)| {
                    let own = Strided { values: &mut residuals, width, place };
                    Arch::new().dispatch(Fill { look, outputs, first, own })
                });
                let parts = parts.collect();
                let residuals = MatRef::from_row_major_slice(&residuals, rows, width);
                let mut product = vec![T::default(); columns * width];
                let target = match width {
                    ..=NARROW => MatMut::from_column_major_slice_mut(&mut product, columns, width),
                    _ => MatMut::from_row_major_slice_mut(&mut product, columns, width),
                };
                matmul(target, Accum::Replace, values.transpose(), residuals, T::of(1.0), Par::Seq);
                (parts, product)
            })
            .collect();
        // The precision of the rows over a chunk of them, float64 over all.
        gradient.par_chunks_mut(TILE * width).enumerate().for_each(|(tile, sums)| {
            for (_, product) in &chunks {
                let own = &product[tile * TILE * width..][..sums.len()];
                sums.iter_mut().zip(own).for_each(|(sum, &part)| *sum += part.into());
            }
        });
        for (first, (parts, _)) in block.step_by(CHUNK).zip(chunks) {
            let first = first * outputs;
            for (view, part) in views.iter_mut().zip(parts) {
                view.loss += part.loss;
                let sums = view.gradient[columns * outputs..].iter_mut().zip(&part.residuals);
                sums.for_each(|(sum, part)| *sum += part);
                view.curvature.iter_mut().zip(&part.curvature).for_each(|(sum, part)| *sum += part);
                view.scores[first..first + part.scores.len()].copy_from_slice(&part.scores);
            }
        }
    }
    let [by_column, by_output] = if width <= NARROW { [1, columns] } else { [width, 1] };
    for (place, view) in views.iter_mut().enumerate() {
        for (column, own) in view.gradient[..columns * outputs].chunks_exact_mut(outputs).enumerate() {
            let sum = |output: usize| gradient[column * by_column + (place * outputs + output) * by_output];
            own.iter_mut().enumerate().for_each(|(output, own)| *own = sum(output));
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

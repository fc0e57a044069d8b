//! A curvature that one problem has for itself, in double precision: Newton's method for what the shared curvature and the
//! memory of steps are too coarse for.
//!
//! With one output, or with few weights in all, it is the Hessian itself; else the mean of the outputs' Hessians.

use faer::Mat;
use faer::linalg::matmul::matmul;
use faer::{Accum, Par};

use crate::loss::Targets;
use crate::precondition::{Preconditioner, Products, Sample, cholesky, solve};

/// Weights and intercepts of all outputs together that a whole Hessian is made for, at most.
const UNKNOWNS: usize = 1024;

/// One problem's curvature, as it was where it was taken.
pub(crate) struct Own<'a> {
    sample: &'a Sample,
    taken: Taken,
    /// The factor at one strength.
    factor: Option<Factor<'a>>,
}

enum Taken {
    Mean(Products<f64>),
    /// The loss's Hessian by weights row by row, then intercepts, as a direction holds them: lower, without penalty.
    Whole(Mat<f64>),
}

enum Factor<'a> {
    Mean(Preconditioner<'a, f64>),
    Whole(Mat<f64>),
}

impl<'a> Own<'a> {
    /// The curvature of `targets` at `scores [rows · outputs]`; `before` is used up where it can be.
    pub(crate) fn take(
        sample: &'a Sample,
        targets: &Targets<'_>,
        scores: &[f32],
        (rho, before): (&[f64], Option<Self>),
    ) -> Self {
        let outputs = targets.outputs;
        let scores = |row: usize| scores[row * outputs..(row + 1) * outputs].iter().map(|&score| f64::from(score));
        if targets.has_one_curvature() || !sample.is_whole() || (rho.len() + 1) * outputs > UNKNOWNS {
            let mut d = vec![0.0; sample.rows.len()];
            targets.add_curvature(&sample.rows, scores, &mut d);
            let before =
                before.and_then(|own| if let Taken::Mean(products) = own.taken { Some(products) } else { None });
            return Self { sample, taken: Taken::Mean(sample.products(&d, rho, before)), factor: None };
        }
        let curvatures: Vec<Vec<f64>> =
            sample.rows.iter().map(|&row| targets.curvature_of_row(row, scores(row).collect())).collect();
        Self { sample, taken: Taken::Whole(whole(sample, &curvatures, outputs)), factor: None }
    }

    /// Whether it is the Hessian, where it was taken.
    pub(crate) fn is_hessian(&self, targets: &Targets<'_>) -> bool {
        matches!(self.taken, Taken::Whole(_)) || (self.sample.is_whole() && targets.has_one_curvature())
    }

    /// Factors it for strength `c`, where that was not yet done.
    pub(crate) fn factor(&mut self, rho: &[f64], c: f64) {
        if self.factor.is_none() {
            self.factor = Some(match &self.taken {
                Taken::Mean(products) => Factor::Mean(self.sample.factor(products, rho, c)),
                Taken::Whole(hessian) => {
                    let mut penalised = hessian.clone();
                    let outputs = hessian.nrows() / (rho.len() + 1);
                    let places = rho.iter().flat_map(|rho| std::iter::repeat_n(rho, outputs)).enumerate();
                    places.for_each(|(place, rho)| penalised[(place, place)] += rho / c);
                    Factor::Whole(cholesky(penalised))
                }
            });
        }
    }

    /// Another strength is to come.
    pub(crate) fn unfactor(&mut self) {
        self.factor = None;
    }

    /// Multiplies a direction `[(columns + 1) · outputs]` by the inverse curvature, once it is factored.
    pub(crate) fn apply(&self, direction: &mut [f64], outputs: usize) {
        match &self.factor {
            Some(Factor::Whole(factor)) => {
                let mut right = Mat::from_fn(direction.len(), 1, |place, _| direction[place]);
                solve(factor.as_ref(), right.as_mut());
                direction.copy_from_slice(right.col_as_slice(0));
            }
            Some(Factor::Mean(factor)) => {
                let length = direction.len() / outputs;
                let mut right = Mat::from_fn(length, outputs, |row, output| direction[row * outputs + output]);
                factor.apply(right.as_mut());
                for (place, value) in direction.iter_mut().enumerate() {
                    *value = right[(place / outputs, place % outputs)];
                }
            }
            None => {}
        }
    }
}

/// `Σ (x, 1) (x, 1)ᵀ ⊗ D` over the rows, lower, with `D [outputs, outputs]` each row's `curvatures`.
fn whole(sample: &Sample, curvatures: &[Vec<f64>], outputs: usize) -> Mat<f64> {
    let (columns, rows) = (sample.columns(), curvatures.len());
    let value = |column: usize, row: usize| if column == columns { 1.0 } else { sample.value(column, row) };
    let x = Mat::from_fn(columns + 1, rows, value);
    let size = (columns + 1) * outputs;
    let mut hessian = Mat::zeros(size, size);
    let mut block = Mat::zeros(columns + 1, columns + 1);
    for one in 0..outputs {
        for two in 0..=one {
            let weighted =
                Mat::from_fn(columns + 1, rows, |column, row| x[(column, row)] * curvatures[row][one * outputs + two]);
            matmul(block.as_mut(), Accum::Replace, weighted.as_ref(), x.transpose(), 1.0, Par::Seq);
            for left in 0..=columns {
                for right in 0..=columns {
                    let (a, b) = (left * outputs + one, right * outputs + two);
                    hessian[(a.max(b), a.min(b))] = block[(left, right)];
                }
            }
        }
    }
    // All classes' intercepts may move together, which changes nothing.
    let highest = (0..size).map(|place| hessian[(place, place)]).fold(0.0, f64::max);
    (columns * outputs..size).for_each(|place| hessian[(place, place)] += highest * f64::EPSILON);
    hessian
}

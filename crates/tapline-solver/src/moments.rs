//! Means and scales of one training set, and how standardised weights act on rows that are never standardised.
//!
//! No set gets its own copy of the features: standardisation is moved into the weights, exactly. With `z = (x − μ) / σ`
//! of set `s`, weights `W`, intercept `b` and row weights `d`:
//!
//! ```text
//! scores:    Wᵀz + b = Vᵀx + (b − Vᵀμ)          with V = W / σ, row by row
//! gradient:  Zᵀ R    = (Xᵀ R − μ · 1ᵀR) / σ     with R = d ∘ (P − Y)
//! penalty:   ‖W‖² / (2 C), in the unit of W, whatever σ is
//! ```
//!
//! So the one matrix `X` serves all sets, rows outside a set (`d = 0`) add exact zeros, and the numbers of a set do not
//! depend on rows outside it, to the last bit.

use ndarray::{Array1, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

/// Mean and scale of each column over the rows of one training set.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Weighted mean of each column `[columns]`.
    pub mean: Array1<f64>,
    /// Weighted population standard deviation of each column `[columns]`; 1 where it is constant.
    pub scale: Array1<f64>,
}

/// `mean = Σ d x / Σ d` and `scale = √(Σ d (x − mean)² / Σ d)` of `rows [rows, columns]`, weights `d [rows]`, in two passes.
///
/// A column counts as constant, and gets scale 1, where its variance is within rounding of 0:
/// `var ≤ n·ε·var + (n·mean·ε)²`, `n` the rows of weight above 0 (scikit-learn, `_is_constant_feature`, after Chan, Golub
/// and LeVeque, "Algorithms for computing the sample variance", 1983).
pub fn moments(rows: ArrayView2<'_, f64>, weights: &[f64]) -> Moments {
    let used = || rows.outer_iter().zip(weights).filter(|&(_, &weight)| weight > 0.0);
    let (count, total) = (used().count() as f64, weights.iter().sum::<f64>());
    let mut mean = Array1::<f64>::zeros(rows.ncols());
    used().for_each(|(row, &weight)| mean.scaled_add(weight, &row));
    mean /= total;
    let mut variance = Array1::<f64>::zeros(rows.ncols());
    for (row, &weight) in used() {
        for ((sum, &mean), &value) in variance.iter_mut().zip(&mean).zip(row) {
            *sum += weight * ((value - mean) * (value - mean));
        }
    }
    variance /= total;
    let scale = variance.iter().zip(&mean).map(|(&variance, &mean)| scale_of(variance, mean, count)).collect();
    Moments { mean, scale }
}

/// Writes `V = W / σ [columns, outputs]` into `target` and returns `b − Vᵀμ [outputs]`.
///
/// `point` is `W` row by row, then `b`: `[(columns + 1) · outputs]`.
pub(crate) fn to_raw(moments: &Moments, point: ArrayView1<'_, f64>, mut target: ArrayViewMut2<'_, f64>) -> Array1<f64> {
    let (columns, outputs) = target.dim();
    let mut shift = point.slice(s![columns * outputs..]).to_owned();
    let rows = point.to_slice().expect("one run").chunks_exact(outputs);
    for ((weights, mut target), (&mean, &scale)) in
        rows.zip(target.outer_iter_mut()).zip(moments.mean.iter().zip(&moments.scale))
    {
        for ((&weight, target), shift) in weights.iter().zip(&mut target).zip(&mut shift) {
            *target = weight / scale;
            *shift -= *target * mean;
        }
    }
    shift
}

/// Zᵀ R and 1ᵀR, row by row `[(columns + 1) · outputs]`, from `Xᵀ R [columns, outputs]` and `R [rows, outputs]`.
pub(crate) fn to_standardised(
    moments: &Moments,
    products: ArrayView2<'_, f64>,
    residuals: ArrayView2<'_, f64>,
) -> Array1<f64> {
    let sums = residuals.sum_axis(Axis(0));
    let mut gradient = Vec::with_capacity((products.nrows() + 1) * products.ncols());
    for (products, (&mean, &scale)) in products.outer_iter().zip(moments.mean.iter().zip(&moments.scale)) {
        gradient.extend(products.iter().zip(&sums).map(|(&product, &sum)| (product - mean * sum) / scale));
    }
    gradient.extend(&sums);
    Array1::from_vec(gradient)
}

fn scale_of(variance: f64, mean: f64, count: f64) -> f64 {
    let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
    if variance <= rounding { 1.0 } else { variance.sqrt() }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn rows_of_weight_0_leave_no_trace() {
        let rows = array![[1.0, 5.0], [3.0, 9.0], [1e6, -1e6]];
        let found = moments(rows.view(), &[1.0, 1.0, 0.0]);
        assert_eq!(found, Moments { mean: array![2.0, 7.0], scale: array![1.0, 2.0] });
    }

    #[test]
    fn a_weight_of_2_is_a_row_given_twice() {
        let rows = array![[1.0], [4.0], [4.0]];
        let once = moments(rows.slice(s![..2, ..]), &[1.0, 2.0]);
        assert_eq!(once, moments(rows.view(), &[1.0, 1.0, 1.0]));
    }

    #[test]
    fn a_constant_column_has_scale_1() {
        assert_eq!(moments(array![[0.1], [0.1], [0.1]].view(), &[1.0; 3]).scale, array![1.0]);
    }

    #[test]
    fn standardised_weights_on_raw_rows_score_like_on_standardised_rows() {
        let rows = array![[1.0, 5.0], [3.0, 9.0], [8.0, -2.0]];
        let moments = moments(rows.view(), &[1.0; 3]);
        let mut raw = Array2::zeros((2, 1));
        let shift = to_raw(&moments, array![0.5, -2.0, 0.25].view(), raw.view_mut());
        let standardised = (&rows - &moments.mean) / &moments.scale;
        let difference = rows.dot(&raw) + &shift - (standardised.dot(&array![[0.5], [-2.0]]) + 0.25);
        assert!(difference.iter().all(|difference| difference.abs() < 1e-14));
        let residuals = array![[0.5], [-0.25], [0.125]];
        let gradient = to_standardised(&moments, rows.t().dot(&residuals).view(), residuals.view());
        let expected = standardised.t().dot(&residuals);
        assert!((gradient[0] - expected[[0, 0]]).abs() + (gradient[1] - expected[[1, 0]]).abs() < 1e-14);
        assert_eq!(gradient[2], 0.375);
    }
}

//! The best intercept for given weights.
//!
//! Where the derivative by the intercept is 0, the derivative by the weights alone bounds how far the objective is from
//! its minimum; so every fit ends here, and what it cost to get there is a few passes over the scores.

use ndarray::{Array1, Array2, ArrayView2};

use crate::loss::{column_sums, loss, output_probabilities, subtract_targets};

/// Newton steps at most; three or four are usual.
const STEPS: usize = 50;

/// An intercept, and how far it can still lower the loss.
pub(crate) struct Intercept {
    /// Intercept of each output `[outputs]`.
    pub(crate) values: Array1<f64>,
    /// Half the squared Newton decrement, in nats: the estimate of what the intercept still costs.
    pub(crate) decrement: f64,
    /// Derivative of the loss by each score at this intercept `[rows, outputs]`.
    pub(crate) residuals: Array2<f64>,
    /// Sum of the rows' losses at this intercept, in nats.
    pub(crate) loss: f64,
}

/// The intercept that minimises the loss of `margins [rows, outputs]` (scores without intercept), from `start [outputs]`.
///
/// Newton's method with halved steps (Boyd and Vandenberghe, "Convex optimization", 2004, algorithm 9.5): with
/// `g = Σ (p − y)` and `H = Σ (diag(p) − p pᵀ)` over the rows, `b ← b − t H⁻¹ g`.
pub(crate) fn best_intercept(margins: ArrayView2<'_, f64>, labels: &[usize], start: &Array1<f64>) -> Intercept {
    let mut here = at(margins, labels, start.clone());
    for _ in 0..STEPS {
        let Some(step) = newton_step(&here, labels) else {
            here.decrement = f64::INFINITY;
            break;
        };
        here.decrement = 0.5 * step.dot(&column_sums(&here.residuals)).max(0.0);
        if here.decrement <= 1e-15 * here.loss {
            break;
        }
        match downhill(margins, labels, (&here, &step)) {
            Some(next) => here = next,
            None => break,
        }
    }
    here
}

fn at(margins: ArrayView2<'_, f64>, labels: &[usize], values: Array1<f64>) -> Intercept {
    let scores = &margins + &values;
    let loss = loss(scores.view(), labels);
    let mut residuals = output_probabilities(scores.view());
    subtract_targets(&mut residuals, labels);
    Intercept { values, decrement: f64::INFINITY, residuals, loss }
}

/// The first of the steps 1, ½, ¼, … that lowers the loss by a fair part of what the decrement promises.
fn downhill(margins: ArrayView2<'_, f64>, labels: &[usize], from: (&Intercept, &Array1<f64>)) -> Option<Intercept> {
    let (here, step) = from;
    (0..40).map(|halvings| 0.5f64.powi(halvings)).find_map(|length| {
        let next = at(margins, labels, &here.values - &(step * length));
        (next.loss <= here.loss - 0.1 * length * here.decrement).then_some(next)
    })
}

/// `H⁻¹ g`. With several outputs a shift of all intercepts changes nothing, so `H` is singular along `1`; adding
/// `mean(diag H) / outputs · 1 1ᵀ` makes it regular and leaves the step alone, since `g` has no part along `1`.
fn newton_step(here: &Intercept, labels: &[usize]) -> Option<Array1<f64>> {
    let outputs = here.residuals.ncols();
    let mut probabilities = here.residuals.clone();
    for (mut row, &label) in probabilities.outer_iter_mut().zip(labels) {
        if outputs == 1 {
            row[0] += label as f64;
        } else {
            row[label] += 1.0;
        }
    }
    let mut hessian = -probabilities.t().dot(&probabilities);
    hessian.diag_mut().scaled_add(1.0, &column_sums(&probabilities));
    if outputs > 1 {
        let shift = hessian.diag().sum() / (outputs * outputs) as f64;
        hessian += shift;
    }
    solve(hessian, column_sums(&here.residuals))
}

/// The solution of `matrix · x = right` for a positive definite `matrix [n, n]`, by Cholesky's factors; none where a pivot
/// is not above 0.
fn solve(mut matrix: Array2<f64>, mut right: Array1<f64>) -> Option<Array1<f64>> {
    let size = right.len();
    for j in 0..size {
        for k in 0..j {
            let factor = matrix[[j, k]];
            for i in j..size {
                matrix[[i, j]] -= matrix[[i, k]] * factor;
            }
        }
        let pivot = matrix[[j, j]];
        if pivot.is_nan() || pivot <= f64::MIN_POSITIVE {
            return None;
        }
        for i in j..size {
            matrix[[i, j]] /= pivot.sqrt();
        }
    }
    for i in 0..size {
        let known: f64 = (0..i).map(|k| matrix[[i, k]] * right[k]).sum();
        right[i] = (right[i] - known) / matrix[[i, i]];
    }
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size).map(|k| matrix[[k, i]] * right[k]).sum();
        right[i] = (right[i] - known) / matrix[[i, i]];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn without_features_the_intercept_is_the_log_odds() {
        let found = best_intercept(Array2::zeros((4, 1)).view(), &[0, 1, 1, 1], &array![0.0]);
        assert!((found.values[0] - 3f64.ln()).abs() < 1e-7, "{}", found.values[0]);
        assert!(found.decrement < 1e-13);
    }

    #[test]
    fn without_features_the_probabilities_are_the_shares_of_the_classes() {
        let found = best_intercept(Array2::zeros((6, 3)).view(), &[0, 1, 1, 2, 2, 2], &array![5.0, -3.0, 0.0]);
        let shares = output_probabilities(found.values.view().insert_axis(ndarray::Axis(0)));
        for (share, expected) in shares.iter().zip([1.0 / 6.0, 2.0 / 6.0, 3.0 / 6.0]) {
            assert!((share - expected).abs() < 1e-7, "{share}");
        }
    }

    #[test]
    fn cholesky_solves_a_small_system() {
        let found = solve(array![[4.0, 2.0, 0.4], [2.0, 5.0, 1.0], [0.4, 1.0, 3.0]], array![1.0, 2.0, 3.0]).unwrap();
        let back = array![[4.0, 2.0, 0.4], [2.0, 5.0, 1.0], [0.4, 1.0, 3.0]].dot(&found);
        assert!((back - array![1.0, 2.0, 3.0]).iter().all(|error: &f64| error.abs() < 1e-12));
        assert_eq!(solve(array![[1.0, 2.0], [2.0, 1.0]], array![1.0, 1.0]), None);
    }
}

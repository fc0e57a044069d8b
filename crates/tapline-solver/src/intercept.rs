//! The best intercept for given weights.
//!
//! Where the derivative by the intercept is 0, the derivative by the weights alone bounds how far the objective is from
//! its minimum; so every problem starts and ends here, for a few passes over its scores.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use crate::loss::{Aims, Course, Targets, course, loss};

/// Newton steps at most; three or four are usual.
const STEPS: usize = 50;

/// A shift of all scores, and how far another one could still lower the loss.
pub(crate) struct Shift {
    /// What to add to the intercept of each output `[outputs]`.
    pub(crate) values: Array1<f64>,
    /// Half the squared Newton decrement, in the loss's unit: the estimate of what the intercept still costs.
    pub(crate) decrement: f64,
}

/// Where Newton's method stands.
struct Place {
    values: Array1<f64>,
    residuals: Array2<f64>,
    loss: f64,
}

/// The shift that minimises the loss of `scores [rows, outputs]`.
///
/// Outputs that know nothing of each other are shifted one by one.
pub(crate) fn best_shift(scores: ArrayView2<'_, f64>, targets: Targets<'_>) -> Shift {
    let (shape, aims) = match targets.aims {
        Aims::Class(labels) => return best_shift_of_classes(scores, targets, labels),
        Aims::Outputs(shape, aims) => (shape, aims),
    };
    let mut shift = Shift { values: Array1::zeros(scores.ncols()), decrement: 0.0 };
    for output in 0..scores.ncols() {
        let only = s![.., output..=output];
        let targets = Targets { aims: Aims::Outputs(shape, aims.slice(only)), ..targets };
        let (value, decrement) = best_shift_of_one(scores.slice(only), targets);
        shift.values[output] = value;
        shift.decrement += decrement;
    }
    shift
}

/// Newton's method with halved steps (Boyd and Vandenberghe, "Convex optimization", 2004, algorithm 9.5) on
/// `φ(b) = Σ d ℓ(s + b)` of one output, `scores [rows, 1]`: `b ← b − t φ′ / φ″`. Returns `b` and the decrement.
///
/// Squares are exact in one step; a squared hinge, made of pieces of squares, in a few (Mangasarian, "A finite Newton method
/// for classification", 2002).
fn best_shift_of_one(scores: ArrayView2<'_, f64>, targets: Targets<'_>) -> (f64, f64) {
    let ones = Array2::ones(scores.dim());
    let at = |b: f64| course(scores, ones.view(), targets, b);
    let (mut b, mut here, mut decrement) = (0.0, at(0.0), f64::INFINITY);
    for _ in 0..STEPS {
        if here.slope == 0.0 {
            return (b, 0.0);
        }
        if here.curvature.is_nan() || here.curvature <= f64::MIN_POSITIVE {
            return (b, f64::INFINITY);
        }
        let step = here.slope / here.curvature;
        decrement = 0.5 * step * here.slope;
        if decrement <= 1e-15 * here.value {
            break;
        }
        let lengths = (0..40).map(|halvings| 0.5f64.powi(halvings));
        let lower = |(length, next): &(f64, Course)| next.value <= here.value - 0.1 * length * decrement;
        let Some((length, next)) = lengths.map(|length| (length, at(b - length * step))).find(lower) else { break };
        (b, here) = (b - length * step, next);
    }
    (b, decrement)
}

/// Newton's method with halved steps (Boyd and Vandenberghe, "Convex optimization", 2004, algorithm 9.5): with
/// `g = Σ d (p − y)` and `H = Σ d (diag(p) − p pᵀ)` over the rows, `b ← b − t H⁻¹ g`.
fn best_shift_of_classes(scores: ArrayView2<'_, f64>, targets: Targets<'_>, labels: &[usize]) -> Shift {
    let mut here = at(scores, targets, Array1::zeros(scores.ncols()));
    let mut decrement = f64::INFINITY;
    for _ in 0..STEPS {
        let gradient = here.residuals.sum_axis(Axis(0));
        let Some(step) = solve(hessian(&here, labels, targets.weights), gradient.clone()) else {
            decrement = f64::INFINITY;
            break;
        };
        decrement = 0.5 * step.dot(&gradient).max(0.0);
        if decrement <= 1e-15 * here.loss {
            break;
        }
        match downhill(scores, targets, (&here, &step, decrement)) {
            Some(next) => here = next,
            None => break,
        }
    }
    Shift { values: here.values, decrement }
}

fn at(scores: ArrayView2<'_, f64>, targets: Targets<'_>, values: Array1<f64>) -> Place {
    let mut residuals = Array2::zeros(scores.dim());
    let loss = loss((&scores + &values).view(), targets, residuals.view_mut());
    Place { values, residuals, loss }
}

/// The first of the steps 1, ½, ¼, … that lowers the loss by a fair part of what the decrement promises.
fn downhill(scores: ArrayView2<'_, f64>, targets: Targets<'_>, from: (&Place, &Array1<f64>, f64)) -> Option<Place> {
    let (here, step, decrement) = from;
    (0..40).map(|halvings| 0.5f64.powi(halvings)).find_map(|length| {
        let next = at(scores, targets, &here.values - &(step * length));
        (next.loss <= here.loss - 0.1 * length * decrement).then_some(next)
    })
}

/// `Σ d (diag(p) − p pᵀ) [outputs, outputs]`, made regular.
///
/// With several outputs a shift of all of them changes nothing, so `H` is singular along `1`; adding
/// `mean(diag H) / outputs · 1 1ᵀ` leaves `H⁻¹ g` alone, since `g` has no part along `1`.
fn hessian(here: &Place, labels: &[usize], weights: &[f64]) -> Array2<f64> {
    let outputs = here.residuals.ncols();
    let mut probabilities = Array2::zeros(here.residuals.dim());
    for (row, (&label, &weight)) in labels.iter().zip(weights).enumerate().filter(|(_, (_, d))| **d > 0.0) {
        let mut probability = probabilities.row_mut(row);
        probability.zip_mut_with(&here.residuals.row(row), |p, residual| *p = residual / weight);
        match outputs {
            1 => probability[0] += label as f64,
            _ => probability[label] += 1.0,
        }
    }
    let mut weighted = probabilities.clone();
    weighted.outer_iter_mut().zip(weights).for_each(|(mut row, &weight)| row *= weight);
    let mut hessian = -probabilities.t().dot(&weighted);
    hessian.diag_mut().scaled_add(1.0, &weighted.sum_axis(Axis(0)));
    if outputs > 1 {
        let shift = hessian.diag().sum() / (outputs * outputs) as f64;
        hessian += shift;
    }
    hessian
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
    use crate::loss::Shape;

    fn check(labels: &[usize], weights: &[f64], outputs: usize) -> Array1<f64> {
        let found =
            best_shift(Array2::zeros((labels.len(), outputs)).view(), Targets { aims: Aims::Class(labels), weights });
        assert!(found.decrement < 1e-13);
        found.values
    }

    #[test]
    fn without_features_the_shift_is_the_log_odds_of_the_weights() {
        let found = check(&[0, 1, 1, 1, 1], &[1.0, 1.0, 1.0, 1.0, 0.0], 1);
        assert!((found[0] - 3f64.ln()).abs() < 1e-7, "{found}");
        let found = check(&[0, 1], &[0.5, 1.5], 1);
        assert!((found[0] - 3f64.ln()).abs() < 1e-7, "{found}");
    }

    #[test]
    fn without_features_the_probabilities_are_the_shares_of_the_classes() {
        let found = check(&[0, 1, 1, 2, 2, 2], &[1.0; 6], 3).mapv(f64::exp);
        for (share, expected) in found.iter().zip([1.0 / 6.0, 2.0 / 6.0, 3.0 / 6.0]) {
            assert!((share / found.sum() - expected).abs() < 1e-7, "{share}");
        }
    }

    fn check_output(shape: Shape, aims: &[f64], weights: &[f64], scores: &[f64], expected: f64) {
        let column = |values: &[f64]| Array2::from_shape_vec((values.len(), 1), values.to_vec()).unwrap();
        let aims = column(aims);
        let targets = Targets { aims: Aims::Outputs(shape, aims.view()), weights };
        let found = best_shift(column(scores).view(), targets);
        assert!((found.values[0] - expected).abs() < 1e-7, "{} {expected}", found.values);
        assert!(found.decrement < 1e-13);
    }

    #[test]
    fn outputs_of_their_own_are_shifted_one_by_one() {
        check_output(Shape::SquaredError, &[1.0, 5.0, 9.0], &[1.0, 3.0, 0.0], &[0.5, 1.0, 0.0], 3.125);
        check_output(Shape::Logistic, &[0.0, 1.0, 1.0, 1.0], &[1.0; 4], &[0.0; 4], 3f64.ln());
        check_output(Shape::Logistic, &[0.0, 1.0, 1.0, 1.0], &[1.0; 4], &[30.0; 4], 3f64.ln() - 30.0);
        // Two rows against one: 2 (1 − b) = 1 + b.
        check_output(Shape::SquaredHinge, &[0.0, 1.0, 1.0], &[1.0; 3], &[0.0; 3], 1.0 / 3.0);
        // Far off, all rows but one are beyond their margin: the pieces change on the way.
        check_output(Shape::SquaredHinge, &[0.0, 1.0, 1.0], &[1.0; 3], &[50.0; 3], 1.0 / 3.0 - 50.0);
    }

    #[test]
    fn cholesky_solves_a_small_system() {
        let matrix = array![[4.0, 2.0, 0.4], [2.0, 5.0, 1.0], [0.4, 1.0, 3.0]];
        let found = solve(matrix.clone(), array![1.0, 2.0, 3.0]).unwrap();
        assert!((matrix.dot(&found) - array![1.0, 2.0, 3.0]).iter().all(|error: &f64| error.abs() < 1e-12));
        assert_eq!(solve(array![[1.0, 2.0], [2.0, 1.0]], array![1.0, 1.0]), None);
    }
}

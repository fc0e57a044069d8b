//! Loss, residuals and the course of the loss along a line, each stable for scores of any size.
//!
//! Scores are `[rows, outputs]`. Where classes exclude each other, one output is the log-odds of class 1, more are one for
//! each class; otherwise each output has a loss of its own. Rows of weight 0 are passed over, so nothing that is in them can
//! reach a fit.

use ndarray::{ArrayView2, ArrayViewMut2};

/// What scores are held against, and the weights `[rows]` of one training set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Targets<'a> {
    pub(crate) aims: Aims<'a>,
    pub(crate) weights: &'a [f64],
}

/// Targets, and the loss that goes with them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aims<'a> {
    /// The class of each row `[rows]`, one of all.
    Class(&'a [usize]),
    /// A number for each output `[rows, outputs]`, and the loss of one output; outputs know nothing of each other.
    Outputs(Shape, ArrayView2<'a, f64>),
}

/// The loss `ℓ(s, y)` of one output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// `ln(1 + e^s) − y s`, `y` 0 or 1.
    Logistic,
    /// `max(0, 1 − (2y − 1) s)²`, `y` 0 or 1.
    SquaredHinge,
    /// `½ (s − y)²`.
    SquaredError,
}

/// Loss and its derivatives along a line, by the length of the way gone.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Course {
    pub(crate) value: f64,
    pub(crate) slope: f64,
    pub(crate) curvature: f64,
}

/// `Σ dᵢ lossᵢ` of `scores [rows, outputs]`, with its derivatives by the scores written to `residuals`.
pub(crate) fn loss(scores: ArrayView2<'_, f64>, targets: Targets<'_>, mut residuals: ArrayViewMut2<'_, f64>) -> f64 {
    residuals.fill(0.0);
    match targets.aims {
        Aims::Class(labels) => class_loss(scores, labelled(labels, targets.weights), residuals),
        Aims::Outputs(shape, aims) => {
            let mut sum = 0.0;
            for (row, weight) in used(targets.weights) {
                for ((residual, &score), &aim) in
                    residuals.row_mut(row).iter_mut().zip(scores.row(row)).zip(aims.row(row))
                {
                    let here = shape.course(score, aim);
                    *residual = weight * here.slope;
                    sum += weight * here.value;
                }
            }
            sum
        }
    }
}

/// `φ(t) = Σ dᵢ lossᵢ(S + t T)` with `φ′` and `φ″`, for scores `S` and their change `T`, both `[rows, outputs]`.
///
/// Of outputs with losses `ℓ` of their own, `φ′ = Σ dᵢ Σ tₖ ℓ′(sₖ)` and `φ″ = Σ dᵢ Σ tₖ² ℓ″(sₖ)`.
pub(crate) fn course(scores: ArrayView2<'_, f64>, change: ArrayView2<'_, f64>, targets: Targets<'_>, t: f64) -> Course {
    match targets.aims {
        Aims::Class(labels) => class_course(scores, change, labelled(labels, targets.weights), t),
        Aims::Outputs(shape, aims) => {
            let mut sum = Course::default();
            for (row, weight) in used(targets.weights) {
                for ((&score, &step), &aim) in scores.row(row).iter().zip(change.row(row)).zip(aims.row(row)) {
                    let here = shape.course(score + t * step, aim);
                    sum.value += weight * here.value;
                    sum.slope += weight * step * here.slope;
                    sum.curvature += weight * step * step * here.curvature;
                }
            }
            sum
        }
    }
}

impl Shape {
    /// `ℓ`, `ℓ′` and `ℓ″` by the score.
    ///
    /// The squared hinge has no second derivative at its knee; there `ℓ″ = 0` is the one from above, and an element of the
    /// generalised Hessian (Keerthi and DeCoste, "A modified finite Newton method for fast solution of large scale linear
    /// SVMs", 2005).
    fn course(self, score: f64, aim: f64) -> Course {
        match self {
            Self::Logistic => {
                let (value, probability) = two_classes(score, usize::from(aim == 1.0));
                Course { value, slope: probability - aim, curvature: probability * (1.0 - probability) }
            }
            Self::SquaredHinge => {
                let side = 2.0 * aim - 1.0;
                let lack = (1.0 - side * score).max(0.0);
                Course { value: lack * lack, slope: -2.0 * side * lack, curvature: if lack > 0.0 { 2.0 } else { 0.0 } }
            }
            Self::SquaredError => {
                let error = score - aim;
                Course { value: 0.5 * error * error, slope: error, curvature: 1.0 }
            }
        }
    }
}

/// Row and weight of each row of weight above 0.
fn used(weights: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    weights.iter().copied().enumerate().filter(|&(_, weight)| weight > 0.0)
}

/// Row, label and weight of each row of weight above 0.
fn labelled(labels: &[usize], weights: &[f64]) -> impl Iterator<Item = (usize, usize, f64)> {
    used(weights).map(|(row, weight)| (row, labels[row], weight))
}

/// [`loss`] of classes: the derivatives are `d ∘ (P − Y)`.
///
/// One output: `loss = ln(1 + e^(∓s))`, minus for class 1. More: `loss = ln Σ e^(sₖ) − s_label`, with the row's own
/// maximum taken out before the exponentials (Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and
/// softmax functions", 2021).
fn class_loss(
    scores: ArrayView2<'_, f64>,
    rows: impl Iterator<Item = (usize, usize, f64)>,
    mut residuals: ArrayViewMut2<'_, f64>,
) -> f64 {
    let mut sum = 0.0;
    if scores.ncols() == 1 {
        for (row, label, weight) in rows {
            let (loss, probability) = two_classes(scores[[row, 0]], label);
            residuals[[row, 0]] = weight * (probability - label as f64);
            sum += weight * loss;
        }
        return sum;
    }
    let mut shares = vec![0.0; scores.ncols()];
    for (row, label, weight) in rows {
        shares.iter_mut().zip(scores.row(row)).for_each(|(share, &score)| *share = score);
        sum += weight * softmax(&mut shares, label);
        shares[label] -= 1.0;
        residuals.row_mut(row).iter_mut().zip(&shares).for_each(|(residual, share)| *residual = weight * share);
    }
    sum
}

/// [`course`] of classes: `φ′ = Σ dᵢ (Σ pₖ tₖ − t_label)` and `φ″ = Σ dᵢ (Σ pₖ tₖ² − (Σ pₖ tₖ)²)`, the variance of `t` under
/// `p` (Boyd and Vandenberghe, "Convex optimization", 2004, section 3.1.5); one output is two with the first at 0.
fn class_course(
    scores: ArrayView2<'_, f64>,
    change: ArrayView2<'_, f64>,
    rows: impl Iterator<Item = (usize, usize, f64)>,
    t: f64,
) -> Course {
    let mut sum = Course::default();
    if scores.ncols() == 1 {
        for (row, label, weight) in rows {
            let step = change[[row, 0]];
            let (loss, probability) = two_classes(scores[[row, 0]] + t * step, label);
            sum.value += weight * loss;
            sum.slope += weight * step * (probability - label as f64);
            sum.curvature += weight * step * step * probability * (1.0 - probability);
        }
        return sum;
    }
    let mut shares = vec![0.0; scores.ncols()];
    for (row, label, weight) in rows {
        let step = change.row(row);
        shares.iter_mut().zip(scores.row(row)).zip(step).for_each(|((share, score), step)| *share = score + t * step);
        sum.value += weight * softmax(&mut shares, label);
        let mean: f64 = shares.iter().zip(step).map(|(share, step)| share * step).sum();
        let variance: f64 = shares.iter().zip(step).map(|(share, step)| share * (step - mean) * (step - mean)).sum();
        sum.slope += weight * (mean - step[label]);
        sum.curvature += weight * variance;
    }
    sum
}

/// Loss of a score and probability of class 1, from one exponential.
fn two_classes(score: f64, label: usize) -> (f64, f64) {
    let small = (-score.abs()).exp();
    let probability = if score >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
    let against = if label == 1 { -score } else { score };
    (against.max(0.0) + small.ln_1p(), probability)
}

/// Turns the scores of a row into probabilities and returns its loss.
fn softmax(scores: &mut [f64], label: usize) -> f64 {
    let highest = scores.iter().fold(f64::NEG_INFINITY, |highest, &score| highest.max(score));
    let gap = highest - scores[label];
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - highest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|share| *share /= sum);
    sum.ln() + gap
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    const LABELS: [usize; 3] = [1, 0, 1];
    const WEIGHTS: [f64; 3] = [1.0, 0.5, 0.0];

    fn targets() -> Targets<'static> {
        Targets { aims: Aims::Class(&LABELS), weights: &WEIGHTS }
    }

    fn loss_of(scores: &Array2<f64>) -> f64 {
        loss(scores.view(), targets(), Array2::zeros(scores.dim()).view_mut())
    }

    fn check_derivatives(targets: Targets<'_>, scores: Array2<f64>, change: Array2<f64>) {
        let (mut residuals, step) = (Array2::zeros(scores.dim()), 1e-5);
        let value = loss(scores.view(), targets, residuals.view_mut());
        let found = course(scores.view(), change.view(), targets, 0.0);
        let along = |t: f64| loss((&scores + &(&change * t)).view(), targets, Array2::zeros(scores.dim()).view_mut());
        assert!((found.value - value).abs() < 1e-14);
        assert!((found.slope - (&residuals * &change).sum()).abs() < 1e-13);
        assert!((found.slope - (along(step) - along(-step)) / (2.0 * step)).abs() < 1e-8);
        let curvature = (along(step) + along(-step) - 2.0 * value) / (step * step);
        assert!((found.curvature - curvature).abs() < 1e-4, "{} {curvature}", found.curvature);
    }

    #[test]
    fn slope_and_curvature_are_the_derivatives_of_the_loss() {
        check_derivatives(targets(), array![[0.3], [-1.2], [4.0]], array![[1.0], [0.5], [-3.0]]);
        check_derivatives(
            targets(),
            array![[0.3, -1.2, 2.0], [1.0, 0.1, -0.4], [9.0, 9.0, 9.0]],
            array![[1.0, 0.0, -0.5], [0.2, 2.0, 1.0], [7.0, 7.0, 1.0]],
        );
    }

    #[test]
    fn so_they_are_for_outputs_with_losses_of_their_own() {
        let aims = array![[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]];
        for shape in [Shape::Logistic, Shape::SquaredHinge, Shape::SquaredError] {
            check_derivatives(
                Targets { aims: Aims::Outputs(shape, aims.view()), weights: &WEIGHTS },
                array![[0.3, -1.2, 2.0], [1.5, 0.1, -0.4], [9.0, 9.0, 9.0]],
                array![[1.0, 0.0, -0.5], [0.2, 2.0, 1.0], [7.0, 7.0, 1.0]],
            );
        }
    }

    #[test]
    fn beyond_its_margin_a_hinge_is_flat() {
        let flat = Course { value: 0.0, slope: 0.0, curvature: 0.0 };
        assert_eq!(Shape::SquaredHinge.course(1.0, 1.0), flat);
        assert_eq!(Shape::SquaredHinge.course(-7.0, 0.0), flat);
        assert_eq!(Shape::SquaredHinge.course(0.0, 0.0), Course { value: 1.0, slope: 2.0, curvature: 2.0 });
    }

    #[test]
    fn rows_far_below_the_highest_keep_their_loss() {
        let scores = array![[900.0, 900.0, 0.0], [-900.0, -900.0, -900.0], [0.0, 0.0, 0.0]];
        assert!((loss_of(&scores) - (2f64.ln() + 0.5 * 3f64.ln())).abs() < 1e-12);
    }

    #[test]
    fn one_output_is_two_outputs_with_the_first_at_zero() {
        for score in [-800.0, -3.0, 0.0, 0.5, 40.0, 800.0] {
            let one = loss_of(&array![[score], [-score], [1.0]]);
            let two = loss_of(&array![[0.0, score], [0.0, -score], [0.0, 1.0]]);
            assert!((one - two).abs() <= 1e-12 * one.abs().max(1e-3), "{score}: {one} {two}");
        }
    }
}

//! Loss, residuals and the course of the loss along a line, each stable for scores of any size.
//!
//! Scores are `[rows, outputs]`: one output is the log-odds of class 1, more are one for each class. Rows of weight 0 are
//! passed over, so nothing that is in them can reach a fit.

use ndarray::{ArrayView2, ArrayViewMut2};

/// Labels `[rows]` and row weights `[rows]` of one training set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Targets<'a> {
    pub(crate) labels: &'a [usize],
    pub(crate) weights: &'a [f64],
}

impl Targets<'_> {
    /// Row, label and weight of each row of weight above 0.
    fn used(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let rows = self.labels.iter().zip(self.weights).enumerate();
        rows.filter(|&(_, (_, &weight))| weight > 0.0).map(|(row, (&label, &weight))| (row, label, weight))
    }
}

/// Loss and its derivatives along a line, by the length of the way gone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Course {
    pub(crate) value: f64,
    pub(crate) slope: f64,
    pub(crate) curvature: f64,
}

/// `Σ dᵢ lossᵢ` of `scores [rows, outputs]`, in nats, with its derivatives by the scores, `d ∘ (P − Y)`, written to `residuals`.
///
/// One output: `loss = ln(1 + e^(∓s))`, minus for class 1. More: `loss = ln Σ e^(sₖ) − s_label`, with the row's own
/// maximum taken out before the exponentials (Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and
/// softmax functions", 2021).
pub(crate) fn loss(scores: ArrayView2<'_, f64>, targets: Targets<'_>, mut residuals: ArrayViewMut2<'_, f64>) -> f64 {
    let mut sum = 0.0;
    residuals.fill(0.0);
    if scores.ncols() == 1 {
        for (row, label, weight) in targets.used() {
            let (loss, probability) = two_classes(scores[[row, 0]], label);
            residuals[[row, 0]] = weight * (probability - label as f64);
            sum += weight * loss;
        }
        return sum;
    }
    let mut shares = vec![0.0; scores.ncols()];
    for (row, label, weight) in targets.used() {
        shares.iter_mut().zip(scores.row(row)).for_each(|(share, &score)| *share = score);
        sum += weight * softmax(&mut shares, label);
        shares[label] -= 1.0;
        residuals.row_mut(row).iter_mut().zip(&shares).for_each(|(residual, share)| *residual = weight * share);
    }
    sum
}

/// `φ(t) = Σ dᵢ lossᵢ(S + t T)` with `φ′` and `φ″`, for scores `S` and their change `T`, both `[rows, outputs]`.
///
/// `φ′ = Σ dᵢ (Σ pₖ tₖ − t_label)` and `φ″ = Σ dᵢ (Σ pₖ tₖ² − (Σ pₖ tₖ)²)`, the variance of `t` under `p` (Boyd and
/// Vandenberghe, "Convex optimization", 2004, section 3.1.5); one output is two with the first at 0.
pub(crate) fn course(scores: ArrayView2<'_, f64>, change: ArrayView2<'_, f64>, targets: Targets<'_>, t: f64) -> Course {
    let mut sum = Course::default();
    if scores.ncols() == 1 {
        for (row, label, weight) in targets.used() {
            let step = change[[row, 0]];
            let (loss, probability) = two_classes(scores[[row, 0]] + t * step, label);
            sum.value += weight * loss;
            sum.slope += weight * step * (probability - label as f64);
            sum.curvature += weight * step * step * probability * (1.0 - probability);
        }
        return sum;
    }
    let mut shares = vec![0.0; scores.ncols()];
    for (row, label, weight) in targets.used() {
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
        Targets { labels: &LABELS, weights: &WEIGHTS }
    }

    fn loss_of(scores: &Array2<f64>) -> f64 {
        loss(scores.view(), targets(), Array2::zeros(scores.dim()).view_mut())
    }

    fn check_derivatives(scores: Array2<f64>, change: Array2<f64>) {
        let (mut residuals, step) = (Array2::zeros(scores.dim()), 1e-5);
        let value = loss(scores.view(), targets(), residuals.view_mut());
        let found = course(scores.view(), change.view(), targets(), 0.0);
        let along = |t: f64| loss_of(&(&scores + &(&change * t)));
        assert!((found.value - value).abs() < 1e-14);
        assert!((found.slope - (&residuals * &change).sum()).abs() < 1e-14);
        assert!((found.slope - (along(step) - along(-step)) / (2.0 * step)).abs() < 1e-8);
        let curvature = (along(step) + along(-step) - 2.0 * value) / (step * step);
        assert!((found.curvature - curvature).abs() < 1e-4, "{} {curvature}", found.curvature);
    }

    #[test]
    fn slope_and_curvature_are_the_derivatives_of_the_loss() {
        check_derivatives(array![[0.3], [-1.2], [4.0]], array![[1.0], [0.5], [-3.0]]);
        check_derivatives(
            array![[0.3, -1.2, 2.0], [1.0, 0.1, -0.4], [9.0, 9.0, 9.0]],
            array![[1.0, 0.0, -0.5], [0.2, 2.0, 1.0], [7.0, 7.0, 1.0]],
        );
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

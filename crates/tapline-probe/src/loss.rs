//! Loss, residuals and probabilities of a linear probe, each stable for scores of any size.
//!
//! Independent of whatever solver proposed the weights: these are the numbers a fit is judged by.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Minus the logarithm of the probability of the class `label` under `scores [outputs]`, in nats.
///
/// One output `s` (two classes): `ln(1 + e^(∓s))`, minus for class 1. More: `ln Σ e^(sₖ) − s_label`, with the row's own
/// maximum taken out before the exponentials (Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and
/// softmax functions", 2021).
pub(crate) fn row_loss(scores: ArrayView1<'_, f64>, label: usize) -> f64 {
    if scores.len() == 1 {
        return label_loss(scores[0], label == 1);
    }
    let highest = scores.fold(f64::NEG_INFINITY, |highest, &score| highest.max(score));
    let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
    sum.ln() + (highest - scores[label])
}

/// Minus the logarithm of the probability that log-odds of `score` give to what is so: `ln(1 + e^(∓s))`, minus for `inside`.
pub(crate) fn label_loss(score: f64, inside: bool) -> f64 {
    softplus(if inside { -score } else { score })
}

/// Sum of [`row_loss`] over the rows of `scores [rows, outputs]`, in nats.
pub(crate) fn loss(scores: ArrayView2<'_, f64>, labels: &[usize]) -> f64 {
    scores.outer_iter().zip(labels).map(|(scores, &label)| row_loss(scores, label)).sum()
}

/// Probability of each output `[rows, outputs]`: of class 1 where there is one output, else of each class.
///
/// `1 / (1 + e^(−s))`, or `e^(sₖ) / Σ e^(sⱼ)` with the row's own maximum taken out first.
pub(crate) fn output_probabilities(scores: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut probabilities = scores.to_owned();
    if scores.ncols() == 1 {
        probabilities.mapv_inplace(logistic);
        return probabilities;
    }
    for mut row in probabilities.outer_iter_mut() {
        let highest = row.fold(f64::NEG_INFINITY, |highest, &score| highest.max(score));
        row.mapv_inplace(|score| (score - highest).exp());
        let sum = row.sum();
        row /= sum;
    }
    probabilities
}

/// Log-odds of each of several classes against all others `[rows, outputs]`: `sₖ − ln Σ_{j ≠ k} e^(sⱼ)`, exact however near to 1
/// its probability is.
pub(crate) fn log_odds(scores: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut odds = scores.to_owned();
    for mut row in odds.outer_iter_mut() {
        let best = predicted_class(row.view());
        let highest = row[best];
        let others = |k: usize| if k == best { 0.0 } else { (row[k] - highest).exp() };
        let rest: f64 = (0..row.len()).map(others).sum();
        // Of the best class the others are all the rest; of another, the best and the rest without itself.
        let values = (0..row.len()).map(|k| {
            let of_others = if k == best { rest } else { 1.0 + (rest - others(k)) };
            row[k] - highest - of_others.ln()
        });
        let values: Vec<f64> = values.collect();
        row.iter_mut().zip(values).for_each(|(odds, value)| *odds = value);
    }
    odds
}

/// Turns [`output_probabilities`] `[rows, outputs]` into the derivatives of [`loss`] by the scores: `p − y`.
pub(crate) fn subtract_targets(probabilities: &mut Array2<f64>, labels: &[usize]) {
    let single = probabilities.ncols() == 1;
    for (mut row, &label) in probabilities.outer_iter_mut().zip(labels) {
        if single {
            row[0] -= label as f64;
        } else {
            row[label] -= 1.0;
        }
    }
}

/// The class that `scores [outputs]` speak for: the first of the highest; of two classes, 1 where the score is above 0.
pub(crate) fn predicted_class(scores: ArrayView1<'_, f64>) -> usize {
    if scores.len() == 1 {
        return usize::from(scores[0] > 0.0);
    }
    (1..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}

/// Sum over the rows of `[rows, outputs]`.
pub(crate) fn column_sums(table: &Array2<f64>) -> Array1<f64> {
    table.sum_axis(ndarray::Axis(0))
}

/// `ln(1 + e^x)` without overflow: `max(x, 0) + ln(1 + e^(−|x|))`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + e^(−x))` without overflow.
fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let power = x.exp();
        power / (1.0 + power)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn log_odds_stay_apart_where_probabilities_are_all_one() {
        let odds = log_odds(array![[1.0, 2.0, 3.0], [0.0, 60.0, -5.0], [0.0, 90.0, -5.0]].view());
        let p = |k: i32| f64::from(k).exp() / (1f64.exp() + 2f64.exp() + 3f64.exp());
        for k in 0..3 {
            let expected = (p(k + 1) / (1.0 - p(k + 1))).ln();
            assert!((odds[[0, k as usize]] - expected).abs() < 1e-12, "{odds} {expected}");
        }
        let spread = odds[[2, 1]] - odds[[1, 1]];
        assert!((spread - 30.0).abs() < 1e-9, "{odds}");
    }

    use ndarray::array;

    use super::*;

    #[test]
    fn rows_far_below_the_highest_keep_their_loss() {
        let scores = array![[900.0, 0.0, 0.0], [-900.0, -900.0, -900.0]];
        assert!((loss(scores.view(), &[0, 1]) - 3f64.ln()).abs() < 1e-12);
        assert_eq!(output_probabilities(scores.view()).row(1), array![1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]);
    }

    #[test]
    fn one_output_is_two_outputs_with_the_first_at_zero() {
        for score in [-800.0, -3.0, 0.0, 0.5, 40.0, 800.0] {
            for label in [0, 1] {
                let (one, two) = (row_loss(array![score].view(), label), row_loss(array![0.0, score].view(), label));
                assert!((one - two).abs() <= 1e-12 * one.abs().max(1e-3), "{score} {label}: {one} {two}");
            }
        }
    }

    #[test]
    fn the_residuals_are_the_derivatives_of_the_loss() {
        let (scores, labels, step) = (array![[0.3, -1.2, 2.0], [1.0, 0.1, -0.4]], [1, 0], 1e-6);
        let mut residuals = output_probabilities(scores.view());
        subtract_targets(&mut residuals, &labels);
        for ((row, output), residual) in residuals.indexed_iter() {
            let (mut up, mut down) = (scores.clone(), scores.clone());
            up[[row, output]] += step;
            down[[row, output]] -= step;
            let slope = (loss(up.view(), &labels) - loss(down.view(), &labels)) / (2.0 * step);
            assert!((slope - residual).abs() < 1e-8);
        }
    }

    #[test]
    fn a_tie_goes_to_the_first_class() {
        assert_eq!(predicted_class(array![0.0].view()), 0);
        assert_eq!(predicted_class(array![1.0, 2.0, 2.0].view()), 1);
    }
}

//! Losses of single rows with their derivatives, each stable for scores of any size.
//!
//! Where classes exclude each other, one output is the log-odds of class 1, more are one for each class; otherwise each
//! output has a loss of its own. Rows of weight 0 are passed over, so nothing that is in them can reach a fit.

use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::softmax::softmax;

/// Rows that one thread differentiates at a time.
const RUN: usize = 256;

/// What scores are held against, and the weights `[rows]` of one training set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Targets<'a> {
    pub(crate) aims: Aims<'a>,
    pub(crate) weights: &'a [f64],
    pub(crate) outputs: usize,
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

/// A loss with its first two derivatives by the score.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Here {
    value: f64,
    slope: f64,
    curvature: f64,
}

impl Targets<'_> {
    /// Whether the second derivative is continuous, so that the curvature here says how far the minimum is.
    pub(crate) fn is_smooth(&self) -> bool {
        !matches!(self.aims, Aims::Outputs(Shape::SquaredHinge, _))
    }

    /// Whether all outputs have the same second derivatives.
    pub(crate) fn has_one_curvature(&self) -> bool {
        self.outputs == 1 || matches!(self.aims, Aims::Outputs(Shape::SquaredError, _))
    }

    /// Loss of all rows where every score is 0.
    pub(crate) fn loss_of_nothing(&self) -> f64 {
        let (mut scores, mut curvature) = (vec![0.0; self.outputs], vec![0.0; self.outputs]);
        let of_row = |row: usize| {
            scores.fill(0.0);
            self.differentiate(row, &mut scores, &mut curvature)
        };
        (0..self.weights.len()).map(of_row).sum()
    }

    /// Whether outputs bend each other: classes that exclude each other, more than two of them.
    pub(crate) fn are_coupled(&self) -> bool {
        self.outputs > 1 && matches!(self.aims, Aims::Class(_))
    }

    /// Second derivatives `[sampled, outputs]` of each output's weighted loss by its own score.
    pub(crate) fn curvatures<I: Iterator<Item = f64>>(
        &self,
        sampled: &[usize],
        scores: impl Fn(usize) -> I + Sync,
    ) -> Vec<f64> {
        let mut curvatures = vec![0.0; sampled.len() * self.outputs];
        let each = curvatures.par_chunks_mut(RUN * self.outputs).zip(sampled.par_chunks(RUN));
        each.for_each(|(curvatures, sampled)| {
            let mut own = curvatures.chunks_exact_mut(self.outputs);
            let keep = |curvature: &[f64]| own.next().into_iter().for_each(|own| own.copy_from_slice(curvature));
            Arch::new().dispatch(Bend { targets: self, sampled, scores: &scores, keep });
        });
        curvatures
    }

    /// Adds the mean second derivative of the rows `sampled` over the outputs to `sums [sampled]`, at their `scores`.
    pub(crate) fn add_curvature<I: Iterator<Item = f64>>(
        &self,
        sampled: &[usize],
        scores: impl Fn(usize) -> I + Sync,
        sums: &mut [f64],
    ) {
        let each = sums.par_chunks_mut(RUN).zip(sampled.par_chunks(RUN));
        each.for_each(|(sums, sampled)| {
            let mut sums = sums.iter_mut();
            let mean = |curvature: &[f64]| curvature.iter().sum::<f64>() / self.outputs as f64;
            let keep = |curvature: &[f64]| sums.next().into_iter().for_each(|sum| *sum += mean(curvature));
            Arch::new().dispatch(Bend { targets: self, sampled, scores: &scores, keep });
        });
    }

    /// Second derivatives `[outputs, outputs]` of the weighted loss of a row: of classes that exclude each other
    /// `d (diag(p) − p pᵀ)`, of outputs that know nothing of each other `d diag(ℓ″)`.
    pub(crate) fn curvature_of_row(&self, row: usize, mut scores: Vec<f64>) -> Vec<f64> {
        let (weight, outputs) = (self.weights[row], self.outputs);
        if matches!(self.aims, Aims::Outputs(..)) {
            let mut own = vec![0.0; outputs];
            self.differentiate(row, &mut scores, &mut own);
            let entry = |one: usize, two: usize| if one == two { own[one] } else { 0.0 };
            return (0..outputs * outputs).map(|place| entry(place / outputs, place % outputs)).collect();
        }
        softmax(&mut scores, 0);
        let entry = |one: usize, two: usize| {
            let own = if one == two { scores[one] } else { 0.0 };
            weight * (own - scores[one] * scores[two])
        };
        (0..outputs * outputs).map(|place| entry(place / outputs, place % outputs)).collect()
    }

    /// The weighted loss of a row of `scores [outputs]`, which become the residual `d ℓ′ [outputs]`; `d ℓ″` of each output is
    /// added to `curvature [outputs]`.
    ///
    /// Classes that exclude each other: `ℓ = ln Σ e^(sₖ) − s_class`, `ℓ′ = p − y`, `ℓ″ = p (1 − p)`; the row's own maximum is
    /// taken out before the exponentials (Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax
    /// functions", 2021).
    #[inline(always)]
    pub(crate) fn differentiate(&self, row: usize, scores: &mut [f64], curvature: &mut [f64]) -> f64 {
        let weight = self.weights[row];
        if weight == 0.0 {
            scores.fill(0.0);
            return 0.0;
        }
        let one_by_one = |shape: Shape, aim: &dyn Fn(usize) -> f64, scores: &mut [f64], curvature: &mut [f64]| {
            let mut loss = 0.0;
            for (output, (score, curvature)) in scores.iter_mut().zip(curvature).enumerate() {
                let here = shape.at(*score, aim(output));
                *score = weight * here.slope;
                *curvature += weight * here.curvature;
                loss += here.value;
            }
            loss
        };
        weight
            * match self.aims {
                Aims::Outputs(shape, aims) => one_by_one(shape, &|output| aims[[row, output]], scores, curvature),
                Aims::Class(labels) if scores.len() == 1 => {
                    one_by_one(Shape::Logistic, &|_| labels[row] as f64, scores, curvature)
                }
                Aims::Class(labels) => {
                    let loss = softmax(scores, labels[row]);
                    for (share, curvature) in scores.iter_mut().zip(curvature) {
                        *curvature += weight * *share * (1.0 - *share);
                        *share *= weight;
                    }
                    scores[labels[row]] -= weight;
                    loss
                }
            }
    }
}

/// Asks the rows `sampled` for their second derivatives `[outputs]` at their scores, one after the other.
struct Bend<'a, 't, S, K> {
    targets: &'a Targets<'t>,
    sampled: &'a [usize],
    scores: &'a S,
    keep: K,
}

impl<I: Iterator<Item = f64>, S: Fn(usize) -> I, K: FnMut(&[f64])> WithSimd for Bend<'_, '_, S, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { targets, sampled, scores, mut keep } = self;
        let (mut own, mut curvature) = (vec![0.0; targets.outputs], vec![0.0; targets.outputs]);
        for &row in sampled {
            own.iter_mut().zip(scores(row)).for_each(|(own, score)| *own = score);
            curvature.fill(0.0);
            targets.differentiate(row, &mut own, &mut curvature);
            keep(&curvature);
        }
    }
}

impl Shape {
    /// `ℓ`, `ℓ′` and `ℓ″` by the score.
    ///
    /// The squared hinge has no second derivative at its knee; there `ℓ″ = 0` is the one from above, and an element of the
    /// generalised Hessian (Keerthi and DeCoste, "A modified finite Newton method for fast solution of large scale linear
    /// SVMs", 2005).
    fn at(self, score: f64, aim: f64) -> Here {
        match self {
            Self::Logistic => {
                let (value, probability) = two_classes(score, usize::from(aim == 1.0));
                Here { value, slope: probability - aim, curvature: probability * (1.0 - probability) }
            }
            Self::SquaredHinge => {
                let side = 2.0 * aim - 1.0;
                let lack = (1.0 - side * score).max(0.0);
                Here { value: lack * lack, slope: -2.0 * side * lack, curvature: if lack > 0.0 { 2.0 } else { 0.0 } }
            }
            Self::SquaredError => {
                let error = score - aim;
                Here { value: 0.5 * error * error, slope: error, curvature: 1.0 }
            }
        }
    }
}

/// Loss of a score and probability of class 1, from one exponential.
fn two_classes(score: f64, label: usize) -> (f64, f64) {
    let small = (-score.abs()).exp();
    let probability = if score >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
    let against = if label == 1 { -score } else { score };
    (against.max(0.0) + small.ln_1p(), probability)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn at(targets: Targets<'_>, row: usize, scores: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
        let (mut scores, mut curvature) = (scores.to_vec(), vec![0.0; scores.len()]);
        let loss = targets.differentiate(row, &mut scores, &mut curvature);
        (loss, scores, curvature)
    }

    fn check_derivatives(aims: Aims<'_>, scores: &[f64]) {
        let targets = Targets { aims, weights: &[0.0, 1.5], outputs: 0 };
        let (loss, slope, curvature) = at(targets, 1, scores);
        for output in 0..scores.len() {
            let along = |step: f64| {
                let mut moved = scores.to_vec();
                moved[output] += step;
                at(targets, 1, &moved).0
            };
            let step = 1e-4;
            assert!((slope[output] - (along(step) - along(-step)) / (2.0 * step)).abs() < 1e-6);
            let second = (along(step) + along(-step) - 2.0 * loss) / (step * step);
            assert!((curvature[output] - second).abs() < 1e-4, "{} {second}", curvature[output]);
        }
        assert_eq!(at(targets, 0, scores), (0.0, vec![0.0; scores.len()], vec![0.0; scores.len()]));
    }

    #[test]
    fn slope_and_curvature_are_the_derivatives_of_the_loss() {
        check_derivatives(Aims::Class(&[0, 1]), &[-1.2]);
        check_derivatives(Aims::Class(&[0, 2]), &[0.3, -1.2, 2.0]);
        let aims = array![[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]];
        for shape in [Shape::Logistic, Shape::SquaredHinge, Shape::SquaredError] {
            check_derivatives(Aims::Outputs(shape, aims.view()), &[1.5, 0.1, -0.4]);
        }
    }

    #[test]
    fn second_derivatives_of_all_outputs_are_those_of_the_slopes() {
        let sides = array![[1.0, 0.0, 1.0]];
        let aims = [Shape::Logistic, Shape::SquaredHinge, Shape::SquaredError].map(|s| Aims::Outputs(s, sides.view()));
        for aims in aims.into_iter().chain([Aims::Class(&[2])]) {
            let targets = Targets { aims, weights: &[1.5], outputs: 3 };
            let (scores, step) = ([0.4, -0.7, 0.2], 1e-5);
            let found = targets.curvature_of_row(0, scores.to_vec());
            for (place, found) in found.into_iter().enumerate() {
                let along = |step: f64| {
                    let mut moved = scores;
                    moved[place % 3] += step;
                    at(targets, 0, &moved).1[place / 3]
                };
                let expected = (along(step) - along(-step)) / (2.0 * step);
                assert!((found - expected).abs() < 1e-6, "{aims:?}, {place}: {found} {expected}");
            }
        }
    }

    #[test]
    fn beyond_its_margin_a_hinge_is_flat() {
        assert_eq!(Shape::SquaredHinge.at(1.0, 1.0), Here::default());
        assert_eq!(Shape::SquaredHinge.at(-7.0, 0.0), Here::default());
        assert_eq!(Shape::SquaredHinge.at(0.0, 0.0), Here { value: 1.0, slope: 2.0, curvature: 2.0 });
    }

    #[test]
    fn rows_far_below_the_highest_keep_their_loss() {
        let targets = Targets { aims: Aims::Class(&[1, 0]), weights: &[1.0, 0.5], outputs: 0 };
        assert!((at(targets, 0, &[900.0, 900.0, 0.0]).0 - 2f64.ln()).abs() < 1e-12);
        assert!((at(targets, 1, &[-900.0, -900.0, -900.0]).0 - 0.5 * 3f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn one_output_is_two_outputs_with_the_first_at_zero() {
        let targets = Targets { aims: Aims::Class(&[1]), weights: &[1.0], outputs: 0 };
        for score in [-800.0, -3.0, 0.0, 0.5, 40.0, 800.0] {
            let (one, two) = (at(targets, 0, &[score]).0, at(targets, 0, &[0.0, score]).0);
            assert!((one - two).abs() <= 1e-12 * one.abs().max(1e-3), "{score}: {one} {two}");
        }
    }
}

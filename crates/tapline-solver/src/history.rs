//! What a problem remembers of its last steps: the curvature that turns a gradient into a direction.

use std::collections::VecDeque;

use ndarray::Array1;

/// The last steps of one problem, with the change of the gradient along each.
#[derive(Debug, Default)]
pub(crate) struct History {
    pairs: VecDeque<Pair>,
}

#[derive(Debug)]
struct Pair {
    step: Array1<f64>,
    change: Array1<f64>,
    /// `1 / (stepᵀ change)`.
    inverse: f64,
}

impl History {
    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Remembers a step, `memory` of them at most; one without measurable curvature is left out.
    pub(crate) fn push(&mut self, step: Array1<f64>, change: Array1<f64>, memory: usize) {
        let curvature = step.dot(&change);
        if curvature.is_nan() || curvature <= f64::EPSILON * change.dot(&change).sqrt() * step.dot(&step).sqrt() {
            return;
        }
        if self.pairs.len() >= memory {
            self.pairs.pop_front();
        }
        self.pairs.push_back(Pair { step, change, inverse: 1.0 / curvature });
    }

    /// The direction `−H g`, where `H` stands for the inverse Hessian; `−g` if nothing is remembered.
    ///
    /// The two-loop recursion of L-BFGS from `H₀ = (sᵀy / yᵀy) I` of the last step (Nocedal and Wright, "Numerical
    /// optimization", 2006, algorithm 7.4 and equation 7.20).
    pub(crate) fn direction(&self, gradient: &Array1<f64>) -> Array1<f64> {
        let mut direction = -gradient;
        let mut shares = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let share = pair.inverse * pair.step.dot(&direction);
            direction.scaled_add(-share, &pair.change);
            shares.push(share);
        }
        if let Some(last) = self.pairs.back() {
            direction *= 1.0 / (last.inverse * last.change.dot(&last.change));
        }
        for (pair, share) in self.pairs.iter().zip(shares.iter().rev()) {
            let correction = share - pair.inverse * pair.change.dot(&direction);
            direction.scaled_add(correction, &pair.step);
        }
        direction
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn without_steps_the_direction_is_steepest_descent() {
        assert_eq!(History::default().direction(&array![1.0, -2.0]), array![-1.0, 2.0]);
    }

    #[test]
    fn steps_along_every_axis_of_a_quadratic_give_newtons_direction() {
        let mut history = History::default();
        history.push(array![1.0, 0.0], array![4.0, 0.0], 5);
        history.push(array![0.0, 1.0], array![0.0, 0.5], 5);
        let found = history.direction(&array![2.0, 3.0]);
        assert!((found[0] + 0.5).abs() < 1e-15 && (found[1] + 6.0).abs() < 1e-15, "{found}");
    }

    #[test]
    fn a_step_without_curvature_is_forgotten() {
        let mut history = History::default();
        history.push(array![1.0, 0.0], array![0.0, 1.0], 5);
        assert!(history.is_empty());
    }
}

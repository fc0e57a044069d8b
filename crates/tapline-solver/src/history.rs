//! What a problem remembers of its last steps: the curvature that the shared one leaves out.

use std::collections::VecDeque;

/// The last steps of one problem, with the change of the gradient along each.
#[derive(Debug, Default)]
pub(crate) struct History {
    pairs: VecDeque<Pair>,
}

#[derive(Debug)]
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
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
    pub(crate) fn push(&mut self, step: Vec<f64>, change: Vec<f64>, memory: usize) {
        if self.pairs.len() >= memory {
            self.pairs.pop_front();
        }
        self.pairs.extend(Pair::new(step, change));
    }

    /// Goes over to another penalty: along each step the gradient changes by `difference [columns + 1]` more for each output.
    pub(crate) fn shift(&mut self, difference: &[f64], outputs: usize) {
        let shifted = |pair: Pair| {
            let Pair { step, mut change, .. } = pair;
            let rows = change.chunks_exact_mut(outputs).zip(step.chunks_exact(outputs)).zip(difference);
            rows.for_each(|((change, step), factor)| {
                change.iter_mut().zip(step).for_each(|(change, step)| *change += factor * step);
            });
            Pair::new(step, change)
        };
        self.pairs = std::mem::take(&mut self.pairs).into_iter().filter_map(shifted).collect();
    }

    /// The first half of the two-loop recursion of L-BFGS (Nocedal and Wright, "Numerical optimization", 2006, algorithm
    /// 7.4): turns `−g` into what the preconditioner is to be applied to; returns the shares that the second half needs.
    pub(crate) fn down(&self, direction: &mut [f64]) -> Vec<f64> {
        let mut shares = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let share = pair.inverse * dot(&pair.step, direction);
            add(direction, -share, &pair.change);
            shares.push(share);
        }
        shares
    }

    /// The second half: turns what the preconditioner made of it into the direction.
    pub(crate) fn up(&self, direction: &mut [f64], shares: &[f64]) {
        for (pair, share) in self.pairs.iter().zip(shares.iter().rev()) {
            add(direction, share - pair.inverse * dot(&pair.change, direction), &pair.step);
        }
    }
}

impl Pair {
    fn new(step: Vec<f64>, change: Vec<f64>) -> Option<Self> {
        let curvature = dot(&step, &change);
        let rounding = f64::from(f32::EPSILON) * dot(&change, &change).sqrt() * dot(&step, &step).sqrt();
        (curvature > rounding).then(|| Self { inverse: 1.0 / curvature, step, change })
    }
}

/// `Σ a b`.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `a ← a + t b`.
pub(crate) fn add(a: &mut [f64], t: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += t * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(history: &History, gradient: [f64; 2]) -> Vec<f64> {
        let mut direction = gradient.map(|g| -g).to_vec();
        let shares = history.down(&mut direction);
        history.up(&mut direction, &shares);
        direction
    }

    #[test]
    fn without_steps_the_direction_is_steepest_descent() {
        assert_eq!(direction(&History::default(), [1.0, -2.0]), [-1.0, 2.0]);
    }

    #[test]
    fn steps_along_every_axis_of_a_quadratic_give_newtons_direction() {
        let mut history = History::default();
        history.push(vec![1.0, 0.0], vec![4.0, 0.0], 5);
        history.push(vec![0.0, 1.0], vec![0.0, 0.5], 5);
        let found = direction(&history, [2.0, 3.0]);
        assert!((found[0] + 0.5).abs() < 1e-15 && (found[1] + 6.0).abs() < 1e-15, "{found:?}");
        // One more along the first axis: its curvature is now 5.
        history.shift(&[1.0, 0.0], 1);
        assert!((direction(&history, [2.0, 3.0])[0] + 0.4).abs() < 1e-15);
    }

    #[test]
    fn a_step_without_curvature_is_forgotten() {
        let mut history = History::default();
        history.push(vec![1.0, 0.0], vec![0.0, 1.0], 5);
        assert!(history.is_empty());
    }
}

//! One problem under way: where it stands, where it goes next, and the proof of how near the minimum it is.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, s};

use crate::history::History;
use crate::intercept::best_shift;
use crate::loss::{Course, Targets, course, loss};
use crate::moments::{Moments, to_raw, to_standardised};
use crate::{Solution, Solved, SolverConfig};

/// The line search ends where the slope has fallen to this share of the first one.
const FLAT: f64 = 0.1;
/// Points that one line search looks at, at most.
const LOOKS: usize = 40;
/// Rise of the objective, as a share of it, that counts as rounding.
const ROUNDING: f64 = 1e-12;

/// What the next product of rows and weights is for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    /// To compute the scores anew, free of the rounding of all steps before, and to put the intercept in its best place.
    Settle,
    /// To take a step along the direction.
    Step,
    /// Nothing: this is the end.
    Stop,
}

/// A problem as given, ready to be worked on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) index: usize,
    pub(crate) alpha: f64,
    pub(crate) targets: Targets<'a>,
    pub(crate) moments: &'a Moments,
}

/// Where a problem stands. Points, directions and gradients are weights row by row, then intercepts:
/// `[(columns + 1) · outputs]`, in the standardised unit of the problem's own set.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    given: Given<'a>,
    point: Array1<f64>,
    scores: Array2<f64>,
    direction: Array1<f64>,
    gradient: Array1<f64>,
    /// Objective.
    value: f64,
    /// What the intercept still costs; known after the scores were settled.
    decrement: f64,
    history: History,
    iterations: u64,
    /// Whether even straight down no step lowers the objective measurably.
    stuck: bool,
    next: Next,
}

impl<'a> Search<'a> {
    /// A search from `point`, after `iterations` steps elsewhere, of scores `[rows, outputs]` in number.
    pub(crate) fn new(given: Given<'a>, point: Array1<f64>, iterations: u64, scores: (usize, usize)) -> Self {
        Self {
            scores: Array2::zeros(scores),
            direction: Array1::zeros(0),
            gradient: Array1::zeros(point.len()),
            value: f64::INFINITY,
            decrement: f64::INFINITY,
            history: History::default(),
            iterations,
            stuck: false,
            next: Next::Settle,
            given,
            point,
        }
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.next == Next::Stop
    }

    /// Writes the weights whose scores are wanted next, for raw rows `[columns, outputs]`; returns what to add to the scores.
    pub(crate) fn ask(&self, target: ArrayViewMut2<'_, f64>) -> Array1<f64> {
        let wanted = if self.next == Next::Settle { &self.point } else { &self.direction };
        to_raw(self.given.moments, wanted.view(), target)
    }

    /// Moves by the scores asked for `[rows, outputs]`, and writes the residuals of the new place `[rows, outputs]`.
    pub(crate) fn advance(&mut self, answer: Array2<f64>, residuals: ArrayViewMut2<'_, f64>) {
        match self.next {
            Next::Settle => self.settle(answer),
            _ => self.step(answer.view()),
        }
        self.value = loss(self.scores.view(), self.given.targets, residuals) + self.penalty();
    }

    /// Takes up the gradient from `Xᵀ R [columns, outputs]` and `R [rows, outputs]`, and decides what comes next.
    pub(crate) fn judge(
        &mut self,
        products: ArrayView2<'_, f64>,
        residuals: ArrayView2<'_, f64>,
        config: &SolverConfig,
    ) {
        let mut gradient = to_standardised(self.given.moments, products, residuals);
        let weights = self.weight_count();
        gradient.slice_mut(s![..weights]).scaled_add(self.given.alpha, &self.point.slice(s![..weights]));
        if self.next == Next::Step {
            let step = std::mem::take(&mut self.direction);
            self.history.push(step, &gradient - &self.gradient, config.memory);
        }
        self.gradient = gradient;
        self.next = self.decide(config);
        if self.next == Next::Step {
            self.direction = self.downhill();
        }
    }

    /// The end, with the scores of all rows.
    pub(crate) fn finish(self, config: &SolverConfig) -> Solved {
        let (excess, outputs) = (self.excess(), self.scores.ncols());
        let weights = self.point.slice(s![..self.weight_count()]).to_vec();
        let columns = weights.len() / outputs;
        let solution = Solution {
            weights: Array2::from_shape_vec((columns, outputs), weights).expect("columns × outputs weights"),
            intercept: self.point.slice(s![columns * outputs..]).to_owned(),
            moments: self.given.moments.clone(),
            objective: self.value,
            gradient_norm: self.gradient.dot(&self.gradient).sqrt(),
            excess,
            iterations: self.iterations,
            converged: excess <= config.tolerance * self.value,
        };
        Solved { problem: self.given.index, solution, scores: self.scores }
    }

    fn settle(&mut self, scores: Array2<f64>) {
        let shift = best_shift(scores.view(), self.given.targets);
        let weights = self.weight_count();
        self.scores = scores + &shift.values;
        self.point.slice_mut(s![weights..]).scaled_add(1.0, &shift.values);
        self.decrement = shift.decrement;
    }

    /// Steps along the direction, which becomes the step taken: of length 0 where none goes down.
    fn step(&mut self, change: ArrayView2<'_, f64>) {
        let length = self.length(change).unwrap_or_else(|| self.give_up());
        self.direction *= length;
        self.point += &self.direction;
        self.scores.scaled_add(length, &change);
        self.decrement = f64::INFINITY;
        self.iterations += 1;
    }

    /// Forgets the past, for the next direction to be straight down; after that there is nothing left to try.
    fn give_up(&mut self) -> f64 {
        self.stuck = self.history.is_empty();
        self.history.clear();
        0.0
    }

    /// The length of a step that lowers the objective and leaves the slope nearly flat; none where rounding hides the way.
    ///
    /// Newton's method on `φ(t) = F(w + t d)`, kept inside a bracket of the minimum; `φ` is convex and costs one pass over
    /// the scores, no product with the rows (Nocedal and Wright, "Numerical optimization", 2006, section 3.5).
    fn length(&self, change: ArrayView2<'_, f64>) -> Option<f64> {
        let first = self.gradient.dot(&self.direction);
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut t = if self.history.is_empty() { newton(0.0, &self.course(change, 0.0)) } else { 1.0 };
        for _ in 0..LOOKS {
            let here = self.course(change, t);
            let rises = here.value.is_nan() || here.value > self.value * (1.0 + ROUNDING);
            if !rises && here.slope.abs() <= FLAT * first.abs() {
                return Some(t);
            }
            if rises || here.slope > 0.0 {
                high = t;
            } else {
                low = t;
            }
            t = match newton(t, &here) {
                guess if low < guess && guess < high => guess,
                _ if high.is_finite() => 0.5 * (low + high),
                _ => 2.0 * t,
            };
        }
        (low > 0.0).then_some(low)
    }

    /// `φ(t)`, `φ′(t)` and `φ″(t)` of the whole objective along the direction.
    fn course(&self, change: ArrayView2<'_, f64>, t: f64) -> Course {
        let weights = self.weight_count();
        let (point, direction) = (self.point.slice(s![..weights]), self.direction.slice(s![..weights]));
        let (cross, square) = (self.given.alpha * point.dot(&direction), self.given.alpha * direction.dot(&direction));
        let loss = course(self.scores.view(), change, self.given.targets, t);
        Course {
            value: loss.value + self.penalty() + t * cross + 0.5 * t * t * square,
            slope: loss.slope + cross + t * square,
            curvature: loss.curvature + square,
        }
    }

    /// The proof holds at settled scores alone, so no search stops elsewhere; none goes on below the objective's rounding.
    fn decide(&self, config: &SolverConfig) -> Next {
        let goal = config.tolerance.max(f64::EPSILON) * self.value;
        let spent = self.stuck || self.iterations >= config.max_iterations;
        match self.next {
            Next::Settle if spent || self.excess() <= goal => Next::Stop,
            Next::Step if spent || self.weight_excess() <= goal => Next::Settle,
            _ => Next::Step,
        }
    }

    fn downhill(&mut self) -> Array1<f64> {
        let direction = self.history.direction(&self.gradient);
        if direction.dot(&self.gradient) < 0.0 {
            return direction;
        }
        self.history.clear();
        -&self.gradient
    }

    /// Largest possible distance of the objective from its minimum.
    ///
    /// `F(W, b) = Σ d ℓ(Wᵀz + b) + α/2 ‖W‖²`, `∇W = Zᵀ R + αW`, `∇b = 1ᵀR` with `R = d ∘ ℓ′`, for any convex `ℓ` that has a
    /// derivative. The dual problem is to maximise `D(R) = −Σ d ℓ*(R / d) − ‖Zᵀ R‖² / (2α)` over `1ᵀR = 0` (Fenchel's
    /// duality, Boyd and Vandenberghe, "Convex optimization", 2004, section 5.5). With `∇b = 0` the residuals are feasible,
    /// and as `ℓ(s) + ℓ*(ℓ′(s)) = s ℓ′(s)`,
    /// `F − D = ⟨Zᵀ R, W⟩ + ‖Zᵀ R‖² / (2α) + α/2 ‖W‖² = ‖∇W‖² / (2α) ≥ F − min F`. What the intercept still costs is added.
    fn excess(&self) -> f64 {
        self.weight_excess() + self.decrement
    }

    fn weight_excess(&self) -> f64 {
        let slope = self.gradient.slice(s![..self.weight_count()]);
        slope.dot(&slope) / (2.0 * self.given.alpha)
    }

    fn penalty(&self) -> f64 {
        let weights = self.point.slice(s![..self.weight_count()]);
        0.5 * self.given.alpha * weights.dot(&weights)
    }

    fn weight_count(&self) -> usize {
        self.point.len() - self.scores.ncols()
    }
}

fn newton(t: f64, course: &Course) -> f64 {
    t - course.slope / course.curvature
}

//! One training set on its way through the strengths: where it stands, where it goes next, and the proof of how near the
//! minimum it is.

use ndarray::Array2;

use crate::ground::Ground;
use crate::history::{History, add, dot};
use crate::loss::Targets;
use crate::moments::Moments;
use crate::own::Ware;
use crate::pass::{Look, View};
use crate::purse::{Asking, Purse};
use crate::table::Units;
use crate::{Solution, Solved, SolverConfig, Start};

/// Share of the promised descent that a step has to bring (Armijo).
const FAIR: f64 = 1e-4;
/// Rise of the objective, as a share of it, that counts as rounding.
const ROUNDING: f64 = 1e-5;
/// Times that one step is shortened, at most.
const SHORTENED: usize = 30;
/// Looks that brought the minimum no nearer after which there is nothing left to gain.
const PATIENCE: u64 = 60;
/// Share of the tolerance that the decrement has to stay below, for two turns together or for one: by the shared curvature or
/// a sketch in float32, which then hands over to double precision; there by the shared curvature or one bought at an earlier strength; by
/// the Hessian itself, whose decrement is the distance to second order.
const SETTLED: [[f64; 2]; 3] = [[0.1, 0.01], [0.001, 0.0001], [0.3, 0.1]];
/// How many times the largest penalty of others the weight of a column has that is constant over the set: at the minimum it is 0,
/// and from the start; a row that is held out and other there would be scored by what is left of it.
const HELD: f64 = 1e12;
/// Share of the first loss that counts as nothing.
const NOTHING: f64 = 1e-15;
/// How many times more than alone an intercept may gain as weights follow it: where there are more columns than rows, they can
/// take up most of what it does.
const ABSORBED: f64 = 50.0;
/// Share of the first loss below which float32 is too coarse for an objective: a loss of `e^(-margin)` is off by the margin's
/// own rounding, relative to itself.
const THIN: f64 = 0.03;

/// What the search is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    /// Looking at the place it starts from; the flag says that the place was guessed ahead.
    Arrive { guessed: bool },
    /// A direction is wanted.
    Turn,
    /// Looking at a step of this share of the direction.
    Step { share: f64, shortened: usize },
    /// Nothing: this strength is done with.
    Rest,
}

/// A place that a search stood at.
#[derive(Debug, Clone)]
struct Place {
    c: f64,
    point: Vec<f64>,
    /// `Σ d loss` there.
    loss: f64,
}

/// Points, directions and gradients are weights row by row, then intercepts: `[(columns + 1) · outputs]`, in the table's units.
pub(crate) struct Search<'a> {
    targets: Targets<'a>,
    moments: &'a Moments,
    units: &'a Units,
    pub(crate) outputs: usize,
    /// Penalty of each weight: `Σ ρ v² / (2 C)` `[columns]`.
    rho: Vec<f64>,
    /// What each weight is divided by for the penalty to be the one that the shared curvature has, infinite where there is to be
    /// no weight `[columns]`.
    ratio: Vec<f64>,
    c: f64,
    point: Vec<f64>,
    trial: Vec<f64>,
    direction: Vec<f64>,
    view: View,
    /// Objective.
    value: f64,
    /// Gradient of the objective.
    gradient: Vec<f64>,
    history: History,
    /// Where the two strengths before ended, the last one last.
    ends: Vec<Place>,
    next: Next,
    /// Whether to look in double precision.
    precise: bool,
    /// What it spent, and the curvature of its own that it bought.
    purse: Purse<'a>,
    iterations: u64,
    /// Loss where all weights and intercepts are 0.
    first_loss: f64,
    /// The nearest that proof or decrement put the minimum at this strength, and the looks taken since.
    best: (f64, u64),
    stuck: bool,
    /// Half the slope of the last direction: what it promises to gain.
    decrement: f64,
    /// Whether the decrement says that the minimum is reached.
    settled: bool,
}

impl<'a> Search<'a> {
    /// At zero, with `shared [columns]` the penalties that the shared curvature has.
    pub(crate) fn new(targets: Targets<'a>, moments: &'a Moments, units: &'a Units, shared: &[f64]) -> Self {
        let outputs = targets.outputs;
        let mut rho: Vec<f64> = moments
            .scale
            .iter()
            .zip(&units.inverse)
            .map(|(scale, &inverse)| (scale * f64::from(inverse)).powi(2))
            .collect();
        let held = HELD * rho.iter().copied().fold(1.0, f64::max);
        let constant = rho.iter_mut().zip(&moments.is_constant).filter(|(_, is_constant)| **is_constant);
        constant.for_each(|(rho, _)| *rho = held);
        let ratio = rho.iter().zip(shared).zip(&moments.is_constant);
        let ratio =
            ratio.map(|((rho, shared), &is_constant)| if is_constant { f64::INFINITY } else { (rho / shared).sqrt() });
        let ratio = ratio.collect();
        let length = (rho.len() + 1) * outputs;
        let view = View { loss: 0.0, gradient: vec![0.0; length], curvature: vec![0.0; outputs], scores: Vec::new() };
        Self {
            point: vec![0.0; length],
            trial: vec![0.0; length],
            direction: Vec::new(),
            gradient: vec![0.0; length],
            value: f64::INFINITY,
            history: History::default(),
            ends: Vec::new(),
            next: Next::Rest,
            precise: false,
            purse: Purse::default(),
            iterations: 0,
            best: (f64::INFINITY, 0),
            stuck: false,
            decrement: f64::INFINITY,
            settled: false,
            first_loss: f64::NAN,
            c: f64::NAN,
            targets,
            moments,
            units,
            outputs,
            rho,
            ratio,
            view,
        }
    }

    /// Takes up strength `c`: from `start`, or else from where the path through the strengths before points to.
    ///
    /// The path of minima is smooth in `ln C`; a straight line through the last two ends is followed (predictor and
    /// corrector; Allgower and Georg, "Introduction to numerical continuation methods", 2003, chapter 2).
    pub(crate) fn begin(&mut self, c: f64, start: Option<Start<'_>>) {
        let before = std::mem::replace(&mut self.c, c);
        self.iterations = 0;
        // What needed double precision needs it for weaker regularisation too; the last curvature bought is a start.
        self.arrive(self.purse.is_exact());
        self.purse.move_on();
        if let Some(start) = start {
            if self.first_loss.is_nan() {
                self.first_loss = self.targets.loss_of_nothing();
            }
            self.trial = self.moments.point(self.units, start);
            self.history.clear();
            self.ends.clear();
            return;
        }
        if before.is_finite() {
            let mut difference: Vec<f64> = self.rho.iter().map(|rho| rho * (1.0 / c - 1.0 / before)).collect();
            difference.push(0.0);
            self.history.shift(&difference, self.outputs);
        }
        if let [one, two] = self.ends.as_slice() {
            let ahead = (c / two.c).ln() / (two.c / one.c).ln();
            self.trial = two.point.iter().zip(&one.point).map(|(two, one)| two + ahead * (two - one)).collect();
            self.next = Next::Arrive { guessed: true };
        }
    }

    /// Wants to look at where it stands.
    fn arrive(&mut self, precise: bool) {
        self.precise = precise;
        (self.best, self.stuck) = ((f64::INFINITY, 0), false);
        (self.decrement, self.settled) = (f64::INFINITY, false);
        self.trial.copy_from_slice(&self.point);
        self.next = Next::Arrive { guessed: false };
    }

    /// Rests, or where float32 proves too little, goes on in double precision.
    fn rest(&mut self, config: &SolverConfig) {
        let excess = self.excess();
        let done = self.is_near(excess, config) && self.value > THIN * self.first_loss;
        let spent = self.iterations >= config.max_iterations || excess.is_nan();
        if self.precise || done || spent {
            self.next = Next::Rest;
        } else {
            self.arrive(true);
        }
    }

    /// The curvature of its own that is worth its price now, and its bytes, at most `max_bytes`: [`Purse::wanted`].
    pub(crate) fn wanted(&self, ground: &Ground<'_>, cost_of_look: f64, max_bytes: usize) -> Option<(Ware, usize)> {
        let is_precise = self.precise;
        self.purse.wanted(&Asking { ground, targets: &self.targets, is_precise, cost_of_look, max_bytes })
    }

    /// Takes the curvature of its own loss, here.
    pub(crate) fn buy(&mut self, ware: Ware, ground: &'a Ground<'_>) {
        self.purse.buy(ware, (ground, &self.targets), &self.view.scores, &self.rho);
        self.history.clear();
        self.decrement = f64::INFINITY;
    }

    /// What it spent and bought.
    pub(crate) fn purse(&self) -> &Purse<'a> {
        &self.purse
    }

    /// Gives up the curvature that it bought.
    pub(crate) fn sell(&mut self) {
        self.purse.sell();
    }

    /// A new direction by the curvature that was bought.
    pub(crate) fn turn_alone(&mut self, config: &SolverConfig) {
        let (mut direction, shares) = self.ask();
        self.purse.apply(&mut direction, (&self.rho, self.c), self.outputs);
        self.turn(direction, &shares, config);
    }

    pub(crate) fn is_precise(&self) -> bool {
        self.precise
    }

    pub(crate) fn is_resting(&self) -> bool {
        self.next == Next::Rest
    }

    pub(crate) fn wants_direction(&self) -> bool {
        self.next == Next::Turn
    }

    /// Where to look next.
    pub(crate) fn look(&self) -> Look<'_, 'a> {
        Look { point: &self.trial, targets: &self.targets }
    }

    /// Takes up what was seen there.
    pub(crate) fn see(&mut self, view: View, config: &SolverConfig) {
        let value = view.loss + self.penalty(&self.trial);
        self.purse.spend(self.precise);
        // The first place is the one without weights, unless there was a start.
        if self.first_loss.is_nan() {
            self.first_loss = view.loss;
        }
        match self.next {
            Next::Arrive { guessed: true } if !self.is_worth(value) => {
                self.trial.copy_from_slice(&self.point);
                self.next = Next::Arrive { guessed: false };
            }
            Next::Arrive { .. } => {
                std::mem::swap(&mut self.point, &mut self.trial);
                self.settle(view, value);
                self.decide(config);
            }
            Next::Step { share, shortened } => self.judge(view, value, (share, shortened), config),
            Next::Turn | Next::Rest => {}
        }
    }

    /// What the preconditioner is to be applied to, and what [`Search::turn`] needs afterwards.
    pub(crate) fn ask(&self) -> (Vec<f64>, Vec<f64>) {
        let mut direction: Vec<f64> = self.gradient.iter().map(|g| -g).collect();
        let shares = self.history.down(&mut direction);
        self.rescale(&mut direction);
        (direction, shares)
    }

    /// From the penalties of its own set to those that the shared curvature has.
    fn rescale(&self, direction: &mut [f64]) {
        if self.purse.has_own() {
            return;
        }
        let rows = direction.chunks_exact_mut(self.outputs).zip(&self.ratio);
        rows.for_each(|(row, ratio)| row.iter_mut().for_each(|value| *value /= ratio));
    }

    /// Takes up the direction, or rests where it promises nothing.
    pub(crate) fn turn(&mut self, mut direction: Vec<f64>, shares: &[f64], config: &SolverConfig) {
        self.rescale(&mut direction);
        self.history.up(&mut direction, shares);
        let slope = dot(&direction, &self.gradient);
        if !slope.is_finite() || slope >= 0.0 {
            // The curvature alone, without the memory of steps; the shared one, where a sketch fails; or straight down.
            if !self.history.is_empty() {
                self.history.clear();
                return;
            }
            if self.give_up_sketch() {
                return;
            }
            direction = self.gradient.iter().map(|g| -g).collect();
            self.stuck = true;
        }
        let before = std::mem::replace(&mut self.decrement, -0.5 * dot(&direction, &self.gradient));
        let goal = config.tolerance * self.value;
        let [twice, once] = SETTLED[usize::from(self.precise) + usize::from(self.purse.has_hessian())];
        let settled = before.max(self.decrement) <= twice * goal || self.decrement <= once * goal;
        self.settled = settled && self.targets.is_smooth();
        self.direction = direction;
        if self.settled {
            self.rest(config);
        } else {
            self.try_step(1.0, 0);
        }
    }

    /// Mean over the outputs of the sum of the rows' second derivatives.
    pub(crate) fn total_curvature(&self) -> f64 {
        self.view.curvature.iter().sum::<f64>() / self.outputs as f64
    }

    /// Adds the mean second derivative of the rows `sampled` over the outputs to `sums [sampled]`.
    pub(crate) fn add_curvature(&self, sampled: &[usize], sums: &mut [f64]) {
        let scores = |row: usize| self.view.scores[row * self.outputs..].iter().map(|&score| f64::from(score));
        self.targets.add_curvature(sampled, scores, sums);
    }

    /// The end at this strength, with the scores of all rows.
    pub(crate) fn finish(&mut self, problem: usize, config: &SolverConfig) -> Solved {
        if self.ends.len() == 2 {
            self.ends.remove(0);
        }
        self.ends.push(Place { c: self.c, point: self.point.clone(), loss: self.view.loss });
        let excess = self.excess();
        let (weights, intercept) = self.moments.weights(self.units, &self.point, self.outputs);
        let roots = self.rho.iter().map(|rho| rho.sqrt()).chain([1.0]);
        let slope = self.gradient.chunks_exact(self.outputs).zip(roots);
        let square: f64 = slope.map(|(row, root)| row.iter().map(|g| (g / root).powi(2)).sum::<f64>()).sum();
        let rows = self.view.scores.len() / self.outputs;
        let scores = self.view.scores.iter().map(|&score| f64::from(score)).collect();
        Solved {
            problem,
            solution: Solution {
                weights,
                intercept,
                moments: self.moments.clone(),
                objective: self.value,
                gradient_norm: square.sqrt(),
                excess,
                iterations: self.iterations,
                decrement: self.decrement,
                converged: self.settled || self.is_near(excess, config),
            },
            scores: Array2::from_shape_vec((rows, self.outputs), scores).expect("rows × outputs scores"),
        }
    }

    /// Whether a place guessed ahead is no worse than the end of the strength before.
    fn is_worth(&self, value: f64) -> bool {
        let stay = self.ends.last().map_or(f64::INFINITY, |end| end.loss + self.penalty(&end.point));
        value <= stay
    }

    fn judge(&mut self, view: View, value: f64, (share, shortened): (f64, usize), config: &SolverConfig) {
        let slope = share * dot(&self.direction, &self.gradient);
        let gradient = self.gradient_of(&view, &self.trial);
        let after = share * dot(&self.direction, &gradient);
        // Where the slope still falls, the objective is lower, whatever its rounding says: it is convex. Beyond the lowest
        // point of the line the slope decides as well while the objective is the same within rounding (Hager and Zhang, "A new
        // conjugate gradient method with guaranteed descent and an efficient line search", 2005, equation 4.1).
        let down = after <= 0.0 || value <= self.value + FAIR * slope;
        let flat = value <= self.value + ROUNDING * self.value.abs() && after <= 0.9 * slope.abs();
        self.best.1 += 1;
        if down || flat {
            self.iterations += 1;
            let step = self.trial.iter().zip(&self.point).map(|(new, old)| new - old).collect();
            let change = gradient.iter().zip(&self.gradient).map(|(new, old)| new - old).collect();
            self.history.push(step, change, config.memory);
            std::mem::swap(&mut self.point, &mut self.trial);
            self.settle(view, value);
            self.decide(config);
        } else if shortened < SHORTENED {
            // The zero of the slope, as a line through its two ends has it.
            let zero = if after > slope { -slope / (after - slope) } else { 0.5 };
            self.try_step(share * zero.clamp(0.1, 0.6), shortened + 1);
        } else if self.history.is_empty() && !self.give_up_sketch() {
            self.rest(config);
        } else {
            self.history.clear();
            self.next = Next::Turn;
        }
    }

    /// Gives up a sketch that leads nowhere, and what it said of the way that is left; says whether there was one.
    fn give_up_sketch(&mut self) -> bool {
        let has_sketch = self.purse.has_own() && !self.purse.is_exact();
        if has_sketch {
            self.purse.sell();
            self.decrement = f64::INFINITY;
        }
        has_sketch
    }

    fn settle(&mut self, view: View, value: f64) {
        self.gradient = self.gradient_of(&view, &self.point);
        (self.view, self.value) = (view, value);
    }

    fn decide(&mut self, config: &SolverConfig) {
        let excess = self.excess();
        let nearest = excess.min(self.decrement);
        if nearest < 0.9 * self.best.0 {
            self.best = (nearest, 0);
        }
        let spent = self.iterations >= config.max_iterations || self.best.1 >= PATIENCE || self.stuck;
        if self.is_near(excess, config) || spent || excess.is_nan() {
            self.rest(config);
        } else {
            self.next = Next::Turn;
        }
    }

    fn is_near(&self, excess: f64, config: &SolverConfig) -> bool {
        excess <= (config.tolerance * self.value).max(NOTHING * self.first_loss)
    }

    fn try_step(&mut self, share: f64, shortened: usize) {
        self.trial.copy_from_slice(&self.point);
        add(&mut self.trial, share, &self.direction);
        self.next = Next::Step { share, shortened };
    }

    /// Largest possible distance of the objective from its minimum.
    ///
    /// `F(V, b) = Σ d ℓ(Vᵀx + b) + Σ ρ v² / (2 C)`, `∇V = Xᵀ R + ρ V / C`, `∇b = 1ᵀ R` with `R = d ∘ ℓ′`, for any convex `ℓ`
    /// that has a derivative. The dual problem is to maximise `D(R) = −Σ d ℓ*(R / d) − C/2 Σ (Xᵀ R)² / ρ` over `1ᵀ R = 0`
    /// (Fenchel's duality, Boyd and Vandenberghe, "Convex optimization", 2004, section 5.5). With `∇b = 0` the residuals are
    /// feasible, and as `ℓ(s) + ℓ*(ℓ′(s)) = s ℓ′(s)`, `F − D = C/2 Σ ∇V² / ρ ≥ F − min F`. What the intercepts still cost is
    /// added to first order, [`ABSORBED`] times `Σ (∇b)² / (2 Σ d ℓ″)`.
    fn excess(&self) -> f64 {
        let weights = self.gradient.chunks_exact(self.outputs).zip(&self.rho);
        let of_weights: f64 = weights.map(|(row, rho)| row.iter().map(|g| g * g).sum::<f64>() / rho).sum();
        let intercepts = &self.gradient[self.rho.len() * self.outputs..];
        let of_intercepts = intercepts.iter().zip(&self.view.curvature);
        let cost = |(&slope, &curvature): (&f64, &f64)| if slope == 0.0 { 0.0 } else { slope * slope / curvature };
        0.5 * (self.c * of_weights + ABSORBED * of_intercepts.map(cost).sum::<f64>())
    }

    fn gradient_of(&self, view: &View, point: &[f64]) -> Vec<f64> {
        let mut gradient = view.gradient.clone();
        let rows = gradient.chunks_exact_mut(self.outputs).zip(point.chunks_exact(self.outputs)).zip(&self.rho);
        rows.for_each(|((gradient, weights), rho)| add(gradient, rho / self.c, weights));
        // What has no weight has no slope.
        let rows = gradient.chunks_exact_mut(self.outputs).zip(&self.moments.is_constant);
        rows.filter(|(_, is_constant)| **is_constant).for_each(|(slopes, _)| slopes.fill(0.0));
        gradient
    }

    fn penalty(&self, point: &[f64]) -> f64 {
        let rows = point.chunks_exact(self.outputs).zip(&self.rho);
        0.5 / self.c * rows.map(|(weights, rho)| rho * dot(weights, weights)).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scaling;
    use crate::loss::Aims;
    use crate::moments::moments;
    use crate::table::Table;

    /// A sketch that leads nowhere makes way for the shared curvature; where that leads nowhere either, straight down is last.
    #[test]
    fn a_sketch_that_fails_is_given_up_before_the_search() {
        let made = Array2::from_shape_fn((60, 5), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64);
        let labels: Vec<usize> = (0..60).map(|row| row % 3).collect();
        let table = Table::new(&made, &[true; 60], usize::MAX).unwrap();
        let ground = Ground::of(&table, &[true; 60], usize::MAX);
        let moments = moments(&table, &[vec![1.0; 60]], Scaling::Standardise);
        let targets = Targets { aims: Aims::Class(&labels), weights: &[1.0; 60], outputs: 3 };
        let config = SolverConfig::default();
        let mut search = Search::new(targets, &moments[0], &table.units, &[1.0; 5]);
        search.begin(1.0, None);
        let seen = |search: &Search<'_>| crate::pass::look::<f32>(&table, 3, &[search.look()]).remove(0);
        search.see(seen(&search), &config);
        let steep = search.gradient.iter().map(|g| -g * f64::INFINITY).collect();
        for fails in [vec![f64::NAN; 18], search.gradient.clone(), steep] {
            search.buy(Ware::Sketch(0), &ground);
            search.turn(fails.clone(), &[], &config);
            assert!(search.wants_direction() && !search.purse().has_own() && !search.stuck);
            search.turn(fails, &[], &config);
            assert!(search.stuck);
            (search.next, search.stuck) = (Next::Turn, false);
        }
    }
}

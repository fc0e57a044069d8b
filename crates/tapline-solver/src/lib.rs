//! Linear models of all folds and strengths at once: rows, training sets and strengths in, weights and proofs out.
//!
//! Every training set (row weights) and every strength is a column of one weight matrix, or one for each class, so one
//! pass over the features serves them all. Knows nothing of networks, folds, files or printing. The whole route:
//!
//! ```
//! use ndarray::Array2;
//! use tapline_solver::{Problem, SolverConfig, Task, solve};
//!
//! // Class 1 has a larger first column; the second column says nothing.
//! let labels: Vec<usize> = (0..60).map(|row| row % 2).collect();
//! let rows = Array2::from_shape_fn((60, 2), |(row, column)| match column {
//!     0 => (row % 2) as f64 + (row % 7) as f64 / 10.0,
//!     _ => (row % 5) as f64,
//! });
//!
//! // Two training sets: all rows, and all but the last ten; each at two strengths.
//! let sets = [vec![1.0; 60], (0..60).map(|row| if row < 50 { 1.0 } else { 0.0 }).collect()];
//! let task = Task { rows: rows.view(), labels: &labels, classes: 2, sets: &sets };
//! let problem = |set, c| Problem { set, c, start: None };
//! let problems = [problem(0, 0.1), problem(0, 1.0), problem(1, 0.1), problem(1, 1.0)];
//!
//! solve(&SolverConfig::default(), &task, &problems, &mut |solved| {
//!     assert!(solved.solution.converged);
//!     // Rows that were held out are scored as well.
//!     let right = |row: usize| (solved.scores[[row, 0]] > 0.0) == (labels[row] == 1);
//!     assert!((50..60).all(right));
//! })?;
//! # Ok::<(), tapline_solver::Error>(())
//! ```
//!
//! [`solve`] is for classes that exclude each other. [`solve_loss`] takes other losses ([`Loss`]: several labels for a row,
//! squared hinge, squared error) and class weights as well:
//!
//! ```
//! use ndarray::array;
//! use tapline_solver::{Loss, LossTask, Problem, SolverConfig, solve_loss};
//!
//! let (rows, heights) = (array![[1.0], [2.0], [3.0], [4.0]], array![[2.5], [4.5], [6.5], [8.5]]);
//! let task = LossTask { rows: rows.view(), loss: Loss::SquaredError(heights.view()), sets: &[vec![1.0; 4]] };
//! solve_loss(&SolverConfig::default(), &task, &[Problem { set: 0, c: 1e6, start: None }], &mut |solved| {
//!     assert!((solved.scores[[3, 0]] - 8.5).abs() < 1e-3);
//! })?;
//! # Ok::<(), tapline_solver::Error>(())
//! ```
//!
//! Plain L-BFGS won the comparison (five layers of two networks and one made up, 1,574 rows, 320 to 1,280 columns, relative
//! excess 1e-8). Preconditioned by the eigenvectors of `ZᵀZ` (Böhning, "Multinomial logistic regression algorithm", 1992)
//! it took from a sixth of the steps to twice as many, most on the widest layer at weak regularisation; and one
//! decomposition for each training set, without which rows held out would leave a trace, costs more than all steps.
//! Newton's method with conjugate gradients took 4 to 10 times the products. Starting each strength where the one before
//! ended saves a tenth of the steps and narrows the products. Remembering 40 steps instead of 10 saves a third of them.

mod error;
mod history;
mod intercept;
mod loss;
mod moments;
mod params;
mod products;
mod rowspace;
mod search;
mod solve;
mod target;
mod task;

pub use error::Error;
pub use moments::{Moments, moments};
pub use params::{LogisticModel, LogisticParams, LogisticValidParams};
pub use solve::{Solution, Solved, solve, solve_loss};
pub use target::{ClassWeights, Classes, Loss};
pub use task::{LossTask, Problem, SolverConfig, Start, Task};

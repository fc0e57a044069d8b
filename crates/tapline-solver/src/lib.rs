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
//! let task = Task { rows: &rows, labels: &labels, classes: 2, sets: &sets };
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
//! let task = LossTask { rows: &rows, loss: Loss::SquaredError(heights.view()), sets: &[vec![1.0; 4]] };
//! solve_loss(&SolverConfig::default(), &task, &[Problem { set: 0, c: 1e6, start: None }], &mut |solved| {
//!     assert!((solved.scores[[3, 0]] - 8.5).abs() < 1e-3);
//! })?;
//! # Ok::<(), tapline_solver::Error>(())
//! ```
//!
//! One regression at a time, in the terms of linfa 0.8 (on ndarray 0.16), each loss has parameters that `fit` a data set to a model
//! that predicts: [`LogisticParams`], [`HingeParams`], [`MultiLabelParams`] and [`RidgeParams`].
//!
//! ```
//! use linfa::DatasetBase;
//! use linfa::traits::{Fit, Predict};
//! use ndarray::array;
//! use tapline_solver::LogisticParams;
//!
//! let dataset = DatasetBase::new(array![[0.0], [1.0], [5.0], [6.0]], array![0, 0, 1, 1]);
//! let model = LogisticParams::new(1.0).fit(&dataset)?;
//! assert!(model.solution.converged);
//! assert_eq!(model.predict(&dataset.records), dataset.targets);
//! # Ok::<(), tapline_solver::Error>(())
//! ```
//!
//! How it works, and what it was chosen over. Each training set follows the path of its minima from strong to weak
//! regularisation: a strength starts where the line through the last two ends points to, and L-BFGS corrects. The sets of a
//! batch share each pass over the rows (scores, losses, residuals and gradients of 128 rows while they are in the cache) and one
//! preconditioner, the Cholesky factor of their mean Hessian, in the space of the columns or of the rows, whichever is
//! smaller. By columns it is taken from four rows for each, or 4,096 where that is more, drawn by the losses' second
//! derivatives: where classes are told apart well, few rows have any. By rows it is an even sample of up to 4,096, or of fewer where memory is short. On 2,099 rows of 1,280 columns, two classes and an excess of 1e-4, one set took 838
//! steps for twelve strengths without a preconditioner, and 48 for all 45 with one of its own at each (a sketch in NumPy). It is
//! bought as skis are: until as much was spent on passes as it costs, a diagonal stands for it, then it is taken anew each time as much
//! was spent again; a factor serves strengths up to four times its own. Together that took 5 sets and 45 strengths of 2,624 rows of
//! 1,280 columns from 5.4 to 3.8 s (medians of three, in turn, on two cores). The eigenvectors of `XᵀX`
//! (Böhning, "Multinomial logistic regression algorithm", 1992) fit the true Hessian badly where regularisation is weak.
//!
//! Products are float32 in units of each column's spread, summed in float64 over chunks of 128 rows; losses, gradients, steps and proofs
//! are float64. `faer` factors and solves, which `ndarray` does not; its products are as fast as `ndarray`'s (60 to 90 Gflop/s
//! in float32 on one core, both). Where regularisation is weak, float32 proves too little: a search that ends there, or whose
//! loss is nearly nothing, goes on in double precision over the rows as they came, and once it has spent as much as that
//! costs, takes a curvature of its own: one for all outputs or for each, as memory allows, then the whole Hessian (Newton's
//! method). Where outputs have curvatures of their own, a search that takes long has, in either precision, a sketch of each from the
//! few rows that bend it: on the rows of `make bench ROWS=solver-101` (3,030 less a quarter, 1,280 columns, 101 classes) it brought
//! all 45 strengths to 1e-6 in a fifth of the time.
//!
//! On 2,099 rows of 512 columns (SqueezeNet's fire9), 5 sets and 45 strengths, the end in double precision takes half the time of
//! float32 with shared curvature alone, which ended up to 1.9e-5 too high (`tests/goldens.rs` holds all 45 strengths against
//! scikit-learn's Newton solver). Drawing rows by second derivatives, and a curvature for each output, took nine strengths of 37,500 rows, 2,048
//! columns and 10 classes from about 450 s (as many rows drawn evenly, one mean of all outputs) to about 60 s (`make bench
//! ROWS=solver-50k`).
//!
//! With many classes and few columns most of a pass is exponentials: up to eight are taken at a time, by the widest vectors that
//! `pulp` finds. With these, and passes of different sets side by side, 3,929 rows of 24 columns in 100 classes, 5 sets and 25
//! strengths take 1.1 s where the C library's, one by one, took 3.7 s (`examples/solve_file`).

mod draw;
mod error;
mod ground;
mod history;
mod loss;
mod moments;
mod own;
mod params;
mod pass;
mod precondition;
mod purse;
mod search;
mod sketch;
mod softmax;
mod solve;
mod table;
mod target;
mod task;

pub use error::Error;
pub use moments::Moments;
pub use params::{
    HingeModel, HingeParams, Logistic, LogisticModel, LogisticParams, Model, MultiLabelModel, MultiLabelParams,
    OfClasses, OfNumbers, OneVsRest, Params, RidgeModel, RidgeParams, SquaredError, SquaredHinge, ValidParams,
};
pub use solve::{Solution, Solved, solve, solve_loss, solve_wanted};
pub use table::{RowSource, Units};
pub use target::{ClassWeights, Classes, Loss};
pub use task::{LossTask, Problem, Scaling, SolverConfig, Start, Task};

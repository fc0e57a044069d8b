//! Statistics that compare layers: rows, labels, right and wrong pictures in; p values, sets, rankings and laws out.
//!
//! Knows nothing of networks, files or printing; every seed is passed in. The whole route, on three taps of 200 pictures:
//!
//! ```
//! use ndarray::Array2;
//! use tapline_compare::{
//!     Channels, Cost, NestedConfig, Outcomes, Resampling, behind_best_p, confidence, energy, fit_power_law, h_score,
//!     linear_cka, log_me, nested_subsets, spearman, statistics_shift, verdict,
//! };
//!
//! // Which tap? The probes of the second and third got the same 160 pictures right, those of the first 100.
//! let right = Array2::from_shape_fn((3, 200), |(tap, picture)| picture % 10 < [5, 8, 8][tap]);
//! let fold_of: Vec<usize> = (0..200).map(|picture| picture / 10 % 5).collect();
//! let outcomes = Outcomes::of(right.view(), &fold_of);
//! let costs = [(5, 16), (20, 64), (90, 32)].map(|(multiply_adds, features)| Cost { multiply_adds, features });
//! let config = Resampling::default();
//! let found = verdict(&config, &outcomes, &costs)?;
//! assert_eq!((found.leader, found.set, found.cheapest, found.smallest), (1, vec![1, 2], 1, 2));
//! assert!(behind_best_p(&config, &outcomes, 0)? < 0.05);
//!
//! // How do rankings without training agree with that? Features of later taps tell the classes better apart.
//! let labels: Vec<usize> = (0..200).map(|picture| picture % 2).collect();
//! let taps = [0.1_f32, 0.6, 0.7].map(|apart| {
//!     Array2::from_shape_fn((200, 2), |(picture, column)| {
//!         (picture * (7 + 4 * column) % 13) as f32 / 6.0 + apart * labels[picture] as f32
//!     })
//! });
//! let scores = taps.iter().map(|rows| log_me(rows.view(), &labels)).collect::<Result<Vec<_>, _>>()?;
//! assert!(spearman(&scores, &[0.5, 0.8, 0.8])? > 0.8);
//! assert!(h_score(taps[2].view(), &labels)? > h_score(taps[0].view(), &labels)?);
//! let alike = linear_cka(&taps.each_ref().map(|rows| rows.view()))?;
//! assert!(alike[[1, 2]] > alike[[0, 2]]);
//!
//! // What would twice the pictures bring? Probes learn from nested subsets; their errors follow a power law.
//! let nested = nested_subsets(&labels, &NestedConfig { repeats: 2, least: 5, seed: 0 })?;
//! assert_eq!(nested.sizes, [12, 25, 50, 100, 200]);
//! let errors = Array2::from_shape_fn((2, 5), |(_, size)| 0.1 + 0.5 / (nested.sizes[size] as f64).sqrt());
//! let curve = fit_power_law(&config, &nested.sizes, errors.view())?;
//! assert!((curve.doubled.value - (0.1 + 0.5 / 20.0)).abs() < 1e-6);
//!
//! // Are the pictures like those of the pretraining set? Its batch norms and its head remember.
//! let stored = Channels { mean: &[0.0, 1.0], variance: &[1.0, 4.0] };
//! let here = Channels { mean: &[0.5, 2.0], variance: &[1.0, 4.0] };
//! assert_eq!(statistics_shift(here, stored, 0.0)?.mean_shift, 0.5);
//! let logits = Array2::from_shape_fn((1, 2), |(_, class)| class as f32);
//! assert!(energy(logits.view(), 1.0)?[0] < -1.0 && confidence(logits.view())?[0] > 0.7);
//! # Ok::<(), tapline_compare::Error>(())
//! ```

mod curve;
mod distribution;
mod equivalence;
mod error;
mod holm;
mod nested;
mod paired;
mod random;
mod shift;
mod similarity;
mod spectrum;
mod transfer;
mod units;
mod verdict;

pub use curve::{LearningCurve, PowerLaw, Predicted, fit_power_law};
pub use equivalence::{behind_best_p, best_set_p};
pub use error::Error;
pub use holm::holm;
pub use nested::{Nested, NestedConfig, nested_subsets};
pub use paired::{BootstrapTest, FoldPair, TTest, corrected_t_test, paired_bootstrap};
pub use shift::{Channels, Shift, confidence, energy, output_shift, statistics_shift};
pub use similarity::{kendall, linear_cka, spearman};
pub use transfer::{h_score, log_me, log_me_regression, subsample};
pub use units::Resampling;
pub use verdict::{AgainstLeader, Cost, Guess, Outcomes, Verdict, verdict};

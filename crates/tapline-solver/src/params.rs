//! One regression in linfa's terms: parameters that hold no data, `fit` to a model that predicts.

use linfa::dataset::AsSingleTargets;
use linfa::traits::{Fit, PredictInplace};
use linfa::{DatasetBase, ParamGuard};
use ndarray::{Array1, Array2, ArrayBase, Data, Ix2};

use crate::task::{check_config, check_strength};
use crate::{Error, Problem, Solution, SolverConfig, Task, solve};

/// How one regression is fitted; to be checked.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticParams(LogisticValidParams);

/// How one regression is fitted; checked.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticValidParams {
    c: f64,
    solver: SolverConfig,
}

impl LogisticParams {
    /// Strength `C` (above 0) and the solver's defaults.
    pub fn new(c: f64) -> Self {
        Self(LogisticValidParams { c, solver: SolverConfig::default() })
    }

    /// The same strength with another way to stop.
    pub fn solver(self, solver: SolverConfig) -> Self {
        Self(LogisticValidParams { solver, ..self.0 })
    }
}

impl LogisticValidParams {
    /// The strength `C`.
    pub fn c(&self) -> f64 {
        self.c
    }
}

impl ParamGuard for LogisticParams {
    type Checked = LogisticValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked, Error> {
        check_strength(self.0.c)?;
        check_config(&self.0.solver)?;
        Ok(&self.0)
    }

    fn check(self) -> Result<Self::Checked, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// A fitted regression; predicts the most probable class of each row.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticModel {
    /// Weights, intercept, moments, and how near the minimum they are.
    pub solution: Solution,
}

impl<D: Data<Elem = f64> + Sync, T: AsSingleTargets<Elem = usize>> Fit<ArrayBase<D, Ix2>, T, Error>
    for LogisticValidParams
{
    type Object = LogisticModel;

    /// Classes are numbered from 0; every one up to the highest label needs a row.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<LogisticModel, Error> {
        let labels = dataset.targets.as_single_targets().to_vec();
        let classes = labels.iter().max().map_or(0, |&highest| highest + 1);
        let sets = [match dataset.weights() {
            Some(weights) => weights.iter().map(|&weight| f64::from(weight)).collect(),
            None => vec![1.0; labels.len()],
        }];
        let task = Task { rows: &dataset.records, labels: &labels, classes, sets: &sets };
        let mut solution = None;
        solve(&self.solver, &task, &[Problem { set: 0, c: self.c, start: None }], &mut |solved| {
            solution = Some(solved.solution);
        })?;
        Ok(LogisticModel { solution: solution.expect("every problem is finished") })
    }
}

impl<D: Data<Elem = f64>> PredictInplace<ArrayBase<D, Ix2>, Array1<usize>> for LogisticModel {
    fn predict_inplace(&self, rows: &ArrayBase<D, Ix2>, target: &mut Array1<usize>) {
        let moments = &self.solution.moments;
        let standardised: Array2<f64> = (rows - &moments.mean) / &moments.scale;
        let scores = standardised.dot(&self.solution.weights) + &self.solution.intercept;
        for (class, scores) in target.iter_mut().zip(scores.outer_iter()) {
            *class = match scores.len() {
                1 => usize::from(scores[0] > 0.0),
                count => (1..count).fold(0, |best, class| if scores[class] > scores[best] { class } else { best }),
            };
        }
    }

    fn default_target(&self, rows: &ArrayBase<D, Ix2>) -> Array1<usize> {
        Array1::zeros(rows.nrows())
    }
}

#[cfg(test)]
mod tests {
    use linfa::traits::Predict;
    use ndarray::array;

    use super::*;

    fn check_refused(params: LogisticParams, expected: &str) {
        assert_eq!(params.check().unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_dataset_is_fitted_and_predicted() {
        let dataset = DatasetBase::new(array![[0.0], [1.0], [5.0], [6.0], [10.0], [11.0]], array![0, 0, 1, 1, 2, 2]);
        let model = LogisticParams::new(10.0).fit(&dataset).unwrap();
        assert!(model.solution.converged);
        assert_eq!(model.predict(&dataset.records), dataset.targets);
    }

    #[test]
    fn a_weight_of_0_takes_a_row_out() {
        let dataset = DatasetBase::new(array![[0.0], [1.0], [2.0], [-50.0]], array![0, 0, 1, 1]);
        let weighted = dataset.clone().with_weights(array![1.0, 1.0, 1.0, 0.0]);
        let fewer = DatasetBase::new(array![[0.0], [1.0], [2.0]], array![0, 0, 1]);
        let (one, two) =
            (LogisticParams::new(1.0).fit(&weighted).unwrap(), LogisticParams::new(1.0).fit(&fewer).unwrap());
        assert_eq!(one, two);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let expected = "regularisation strength C = 0 is out of range: use a positive, finite number";
        check_refused(LogisticParams::new(0.0), expected);
        let solver = SolverConfig { tolerance: 1.0, ..SolverConfig::default() };
        let expected = "tolerance 1 is out of range: use a positive number below 1, such as 1e-8";
        check_refused(LogisticParams::new(1.0).solver(solver), expected);
    }
}

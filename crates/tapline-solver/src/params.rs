//! One regression in linfa's terms: parameters that hold no data, `fit` to a model that predicts.
//!
//! The losses differ in their targets: classes by number for [`LogisticParams`] and [`HingeParams`], a column for each output
//! for [`MultiLabelParams`] and [`RidgeParams`]. Records are f32 or f64; a data set's weights are those of its rows.

use std::marker::PhantomData;

use linfa::dataset::{AsSingleTargets, AsTargets, Records};
use linfa::traits::{Fit, PredictInplace};
use linfa::{DatasetBase, Float, ParamGuard};
use ndarray::{Array1, Array2, ArrayBase, ArrayView1, Data, Ix2};

use crate::task::{check_config, check_strength};
use crate::{ClassWeights, Classes, Error, Loss, LossTask, Problem, Solution, SolverConfig, solve_loss};

/// Logistic regression, multinomial for more than two classes: targets are classes `[rows]`, numbered from 0.
pub type LogisticParams = Params<Logistic>;
/// [`LogisticParams`], fitted: predicts the most probable class of each row.
pub type LogisticModel = Model<Logistic>;
/// Linear support vector machine with squared hinges, each class against the rest: targets are classes `[rows]`, numbered from 0.
pub type HingeParams = Params<SquaredHinge>;
/// [`HingeParams`], fitted: predicts the class of the highest score of each row.
pub type HingeModel = Model<SquaredHinge>;
/// A logistic regression for each label of rows that may have several: targets `[rows, labels]`, each 0 or 1.
pub type MultiLabelParams = Params<OneVsRest>;
/// [`MultiLabelParams`], fitted: predicts 1 for labels more probable than not, 0 for others `[rows, labels]`.
pub type MultiLabelModel = Model<OneVsRest>;
/// Ridge regression: targets are numbers `[rows, outputs]`, in any unit.
pub type RidgeParams = Params<SquaredError>;
/// [`RidgeParams`], fitted: predicts numbers `[rows, outputs]`, in the targets' unit.
pub type RidgeModel = Model<SquaredError>;

/// The loss of [`LogisticParams`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logistic;
/// The loss of [`HingeParams`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquaredHinge;
/// The loss of [`MultiLabelParams`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneVsRest;
/// The loss of [`RidgeParams`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquaredError;

/// A loss whose targets are classes.
pub trait OfClasses {
    /// The loss with its targets.
    fn loss(classes: Classes<'_>) -> Loss<'_>;
}

impl OfClasses for Logistic {
    fn loss(classes: Classes<'_>) -> Loss<'_> {
        Loss::Logistic(classes)
    }
}

impl OfClasses for SquaredHinge {
    fn loss(classes: Classes<'_>) -> Loss<'_> {
        Loss::SquaredHinge(classes)
    }
}

/// A loss whose targets are columns of numbers.
pub trait OfNumbers {
    /// The loss with its targets `[rows, outputs]`.
    fn loss(targets: &Array2<f64>) -> Loss<'_>;

    /// What a score predicts.
    fn prediction(score: f64) -> f64;
}

impl OfNumbers for OneVsRest {
    fn loss(targets: &Array2<f64>) -> Loss<'_> {
        Loss::OneVsRest(targets.view())
    }

    fn prediction(score: f64) -> f64 {
        f64::from(u8::from(score > 0.0))
    }
}

impl OfNumbers for SquaredError {
    fn loss(targets: &Array2<f64>) -> Loss<'_> {
        Loss::SquaredError(targets.view())
    }

    fn prediction(score: f64) -> f64 {
        score
    }
}

/// How one regression is fitted; to be checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Params<L>(ValidParams<L>);

/// How one regression is fitted; checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidParams<L> {
    c: f64,
    balanced: bool,
    solver: SolverConfig,
    loss: PhantomData<L>,
}

impl<L> Params<L> {
    /// Strength `C` (above 0), rows that all weigh alike, and the solver's defaults.
    pub fn new(c: f64) -> Self {
        Self(ValidParams { c, balanced: false, solver: SolverConfig::default(), loss: PhantomData })
    }

    /// The same strength with another way to stop.
    pub fn solver(self, solver: SolverConfig) -> Self {
        Self(ValidParams { solver, ..self.0 })
    }
}

impl<L: OfClasses> Params<L> {
    /// The same with classes that weigh alike ([`ClassWeights::Balanced`]).
    pub fn balanced(self) -> Self {
        Self(ValidParams { balanced: true, ..self.0 })
    }
}

impl<L> ValidParams<L> {
    /// The strength `C`.
    pub fn c(&self) -> f64 {
        self.c
    }

    fn solve(&self, task: &LossTask<'_>) -> Result<Model<L>, Error> {
        let mut solution = None;
        solve_loss(&self.solver, task, &[Problem { set: 0, c: self.c, start: None }], &mut |solved| {
            solution = Some(solved.solution);
        })?;
        Ok(Model { solution: solution.expect("every problem is finished"), loss: PhantomData })
    }
}

/// The one training set of a data set: its weights, or 1 for each row.
fn sets<R: Records, T>(dataset: &DatasetBase<R, T>) -> [Vec<f64>; 1] {
    [match dataset.weights() {
        Some(weights) => weights.iter().map(|&weight| f64::from(weight)).collect(),
        None => vec![1.0; dataset.records.nsamples()],
    }]
}

impl<L> ParamGuard for Params<L> {
    type Checked = ValidParams<L>;
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

/// A fitted regression.
#[derive(Debug, Clone, PartialEq)]
pub struct Model<L> {
    /// Weights, intercept, moments, and how near the minimum they are.
    pub solution: Solution,
    loss: PhantomData<L>,
}

impl<L> Model<L> {
    /// Scores `[rows, outputs]`: weighted standardised features and the intercept.
    ///
    /// # Panics
    /// If the rows have another number of columns than those fitted.
    pub fn scores<F: Float + Into<f64>, D: Data<Elem = F>>(&self, rows: &ArrayBase<D, Ix2>) -> Array2<f64> {
        let moments = &self.solution.moments;
        assert_eq!(rows.ncols(), moments.mean.len(), "as many columns as the model was fitted on");
        let standardised: Array2<f64> = (rows.mapv(Into::into) - &moments.mean) / &moments.scale;
        standardised.dot(&self.solution.weights) + &self.solution.intercept
    }
}

impl<L: OfClasses, F: Float + Into<f64>, D: Data<Elem = F> + Sync, T: AsSingleTargets<Elem = usize>>
    Fit<ArrayBase<D, Ix2>, T, Error> for ValidParams<L>
{
    type Object = Model<L>;

    /// Classes are numbered from 0; every one up to the highest label needs a row ([`Error::NoRowOfClass`], [`Error::FewRows`]).
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<Model<L>, Error> {
        let labels = dataset.targets.as_single_targets().to_vec();
        let count = labels.iter().max().map_or(0, |&highest| highest.saturating_add(1));
        let weights = if self.balanced { ClassWeights::Balanced } else { ClassWeights::Equal };
        let loss = L::loss(Classes { labels: &labels, count, weights });
        self.solve(&LossTask { rows: &dataset.records, loss, sets: &sets(dataset) })
    }
}

impl<F: Float + Into<f64>, D: Data<Elem = F> + Sync, T: AsTargets<Elem = f64, Ix = Ix2>>
    Fit<ArrayBase<D, Ix2>, T, Error> for ValidParams<OneVsRest>
{
    type Object = MultiLabelModel;

    /// Every target is 0 or 1.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<MultiLabelModel, Error> {
        let targets = dataset.targets.as_targets().to_owned();
        self.solve(&LossTask { rows: &dataset.records, loss: OneVsRest::loss(&targets), sets: &sets(dataset) })
    }
}

impl<F: Float + Into<f64>, D: Data<Elem = F> + Sync, T: AsTargets<Elem = f64, Ix = Ix2>>
    Fit<ArrayBase<D, Ix2>, T, Error> for ValidParams<SquaredError>
{
    type Object = RidgeModel;

    /// Every target is a finite number.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<RidgeModel, Error> {
        let targets = dataset.targets.as_targets().to_owned();
        self.solve(&LossTask { rows: &dataset.records, loss: SquaredError::loss(&targets), sets: &sets(dataset) })
    }
}

impl<L: OfClasses, F: Float + Into<f64>, D: Data<Elem = F>> PredictInplace<ArrayBase<D, Ix2>, Array1<usize>>
    for Model<L>
{
    fn predict_inplace(&self, rows: &ArrayBase<D, Ix2>, target: &mut Array1<usize>) {
        assert_eq!(target.len(), rows.nrows(), "a class for each row");
        target.iter_mut().zip(self.scores(rows).outer_iter()).for_each(|(class, scores)| *class = highest(scores));
    }

    fn default_target(&self, rows: &ArrayBase<D, Ix2>) -> Array1<usize> {
        Array1::zeros(rows.nrows())
    }
}

impl<L: OfNumbers, F: Float + Into<f64>, D: Data<Elem = F>> PredictInplace<ArrayBase<D, Ix2>, Array2<f64>>
    for Model<L>
{
    fn predict_inplace(&self, rows: &ArrayBase<D, Ix2>, target: &mut Array2<f64>) {
        let predicted = self.scores(rows).mapv(L::prediction);
        assert_eq!(target.dim(), predicted.dim(), "a number for each row and output");
        target.assign(&predicted);
    }

    fn default_target(&self, rows: &ArrayBase<D, Ix2>) -> Array2<f64> {
        Array2::zeros((rows.nrows(), self.solution.intercept.len()))
    }
}

/// The class of the highest score, the first of equals; of one score, class 1 where it is above 0.
fn highest(scores: ArrayView1<'_, f64>) -> usize {
    match scores.len() {
        1 => usize::from(scores[0] > 0.0),
        count => (1..count).fold(0, |best, class| if scores[class] > scores[best] { class } else { best }),
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
    fn hinges_predict_classes_of_f32_records() {
        let rows = array![[0.0f32], [1.0], [5.0], [6.0], [10.0], [11.0]];
        let dataset = DatasetBase::new(rows, array![0, 0, 0, 1, 1, 1]);
        let model = HingeParams::new(10.0).fit(&dataset).unwrap();
        assert_eq!(model.predict(&dataset.records), dataset.targets);
    }

    #[test]
    fn balanced_classes_move_the_boundary_to_the_larger_one() {
        let rows = Array2::from_shape_fn((40, 1), |(row, _)| row as f64 % 7.0 + if row < 4 { 2.0 } else { 0.0 });
        let dataset = DatasetBase::new(rows, Array1::from_shape_fn(40, |row| usize::from(row < 4)));
        let small = |params: LogisticParams| params.fit(&dataset).unwrap().predict(&dataset.records).sum();
        assert!(small(LogisticParams::new(1.0).balanced()) > small(LogisticParams::new(1.0)));
    }

    #[test]
    fn ridge_predicts_numbers_and_labels_are_told_one_by_one() {
        let rows = array![[0.0], [1.0], [2.0], [3.0]];
        let numbers = array![[1.0, 0.0], [3.0, -1.0], [5.0, -2.0], [7.0, -3.0]];
        let ridge = RidgeParams::new(1e6).fit(&DatasetBase::new(rows.clone(), numbers.clone())).unwrap();
        let gap: Array2<f64> = ridge.predict(&rows) - &numbers;
        assert!(gap.iter().all(|gap| gap.abs() < 1e-4), "{gap}");
        let labels = array![[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]];
        let model = MultiLabelParams::new(1e3).fit(&DatasetBase::new(rows.clone(), labels.clone())).unwrap();
        assert_eq!(model.predict(&rows), labels);
        let refused = MultiLabelParams::new(1.0).fit(&DatasetBase::new(rows, numbers)).unwrap_err();
        assert!(matches!(refused, Error::NotALabel { row: 1, output: 0, .. }), "{refused}");
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

    /// ndarray would stretch one column to the five of the model, whose mean and scale it has.
    #[test]
    #[should_panic(expected = "as many columns as the model was fitted on")]
    fn rows_of_one_column_are_not_stretched() {
        let rows = Array2::from_shape_fn((20, 5), |(row, column)| ((row * 7 + column * 5) % 11) as f64);
        let dataset = DatasetBase::new(rows, Array1::from_shape_fn(20, |row| row % 2));
        let model = LogisticParams::new(1.0).fit(&dataset).unwrap();
        let _: Array1<usize> = model.predict(&array![[1.0], [2.0]]);
    }

    #[test]
    #[should_panic(expected = "a class for each row")]
    fn targets_of_another_length_are_not_filled_in_part() {
        let dataset = DatasetBase::new(array![[0.0], [1.0], [5.0], [6.0]], array![0, 0, 1, 1]);
        let model = LogisticParams::new(1.0).fit(&dataset).unwrap();
        model.predict_inplace(&dataset.records, &mut Array1::zeros(5));
    }

    #[test]
    fn numbers_that_are_no_classes_are_refused() {
        for id in [20_240_131_120_000, usize::MAX] {
            let dataset = DatasetBase::new(array![[0.0], [1.0], [5.0], [6.0]], array![0, 0, id, id]);
            let error = LogisticParams::new(1.0).fit(&dataset).unwrap_err();
            assert!(matches!(error, Error::FewRows { rows: 4, .. }), "{error}");
        }
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

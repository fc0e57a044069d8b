//! What the rows are fitted to: a loss with the targets that it needs, so that no loss can be given targets of another kind.
//!
//! Checked once, here; everything behind this file trusts it.

use std::borrow::Cow;

use ndarray::{Array2, ArrayView2};

use crate::Error;
use crate::loss::{Aims, Shape};

/// The loss of a row, with the targets of all rows. `s` are the row's scores `[outputs]`, the sum runs over its outputs.
#[derive(Debug, Clone, Copy)]
pub enum Loss<'a> {
    /// Cross-entropy of classes that exclude each other: `ln(1 + e^(∓s))` of one output for two classes, minus for class 1;
    /// `ln Σ e^(sₖ) − s_class` of one output for each of more (scikit-learn's `LogisticRegression`).
    Logistic(Classes<'a>),
    /// Cross-entropy of labels that do not exclude each other, each a regression of its own: `Σ ln(1 + e^(∓sₖ))`, minus
    /// where the target is 1. Targets `[rows, outputs]`, each 0 or 1.
    OneVsRest(ArrayView2<'a, f64>),
    /// Squared hinge of each class against the rest: `Σ max(0, 1 − yₖ sₖ)²` with `yₖ` 1 for the row's own class and −1 for
    /// others; one output for two classes, with `y` 1 for class 1 (scikit-learn's `LinearSVC`, which however penalises the
    /// intercept unless `intercept_scaling` is large, and with several classes weights the rest by no class weight).
    SquaredHinge(Classes<'a>),
    /// Half the squared error: `Σ ½ (sₖ − yₖ)²`; twice the objective is that of scikit-learn's `Ridge`, with `alpha = 1 / C`.
    /// Targets `y [rows, outputs]`, in any unit.
    SquaredError(ArrayView2<'a, f64>),
}

/// Classes that exclude each other.
#[derive(Debug, Clone, Copy)]
pub struct Classes<'a> {
    /// Class of each row `[rows]`, from 0 to `count − 1`.
    pub labels: &'a [usize],
    /// Number of classes, at least 2 and at most as many as rows.
    pub count: usize,
    /// How much each class counts.
    pub weights: ClassWeights<'a>,
}

/// Factors on the row weights of a loss, one for each class. Means and scales of the features are taken without them, as by
/// a scaler that goes before a weighted regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClassWeights<'a> {
    /// 1 for each class.
    Equal,
    /// `n / (K · nₖ)` for class `k` of `K`, in each training set its own: `nₖ` the weight of its rows in the set and `n` that
    /// of all (King and Zeng, "Logistic regression in rare events data", 2001; scikit-learn's `class_weight="balanced"`).
    Balanced,
    /// These factors `[classes]`, each above 0.
    Given(&'a [f64]),
}

impl<'a> Loss<'a> {
    /// One output tells two classes apart, more classes have one each; otherwise the columns of the targets.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Logistic(Classes { count: 2, .. }) | Self::SquaredHinge(Classes { count: 2, .. }) => 1,
            Self::Logistic(classes) | Self::SquaredHinge(classes) => classes.count,
            Self::OneVsRest(targets) | Self::SquaredError(targets) => targets.ncols(),
        }
    }

    /// The side of each row `[rows, outputs]` where the loss takes classes one against the rest: 1 for the output's own class,
    /// 0 for others.
    pub(crate) fn sides(&self) -> Option<Array2<f64>> {
        let Self::SquaredHinge(classes) = self else { return None };
        let own = |output: usize| if classes.count == 2 { 1 } else { output };
        let side = |(row, output)| if classes.labels[row] == own(output) { 1.0 } else { 0.0 };
        Some(Array2::from_shape_fn((classes.labels.len(), self.outputs()), side))
    }

    /// The same for the numerics; `sides` are [`Loss::sides`].
    pub(crate) fn aims<'b>(&'b self, sides: Option<&'b Array2<f64>>) -> Aims<'b> {
        match self {
            Self::Logistic(classes) => Aims::Class(classes.labels),
            Self::OneVsRest(targets) => Aims::Outputs(Shape::Logistic, targets.view()),
            Self::SquaredHinge(_) => {
                Aims::Outputs(Shape::SquaredHinge, sides.expect("a hinge has its sides computed").view())
            }
            Self::SquaredError(targets) => Aims::Outputs(Shape::SquaredError, targets.view()),
        }
    }

    /// Row weights times class weights `[rows]`.
    pub(crate) fn weighted<'b>(&self, weights: &'b [f64]) -> Cow<'b, [f64]> {
        match self {
            Self::Logistic(classes) | Self::SquaredHinge(classes) => classes.weighted(weights),
            Self::OneVsRest(_) | Self::SquaredError(_) => Cow::Borrowed(weights),
        }
    }

    /// Checks the targets of all rows.
    pub(crate) fn check(&self, rows: usize) -> Result<(), Error> {
        match self {
            Self::Logistic(classes) | Self::SquaredHinge(classes) => classes.check(rows),
            Self::OneVsRest(targets) => {
                check_targets(*targets, rows)?;
                match targets.indexed_iter().find(|&(_, &value)| value != 0.0 && value != 1.0) {
                    Some(((row, output), &value)) => Err(Error::NotALabel { row, output, value }),
                    None => Ok(()),
                }
            }
            Self::SquaredError(targets) => check_targets(*targets, rows),
        }
    }

    /// Checks that a training set, of weights checked, says enough for a minimum.
    pub(crate) fn check_set(&self, set: usize, weights: &[f64]) -> Result<(), Error> {
        match self {
            Self::Logistic(classes) | Self::SquaredHinge(classes) => {
                match classes.totals(weights).iter().position(|&total| total == 0.0) {
                    Some(class) => Err(Error::NoRowOfClass { set, class }),
                    None => Ok(()),
                }
            }
            Self::OneVsRest(targets) => {
                let lacks = |output: usize, side: f64| {
                    !targets.column(output).iter().zip(weights).any(|(&value, &weight)| value == side && weight > 0.0)
                };
                let places = (0..targets.ncols()).flat_map(|output| [(output, 0u8), (output, 1)]);
                match places.into_iter().find(|&(output, side)| lacks(output, side.into())) {
                    Some((output, missing)) => Err(Error::OneSided { set, output, side: 1 - missing }),
                    None => Ok(()),
                }
            }
            Self::SquaredError(_) => Ok(()),
        }
    }
}

impl Classes<'_> {
    fn weighted<'b>(&self, weights: &'b [f64]) -> Cow<'b, [f64]> {
        let factors = match self.weights {
            ClassWeights::Equal => return Cow::Borrowed(weights),
            ClassWeights::Given(factors) => Cow::Borrowed(factors),
            ClassWeights::Balanced => Cow::Owned(self.balance(weights)),
        };
        self.labels.iter().zip(weights).map(|(&class, &weight)| factors[class] * weight).collect()
    }

    /// `n / (K · nₖ)` of each class `[classes]`.
    fn balance(&self, weights: &[f64]) -> Vec<f64> {
        let totals = self.totals(weights);
        let (all, count) = (totals.iter().sum::<f64>(), self.count as f64);
        totals.iter().map(|total| all / (count * total)).collect()
    }

    /// Weight of all rows of each class `[classes]`.
    fn totals(&self, weights: &[f64]) -> Vec<f64> {
        let mut totals = vec![0.0; self.count];
        self.labels.iter().zip(weights).for_each(|(&class, weight)| totals[class] += weight);
        totals
    }

    fn check(&self, rows: usize) -> Result<(), Error> {
        let (labels, classes) = (self.labels.len(), self.count);
        if labels != rows {
            return Err(Error::LabelCount { rows, labels });
        }
        if classes < 2 {
            return Err(Error::FewClasses { classes });
        }
        if classes > rows {
            return Err(Error::FewRows { rows, classes });
        }
        if let Some((row, &class)) = self.labels.iter().enumerate().find(|&(_, &class)| class >= classes) {
            return Err(Error::ClassOutOfRange { row, class, classes });
        }
        let ClassWeights::Given(factors) = self.weights else { return Ok(()) };
        if factors.len() != classes {
            return Err(Error::ClassWeightCount { classes, weights: factors.len() });
        }
        match factors.iter().enumerate().find(|(_, factor)| !(factor.is_finite() && **factor > 0.0)) {
            Some((class, &weight)) => Err(Error::BadClassWeight { class, weight }),
            None => Ok(()),
        }
    }
}

fn check_targets(targets: ArrayView2<'_, f64>, rows: usize) -> Result<(), Error> {
    let (labels, outputs) = targets.dim();
    if labels != rows {
        return Err(Error::LabelCount { rows, labels });
    }
    if outputs == 0 {
        return Err(Error::NoOutputs);
    }
    match targets.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, output), &value)) => Err(Error::BadTarget { row, output, value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weights: ClassWeights<'_>, expected: &[f64]) {
        let classes = Classes { labels: &[0, 0, 1, 0, 2], count: 3, weights };
        assert_eq!(&*classes.weighted(&[1.0, 2.0, 0.5, 0.0, 2.5]), expected);
    }

    #[test]
    fn balanced_classes_weigh_the_same_in_the_set() {
        check(ClassWeights::Equal, &[1.0, 2.0, 0.5, 0.0, 2.5]);
        check(ClassWeights::Balanced, &[2.0 / 3.0, 4.0 / 3.0, 2.0, 0.0, 2.0]);
        check(ClassWeights::Given(&[1.0, 4.0, 0.5]), &[1.0, 2.0, 2.0, 0.0, 1.25]);
    }

    #[test]
    fn a_side_is_taken_for_each_class_or_for_class_1_of_two() {
        let sides = |labels, count| {
            Loss::SquaredHinge(Classes { labels, count, weights: ClassWeights::Equal }).sides().expect("sides")
        };
        assert_eq!(sides(&[0, 1], 2), ndarray::array![[0.0], [1.0]]);
        assert_eq!(sides(&[2, 0], 3), ndarray::array![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    }
}

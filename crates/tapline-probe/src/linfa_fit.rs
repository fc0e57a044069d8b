//! The solver: linfa's logistic regression, asked to move weights and intercept towards the minimum.
//!
//! The one file that knows linfa. It promises nothing about the point it returns; [`fit`](crate::fit()) judges that.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_logistic::{LogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};

/// What to minimise: `Σ loss + alpha / 2 · ‖weights‖²` over standardised rows.
pub(crate) struct Task<'a> {
    /// Standardised features `[rows, columns]`, column-major.
    pub(crate) rows: ArrayView2<'a, f64>,
    /// Class of each row `[rows]`; every class has a row.
    pub(crate) labels: &'a [usize],
    /// Weight of the penalty: 1 / C.
    pub(crate) alpha: f64,
}

/// Where a solver stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// Weights `[columns, outputs]`.
    pub(crate) weights: Array2<f64>,
    /// Intercept `[outputs]`.
    pub(crate) intercept: Array1<f64>,
}

/// When a solver stops.
pub(crate) struct Stop {
    /// Euclidean norm of the gradient over weights and intercept, in nats per unit.
    pub(crate) gradient_norm: f64,
    /// Iterations at most.
    pub(crate) iterations: u64,
}

/// A point nearer to the minimum than `start`, or why there is none.
///
/// linfa forgets how it ended, reports some failures of its line search as success, and panics on others: a panic is
/// caught and comes back as text.
pub(crate) fn minimise(task: &Task<'_>, start: &Point, stop: &Stop) -> Result<Point, String> {
    let solve = if start.intercept.len() == 1 { minimise_two_classes } else { minimise_many_classes };
    catch_unwind(AssertUnwindSafe(|| solve(task, start, stop))).unwrap_or_else(|panic| Err(panic_text(&*panic)))
}

fn minimise_two_classes(task: &Task<'_>, start: &Point, stop: &Stop) -> Result<Point, String> {
    let positive = linfa_positive_class(task.labels);
    let sign = if positive == 1 { 1.0 } else { -1.0 };
    let stacked = concatenate![Axis(0), start.weights.column(0), start.intercept.view()] * sign;
    let fitted = LogisticRegression::default()
        .alpha(task.alpha)
        .max_iterations(stop.iterations)
        .gradient_tolerance(stop.gradient_norm)
        .initial_params(stacked)
        .fit(&DatasetBase::new(task.rows, Array1::from(task.labels.to_vec())))
        .map_err(|error| error.to_string())?;
    let sign = if fitted.labels().pos.class == 1 { 1.0 } else { -1.0 };
    Ok(Point {
        weights: (fitted.params() * sign).insert_axis(Axis(1)),
        intercept: Array1::from(vec![fitted.intercept() * sign]),
    })
}

fn minimise_many_classes(task: &Task<'_>, start: &Point, stop: &Stop) -> Result<Point, String> {
    let mut stacked = Array2::zeros((start.weights.nrows() + 1, start.intercept.len()));
    stacked.slice_mut(s![..-1, ..]).assign(&start.weights);
    stacked.slice_mut(s![-1, ..]).assign(&start.intercept);
    let fitted = MultiLogisticRegression::default()
        .alpha(task.alpha)
        .max_iterations(stop.iterations)
        .gradient_tolerance(stop.gradient_norm)
        .initial_params(stacked)
        .fit(&DatasetBase::new(task.rows, Array1::from(task.labels.to_vec())))
        .map_err(|error| error.to_string())?;
    Ok(Point { weights: fitted.params().clone(), intercept: fitted.intercept().clone() })
}

/// The class linfa calls positive: the larger one, of equals the one seen first.
fn linfa_positive_class(labels: &[usize]) -> usize {
    let ones = labels.iter().filter(|&&label| label == 1).count();
    match (2 * ones).cmp(&labels.len()) {
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => labels[0],
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the solver panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn check(labels: &[usize]) {
        let rows = array![[-2.0], [-1.0], [1.0], [2.0], [3.0]];
        let task = Task { rows: rows.slice(s![..labels.len(), ..]), labels, alpha: 1.0 };
        let start = Point { weights: array![[0.3]], intercept: array![0.1] };
        let untouched = minimise(&task, &start, &Stop { gradient_norm: 1e-9, iterations: 0 }).unwrap();
        assert_eq!(untouched, start, "the start must come back with its own sign");
        let moved = minimise(&task, &start, &Stop { gradient_norm: 1e-9, iterations: 50 }).unwrap();
        assert_eq!(moved.weights[[0, 0]] > 0.0, labels.last() == Some(&1));
    }

    #[test]
    fn class_1_is_positive_whichever_class_is_larger_or_comes_first() {
        check(&[0, 0, 1, 1, 1]);
        check(&[1, 1, 0, 0, 0]);
        check(&[0, 0, 0, 1, 1]);
        check(&[1, 1, 1, 0, 0]);
        check(&[0, 0, 1, 1]);
        check(&[1, 1, 0, 0]);
    }

    #[test]
    fn a_refusal_comes_back_as_text() {
        let rows = array![[f64::NAN], [1.0]];
        let task = Task { rows: rows.view(), labels: &[0, 1], alpha: 1.0 };
        let start = Point { weights: array![[0.0]], intercept: array![0.0] };
        assert!(minimise(&task, &start, &Stop { gradient_norm: 1e-9, iterations: 5 }).is_err());
    }
}

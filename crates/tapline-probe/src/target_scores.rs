//! Scores of labels that do not exclude each other, and of numbers, with intervals by resampling rows or groups.

use ndarray::{ArrayView1, ArrayView2, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bootstrap::weighted_interval;
use crate::loss::label_loss;
use crate::ranking::{Ranked, ranked, weighted_precision};

/// How well rows' labels were predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelScores {
    /// Mean average precision of the labels that some row has, from 0 to 1 (scikit-learn's `average_precision_score` with
    /// `average="macro"`); none where no row has any.
    pub mean_average_precision: Option<f64>,
    /// F1 of all labels of all rows together, `2 tp / (2 tp + fp + fn)` where labels more probable than not are predicted, from 0 to
    /// 1; none where none is there or predicted.
    pub micro_f1: Option<f64>,
    /// Mean F1 of the labels that some row has; none where no row has any.
    pub macro_f1: Option<f64>,
    /// Mean over rows and labels of `−ln p` of what the row has, in nats.
    pub log_loss: f64,
    /// Each label by itself `[labels]`.
    pub labels: Vec<LabelScore>,
}

/// How well one label was predicted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LabelScore {
    /// Rows scored that have it.
    pub positives: usize,
    /// Average precision, from 0 to 1; none where no row has it.
    pub average_precision: Option<f64>,
    /// F1, from 0 to 1; none where no row has it.
    pub f1: Option<f64>,
}

/// How well numbers were predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberScores {
    /// Mean R² of the targets that vary, 1 at best (scikit-learn's `r2_score`, `multioutput="uniform_average"`); none where none
    /// varies.
    pub r2: Option<f64>,
    /// Median over rows of the cosine of the predicted and the true vector, as they are, from −1 to 1, rows of zeros left out; none
    /// of one target.
    pub median_cosine: Option<f64>,
    /// Each target by itself `[targets]`.
    pub targets: Vec<NumberScore>,
}

/// How well one target was predicted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NumberScore {
    /// `R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)²`; none where the target is the same in all rows scored.
    pub r2: Option<f64>,
    /// Mean of `|y − ŷ|`, in the target's unit.
    pub mean_absolute_error: f64,
    /// `√ mean (y − ŷ)²`, in the target's unit.
    pub root_mean_squared_error: f64,
}

/// Scores of log-odds `[rows, labels]` for labels `[rows, labels]`, each 0 or 1.
///
/// # Panics
/// If they differ in shape.
pub fn label_scores(truth: ArrayView2<'_, f64>, log_odds: ArrayView2<'_, f64>) -> LabelScores {
    let counts: Vec<Counts> =
        truth.columns().into_iter().zip(log_odds.columns()).map(|(truth, odds)| Counts::of(truth, odds)).collect();
    let weights = vec![1.0; truth.nrows()];
    let score = |(counts, order): (&Counts, &Vec<Ranked>)| LabelScore {
        positives: counts.inside,
        average_precision: weighted_precision(order, &weights),
        f1: (counts.inside > 0).then(|| counts.f1()),
    };
    let labels: Vec<LabelScore> = counts.iter().zip(&orders(truth, log_odds)).map(score).collect();
    let all = counts.iter().fold(Counts::default(), |sum, counts| sum.plus(counts));
    let losses = Zip::from(truth).and(log_odds).fold(0.0, |sum, &side, &odds| sum + label_loss(odds, side == 1.0));
    LabelScores {
        mean_average_precision: mean(labels.iter().map(|label| label.average_precision)),
        micro_f1: (all.inside + all.predicted > 0).then(|| all.f1()),
        macro_f1: mean(labels.iter().map(|label| label.f1)),
        log_loss: losses / truth.len() as f64,
        labels,
    }
}

/// Scores of predictions `[rows, targets]` of numbers `[rows, targets]`.
///
/// # Panics
/// If they differ in shape.
pub fn number_scores(truth: ArrayView2<'_, f64>, predicted: ArrayView2<'_, f64>) -> NumberScores {
    assert_eq!(truth.dim(), predicted.dim(), "a prediction for each number");
    let weights = vec![1.0; truth.nrows()];
    let score = |(truth, predicted): (ArrayView1<'_, f64>, ArrayView1<'_, f64>)| {
        let errors = &truth - &predicted;
        let count = errors.len() as f64;
        NumberScore {
            r2: weighted_r2(truth, predicted, &weights),
            mean_absolute_error: errors.iter().map(|error| error.abs()).sum::<f64>() / count,
            root_mean_squared_error: (errors.iter().map(|error| error * error).sum::<f64>() / count).sqrt(),
        }
    };
    let targets: Vec<NumberScore> = truth.columns().into_iter().zip(predicted.columns()).map(score).collect();
    let cosines = || truth.outer_iter().zip(predicted.outer_iter()).filter_map(|(a, b)| cosine(a, b)).collect();
    NumberScores {
        r2: mean(targets.iter().map(|target| target.r2)),
        median_cosine: if truth.ncols() > 1 { median(cosines()) } else { None },
        targets,
    }
}

/// 95 % interval of [`LabelScores::mean_average_precision`], were the `units [rows]` that rows belong to independent draws: the
/// percentiles of 2,000 resamples of them by `seed`. None for one unit.
///
/// # Panics
/// If shapes or lengths differ.
pub fn mean_average_precision_interval(
    truth: ArrayView2<'_, f64>,
    log_odds: ArrayView2<'_, f64>,
    (units, seed): (&[usize], u64),
) -> Option<(f64, f64)> {
    assert_eq!(
        (truth.dim(), truth.nrows()),
        (log_odds.dim(), units.len()),
        "log-odds for each label, a unit for each row"
    );
    let orders = orders(truth, log_odds);
    weighted_interval(units, seed, |weights| mean(orders.iter().map(|order| weighted_precision(order, weights))))
}

/// The same of [`NumberScores::r2`].
///
/// # Panics
/// If shapes or lengths differ.
pub fn r2_interval(
    truth: ArrayView2<'_, f64>,
    predicted: ArrayView2<'_, f64>,
    (units, seed): (&[usize], u64),
) -> Option<(f64, f64)> {
    assert_eq!(
        (truth.dim(), truth.nrows()),
        (predicted.dim(), units.len()),
        "a prediction for each number, a unit for each row"
    );
    let columns = || truth.columns().into_iter().zip(predicted.columns());
    weighted_interval(units, seed, |weights| {
        mean(columns().map(|(truth, predicted)| weighted_r2(truth, predicted, weights)))
    })
}

/// Rows that have a label, that were predicted to, and both.
#[derive(Default)]
struct Counts {
    inside: usize,
    predicted: usize,
    both: usize,
}

impl Counts {
    fn of(truth: ArrayView1<'_, f64>, log_odds: ArrayView1<'_, f64>) -> Self {
        truth.iter().zip(log_odds).fold(Self::default(), |sum, (&side, &odds)| {
            let (inside, predicted) = (usize::from(side == 1.0), usize::from(odds > 0.0));
            sum.plus(&Self { inside, predicted, both: inside * predicted })
        })
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            inside: self.inside + other.inside,
            predicted: self.predicted + other.predicted,
            both: self.both + other.both,
        }
    }

    fn f1(&self) -> f64 {
        2.0 * self.both as f64 / (self.inside + self.predicted) as f64
    }
}

/// The rows in the order of each label's log-odds `[labels][rows]`.
fn orders(truth: ArrayView2<'_, f64>, log_odds: ArrayView2<'_, f64>) -> Vec<Vec<Ranked>> {
    assert_eq!(truth.dim(), log_odds.dim(), "a prediction for each label");
    let of_label = |label: usize| {
        ranked(log_odds.column(label).iter().zip(truth.column(label)).map(|(&odds, &side)| (odds, side == 1.0)))
    };
    (0..truth.ncols()).into_par_iter().map(of_label).collect()
}

/// R² of rows that count with `weights [rows]`; none where the truth does not vary among those that count.
fn weighted_r2(truth: ArrayView1<'_, f64>, predicted: ArrayView1<'_, f64>, weights: &[f64]) -> Option<f64> {
    let counted = || truth.iter().zip(predicted).zip(weights).filter(|(_, weight)| **weight > 0.0);
    let ((&first, _), _) = counted().next()?;
    if counted().all(|((&truth, _), _)| truth == first) {
        return None;
    }
    let mean = counted().map(|((truth, _), weight)| weight * truth).sum::<f64>() / weights.iter().sum::<f64>();
    let (errors, deviations) = counted().fold((0.0, 0.0), |(errors, deviations), ((truth, predicted), weight)| {
        (errors + weight * (truth - predicted).powi(2), deviations + weight * (truth - mean).powi(2))
    });
    Some(1.0 - errors / deviations)
}

/// Mean of what there is.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn cosine(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> Option<f64> {
    let length = |vector: ArrayView1<'_, f64>| vector.dot(&vector).sqrt();
    let product = length(a) * length(b);
    (product > 0.0).then(|| a.dot(&b) / product)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn a_label_that_no_row_has_is_left_out() {
        let truth = array![[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]];
        let found = label_scores(truth.view(), array![[2.0, -1.0], [1.0, -2.0], [-3.0, 4.0]].view());
        assert_eq!(found.labels[1], LabelScore { positives: 0, average_precision: None, f1: None });
        assert_eq!(found.mean_average_precision, Some((1.0 + 2.0 / 3.0) / 2.0));
        assert_eq!((found.macro_f1, found.micro_f1), (Some(0.5), Some(0.4)));
    }

    #[test]
    fn a_target_that_does_not_vary_is_left_out() {
        let truth = array![[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]];
        let found = number_scores(truth.view(), array![[1.0, 4.0], [2.0, 5.0], [4.0, 6.0]].view());
        assert_eq!((found.targets[0].r2, found.targets[1].r2, found.r2), (Some(0.5), None, Some(0.5)));
        assert_eq!(found.targets[1].mean_absolute_error, 2.0 / 3.0);
        assert_eq!(number_scores(array![[1.0]].view(), array![[1.0]].view()).r2, None);
    }

    /// The interval for given units.
    type Interval<'a> = &'a dyn Fn(&[usize]) -> Option<(f64, f64)>;

    #[test]
    fn intervals_hold_the_score_and_widen_with_groups() {
        let truth = Array2::from_shape_fn((200, 2), |(row, target)| f64::from(u8::from((row / 10 + target) % 3 == 0)));
        let noise = |row: usize, target: usize| ((row / 10 * 37 + target * 11 + row % 2) % 17) as f64 / 17.0;
        let predicted =
            Array2::from_shape_fn((200, 2), |(row, target)| truth[[row, target]] + 2.0 * noise(row, target));
        let (alone, grouped): (Vec<usize>, Vec<usize>) = ((0..200).collect(), (0..200).map(|row| row / 10).collect());
        let check = |score: Option<f64>, interval: Interval<'_>| {
            let (score, rows, groups) = (score.unwrap(), interval(&alone).unwrap(), interval(&grouped).unwrap());
            assert!(rows.0 < score && score < rows.1, "{score} {rows:?}");
            assert!(groups.1 - groups.0 > 1.5 * (rows.1 - rows.0), "{rows:?} {groups:?}");
            assert_eq!(interval(&[3; 200]), None);
        };
        let (truth, predicted) = (truth.view(), predicted.view());
        check(label_scores(truth, predicted).mean_average_precision, &|units| {
            mean_average_precision_interval(truth, predicted, (units, 1))
        });
        check(number_scores(truth, predicted).r2, &|units| r2_interval(truth, predicted, (units, 1)));
    }
}

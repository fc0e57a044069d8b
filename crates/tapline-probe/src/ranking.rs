//! How well scores rank rows and classes, whatever the threshold.

use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

/// Classes that `scores [outputs]` put ahead of `label`: of equals, those with a lower number.
///
/// One output is the log-odds of class 1. A row is right among the top `k` where fewer than `k` are ahead.
pub fn classes_ahead<T: Copy + Into<f64>>(scores: ArrayView1<'_, T>, label: usize) -> usize {
    if scores.len() == 1 {
        return usize::from((scores[0].into() > 0.0) != (label == 1));
    }
    let own: f64 = scores[label].into();
    let ahead = |&(class, score): &(usize, f64)| score > own || (score == own && class < label);
    scores.iter().map(|&score| score.into()).enumerate().filter(ahead).count()
}

/// Area under the receiver operating characteristic, from 0 to 1, of `scores [rows, outputs]` for their classes `[rows]`.
///
/// The share of pairs of a row inside and a row outside a class whose scores for it are in this order, ties counted half
/// (Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve", 1982).
/// With one output that of class 1; with several the mean over the classes, each against the rest (scikit-learn's
/// `roc_auc_score` with `multi_class="ovr"`), classes without rows inside or outside left out. None where none is left.
///
/// # Panics
/// If rows and labels differ in number.
pub fn auroc(scores: ArrayView2<'_, f32>, labels: &[usize]) -> Option<f64> {
    over_outputs(scores, labels, area)
}

/// The mean over the outputs of what `one` makes of an output's scores, each with whether its row is inside the class;
/// outputs of which it makes nothing are left out.
fn over_outputs(
    scores: ArrayView2<'_, f32>,
    labels: &[usize],
    one: fn(Vec<(f32, bool)>) -> Option<f64>,
) -> Option<f64> {
    assert_eq!(scores.nrows(), labels.len(), "one label for each row");
    let of_output = |output: usize| {
        let class = if scores.ncols() == 1 { 1 } else { output };
        one(scores.column(output).iter().zip(labels).map(|(&score, &label)| (score, label == class)).collect())
    };
    let found: Vec<f64> = (0..scores.ncols()).into_par_iter().filter_map(of_output).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

/// `(R − m(m + 1) / 2) / (m n)`, with `R` the sum of the mid-ranks of the `m` rows inside and `n` outside.
fn area(mut order: Vec<(f32, bool)>) -> Option<f64> {
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut before) = (0.0, 0);
    for equals in order.chunk_by(|a, b| a.0 == b.0) {
        let rank = before as f64 + (equals.len() + 1) as f64 / 2.0;
        rank_sum += rank * equals.iter().filter(|(_, inside)| *inside).count() as f64;
        before += equals.len();
    }
    let m = order.iter().filter(|(_, inside)| *inside).count() as f64;
    let n = order.len() as f64 - m;
    (m > 0.0 && n > 0.0).then(|| (rank_sum - m * (m + 1.0) / 2.0) / (m * n))
}

/// Average precision, from 0 to 1, of `scores [rows, outputs]` for their classes `[rows]`.
///
/// `Σ (Rₙ − Rₙ₋₁) Pₙ` over the thresholds, `P` precision and `R` recall of the rows scored at least as high (Zhu, "Recall,
/// precision and average precision", 2004; scikit-learn's `average_precision_score`). With one output that of class 1; with
/// several the mean over the classes, each against the rest, classes without rows left out. None where none is left.
///
/// # Panics
/// If rows and labels differ in number.
pub fn average_precision(scores: ArrayView2<'_, f32>, labels: &[usize]) -> Option<f64> {
    over_outputs(scores, labels, precision)
}

/// Average precision of one output.
fn precision(order: Vec<(f32, bool)>) -> Option<f64> {
    let weights = vec![1.0; order.len()];
    weighted_precision(&ranked(order.into_iter().map(|(score, inside)| (f64::from(score), inside))), &weights)
}

/// A row among others.
pub(crate) struct Ranked {
    row: usize,
    score: f64,
    inside: bool,
}

/// Rows, each given by its score for a class and whether it is inside, from the highest score to the lowest.
pub(crate) fn ranked(rows: impl Iterator<Item = (f64, bool)>) -> Vec<Ranked> {
    let mut order: Vec<Ranked> = rows.enumerate().map(|(row, (score, inside))| Ranked { row, score, inside }).collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    order
}

/// Average precision of one output, each row counted with its weight `[rows]`; rows with equal scores share a threshold. None
/// where no row inside has any.
pub(crate) fn weighted_precision(order: &[Ranked], weights: &[f64]) -> Option<f64> {
    let (mut sum, mut above, mut right) = (0.0, 0.0, 0.0);
    for equals in order.chunk_by(|a, b| a.score == b.score) {
        let mut found = 0.0;
        for ranked in equals {
            above += weights[ranked.row];
            found += if ranked.inside { weights[ranked.row] } else { 0.0 };
        }
        if found > 0.0 {
            right += found;
            sum += found * right / above;
        }
    }
    (right > 0.0).then(|| sum / right)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_class_is_behind_those_with_higher_scores_and_earlier_equals() {
        let check = |label, ahead| assert_eq!(classes_ahead(array![2.0, 3.0, 2.0, 1.0].view(), label), ahead);
        check(0, 1);
        check(1, 0);
        check(2, 2);
        check(3, 3);
        assert_eq!([0, 1].map(|label| classes_ahead(array![0.0].view(), label)), [0, 1]);
    }

    #[test]
    fn ties_count_half() {
        assert_eq!(auroc(array![[0.0], [1.0], [1.0], [2.0]].view(), &[0, 0, 1, 1]), Some(0.875));
        assert_eq!(auroc(array![[0.5], [0.5]].view(), &[0, 1]), Some(0.5));
    }

    #[test]
    fn rows_of_one_class_have_no_area() {
        assert_eq!(auroc(array![[0.5], [0.7]].view(), &[1, 1]), None);
    }
}

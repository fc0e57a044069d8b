//! Scores as counts first: how many rows were right, out of how many, and what else that may mean.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// The two-sided 95 % point of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Bins of the expected calibration error.
pub const CALIBRATION_BINS: usize = 15;

/// Rows predicted right, out of all rows scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Score {
    /// Rows whose class was predicted.
    pub correct: usize,
    /// Rows scored.
    pub total: usize,
}

impl Score {
    /// Share of rows predicted right, from 0 to 1; NaN without rows.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total as f64
    }

    /// 95 % interval `(low, high)` of the accuracy, from 0 to 1, were the rows independent draws.
    ///
    /// `(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)` with `z = 1.96` (Wilson, "Probable inference, the law of
    /// succession, and statistical inference", 1927). Without rows: `(0, 1)`.
    pub fn interval(&self) -> (f64, f64) {
        if self.total == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (self.total as f64, self.accuracy());
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let width = 1.0 + Z * Z / n;
        (((middle - half) / width).max(0.0), ((middle + half) / width).min(1.0))
    }
}

/// Counts of right and of all rows.
///
/// # Panics
/// If there are not as many predictions as labels.
pub fn score(labels: &[usize], predicted: &[usize]) -> Score {
    assert_eq!(labels.len(), predicted.len(), "a prediction for each label");
    let correct = labels.iter().zip(predicted).filter(|(label, predicted)| label == predicted).count();
    Score { correct, total: labels.len() }
}

/// How often rows of one class (row) were predicted to be another (column): counts `[classes, classes]`.
///
/// # Panics
/// If there are not as many predictions as labels, or one of either is no class.
pub fn confusion(labels: &[usize], predicted: &[usize], classes: usize) -> Array2<usize> {
    assert_eq!(labels.len(), predicted.len(), "a prediction for each label");
    let mut counts = Array2::zeros((classes, classes));
    labels.iter().zip(predicted).for_each(|(&label, &predicted)| counts[[label, predicted]] += 1);
    counts
}

/// Mean over the classes of the share of their rows predicted right, from 0 to 1, from counts `[classes, classes]`.
///
/// Classes without rows are left out (scikit-learn, `balanced_accuracy_score`; Brodersen et al., "The balanced accuracy
/// and its posterior distribution", 2010). NaN without rows.
pub fn balanced_accuracy(confusion: &Array2<usize>) -> f64 {
    let recall = |(class, row): (usize, ndarray::ArrayView1<'_, usize>)| match row.sum() {
        0 => None,
        rows => Some(row[class] as f64 / rows as f64),
    };
    let recalls: Vec<f64> = confusion.outer_iter().enumerate().filter_map(recall).collect();
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

/// Mean over the classes of `2 tp / (2 tp + fp + fn)`, from 0 to 1, from counts `[classes, classes]`.
///
/// Classes that are neither true nor predicted anywhere are left out (scikit-learn, `f1_score` with `average="macro"`).
/// NaN without rows.
pub fn macro_f1(confusion: &Array2<usize>) -> f64 {
    let of_class = |class: usize| {
        let seen = confusion.row(class).sum() + confusion.column(class).sum();
        (seen > 0).then(|| 2.0 * confusion[[class, class]] as f64 / seen as f64)
    };
    let scores: Vec<f64> = (0..confusion.nrows()).filter_map(of_class).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// Expected calibration error, from 0 to 1: how far the probabilities given to predictions are from the share that is right.
///
/// `Σ |bin| / n · |accuracy(bin) − mean probability(bin)|` over 15 bins `((m − 1) / 15, m / 15]` of equal width (Guo et al.,
/// "On calibration of modern neural networks", 2017, equation 3). NaN without rows.
///
/// # Panics
/// If the slices differ in length.
pub fn calibration_error(probability: &[f64], right: &[bool]) -> f64 {
    assert_eq!(probability.len(), right.len(), "one probability for each prediction");
    let mut gaps = [0.0; CALIBRATION_BINS];
    for (&probability, &right) in probability.iter().zip(right) {
        gaps[calibration_bin(probability)] += f64::from(u8::from(right)) - probability;
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / right.len() as f64
}

/// The bin that a probability falls into, from 0: bin m − 1 is `((m − 1) / 15, m / 15]`, and 0 is in the first.
pub fn calibration_bin(probability: f64) -> usize {
    ((probability * CALIBRATION_BINS as f64).ceil() as usize).clamp(1, CALIBRATION_BINS) - 1
}

/// Two-sided p of an exact sign test: how likely counts as uneven as `a` and `b` are, were each of `a + b` a coin's toss.
///
/// `min(1, 2 Σ_{i ≤ min(a, b)} C(n, i) / 2^n)` with `n = a + b` (McNemar's test in its exact form; McNemar, "Note on the
/// sampling error of the difference between correlated proportions or percentages", 1947). It takes the pictures for
/// independent, and knows nothing of how the two probes compared were picked.
pub fn sign_test(a: usize, b: usize) -> f64 {
    let n = a + b;
    // ln C(n, i), from ln C(n, 0) = 0 on: the terms themselves would leave the range of f64.
    let mut ln_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = ln_term.exp();
    for i in 0..a.min(b) {
        ln_term += ((n - i) as f64 / (i + 1) as f64).ln();
        tail += ln_term.exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn check_interval(correct: usize, total: usize, expected: (f64, f64)) {
        let (low, high) = Score { correct, total }.interval();
        assert!((low - expected.0).abs() < 1e-7 && (high - expected.1).abs() < 1e-7, "{low} {high}");
    }

    #[test]
    fn the_sign_test_is_the_exact_binomial_one() {
        // Reference: SciPy, binomtest(a, a + b, 0.5).pvalue.
        for (a, b, expected) in [
            (4, 1, 0.375),
            (0, 5, 0.0625),
            (133, 108, 0.121_930_993_371_137_47),
            (123, 77, 0.001_401_690_578_795_793_6),
            (1000, 1000, 1.0),
            (0, 0, 1.0),
        ] {
            assert!((sign_test(a, b) - expected).abs() < 1e-9, "{a} {b}: {}", sign_test(a, b));
        }
    }

    #[test]
    fn the_interval_is_wilsons() {
        // Reference: statsmodels, proportion_confint(correct, total, method="wilson").
        check_interval(28, 30, (0.786_765_4, 0.981_523_0));
        check_interval(0, 10, (0.0, 0.277_532_8));
        check_interval(10, 10, (0.722_467_2, 1.0));
        check_interval(0, 0, (0.0, 1.0));
    }

    #[test]
    fn balanced_accuracy_is_the_mean_recall_of_the_classes_present() {
        let counts = confusion(&[0, 0, 0, 0, 1, 1], &[0, 0, 0, 1, 1, 0], 3);
        assert_eq!(counts, array![[3, 1, 0], [1, 1, 0], [0, 0, 0]]);
        assert_eq!(balanced_accuracy(&counts), (0.75 + 0.5) / 2.0);
    }

    #[test]
    fn f1_leaves_out_classes_that_never_occur() {
        let counts = confusion(&[0, 0, 0, 1], &[0, 0, 1, 1], 3);
        assert_eq!(macro_f1(&counts), (0.8 + 2.0 / 3.0) / 2.0);
    }

    #[test]
    fn calibration_is_off_by_what_probabilities_promise_too_much() {
        assert!((calibration_error(&[0.95; 4], &[true, true, true, false]) - 0.2).abs() < 1e-12);
        // A bin too sure and one too unsure do not make up for each other.
        assert!((calibration_error(&[0.9, 0.6], &[false, true]) - (0.9 + 0.4) / 2.0).abs() < 1e-12);
        assert_eq!(calibration_error(&[1.0, 1.0], &[true, true]), 0.0);
    }

    #[test]
    fn a_score_counts_rows() {
        assert_eq!(score(&[0, 1, 1], &[0, 1, 0]), Score { correct: 2, total: 3 });
    }
}

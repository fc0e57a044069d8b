//! Scores as counts first: how many rows were right, out of how many, and what else that may mean.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// The two-sided 95 % point of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

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
pub fn score(labels: &[usize], predicted: &[usize]) -> Score {
    let correct = labels.iter().zip(predicted).filter(|(label, predicted)| label == predicted).count();
    Score { correct, total: labels.len() }
}

/// How often rows of one class (row) were predicted to be another (column): counts `[classes, classes]`.
///
/// # Panics
/// If a label or a prediction is no class.
pub fn confusion(labels: &[usize], predicted: &[usize], classes: usize) -> Array2<usize> {
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

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn check_interval(correct: usize, total: usize, expected: (f64, f64)) {
        let (low, high) = Score { correct, total }.interval();
        assert!((low - expected.0).abs() < 1e-7 && (high - expected.1).abs() < 1e-7, "{low} {high}");
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
    fn a_score_counts_rows() {
        assert_eq!(score(&[0, 1, 1], &[0, 1, 0]), Score { correct: 2, total: 3 });
    }
}

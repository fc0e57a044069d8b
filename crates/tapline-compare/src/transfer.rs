//! How well features may suit a task, ranked without training: LogME and H-score.
//!
//! Both take the features as they are stored `[n, d]`, f32, and compute in f64 in O(n d²) (or O(n² d), where that is less).
//! They rank layers; as figures they mean little, and rankings of layers of different width need care: both grow with d.

use ndarray::{Array2, ArrayView2};
use rand::seq::index::sample;
use rayon::prelude::*;

use crate::Error;
use crate::random::stream;
use crate::spectrum::{Columns, Spectrum, Table, check_finite};

/// Steps of the fixed point at most; a few suffice.
const STEPS: usize = 1000;
/// Relative change of `α / β` at which the fixed point is found.
const CHANGE: f64 = 1e-9;
/// Values of `α / β` tried before the fixed point, from 1e-9 to 1e9 of the mean squared singular value.
const STARTS: i32 = 37;
/// Least share of a target's square that the noise is taken to have: a perfect fit has no largest evidence.
const NOISE: f64 = 1e-12;

/// LogME of features `[n, d]` for classes `[n]`, in nats for each row: larger is better.
///
/// The mean over the classes of [`log_me_regression`] with 1 for the rows of the class and 0 for others (You, Liu, Wang and
/// Long, "LogME: practical assessment of pre-trained models for transfer learning", ICML 2021, section 4.3). Features are
/// neither centred nor scaled, as in the paper.
///
/// # Errors
/// For no rows or columns, features that are not finite, labels of another number, and rows of one class only.
pub fn log_me(rows: ArrayView2<'_, f32>, labels: &[usize]) -> Result<f64, Error> {
    let table = Table::new(rows, Columns::Raw)?;
    mean_evidence(&table, indicators(rows.nrows(), labels)?.view())
}

/// LogME of features `[n, d]` for numbers `[n, m]` to predict, in nats for each row: larger is better.
///
/// For each column y the largest evidence of a linear model with Gaussian weights (precision α) and noise (precision β),
/// `n/2 ln β + d/2 ln α − n/2 ln 2π − β/2 |F m − y|² − α/2 |m|² − 1/2 ln |A|`, `A = α I + β FᵀF`, `m = β A⁻¹ Fᵀ y`, divided
/// by n; then the mean over the columns (You et al. 2021, equation 2). α and β are the fixed point of `α = γ / |m|²`,
/// `β = (n − γ) / |F m − y|²`, `γ = Σ β σ² / (α + β σ²)` in the singular values σ of F (their algorithm 3), started at the
/// best of a grid, since there can be several. Unlike the authors' code, which adds 1e-5 to both denominators, the score does
/// not change with the unit of the features; and singular values of 0 count in ln |A|, where that code leaves them out.
/// The noise is taken to be at least 1e-12 of y's square: with a perfect fit the evidence would grow without end.
///
/// # Errors
/// For no rows, columns or targets, numbers that are not finite, targets of another number of rows, and a column of zeros.
pub fn log_me_regression(rows: ArrayView2<'_, f32>, targets: ArrayView2<'_, f64>) -> Result<f64, Error> {
    check_finite("targets", targets)?;
    if targets.nrows() != rows.nrows() {
        let (found, expected) = (targets.nrows(), rows.nrows());
        return Err(Error::Length { what: "rows of targets", found, of: "rows of features", expected });
    }
    if let Some(column) = targets.columns().into_iter().position(|column| column.iter().all(|value| *value == 0.0)) {
        return Err(Error::ZeroTarget { column });
    }
    mean_evidence(&Table::new(rows, Columns::Raw)?, targets)
}

fn mean_evidence(table: &Table<'_>, targets: ArrayView2<'_, f64>) -> Result<f64, Error> {
    let spectrum = table.spectrum(targets)?;
    if spectrum.squared.is_empty() {
        return Err(Error::ConstantFeatures { columns: table.dim().1 });
    }
    let evidences: Vec<f64> = (0..targets.ncols())
        .into_par_iter()
        .map(|column| largest_evidence(&Evidence::new(&spectrum, targets, column)))
        .collect();
    Ok(evidences.iter().sum::<f64>() / targets.ncols() as f64)
}

/// What the evidence of one target is made of.
struct Evidence<'a> {
    rows: f64,
    /// Squares of the singular values `[k]`.
    squared: &'a [f64],
    /// Squares of the target along the left singular vectors `[k]`.
    along: Vec<f64>,
    /// Square of the target outside their space.
    outside: f64,
    /// Square of the target.
    whole: f64,
}

impl<'a> Evidence<'a> {
    fn new(spectrum: &'a Spectrum, targets: ArrayView2<'_, f64>, column: usize) -> Self {
        let along: Vec<f64> = spectrum.along.column(column).iter().map(|value| value * value).collect();
        let whole: f64 = targets.column(column).iter().map(|value| value * value).sum();
        let outside = (whole - along.iter().sum::<f64>()).max(0.0);
        Self { rows: targets.nrows() as f64, squared: &spectrum.squared, along, outside, whole }
    }

    /// `|m|²`, `|F m − y|²` and `γ` at `t = α / β`.
    fn at(&self, t: f64) -> (f64, f64, f64) {
        let (mut weights, mut residual, mut effective) = (0.0, self.outside, 0.0);
        for (&squared, &along) in self.squared.iter().zip(&self.along) {
            let sum = squared + t;
            weights += squared * along / (sum * sum);
            residual += along * (t / sum) * (t / sum);
            effective += squared / sum;
        }
        (weights, residual.max(NOISE * self.whole), effective)
    }

    /// The evidence for each row at `t = α / β`, with the best β for it: `β = n / (|F m − y|² + t |m|²)`.
    fn value(&self, t: f64) -> f64 {
        let (weights, residual, _) = self.at(t);
        let beta = self.rows / (residual + t * weights);
        // ½ (d ln α − ln |A|) = −½ Σ ln(1 + σ² / t): directions without features leave nothing.
        let shrinkage: f64 = self.squared.iter().map(|squared| (squared / t).ln_1p()).sum();
        0.5 * (self.rows * (beta.ln() - 1.0 - std::f64::consts::TAU.ln()) - shrinkage) / self.rows
    }
}

fn largest_evidence(evidence: &Evidence<'_>) -> f64 {
    let middle = evidence.squared.iter().sum::<f64>() / evidence.squared.len() as f64;
    let starts = (0..STARTS).map(|step| middle * 10f64.powf(-9.0 + 0.5 * f64::from(step)));
    let mut t = starts.max_by(|&a, &b| evidence.value(a).total_cmp(&evidence.value(b))).unwrap_or(middle);
    let mut best = evidence.value(t);
    for _ in 0..STEPS {
        let (weights, residual, effective) = evidence.at(t);
        let next = effective * residual / (weights * (evidence.rows - effective));
        // Features that explain nothing send α to infinity: the evidence no longer changes on the way.
        if !(next.is_finite() && next > 1e-12 * middle && next < 1e12 * middle) {
            break;
        }
        let change = (next - t).abs() / t;
        t = next;
        best = best.max(evidence.value(t));
        if change <= CHANGE {
            break;
        }
    }
    best
}

/// H-score of features `[n, d]` for classes `[n]`, from 0 to the number of classes less one: larger is better.
///
/// `tr(cov(f)⁺ cov(E[f | y]))` (Bao et al., "An information-theoretic approach to transferability in task transfer learning",
/// ICIP 2019, definition 2), with the pseudo-inverse where columns depend on each other. No scaling of the columns changes
/// it, so they are standardised first, and directions below 1e-12 of the largest variance count as none. With as many
/// columns as rows it is at its maximum whatever the features are, and with half as many well on the way there: compare
/// layers by it where n is large against d.
///
/// # Errors
/// For no rows or columns, features that are not finite or all constant, labels of another number, and rows of one class only.
pub fn h_score(rows: ArrayView2<'_, f32>, labels: &[usize]) -> Result<f64, Error> {
    let table = Table::new(rows, Columns::Standardised)?;
    let targets = indicators(rows.nrows(), labels)?;
    if table.is_constant() {
        return Err(Error::ConstantFeatures { columns: rows.ncols() });
    }
    // With F = U S Vᵀ: tr((V S² Vᵀ / n)⁺ Σ_c n_c / n μ_c μ_cᵀ) = Σ_c |Uᵀ 1_c|² / n_c.
    let spectrum = table.spectrum(targets.view())?;
    let of_class = |class: usize| {
        spectrum.along.column(class).iter().map(|value| value * value).sum::<f64>() / targets.column(class).sum()
    };
    Ok((0..targets.ncols()).map(of_class).sum())
}

/// `count` of `rows` row numbers, ascending, drawn without replacement by a seed; all of them where there are no more.
///
/// For rankings of very many rows. The same rows for every layer keep the layers comparable.
pub fn subsample(rows: usize, count: usize, seed: u64) -> Vec<usize> {
    if count >= rows {
        return (0..rows).collect();
    }
    let mut chosen = sample(&mut stream(seed, 0), rows, count).into_vec();
    chosen.sort_unstable();
    chosen
}

/// 1 where a row is of a class `[n, classes]`; classes without rows are left out.
fn indicators(rows: usize, labels: &[usize]) -> Result<Array2<f64>, Error> {
    if labels.len() != rows {
        return Err(Error::Length { what: "labels", found: labels.len(), of: "rows", expected: rows });
    }
    let numbers = crate::units::numbered(labels);
    let classes = numbers.iter().max().map_or(0, |&last| last + 1);
    if classes < 2 {
        return Err(Error::OneClass { class: labels.first().copied().unwrap_or(0) });
    }
    let mut targets = Array2::zeros((rows, classes));
    numbers.iter().enumerate().for_each(|(row, &class)| targets[[row, class]] = 1.0);
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn features(rows: usize, columns: usize) -> (Array2<f32>, Vec<usize>) {
        let value =
            |row: usize, column: usize| ((row * 7919 + column * 104_729 + row * row * 31) % 1009) as f32 / 1009.0;
        let labels: Vec<usize> = (0..rows).map(|row| row % 3).collect();
        let shown = Array2::from_shape_fn((rows, columns), |(row, column)| {
            value(row, column) + if column == row % 3 { 0.8 } else { 0.0 }
        });
        (shown, labels)
    }

    #[test]
    fn the_unit_of_the_features_does_not_matter() {
        let (rows, labels) = features(90, 7);
        let scaled = &rows * 1024.0;
        let difference = log_me(rows.view(), &labels).unwrap() - log_me(scaled.view(), &labels).unwrap();
        assert!(difference.abs() < 1e-9, "{difference}");
        let difference = h_score(rows.view(), &labels).unwrap() - h_score(scaled.view(), &labels).unwrap();
        assert!(difference.abs() < 1e-6, "{difference}");
    }

    #[test]
    fn the_right_labels_rank_above_shuffled_ones() {
        let (rows, labels) = features(120, 8);
        let shuffled: Vec<usize> = (0..120).map(|row| row * 7 % 120 / 40).collect();
        assert!(log_me(rows.view(), &labels).unwrap() > log_me(rows.view(), &shuffled).unwrap() + 0.1);
        assert!(h_score(rows.view(), &labels).unwrap() > h_score(rows.view(), &shuffled).unwrap() + 0.3);
    }

    #[test]
    fn constant_and_repeated_columns_change_no_h_score() {
        let (rows, labels) = features(60, 5);
        let mut more = Array2::from_elem((60, 8), 3.1_f32);
        more.slice_mut(ndarray::s![.., ..5]).assign(&rows);
        more.column_mut(6).assign(&(&rows.column(2) * 4.0));
        let difference = h_score(rows.view(), &labels).unwrap() - h_score(more.view(), &labels).unwrap();
        assert!(difference.abs() < 1e-9, "{difference}");
    }

    #[test]
    fn with_more_columns_than_rows_the_h_score_is_full() {
        let (rows, labels) = features(20, 40);
        assert!((h_score(rows.view(), &labels).unwrap() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_perfect_fit_has_a_finite_evidence() {
        let rows = array![[1.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]];
        assert!(log_me(rows.view(), &[0, 1, 0, 1]).unwrap().is_finite());
    }

    #[test]
    fn what_cannot_be_ranked_is_refused() {
        let check = |rows: &Array2<f32>, labels: &[usize], expected: &str| {
            assert_eq!(log_me(rows.view(), labels).unwrap_err().to_string(), expected);
            assert_eq!(h_score(rows.view(), labels).unwrap_err().to_string(), expected);
        };
        check(&Array2::zeros((0, 3)), &[], "there are no features: give at least one");
        check(&Array2::ones((2, 1)), &[0], "1 labels came with 2 rows: give one for each");
        check(&Array2::ones((2, 1)), &[4, 4], "every row has class 4: a ranking needs rows of at least two classes");
        let broken = array![[1.0, 2.0], [f32::NAN, 1.0]];
        let expected = "row 1, column 0 of the features is NaN: compute it again or leave the row out";
        check(&broken, &[0, 1], expected);
        let constant = h_score(Array2::ones((4, 2)).view(), &[0, 1, 0, 1]).unwrap_err();
        assert_eq!(constant, Error::ConstantFeatures { columns: 2 });
        let targets = array![[1.0, 0.0], [2.0, 0.0]];
        let error = log_me_regression(array![[1.0_f32], [2.0]].view(), targets.view()).unwrap_err();
        assert_eq!(error.to_string(), "column 1 of the targets is all zero: leave it out");
    }

    #[test]
    fn a_subsample_is_ascending_and_the_same_each_time() {
        let chosen = subsample(1000, 50, 4);
        assert_eq!(chosen, subsample(1000, 50, 4));
        assert!(chosen.len() == 50 && chosen.is_sorted_by(|a, b| a < b) && chosen != subsample(1000, 50, 5));
        assert_eq!(subsample(3, 9, 0), [0, 1, 2]);
    }
}

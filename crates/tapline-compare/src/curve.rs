//! What more pictures would probably bring: a power law through a learning curve, and its prediction at twice the size.

use ndarray::{Array1, ArrayView1, ArrayView2, Axis};
use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::distribution::{normal_p, student_point};
use crate::random::stream;
use crate::units::{Resampling, percentile};

/// Exponents tried, from the smallest to the largest.
const EXPONENTS: (f64, f64) = (0.01, 2.0);
/// Exponents of the grid.
const GRID: usize = 120;
/// Steps of the golden section around the best of the grid.
const STEPS: usize = 60;

/// `error(n) = a + b · n^(−c)` with a ≥ 0, b ≥ 0 and 0 < c ≤ 2.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PowerLaw {
    /// The error that no number of rows takes away.
    pub a: f64,
    /// What rows take away, of a single row's error; 0 where more rows change nothing, and then c says nothing.
    pub b: f64,
    /// How fast.
    pub c: f64,
}

impl PowerLaw {
    /// Error with `n` rows.
    pub fn error(&self, n: f64) -> f64 {
        if self.b == 0.0 { self.a } else { self.a + self.b * n.powf(-self.c) }
    }
}

/// A number read off a fitted curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Its value.
    pub value: f64,
    /// Its interval `(low, high)`; none with fewer than two repeats.
    pub interval: Option<(f64, f64)>,
}

/// A learning curve with a law through it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningCurve {
    /// Rows learned from `[sizes]`.
    pub sizes: Vec<usize>,
    /// Mean error over the repeats `[sizes]`, from 0 to 1.
    pub errors: Vec<f64>,
    /// The law through them.
    pub law: PowerLaw,
    /// Its error that no number of rows takes away.
    pub floor: Predicted,
    /// Error at twice the largest size.
    pub doubled: Predicted,
    /// What doubling would take off the error, 0 or more: the law at the largest size less the law at twice that.
    pub gain: Predicted,
}

/// Fits a power law to errors `[repeats, sizes]`, from 0 to 1, of probes that learned from `sizes` rows.
///
/// Weighted least squares on the means over repeats, with weights `1 / (e (1 − e))`, the inverse of a share's variance: the
/// scatter of the repeats themselves is no guide at the largest size, where they share all rows. For each exponent a and b
/// are known in closed form; the exponent comes from a grid and a golden section. (Power laws of learning curves: Cortes et
/// al., "Learning curves: asymptotic values and rate of convergence", 1993; Hestness et al., "Deep learning scaling is
/// predictable, empirically", 2017.)
///
/// Intervals are percentiles over resampled repeats, taken whole and refitted, widened for few repeats: the tail beyond
/// `−√(r / (r − 1)) t` of the normal distribution instead of `level / 2` (Hesterberg, "What teachers should know about the
/// bootstrap", 2015, section 4.3). They know of the scatter between repeats, not of pictures that all repeats share, nor
/// of a curve that is no power law.
///
/// # Errors
/// For fewer than three sizes, sizes that do not ascend, no repeats, errors of another number of sizes or outside 0 to 1,
/// and a level or a number of resamples out of range.
pub fn fit_power_law(
    config: &Resampling,
    sizes: &[usize],
    errors: ArrayView2<'_, f64>,
) -> Result<LearningCurve, Error> {
    config.check()?;
    check(sizes, errors)?;
    let means = errors.mean_axis(Axis(0)).ok_or(Error::Empty { what: "repeats" })?;
    let points = Points::new(sizes, means.view());
    let law = points.fit(means.view());
    let last = sizes[sizes.len() - 1] as f64;
    let laws = resampled(config, &points, errors);
    let predicted = |value: &dyn Fn(&PowerLaw) -> f64| {
        let mut values: Vec<f64> = laws.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let interval = (!values.is_empty()).then(|| expanded(config.level, errors.nrows(), &values));
        Predicted { value: value(&law), interval }
    };
    Ok(LearningCurve {
        sizes: sizes.to_vec(),
        errors: means.to_vec(),
        floor: predicted(&|law| law.a),
        doubled: predicted(&|law| law.error(2.0 * last)),
        gain: predicted(&|law| law.error(last) - law.error(2.0 * last)),
        law,
    })
}

fn check(sizes: &[usize], errors: ArrayView2<'_, f64>) -> Result<(), Error> {
    if sizes.len() < 3 {
        return Err(Error::FewSizes { sizes: sizes.len() });
    }
    let descends = |position: usize| sizes[position] <= if position == 0 { 0 } else { sizes[position - 1] };
    if let Some(position) = (0..sizes.len()).find(|&position| descends(position)) {
        return Err(Error::SizesDescend { position, size: sizes[position] });
    }
    if errors.nrows() == 0 {
        return Err(Error::Empty { what: "repeats" });
    }
    if errors.ncols() != sizes.len() {
        let (found, expected) = (errors.ncols(), sizes.len());
        return Err(Error::Length { what: "errors of a repeat", found, of: "sizes", expected });
    }
    match errors.iter().position(|error| !(0.0..=1.0).contains(error)) {
        Some(index) => {
            let value = errors[[index / sizes.len(), index % sizes.len()]];
            Err(Error::OutOfRange { what: "error", index, value, low: 0.0, high: 1.0 })
        }
        None => Ok(()),
    }
}

/// Sizes as shares of the largest, and the weight of each.
struct Points {
    shares: Vec<f64>,
    largest: f64,
    weights: Vec<f64>,
}

impl Points {
    fn new(sizes: &[usize], means: ArrayView1<'_, f64>) -> Self {
        let largest = sizes[sizes.len() - 1] as f64;
        let variances: Vec<f64> = means.iter().map(|mean| mean * (1.0 - mean)).collect();
        // A mean of 0 or 1 is not that sure; where all are, all are alike.
        let least = 1e-2 * variances.iter().copied().fold(0.0, f64::max);
        let weight = |variance: f64| if least > 0.0 { least / variance.max(least) } else { 1.0 };
        let weights = variances.into_iter().map(weight).collect();
        Self { shares: sizes.iter().map(|&size| size as f64 / largest).collect(), largest, weights }
    }

    fn fit(&self, errors: ArrayView1<'_, f64>) -> PowerLaw {
        let step = (EXPONENTS.1 / EXPONENTS.0).ln() / (GRID - 1) as f64;
        let exponent = |place: f64| (EXPONENTS.0 * (place * step).exp()).min(EXPONENTS.1);
        let loss = |place: f64| self.coefficients(errors, exponent(place)).2;
        let end = (GRID - 1) as f64;
        let losses: Vec<f64> = (0..GRID).map(|place| loss(place as f64)).collect();
        let best = (0..GRID).fold(0, |best, place| if losses[place] < losses[best] { place } else { best }) as f64;
        let refined = golden_section((best - 1.0).max(0.0), (best + 1.0).min(end), &loss);
        let place = if loss(refined) < loss(best) { refined } else { best };
        let c = exponent(place);
        let (a, b, _) = self.coefficients(errors, c);
        PowerLaw { a, b: b * self.largest.powf(c), c }
    }

    /// a, b (for shares of the largest size) and the weighted sum of squares, best for an exponent.
    fn coefficients(&self, errors: ArrayView1<'_, f64>, c: f64) -> (f64, f64, f64) {
        let falls: Vec<f64> = self.shares.iter().map(|share| share.powf(-c)).collect();
        let mean = |value: &dyn Fn(usize) -> f64| {
            let sum: f64 = self.weights.iter().enumerate().map(|(i, weight)| weight * value(i)).sum();
            sum / self.weights.iter().sum::<f64>()
        };
        let (fall, error) = (mean(&|i| falls[i]), mean(&|i| errors[i]));
        let square = mean(&|i| (falls[i] - fall).powi(2));
        let slope = mean(&|i| (falls[i] - fall) * (errors[i] - error)) / square;
        let (mut a, mut b) = (error - slope * fall, slope);
        if b < 0.0 {
            (a, b) = (error, 0.0);
        } else if a < 0.0 {
            (a, b) = (0.0, mean(&|i| falls[i] * errors[i]) / mean(&|i| falls[i] * falls[i]));
        }
        (a, b, mean(&|i| (errors[i] - a - b * falls[i]).powi(2)))
    }
}

fn golden_section(mut low: f64, mut high: f64, value: &dyn Fn(f64) -> f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    for _ in 0..STEPS {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if value(left) <= value(right) { high = right } else { low = left }
    }
    0.5 * (low + high)
}

/// Laws of resampled repeats; none with fewer than two repeats.
fn resampled(config: &Resampling, points: &Points, errors: ArrayView2<'_, f64>) -> Vec<PowerLaw> {
    let repeats = errors.nrows();
    if repeats < 2 {
        return Vec::new();
    }
    let law = |resample| {
        let mut random = stream(config.seed, resample);
        let mut sum = Array1::<f64>::zeros(errors.ncols());
        (0..repeats).for_each(|_| sum += &errors.row(random.random_range(0..repeats)));
        points.fit((sum / repeats as f64).view())
    };
    (0..config.resamples).into_par_iter().map(law).collect()
}

fn expanded(level: f64, repeats: usize, sorted: &[f64]) -> (f64, f64) {
    let count = repeats as f64;
    let tail = 0.5 * normal_p((count / (count - 1.0)).sqrt() * student_point(level, repeats - 1));
    (percentile(sorted, tail), percentile(sorted, 1.0 - tail))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    const SIZES: [usize; 6] = [62, 125, 250, 500, 1000, 2000];

    fn quick() -> Resampling {
        Resampling { resamples: 400, seed: 1, level: 0.05 }
    }

    fn on_law(law: PowerLaw, repeats: usize) -> Array2<f64> {
        Array2::from_shape_fn((repeats, SIZES.len()), |(_, size)| law.error(SIZES[size] as f64))
    }

    fn check_error(sizes: &[usize], errors: Array2<f64>, expected: &str) {
        assert_eq!(fit_power_law(&quick(), sizes, errors.view()).unwrap_err().to_string(), expected);
    }

    #[test]
    fn errors_on_a_law_give_it_back() {
        for law in [PowerLaw { a: 0.1, b: 1.7, c: 0.5 }, PowerLaw { a: 0.0, b: 0.6, c: 0.2 }] {
            let found = fit_power_law(&quick(), &SIZES, on_law(law, 2).view()).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
            assert!(near(found.law.a, law.a) && near(found.law.c, law.c), "{:?}", found.law);
            assert!(
                near(found.doubled.value, law.error(4000.0))
                    && near(found.doubled.interval.unwrap().0, law.error(4000.0))
            );
            assert!(near(found.gain.value, law.error(2000.0) - law.error(4000.0)));
        }
    }

    #[test]
    fn flat_and_rising_curves_promise_nothing() {
        for slope in [0.0, 0.01] {
            let errors = Array2::from_shape_fn((3, 6), |(_, size)| 0.2 + slope * size as f64);
            let found = fit_power_law(&quick(), &SIZES, errors.view()).unwrap();
            assert!(found.gain.value.abs() < 1e-12 && found.law.a > 0.19, "{:?}", found.law);
        }
        let perfect = fit_power_law(&quick(), &SIZES, Array2::zeros((2, 6)).view()).unwrap();
        assert_eq!((perfect.doubled.value, perfect.law.a), (0.0, 0.0));
    }

    #[test]
    fn one_repeat_has_no_interval() {
        let law = PowerLaw { a: 0.1, b: 1.7, c: 0.5 };
        let found = fit_power_law(&quick(), &SIZES, on_law(law, 1).view()).unwrap();
        assert_eq!((found.doubled.interval, found.floor.interval), (None, None));
    }

    #[test]
    fn intervals_mostly_hold_the_truth() {
        let law = PowerLaw { a: 0.1, b: 1.7, c: 0.5 };
        let mut random = stream(7, 0);
        let mut held = 0;
        for _ in 0..200 {
            let share = |p: f64, random: &mut rand_chacha::ChaCha8Rng| {
                (0..500).filter(|_| random.random::<f64>() < p).count() as f64 / 500.0
            };
            let errors = on_law(law, 10).mapv(|error| share(error, &mut random));
            let (low, high) = fit_power_law(&quick(), &SIZES, errors.view()).unwrap().doubled.interval.unwrap();
            held += usize::from(low <= law.error(4000.0) && law.error(4000.0) <= high);
        }
        assert!((180..=198).contains(&held), "{held} of 200");
    }

    #[test]
    fn curves_that_cannot_be_fitted_are_refused() {
        let few = "a learning curve needs at least 3 sizes, found 2: use more rows or a smaller first size";
        check_error(&[10, 20], Array2::zeros((2, 2)), few);
        let order = "the sizes of a learning curve must ascend from 1, found 20 at position 2: sort them, each once";
        check_error(&[10, 20, 20], Array2::zeros((2, 3)), order);
        check_error(&[10, 20, 40], Array2::zeros((0, 3)), "there are no repeats: give at least one");
        let length = "2 errors of a repeat came with 3 sizes: give one for each";
        check_error(&[10, 20, 40], Array2::zeros((1, 2)), length);
        let mut errors = Array2::zeros((2, 3));
        errors[[1, 0]] = f64::NAN;
        check_error(&[10, 20, 40], errors, "error number 3 is NaN: it must lie from 0 to 1");
    }
}

//! How far pictures are from a network's pretraining set, by what the network itself remembers of it.
//!
//! A batch norm keeps the mean and variance of each channel over the pretraining set; the original head's logits are surer
//! on pictures like those it learned from. Both come free with the file. Neither is a probability: readings need a
//! calibration on known sets.

use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::spectrum::check_finite;

/// Mean and variance of each channel `[channels]`.
#[derive(Debug, Clone, Copy)]
pub struct Channels<'a> {
    /// Mean of each channel.
    pub mean: &'a [f64],
    /// Variance of each channel, 0 or more.
    pub variance: &'a [f64],
}

/// How far the channels of some pictures are from those a batch norm remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Median over the channels of the symmetric divergence, in nats.
    pub divergence: f64,
    /// Median over the channels of the distance of the means, in the pretraining set's standard deviations.
    pub mean_shift: f64,
    /// Channels compared.
    pub channels: usize,
    /// Channels without any variance on one of the sides, left out; only where epsilon is 0.
    pub left_out: usize,
}

/// Distance between what a batch norm gets from some pictures and what it remembers of the pretraining set.
///
/// For each channel, with variances `v + ε` as the batch norm itself divides by (`epsilon`, its attribute; so channels that
/// are constant on a side stay finite, and differences far below ε count for nothing):
///
/// - the mean of both Kullback-Leibler divergences between the two Gaussians,
///   `¼ ((v₁ + δ²) / v₂ + (v₂ + δ²) / v₁ − 2)` with δ the distance of the means (Jeffreys 1946; Kullback and Leibler 1951);
/// - the shift of the mean `|δ| / √v₂`, with v₂ the pretraining set's.
///
/// Both are summarised by the median, which a few wild channels do not move.
///
/// # Errors
/// For no channels, lists of different lengths, numbers that are not finite, negative variances, a negative epsilon, and no
/// channel with variance on both sides.
pub fn statistics_shift(found: Channels<'_>, stored: Channels<'_>, epsilon: f64) -> Result<Shift, Error> {
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return Err(Error::BadEpsilon { epsilon });
    }
    let channels = stored.mean.len();
    for (what, list) in [
        ("stored variances", stored.variance),
        ("means of the pictures", found.mean),
        ("variances of the pictures", found.variance),
        ("stored means", stored.mean),
    ] {
        check_finite(what, ArrayView1::from(list).insert_axis(ndarray::Axis(0)))?;
        if list.len() != channels {
            return Err(Error::Length { what, found: list.len(), of: "stored means", expected: channels });
        }
    }
    check_variances("variance of the pictures", found.variance)?;
    check_variances("stored variance", stored.variance)?;
    let (mut divergences, mut shifts) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
    for channel in 0..channels {
        let (here, there) = (found.variance[channel] + epsilon, stored.variance[channel] + epsilon);
        if here > 0.0 && there > 0.0 {
            let square = (found.mean[channel] - stored.mean[channel]).powi(2);
            divergences.push(0.25 * ((here + square) / there + (there + square) / here - 2.0));
            shifts.push((square / there).sqrt());
        }
    }
    if divergences.is_empty() {
        return Err(Error::NoChannel { channels });
    }
    let left_out = channels - divergences.len();
    let channels = divergences.len();
    Ok(Shift { divergence: median(divergences), mean_shift: median(shifts), channels, left_out })
}

/// Shift of the means behind a batch norm: median over the channels of `|mean − bias| / |scale|`.
///
/// What a batch norm makes of its pretraining set has about the mean `bias` and the standard deviation `|scale|` in each
/// channel, so this is [`Shift::mean_shift`] of its input, read off the means `[channels]` of its output over some pictures:
/// a store that holds those needs no second pass. Channels whose scale is 0 tell nothing.
///
/// # Errors
/// For no channels, lists of different lengths, numbers that are not finite, and scales that are all 0.
pub fn output_shift(means: &[f64], bias: &[f64], scale: &[f64]) -> Result<f64, Error> {
    let channels = bias.len();
    for (what, list) in [("means of the pictures", means), ("scales", scale), ("biases", bias)] {
        check_finite(what, ArrayView1::from(list).insert_axis(ndarray::Axis(0)))?;
        if list.len() != channels {
            return Err(Error::Length { what, found: list.len(), of: "biases", expected: channels });
        }
    }
    let telling = (0..channels).filter(|&channel| scale[channel] != 0.0);
    let shifts: Vec<f64> = telling.map(|channel| ((means[channel] - bias[channel]) / scale[channel]).abs()).collect();
    if shifts.is_empty() { Err(Error::NoChannel { channels }) } else { Ok(median(shifts)) }
}

fn check_variances(what: &'static str, variances: &[f64]) -> Result<(), Error> {
    match variances.iter().position(|variance| *variance < 0.0) {
        Some(index) => Err(Error::OutOfRange { what, index, value: variances[index], low: 0.0, high: f64::INFINITY }),
        None => Ok(()),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    crate::units::percentile(&values, 0.5)
}

/// Energy of each picture `[n]` from the original head's logits `[n, classes]`: lower for pictures like the pretraining set's.
///
/// `−T ln Σ exp(f / T)` (Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020, equation 3).
///
/// # Errors
/// For no rows or classes, logits that are not finite and a temperature that is not a positive number.
pub fn energy(logits: ArrayView2<'_, f32>, temperature: f64) -> Result<Vec<f64>, Error> {
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(Error::BadTemperature { temperature });
    }
    check_finite("logits", logits)?;
    Ok(logits.outer_iter().map(|row| -temperature * log_sum_exp(row, temperature)).collect())
}

/// Largest probability of each picture `[n]`, from 0 to 1, by the softmax of logits `[n, classes]`.
///
/// (Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples", ICLR 2017.)
///
/// # Errors
/// For no rows or classes and logits that are not finite.
pub fn confidence(logits: ArrayView2<'_, f32>) -> Result<Vec<f64>, Error> {
    check_finite("logits", logits)?;
    Ok(logits.outer_iter().map(|row| 1.0 / exponentials(row, 1.0)).collect())
}

fn largest(row: ArrayView1<'_, f32>) -> f64 {
    row.iter().map(|&logit| f64::from(logit)).fold(f64::NEG_INFINITY, f64::max)
}

/// `ln Σ exp(f / T)`, without overflow.
fn log_sum_exp(row: ArrayView1<'_, f32>, temperature: f64) -> f64 {
    largest(row) / temperature + exponentials(row, temperature).ln()
}

/// `Σ exp((f − max f) / T)`, 1 or more.
fn exponentials(row: ArrayView1<'_, f32>, temperature: f64) -> f64 {
    let top = largest(row);
    row.iter().map(|&logit| ((f64::from(logit) - top) / temperature).exp()).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn the_shift_behind_a_batch_norm_is_that_before_it() {
        let (mean, variance, found) = ([1.0, -2.0, 0.5], [4.0, 0.25, 1.0], [2.0, -1.0, 0.5]);
        let (scale, bias) = ([3.0, -0.5, 1.5], [0.1, 0.2, -7.0]);
        let behind: Vec<f64> =
            (0..3).map(|c| scale[c] * (found[c] - mean[c]) / f64::sqrt(variance[c]) + bias[c]).collect();
        let stored = Channels { mean: &mean, variance: &variance };
        let before = statistics_shift(Channels { mean: &found, variance: &variance }, stored, 0.0).unwrap().mean_shift;
        assert!((output_shift(&behind, &bias, &scale).unwrap() - before).abs() < 1e-12);
        assert_eq!(output_shift(&[5.0, 1.0], &[0.0, 0.0], &[0.0, 2.0]), Ok(0.5));
        assert_eq!(output_shift(&[5.0], &[0.0], &[0.0]), Err(Error::NoChannel { channels: 1 }));
    }

    fn check_error(found: (&[f64], &[f64]), stored: (&[f64], &[f64]), epsilon: f64, expected: &str) {
        let channels = |(mean, variance)| Channels { mean, variance };
        let error = statistics_shift(channels(found), channels(stored), epsilon).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_same_statistics_are_no_shift() {
        let channels = Channels { mean: &[0.5, -2.0], variance: &[0.0, 3.0] };
        let found = statistics_shift(channels, channels, 1e-5).unwrap();
        assert_eq!(found, Shift { divergence: 0.0, mean_shift: 0.0, channels: 2, left_out: 0 });
    }

    #[test]
    fn channels_without_variance_are_left_out_or_bounded_by_epsilon() {
        let found = Channels { mean: &[1.0, 2.0, 1.0], variance: &[0.0, 1.0, 1.0] };
        let stored = Channels { mean: &[0.0, 0.0, 0.0], variance: &[1.0, 1.0, 0.0] };
        let without = statistics_shift(found, stored, 0.0).unwrap();
        assert_eq!(without, Shift { divergence: 2.0, mean_shift: 2.0, channels: 1, left_out: 2 });
        assert!(statistics_shift(found, stored, 1e-3).unwrap().divergence.is_finite());
    }

    #[test]
    fn wild_channels_do_not_move_the_median() {
        let stored = Channels { mean: &[0.0; 5], variance: &[1.0; 5] };
        let found = Channels { mean: &[0.1, 0.1, 0.1, 1e9, 0.1], variance: &[1.0; 5] };
        assert!((statistics_shift(found, stored, 0.0).unwrap().mean_shift - 0.1).abs() < 1e-12);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(energy(array![[1000.0, -1000.0]].view(), 1.0).unwrap(), [-1000.0]);
        assert_eq!(confidence(array![[1000.0, 1000.0, -9.0]].view()).unwrap(), [0.5]);
    }

    #[test]
    fn statistics_and_logits_that_cannot_be_used_are_refused() {
        let one: (&[f64], &[f64]) = (&[0.0], &[1.0]);
        check_error(
            (&[0.0, 1.0], &[1.0]),
            one,
            0.0,
            "2 means of the pictures came with 1 stored means: give one for each",
        );
        let negative = "variance of the pictures number 0 is -1: it must lie from 0 to inf";
        check_error((&[0.0], &[-1.0]), one, 0.0, negative);
        let nan = "row 0, column 0 of the means of the pictures is NaN: compute it again or leave the row out";
        check_error((&[f64::NAN], &[1.0]), one, 0.0, nan);
        check_error((&[], &[]), (&[], &[]), 0.0, "there are no stored variances: give at least one");
        let dead = "all 1 channels have no variance and epsilon is 0: give the batch norm's epsilon";
        check_error((&[0.0], &[0.0]), one, 0.0, dead);
        let epsilon = "epsilon -1 is out of range: use the batch norm's own, 0 or a small positive number";
        check_error(one, one, -1.0, epsilon);
        let error = energy(array![[1.0_f32]].view(), 0.0).unwrap_err().to_string();
        assert_eq!(error, "temperature 0 is out of range: use a positive, finite number, such as 1");
        assert_eq!(confidence(Array2::zeros((0, 4)).view()).unwrap_err(), Error::Empty { what: "logits" });
    }
}

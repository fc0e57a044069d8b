//! What is drawn independently: pictures, or whole groups of them; and resamples of these.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};
use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::random::stream;

/// How resamples are drawn and how sure to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Resampling {
    /// Number of resamples.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Level of tests; intervals have `1 − level`. Between 0 and 1.
    pub level: f64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 5000, seed: 0, level: 0.05 }
    }
}

impl Resampling {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self { resamples, level, .. } = *self;
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::BadLevel { level });
        }
        let least = (2.0 / level).ceil() as usize;
        if resamples < least { Err(Error::FewResamples { resamples, level, least }) } else { Ok(()) }
    }

    /// The outer `level` share cut off on both sides of `sorted`.
    pub(crate) fn interval(&self, sorted: &[f64]) -> (f64, f64) {
        (percentile(sorted, 0.5 * self.level), percentile(sorted, 1.0 - 0.5 * self.level))
    }
}

/// Right pictures of each unit and tap `[units, taps]`, and the pictures of each unit.
pub(crate) struct Units {
    pub(crate) right: Array2<f64>,
    sizes: Vec<f64>,
}

impl Units {
    /// Of `right [taps, pictures]`: one unit for each group, in the order of their numbers, or for each picture.
    pub(crate) fn new(right: ArrayView2<'_, bool>, groups: Option<&[usize]>) -> Result<Self, Error> {
        Self::weighted(right, groups, None)
    }

    /// The same, where pictures count by their `weights [pictures]`.
    pub(crate) fn weighted(
        right: ArrayView2<'_, bool>,
        groups: Option<&[usize]>,
        weights: Option<&[f64]>,
    ) -> Result<Self, Error> {
        let (taps, pictures) = right.dim();
        if taps == 0 {
            return Err(Error::Empty { what: "taps" });
        }
        if pictures == 0 {
            return Err(Error::Empty { what: "pictures" });
        }
        let unit_of = match groups {
            Some(groups) if groups.len() != pictures => {
                return Err(Error::Length { what: "groups", found: groups.len(), of: "pictures", expected: pictures });
            }
            Some(groups) => numbered(groups),
            None => (0..pictures).collect(),
        };
        let count = unit_of.iter().max().map_or(0, |&last| last + 1);
        let mut units = Self { right: Array2::zeros((count, taps)), sizes: vec![0.0; count] };
        for (picture, &unit) in unit_of.iter().enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[picture]);
            units.sizes[unit] += weight;
            for tap in (0..taps).filter(|&tap| right[[tap, picture]]) {
                units.right[[unit, tap]] += weight;
            }
        }
        Ok(units)
    }

    /// Accuracies `[resamples, taps]`, from 0 to 1, over as many units as there are, drawn with replacement.
    pub(crate) fn resampled(&self, config: &Resampling) -> Array2<f64> {
        let (count, taps) = self.right.dim();
        let mut accuracies = Array2::zeros((config.resamples, taps));
        let rows: Vec<_> = accuracies.outer_iter_mut().enumerate().collect();
        rows.into_par_iter().for_each(|(resample, mut accuracy)| {
            let mut random = stream(config.seed, resample);
            let mut pictures = 0.0;
            for _ in 0..count {
                let unit = random.random_range(0..count);
                pictures += self.sizes[unit];
                accuracy += &self.right.row(unit);
            }
            accuracy /= pictures;
        });
        accuracies
    }
}

/// Position of each name among the sorted different names.
pub(crate) fn numbered(names: &[usize]) -> Vec<usize> {
    let mut numbers: BTreeMap<usize, usize> = names.iter().map(|&name| (name, 0)).collect();
    numbers.values_mut().enumerate().for_each(|(position, number)| *number = position);
    names.iter().map(|name| numbers[name]).collect()
}

/// Linear between the two nearest of `sorted` (Hyndman and Fan, "Sample quantiles in statistical packages", 1996, type 7).
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (position - position.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn groups_are_summed_in_the_order_of_their_numbers() {
        let units = Units::new(array![[true, true, false], [false, true, true]].view(), Some(&[9, 2, 9])).unwrap();
        assert_eq!(units.right, array![[1.0, 1.0], [1.0, 1.0]]);
        assert_eq!(units.sizes, [1.0, 2.0]);
    }

    #[test]
    fn levels_and_resamples_out_of_range_are_refused() {
        let check = |resamples, level, expected: &str| {
            let error = Resampling { resamples, seed: 0, level }.check().unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(1000, f64::NAN, "level NaN is out of range: use a number between 0 and 1, such as 0.05");
        check(1000, 1.0, "level 1 is out of range: use a number between 0 and 1, such as 0.05");
        check(10, 0.05, "10 resamples cannot tell a level of 0.05: use at least 40");
    }

    #[test]
    fn percentiles_are_numpys() {
        // Reference: numpy.percentile([1, 2, 4, 8], [2.5, 97.5]).
        let check = |share, expected: f64| assert!((percentile(&[1.0, 2.0, 4.0, 8.0], share) - expected).abs() < 1e-12);
        check(0.025, 1.075);
        check(0.975, 7.7);
    }
}

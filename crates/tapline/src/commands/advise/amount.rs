//! The data axis: pictures of each class, and whether a linear classifier still learns from more of them.

use serde::Serialize;
use tapline_compare::LearningCurve;

use crate::learning::{self, Learned};
use crate::probes::Probes;
use crate::stores::Stores;

/// Pictures of the median class below which there is little data, unless the curve is flat.
///
/// A convention: the table names no number. `docs/advice.md` shows where known sets fall.
const FEW_PER_CLASS: usize = 100;
/// Pictures of the median class from which there is quite a lot of data, unless the curve is steep. A convention, too.
const MANY_PER_CLASS: usize = 1000;
/// Share of the errors that doubling the pictures must take away for the curve to be steep; a flat curve takes less, by its
/// whole interval.
///
/// Of the errors, not of the pictures: half of 2 % wrong is worth more pictures, a twentieth of 15 % is not. Set by solar cells,
/// where finetuning is published to beat linear classifiers (Deitsch et al. 2019) and doubling would take 2 to 9 %.
const STEEP: f64 = 0.10;

/// Little or a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// More pictures would still help a linear classifier; finetuning would learn them by heart.
    Little,
    /// Enough for more than a linear classifier.
    ALot,
    /// The evidence is weak or does not agree.
    Uncertain,
}

/// What a learning curve says of more pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slope {
    /// Doubling would take away a tenth of the errors or more.
    Steep,
    /// Doubling would take away less than a tenth of them, by its whole interval.
    Flat,
    /// Neither is sure.
    Unclear,
}

/// The data axis and its evidence.
#[derive(Debug, Clone, Serialize)]
pub struct Amount {
    /// What it comes to.
    pub reading: Reading,
    /// Pictures to learn from in the median class (of an even number of classes the smaller of both in the middle).
    pub median_class: usize,
    /// Pictures to learn from in the smallest class.
    pub smallest_class: usize,
    /// The tap whose learning curve was computed.
    pub tap: String,
    /// What the curve says; none where there is no curve.
    pub slope: Option<Slope>,
    /// The learning curve; none where there are too few pictures for one.
    pub curve: Option<LearningCurve>,
    /// What twice the pictures would probably bring, or why that is not known.
    pub sentence: String,
}

impl Amount {
    /// With the learning curve of `tap`.
    pub fn of(stores: &Stores, probes: &Probes, tap: usize) -> anyhow::Result<Self> {
        let mut sizes: Vec<usize> =
            probes.plan.data.to_learn_from().classes().into_iter().map(|class| class.pictures).collect();
        sizes.sort_unstable();
        let (smallest_class, median_class) = (sizes[0], sizes[(sizes.len() - 1) / 2]);
        let (curve, sentence) = match learning::curve(stores, probes, tap)? {
            Ok(Learned { curve, sentence, .. }) => (Some(curve), sentence),
            Err(reason) => (None, format!("What more pictures would bring is not known: {reason}.")),
        };
        let slope = curve.as_ref().map(slope);
        let reading = reading(median_class, slope);
        let tap = probes.comparison.taps[tap].name.clone();
        Ok(Self { reading, median_class, smallest_class, tap, slope, curve, sentence })
    }
}

fn slope(curve: &LearningCurve) -> Slope {
    let wrong = curve.law.error(curve.sizes.last().copied().unwrap_or_default() as f64);
    let taken = |gain: f64| if wrong > 0.0 { gain / wrong } else { 0.0 };
    match curve.gain.interval {
        Some((low, _)) if taken(curve.gain.value) >= STEEP && low > 0.0 => Slope::Steep,
        Some((_, high)) if taken(high) < STEEP => Slope::Flat,
        _ => Slope::Unclear,
    }
}

/// Few pictures and a flat curve, and many and a steep one, do not agree; in between the curve decides.
fn reading(median_class: usize, slope: Option<Slope>) -> Reading {
    match (median_class, slope) {
        (..FEW_PER_CLASS, Some(Slope::Flat)) | (MANY_PER_CLASS.., Some(Slope::Steep)) => Reading::Uncertain,
        (..FEW_PER_CLASS, _) => Reading::Little,
        (MANY_PER_CLASS.., _) => Reading::ALot,
        (_, Some(Slope::Steep)) => Reading::Little,
        (_, Some(Slope::Flat)) => Reading::ALot,
        _ => Reading::Uncertain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_curve_must_agree() {
        let check = |median, slope, expected| assert_eq!(reading(median, slope), expected, "{median} {slope:?}");
        check(15, None, Reading::Little);
        check(99, Some(Slope::Steep), Reading::Little);
        check(99, Some(Slope::Flat), Reading::Uncertain);
        check(100, Some(Slope::Flat), Reading::ALot);
        check(500, Some(Slope::Steep), Reading::Little);
        check(500, Some(Slope::Unclear), Reading::Uncertain);
        check(500, None, Reading::Uncertain);
        check(1000, Some(Slope::Unclear), Reading::ALot);
        check(1000, Some(Slope::Steep), Reading::Uncertain);
    }
}

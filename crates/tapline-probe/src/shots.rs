//! How few pictures a probe can learn from: k of each class, drawn again and again.

use serde::{Deserialize, Serialize};

use crate::labelled::{check_dataset, check_every_class};
use crate::protocol::{deal_chosen, fit_chosen, setting};
use crate::random::{random_numbers, shuffle};
use crate::score::{balanced_accuracy, confusion, score};
use crate::strength::{Refit, checked_grid, fit_again};
use crate::transform::RowWise;
use crate::{Dataset, Error, Fit, ProtocolConfig, Score};

/// The strength C of probes that learn from so few rows of a class that folds cannot choose one.
pub const FEW_SHOT_STRENGTH: f64 = 0.01;

/// From so many rows of each class on, folds choose the strength.
const LEAST_FOR_FOLDS: usize = 3;

/// Streams of random numbers below this one have other uses.
const FIRST_STREAM: u64 = 1 << 32;

/// How many rows of each class to learn from, and how often they are drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shots {
    /// Rows of each class to learn from, each at least 1.
    pub counts: Vec<usize>,
    /// Draws for each count, at least 1.
    pub repeats: usize,
}

/// How probes did that learned from a number of rows of each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShotScores {
    /// Rows of each class learned from.
    pub shots: usize,
    /// Right rows out of all others `[repeats]`.
    pub scores: Vec<Score>,
    /// Mean recall of the classes, from 0 to 1 `[repeats]`.
    pub balanced: Vec<f64>,
    /// The strength C `[repeats]`.
    pub strengths: Vec<f64>,
    /// Folds that chose it; 0 where it is [`FEW_SHOT_STRENGTH`].
    pub folds: usize,
    /// Number of probes fitted.
    pub fits: usize,
    /// Those among them that did not converge.
    pub not_converged: usize,
}

/// Fits probes on few rows of each class, and scores them on all other rows.
///
/// In each repeat the rows of each class are shuffled by the seed, and k of them learned from: fewer shots learn from the
/// first of those that more shots learn from. With three or more, the strength is chosen by cross-validation among them, on
/// `k` or [`folds`](ProtocolConfig::folds) folds, whichever is less; with fewer it is [`FEW_SHOT_STRENGTH`]. `progress` is
/// called after each fit. Counts are taken in ascending order, each once.
///
/// # Errors
/// For bad input, no or zero counts, no repeats, a class that a count leaves no row of to score, and rows in groups.
pub fn few_shot<'a>(
    config: &ProtocolConfig,
    shots: &Shots,
    data: impl Into<Dataset<'a>>,
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<ShotScores>, Error> {
    let data = &data.into();
    check_dataset(data)?;
    check_every_class(data.labels.iter().copied(), data.classes)?;
    let counts = checked_counts(shots, data)?;
    let changed = RowWise::of(config.transform, data.rows);
    let data = &Dataset { rows: changed.as_ref().map_or(data.rows, |rows| rows), ..*data };
    let draws: Vec<Vec<Vec<usize>>> =
        (0..shots.repeats).map(|repeat| shuffled_classes(config.seed, repeat, data)).collect();
    let of_count = |&count: &usize| {
        let mut found = ShotScores {
            shots: count,
            scores: Vec::new(),
            balanced: Vec::new(),
            strengths: Vec::new(),
            folds: if count < LEAST_FOR_FOLDS { 0 } else { config.folds.clamp(LEAST_FOR_FOLDS, count) },
            fits: 0,
            not_converged: 0,
        };
        draws.iter().try_for_each(|classes| add_repeat(config, data, (classes, progress), &mut found))?;
        Ok(found)
    };
    counts.iter().map(of_count).collect()
}

/// Number of fits of one [`few_shot`].
///
/// # Errors
/// For a grid that cannot be used.
pub fn few_shot_fits(config: &ProtocolConfig, shots: &Shots) -> Result<usize, Error> {
    let grid = checked_grid(config)?.len();
    let of_count = |&count: &usize| match count {
        ..LEAST_FOR_FOLDS => 1,
        _ => config.folds.clamp(LEAST_FOR_FOLDS, count) * grid + 1,
    };
    Ok(shots.repeats * distinct(shots).iter().map(of_count).sum::<usize>())
}

fn distinct(shots: &Shots) -> Vec<usize> {
    let mut counts = shots.counts.clone();
    counts.sort_unstable();
    counts.dedup();
    counts
}

fn checked_counts(shots: &Shots, data: &Dataset<'_>) -> Result<Vec<usize>, Error> {
    let counts = distinct(shots);
    let (Some(&least), Some(&most)) = (counts.first(), counts.last()) else { return Err(Error::NoShots) };
    if least == 0 || shots.repeats == 0 {
        return Err(Error::NoShots);
    }
    if data.groups.is_some() {
        return Err(Error::ShotsOfGroups);
    }
    for class in 0..data.classes {
        let rows = data.labels.iter().filter(|&&label| label == class).count();
        if rows <= most {
            return Err(Error::FewForShots { class, rows, shots: most });
        }
    }
    Ok(counts)
}

/// The rows of each class, shuffled `[classes][rows]`.
fn shuffled_classes(seed: u64, repeat: usize, data: &Dataset<'_>) -> Vec<Vec<usize>> {
    let mut random = random_numbers(seed);
    random.set_stream(FIRST_STREAM + repeat as u64);
    let of_class = |class| {
        let mut rows: Vec<usize> = (0..data.labels.len()).filter(|&row| data.labels[row] == class).collect();
        shuffle(&mut rows, &mut random);
        rows
    };
    (0..data.classes).map(of_class).collect()
}

/// Learns from the first rows of each class, scores the others.
fn add_repeat(
    config: &ProtocolConfig,
    data: &Dataset<'_>,
    (classes, progress): (&[Vec<usize>], &(dyn Fn() + Sync)),
    found: &mut ShotScores,
) -> Result<(), Error> {
    let mut train: Vec<usize> = classes.iter().flat_map(|rows| &rows[..found.shots]).copied().collect();
    let mut test: Vec<usize> = classes.iter().flat_map(|rows| &rows[found.shots..]).copied().collect();
    train.sort_unstable();
    test.sort_unstable();
    // The few rows by themselves: passes over all others would cost most of the time.
    let labels: Vec<usize> = train.iter().map(|&row| data.labels[row]).collect();
    let rows = data.gather(&train);
    let few = Dataset { rows: &rows, labels: &labels, classes: data.classes, groups: None };
    let (fit, c) = fit_few(config, (&few, progress), found)?;
    let scores = fit.probe.scores_in(data, &test);
    let predicted: Vec<usize> = scores.outer_iter().map(crate::loss::predicted_class).collect();
    let labels: Vec<usize> = test.iter().map(|&row| data.labels[row]).collect();
    found.scores.push(score(&labels, &predicted));
    found.balanced.push(balanced_accuracy(&confusion(&labels, &predicted, data.classes)));
    found.strengths.push(c);
    Ok(())
}

/// A probe on all rows given, and its strength; counts its fits.
fn fit_few(
    config: &ProtocolConfig,
    (few, progress): (&Dataset<'_>, &(dyn Fn() + Sync)),
    found: &mut ShotScores,
) -> Result<(Fit, f64), Error> {
    let all: Vec<usize> = (0..few.labels.len()).collect();
    if found.folds == 0 {
        let config = ProtocolConfig { grid: vec![FEW_SHOT_STRENGTH], ..config.clone() };
        let setting = setting(&config, few, progress)?;
        let fit = fit_again(&setting, &[Refit { train: all, config: &setting.grid[0] }])?.pop().expect("one fit");
        found.fits += 1;
        found.not_converged += usize::from(!fit.converged);
        return Ok((fit, FEW_SHOT_STRENGTH));
    }
    let config = ProtocolConfig { folds: found.folds, ..config.clone() };
    let folds = deal_chosen(&config, few, &all)?;
    let chosen = fit_chosen(&setting(&config, few, progress)?, &[(folds, all)])?.pop().expect("one fit");
    found.fits += chosen.fits;
    found.not_converged += chosen.not_converged.len();
    Ok((chosen.fit, chosen.choice.c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_shots_learn_from_the_first_of_more() {
        let labels: Vec<usize> = (0..30).map(|row| row % 3).collect();
        let rows = ndarray::Array2::<f32>::zeros((30, 1));
        let data = Dataset { rows: &rows, labels: &labels, classes: 3, groups: None };
        let (one, other) = (shuffled_classes(4, 0, &data), shuffled_classes(4, 1, &data));
        assert_ne!(one, other);
        assert_eq!(one, shuffled_classes(4, 0, &data));
        assert!(
            one.iter().enumerate().all(|(class, rows)| rows.len() == 10 && rows.iter().all(|row| row % 3 == class))
        );
    }
}

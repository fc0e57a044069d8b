//! What plain rules make of the same features in the same splits: the nearest class mean, and the nearest neighbours.
//!
//! A probe that does no better than these owes its score to how the features lie, not to what it learned.

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::fit::{TrainingRows, gathered};
use crate::labelled::{check_dataset, check_every_class};
use crate::pca::Principal;
use crate::protocol::{deal, rows_of_split};
use crate::shuffles::drawn_tests;
use crate::standardise::standardise;
use crate::transform::RowWise;
use crate::{Dataset, Error, ProtocolConfig, Role, Shuffles, Transform};

/// Rows compared with all training rows at a time.
const BLOCK: usize = 256;

/// Neighbours asked, each a baseline of its own: none is chosen, so that none needs rows to be chosen on.
const NEIGHBOURS: [usize; 3] = [1, 5, 20];

/// Which rows are scored, and which are learned from.
#[derive(Debug, Clone, Copy)]
pub enum Splits<'a> {
    /// Those of [`evaluate`](crate::evaluate()): folds take turns.
    Folds,
    /// Those of [`holdout`](crate::holdout()).
    Fixed(&'a [Role]),
    /// Those of [`repeated_holdout`](crate::repeated_holdout()).
    Shuffles(&'a Shuffles),
}

/// What "near" means, of features after the protocol's transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// `‖a − b‖`.
    Euclidean,
    /// `1 − a·b / (‖a‖ ‖b‖)`; 1 where either is 0.
    Cosine,
}

/// A rule that learns nothing but where the training rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The class whose training rows' mean is nearest; the first of equals.
    NearestClassMean,
    /// The class most of the so many nearest training rows have (all, where there are fewer); of equals, the one whose
    /// nearest row is nearest.
    NearestNeighbours(usize),
}

/// What one rule predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The rule.
    pub rule: Rule,
    /// What it calls near.
    pub metric: Metric,
    /// Predicted class of each row scored `[scored]`, in the order of an [`Evaluation`](crate::Evaluation) of the same splits.
    pub predicted: Vec<usize>,
}

/// Predictions by the nearest class mean and by 1, 5 and 20 nearest neighbours, each by both metrics.
///
/// Rows are standardised on the training rows of each split, after the row-wise part of the transform, as for a probe; with
/// [`Transform::None`] and along principal components they are centred alone. [`control`](ProtocolConfig::control) is not looked at.
///
/// # Errors
/// As the protocol of the splits.
pub fn baselines<'a>(
    config: &ProtocolConfig,
    splits: Splits<'_>,
    data: impl Into<Dataset<'a>>,
) -> Result<Vec<Baseline>, Error> {
    let data = &data.into();
    check_dataset(data)?;
    check_every_class(data.labels.iter().copied(), data.classes)?;
    config.transform.check()?;
    let tests = tests(config, splits, data)?;
    let changed = RowWise::of(config.transform, data.rows);
    let data = &Dataset { rows: changed.as_ref().map_or(data.rows, |rows| rows), ..*data };
    let mut found: Vec<(usize, Vec<usize>)> = Vec::new();
    for (train, test) in &tests {
        check_every_class(train.iter().map(|&row| data.labels[row]), data.classes)?;
        let principal = config.transform.components().map(|components| Principal::of(data, train, components));
        let along = principal.transpose()?.map(|principal| principal.project(data));
        let (data, transform) = match &along {
            Some(rows) => (Dataset { rows, ..*data }, Transform::None),
            None => (*data, config.transform),
        };
        let known = Known::new(gathered(&data, train, transform), data.classes);
        let blocks: Vec<Vec<Vec<usize>>> = test
            .par_chunks(BLOCK)
            .map(|block| {
                let rows = data.gather(block);
                let all: Vec<usize> = (0..block.len()).collect();
                known.predict(&standardise(known.standardisation(), rows.view(), &all))
            })
            .collect();
        found.extend(test.iter().copied().zip(blocks.into_iter().flatten()));
    }
    // Stable: a row scored in several shuffles stays in their order.
    found.sort_by_key(|&(row, _)| row);
    let of_rule = |(index, (rule, metric)): (usize, (Rule, Metric))| Baseline {
        rule,
        metric,
        predicted: found.iter().map(|(_, predicted)| predicted[index]).collect(),
    };
    Ok(rules().enumerate().map(of_rule).collect())
}

/// All rules in the order of [`Known::predict`].
fn rules() -> impl Iterator<Item = (Rule, Metric)> {
    let rules = std::iter::once(Rule::NearestClassMean).chain(NEIGHBOURS.map(Rule::NearestNeighbours));
    rules.flat_map(|rule| [Metric::Euclidean, Metric::Cosine].map(|metric| (rule, metric)))
}

/// The rows a split learns from, and those it scores.
type TrainTest = (Vec<usize>, Vec<usize>);

/// The rows of each split.
fn tests(config: &ProtocolConfig, splits: Splits<'_>, data: &Dataset<'_>) -> Result<Vec<TrainTest>, Error> {
    match splits {
        Splits::Folds => {
            let folds = deal(config, data.labels, data.groups, 3)?;
            Ok((0..folds.count).map(|fold| (folds.outside(&[fold]), folds.inside(fold))).collect())
        }
        Splits::Fixed(split) => Ok(vec![rows_of_split(data, split)?]),
        Splits::Shuffles(shuffles) => {
            let outside =
                |test: &[usize]| (0..data.labels.len()).filter(|row| test.binary_search(row).is_err()).collect();
            let tests = drawn_tests(config.seed, shuffles, (data, false))?;
            Ok(tests.into_iter().map(|test| (outside(&test), test)).collect())
        }
    }
}

/// Points with classes, and what their distances need.
struct Points {
    /// `[points, columns]`.
    rows: Array2<f64>,
    /// `‖a‖` `[points]`.
    norms: Array1<f64>,
    /// `[points]`.
    labels: Vec<usize>,
}

impl Points {
    fn new(rows: Array2<f64>, labels: Vec<usize>) -> Self {
        let norms = rows.map_axis(Axis(1), |row| row.iter().map(|value| value * value).sum::<f64>().sqrt());
        Self { rows, norms, labels }
    }

    /// A number for each point that orders them by distance, from their products with a row `[points]`.
    fn order(&self, metric: Metric, products: ArrayView1<'_, f64>) -> Vec<f64> {
        let of_point = |(&product, &norm): (&f64, &f64)| match metric {
            Metric::Euclidean => norm * norm - 2.0 * product,
            Metric::Cosine if norm > 0.0 => -product / norm,
            Metric::Cosine => 0.0,
        };
        products.iter().zip(&self.norms).map(of_point).collect()
    }
}

/// What the rules know of a split's training rows.
struct Known {
    training: Points,
    means: Points,
    standardisation: crate::Standardisation,
}

impl Known {
    /// Every class has a row.
    fn new(training: TrainingRows, classes: usize) -> Self {
        let (rows, labels, standardisation) = training.into_parts();
        let mut means = Array2::zeros((classes, rows.ncols()));
        let mut counts = vec![0.0; classes];
        for (row, &class) in rows.outer_iter().zip(&labels) {
            means.row_mut(class).zip_mut_with(&row, |sum, value| *sum += value);
            counts[class] += 1.0;
        }
        means.outer_iter_mut().zip(counts).for_each(|(mut mean, count)| mean /= count);
        let means = Points::new(means, (0..classes).collect());
        Self { training: Points::new(rows, labels), means, standardisation }
    }

    fn standardisation(&self) -> &crate::Standardisation {
        &self.standardisation
    }

    /// What each rule predicts for each row of `rows [rows, columns]`: `[rows][rules]`.
    fn predict(&self, rows: &Array2<f64>) -> Vec<Vec<usize>> {
        let (to_means, to_rows) = (rows.dot(&self.means.rows.t()), rows.dot(&self.training.rows.t()));
        let of_row = |(means, rows): (ArrayView1<'_, f64>, ArrayView1<'_, f64>)| {
            let nearest = |metric| nearest(&self.training.order(metric, rows), NEIGHBOURS[NEIGHBOURS.len() - 1]);
            let near = [nearest(Metric::Euclidean), nearest(Metric::Cosine)];
            let predict = |(rule, metric): (Rule, Metric)| match rule {
                Rule::NearestClassMean => nearest_one(&self.means.order(metric, means)),
                Rule::NearestNeighbours(count) => {
                    let near = &near[usize::from(metric == Metric::Cosine)];
                    vote(near.iter().take(count).map(|&row| self.training.labels[row]))
                }
            };
            rules().map(predict).collect()
        };
        to_means.outer_iter().zip(to_rows.outer_iter()).map(of_row).collect()
    }
}

/// Position of the smallest number, the first of equals.
fn nearest_one(order: &[f64]) -> usize {
    (1..order.len()).fold(0, |best, i| if order[i] < order[best] { i } else { best })
}

/// Positions of the `count` smallest numbers, ascending, the first of equals first.
fn nearest(order: &[f64], count: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..order.len()).collect();
    let nearer = |a: &usize, b: &usize| order[*a].total_cmp(&order[*b]).then(a.cmp(b));
    if count < positions.len() {
        positions.select_nth_unstable_by(count, nearer);
        positions.truncate(count);
    }
    positions.sort_by(nearer);
    positions
}

/// The class named most often; of equals, the one named first.
fn vote(classes: impl Iterator<Item = usize>) -> usize {
    let mut votes: Vec<(usize, usize)> = Vec::new();
    for class in classes {
        match votes.iter_mut().find(|(voted, _)| *voted == class) {
            Some((_, count)) => *count += 1,
            None => votes.push((class, 1)),
        }
    }
    let most = (1..votes.len()).fold(0, |best, i| if votes[i].1 > votes[best].1 { i } else { best });
    votes[most].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_the_first_of_equals_wins() {
        assert_eq!(nearest(&[3.0, 1.0, 2.0, 1.0], 3), [1, 3, 2]);
        assert_eq!(nearest(&[3.0, 1.0], 20), [1, 0]);
        assert_eq!(nearest_one(&[3.0, 1.0, 1.0]), 1);
    }

    #[test]
    fn most_votes_win_and_of_equals_the_nearest() {
        assert_eq!(vote([2, 0, 0].into_iter()), 0);
        assert_eq!(vote([2, 0, 1, 0, 2].into_iter()), 2);
    }
}

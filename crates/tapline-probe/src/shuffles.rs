//! Repeated shuffles: the same rows parted again and again, so that a score does not hang on one split.
//!
//! The protocol of many published tables ("75/25, ten seeds"). Its test sets overlap, which its spread and intervals allow for.

use serde::{Deserialize, Serialize};

use crate::control::{control_labels, relabelled};
use crate::labelled::{check_dataset, check_every_class};
use crate::protocol::{Folds, deal_chosen, fit_chosen, setting};
use crate::random::{random_numbers, shuffle};
use crate::strength::Setting;
use crate::tested::{Outer, evaluation};
use crate::transform::RowWise;
use crate::{Dataset, Error, Evaluation, FinalFit, ProtocolConfig, Score};

/// Streams of random numbers below this one have other uses: 0 deals folds, 1 shuffles the labels of a control.
const FIRST_STREAM: u64 = 2;

/// How often rows are parted, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shuffles {
    /// Number of shuffles, at least 1.
    pub count: usize,
    /// Share of each class that is scored, between 0 and 1.
    pub test_share: f64,
}

impl Shuffles {
    /// Rows of each class that every shuffle scores where there are no groups, of classes with so many rows `[classes]`.
    pub fn scored_of(&self, sizes: &[usize]) -> Vec<usize> {
        let (mut seen, mut scored) = (0, 0);
        let of_class = |&size: &usize| {
            seen += size;
            let here = share_of(self.test_share, seen).saturating_sub(scored).min(size);
            scored += here;
            here
        };
        sizes.iter().map(of_class).collect()
    }
}

/// A share of so many rows, to the nearest row.
fn share_of(share: f64, rows: usize) -> usize {
    (share * rows as f64).round() as usize
}

/// Scores the test rows of each of several random splits by a probe fitted on the other rows of that split.
///
/// Each shuffle scores `test_share` of each class, to within a row, and chooses its strength by cross-validation on the rows
/// it learns from, as [`holdout`](crate::holdout()) does. Groups stay whole: taken in random order, each is scored where that
/// brings the classes' shares nearer to `test_share`. In the result a fold is a shuffle, and a row is there as often as it
/// was scored: counts are sums over the shuffles. The interval of their [`score`](Evaluation::score) by Wilson's formula would be too
/// narrow; resample rows or groups whole ([`grouped_interval`](crate::grouped_interval)), or see [`Spread`]. For a control the
/// labels are shuffled over all rows. Shuffle i is the same however many there are; as many as fit into memory are fitted in one batch.
///
/// # Errors
/// As [`holdout`](crate::holdout()); also for no shuffle, and for a share out of range or too small for a row.
pub fn repeated_holdout<'a>(
    config: &ProtocolConfig,
    shuffles: &Shuffles,
    data: impl Into<Dataset<'a>>,
    progress: &(dyn Fn() + Sync),
) -> Result<Evaluation, Error> {
    let data = &data.into();
    check_dataset(data)?;
    check_every_class(data.labels.iter().copied(), data.classes)?;
    let labels = control_labels(config, data.labels, &vec![0; data.labels.len()]);
    let changed = RowWise::of(config.transform, data.rows);
    let data = &Dataset { rows: changed.as_ref().map_or(data.rows, |rows| rows), ..relabelled(data, &labels) };
    let tests = drawn_tests(config.seed, shuffles, (data, false))?;
    let setting = setting(config, data, progress)?;
    let chosen = chosen_of(config, &tests, &setting, |config, train| deal_chosen(config, data, train))?;
    Ok(evaluation(data, Outer::of_chosen(chosen, tests)))
}

/// The probe of each shuffle, of all rows but its `tests`, its strength chosen on the folds that `deal` makes of them, by a seed
/// of the shuffle's own. As many shuffles share a batch as the memory holds.
pub(crate) fn chosen_of(
    config: &ProtocolConfig,
    tests: &[Vec<usize>],
    setting: &Setting<'_, '_>,
    deal: impl Fn(&ProtocolConfig, &[usize]) -> Result<Folds, Error>,
) -> Result<Vec<FinalFit>, Error> {
    let rows = setting.data.rows.dim().0;
    // For each fold of a shuffle and all of it: the rows' weights, twice where classes weigh alike, and their numbers.
    let bytes = rows * (config.folds + 1) * (3 * size_of::<f64>() + size_of::<usize>());
    let at_once = (config.max_bytes / 2 / bytes.max(1)).max(1);
    let mut chosen = Vec::new();
    for (part, tests) in tests.chunks(at_once).enumerate() {
        let lists = to_learn_from(config, (part * at_once, tests), rows, &deal)?;
        chosen.extend(fit_chosen(setting, &lists)?);
    }
    Ok(chosen)
}

/// How the accuracies of shuffles are spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean of the shuffles' accuracies, from 0 to 1.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// Standard error of the mean; none for one shuffle.
    pub standard_error: Option<f64>,
}

impl Spread {
    /// The spread of `scores` `[shuffles]`, each of which parts the same `rows` rows.
    ///
    /// `standard error = √((1 / J + n_test / n_train) s²)` with J shuffles and the sample variance s² of their accuracies
    /// (Nadeau and Bengio, "Inference for the generalization error", 2003, section 3.2): the shuffles share rows, so that
    /// `√(s² / J)` would promise too much. `n_test / n_train` is that of the sums. NaN without scores.
    pub fn of(scores: &[Score], rows: usize) -> Self {
        let count = scores.len() as f64;
        let accuracies = || scores.iter().map(Score::accuracy);
        let mean = accuracies().sum::<f64>() / count;
        let tested = scores.iter().map(|score| score.total).sum::<usize>() as f64;
        let ratio = tested / (count * rows as f64 - tested);
        let variance = accuracies().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let standard_error = (scores.len() > 1).then(|| ((1.0 / count + ratio) * variance).sqrt());
        Self { mean, min: accuracies().fold(1.0, f64::min), max: accuracies().fold(0.0, f64::max), standard_error }
    }
}

/// The rows each shuffle scores, ascending `[shuffles][scored]`; `many` says that classes may have few rows each, as combinations
/// of labels do.
pub(crate) fn drawn_tests(
    seed: u64,
    shuffles: &Shuffles,
    (data, many): (&Dataset<'_>, bool),
) -> Result<Vec<Vec<usize>>, Error> {
    let share = shuffles.test_share;
    if shuffles.count == 0 {
        return Err(Error::NoShuffle);
    }
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::BadTestShare { share });
    }
    let draw = |index: usize| {
        let test = match data.groups {
            Some(groups) => draw_groups((seed, index), share, (data.labels, groups)),
            None => draw_rows((seed, index), share, (data.labels, many)),
        };
        let rows = data.labels.len();
        if test.is_empty() { Err(Error::EmptyShuffle { share, rows, shuffle: index }) } else { Ok(test) }
    };
    (0..shuffles.count).map(draw).collect()
}

/// The rows that each shuffle learns from, all but its tests, with the folds that choose its strength; the first of the `tests` are
/// those of shuffle `first`.
fn to_learn_from(
    config: &ProtocolConfig,
    (first, tests): (usize, &[Vec<usize>]),
    rows: usize,
    deal: impl Fn(&ProtocolConfig, &[usize]) -> Result<Folds, Error>,
) -> Result<Vec<(Folds, Vec<usize>)>, Error> {
    let of_shuffle = |(index, test): (u64, &Vec<usize>)| {
        let train: Vec<usize> = (0..rows).filter(|row| test.binary_search(row).is_err()).collect();
        let config = ProtocolConfig { seed: config.seed.wrapping_add(index), ..config.clone() };
        Ok((deal(&config, &train)?, train))
    };
    (first as u64..).zip(tests).map(of_shuffle).collect()
}

/// Rows of each class, shuffled, until the share of all rows up to and with that class is reached.
///
/// Where classes are `many`, they come in an order of the shuffle's own: of classes of one row each, a fixed order would always
/// reach its share at the same ones.
fn draw_rows((seed, index): (u64, usize), share: f64, (labels, many): (&[usize], bool)) -> Vec<usize> {
    let mut random = random_numbers(seed);
    random.set_stream(FIRST_STREAM + index as u64);
    let mut classes: Vec<Vec<usize>> = vec![Vec::new(); labels.iter().max().map_or(0, |&highest| highest + 1)];
    labels.iter().enumerate().for_each(|(row, &class)| classes[class].push(row));
    if many {
        shuffle(&mut classes, &mut random);
    }
    let (mut test, mut seen) = (Vec::new(), 0);
    for mut rows in classes {
        shuffle(&mut rows, &mut random);
        seen += rows.len();
        test.extend(rows.into_iter().take(share_of(share, seen).saturating_sub(test.len())));
    }
    test.sort_unstable();
    test
}

/// Rows of whole groups, each of which brings the classes' shares nearer to `share`.
fn draw_groups((seed, index): (u64, usize), share: f64, (labels, groups): (&[usize], &[usize])) -> Vec<usize> {
    let classes = labels.iter().max().map_or(0, |&highest| highest + 1);
    let mut sizes = vec![0.0; classes];
    let mut inside = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (row, (&class, &group)) in labels.iter().zip(groups).enumerate() {
        sizes[class] += 1.0;
        inside.entry(group).or_default().push(row);
    }
    let inside: Vec<Vec<usize>> = inside.into_values().collect();
    let mut order: Vec<usize> = (0..inside.len()).collect();
    let mut random = random_numbers(seed);
    random.set_stream(FIRST_STREAM + index as u64);
    shuffle(&mut order, &mut random);
    // Of each class without rows the share is 0 / 0: none is asked for.
    let distance = |counts: &[f64]| -> f64 {
        let shares = counts.iter().zip(&sizes).filter(|(_, size)| **size > 0.0);
        shares.map(|(count, size)| (count / size - share).powi(2)).sum()
    };
    let (mut test, mut counts) = (Vec::new(), vec![0.0; classes]);
    for group in order {
        let mut with = counts.clone();
        inside[group].iter().for_each(|&row| with[labels[row]] += 1.0);
        if distance(&with) < distance(&counts) {
            counts = with;
            test.extend(&inside[group]);
        }
    }
    test.sort_unstable();
    test
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_gives_its_share_to_within_a_row() {
        let labels: Vec<usize> = (0..103).map(|row| [0, 0, 0, 1, 2, 2][row % 6]).collect();
        for index in 0..20 {
            let test = draw_rows((5, index), 0.25, (&labels, false));
            assert_eq!(test.len(), 26);
            for class in 0..3 {
                let of =
                    |rows: &mut dyn Iterator<Item = usize>| rows.filter(|&row| labels[row] == class).count() as f64;
                let (all, tested) = (of(&mut (0..103)), of(&mut test.iter().copied()));
                assert!((tested - 0.25 * all).abs() <= 1.0, "class {class}: {tested} of {all}");
            }
        }
    }

    #[test]
    fn what_each_class_gives_is_known_beforehand() {
        for (sizes, share) in
            [(vec![6, 6], 0.25), (vec![51, 17, 35], 0.25), (vec![1, 1, 1, 1, 1], 0.4), (vec![3, 90], 0.9)]
        {
            let labels: Vec<usize> =
                sizes.iter().enumerate().flat_map(|(class, &n)| std::iter::repeat_n(class, n)).collect();
            let test = draw_rows((5, 0), share, (&labels, false));
            let drawn: Vec<usize> =
                (0..sizes.len()).map(|class| test.iter().filter(|&&row| labels[row] == class).count()).collect();
            assert_eq!(Shuffles { count: 1, test_share: share }.scored_of(&sizes), drawn, "{sizes:?}");
        }
    }

    #[test]
    fn rows_that_are_alone_in_their_class_take_turns() {
        let labels: Vec<usize> = (0..40).collect();
        let tests: Vec<Vec<usize>> = (0..40).map(|index| draw_rows((5, index), 0.25, (&labels, true))).collect();
        assert!(tests.iter().all(|test| test.len() == 10) && tests[0] != tests[1]);
        assert!((0..40).all(|row| tests.iter().any(|test| test.contains(&row))));
    }

    #[test]
    fn shuffles_differ_and_do_not_hang_on_their_number() {
        let labels: Vec<usize> = (0..40).map(|row| row % 2).collect();
        let rows = ndarray::Array2::<f32>::zeros((40, 1));
        let data = Dataset { rows: &rows, labels: &labels, classes: 2, groups: None };
        let few = drawn_tests(1, &Shuffles { count: 2, test_share: 0.25 }, (&data, false)).unwrap();
        let many = drawn_tests(1, &Shuffles { count: 5, test_share: 0.25 }, (&data, false)).unwrap();
        assert_eq!(few, many[..2]);
        assert_ne!(few[0], few[1]);
        assert_ne!(few, drawn_tests(2, &Shuffles { count: 2, test_share: 0.25 }, (&data, false)).unwrap());
    }

    #[test]
    fn groups_are_drawn_whole_and_near_the_share() {
        let groups: Vec<usize> = (0..120).map(|row| row / 4).collect();
        let labels: Vec<usize> = groups.iter().map(|group| group % 3).collect();
        for index in 0..20 {
            let test = draw_groups((0, index), 0.25, (&labels, &groups));
            let whole = |group: usize| test.iter().filter(|&&row| groups[row] == group).count();
            assert!((0..30).all(|group| [0, 4].contains(&whole(group))));
            assert!((24..=36).contains(&test.len()), "{}", test.len());
        }
    }

    #[test]
    fn the_standard_error_is_nadeau_and_bengios() {
        // 3 shuffles of 100 rows, 25 scored: accuracies 0.8, 0.88, 0.84; s² = 0.0016, (1/3 + 1/3) s² = 0.00106667.
        let scores = [20, 22, 21].map(|correct| Score { correct, total: 25 });
        let found = Spread::of(&scores, 100);
        assert!((found.mean - 0.84).abs() < 1e-12 && (found.min, found.max) == (0.8, 0.88));
        assert!((found.standard_error.unwrap() - 0.001_066_666_666_666f64.sqrt()).abs() < 1e-9);
        assert_eq!(Spread::of(&scores[..1], 100).standard_error, None);
    }
}

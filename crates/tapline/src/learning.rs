//! How accuracy grows with the pictures to learn from, and what more of them would probably bring.

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use tapline_compare::{LearningCurve, NestedConfig, Resampling, fit_power_law, nested_subsets};
use tapline_core::Digest;
use tapline_probe::{Dataset, ProtocolConfig, Role, holdout};
use tapline_report::{LearningFit, LearningPoint};

use crate::classes::Labelled;
use crate::features::Features;
use crate::groups::Groups;
use crate::output::{count, points};
use crate::plan::held_out;
use crate::probes::Probes;
use crate::progress;
use crate::scores::{keep, kept_as, read_kept};
use crate::stores::Stores;

/// Orders in which the training pictures of a fixed split are taken, and shuffles that are looked at; where folds take turns,
/// each fold is held out once.
const ORDERS: usize = 5;
/// Folds that choose the strength of each size, and so pictures that each class has at least.
const FOLDS: usize = 3;
/// Decades of strengths tried: the curve's shape needs no finer choice, and takes a fifth of the time.
const DECADES: std::ops::RangeInclusive<i32> = -5..=4;
/// Points that draw the law.
const STEPS: usize = 33;
/// Raised by hand whenever the same input comes to other errors.
const VERSION: u32 = 3;

/// Training rows in nested order and the rows held out, for each repeat.
struct Repeats {
    orders: Vec<Vec<usize>>,
    tests: Vec<Vec<usize>>,
    /// Rows learned from, ascending.
    sizes: Vec<usize>,
}

/// A learning curve and what it was fitted to.
pub struct Learned {
    /// The law and its intervals.
    pub curve: LearningCurve,
    /// Share wrong `[repeats, sizes]`.
    pub errors: Array2<f64>,
    /// What it says of more pictures.
    pub sentence: String,
}

/// What was measured, as it is kept.
#[derive(Serialize, Deserialize)]
struct Measured {
    /// Share wrong `[repeats × sizes]`.
    errors: Vec<f64>,
    fits: usize,
    not_converged: usize,
}

/// Everything the errors depend on.
#[derive(Serialize)]
struct Key<'a> {
    learning: u32,
    features: Digest,
    labels: &'a [usize],
    groups: Option<&'a [usize]>,
    orders: &'a [Vec<usize>],
    tests: &'a [Vec<usize>],
    sizes: &'a [usize],
    config: &'a ProtocolConfig,
}

/// The learning curve of a tap, or why there is none.
///
/// Each fold in turn is held out, as in the tap's own scores, and probes learn from nested subsets of the others, each half of
/// the next; so every picture is scored at every size, and the law's interval comes from resampled folds. Of a fixed split the
/// test pictures are held out, five times over; of shuffles the first five are taken.
pub fn curve(stores: &Stores, probes: &Probes, tap: usize) -> anyhow::Result<Result<Learned, String>> {
    let data = &probes.plan.data;
    let repeats = match repeats(probes) {
        Ok(repeats) => repeats,
        Err(reason) => return Ok(Err(reason)),
    };
    let store = stores.store_of(tap);
    let config = config(&probes.plan.config);
    let features = Features::of(store, &stores.taps[tap].taps, (data, config.max_bytes))?;
    let key = Key {
        learning: VERSION,
        features: features.digest()?,
        labels: &data.labels,
        groups: data.groups.as_ref().map(|groups| groups.of_row.as_slice()),
        orders: &repeats.orders,
        tests: &repeats.tests,
        sizes: &repeats.sizes,
        config: &config,
    };
    let kept = kept_as(store, &key)?;
    let wanted = repeats.tests.len() * repeats.sizes.len();
    let measured = match read_kept(&kept).filter(|measured: &Measured| measured.errors.len() == wanted) {
        Some(measured) => measured,
        None => {
            let measured = match features.with(|rows| measured(rows, (&repeats, &config))) {
                Ok(measured) => measured,
                // Groups, for one, may leave no folds in a small subset.
                Err(reason) => return Ok(Err(probes.plan.in_words(reason, config.folds).to_string())),
            };
            if let Err(error) = keep(&kept, &measured) {
                eprintln!("tapline: the learning curve cannot be kept for the next time: {error}");
            }
            measured
        }
    };
    let shape = (repeats.tests.len(), repeats.sizes.len());
    let Measured { errors, fits, not_converged } = measured;
    let errors = Array2::from_shape_vec(shape, errors)?;
    let resampling = Resampling { seed: probes.plan.config.seed, ..Resampling::default() };
    let law = fit_power_law(&resampling, &repeats.sizes, errors.view());
    let learned = |curve| {
        let mut sentence = sentence(&curve, data.groups.as_ref());
        if not_converged > 0 {
            sentence += &format!(" ({} of {} fits behind this did not converge.)", count(not_converged), count(fits));
        }
        Learned { curve, errors, sentence }
    };
    Ok(law.map(learned).map_err(|error| error.to_string()))
}

/// What twice the pictures would probably bring, as a sentence; subsets are of pictures, so of the groups there are.
fn sentence(curve: &LearningCurve, groups: Option<&Groups>) -> String {
    let of_groups = groups.map_or(String::new(), |groups| format!(", of the same groups ({}),", groups.column));
    let largest = count(curve.sizes.last().copied().unwrap_or_default());
    let interval = match curve.gain.interval {
        Some((low, high)) => format!(" (95 % interval {} to {})", points(low), points(high)),
        None => String::new(),
    };
    match points(curve.gain.value).as_str() {
        "0.0" => {
            format!("Twice the {largest} pictures learned from{of_groups} would probably bring nothing{interval}.")
        }
        gain => format!(
            "Twice the {largest} pictures learned from{of_groups} would probably bring {gain} points{interval}."
        ),
    }
}

/// The curve as a report draws it: what was measured with the range over the repeats, and the law up to twice the pictures.
pub fn drawn(learned: &Learned, tap: usize) -> tapline_report::LearningCurve {
    let Learned { curve, errors, sentence } = learned;
    let right = |error: f64| (1.0 - error).clamp(0.0, 1.0);
    let point = |(size, &pictures): (usize, &usize)| {
        let of_size = errors.column(size);
        let (low, high) = (of_size.iter().copied().fold(1.0, f64::min), of_size.iter().copied().fold(0.0, f64::max));
        LearningPoint { pictures, accuracy: right(curve.errors[size]), interval: (right(high), right(low)) }
    };
    let (first, last) = (curve.sizes[0], curve.sizes[curve.sizes.len() - 1]);
    let doubled = curve.doubled;
    let at = |pictures: usize| {
        let accuracy = right(curve.law.error(pictures as f64));
        let interval = match doubled.interval {
            Some((low, high)) if pictures == 2 * last => (right(high), right(low)),
            _ => (accuracy, accuracy),
        };
        LearningPoint { pictures, accuracy, interval }
    };
    let mut sizes: Vec<usize> = (0..STEPS)
        .map(|step| {
            (first as f64 * (2.0 * last as f64 / first as f64).powf(step as f64 / (STEPS - 1) as f64)).round() as usize
        })
        .collect();
    sizes.extend([last, 2 * last]);
    sizes.sort_unstable();
    sizes.dedup();
    tapline_report::LearningCurve {
        tap,
        points: curve.sizes.iter().enumerate().map(point).collect(),
        fit: Some(LearningFit { curve: sizes.into_iter().map(at).collect(), sentence: sentence.clone() }),
    }
}

/// Every decade of strengths, and few folds; strengths that were typed stay.
fn config(asked: &ProtocolConfig) -> ProtocolConfig {
    let decades: Vec<f64> = DECADES.map(|decade| 10f64.powi(decade)).collect();
    let grid = if asked.grid == ProtocolConfig::default().grid { decades } else { asked.grid.clone() };
    ProtocolConfig { folds: FOLDS, grid, control: false, ..asked.clone() }
}

fn repeats(probes: &Probes) -> Result<Repeats, String> {
    let data = &probes.plan.data;
    let first = &probes.evaluations[0];
    let (trains, tests): (Vec<Vec<usize>>, Vec<Vec<usize>>) = match data.split {
        Some(_) => (vec![data.with_role(Role::Train); ORDERS], vec![data.with_role(Role::Test); ORDERS]),
        None => {
            let turns = |fold: usize| (probes.plan.learned_from(first, fold), held_out(first, fold));
            (0..probes.plan.shuffles.map_or(probes.plan.config.folds, |shuffles| shuffles.count.min(ORDERS)))
                .map(turns)
                .unzip()
        }
    };
    let mut orders: Vec<Vec<usize>> = Vec::new();
    for (repeat, train) in (0..).zip(&trains) {
        let labels: Vec<usize> = train.iter().map(|&row| data.labels[row]).collect();
        let config = NestedConfig { repeats: 1, least: FOLDS, seed: probes.plan.config.seed.wrapping_add(repeat) };
        let nested = nested_subsets(&labels, &config).map_err(|_| few(data))?;
        orders.push(nested.orders[0].iter().map(|&position| train[position]).collect());
    }
    // Of repeats that differ in size, as those of groups do, the smallest subset of each must hold enough of each class.
    let fewest = orders.iter().map(Vec::len).min().unwrap_or(0);
    let is_enough = |size: &usize| {
        orders.iter().all(|order| {
            let mut of_class = vec![0; data.names.len()];
            order[..*size].iter().for_each(|&row| of_class[data.labels[row]] += 1);
            of_class.iter().all(|&rows| rows >= FOLDS)
        })
    };
    let mut sizes: Vec<usize> = (0..).map(|halving| fewest >> halving).take_while(is_enough).collect();
    sizes.reverse();
    if sizes.len() < 3 { Err(few(data)) } else { Ok(Repeats { orders, tests, sizes }) }
}

fn few(data: &Labelled) -> String {
    let smallest = data.to_learn_from().classes().iter().map(|class| class.pictures).min().unwrap_or_default();
    format!(
        "a learning curve takes {FOLDS} pictures of each class in a quarter of those learned from, and the smallest class has \
         {smallest}"
    )
}

/// Probes of all repeats and sizes, scored on the pictures held out.
fn measured(
    rows: Dataset<'_>,
    (repeats, config): (&Repeats, &ProtocolConfig),
) -> Result<Measured, tapline_probe::Error> {
    let fits = config.holdout_fits()? * repeats.tests.len() * repeats.sizes.len();
    let bar = progress::bar("learning curve", fits, "fits");
    let mut errors = Array2::zeros((repeats.tests.len(), repeats.sizes.len()));
    let mut not_converged = 0;
    for ((repeat, size), error) in errors.indexed_iter_mut() {
        let mut roles = vec![Role::Unused; rows.labels.len()];
        repeats.tests[repeat].iter().for_each(|&row| roles[row] = Role::Test);
        repeats.orders[repeat][..repeats.sizes[size]].iter().for_each(|&row| roles[row] = Role::Train);
        let found = holdout(config, rows, &roles, &|| bar.inc(1))?;
        not_converged += found.not_converged.len();
        *error = 1.0 - found.score().accuracy();
    }
    bar.finish_and_clear();
    Ok(Measured { errors: errors.into_iter().collect(), fits, not_converged })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_curve_of_groups_speaks_of_the_same_groups() {
        let errors = array![[0.40, 0.30, 0.22], [0.42, 0.31, 0.24], [0.38, 0.29, 0.23]];
        let curve = fit_power_law(&Resampling::default(), &[10, 20, 40], errors.view()).expect("a law");
        let groups = Groups { column: "patient".to_owned(), names: vec!["p1".to_owned()], of_row: vec![0; 40] };
        let start = "Twice the 40 pictures learned from";
        assert!(sentence(&curve, None).starts_with(&format!("{start} would probably bring")));
        assert!(sentence(&curve, Some(&groups)).starts_with(&format!("{start}, of the same groups (patient), would")));
    }
}

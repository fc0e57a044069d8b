//! Rows with targets other than classes, checked once, and dealt into folds: labels that do not exclude each other, or numbers.

use std::collections::BTreeMap;

use ndarray::Array2;
use tapline_solver::RowSource;

use crate::grouped::{deal_evenly, rows_of_groups};
use crate::labelled::check_values;
use crate::protocol::Folds;
use crate::{Dataset, Error, ProtocolConfig, Solver};

/// What rows are to be fitted to, where classes that exclude each other do not say it.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// Labels that do not exclude each other, each a logistic regression of its own against the rest: `[rows, labels]`, each 0
    /// or 1.
    Labels(&'a Array2<f64>),
    /// Numbers in any unit, by ridge regression: `[rows, targets]`.
    Numbers(&'a Array2<f64>),
}

/// Features with their targets.
#[derive(Clone, Copy)]
pub struct Targeted<'a> {
    /// Features `[rows, columns]`.
    pub rows: &'a dyn RowSource,
    /// What they are to be fitted to.
    pub targets: Targets<'a>,
    /// Group of each row `[rows]`, as in [`Labelled`](crate::Labelled).
    pub groups: Option<&'a [usize]>,
}

impl<'a> Targets<'a> {
    /// Their numbers `[rows, outputs]`.
    pub(crate) fn values(self) -> &'a Array2<f64> {
        match self {
            Self::Labels(values) | Self::Numbers(values) => values,
        }
    }

    /// A number for each row's combination of labels `[rows]`, and how many there are; one for all rows with numbers.
    pub(crate) fn combinations(self) -> (Vec<usize>, usize) {
        let Self::Labels(values) = self else { return (vec![0; self.values().nrows()], 1) };
        let of_row = |row: usize| values.row(row).iter().map(|&value| value == 1.0).collect::<Vec<bool>>();
        let rows: Vec<Vec<bool>> = (0..values.nrows()).map(of_row).collect();
        let mut numbers: BTreeMap<&[bool], usize> = rows.iter().map(|row| (row.as_slice(), 0)).collect();
        numbers.values_mut().enumerate().for_each(|(number, value)| *value = number);
        (rows.iter().map(|row| numbers[row.as_slice()]).collect(), numbers.len())
    }
}

/// Numbers beyond it are refused, since squares of their sums have to be finite.
const LARGEST: f64 = 1e100;
/// Differences up to it are none, since their squares have to be more than nothing.
const SMALLEST: f64 = 1e-100;

/// What can be wrong with a configuration for targets that are no classes.
pub(crate) fn check_config(config: &ProtocolConfig) -> Result<(), Error> {
    let asked = [
        (config.solver == Solver::LinfaLogistic, "linfa-logistic"),
        (config.balanced, "class balance"),
        (config.control, "a control"),
    ];
    match asked.into_iter().find(|(is_asked, _)| *is_asked) {
        Some((_, what)) => Err(Error::ForClassesAlone { what }),
        None => Ok(()),
    }
}

/// What can be wrong with rows, whatever they are used for.
pub(crate) fn check_targeted(data: &Targeted<'_>) -> Result<(), Error> {
    let ((rows, columns), values) = (data.rows.dim(), data.targets.values());
    if rows == 0 || columns == 0 {
        return Err(Error::Empty { rows, columns });
    }
    if values.nrows() != rows {
        return Err(Error::LabelCount { rows, labels: values.nrows() });
    }
    if values.ncols() == 0 {
        return Err(Error::NoTarget);
    }
    if let Some(groups) = data.groups.filter(|groups| groups.len() != rows) {
        return Err(Error::GroupCount { rows, groups: groups.len() });
    }
    let bad = |value: f64| match data.targets {
        Targets::Labels(_) => value != 0.0 && value != 1.0,
        Targets::Numbers(_) => value.is_nan() || value.abs() > LARGEST,
    };
    if let Some(((row, target), &value)) = values.indexed_iter().find(|&(_, &value)| bad(value)) {
        return Err(match data.targets {
            Targets::Labels(_) => Error::NotALabel { row, label: target, value },
            Targets::Numbers(_) => Error::BadTarget { row, target, value },
        });
    }
    check_values(&Dataset { rows: data.rows, labels: &[], classes: 0, groups: None })
}

/// That the rows numbered in `learned` show more than one value of each target.
pub(crate) fn check_varied(targets: Targets<'_>, learned: &[usize]) -> Result<(), Error> {
    let values = targets.values();
    let Some(&first) = learned.first() else { return Err(Error::NoTrainingRow) };
    let constant = |target: &usize| {
        learned.iter().all(|&row| (values[[row, *target]] - values[[first, *target]]).abs() <= SMALLEST)
    };
    let Some(target) = (0..values.ncols()).find(constant) else { return Ok(()) };
    let value = values[[first, target]];
    Err(match targets {
        Targets::Labels(_) => Error::OneSidedLabel { label: target, side: u8::from(value == 1.0) },
        Targets::Numbers(_) => Error::ConstantTarget { target, value },
    })
}

/// Folds of the rows numbered in `chosen`, groups whole, rows without groups one by one, in random order: each goes to the fold
/// that has the smallest share of what it holds, as in [`grouped_folds`](crate::grouped_folds).
///
/// Of labels, what it holds is counted for both sides of each label, so that a rare label weighs most (Sechidis, Tsoumakas and
/// Vlahavas, "On the stratification of multi-label data", 2011, deal by the rarest label alone); of numbers, rows are counted. Both
/// sides of each label lie in at least `least` folds.
///
/// # Errors
/// For folds that cannot be dealt, targets that do not vary and a label of which a side lies in fewer folds.
pub(crate) fn deal_targets(
    config: &ProtocolConfig,
    data: &Targeted<'_>,
    (chosen, least): (&[usize], usize),
) -> Result<Folds, Error> {
    check_varied(data.targets, chosen)?;
    let folds = config.folds;
    if folds < 3 {
        return Err(Error::FewFolds { folds });
    }
    let rows_of = match data.groups {
        Some(groups) => rows_of_groups(&chosen.iter().map(|&row| groups[row]).collect::<Vec<_>>()),
        None => (0..chosen.len()).map(|row| vec![row]).collect(),
    };
    if rows_of.len() < folds {
        return Err(match data.groups {
            Some(_) => Error::FewGroups { groups: rows_of.len(), folds },
            None => Error::FoldsExceedRows { folds, rows: chosen.len() },
        });
    }
    let counts = |rows: &[usize]| match data.targets {
        Targets::Numbers(_) => vec![rows.len()],
        Targets::Labels(values) => {
            let mut counts = vec![0; 2 * values.ncols()];
            for &row in rows {
                values
                    .row(chosen[row])
                    .iter()
                    .enumerate()
                    .for_each(|(label, &side)| counts[2 * label + side as usize] += 1);
            }
            counts
        }
    };
    let of_row = deal_evenly(&rows_of, &counts, folds, config.seed);
    if let Targets::Labels(values) = data.targets {
        check_sides(values, (chosen, &of_row), (folds, least))?;
    }
    Ok(Folds { of_row, count: folds })
}

/// That both sides of each label lie in at least `least` folds.
fn check_sides(
    values: &Array2<f64>,
    (chosen, fold_of): (&[usize], &[usize]),
    (folds, least): (usize, usize),
) -> Result<(), Error> {
    let mut seen = Array2::from_elem((2 * values.ncols(), folds), false);
    for (&row, &fold) in chosen.iter().zip(fold_of) {
        values.row(row).iter().enumerate().for_each(|(label, &side)| seen[[2 * label + side as usize, fold]] = true);
    }
    for (kind, folds) in seen.outer_iter().enumerate() {
        let found = folds.iter().filter(|&&seen| seen).count();
        if found < least {
            return Err(Error::LabelInFewFolds { label: kind / 2, side: (kind % 2) as u8, found, least });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn check(targets: Targets<'_>, expected: &str) {
        let rows = Array2::<f32>::zeros((4, 1));
        let data = Targeted { rows: &rows, targets, groups: None };
        let config = ProtocolConfig { folds: 3, ..ProtocolConfig::default() };
        let all: Vec<usize> = (0..4).collect();
        let error =
            check_targeted(&data).and_then(|()| deal_targets(&config, &data, (&all, 3)).map(|_| ())).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn targets_that_cannot_be_fitted_are_refused() {
        let expected = "row 2, label 1 is 0.5: a label is 1 where a row has it and 0 where it has not";
        check(Targets::Labels(&array![[0.0, 1.0], [1.0, 0.0], [0.0, 0.5], [0.0, 0.0]]), expected);
        let expected = "every row to learn from has label 0: add rows without it or drop the label";
        check(Targets::Labels(&array![[1.0], [1.0], [1.0], [1.0]]), expected);
        let expected = "no row to learn from has label 1: add rows with it or drop the label";
        check(Targets::Labels(&array![[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), expected);
        let expected = "row 1 of target 0 is NaN: give a number within ±1e100 or leave the row out";
        check(Targets::Numbers(&array![[1.0], [f64::NAN], [2.0], [3.0]]), expected);
        let expected = "row 2 of target 0 is -1e200: give a number within ±1e100 or leave the row out"
            .replace("1e200", &format!("{}", 1e200));
        check(Targets::Numbers(&array![[1.0], [0.0], [-1e200], [3.0]]), &expected);
        let expected = "target 0 is 2.5 in every row to learn from: nothing can be learned of it, drop the target";
        check(Targets::Numbers(&array![[2.5], [2.5], [2.5], [2.5]]), expected);
        let expected = "4 rows came with 3 labels: give one label for each row";
        check(Targets::Numbers(&array![[2.5], [2.0], [2.5]]), expected);
        let expected = "the rows without label 0 lie in 2 folds, and every training set has one only from 3 on: add such \
                        rows, use other folds or drop the label";
        check(Targets::Labels(&array![[1.0], [1.0], [0.0], [0.0]]), expected);
    }

    #[test]
    fn folds_are_even_in_rows_and_in_each_label() {
        for seed in 0..20 {
            let has = |row: usize, label: usize| match label {
                0 => row.is_multiple_of(2),
                1 => row % 13 == 3,
                _ => !row.is_multiple_of(7),
            };
            let values = Array2::from_shape_fn((104, 3), |(row, label)| f64::from(u8::from(has(row, label))));
            let rows = Array2::<f32>::zeros((104, 1));
            let data = Targeted { rows: &rows, targets: Targets::Labels(&values), groups: None };
            let config = ProtocolConfig { folds: 4, seed, ..ProtocolConfig::default() };
            let folds = deal_targets(&config, &data, (&(0..104).collect::<Vec<_>>(), 3)).unwrap();
            let spread = |chosen: &dyn Fn(usize) -> bool| {
                let sizes = (0..4).map(|fold| folds.inside(fold).into_iter().filter(|&row| chosen(row)).count());
                let sizes: Vec<usize> = sizes.collect();
                sizes.iter().max().unwrap() - sizes.iter().min().unwrap()
            };
            assert!(spread(&|row| has(row, 1)) <= 1, "the rare label, seed {seed}");
            assert!(spread(&|_| true) <= 6, "all rows, seed {seed}");
            assert!((0..3).all(|label| spread(&|row| has(row, label)) <= 4), "seed {seed}");
        }
    }

    #[test]
    fn rows_with_numbers_are_dealt_like_cards_and_groups_whole() {
        let (rows, values) = (Array2::<f32>::zeros((50, 1)), Array2::from_shape_fn((50, 1), |(row, _)| row as f64));
        let data = Targeted { rows: &rows, targets: Targets::Numbers(&values), groups: None };
        let (config, all) = (ProtocolConfig::default(), (0..50).collect::<Vec<_>>());
        let folds = deal_targets(&config, &data, (&all, 3)).unwrap();
        assert!((0..5).all(|fold| folds.inside(fold).len() == 10));
        let groups: Vec<usize> = (0..50).map(|row| row / 2).collect();
        let folds = deal_targets(&config, &Targeted { groups: Some(&groups), ..data }, (&all, 3)).unwrap();
        assert!((0..25).all(|group| folds.of_row[2 * group] == folds.of_row[2 * group + 1]));
    }

    #[test]
    fn each_combination_of_labels_has_a_number() {
        let values = array![[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]];
        assert_eq!(Targets::Labels(&values).combinations(), (vec![1, 2, 1, 0], 3));
        assert_eq!(Targets::Numbers(&values).combinations(), (vec![0; 4], 1));
    }
}

//! Rows dealt into folds: at random, by a seed, and alike in their classes.

use crate::Error;
use crate::grouped::rows_of_groups;
use crate::random::{random_numbers, shuffle};

/// Fold of each row `[rows]`, from 0 to `folds − 1`, by labels and seed alone.
///
/// The rows of each class, in the order of the listing, are shuffled; then all classes, one after the other, are dealt
/// like cards. So the folds differ by at most one row, in each class and in all. The same labels in the same order with the
/// same seed give the same folds on every machine (ChaCha8, Fisher and Yates' shuffle).
///
/// # Errors
/// For fewer than 3 folds (one to score on, one to choose a strength on, one to learn from), more folds than rows, rows of
/// one class only, and a class with fewer rows than folds.
pub fn stratified_folds(labels: &[usize], folds: usize, seed: u64) -> Result<Vec<usize>, Error> {
    let classes = rows_of_groups(labels);
    check_folds(labels, &classes, folds)?;
    let mut random = random_numbers(seed);
    let mut fold_of = vec![0; labels.len()];
    let mut dealt = 0;
    for mut rows in classes {
        shuffle(&mut rows, &mut random);
        for row in rows {
            fold_of[row] = dealt % folds;
            dealt += 1;
        }
    }
    Ok(fold_of)
}

fn check_folds(labels: &[usize], classes: &[Vec<usize>], folds: usize) -> Result<(), Error> {
    if folds < 3 {
        return Err(Error::FewFolds { folds });
    }
    if folds > labels.len() {
        return Err(Error::FoldsExceedRows { folds, rows: labels.len() });
    }
    if labels.iter().all(|&class| class == labels[0]) {
        return Err(Error::OneClass { class: labels[0] });
    }
    match classes.iter().find(|rows| rows.len() < folds) {
        Some(rows) => Err(Error::SmallClass { class: labels[rows[0]], rows: rows.len(), folds }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_even(labels: &[usize], folds: usize, seed: u64) {
        let fold_of = stratified_folds(labels, folds, seed).unwrap();
        let spread = |chosen: &dyn Fn(usize) -> bool| {
            let mut sizes = vec![0; folds];
            (0..labels.len()).filter(|&row| chosen(row)).for_each(|row| sizes[fold_of[row]] += 1);
            sizes.iter().max().unwrap() - sizes.iter().min().unwrap()
        };
        assert!(spread(&|_| true) <= 1, "all rows");
        for class in 0..=*labels.iter().max().unwrap() {
            assert!(spread(&|row| labels[row] == class) <= 1, "class {class}");
        }
    }

    fn check_error(labels: &[usize], folds: usize, expected: &str) {
        assert_eq!(stratified_folds(labels, folds, 0).unwrap_err().to_string(), expected);
    }

    #[test]
    fn folds_are_even_in_each_class_and_in_all() {
        for seed in 0..50 {
            let rows = 40 + 7 * seed as usize;
            let classes = 2 + seed as usize % 4;
            let labels: Vec<usize> = (0..rows).map(|row| if row % 2 == 0 { row / 2 % classes } else { 0 }).collect();
            check_even(&labels, 3 + seed as usize % 3, seed);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_folds_everywhere() {
        let labels = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1];
        assert_eq!(stratified_folds(&labels, 3, 7), stratified_folds(&labels, 3, 7));
        assert_eq!(stratified_folds(&labels, 3, 7).unwrap(), PINNED);
    }

    #[test]
    fn another_seed_gives_other_folds() {
        let labels: Vec<usize> = (0..60).map(|row| row % 2).collect();
        assert_ne!(stratified_folds(&labels, 3, 7), stratified_folds(&labels, 3, 8));
    }

    #[test]
    fn renaming_a_class_that_keeps_its_place_changes_nothing() {
        let labels = [0, 1, 0, 1, 0, 1];
        assert_eq!(
            stratified_folds(&labels, 3, 1),
            stratified_folds(&labels.map(|class| class * 4_000_000_000_000), 3, 1)
        );
    }

    #[test]
    fn two_folds_are_too_few() {
        let expected = "2 folds are too few: use at least 3, so that strength and score come from different rows";
        check_error(&[0, 1, 0, 1], 2, expected);
    }

    #[test]
    fn more_folds_than_rows_are_refused() {
        check_error(&[0, 1, 1], 4, "4 folds need at least 4 rows, found 3: use fewer folds or more rows");
    }

    #[test]
    fn rows_of_one_class_cannot_be_folded() {
        check_error(&[1, 1, 1], 3, "every row has class 1: a probe needs rows of at least two classes");
    }

    #[test]
    fn a_class_smaller_than_the_folds_is_named_with_its_rows() {
        let expected = "class 1 has 2 rows for 3 folds: use fewer folds, add rows or drop the class";
        check_error(&[0, 0, 0, 1, 1], 3, expected);
    }

    /// Folds of twelve rows of two classes in turn, dealt to three folds by seed 7.
    const PINNED: [usize; 12] = [2, 2, 1, 0, 1, 1, 2, 1, 0, 2, 0, 0];
}

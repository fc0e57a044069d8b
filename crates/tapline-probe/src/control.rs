//! The control of a protocol: labels that features cannot know, in the same folds.

use std::borrow::Cow;

use crate::random::{random_numbers, shuffle};
use crate::{Dataset, ProtocolConfig};

/// The labels `[rows]` a protocol works with: as given, or for a control shuffled within each fold.
///
/// Every fold keeps its rows and its classes' counts, so that whatever a probe scores beyond the largest class's share is
/// a fault of the protocol or luck (Ojala and Garriga, "Permutation tests for studying classifier performance", 2010).
pub(crate) fn control_labels<'a>(config: &ProtocolConfig, labels: &'a [usize], fold_of: &[usize]) -> Cow<'a, [usize]> {
    match config.control {
        true => shuffled_within(labels, fold_of, config.seed).into(),
        false => labels.into(),
    }
}

/// The same rows with other labels `[rows]`.
pub(crate) fn relabelled<'a>(data: &Dataset<'a>, labels: &'a [usize]) -> Dataset<'a> {
    Dataset { labels, ..*data }
}

fn shuffled_within(labels: &[usize], fold_of: &[usize], seed: u64) -> Vec<usize> {
    let mut random = random_numbers(seed);
    // Other numbers than those the folds were dealt by.
    random.set_stream(1);
    let mut shuffled = labels.to_vec();
    for fold in 0..fold_of.iter().max().map_or(0, |&highest| highest + 1) {
        let rows: Vec<usize> = (0..labels.len()).filter(|&row| fold_of[row] == fold).collect();
        let mut inside: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
        shuffle(&mut inside, &mut random);
        rows.into_iter().zip(inside).for_each(|(row, label)| shuffled[row] = label);
    }
    shuffled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fold_keeps_its_classes() {
        let labels: Vec<usize> = (0..60).map(|row| row % 3).collect();
        let fold_of: Vec<usize> = (0..60).map(|row| row / 20).collect();
        let shuffled = shuffled_within(&labels, &fold_of, 4);
        assert_ne!(shuffled, labels);
        assert_eq!(shuffled, shuffled_within(&labels, &fold_of, 4));
        for (fold, class) in (0..3).flat_map(|fold| (0..3).map(move |class| (fold, class))) {
            let count = |of: &[usize]| (0..60).filter(|&row| fold_of[row] == fold && of[row] == class).count();
            assert_eq!(count(&shuffled), count(&labels));
        }
    }
}

//! Which rows of a store being written have which taps: the writer's memory, without any file.

use std::collections::HashMap;

use super::writer::Group;
use crate::Digest;

/// The state of every row.
pub(crate) struct RowStates {
    digests: Vec<Option<Digest>>,
    /// Why rows have no features, of the few that have none.
    skipped: HashMap<usize, String>,
    /// `[rows, taps]`
    has: Vec<bool>,
    taps: usize,
}

impl RowStates {
    /// No row has anything.
    pub(crate) fn new(rows: usize, taps: usize) -> Self {
        Self { digests: vec![None; rows], skipped: HashMap::new(), has: vec![false; rows * taps], taps }
    }

    pub(crate) fn len(&self) -> usize {
        self.digests.len()
    }

    pub(crate) fn digest(&self, row: usize) -> Option<Digest> {
        self.digests[row]
    }

    pub(crate) fn skipped(&self, row: usize) -> Option<&str> {
        self.skipped.get(&row).map(String::as_str)
    }

    /// Whether the row has all taps or is skipped.
    pub(crate) fn is_done(&self, row: usize) -> bool {
        self.skipped(row).is_some() || self.taps_of(row).iter().all(|&has| has)
    }

    /// Whether the row has features of other taps than these.
    pub(crate) fn has_others(&self, row: usize, taps: &[usize]) -> bool {
        self.taps_of(row).iter().enumerate().any(|(tap, &has)| has && !taps.contains(&tap))
    }

    /// The row has the features of a tap, computed from the picture with this digest.
    pub(crate) fn add(&mut self, row: usize, tap: usize, digest: Digest) {
        self.digests[row] = Some(digest);
        self.skipped.remove(&row);
        self.has[row * self.taps + tap] = true;
    }

    /// The row has no features, for this reason.
    pub(crate) fn skip(&mut self, row: usize, digest: Option<Digest>, reason: &str) {
        self.digests[row] = digest;
        self.skipped.insert(row, reason.to_owned());
        self.has[row * self.taps..(row + 1) * self.taps].fill(false);
    }

    /// The rows that are not done, grouped by the taps they lack, groups in the order of their first rows.
    pub(crate) fn missing(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<&[bool], usize> = HashMap::new();
        for row in (0..self.len()).filter(|&row| !self.is_done(row)) {
            let has = self.taps_of(row);
            let place = *places.entry(has).or_insert_with(|| {
                let taps = (0..self.taps).filter(|&tap| !has[tap]).collect();
                groups.push(Group { taps, rows: Vec::new() });
                groups.len() - 1
            });
            groups[place].rows.push(row);
        }
        groups
    }

    fn taps_of(&self, row: usize) -> &[bool] {
        &self.has[row * self.taps..(row + 1) * self.taps]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_grouped_by_the_taps_they_lack() {
        let mut rows = RowStates::new(5, 2);
        let digest = Digest::of(b"");
        rows.add(0, 0, digest);
        rows.add(0, 1, digest);
        rows.add(2, 1, digest);
        rows.add(4, 1, digest);
        let groups = [Group { taps: vec![0, 1], rows: vec![1, 3] }, Group { taps: vec![0], rows: vec![2, 4] }];
        assert_eq!(rows.missing(), groups);
        rows.skip(1, None, "broken");
        rows.skip(3, None, "broken");
        assert_eq!(rows.missing(), groups[1..]);
    }

    #[test]
    fn a_skipped_row_that_is_stored_after_all_is_no_longer_skipped() {
        let mut rows = RowStates::new(1, 1);
        rows.skip(0, None, "broken");
        assert!(rows.is_done(0));
        rows.add(0, 0, Digest::of(b""));
        assert_eq!((rows.skipped(0), rows.is_done(0)), (None, true));
    }
}

//! The pictures of an extraction in order, held small: files that lie where their paths say need no other place.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::texts::{GrowingWords, Texts, Words};
use crate::{Place, Sample, Skipped};

/// All pictures in order, and what was passed over. Row i of a store is sample i of its listing.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Entries of a folder that are not pictures by their name. A picture that cannot be read is among the samples.
    pub skipped: Vec<Skipped>,
    paths: Texts,
    places: Places,
    labels: Words,
    splits: Words,
    columns: Vec<String>,
    /// Of each column.
    extra: Vec<Words>,
}

impl Listing {
    /// A listing of samples, with the names of their further columns; files that lie where their paths say, from `folder` on, take the
    /// least memory.
    ///
    /// # Panics
    /// If a sample has values for more columns.
    pub fn of(folder: &Path, samples: impl IntoIterator<Item = Sample>, columns: Vec<String>) -> Self {
        let mut rows = ListingRows::below(folder);
        samples.into_iter().for_each(|sample| rows.push(sample));
        rows.finish(columns)
    }

    /// The same, with what was passed over.
    #[must_use]
    pub fn with_skipped(self, skipped: Vec<Skipped>) -> Self {
        Self { skipped, ..self }
    }

    /// Names of the user's further columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many pictures.
    pub fn rows(&self) -> usize {
        self.paths.len()
    }

    /// One picture.
    ///
    /// # Panics
    /// If there is no such row, as for the parts of it below.
    pub fn sample(&self, row: usize) -> Sample {
        let word = |word: Option<&str>| word.map(str::to_owned);
        Sample {
            place: self.place(row),
            path: self.path(row).to_owned(),
            label: word(self.label(row)),
            split: word(self.split(row)),
            extra: (0..self.columns.len()).map(|column| word(self.extra(row, column))).collect(),
        }
    }

    /// All pictures.
    pub fn samples(&self) -> impl Iterator<Item = Sample> {
        (0..self.rows()).map(|row| self.sample(row))
    }

    /// [`Sample::path`]
    pub fn path(&self, row: usize) -> &str {
        &self.paths[row]
    }

    /// [`Sample::place`]
    pub fn place(&self, row: usize) -> Place {
        match &self.places {
            Places::AsListed(folder) => Place::listed(folder, self.path(row)),
            Places::Each(places) => places[row].clone(),
        }
    }

    /// [`Sample::label`]
    pub fn label(&self, row: usize) -> Option<&str> {
        self.labels.get(row)
    }

    /// [`Sample::split`]
    pub fn split(&self, row: usize) -> Option<&str> {
        self.splits.get(row)
    }

    /// One of [`Sample::extra`]
    pub fn extra(&self, row: usize, column: usize) -> Option<&str> {
        self.extra[column].get(row)
    }

    /// Some of its rows.
    #[must_use]
    pub fn part(&self, rows: Range<usize>) -> Self {
        let folder = match &self.places {
            Places::AsListed(folder) => folder.as_path(),
            Places::Each(_) => Path::new(""),
        };
        let samples = rows.map(|row| self.sample(row));
        Self::of(folder, samples, self.columns.clone()).with_skipped(self.skipped.clone())
    }

    /// The first row whose path was there before, behind the one that had it.
    pub(crate) fn first_repeat(&self) -> Option<(usize, usize)> {
        let mut order: Vec<(&str, usize)> = self.paths.iter().zip(0..).collect();
        order.sort_unstable();
        let repeats = order.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        repeats.map(|pair| (pair[0].1, pair[1].1)).min_by_key(|&(_, second)| second)
    }
}

/// A listing that grows.
pub(crate) struct ListingRows {
    paths: Texts,
    places: Places,
    labels: GrowingWords,
    splits: GrowingWords,
    extra: Vec<GrowingWords>,
}

impl ListingRows {
    /// Of files that lie below a folder where their paths say, as long as they do.
    pub fn below(folder: &Path) -> Self {
        Self {
            paths: Texts::default(),
            places: Places::AsListed(folder.to_owned()),
            labels: GrowingWords::default(),
            splits: GrowingWords::default(),
            extra: Vec::new(),
        }
    }

    pub fn push(&mut self, sample: Sample) {
        let row = self.paths.len();
        if let Places::AsListed(folder) = &self.places
            && !is_same(&Place::listed(folder, &sample.path), &sample.place)
        {
            self.places = Places::Each(self.paths.iter().map(|path| Place::listed(folder, path)).collect());
        }
        if let Places::Each(places) = &mut self.places {
            places.push(sample.place);
        }
        self.paths.push(&sample.path);
        self.labels.push(sample.label.as_deref());
        self.splits.push(sample.split.as_deref());
        for (column, value) in sample.extra.iter().enumerate().filter(|(_, value)| value.is_some()) {
            if self.extra.len() <= column {
                self.extra.resize_with(column + 1, GrowingWords::default);
            }
            self.extra[column].pad(row);
            self.extra[column].push(value.as_deref());
        }
    }

    /// The listing, of which `columns` are the names.
    pub fn finish(mut self, columns: Vec<String>) -> Listing {
        let rows = self.paths.len();
        assert!(self.extra.len() <= columns.len(), "names for {} columns, not {}", self.extra.len(), columns.len());
        self.extra.resize_with(columns.len(), GrowingWords::default);
        self.extra.iter_mut().for_each(|words| words.pad(rows));
        self.paths.shrink();
        if let Places::Each(places) = &mut self.places {
            places.shrink_to_fit();
        }
        Listing {
            columns,
            skipped: Vec::new(),
            paths: self.paths,
            places: self.places,
            labels: self.labels.finish(),
            splits: self.splits.finish(),
            extra: self.extra.into_iter().map(GrowingWords::finish).collect(),
        }
    }
}

/// Whether places are written alike; paths that differ by a `.` or a slash lead to the same file, but are not.
fn is_same(a: &Place, b: &Place) -> bool {
    match (a, b) {
        (Place::File(a), Place::File(b)) => a.as_os_str() == b.as_os_str(),
        _ => a == b,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Places {
    /// Each picture is where its path says; relative ones begin at this folder.
    AsListed(PathBuf),
    Each(Vec<Place>),
}

impl Default for Places {
    fn default() -> Self {
        Self::AsListed(PathBuf::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(place: Place, path: &str, words: [Option<&str>; 4]) -> Sample {
        let [label, split, first, second] = words.map(|word| word.map(str::to_owned));
        Sample { place, path: path.to_owned(), label, split, extra: vec![first, second] }
    }

    fn file(path: &str) -> Place {
        Place::File(path.into())
    }

    fn columns() -> Vec<String> {
        ["a", "b"].map(str::to_owned).to_vec()
    }

    #[test]
    fn samples_come_back_as_they_were() {
        let url = Place::Url { url: "s3://b/c.png".into(), version: None };
        let mut samples = vec![
            sample(file("d/a.png"), "a.png", [None, None, None, Some("x")]),
            sample(file("/b.png"), "/b.png", [Some("cat"), None, None, None]),
            sample(url, "s3://b/c.png", [Some(""), Some("train"), None, Some("x")]),
            sample(file("d/🐈.png"), "🐈.png", [Some("cat"), None, None, None]),
        ];
        let listing = Listing::of(Path::new("d"), samples.clone(), columns());
        assert_eq!(listing.places, Places::AsListed("d".into()));
        assert_eq!(listing.samples().collect::<Vec<_>>(), samples);
        assert_eq!(listing.part(1..3).samples().collect::<Vec<_>>(), samples[1..3]);
        assert_eq!(listing.part(1..3).places, listing.places);

        // One that lies elsewhere, and one that is written otherwise.
        for place in [file("e/e.png"), file("d/./e.png"), Place::Url { url: "e.png".into(), version: Some("1".into()) }]
        {
            samples.push(sample(place, "e.png", [None; 4]));
            let listing = Listing::of(Path::new("d"), samples.clone(), columns());
            assert!(matches!(listing.places, Places::Each(_)));
            assert_eq!(listing.samples().collect::<Vec<_>>(), samples);
            assert_eq!(listing.part(3..5).samples().collect::<Vec<_>>(), samples[3..]);
            samples.pop();
        }
    }

    #[test]
    fn the_first_path_that_repeats_is_found() {
        let named = |paths: &[&str]| {
            let samples = paths.iter().map(|path| sample(file(path), path, [None; 4]));
            Listing::of(Path::new(""), samples, columns()).first_repeat()
        };
        assert_eq!(named(&["c", "a", "b"]), None);
        assert_eq!(named(&["c", "b", "a", "b", "c"]), Some((1, 3)));
        assert_eq!(named(&[]), None);
    }
}

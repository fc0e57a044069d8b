//! Columns of text, held small: of many pictures, what is known of each is the largest thing in memory.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Index;

use hashbrown::HashTable;

/// A text for each row.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// All behind each other.
    all: String,
    /// How many bytes each has, or [`LONG`].
    lengths: Vec<u8>,
    /// The rows of longer ones, and how many bytes these have.
    long: Vec<(usize, usize)>,
    /// Where the text of every [`STRIDE`]-th row begins.
    starts: Vec<usize>,
}

/// Stands for a length of so many bytes or more.
const LONG: u8 = u8::MAX;
const STRIDE: usize = 16;

/// For each row a text or none, equal ones held once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Words {
    known: Texts,
    /// 0 for none, else 1 more than the position among those known; the rows behind the last one with a text are left out.
    codes: Vec<u32>,
    rows: usize,
}

/// [`Words`] that grow.
#[derive(Default)]
pub(crate) struct GrowingWords {
    words: Words,
    /// The codes of the words that are known, by these: a map would hold each word a second time.
    codes: HashTable<u32>,
    hasher: RandomState,
}

impl Texts {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The text of each row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut rest = self.all.as_str();
        (0..self.len()).map(move |row| {
            let (text, behind) = rest.split_at(self.length(row));
            rest = behind;
            text
        })
    }

    pub(crate) fn push(&mut self, text: &str) {
        let row = self.len();
        if row.is_multiple_of(STRIDE) {
            self.starts.push(self.all.len());
        }
        let length = u8::try_from(text.len()).unwrap_or(LONG);
        if length == LONG {
            self.long.push((row, text.len()));
        }
        self.lengths.push(length);
        self.all.push_str(text);
    }

    pub(crate) fn shrink(&mut self) {
        self.all.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.long.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    fn length(&self, row: usize) -> usize {
        match self.lengths[row] {
            LONG => {
                let found = self.long.binary_search_by_key(&row, |(row, _)| *row);
                self.long[found.expect("noted when it was pushed")].1
            }
            length => usize::from(length),
        }
    }
}

impl Index<usize> for Texts {
    type Output = str;

    /// # Panics
    /// If there is no such row.
    fn index(&self, row: usize) -> &str {
        let length = self.length(row);
        let before = row - row % STRIDE..row;
        let start = self.starts[row / STRIDE] + before.map(|row| self.length(row)).sum::<usize>();
        &self.all[start..start + length]
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut found = Self::default();
        texts.into_iter().for_each(|text| found.push(text.as_ref()));
        found.shrink();
        found
    }
}

impl<const N: usize> PartialEq<[&str; N]> for Texts {
    fn eq(&self, other: &[&str; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Words {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The text of a row, if it has one.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn get(&self, row: usize) -> Option<&str> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let known = self.codes.get(row).and_then(|&code| code.checked_sub(1))?;
        Some(&self.known[known as usize])
    }

    /// The text of each row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        (0..self.rows).map(|row| self.get(row))
    }
}

impl<T: AsRef<str>> FromIterator<Option<T>> for Words {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(texts: I) -> Self {
        let mut words = GrowingWords::default();
        texts.into_iter().for_each(|text| words.push(text.as_ref().map(AsRef::as_ref)));
        words.finish()
    }
}

impl<const N: usize> PartialEq<[Option<&str>; N]> for Words {
    fn eq(&self, other: &[Option<&str>; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl GrowingWords {
    pub fn push(&mut self, text: Option<&str>) {
        let words = &mut self.words;
        if let Some(text) = text {
            let (hasher, hash) = (&self.hasher, self.hasher.hash_one(text));
            let found = self.codes.find(hash, |&code| &words.known[code as usize - 1] == text).copied();
            let code = found.unwrap_or_else(|| {
                words.known.push(text);
                let code = u32::try_from(words.known.len()).expect("fewer texts than fit into memory");
                self.codes.insert_unique(hash, code, |&code| hasher.hash_one(&words.known[code as usize - 1]));
                code
            });
            words.codes.resize(words.rows, 0);
            words.codes.push(code);
        }
        words.rows += 1;
    }

    /// Rows without a text, up to so many rows.
    pub fn pad(&mut self, rows: usize) {
        self.words.rows = rows;
    }

    pub fn finish(mut self) -> Words {
        self.words.known.shrink();
        self.words.codes.shrink_to_fit();
        self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        let texts: Texts = ["", "a", "🐈", "", "a"].into_iter().collect();
        assert_eq!(texts, ["", "a", "🐈", "", "a"]);
        assert_ne!(texts, ["", "a", "🐈", "a", ""]);
        assert_eq!((texts.len(), &texts[2]), (5, "🐈"));
        assert_eq!(format!("{texts:?}"), r#"["", "a", "🐈", "", "a"]"#);
    }

    #[test]
    fn texts_of_all_lengths_are_found_from_every_side() {
        let each: Vec<String> = (0..100).map(|row| "x".repeat([0, 254, 255, 256, 1, 70_000][row % 6]) + "y").collect();
        let texts: Texts = each.iter().collect();
        assert!(texts.iter().eq(&each));
        assert!((0..100).rev().all(|row| texts[row] == each[row]));
    }

    #[test]
    fn words_come_back_as_they_were_and_none_is_not_empty() {
        let each = [None, Some("a"), Some(""), None, Some("b"), Some("a"), None, None];
        let words: Words = each.into_iter().collect();
        assert_eq!(words, each);
        assert_eq!((words.known.len(), words.codes.len(), words.len()), (3, 6, 8));
        let none: Words = [None::<&str>; 3].into_iter().collect();
        assert_eq!((none.codes.capacity(), none.len(), none.get(2)), (0, 3, None));
        assert_ne!(none, words);
    }

    #[test]
    #[should_panic(expected = "row 3 of 3")]
    fn a_row_that_is_not_there_has_no_word() {
        [None::<&str>; 3].into_iter().collect::<Words>().get(3);
    }
}

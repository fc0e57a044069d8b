//! Rows as the solver reads them: standardised over all rows in use, float32, block by block.
//!
//! The solver never asks for all rows at once, so a table may be larger than memory: what a [`RowSource`] hands out is
//! standardised on the way, and kept only where it fits. The unit is a matter of rounding alone: float32 holds seven digits
//! of a column's spread, wherever its mean lies.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use ndarray::{ArrayBase, Data, Ix2};
use rayon::prelude::*;

use crate::Error;

/// Rows that features are read from: an array in memory, or a file.
pub trait RowSource: Sync {
    /// Rows and columns.
    fn dim(&self) -> (usize, usize);

    /// Writes the rows from `first` on into `out [rows, columns]`, row by row, each number in its column's unit.
    fn read(&self, first: usize, units: &Units, out: &mut [f32]);

    /// The same in double precision, for the last steps of problems that float32 is too coarse for.
    fn read_f64(&self, first: usize, units: &Units, out: &mut [f64]);
}

/// A precision that rows are passed in.
pub(crate) trait Real: faer::traits::RealField + Copy + Default + Into<f64> {
    /// Distance of the next number from 1.
    const EPSILON: f64;

    /// The number nearest to `value`.
    fn of(value: f64) -> Self;

    /// All rows in this precision `[rows, columns]`, where they fit.
    fn kept<'b>(table: &'b Table<'_>) -> Option<&'b [Self]>;

    /// As [`RowSource::read`].
    fn read(source: &dyn RowSource, first: usize, units: &Units, out: &mut [Self]);
}

impl Real for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;

    fn of(value: f64) -> Self {
        value as f32
    }

    fn kept<'b>(table: &'b Table<'_>) -> Option<&'b [Self]> {
        table.kept.as_deref()
    }

    fn read(source: &dyn RowSource, first: usize, units: &Units, out: &mut [Self]) {
        source.read(first, units, out);
    }
}

impl Real for f64 {
    const EPSILON: f64 = f64::EPSILON;

    fn of(value: f64) -> Self {
        value
    }

    fn kept<'b>(table: &'b Table<'_>) -> Option<&'b [Self]> {
        if table.kept.is_none() || table.rows * table.columns * size_of::<f64>() > table.max_bytes {
            return None;
        }
        Some(table.kept_f64.get_or_init(|| table.read(0..table.rows)))
    }

    fn read(source: &dyn RowSource, first: usize, units: &Units, out: &mut [Self]) {
        source.read_f64(first, units, out);
    }
}

/// The unit of each column: `(x − mean) · inverse`.
#[derive(Debug, Clone, PartialEq)]
pub struct Units {
    /// What 0 stands for `[columns]`.
    pub mean: Vec<f32>,
    /// What a number is multiplied by `[columns]`.
    pub inverse: Vec<f32>,
}

impl Units {
    /// Every column as it is `[columns]`.
    pub fn as_given(columns: usize) -> Self {
        Self { mean: vec![0.0; columns], inverse: vec![1.0; columns] }
    }
}

impl<A: Copy + Into<f64> + Sync, S: Data<Elem = A> + Sync> RowSource for ArrayBase<S, Ix2> {
    fn dim(&self) -> (usize, usize) {
        self.dim()
    }

    fn read(&self, first: usize, units: &Units, out: &mut [f32]) {
        read_array(self, first, units, out);
    }

    fn read_f64(&self, first: usize, units: &Units, out: &mut [f64]) {
        read_array(self, first, units, out);
    }
}

fn read_array<A, S, T>(rows: &ArrayBase<S, Ix2>, first: usize, units: &Units, out: &mut [T])
where
    A: Copy + Into<f64>,
    S: Data<Elem = A>,
    T: Real,
{
    for (out, row) in out.chunks_exact_mut(rows.ncols().max(1)).zip(rows.outer_iter().skip(first)) {
        for (((out, &value), &mean), &inverse) in out.iter_mut().zip(row).zip(&units.mean).zip(&units.inverse) {
            *out = T::of((value.into() - f64::from(mean)) * f64::from(inverse));
        }
    }
}

/// Rows that are read together; whatever the number of threads, sums are taken over the same blocks in the same order.
pub(crate) const CHUNK: usize = 128;

/// Bytes of a block: as many rows as a processor's cache may hold.
const BLOCK_BYTES: usize = 8 << 20;

/// Rows with the unit of their columns.
pub(crate) struct Table<'a> {
    source: &'a dyn RowSource,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) units: Units,
    /// All rows, where they fit `[rows, columns]`.
    kept: Option<Vec<f32>>,
    /// The same in double precision, from when it was first asked for.
    kept_f64: OnceLock<Vec<f64>>,
    max_bytes: usize,
}

impl<'a> Table<'a> {
    /// The rows of `source`, in the units of those that `used [rows]` marks; kept in memory up to `max_bytes`.
    ///
    /// # Errors
    /// For a number that is NaN or infinite in any row.
    pub(crate) fn new(source: &'a dyn RowSource, used: &[bool], max_bytes: usize) -> Result<Self, Error> {
        let (rows, columns) = source.dim();
        let units = Units::as_given(columns);
        let mut table = Self { source, rows, columns, units, kept: None, kept_f64: OnceLock::new(), max_bytes };
        table.units = table.measure(used)?;
        if rows * columns * size_of::<f32>() <= max_bytes {
            table.kept = Some(table.read(0..rows));
        }
        Ok(table)
    }

    /// The blocks that a pass goes through, in order.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.rows;
        let wanted = BLOCK_BYTES / (size_of::<f32>() * self.columns);
        let step = wanted.div_ceil(CHUNK).clamp(2, 32) * CHUNK;
        (0..rows).step_by(step).map(move |first| first..rows.min(first + step))
    }

    /// The rows of a block `[block, columns]`: lent where they are kept in this precision, else read into `buffer`.
    pub(crate) fn block<'b, T: Real>(&'b self, block: Range<usize>, buffer: &'b mut Vec<T>) -> &'b [T] {
        if let Some(kept) = T::kept(self) {
            return &kept[block.start * self.columns..block.end * self.columns];
        }
        self.read_into(block, buffer);
        buffer
    }

    /// Reads a block, a chunk at a time.
    fn read<T: Real>(&self, block: Range<usize>) -> Vec<T> {
        let mut values = Vec::new();
        self.read_into(block, &mut values);
        values
    }

    fn read_into<T: Real>(&self, block: Range<usize>, values: &mut Vec<T>) {
        values.resize(block.len() * self.columns, T::default());
        let chunks = values.par_chunks_mut(CHUNK * self.columns).enumerate();
        chunks.for_each(|(chunk, out)| T::read(self.source, block.start + chunk * CHUNK, &self.units, out));
    }

    /// The rows `wanted`, ascending, one after the other.
    pub(crate) fn lend(&self, wanted: Vec<usize>) -> Lent<'_> {
        match &self.kept {
            Some(kept) => Lent { values: Cow::Borrowed(kept), places: wanted, columns: self.columns },
            None => Lent {
                values: Cow::Owned(self.gather(&wanted)),
                places: (0..wanted.len()).collect(),
                columns: self.columns,
            },
        }
    }

    /// A copy of the rows `wanted`, ascending `[wanted, columns]`.
    pub(crate) fn gather(&self, wanted: &[usize]) -> Vec<f32> {
        let mut values = vec![0.0; wanted.len() * self.columns];
        let rows = values.par_chunks_mut(self.columns).zip(wanted);
        rows.for_each(|(out, &row)| self.source.read(row, &self.units, out));
        values
    }

    /// Mean and inverse spread of each column over the rows in use, from sums over blocks about each block's own mean
    /// (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983).
    fn measure(&self, used: &[bool]) -> Result<Units, Error> {
        let (mut count, mut mean, mut squares) = (0.0, vec![0.0f64; self.columns], vec![0.0f64; self.columns]);
        let mut buffer = Vec::new();
        for block in self.blocks() {
            let values = self.block(block.clone(), &mut buffer);
            check_finite(values, block.start, self.columns)?;
            let parts: Vec<Sums> = values
                .par_chunks(CHUNK * self.columns)
                .zip(used[block].par_chunks(CHUNK))
                .map(|(rows, used)| Sums::of(rows, used, self.columns))
                .collect();
            for part in parts.into_iter().filter(|part| part.count > 0.0) {
                let total = count + part.count;
                for column in 0..self.columns {
                    let gap = part.mean[column] - mean[column];
                    mean[column] += gap * part.count / total;
                    squares[column] += part.squares[column] + gap * gap * count * part.count / total;
                }
                count = total;
            }
        }
        let inverse = |(&squares, &mean): (&f64, &f64)| {
            let spread = (squares / count).sqrt();
            let inverse = (1.0 / spread) as f32;
            if spread > f64::from(f32::EPSILON) * mean.abs() && inverse.is_normal() { inverse } else { 1.0 }
        };
        let inverse = squares.iter().zip(&mean).map(inverse).collect();
        Ok(Units { mean: mean.into_iter().map(|mean| mean as f32).collect(), inverse })
    }
}

/// Some rows of a table: lent where all are kept, else copied.
pub(crate) struct Lent<'a> {
    values: Cow<'a, [f32]>,
    /// Where each row stands among the values.
    places: Vec<usize>,
    columns: usize,
}

impl Lent<'_> {
    /// The row at this place among those wanted `[columns]`.
    pub(crate) fn row(&self, place: usize) -> &[f32] {
        &self.values[self.places[place] * self.columns..][..self.columns]
    }
}

/// Sums of a chunk's columns over the rows in use.
struct Sums {
    count: f64,
    mean: Vec<f64>,
    /// Sum of the squares about the mean.
    squares: Vec<f64>,
}

impl Sums {
    fn of(rows: &[f32], used: &[bool], columns: usize) -> Self {
        let chosen = || rows.chunks_exact(columns).zip(used).filter(|&(_, &used)| used).map(|(row, _)| row);
        let count = chosen().count() as f64;
        let (mut mean, mut squares) = (vec![0.0; columns], vec![0.0; columns]);
        chosen().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value)));
        mean.iter_mut().for_each(|mean| *mean /= count.max(1.0));
        for row in chosen() {
            for ((sum, &value), &mean) in squares.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(value) - mean) * (f64::from(value) - mean);
            }
        }
        Self { count, mean, squares }
    }
}

fn check_finite(values: &[f32], first: usize, columns: usize) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(place) => Err(Error::NotFinite {
            row: first + place / columns,
            column: place % columns,
            value: f64::from(values[place]),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn check(source: &dyn RowSource, used: &[bool], mean: &[f32], spread: &[f32]) {
        let table = Table::new(source, used, 0).unwrap();
        let near = |found: f32, expected: f32| (found - expected).abs() <= 1e-6 * expected.abs();
        assert!(table.units.mean.iter().zip(mean).all(|(&a, &b)| near(a, b)), "{:?}", table.units);
        assert!(table.units.inverse.iter().zip(spread).all(|(&a, &b)| near(1.0 / a, b)), "{:?}", table.units);
    }

    #[test]
    fn units_are_those_of_the_rows_in_use() {
        check(&array![[1.0, 5.0], [3.0, 9.0], [1e6, -1e6]], &[true, true, false], &[2.0, 7.0], &[1.0, 2.0]);
    }

    #[test]
    fn a_constant_column_keeps_its_unit() {
        check(&array![[0.1f32], [0.1], [0.1]], &[true; 3], &[0.1], &[1.0]);
    }

    #[test]
    fn kept_or_read_the_rows_are_the_same() {
        let rows = Array2::from_shape_fn((3000, 7), |(row, column)| (row * 37 + column * 11) as f32 % 23.0 + 50.0);
        let (kept, read) = (Table::new(&rows, &[true; 3000], usize::MAX), Table::new(&rows, &[true; 3000], 0));
        let (kept, read) = (kept.unwrap(), read.unwrap());
        assert_eq!(kept.units, read.units);
        for block in read.blocks() {
            let mut buffer: Vec<f32> = Vec::new();
            assert_eq!(kept.block(block.clone(), &mut Vec::<f32>::new()), read.block(block, &mut buffer));
        }
    }
}

//! Rows as the solver reads them: standardised over all rows in use, float32, block by block.
//!
//! The solver never asks for all rows at once, so a table may be larger than memory: what a [`RowSource`] hands out is
//! standardised on the way, and kept only where it fits. The unit is a matter of rounding alone: float32 holds seven digits
//! of a column's spread, wherever its mean lies.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use faer::{Mat, MatRef};
use ndarray::{ArrayBase, Data, Ix2};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::Error;

/// Rows that features are read from: an array in memory, or a file. They are asked for by several threads at once, in each pass.
///
/// Reading cannot fail: a source that can lose its rows checks, and if need be maps or copies them, before it is handed over.
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

    /// Columns of rows kept in float32 that are multiplied at a time: where they are converted, as many as stay near.
    const AT_ONCE: usize;

    /// The number nearest to `value`.
    fn of(value: f64) -> Self;

    /// All rows in this precision `[rows, columns]`, where they are kept.
    fn kept<'b>(table: &'b Table<'_>) -> Option<&'b [Self]>;

    /// A pass in this precision is about to begin.
    fn pass_begins(table: &Table<'_>);

    /// As [`RowSource::read`].
    fn read(source: &dyn RowSource, first: usize, units: &Units, out: &mut [Self]);

    /// At most `count` columns from `first` on of rows `[columns, rows]`: lent in this precision, else converted into `buffer`.
    fn some_columns<'b>(
        rows: MatRef<'b, f32>,
        first: usize,
        count: usize,
        buffer: &'b mut Mat<Self>,
    ) -> MatRef<'b, Self>;
}

impl Real for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const AT_ONCE: usize = usize::MAX;

    fn of(value: f64) -> Self {
        value as f32
    }

    fn kept<'b>(table: &'b Table<'_>) -> Option<&'b [Self]> {
        table.kept.as_deref()
    }

    fn pass_begins(_: &Table<'_>) {}

    fn read(source: &dyn RowSource, first: usize, units: &Units, out: &mut [Self]) {
        source.read(first, units, out);
    }

    fn some_columns<'b>(rows: MatRef<'b, f32>, first: usize, count: usize, _: &'b mut Mat<Self>) -> MatRef<'b, Self> {
        rows.subrows(first, count.min(rows.nrows() - first))
    }
}

impl Real for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const AT_ONCE: usize = 128;

    fn of(value: f64) -> Self {
        value
    }

    fn kept<'b>(table: &'b Table<'_>) -> Option<&'b [Self]> {
        table.kept_f64.get().map(Vec::as_slice)
    }

    fn pass_begins(table: &Table<'_>) {
        let both = table.rows * table.columns * (size_of::<f32>() + size_of::<f64>());
        let fits = table.kept.is_some() && both <= table.max_bytes;
        if table.passes_f64.fetch_add(1, Ordering::Relaxed) >= KEPT_AFTER && fits {
            table.kept_f64.get_or_init(|| table.read());
        }
    }

    fn read(source: &dyn RowSource, first: usize, units: &Units, out: &mut [Self]) {
        source.read_f64(first, units, out);
    }

    fn some_columns<'b>(
        rows: MatRef<'b, f32>,
        first: usize,
        count: usize,
        buffer: &'b mut Mat<Self>,
    ) -> MatRef<'b, Self> {
        let some = rows.subrows(first, count.min(rows.nrows() - first));
        if buffer.shape() != some.shape() {
            *buffer = Mat::zeros(some.nrows(), some.ncols());
        }
        for row in 0..some.ncols() {
            let values = some.col(row).try_as_col_major().expect("each row in one run").as_slice();
            let out = buffer.col_as_slice_mut(row).iter_mut().zip(values);
            out.for_each(|(value, &single)| *value = f64::from(single));
        }
        buffer.as_ref()
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

    /// Writes each number of `row [columns]` in its column's unit into `out [columns]`, computed in float64 and rounded by
    /// `of`.
    pub fn apply<A: Copy + Into<f64>, T>(&self, row: &[A], out: &mut [T], of: impl Fn(f64) -> T) {
        Arch::new().dispatch(Standardise { units: self, row, out, of });
    }

    /// As [`Units::apply`] for numbers that are float32 already, computed in float32: at most two units in the last place away, in a
    /// third of the time.
    pub fn apply_f32(&self, row: &[f32], out: &mut [f32]) {
        let fits = Arch::new().dispatch(StandardiseF32 { units: self, row, out: &mut *out });
        // The difference of two numbers near the largest of float32 may be larger than that.
        if !fits {
            self.apply(row, out, |value| value as f32);
        }
    }
}

/// What turns a row into its columns' units.
struct Standardise<'a, A, T, F> {
    units: &'a Units,
    row: &'a [A],
    out: &'a mut [T],
    of: F,
}

impl<A: Copy + Into<f64>, T, F: Fn(f64) -> T> WithSimd for Standardise<'_, A, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { units, row, out, of } = self;
        for (((out, &value), &mean), &inverse) in out.iter_mut().zip(row).zip(&units.mean).zip(&units.inverse) {
            *out = of((value.into() - f64::from(mean)) * f64::from(inverse));
        }
    }
}

/// The same in float32: two float32 numbers leave a difference that is right to its last digit. Gives whether all came out finite.
struct StandardiseF32<'a> {
    units: &'a Units,
    row: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for StandardiseF32<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Self { units, row, out } = self;
        let mut finite = true;
        for (((out, &value), &mean), &inverse) in out.iter_mut().zip(row).zip(&units.mean).zip(&units.inverse) {
            *out = (value - mean) * inverse;
            finite &= out.is_finite();
        }
        finite
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
        match row.to_slice() {
            Some(row) => units.apply(row, out, T::of),
            None => units.apply(&row.to_vec(), out, T::of),
        }
    }
}

/// Rows that are read together; whatever the number of threads, sums are taken over the same blocks in the same order.
pub(crate) const CHUNK: usize = 128;

/// Passes in double precision that read their rows anew; to keep them takes as long as some five of these.
const KEPT_AFTER: usize = 4;

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
    /// The same in double precision, where there are many passes in it.
    kept_f64: OnceLock<Vec<f64>>,
    /// Passes in double precision that were begun.
    passes_f64: AtomicUsize,
    max_bytes: usize,
}

impl<'a> Table<'a> {
    /// The rows of `source`, in the units of those that `used [rows]` marks; kept in memory up to `max_bytes`.
    ///
    /// # Errors
    /// For a number that is NaN or infinite in any row.
    pub(crate) fn new(source: &'a dyn RowSource, used: &[bool], max_bytes: usize) -> Result<Self, Error> {
        let (rows, columns) = source.dim();
        let mut table = Self {
            source,
            rows,
            columns,
            units: Units::as_given(columns),
            kept: None,
            kept_f64: OnceLock::new(),
            passes_f64: AtomicUsize::new(0),
            max_bytes,
        };
        table.units = table.measure(used)?;
        if rows * columns * size_of::<f32>() <= max_bytes {
            table.kept = Some(table.read());
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

    /// At most [`CHUNK`] rows: lent where they are kept in this precision, else read into `buffer`.
    pub(crate) fn chunk<'b, T: Real>(&'b self, rows: Range<usize>, buffer: &'b mut Vec<T>) -> &'b [T] {
        if let Some(kept) = T::kept(self) {
            return &kept[rows.start * self.columns..rows.end * self.columns];
        }
        buffer.resize(rows.len() * self.columns, T::default());
        T::read(self.source, rows.start, &self.units, buffer);
        buffer
    }

    /// The rows of a block `[block, columns]`: lent where they are kept, else read into `buffer`.
    pub(crate) fn block<'b>(&'b self, block: Range<usize>, buffer: &'b mut Vec<f32>) -> &'b [f32] {
        if let Some(kept) = &self.kept {
            return &kept[block.start * self.columns..block.end * self.columns];
        }
        buffer.resize(block.len() * self.columns, 0.0);
        self.read_into(block.start, buffer);
        buffer
    }

    /// All rows.
    fn read<T: Real>(&self) -> Vec<T> {
        let mut values = vec![T::default(); self.rows * self.columns];
        self.read_into(0, &mut values);
        values
    }

    /// Reads rows from `first` on, a chunk at a time.
    fn read_into<T: Real>(&self, first: usize, values: &mut [T]) {
        let chunks = values.par_chunks_mut(CHUNK * self.columns).enumerate();
        chunks.for_each(|(chunk, out)| T::read(self.source, first + chunk * CHUNK, &self.units, out));
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
        let mut largest = vec![0.0f32; self.columns];
        for block in self.blocks() {
            let chunks = block.clone().into_par_iter().step_by(CHUNK);
            let parts: Vec<Result<Sums, Error>> = chunks
                .map_init(Vec::<f32>::new, |buffer, first| {
                    let rows = first..block.end.min(first + CHUNK);
                    let values = self.chunk(rows.clone(), buffer);
                    check_finite(values, first, self.columns)?;
                    Ok(Arch::new().dispatch(Measure { values, used: &used[rows], columns: self.columns }))
                })
                .collect();
            let parts: Vec<Sums> = parts.into_iter().collect::<Result<_, _>>()?;
            for part in parts {
                largest.iter_mut().zip(&part.largest).for_each(|(most, &own)| *most = most.max(own));
                if part.count == 0.0 {
                    continue;
                }
                let total = count + part.count;
                for column in 0..self.columns {
                    let gap = part.mean[column] - mean[column];
                    mean[column] += gap * part.count / total;
                    squares[column] += part.squares[column] + gap * gap * count * part.count / total;
                }
                count = total;
            }
        }
        let inverse = |((&squares, &mean), &largest): ((&f64, &f64), &f32)| {
            let spread = (squares / count).sqrt();
            let inverse = (1.0 / spread) as f32;
            // Rows that are in no use need be no more than numbers.
            let fits = inverse.is_normal() && ((f64::from(largest) + mean.abs()) / spread) < f64::from(f32::MAX);
            if spread > f64::from(f32::EPSILON) * mean.abs() && fits { inverse } else { 1.0 }
        };
        let inverse = squares.iter().zip(&mean).zip(&largest).map(inverse).collect();
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
    /// The largest magnitude, also of rows that are not in use.
    largest: Vec<f32>,
}

/// What sums a chunk's columns.
struct Measure<'a> {
    /// `[rows, columns]`.
    values: &'a [f32],
    used: &'a [bool],
    columns: usize,
}

impl WithSimd for Measure<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Sums {
        let Self { values, used, columns } = self;
        let chosen = || values.chunks_exact(columns).zip(used).filter(|&(_, &used)| used).map(|(row, _)| row);
        let count = chosen().count() as f64;
        let (mut mean, mut squares) = (vec![0.0; columns], vec![0.0; columns]);
        chosen().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value)));
        mean.iter_mut().for_each(|mean| *mean /= count.max(1.0));
        for row in chosen() {
            for ((sum, &value), &mean) in squares.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(value) - mean) * (f64::from(value) - mean);
            }
        }
        let mut largest = vec![0.0f32; columns];
        for row in values.chunks_exact(columns) {
            largest.iter_mut().zip(row).for_each(|(most, &value)| *most = most.max(value.abs()));
        }
        Sums { count, mean, squares, largest }
    }
}

fn check_finite(values: &[f32], first: usize, columns: usize) -> Result<(), Error> {
    // All at a time, which takes no branches; then which.
    if values.iter().fold(true, |all, value| all & value.is_finite()) {
        return Ok(());
    }
    let place = values.iter().position(|value| !value.is_finite()).expect("one of them is not");
    let value = f64::from(values[place]);
    Err(Error::NotFinite { row: first + place / columns, column: place % columns, value })
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
    fn a_row_that_is_not_in_use_stays_a_number() {
        check(&array![[1e-36f32], [3e-36], [1e6]], &[true, true, false], &[2e-36], &[1.0]);
    }

    #[test]
    fn in_float32_rows_are_nearly_those_in_float64() {
        let units = Units { mean: vec![50.0, -1e-3, f32::MAX, 0.1], inverse: vec![0.7, 1e6, 1e-38, 1.0] };
        for row in [[49.3, 2e-3, -f32::MAX, 0.1], [1e9, -1e-30, f32::MAX, f32::MIN_POSITIVE]] {
            let (mut exact, mut quick) = ([0.0f32; 4], [0.0f32; 4]);
            units.apply(&row, &mut exact, |value| value as f32);
            units.apply_f32(&row, &mut quick);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 2.0 * f32::EPSILON * a.abs();
            assert!(exact.iter().zip(&quick).all(near), "{exact:?} {quick:?}");
        }
    }

    #[test]
    fn kept_or_read_the_rows_are_the_same() {
        let rows = Array2::from_shape_fn((3000, 7), |(row, column)| (row * 37 + column * 11) as f32 % 23.0 + 50.0);
        let (kept, read) = (Table::new(&rows, &[true; 3000], usize::MAX), Table::new(&rows, &[true; 3000], 0));
        let (kept, read) = (kept.unwrap(), read.unwrap());
        assert_eq!(kept.units, read.units);
        for first in (0..3000).step_by(CHUNK) {
            let rows = first..3000.min(first + CHUNK);
            let mut buffer: Vec<f32> = Vec::new();
            assert_eq!(kept.chunk(rows.clone(), &mut Vec::<f32>::new()), read.chunk(rows, &mut buffer));
        }
    }

    #[test]
    fn rows_kept_after_many_passes_in_double_precision_are_those_read_in_each() {
        let rows = Array2::from_shape_fn((300, 3), |(row, column)| (row * 37 + column * 11) as f64 / 7.0 + 50.0);
        let table = Table::new(&rows, &[true; 300], usize::MAX).unwrap();
        let mut passes = Vec::new();
        for pass in 0..=KEPT_AFTER {
            f64::pass_begins(&table);
            assert_eq!(f64::kept(&table).is_some(), pass == KEPT_AFTER);
            passes.push(table.chunk(128..256, &mut Vec::<f64>::new()).to_vec());
        }
        assert!(passes.iter().all(|pass| *pass == passes[0]));
    }
}

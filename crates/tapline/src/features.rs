//! The features of taps as probes read them: in memory where they fit, else from the store in each pass.

use tapline_core::{Digest, Rows, Store};
use tapline_probe::{Dataset, RowSource, Units};

use crate::classes::Labelled;

/// Rows hashed at a time.
const BLOCK: usize = 1024;

/// Features `[rows, columns]` of the rows that can be probed, those of several taps side by side.
pub enum Features<'a> {
    /// In memory, row by row.
    Kept(Kept<'a>),
    /// In the store.
    Streamed(Streamed<'a>),
}

/// Features in memory.
pub struct Kept<'a> {
    rows: Vec<f32>,
    columns: usize,
    data: &'a Labelled,
}

impl<'a> Features<'a> {
    /// Those of `taps`, in memory where they take no more than `max_bytes`.
    ///
    /// # Errors
    /// For NaN or infinity in a row.
    pub fn of(store: &'a Store, taps: &[usize], (data, max_bytes): (&'a Labelled, usize)) -> anyhow::Result<Self> {
        let parts: Vec<Rows<'a>> = taps.iter().map(|&tap| store.rows(tap)).collect();
        let columns = parts.iter().map(|part| part.features).sum::<usize>();
        if data.rows.len() * columns * size_of::<f32>() <= max_bytes {
            let rows = gathered(store, taps, &data.rows)?;
            return Ok(Self::Kept(Kept { rows, columns, data }));
        }
        Ok(Self::Streamed(Streamed { parts, columns, data }))
    }

    /// The digest of all numbers in little-endian float32, row by row.
    ///
    /// # Errors
    /// For NaN or infinity in a row of the store.
    pub fn digest(&self) -> anyhow::Result<Digest> {
        match self {
            Self::Kept(kept) => {
                let bytes = kept.rows.chunks(BLOCK * kept.columns).map(|numbers| anyhow::Ok(little_endian(numbers)));
                Digest::of_pieces(bytes)
            }
            Self::Streamed(streamed) => Digest::of_pieces(streamed.data.rows.chunks(BLOCK).map(|rows| {
                let numbers = streamed.checked(rows)?;
                streamed.release(rows);
                Ok(little_endian(&numbers))
            })),
        }
    }

    /// What `work` makes of them with their labels.
    pub fn with<T>(&self, work: impl FnOnce(Dataset<'_>) -> T) -> T {
        let dataset = |rows: &dyn RowSource, data: &Labelled| {
            let groups = data.groups.as_ref().map(|groups| groups.of_row.as_slice());
            work(Dataset { rows, labels: &data.labels, classes: data.names.len(), groups })
        };
        match self {
            Self::Kept(kept) => dataset(kept, kept.data),
            Self::Streamed(streamed) => dataset(streamed, streamed.data),
        }
    }
}

impl Kept<'_> {
    /// From row `first` on, as many rows as `out [rows, columns]` has, each with its place in `out`.
    fn rows_for<'o, T>(&self, first: usize, out: &'o mut [T]) -> impl Iterator<Item = (&[f32], &'o mut [T])> {
        self.rows[first * self.columns..].chunks_exact(self.columns).zip(out.chunks_exact_mut(self.columns))
    }
}

impl RowSource for Kept<'_> {
    fn dim(&self) -> (usize, usize) {
        (self.data.rows.len(), self.columns)
    }

    fn read(&self, first: usize, units: &Units, out: &mut [f32]) {
        self.rows_for(first, out).for_each(|(row, out)| units.apply_f32(row, out));
    }

    fn read_f64(&self, first: usize, units: &Units, out: &mut [f64]) {
        self.rows_for(first, out).for_each(|(row, out)| units.apply(row, out, |value| value));
    }
}

/// Features that are read from the store in each pass.
pub struct Streamed<'a> {
    parts: Vec<Rows<'a>>,
    columns: usize,
    data: &'a Labelled,
}

impl Streamed<'_> {
    /// The rows `which` of the store, checked `[which, columns]`.
    fn checked(&self, which: &[usize]) -> anyhow::Result<Vec<f32>> {
        joined(&self.parts, which)
    }

    /// What was read is not kept resident.
    fn release(&self, which: &[usize]) {
        if let (Some(&first), Some(&last)) = (which.iter().min(), which.iter().max()) {
            self.parts.iter().for_each(|part| part.release(first, last));
        }
    }

    /// Gives each row from number `first` of those that can be probed on to `write`, with its place in `out [rows, columns]`.
    fn read_by<T>(&self, first: usize, out: &mut [T], write: impl Fn(&[f32], &mut [T])) {
        let which = &self.data.rows[first..first + out.len() / self.columns];
        let mut row = vec![0.0f32; self.columns];
        for (&number, out) in which.iter().zip(out.chunks_exact_mut(self.columns)) {
            let mut rest = row.as_mut_slice();
            for part in &self.parts {
                let (values, after) = rest.split_at_mut(part.features);
                part.row_f32(number, values);
                rest = after;
            }
            write(&row, out);
        }
        self.release(which);
    }
}

impl RowSource for Streamed<'_> {
    fn dim(&self) -> (usize, usize) {
        (self.data.rows.len(), self.columns)
    }

    fn read(&self, first: usize, units: &Units, out: &mut [f32]) {
        self.read_by(first, out, |row, out| units.apply_f32(row, out));
    }

    fn read_f64(&self, first: usize, units: &Units, out: &mut [f64]) {
        self.read_by(first, out, |row, out| units.apply(row, out, |value| value));
    }
}

/// The features `[which, columns]` of the rows `which` of a store, those of `taps` side by side in their order.
///
/// # Errors
/// For NaN or infinity in a row.
pub fn gathered(store: &Store, taps: &[usize], which: &[usize]) -> anyhow::Result<Vec<f32>> {
    joined(&taps.iter().map(|&tap| store.rows(tap)).collect::<Vec<_>>(), which)
}

fn joined(parts: &[Rows<'_>], which: &[usize]) -> anyhow::Result<Vec<f32>> {
    if let [part] = parts {
        return Ok(part.to_f32(which)?);
    }
    let of_parts = parts.iter().map(|part| part.to_f32(which)).collect::<Result<Vec<_>, _>>()?;
    let mut joined = Vec::with_capacity(of_parts.iter().map(Vec::len).sum());
    for row in 0..which.len() {
        for (part, values) in parts.iter().zip(&of_parts) {
            joined.extend_from_slice(&values[row * part.features..(row + 1) * part.features]);
        }
    }
    Ok(joined)
}

fn little_endian(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

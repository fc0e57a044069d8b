//! The curvature of one output by the few rows that bend its loss, in single precision.
//!
//! Where classes are many, most rows are soon told from each of them, and those that are not differ from class to class: what all
//! outputs share fits none. A few rows drawn by their second derivatives do (Roosta-Khorasani and Mahoney, "Sub-sampled
//! Newton methods", 2019): they cost as much as two looks, and save most of the others. Fewer rows than columns are multiplied
//! in their own space, so that a sketch takes little memory however many columns there are.

use std::sync::Arc;

use faer::{ColMut, Mat};

use crate::draw::{Drawn, draw};
use crate::ground::Ground;
use crate::precondition::{LEAST, Preconditioner, Products, add_gram, cholesky, solve};
use crate::table::{Lent, Real, Table};

/// Looks that the products of the smallest sketch take as long as.
const LOOKS: f64 = 2.0;
/// How many times as long the next one takes.
const LARGER: f64 = 4.0;
/// Penalty of the intercept, as a share of its curvature: what is free must have some to be taken in the space of rows.
const LOOSE: f64 = 0.01;

/// How many rows a sketch is drawn of, and in which space it is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size {
    pub(crate) rows: usize,
    pub(crate) by_rows: bool,
}

impl Size {
    /// The size of a level, from 0 for the smallest; none where the one before has all rows.
    pub(crate) fn of(level: u32, ground: &Ground<'_>) -> Option<Self> {
        let (rows, columns) = (ground.rows.len(), ground.table().columns);
        let of = |level: i32| {
            // A look takes 4 · rows · columns operations for each output, the products of r rows r² · columns, or by
            // columns r · columns².
            let work = 4.0 * LOOKS * LARGER.powi(level) * rows as f64;
            let few = work.sqrt().min(rows as f64);
            let by_rows = few < columns as f64;
            let drawn = if by_rows { few } else { work / columns as f64 };
            Self { rows: (drawn.ceil() as usize).min(rows), by_rows }
        };
        let level = i32::try_from(level).ok()?;
        (level == 0 || of(level - 1).rows < rows).then(|| of(level))
    }

    /// Floating-point operations of the products and a factor, in single precision.
    pub(crate) fn cost(self, columns: usize) -> f64 {
        let side = self.side(columns) as f64;
        side * side * (self.rows.max(columns) as f64 + side / 3.0)
    }

    /// Bytes of products and factor, and of the rows where these are not lent. (What it takes to make them is there once for
    /// each thread.)
    pub(crate) fn bytes(self, table: &Table<'_>) -> usize {
        let of_products = 2 * size_of::<f32>() * (self.side(table.columns).pow(2) + table.columns);
        let of_row = size_of::<usize>() + size_of::<f32>();
        let is_copied = self.by_rows && f32::kept(table).is_none();
        let of_values = if is_copied { size_of::<f32>() * table.columns } else { 0 };
        of_products + self.rows * (of_row + of_values)
    }

    fn side(self, columns: usize) -> usize {
        if self.by_rows { self.rows } else { columns }
    }
}

/// What does not change from one strength to the next.
pub(crate) enum Sketch<'a> {
    Columns(Products<'a, f32>),
    Rows(Few<'a>),
}

/// Rows in their own space.
pub(crate) struct Few<'a> {
    drawn: Arc<Weighted<'a>>,
    /// `√D X ρ⁻¹ Xᵀ √D`, lower.
    gram: Mat<f32>,
    /// `τ`, the penalty that the intercept is taken to have.
    penalty: f64,
}

/// Rows of a table, ascending, each with the root of its weight, `√D`.
struct Weighted<'a> {
    values: Lent<'a>,
    roots: Vec<f32>,
}

/// A sketch's factor at one strength.
pub(crate) enum Factor<'a> {
    Columns(Preconditioner<'a, f32>),
    Rows(Woodbury<'a>),
}

/// The factor of rows in their own space.
pub(crate) struct Woodbury<'a> {
    drawn: Arc<Weighted<'a>>,
    /// `√(C / ρ)` of each weight and `1 / √τ` of the intercept `[columns + 1]`.
    scale: Vec<f32>,
    /// Cholesky factor of `I + C gram + √D 1 1ᵀ √D / τ`, lower.
    inner: Mat<f32>,
}

impl<'a> Sketch<'a> {
    /// Of the second derivatives `d` of the ground's rows, with penalties `rho [columns]`.
    pub(crate) fn take(size: Size, ground: &'a Ground<'_>, d: &[f64], rho: &[f64]) -> Self {
        let share = ground.share();
        let d: Vec<f64> = d.iter().map(|d| d * share).collect();
        let drawn = draw(&d, size.rows);
        if size.by_rows { Self::Rows(Few::of(ground, &drawn, rho)) } else { Self::Columns(ground.by_columns(&drawn)) }
    }

    /// The factor for strength `c`.
    pub(crate) fn factor(&self, rho: &[f64], c: f64) -> Factor<'a> {
        match self {
            Self::Columns(products) => Factor::Columns(products.factor(rho, c)),
            Self::Rows(few) => Factor::Rows(few.factor(rho, c)),
        }
    }
}

impl Factor<'_> {
    /// Multiplies a gradient `[columns + 1]`, the last number the intercept's, by the inverse curvature.
    pub(crate) fn apply(&self, gradient: ColMut<'_, f64>) {
        let mut single = Mat::from_fn(gradient.nrows(), 1, |row, _| gradient[row] as f32);
        match self {
            Self::Columns(preconditioner) => preconditioner.apply(single.as_mut()),
            Self::Rows(woodbury) => woodbury.apply(single.col_as_slice_mut(0)),
        }
        gradient.iter_mut().zip(single.col_as_slice(0)).for_each(|(value, &single)| *value = f64::from(single));
    }
}

impl<'a> Few<'a> {
    fn of(ground: &'a Ground<'_>, drawn: &Drawn, rho: &[f64]) -> Self {
        let total: f64 = drawn.rows.iter().map(|&(_, d)| d).sum();
        let drawn = Weighted {
            values: ground.lend(&drawn.rows),
            roots: drawn.rows.iter().map(|&(_, d)| d.sqrt() as f32).collect(),
        };
        let scale: Vec<f32> = rho.iter().map(|rho| (1.0 / rho.sqrt()) as f32).collect();
        let mut scaled = Mat::zeros(scale.len(), drawn.roots.len());
        for (place, root) in drawn.roots.iter().enumerate() {
            let out = scaled.col_as_slice_mut(place).iter_mut();
            out.zip(drawn.values.row(place)).zip(&scale).for_each(|((out, value), scale)| *out = root * value * scale);
        }
        let mut gram = Mat::zeros(drawn.roots.len(), drawn.roots.len());
        add_gram(&mut gram, scaled.as_ref());
        let penalty = if total > 0.0 { (LOOSE * total).max(LEAST) } else { 1.0 };
        Self { drawn: Arc::new(drawn), gram, penalty }
    }

    fn factor(&self, rho: &[f64], c: f64) -> Woodbury<'a> {
        let of_intercept = self.penalty.sqrt().recip();
        let scale = rho.iter().map(|rho| (c / rho).sqrt()).chain([of_intercept]).map(|scale| scale as f32).collect();
        let (c, of_intercept) = (c as f32, self.penalty.recip() as f32);
        let roots = &self.drawn.roots;
        let inner = || {
            let mut inner = self.gram.clone();
            for (column, root) in roots.iter().enumerate() {
                let below = inner.col_as_slice_mut(column)[column..].iter_mut().zip(&roots[column..]);
                below.for_each(|(value, other)| *value = *value * c + root * other * of_intercept);
                inner[(column, column)] += 1.0;
            }
            inner
        };
        Woodbury { drawn: Arc::clone(&self.drawn), scale, inner: cholesky(inner) }
    }
}

impl Woodbury<'_> {
    /// `S (I + Aᵀ A)⁻¹ S g = S (q − Aᵀ (I + A Aᵀ)⁻¹ A q)` with `A = √D (X, 1) S` and `q = S g` (Woodbury's identity).
    fn apply(&self, gradient: &mut [f32]) {
        let Weighted { values, roots } = &*self.drawn;
        let columns = gradient.len() - 1;
        let whole: Vec<f32> = gradient.iter().zip(&self.scale).map(|(value, scale)| value * scale * scale).collect();
        let score = |place: usize| roots[place] * (dot(values.row(place), &whole[..columns]) + whole[columns]);
        let mut inner = Mat::from_fn(roots.len(), 1, |place, _| score(place));
        solve(self.inner.as_ref(), inner.as_mut());
        let mut taken = vec![0.0f32; columns + 1];
        for (place, root) in roots.iter().enumerate() {
            let share = root * inner[(place, 0)];
            taken.iter_mut().zip(values.row(place)).for_each(|(taken, value)| *taken += share * value);
            taken[columns] += share;
        }
        for (place, value) in gradient.iter_mut().enumerate() {
            *value = whole[place] - self.scale[place] * self.scale[place] * taken[place];
        }
    }
}

/// `Σ a b`, in lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    a.iter().zip(b).for_each(|(a, b)| sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b));
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn made(rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64)
    }

    /// The product of curvature and the direction that a sketch of all rows makes of a gradient is that gradient; in the space of
    /// rows the intercept has a penalty.
    fn check(rows: usize, columns: usize, by_rows: bool) {
        let made = made(rows, columns);
        let table = Table::new(&made, &vec![true; rows], usize::MAX).unwrap();
        let ground = Ground::of(&table, &vec![true; rows], usize::MAX);
        let d: Vec<f64> = (0..rows).map(|row| 0.05 + (row % 5) as f64 / 20.0).collect();
        let rho: Vec<f64> = (0..columns).map(|column| 0.5 + (column % 3) as f64).collect();
        let c = 0.3;
        let factor = Sketch::take(Size { rows, by_rows }, &ground, &d, &rho).factor(&rho, c);
        let gradient: Vec<f64> = (0..=columns).map(|row| (row % 7) as f64 - 3.0).collect();
        let mut direction = Mat::from_fn(columns + 1, 1, |row, _| gradient[row]);
        factor.apply(direction.col_mut(0));
        let direction = direction.col_as_slice(0);
        let of_intercept = if by_rows { LOOSE * d.iter().sum::<f64>() } else { 0.0 };
        let penalties = rho.iter().map(|rho| rho / c).chain([of_intercept]);
        let mut change: Vec<f64> = direction.iter().zip(penalties).map(|(value, penalty)| value * penalty).collect();
        for (values, d) in table.gather(&ground.rows).chunks_exact(columns).zip(&d) {
            let x: Vec<f64> = values.iter().map(|&value| f64::from(value)).chain([1.0]).collect();
            let score: f64 = x.iter().zip(direction).map(|(x, value)| x * value).sum();
            change.iter_mut().zip(&x).for_each(|(change, x)| *change += d * score * x);
        }
        for (change, gradient) in change.iter().zip(&gradient) {
            assert!((change - gradient).abs() < 2e-3, "{change} {gradient}");
        }
    }

    #[test]
    fn of_all_rows_it_is_the_inverse_of_the_curvature_in_either_space() {
        check(60, 9, false);
        check(60, 9, true);
        check(12, 40, true);
        check(12, 40, false);
    }

    #[test]
    fn rows_that_are_not_kept_give_the_same_and_are_counted() {
        let (rows, columns) = (50, 70);
        let made = made(rows, columns);
        let (rho, d) = (vec![1.0; columns], vec![0.2; rows]);
        let size = Size { rows: 20, by_rows: true };
        let of = |max_bytes: usize| {
            let table = Table::new(&made, &vec![true; rows], max_bytes).unwrap();
            let ground = Ground::of(&table, &vec![true; rows], usize::MAX);
            let mut direction = Mat::from_fn(columns + 1, 1, |row, _| (row % 3) as f64 - 1.0);
            Sketch::take(size, &ground, &d, &rho).factor(&rho, 2.0).apply(direction.col_mut(0));
            (direction, size.bytes(&table))
        };
        let (kept, read) = (of(usize::MAX), of(0));
        assert_eq!(kept.0, read.0);
        assert_eq!(kept.1 + 4 * columns * size.rows, read.1);
    }

    #[test]
    fn sizes_grow_until_all_rows_are_in() {
        let sizes = |rows: usize, columns: usize| {
            let made = made(rows, columns);
            let table = Table::new(&made, &vec![true; rows], usize::MAX).unwrap();
            let ground = Ground::of(&table, &vec![true; rows], usize::MAX);
            let sizes = (0..9).map_while(|level| Size::of(level, &ground));
            sizes.map(|size| (size.rows, size.by_rows)).collect::<Vec<_>>()
        };
        // √(8 · 500) rows, then twice as many; from 100 columns on, 8 · 16 · 500 / 200.
        assert_eq!(sizes(500, 200), [(64, true), (127, true), (320, false), (500, false)]);
        assert_eq!(sizes(500, 4), [(500, false)]);
        // With more columns than rows, never by columns.
        assert_eq!(sizes(100, 120), [(29, true), (57, true), (100, true)]);
    }

    #[test]
    fn rows_that_bend_nothing_leave_the_penalty() {
        for by_rows in [true, false] {
            let made = made(20, 30);
            let table = Table::new(&made, &[true; 20], usize::MAX).unwrap();
            let ground = Ground::of(&table, &[true; 20], usize::MAX);
            let rho = [2.0; 30];
            let factor = Sketch::take(Size { rows: 10, by_rows }, &ground, &[0.0; 20], &rho).factor(&rho, 4.0);
            let mut direction = Mat::from_fn(31, 1, |_, _| 1.0);
            factor.apply(direction.col_mut(0));
            assert!((0..30).all(|row| (direction[(row, 0)] - 2.0).abs() < 1e-6), "{by_rows}");
            assert!((0.0..=1.0).contains(&direction[(30, 0)]), "{by_rows}");
        }
    }

    #[test]
    fn next_to_nothing_at_an_enormous_strength_is_a_number() {
        let made = made(20, 30);
        let table = Table::new(&made, &[true; 20], usize::MAX).unwrap();
        let ground = Ground::of(&table, &[true; 20], usize::MAX);
        let rho = [1.0; 30];
        for by_rows in [true, false] {
            let factor = Sketch::take(Size { rows: 10, by_rows }, &ground, &[1e-44; 20], &rho).factor(&rho, 1e30);
            let mut direction = Mat::from_fn(31, 1, |_, _| 1e-3);
            factor.apply(direction.col_mut(0));
            assert!(direction.col_as_slice(0).iter().all(|value| value.is_finite()), "{by_rows} {direction:?}");
        }
    }
}

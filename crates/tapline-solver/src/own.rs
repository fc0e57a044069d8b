//! A curvature that one problem has for itself: Newton's method for what the shared curvature and the memory of steps are too
//! coarse for.
//!
//! Outputs of the same curvature have one of theirs, in double precision. Others have one for each output: sketches of few rows
//! in single precision, which grow from level to level; in double precision, in the space of columns, blocks of more rows, or the
//! outputs' mean where neither serves; and where classes exclude each other and weights are few, the whole Hessian, which
//! holds how outputs bend each other. All but the last are of rows drawn by their second derivatives; where all rows are in, and
//! outputs have the same curvature or know nothing of each other, those in double precision are the Hessian as well.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use crate::draw::draw;
use crate::ground::{Ground, PIECE};
use crate::loss::Targets;
use crate::precondition::{Preconditioner, Products, cholesky, solve};
use crate::sketch::{self, Size, Sketch};

/// Weights and intercepts of all outputs together that a whole Hessian is made for, at most.
const UNKNOWNS: usize = 3072;

/// Second derivatives of single rows to hold at a time.
const ENTRIES: usize = 1 << 23;

/// What one problem can buy, cheap ones first.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum Ware {
    /// One for each output, of few rows, in single precision: of this level of [`Size::of`].
    Sketch(u32),
    /// One curvature for all outputs: theirs where they have the same, else their mean.
    One,
    /// One for each output.
    Blocks,
    /// The Hessian of all outputs and all rows.
    Whole,
}

impl Ware {
    /// What there is in double precision for a loss.
    pub(crate) fn offered(ground: &Ground<'_>, targets: &Targets<'_>) -> Vec<Self> {
        let mut offered = vec![Self::One];
        if !targets.has_one_curvature() && ground.is_by_columns() {
            offered.push(Self::Blocks);
            if targets.are_coupled() && (ground.table().columns + 1) * targets.outputs <= UNKNOWNS {
                offered.push(Self::Whole);
            }
        }
        offered
    }

    /// Whether sketches fit a loss: where outputs differ; in the space of rows, where single precision ends where C is large, only
    /// for classes that exclude each other, which more columns than rows tell apart, so that little bends then.
    pub(crate) fn has_sketches(ground: &Ground<'_>, targets: &Targets<'_>) -> bool {
        !targets.has_one_curvature() && (ground.is_by_columns() || targets.are_coupled())
    }

    /// Floating-point operations to make and factor it.
    pub(crate) fn cost(self, ground: &Ground<'_>, targets: &Targets<'_>) -> f64 {
        let (rows, outputs) = (ground.rows.len() as f64, targets.outputs as f64);
        let columns = ground.table().columns as f64;
        match self {
            Self::Sketch(level) => {
                let size = Size::of(level, ground);
                size.map_or(f64::INFINITY, |size| outputs * size.cost(ground.table().columns))
            }
            Self::One => ground.cost(),
            Self::Blocks => outputs * ground.cost(),
            Self::Whole => outputs * outputs * (rows * columns * columns + outputs * columns.powi(3) / 3.0),
        }
    }

    /// Bytes of it while it is made, which it is charged as long as it is held.
    pub(crate) fn bytes(self, ground: &Ground<'_>, targets: &Targets<'_>) -> usize {
        let of_rows = size_of::<f64>() * ground.rows.len();
        match self {
            Self::Sketch(level) => {
                let size = Size::of(level, ground);
                // With the second derivatives of all outputs.
                size.map_or(usize::MAX, |size| targets.outputs * (size.bytes(ground.table()) + of_rows))
            }
            Self::One => ground.bytes(),
            Self::Blocks => targets.outputs * (ground.bytes() + 2 * of_rows),
            Self::Whole => {
                let unknowns = (ground.table().columns + 1) * targets.outputs;
                2 * size_of::<f64>() * unknowns * unknowns
            }
        }
    }
}

/// One problem's curvature, as it was where it was taken.
pub(crate) struct Own<'a> {
    taken: Taken<'a>,
    /// Whether it is the Hessian, where it was taken.
    is_hessian: bool,
    ware: Ware,
    bytes: usize,
    /// The factor at one strength.
    factor: Option<Factor<'a>>,
}

enum Taken<'a> {
    /// Products for each output, or one for all.
    Blocks(Vec<Products<'a, f64>>),
    /// One for each output.
    Sketches(Vec<Sketch<'a>>),
    /// The loss's Hessian by the weights of one output after the other, each with its intercept last: lower, without penalty.
    Whole(Mat<f64>),
}

enum Factor<'a> {
    Blocks(Vec<Preconditioner<'a, f64>>),
    Sketches(Vec<sketch::Factor<'a>>),
    Whole(Mat<f64>),
}

impl<'a> Own<'a> {
    /// The curvature of `targets` at `scores [rows · outputs]`; `before` is used up where it can be.
    pub(crate) fn take(
        ware: Ware,
        (ground, targets): (&'a Ground<'_>, &Targets<'_>),
        scores: &[f32],
        (rho, before): (&[f64], Option<Self>),
    ) -> Self {
        let outputs = targets.outputs;
        let scores = |row: usize| scores[row * outputs..(row + 1) * outputs].iter().map(|&score| f64::from(score));
        // Of each output, made of its second derivatives.
        fn of_outputs<T: Send>(all: &[f64], outputs: usize, make: impl Fn(Vec<f64>) -> T + Sync) -> Vec<T> {
            let of = |output: usize| make(all.iter().skip(output).step_by(outputs).copied().collect());
            (0..outputs).into_par_iter().map(of).collect()
        }
        let (taken, is_hessian) = match ware {
            Ware::Sketch(level) => {
                let all = targets.curvatures(&ground.rows, scores);
                let size = Size::of(level, ground).expect("a level that was offered");
                let sketch = |d: Vec<f64>| Sketch::take(size, ground, &d, rho);
                (Taken::Sketches(of_outputs(&all, outputs, sketch)), false)
            }
            Ware::One => {
                let mut d = vec![0.0; ground.rows.len()];
                targets.add_curvature(&ground.rows, scores, &mut d);
                let before = before.and_then(|own| own.taken.into_one());
                let (products, is_whole) = ground.products(&d, rho, before);
                (Taken::Blocks(vec![products]), is_whole && targets.has_one_curvature())
            }
            Ware::Blocks => {
                let all = targets.curvatures(&ground.rows, scores);
                let blocks = of_outputs(&all, outputs, |d| ground.products(&d, rho, None));
                let is_whole = blocks.iter().all(|block| block.1);
                let blocks = blocks.into_iter().map(|block| block.0).collect();
                (Taken::Blocks(blocks), is_whole && !targets.are_coupled())
            }
            Ware::Whole => (Taken::Whole(whole(ground, targets, scores)), true),
        };
        Self { taken, is_hessian, ware, bytes: ware.bytes(ground, targets), factor: None }
    }

    /// Whether it is the Hessian, where it was taken.
    pub(crate) fn is_hessian(&self) -> bool {
        self.is_hessian
    }

    pub(crate) fn ware(&self) -> Ware {
        self.ware
    }

    /// Bytes of it, as [`Ware::bytes`] counts them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Factors it for strength `c`, where that was not yet done.
    pub(crate) fn factor(&mut self, rho: &[f64], c: f64) {
        if self.factor.is_none() {
            self.factor = Some(match &self.taken {
                Taken::Blocks(blocks) => {
                    Factor::Blocks(blocks.par_iter().map(|products| products.factor(rho, c)).collect())
                }
                Taken::Sketches(sketches) => {
                    Factor::Sketches(sketches.par_iter().map(|sketch| sketch.factor(rho, c)).collect())
                }
                Taken::Whole(hessian) => {
                    let penalised = || {
                        let (mut penalised, length) = (hessian.clone(), rho.len() + 1);
                        for first in (0..hessian.nrows()).step_by(length) {
                            rho.iter().enumerate().for_each(|(column, rho)| {
                                penalised[(first + column, first + column)] += rho / c;
                            });
                        }
                        penalised
                    };
                    Factor::Whole(cholesky(penalised))
                }
            });
        }
    }

    /// Another strength is to come.
    pub(crate) fn unfactor(&mut self) {
        self.factor = None;
    }

    /// Multiplies a direction `[(columns + 1) · outputs]` by the inverse curvature, once it is factored.
    pub(crate) fn apply(&self, direction: &mut [f64], outputs: usize) {
        let Some(factor) = &self.factor else { return };
        let length = direction.len() / outputs;
        let mut right = Mat::from_fn(length, outputs, |row, output| direction[row * outputs + output]);
        match factor {
            Factor::Sketches(sketches) => {
                let columns = right.par_col_chunks_mut(1).zip(sketches);
                columns.for_each(|(column, sketch)| sketch.apply(column.col_mut(0)));
            }
            Factor::Blocks(blocks) if blocks.len() == 1 => blocks[0].apply(right.as_mut()),
            Factor::Blocks(blocks) => {
                let columns = right.par_col_chunks_mut(1).zip(blocks);
                columns.for_each(|(column, block)| block.apply(column));
            }
            Factor::Whole(factor) => {
                let mut all = Mat::from_fn(direction.len(), 1, |place, _| right[(place % length, place / length)]);
                solve(factor.as_ref(), all.as_mut());
                right = Mat::from_fn(length, outputs, |row, output| all[(output * length + row, 0)]);
            }
        }
        for (place, value) in direction.iter_mut().enumerate() {
            *value = right[(place / outputs, place % outputs)];
        }
    }
}

impl<'a> Taken<'a> {
    fn into_one(self) -> Option<Products<'a, f64>> {
        match self {
            Self::Blocks(mut blocks) if blocks.len() == 1 => blocks.pop(),
            Self::Blocks(_) | Self::Sketches(_) | Self::Whole(_) => None,
        }
    }
}

/// `Σ D ⊗ (x, 1) (x, 1)ᵀ` over the rows, lower, with `D [outputs, outputs]` each row's second derivatives.
fn whole<I: Iterator<Item = f64>>(
    ground: &Ground<'_>,
    targets: &Targets<'_>,
    scores: impl Fn(usize) -> I + Sync,
) -> Mat<f64> {
    let (length, outputs) = (ground.table().columns + 1, targets.outputs);
    let mut bent = vec![0.0; ground.rows.len()];
    targets.add_curvature(&ground.rows, &scores, &mut bent);
    let mut hessian = Mat::zeros(length * outputs, length * outputs);
    let rows_at_once = (ENTRIES / (outputs * outputs)).clamp(1, PIECE);
    for piece in draw(&bent, usize::MAX).rows.chunks(rows_at_once) {
        let values = ground.lend(piece);
        let value = |column: usize, row: usize| values.row(row).get(column).map_or(1.0, |&value| f64::from(value));
        let x = Mat::from_fn(length, piece.len(), value);
        let curvature = |&(place, _): &(usize, f64)| {
            let row = ground.rows[place];
            targets.curvature_of_row(row, scores(row).collect())
        };
        let curvatures: Vec<Vec<f64>> = piece.iter().map(curvature).collect();
        hessian.par_col_chunks_mut(length).enumerate().for_each(|(right, all)| {
            let mut below = all.subrows_mut(right * length, (outputs - right) * length);
            let mut weighted = x.clone();
            for left in right..outputs {
                for (row, curvature) in curvatures.iter().enumerate() {
                    let weight = curvature[left * outputs + right];
                    let out = weighted.col_as_slice_mut(row).iter_mut();
                    out.zip(x.col_as_slice(row)).for_each(|(out, x)| *out = weight * x);
                }
                let block = below.as_mut().subrows_mut((left - right) * length, length);
                matmul(block, Accum::Add, weighted.as_ref(), x.transpose(), 1.0, Par::Seq);
            }
        });
    }
    // All classes' intercepts may move together, which changes nothing.
    let size = hessian.nrows();
    let highest = (0..size).map(|place| hessian[(place, place)]).fold(0.0, f64::max);
    (length - 1..size).step_by(length).for_each(|place| hessian[(place, place)] += highest * f64::EPSILON);
    hessian
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;
    use crate::loss::{Aims, Shape};
    use crate::table::Table;

    /// The change of the gradient along the direction that a ware makes of it is that gradient, where the ware is the Hessian.
    fn check(ware: Ware, aims: Aims<'_>, outputs: usize, is_hessian: bool) {
        let made = Array2::from_shape_fn((30, 4), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64);
        let table = Table::new(&made, &[true; 30], usize::MAX).unwrap();
        let ground = Ground::of(&table, &[true; 30], usize::MAX);
        let targets = Targets { aims, weights: &[1.5; 30], outputs };
        let scores: Vec<f32> = (0..30 * outputs).map(|place| (place * 7 % 11) as f32 / 11.0 - 0.4).collect();
        let (rho, c) = ([0.5, 1.0, 1.5, 2.0], 0.7);
        let mut own = Own::take(ware, (&ground, &targets), &scores, (&rho, None));
        assert_eq!(own.is_hessian(), is_hessian);
        own.factor(&rho, c);
        // All classes' intercepts together change nothing, so the slopes along these are 0.
        let mut gradient: Vec<f64> = (0..4 * outputs).map(|place| (place % 5) as f64 - 1.7).collect();
        gradient.extend((0..outputs).map(|output| output as f64 - (outputs - 1) as f64 / 2.0));
        let mut direction = gradient.clone();
        own.apply(&mut direction, outputs);
        let mut change: Vec<f64> = direction
            .iter()
            .enumerate()
            .map(|(place, v)| rho.get(place / outputs).map_or(0.0, |r| r / c * v))
            .collect();
        for (row, values) in table.gather(&ground.rows).chunks_exact(4).enumerate() {
            let x: Vec<f64> = values.iter().map(|&value| f64::from(value)).chain([1.0]).collect();
            let at =
                |output: usize| -> f64 { (0..5).map(|column| x[column] * direction[column * outputs + output]).sum() };
            let moved: Vec<f64> = (0..outputs).map(at).collect();
            let here = scores[row * outputs..(row + 1) * outputs].iter().map(|&score| f64::from(score)).collect();
            let d = targets.curvature_of_row(row, here);
            for (place, change) in change.iter_mut().enumerate() {
                let bent: f64 = (0..outputs).map(|output| d[place % outputs * outputs + output] * moved[output]).sum();
                *change += x[place / outputs] * bent;
            }
        }
        let off = change.iter().zip(&gradient).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert_eq!(off < 1e-5, is_hessian, "{ware:?}: {off}");
    }

    #[test]
    fn a_ware_that_says_so_is_the_hessian() {
        let classes: Vec<usize> = (0..30).map(|row| row % 3).collect();
        let sides = Array2::from_shape_fn((30, 3), |(row, output)| ((row + output) % 2) as f64);
        check(Ware::Whole, Aims::Class(&classes), 3, true);
        check(Ware::Blocks, Aims::Class(&classes), 3, false);
        check(Ware::Sketch(0), Aims::Class(&classes), 3, false);
        check(Ware::Blocks, Aims::Outputs(Shape::Logistic, sides.view()), 3, true);
        check(Ware::One, Aims::Outputs(Shape::SquaredError, sides.view()), 3, true);
        let one = sides.slice(s![.., ..1]);
        check(Ware::One, Aims::Outputs(Shape::Logistic, one), 1, true);
    }

    #[test]
    fn sketches_of_all_rows_are_the_blocks_in_single_precision() {
        let made = Array2::from_shape_fn((30, 4), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64);
        let classes: Vec<usize> = (0..30).map(|row| row % 3).collect();
        let targets = Targets { aims: Aims::Class(&classes), weights: &[1.5; 30], outputs: 3 };
        let scores: Vec<f32> = (0..90).map(|place| (place * 7 % 11) as f32 / 11.0 - 0.4).collect();
        for max_bytes in [0, usize::MAX] {
            let table = Table::new(&made, &[true; 30], max_bytes).unwrap();
            let ground = Ground::of(&table, &[true; 30], usize::MAX);
            let direction = |ware| {
                let mut own = Own::take(ware, (&ground, &targets), &scores, (&[0.5, 1.0, 1.5, 2.0], None));
                own.factor(&[0.5, 1.0, 1.5, 2.0], 0.7);
                let mut direction: Vec<f64> = (0..15).map(|place| f64::from(place % 4) - 1.3).collect();
                own.apply(&mut direction, 3);
                direction
            };
            let (blocks, sketches) = (direction(Ware::Blocks), direction(Ware::Sketch(0)));
            let near = |(one, two): (&f64, &f64)| (one - two).abs() < 1e-4 * one.abs().max(1.0);
            assert!(blocks.iter().zip(&sketches).all(near), "{blocks:?} {sketches:?}");
        }
    }

    #[test]
    fn dearer_wares_are_offered_where_they_fit_the_loss() {
        let made = array![[1.0, 2.0], [2.0, 1.0], [5.0, 3.0]];
        let table = Table::new(&made, &[true; 3], usize::MAX).unwrap();
        let ground = Ground::of(&table, &[true; 3], usize::MAX);
        let offered = |aims, outputs| Ware::offered(&ground, &Targets { aims, weights: &[1.0; 3], outputs });
        assert_eq!(offered(Aims::Class(&[0, 1, 2]), 3), [Ware::One, Ware::Blocks, Ware::Whole]);
        assert_eq!(offered(Aims::Class(&[0, 1, 2]), UNKNOWNS), [Ware::One, Ware::Blocks]);
        assert_eq!(offered(Aims::Class(&[0, 1, 1]), 1), [Ware::One]);
    }

    #[test]
    fn in_the_space_of_rows_only_classes_that_exclude_each_other_have_sketches() {
        let sides = Array2::from_shape_fn((3, 3), |(row, output)| ((row + output) % 2) as f64);
        let check = |columns: usize, aims, expected: bool| {
            let made = Array2::from_shape_fn((3, columns), |(r, c)| ((r * 37 + c * 101 + r * c * 7) % 23) as f64);
            let table = Table::new(&made, &[true; 3], usize::MAX).unwrap();
            let ground = Ground::of(&table, &[true; 3], usize::MAX);
            let targets = Targets { aims, weights: &[1.0; 3], outputs: 3 };
            assert_eq!(Ware::has_sketches(&ground, &targets), expected);
            assert_eq!(Ware::offered(&ground, &targets)[0], Ware::One);
        };
        check(2, Aims::Outputs(Shape::SquaredHinge, sides.view()), true);
        check(5, Aims::Outputs(Shape::SquaredHinge, sides.view()), false);
        check(5, Aims::Class(&[0, 1, 2]), true);
        check(2, Aims::Outputs(Shape::SquaredError, sides.view()), false);
    }
}

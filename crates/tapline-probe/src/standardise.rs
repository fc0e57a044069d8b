//! Columns brought to mean 0 and standard deviation 1, by numbers learned on the training rows alone.
//!
//! One strength then means the same for every layer, whatever the scale of its features.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ShapeBuilder};

use crate::Dataset;

/// Columns filled at a time: few enough for their cache lines to stay in the first-level cache.
const BLOCK: usize = 16;
/// Rows read at a time.
const ROWS: usize = 512;

/// Mean and scale of each column of the training rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardisation {
    /// Mean of each column `[columns]`, in the features' own unit.
    pub mean: Array1<f64>,
    /// Population standard deviation of each column `[columns]`, in the features' own unit; 1 where it is constant.
    pub scale: Array1<f64>,
}

/// Mean and scale of each column of `rows [rows, columns]`, over the rows numbered in `chosen` alone.
///
/// `mean = Σx / n`, `scale = √(Σ(x − mean)² / n)`, in two passes. A column counts as constant, and gets scale 1, where
/// its variance is within rounding of 0: `var ≤ n·ε·var + (n·mean·ε)²` (scikit-learn, `_is_constant_feature`, after
/// Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983).
pub fn standardisation<T: Copy + Into<f64>>(rows: ArrayView2<'_, T>, chosen: &[usize]) -> Standardisation {
    let each_row = |work: &mut dyn FnMut(ArrayView1<'_, T>)| chosen.iter().for_each(|&row| work(rows.row(row)));
    of_rows((chosen.len(), rows.ncols()), each_row)
}

/// [`standardisation`] of rows that are read a block at a time, to the same bits.
pub(crate) fn standardisation_in(data: &Dataset<'_>, chosen: &[usize]) -> Standardisation {
    let each_row = |work: &mut dyn FnMut(ArrayView1<'_, f32>)| {
        chosen.chunks(ROWS).for_each(|block| data.gather(block).outer_iter().for_each(&mut *work));
    };
    of_rows((chosen.len(), data.rows.dim().1), each_row)
}

/// Of so many rows and columns; `each_row` hands every row to what it is given, in the same order each time.
fn of_rows<T: Copy + Into<f64>>(
    (rows, columns): (usize, usize),
    each_row: impl Fn(&mut dyn FnMut(ArrayView1<'_, T>)),
) -> Standardisation {
    let count = rows as f64;
    let mut mean = Array1::<f64>::zeros(columns);
    each_row(&mut |row| mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value.into()));
    mean /= count;
    let mut variance = Array1::<f64>::zeros(columns);
    each_row(&mut |row| {
        for ((sum, &mean), &value) in variance.iter_mut().zip(&mean).zip(row) {
            let deviation = value.into() - mean;
            *sum += deviation * deviation;
        }
    });
    variance /= count;
    let scale = variance.iter().zip(&mean).map(|(&variance, &mean)| scale_of(variance, mean, count)).collect();
    Standardisation { mean, scale }
}

/// `(x − mean) / scale` for the rows numbered in `chosen`: f64 `[chosen, columns]` in column-major order.
///
/// Column-major, because the solver's hot spot walks down the columns.
///
/// # Panics
/// If `rows` has another number of columns than the standardisation.
pub fn standardise<T: Copy + Into<f64>>(
    standardisation: &Standardisation,
    rows: ArrayView2<'_, T>,
    chosen: &[usize],
) -> Array2<f64> {
    let (count, columns) = (chosen.len(), rows.ncols());
    assert_eq!(columns, standardisation.mean.len(), "columns to standardise");
    let mut values = vec![0.0; count * columns];
    for first in (0..columns).step_by(BLOCK) {
        let last = (first + BLOCK).min(columns);
        for (i, &row) in chosen.iter().enumerate() {
            let source = rows.row(row);
            for column in first..last {
                let centred = source[column].into() - standardisation.mean[column];
                values[column * count + i] = centred / standardisation.scale[column];
            }
        }
    }
    Array2::from_shape_vec((count, columns).f(), values).expect("count × columns values")
}

fn scale_of(variance: f64, mean: f64, count: f64) -> f64 {
    let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
    if variance <= rounding { 1.0 } else { variance.sqrt() }
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};

    use super::*;

    #[test]
    fn rows_that_were_not_chosen_leave_no_trace() {
        let rows = array![[1.0f32, 5.0], [3.0, 9.0], [1e6, -1e6]];
        let found = standardisation(rows.view(), &[0, 1]);
        assert_eq!(found, Standardisation { mean: array![2.0, 7.0], scale: array![1.0, 2.0] });
    }

    #[test]
    fn rows_read_in_blocks_give_the_same_bits() {
        let rows = Array2::from_shape_fn((1300, 3), |(row, column)| ((row * 37 + column * 11) % 101) as f32 / 7.0);
        let (labels, chosen) = (vec![0; 1300], (0..1300).filter(|row| row % 5 != 0).collect::<Vec<_>>());
        let data = Dataset { rows: &rows, labels: &labels, classes: 1, groups: None };
        assert_eq!(standardisation_in(&data, &chosen), standardisation(rows.view(), &chosen));
    }

    #[test]
    fn a_constant_column_becomes_zero() {
        let rows = array![[0.1f32], [0.1], [0.1]];
        let found = standardisation(rows.view(), &[0, 1, 2]);
        assert_eq!(found.scale, array![1.0]);
        assert!(standardise(&found, rows.view(), &[0, 1, 2]).iter().all(|value| value.abs() < 1e-15));
    }

    #[test]
    fn the_result_is_column_major_with_mean_0_and_deviation_1() {
        let rows = Array2::from_shape_fn((50, 37), |(i, j)| ((i * 7 + j * 3) % 11) as f32 + j as f32);
        let all: Vec<usize> = (0..50).collect();
        let found = standardise(&standardisation(rows.view(), &all), rows.view(), &all);
        assert_eq!(found.strides(), [1, 50]);
        assert!(found.mean_axis(Axis(0)).unwrap().iter().all(|mean| mean.abs() < 1e-12));
        assert!(found.std_axis(Axis(0), 0.0).iter().all(|deviation| (deviation - 1.0).abs() < 1e-12));
    }
}

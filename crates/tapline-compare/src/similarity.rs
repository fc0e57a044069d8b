//! How alike layers are, and how alike two rankings: linear CKA, Spearman's and Kendall's rank correlation.

use ndarray::{Array2, ArrayView2};

use crate::Error;
use crate::spectrum::{Columns, Table};

/// Linear CKA of each pair of layers `[layers, layers]`, from 0 to 1, of features `[n, d]` each over the same pictures.
///
/// `|YᵀX|² / (|XᵀX| |YᵀY|)` in Frobenius norms, of centred columns (Kornblith et al., "Similarity of neural network
/// representations revisited", ICML 2019, equation 3 with linear kernels). 1 for turned and scaled copies. The plain
/// estimate: with more columns than rows it is near 1 whatever the features are.
///
/// # Errors
/// For no layer, layers of different numbers of rows, features that are not finite, and a layer of constant columns.
pub fn linear_cka(layers: &[ArrayView2<'_, f32>]) -> Result<Array2<f64>, Error> {
    let first = layers.first().ok_or(Error::Empty { what: "layers" })?.nrows();
    let tables = layers
        .iter()
        .map(|rows| {
            if rows.nrows() != first {
                let what = "rows of a layer";
                return Err(Error::Length { what, found: rows.nrows(), of: "rows of the first", expected: first });
            }
            let table = Table::new(*rows, Columns::Centred)?;
            if table.is_constant() { Err(Error::ConstantFeatures { columns: rows.ncols() }) } else { Ok(table) }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut products = Array2::zeros((layers.len(), layers.len()));
    for i in 0..layers.len() {
        for j in 0..=i {
            products[[i, j]] = alignment(&tables[i], &tables[j]);
        }
    }
    Ok(Array2::from_shape_fn(products.dim(), |(i, j)| {
        if i == j {
            return 1.0;
        }
        products[[i.max(j), i.min(j)]] / (products[[i, i]] * products[[j, j]]).sqrt()
    }))
}

/// `|YᵀX|²`, from the matrices between rows where these are smaller.
fn alignment(this: &Table<'_>, other: &Table<'_>) -> f64 {
    let (rows, columns) = this.dim();
    if rows < columns.min(other.dim().1) {
        return (this.between_rows() * other.between_rows()).sum();
    }
    this.cross(other).iter().map(|value| value * value).sum()
}

/// Spearman's rank correlation of two lists `[n]`, from −1 to 1: Pearson's of their ranks, equal values sharing the mean.
///
/// (Spearman, "The proof and measurement of association between two things", 1904.)
///
/// # Errors
/// For lists of different lengths, fewer than two values, values that are not finite, and a list of equal values.
pub fn spearman(first: &[f64], second: &[f64]) -> Result<f64, Error> {
    check_lists(first, second)?;
    let (a, b) = (ranks(first), ranks(second));
    let middle = (first.len() + 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum::<f64>();
    Ok(product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt())
}

/// Kendall's rank correlation τ_b of two lists `[n]`, from −1 to 1.
///
/// `(C − D) / √((P − T₁)(P − T₂))` with C pairs in the same order, D in opposite orders, P pairs in all and T of them with
/// equal values in a list (Kendall, "The treatment of ties in ranking problems", 1945).
///
/// # Errors
/// As [`spearman`].
pub fn kendall(first: &[f64], second: &[f64]) -> Result<f64, Error> {
    check_lists(first, second)?;
    let order =
        |values: &[f64], i: usize, j: usize| values[i].partial_cmp(&values[j]).map_or(0.0, |order| order as i8 as f64);
    let (mut balance, mut told_first, mut told_second) = (0.0, 0.0, 0.0);
    for i in 0..first.len() {
        for j in 0..i {
            let (a, b) = (order(first, i, j), order(second, i, j));
            balance += a * b;
            told_first += a * a;
            told_second += b * b;
        }
    }
    Ok(balance / (told_first * told_second).sqrt())
}

fn check_lists(first: &[f64], second: &[f64]) -> Result<(), Error> {
    if first.len() != second.len() {
        let (found, expected) = (second.len(), first.len());
        return Err(Error::Length { what: "values of the second list", found, of: "of the first", expected });
    }
    for (which, list) in [("first", first), ("second", second)] {
        if let Some(row) = list.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "ranked values", row, column: 0, value: list[row] });
        }
        if list.iter().all(|value| *value == list[0]) {
            return Err(Error::NoRanking { which, count: list.len() });
        }
    }
    Ok(())
}

/// Rank of each value, from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equals in order.chunk_by(|&a, &b| values[a] == values[b]) {
        equals.iter().for_each(|&i| ranks[i] = before as f64 + (equals.len() + 1) as f64 / 2.0);
        before += equals.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn turned_scaled_and_shifted_copies_are_alike() {
        let rows = array![[1.0_f32, 2.0], [0.0, 1.0], [4.0, -1.0], [2.0, 2.0]];
        let turned = rows.dot(&array![[0.6, 0.8], [-0.8, 0.6]]) * 7.0 + 3.0;
        let found = linear_cka(&[rows.view(), turned.view()]).unwrap();
        assert!((found[[0, 1]] - 1.0).abs() < 1e-6 && found[[0, 0]] == 1.0);
        assert_eq!(found[[0, 1]], found[[1, 0]]);
    }

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[2.0, 4.0, 8.0]).unwrap(), 1.0);
        assert_eq!(kendall(&[1.0, 2.0, 3.0], &[8.0, 4.0, 2.0]).unwrap(), -1.0);
    }

    #[test]
    fn lists_and_layers_that_cannot_be_compared_are_refused() {
        let check = |first: &[f64], second: &[f64], expected: &str| {
            assert_eq!(spearman(first, second).unwrap_err().to_string(), expected);
            assert_eq!(kendall(first, second).unwrap_err().to_string(), expected);
        };
        check(&[1.0], &[], "0 values of the second list came with 1 of the first: give one for each");
        check(&[1.0, 1.0], &[1.0, 2.0], "all 2 values of the first list are equal: they rank nothing");
        check(&[], &[], "all 0 values of the first list are equal: they rank nothing");
        let error = "row 1, column 0 of the ranked values is NaN: compute it again or leave the row out";
        check(&[1.0, 2.0], &[1.0, f64::NAN], error);
        let (short, long) = (array![[1.0_f32], [2.0]], array![[1.0_f32], [2.0], [3.0]]);
        let error = linear_cka(&[short.view(), long.view()]).unwrap_err().to_string();
        assert_eq!(error, "3 rows of a layer came with 2 rows of the first: give one for each");
        assert_eq!(linear_cka(&[]).unwrap_err(), Error::Empty { what: "layers" });
        let flat = array![[1.0_f32], [1.0]];
        assert_eq!(linear_cka(&[flat.view()]).unwrap_err(), Error::ConstantFeatures { columns: 1 });
    }
}

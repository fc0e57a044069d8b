//! Eigenvalues of small symmetric matrices, for the last step of the principal components.

use ndarray::Array2;

/// Sweeps at most; the method converges quadratically, ten do for any matrix of this size.
const SWEEPS: usize = 50;

/// Eigenvalues, descending, and eigenvectors as columns of a symmetric matrix `[n, n]`, f64.
///
/// The cyclic method of Jacobi (Golub and Van Loan, "Matrix Computations", algorithm 8.5.3).
pub(crate) fn eigen(mut a: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = a.nrows();
    let mut vectors = Array2::eye(n);
    let scale: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let off: f64 = a.indexed_iter().filter(|((i, j), _)| i != j).map(|(_, x)| x * x).sum();
        if off <= scale * 1e-30 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, (p, q));
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[[j, j]].total_cmp(&a[[i, i]]));
    let values = order.iter().map(|&i| a[[i, i]]).collect();
    (values, vectors.select(ndarray::Axis(1), &order))
}

/// Turns rows and columns `p` and `q` so that `a[p, q]` becomes zero.
fn rotate(a: &mut Array2<f64>, vectors: &mut Array2<f64>, (p, q): (usize, usize)) {
    if a[[p, q]] == 0.0 {
        return;
    }
    let tau = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
    let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    for k in 0..a.nrows() {
        let (x, y) = (a[[k, p]], a[[k, q]]);
        (a[[k, p]], a[[k, q]]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..a.nrows() {
        let (x, y) = (a[[p, k]], a[[q, k]]);
        (a[[p, k]], a[[q, k]]) = (c * x - s * y, s * x + c * y);
        let (x, y) = (vectors[[k, p]], vectors[[k, q]]);
        (vectors[[k, p]], vectors[[k, q]]) = (c * x - s * y, s * x + c * y);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn eigenvalues_come_in_descending_order_with_their_vectors() {
        let a = array![[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 7.0]];
        let (values, vectors) = eigen(a.clone());
        for (found, expected) in values.iter().zip([7.0, 3.0, 1.0]) {
            assert!((found - expected).abs() < 1e-12, "{values:?}");
        }
        let again = vectors.dot(&Array2::from_diag(&ndarray::Array1::from(values))).dot(&vectors.t());
        assert!((again - a).iter().all(|x| x.abs() < 1e-12));
    }

    #[test]
    fn a_matrix_of_zeros_has_zeros() {
        assert_eq!(eigen(Array2::zeros((3, 3))).0, [0.0; 3]);
    }
}

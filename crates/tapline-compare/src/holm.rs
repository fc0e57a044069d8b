//! Several p values at once: Holm's adjustment.

use crate::Error;

/// Adjusted p of each test `[tests]`, from 0 to 1: at level α, those below it are significant together.
///
/// With p ascending, `max_{j ≤ i} min(1, (m − j) p_(j))`, j from 0 (Holm, "A simple sequentially rejective multiple test
/// procedure", 1979). Needs nothing of how the tests depend on each other.
///
/// # Errors
/// For a p that is no number from 0 to 1. No test gives no p.
pub fn holm(p: &[f64]) -> Result<Vec<f64>, Error> {
    if let Some(index) = p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(Error::OutOfRange { what: "p value", index, value: p[index], low: 0.0, high: 1.0 });
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut highest: f64 = 0.0;
    for (rank, &test) in order.iter().enumerate() {
        highest = highest.max((p.len() - rank) as f64 * p[test]).min(1.0);
        adjusted[test] = highest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(p: &[f64], expected: &[f64]) {
        let found = holm(p).unwrap();
        assert!(found.len() == expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn each_p_grows_by_the_tests_not_yet_rejected() {
        // Reference: statsmodels, multipletests(p, method="holm").
        check(&[0.01, 0.04, 0.03, 0.005], &[0.03, 0.06, 0.06, 0.02]);
        check(&[0.5, 0.9], &[1.0, 1.0]);
        check(&[0.02], &[0.02]);
        check(&[], &[]);
    }

    #[test]
    fn what_is_no_p_is_refused() {
        let error = holm(&[0.5, f64::NAN]).unwrap_err().to_string();
        assert_eq!(error, "p value number 1 is NaN: it must lie from 0 to 1");
        assert!(holm(&[-0.1]).is_err());
    }
}

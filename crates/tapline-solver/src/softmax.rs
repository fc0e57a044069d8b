//! Probabilities of classes that exclude each other, many at a time.
//!
//! With many classes and few columns most of a pass is exponentials. A library's `exp` takes one number, and comes from the
//! machine it runs on; these loops are written so that the compiler turns them into vectors, and no step is fused, so that
//! every processor finds the same probabilities.

use std::f64::consts::LOG2_E;

/// Sums taken side by side.
const LANES: usize = 8;

/// Hardly below it `e^x` is no normal number any more.
const LOWEST: f64 = -708.0;

/// Added to a number below 2^51, it rounds it to the nearest whole one, which the lowest bits then hold.
const ROUNDER: f64 = 1.5 * (1u64 << 52) as f64;

/// `ln 2` in two parts, the first short enough for its multiples to be exact.
const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];

/// `1 / k!`, from 13 down: on half of `ln 2` the rest of the series is below a twentieth of the last place.
const SERIES: [f64; 14] = {
    let mut series = [1.0; 14];
    let (mut k, mut factorial) = (1, 1.0);
    while k < series.len() {
        factorial *= k as f64;
        series[series.len() - 1 - k] = 1.0 / factorial;
        k += 1;
    }
    series
};

/// Turns the scores of a row into probabilities and returns its loss, `ln Σ e^(sₖ) − s_label`.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f64], label: usize) -> f64 {
    let highest = fold(scores, f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
    let gap = highest - scores[label];
    scores.iter_mut().for_each(|score| *score = exp(*score - highest));
    let sum = fold(scores, 0.0, |a, b| a + b);
    let inverse = 1.0 / sum;
    scores.iter_mut().for_each(|share| *share *= inverse);
    sum.ln() + gap
}

/// `e^x` of a number of at most 0, to two units in the last place; of those below [`LOWEST`], as of that.
///
/// `x = n ln 2 + r` with a whole `n`, and `e^x = 2ⁿ e^r` (Muller, "Elementary functions", 2016, chapter 11).
#[inline(always)]
fn exp(x: f64) -> f64 {
    let x = if x < LOWEST { LOWEST } else { x };
    let rounded = x * LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    let series = SERIES.iter().fold(0.0, |sum, term| sum * r + term);
    let power = (rounded.to_bits() << 52).wrapping_add(1f64.to_bits());
    series * f64::from_bits(power)
}

/// All of `values` together, in lanes.
#[inline(always)]
fn fold(values: &[f64], start: f64, join: impl Fn(f64, f64) -> f64) -> f64 {
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for values in whole {
        (0..LANES).for_each(|lane| lanes[lane] = join(lanes[lane], values[lane]));
    }
    lanes.iter().chain(rest).fold(start, |a, &b| join(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_the_last_places() {
        for place in 0..200_000 {
            let x = -f64::from(place) * 0.003_539_7;
            let (found, expected) = (exp(x), x.exp());
            assert!((found - expected).abs() <= f64::EPSILON * expected, "{x}: {found} {expected}");
        }
        assert_eq!([0.0, -0.0].map(exp), [1.0; 2]);
        assert!([-708.1, -1e300, f64::NEG_INFINITY].iter().all(|&x| exp(x) == exp(LOWEST) && exp(x) < 1e-307));
        assert!(exp(f64::NAN).is_nan());
    }

    #[test]
    fn any_number_of_classes_shares_one() {
        for classes in 2..40 {
            let scores: Vec<f64> = (0..classes).map(|class| ((class * 7) % 11) as f64 * 3.0 - 20.0).collect();
            let sum: f64 = scores.iter().map(|score| score.exp()).sum();
            for label in 0..classes {
                let mut shares = scores.clone();
                let loss = softmax(&mut shares, label);
                assert!((loss - (sum.ln() - scores[label])).abs() < 1e-12 * loss.max(1.0), "{classes} {label}");
                let right = |(share, score): (&f64, &f64)| (share - score.exp() / sum).abs() < 1e-14;
                assert!(shares.iter().zip(&scores).all(right), "{classes}");
            }
        }
    }

    #[test]
    fn a_score_that_is_no_number_is_not_hidden() {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut scores = [0.0, bad, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
            assert!(softmax(&mut scores, 0).is_nan(), "{bad}");
        }
    }
}

//! Numbers as people read them.

/// A whole number with thousands apart: `2,624`.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun, in the plural where there is not exactly one.
pub fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// A probability with three decimals, or where these do not tell it from 0 or 1 in as many digits as it takes: `0.083`, `2.60e-5`.
pub fn probability(value: f64) -> String {
    match value {
        0.0 | 1.0 => format!("{value}"),
        small if small < 0.001 => format!("{small:.2e}"),
        large if large > 0.999 => format!("{large}"),
        middle => format!("{middle:.3}"),
    }
}

/// A share as per cent with one decimal: `86.3`.
pub fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// A regularisation strength to three digits, such as 0.0178 or 1.78e-5.
pub fn strength(c: f64) -> String {
    let rounded: f64 = format!("{c:.2e}").parse().unwrap_or(c);
    if (1e-3..1e4).contains(&rounded) { rounded.to_string() } else { format!("{rounded:e}") }
}

/// An interval in per cent: `84.0 to 86.7`.
pub(crate) fn interval((low, high): (f64, f64)) -> String {
    format!("{} to {}", percent(low), percent(high))
}

/// Up to about `wanted` round numbers that cover `low` to `high`, ascending: multiples of 1, 2 or 5 times a power of ten.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    if wanted == 0 {
        return Vec::new();
    }
    // A little denser than asked for is better than half as dense.
    let rough = (high - low) / (wanted as f64 + 2.0);
    if !rough.is_finite() || rough <= 0.0 {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|i| i as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_told_from_0_and_1() {
        let texts = [0.0, 1e-300, 0.000_26, 0.001, 0.0826, 0.9994, 1.0].map(probability);
        assert_eq!(texts, ["0", "1.00e-300", "2.60e-4", "0.001", "0.083", "0.9994", "1"]);
    }

    #[test]
    fn strengths_are_rounded_to_three_digits() {
        let check = |c, text: &str| assert_eq!(strength(c), text);
        check(0.01, "0.01");
        check(0.017_782_79, "0.0178");
        check(1.778_279_4e-5, "1.78e-5");
        check(1e5, "1e5");
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (2_624, "2,624"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(percent(0.8632), "86.3");
        assert_eq!((counted(1, "class"), counted(2, "picture")), ("1 class".into(), "2 pictures".into()));
        assert_eq!(interval((0.8401, 0.867)), "84.0 to 86.7");
    }

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        let check = |low, high, expected: &[f64]| {
            let found = ticks(low, high, 5);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        check(74.0, 88.0, &[74.0, 76.0, 78.0, 80.0, 82.0, 84.0, 86.0, 88.0]);
        check(0.0, 1.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        check(3.0, 3.0, &[3.0]);
    }
}

//! Student's and the normal distribution: what a test needs of them.

/// Two-sided p of Student's `t` with `degrees` (1 or more) degrees of freedom, from 0 to 1.
///
/// The finite sums in sines and cosines for whole degrees (Abramowitz and Stegun, "Handbook of mathematical functions",
/// 1964, 26.7.3 and 26.7.4). Exact to about 1e-15 of absolute error.
pub(crate) fn student_p(t: f64, degrees: usize) -> f64 {
    let angle = (t.abs() / (degrees as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = degrees % 2 == 1;
    let (mut term, mut sum) = if odd { (cosine, 0.0) } else { (1.0, 0.0) };
    for step in 0..degrees / 2 {
        sum += term;
        let k = (2 * step + 1 + usize::from(odd)) as f64;
        term *= k / (k + 1.0) * cosine * cosine;
    }
    let inside = if odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum };
    (1.0 - inside).clamp(0.0, 1.0)
}

/// The `t` that [`student_p`] gives `p`, by bisection.
pub(crate) fn student_point(p: f64, degrees: usize) -> f64 {
    let mut high = 1.0;
    while student_p(high, degrees) > p && high < 1e150 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if student_p(middle, degrees) > p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Share of the standard normal distribution outside `±z`.
pub(crate) fn normal_p(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_tails_are_scipys() {
        // Reference: SciPy, 2 * t.sf(t, degrees).
        for (t, degrees, expected) in [
            (1.0, 1, 0.5),
            (2.0, 2, 0.183_503_419_072_273_97),
            (2.5, 3, 0.087_706_647_008_065_56),
            (-2.776_445_105_197_793_6, 4, 0.05),
            (4.0, 9, 0.003_110_428_310_385_854_3),
            (1.3, 30, 0.203_500_958_538_116_87),
            (0.0, 7, 1.0),
        ] {
            assert!((student_p(t, degrees) - expected).abs() < 1e-12, "{t} {degrees}: {}", student_p(t, degrees));
        }
    }

    #[test]
    fn points_turn_tails_around() {
        assert!((student_point(0.05, 4) - 2.776_445_105_197_793_6).abs() < 1e-9);
        assert!((student_point(0.05, 1) - 12.706_204_736_174_7).abs() < 1e-8);
    }

    #[test]
    fn the_normal_tail_is_known() {
        assert!((normal_p(1.959_963_984_540_054) - 0.05).abs() < 1e-14);
    }
}

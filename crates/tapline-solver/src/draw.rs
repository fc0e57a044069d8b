//! Which rows a curvature is taken from: those that it depends on.
//!
//! Where classes are told apart well, few rows bend a loss, and a sample drawn evenly misses most of them.

/// Share of the whole weight that rows may have together to be left out.
const NOTHING: f64 = 1e-9;

/// The fractions of its multiples are spread evenly.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Rows with the weights that make up for those left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawn {
    /// Places among the rows given, ascending, each with its weight, above 0.
    pub(crate) rows: Vec<(usize, f64)>,
    /// Whether these are all that have a weight to speak of, each with its own.
    pub(crate) is_whole: bool,
}

/// Draws `most` rows or a few less by their `weights [rows]`: the heaviest each for itself; of the others, whose weights are
/// laid end to end and cut into steps, the row at one place in each step, with the step for its weight. The places follow the
/// golden ratio, so that rows that take turns, as classes in a listing do, are not met in time with them.
pub(crate) fn draw(weights: &[f64], most: usize) -> Drawn {
    let total: f64 = weights.iter().sum();
    let least = NOTHING * total / weights.len().max(1) as f64;
    let chosen = || weights.iter().enumerate().filter(|&(_, &weight)| weight > least);
    let is_whole = chosen().count() <= most;
    let step = if is_whole { 0.0 } else { step(chosen().map(|(_, &weight)| weight), most) };
    let (mut sum, mut steps) = (0.0, 0.0);
    let take = |(place, &weight): (usize, &f64)| {
        if weight >= step {
            return Some((place, weight));
        }
        sum += weight;
        let mut taken = 0.0;
        while sum >= (steps + (steps * GOLDEN).fract()) * step {
            (steps, taken) = (steps + 1.0, taken + step);
        }
        (taken > 0.0).then_some((place, taken))
    };
    Drawn { rows: chosen().filter_map(take).collect(), is_whole }
}

/// The weight from which on a row stands for itself, so that `most` are taken in all.
fn step(weights: impl Iterator<Item = f64> + Clone, most: usize) -> f64 {
    let mut step = f64::INFINITY;
    loop {
        let sure = weights.clone().filter(|&weight| weight >= step).count();
        let rest: f64 = weights.clone().filter(|&weight| weight < step).sum();
        let next = rest / most.saturating_sub(sure).max(1) as f64;
        if next >= step || next == 0.0 {
            return step;
        }
        step = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_taken_as_they_are() {
        let drawn = draw(&[1.0, 0.0, 2.0, 1e-15], 3);
        assert_eq!(drawn, Drawn { rows: vec![(0, 1.0), (2, 2.0)], is_whole: true });
    }

    #[test]
    fn heavy_rows_stand_for_themselves_and_light_ones_for_each_other() {
        let mut weights = vec![0.1; 1000];
        (weights[3], weights[700]) = (50.0, 9.0);
        let drawn = draw(&weights, 102);
        assert!(!drawn.is_whole && drawn.rows.len().abs_diff(102) <= 2, "{}", drawn.rows.len());
        assert!(drawn.rows.contains(&(3, 50.0)) && drawn.rows.contains(&(700, 9.0)));
        let sum = |rows: &[(usize, f64)]| -> f64 { rows.iter().map(|row| row.1).sum() };
        assert!((sum(&drawn.rows) - (59.0 + 99.8)).abs() < 1.0);
        // Evenly spread: a half of the light ones has half of their weight.
        let half: Vec<_> = drawn.rows.iter().filter(|row| row.0 < 500 && row.0 != 3).copied().collect();
        assert!((sum(&half) - 49.9).abs() < 1.0);
        assert!(drawn.rows.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn rows_that_take_turns_are_all_met() {
        let drawn = draw(&[0.25; 4000], 400);
        let mut of_class = [0; 10];
        drawn.rows.iter().for_each(|(row, _)| of_class[row % 10] += 1);
        assert!(of_class.iter().all(|count| (35..=45).contains(count)), "{of_class:?}");
    }

    #[test]
    fn equal_rows_and_none_at_all_can_be_drawn() {
        assert_eq!(draw(&[2.0; 10], 5).rows.len(), 5);
        assert_eq!(draw(&[], 5).rows.len(), 0);
        assert_eq!(draw(&[0.0; 4], 2), Drawn { rows: vec![], is_whole: true });
        assert_eq!(draw(&[f64::MIN_POSITIVE; 4], 2).rows.len(), 2);
    }
}

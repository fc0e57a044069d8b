//! Which rows to show where there are too many to show all.

/// At most `limit` positions of `0..rows`, ascending, each as likely as any other; the same for the same seed.
///
/// A partial Fisher–Yates shuffle over SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
pub fn sample(rows: usize, limit: usize, seed: u64) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..rows).collect();
    if rows <= limit {
        return positions;
    }
    let mut state = seed;
    for place in 0..limit {
        let other = place + below(&mut state, rows - place);
        positions.swap(place, other);
    }
    positions.truncate(limit);
    positions.sort_unstable();
    positions
}

/// A whole number below `bound`; the bias of the product is under `bound / 2^64`.
fn below(state: &mut u64, bound: usize) -> usize {
    ((u128::from(next(state)) * bound as u128) >> 64) as usize
}

/// The next number of SplitMix64.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // Reference: the C code of Vigna, splitmix64.c, from state 1234567.
        let mut state = 1_234_567;
        assert_eq!([next(&mut state), next(&mut state)], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn few_rows_are_all_taken_and_many_are_sampled_without_repeats() {
        assert_eq!(sample(3, 5, 0), [0, 1, 2]);
        let chosen = sample(10_000, 500, 7);
        assert_eq!(chosen.len(), 500);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen[499] < 10_000);
        assert_eq!(chosen, sample(10_000, 500, 7));
        assert_ne!(chosen, sample(10_000, 500, 8));
    }

    #[test]
    fn every_row_is_as_likely_as_any_other() {
        let mut times = [0_i64; 20];
        (0..4_000).for_each(|seed| sample(20, 5, seed).into_iter().for_each(|row| times[row] += 1));
        // 1,000 expected, a standard deviation of 27.
        assert!(times.iter().all(|&n| (n - 1_000).abs() < 140), "{times:?}");
    }
}

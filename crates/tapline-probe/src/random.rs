//! Random numbers by a seed, the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// ChaCha8 (Bernstein, "ChaCha, a variant of Salsa20", 2008) keyed with the seed in little-endian order, then zeros.
pub(crate) fn random_numbers(seed: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Fisher and Yates' shuffle (Knuth, "The art of computer programming", volume 2, algorithm 3.4.2 P).
pub(crate) fn shuffle<T>(rows: &mut [T], random: &mut ChaCha8Rng) {
    for last in (1..rows.len()).rev() {
        rows.swap(last, below(last as u64 + 1, random) as usize);
    }
}

/// A number from 0 to `end − 1`, each as likely: the remainder of a draw, draws from the incomplete last round rejected.
pub(crate) fn below(end: u64, random: &mut ChaCha8Rng) -> u64 {
    let rejected = (u64::MAX % end + 1) % end;
    loop {
        let draw = random.next_u64();
        if draw <= u64::MAX - rejected {
            return draw % end;
        }
    }
}

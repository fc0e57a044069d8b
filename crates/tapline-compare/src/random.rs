//! Random numbers by a seed, the same on every machine and any number of threads.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// ChaCha8 keyed with the seed, one stream for each resample: streams may be drawn in any order, on any thread.
pub(crate) fn stream(seed: u64, stream: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(key);
    random.set_stream(stream as u64);
    random
}

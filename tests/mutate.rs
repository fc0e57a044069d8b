//! Damaged files from sound ones by a seed, and a guard under which they are read: no panic, no hang, bounded memory.
//!
//! Shared by the crates that read files from elsewhere, so that all of them are struck by the same blows. Nothing is
//! kept in files: a failure names the seed that makes it again.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The longest that reading one damaged file may take.
const LONGEST: Duration = Duration::from_secs(5);

/// SplitMix64 (Steele, Lea and Flood, 2014): a sequence for each seed, the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A part of at least one byte of a file that has some, mostly a short one.
    fn part(&mut self, len: usize) -> Range<usize> {
        let longest = if self.below(4) == 0 { len } else { len.min(64) };
        let part = 1 + self.below(longest);
        let start = self.below(len - part + 1);
        start..start + part
    }
}

/// `sound` with one to three blows: flipped bits, other bytes, numbers blown up, parts swapped, doubled, dropped, blanked or
/// inserted, or an early end. Never empty where `sound` is not.
pub fn mutated(sound: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=random.below(3) {
        strike(&mut bytes, random);
    }
    bytes
}

/// `sound` with one to three bytes changed and nothing moved, so that lengths mostly still fit and the blow reaches what they
/// enclose.
#[allow(dead_code, reason = "each test binary uses its part")]
pub fn mutated_in_place(sound: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        bytes[at] = match random.below(4) {
            0 => bytes[at] ^ 1 << random.below(8),
            1 => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes[at].wrapping_add(1),
            _ => random.next() as u8,
        };
    }
    bytes
}

fn strike(bytes: &mut Vec<u8>, random: &mut Random) {
    let len = bytes.len();
    let part = random.part(len);
    match random.below(10) {
        0 => bytes[part.start] ^= 1 << random.below(8),
        1 => (0..=random.below(8)).for_each(|_| bytes[random.below(len)] = random.next() as u8),
        2 | 3 => blow_up(bytes, random),
        4 => swap(bytes, part, random),
        5 => {
            let twice = bytes[part.clone()].to_vec();
            bytes.splice(part.start..part.start, twice);
        }
        6 if part.len() < len => drop(bytes.drain(part)),
        7 => bytes[part].fill(if random.below(2) == 0 { 0 } else { 0xff }),
        8 => {
            let foreign: Vec<u8> = (0..1 + random.below(16)).map(|_| random.next() as u8).collect();
            bytes.splice(part.start..part.start, foreign);
        }
        _ => bytes.truncate(1 + random.below(len)),
    }
}

/// Writes an extreme number over what may be a length, a size or an offset, of either byte order; half of the time near the
/// start, where headers are, and of texts over their digits.
fn blow_up(bytes: &mut [u8], random: &mut Random) {
    let near = if random.below(2) == 0 { bytes.len().min(128) } else { bytes.len() };
    let at = random.below(near);
    if bytes[at].is_ascii_digit() {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        bytes[at..at + digits].fill(b'9');
        return;
    }
    let extremes = [u64::MAX, i64::MAX as u64, u64::from(u32::MAX), 0x7fff_ffff, 0xffff, 0x4000_0000, 0, 1];
    let number = extremes[random.below(extremes.len())];
    let width = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
    let field = &mut bytes[at..at + width];
    match random.below(2) {
        0 => field.copy_from_slice(&number.to_le_bytes()[..width]),
        _ => field.copy_from_slice(&number.to_be_bytes()[8 - width..]),
    }
}

/// Exchanges a part with another one of the same length.
fn swap(bytes: &mut [u8], part: Range<usize>, random: &mut Random) {
    let other = random.below(bytes.len() - part.len() + 1);
    (0..part.len()).for_each(|i| bytes.swap(part.start + i, other + i));
}

/// The thread that reads. A panic that the product catches there leaves no backtrace: its symbols would be counted as memory.
const STRUCK: &str = "struck";
static QUIET: Once = Once::new();

/// What `read` gives, where it neither panics nor takes longer than five seconds nor holds more than `bound` bytes of memory
/// above what was held before. `what` names the file in the failure.
pub fn soberly<T: Send + 'static>(what: &str, bound: usize, read: impl FnOnce() -> T + Send + 'static) -> T {
    // One at a time: memory is counted for the whole process.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(STRUCK) {
                usual(panic);
            }
        }));
    });
    let (sender, receiver) = channel();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let reader = std::thread::Builder::new().name(STRUCK.to_owned()).spawn(move || {
        let done = catch_unwind(AssertUnwindSafe(read)).map_err(drop);
        let _ = sender.send((done, MEMORY.peak_usage()));
    });
    let reader = reader.expect("a thread");
    let (done, peak) = match receiver.recv_timeout(LONGEST) {
        Ok(finished) => finished,
        Err(RecvTimeoutError::Timeout) => panic!("{what}: not done after {LONGEST:?}"),
        Err(RecvTimeoutError::Disconnected) => panic!("{what}: no answer"),
    };
    reader.join().expect("its panics are caught");
    let held = peak.saturating_sub(before);
    assert!(held <= bound, "{what}: held {held} bytes of memory, more than {bound}");
    done.unwrap_or_else(|()| panic!("{what}: panicked"))
}

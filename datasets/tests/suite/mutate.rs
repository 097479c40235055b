//! Damage of the kinds files suffer: cuts, flipped bits, lost or repeated stretches, numbers
//! replaced by extreme ones.

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Versions tried of a file when nobody asks for more: the same on any machine, however busy.
const VERSIONS: u64 = 1_500;

/// Calls `read` with damaged versions of a file and their numbers; how many there were.
///
/// Always the same ones. `FORESIGHT_DAMAGE_SECONDS=600` goes on for so long with versions nobody
/// has seen before (`FORESIGHT_DAMAGE_SEED` repeats them): fuzzing where cargo-fuzz can't be had.
pub fn each(whole: &[u8], seed: u64, mut read: impl FnMut(u64, &[u8])) -> u64 {
    let asked = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let (most, time, seed) = match asked("FORESIGHT_DAMAGE_SECONDS") {
        None => (VERSIONS, None, seed),
        Some(seconds) => {
            let seed = asked("FORESIGHT_DAMAGE_SEED").unwrap_or_else(rand::random);
            println!("FORESIGHT_DAMAGE_SEED={seed}");
            (u64::MAX, Some(Duration::from_secs(seconds)), seed)
        }
    };
    let (begin, mut n, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while n < most && time.is_none_or(|time| begin.elapsed() < time) {
        let bytes = damaged(whole, seed, n);
        let started = Instant::now();
        read(n, &bytes);
        slowest = slowest.max(started.elapsed());
        n += 1;
    }
    println!(
        "{n} versions in {:.0?}, the slowest {slowest:.1?}",
        begin.elapsed()
    );
    n
}

/// The `n`-th damaged version of a file; a function of file, seed and number.
pub fn damaged(whole: &[u8], seed: u64, n: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(n);
    let mut bytes = whole.to_vec();
    for _ in 0..rng.random_range(1..=3) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let length = rng.random_range(1..=64.min(bytes.len() - at));
        match rng.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes[at] = rng.random(),
            3 => bytes[at..at + length].fill(0),
            4 => bytes[at..at + length].fill(0xff),
            5 => drop(bytes.drain(at..at + length)),
            6 => {
                let stretch = bytes[at..at + length].to_vec();
                bytes.splice(at..at, stretch);
            }
            _ => {
                let extreme: [u8; 8] = [0_u64, u64::MAX, 1 << 63, 1 << 31, 0x7fff_ffff]
                    [rng.random_range(0..5)]
                .to_le_bytes();
                let end = (at + 8).min(bytes.len());
                bytes[at..end].copy_from_slice(&extreme[..end - at]);
            }
        }
    }
    bytes
}

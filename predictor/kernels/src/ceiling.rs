//! How fast this machine multiplies at best: each unit's own instruction on registers, nothing
//! loaded, on as many threads as asked for. What measured rates are a share of.

use std::time::{Duration, Instant};

use super::tile::{burn, Unit};

/// FLOP/s of `unit` on `threads` threads, measured for about `time`; the best of three, because
/// a ceiling is what a machine does when nothing disturbs it.
pub fn measure(unit: Unit, threads: usize, time: Duration) -> f64 {
    (0..3)
        .map(|_| once(unit, threads, time / 3))
        .fold(0.0, f64::max)
}

fn once(unit: Unit, threads: usize, time: Duration) -> f64 {
    let started = Instant::now();
    let work = || {
        let mut flops = 0.0;
        while started.elapsed() < time {
            flops += burn(unit, 20_000);
        }
        flops
    };
    let total: f64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or(0.0))
            .sum()
    });
    total / started.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_here_has_a_ceiling() {
        for unit in [
            Unit::Amx,
            Unit::Avx512Bf16,
            Unit::Avx512,
            Unit::Avx2,
            Unit::Portable,
        ] {
            if !unit.is_available() {
                println!("skipped: this machine has no {unit}");
                continue;
            }
            let rate = measure(unit, 1, Duration::from_millis(30));
            assert!(rate > 1e8, "{unit}: {rate}");
        }
    }
}

//! How fast this machine multiplies at best: each unit's own instruction on registers, nothing
//! loaded, on as many threads as asked for. What measured rates are a share of.

use std::time::{Duration, Instant};

use crate::instruction_set::InstructionSet;
use crate::tile::burn;

/// FLOP/s of `instruction_set` on `threads` threads, measured for about `time`; the best of three, because
/// a ceiling is what a machine does when nothing disturbs it.
pub fn measure(instruction_set: InstructionSet, threads: usize, time: Duration) -> f64 {
    (0..3)
        .map(|_| once(instruction_set, threads, time / 3))
        .fold(0.0, f64::max)
}

fn once(instruction_set: InstructionSet, threads: usize, time: Duration) -> f64 {
    let started = Instant::now();
    let work = || {
        let mut flops = 0.0;
        while started.elapsed() < time {
            flops += burn(instruction_set, 20_000);
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
#[path = "../tests/unit/ceiling.rs"]
mod tests;

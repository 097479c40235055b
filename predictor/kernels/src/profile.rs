//! Where rollouts spend their time: nanoseconds of all threads together, by kind of work. A few
//! clock readings a block, so always on; read by `foresight bench plan`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Kinds of work in a transformer block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KernelStage {
    /// Layer normalisation.
    Norm,
    /// Products with weights, and what is fused into them (bias, GELU, residual).
    Products,
    /// RoPE, keys and values into memory, attention.
    Attention,
}

impl KernelStage {
    /// All of them.
    const ALL: [KernelStage; 3] = [
        KernelStage::Norm,
        KernelStage::Products,
        KernelStage::Attention,
    ];
}

static NANOSECONDS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Seconds of all threads since the last call: norms, products with weights, attention.
pub fn take() -> [f64; 3] {
    KernelStage::ALL
        .map(|stage| NANOSECONDS[stage as usize].swap(0, Ordering::Relaxed) as f64 * 1e-9)
}

/// A stopwatch that splits its time among parts.
#[derive(Debug)]
pub(crate) struct Laps {
    last: Instant,
    spent: [u64; 3],
}

impl Laps {
    pub(crate) fn start() -> Self {
        Laps {
            last: Instant::now(),
            spent: [0; 3],
        }
    }

    /// What went by since the last mark was `stage`.
    pub(crate) fn mark(&mut self, stage: KernelStage) {
        let now = Instant::now();
        self.spent[stage as usize] += (now - self.last).as_nanos() as u64;
        self.last = now;
    }
}

impl Drop for Laps {
    fn drop(&mut self) {
        for (total, spent) in NANOSECONDS.iter().zip(self.spent) {
            total.fetch_add(spent, Ordering::Relaxed);
        }
    }
}

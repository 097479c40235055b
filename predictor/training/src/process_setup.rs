//! How this process uses memory and candle's threads while it trains.

/// candle's number of threads for element-wise operations.
const CANDLE_THREADS: &str = "CANDLE_NUM_THREADS";

/// Called once at the start of a program that trains, before it has other threads; changes no
/// number.
///
/// - candle's element-wise operations run on the thread that asks for them. Otherwise they are
///   shared with threads that spin while they wait: beside any other work on the machine half of a
///   training step is spent spinning. What is worth sharing is shared by our own operations. A
///   user's `CANDLE_NUM_THREADS` stays.
/// - glibc's allocator keeps what a step frees for the next step. Otherwise every step gives
///   its activations back to the system and gets them as new, zeroed pages: a quarter of its time.
pub fn arrange_process() {
    if std::env::var_os(CANDLE_THREADS).is_none() {
        std::env::set_var(CANDLE_THREADS, "1");
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, bytes) in [
        (libc::M_MMAP_MAX, 0),
        (libc::M_TRIM_THRESHOLD, i32::MAX),
        (libc::M_TOP_PAD, 16 << 20),
    ] {
        // SAFETY: mallopt may be called at any time; what it doesn't like it refuses.
        unsafe { libc::mallopt(parameter, bytes) };
    }
}

//! Sequence numbers of targets and gripper commands.

/// Strictly increasing numbers. Seeded from the monotonic clock, a client that restarts under
/// its old id continues above everything it ever sent, so the node doesn't refuse it.
#[derive(Debug, Clone)]
pub struct Sequence(u64);

impl Sequence {
    /// Starts above `now_ns` of the monotonic clock.
    pub fn from_clock(now_ns: u64) -> Self {
        Sequence(now_ns)
    }

    /// The next number.
    pub fn advance(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

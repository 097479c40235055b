//! Where a search's randomness comes from.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Standard normal numbers, asked for in the reference's order: iteration by iteration, and in
/// each one planning step after the other.
///
/// A trait so that recorded noise can be replayed: with the same noise the search must make the
/// same choices as the official code.
pub trait Noise {
    /// Fills `out` (`[samples, dimensions]`, row-major) for one planning step of one iteration.
    fn fill(&mut self, out: &mut [f32]);
}

/// Noise that is a pure function of a seed and the decision's number in the episode, whatever
/// the number of threads that evaluate candidates.
#[derive(Debug, Clone)]
pub struct SeededNoise(ChaCha8Rng);

impl SeededNoise {
    /// The noise of decision number `decision` of an episode with this seed.
    pub fn new(seed: u64, decision: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(decision);
        SeededNoise(rng)
    }
}

impl Noise for SeededNoise {
    fn fill(&mut self, out: &mut [f32]) {
        for value in out {
            *value = StandardNormal.sample(&mut self.0);
        }
    }
}

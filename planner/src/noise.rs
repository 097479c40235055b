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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_a_function_of_seed_and_decision() {
        let draw = |seed, decision| {
            let mut values = vec![0.0; 1000];
            SeededNoise::new(seed, decision).fill(&mut values);
            values
        };
        assert_eq!(draw(3, 7), draw(3, 7));
        assert_ne!(draw(3, 7), draw(3, 8));
        assert_ne!(draw(3, 7), draw(4, 7));
        let values = draw(1, 0);
        let mean = values.iter().sum::<f32>() / 1000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 999.0;
        assert!(mean.abs() < 0.15, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.2, "variance {variance}");
    }
}

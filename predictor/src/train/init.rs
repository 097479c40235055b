//! Starting weights: the official distribution, seeded.

use rand::Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::parameters::Parameters;

/// Standard deviation of the truncated normal, as in the official models.
const STD: f32 = 0.02;

/// Weights from a normal of standard deviation 0.02 cut at ±2, biases 0, norms 1, and the
/// projections that end a residual branch divided by `√(2·layer)` (`_init_weights` and
/// `_rescale_blocks` of the official models). Every tensor has its own random stream, keyed by
/// `seed` and its place in the layout.
pub fn initialise(parameters: &mut Parameters, seed: u64) {
    for (place, (name, shape)) in parameters.entries().to_vec().into_iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(place as u64);
        let scale = residual_scale(&name);
        let values = parameters.slice_mut(&name);
        if shape.len() == 1 {
            let norm_weight = name.contains("norm") && name.ends_with("weight");
            values.fill(if norm_weight { 1.0 } else { 0.0 });
            continue;
        }
        for value in values {
            let mut sample: f32 = rng.sample(StandardNormal);
            while (sample * STD).abs() > 2.0 {
                sample = rng.sample(StandardNormal);
            }
            *value = sample * STD * scale;
        }
    }
}

/// `1/√(2·(i + 1))` for `attn.proj` and `mlp.fc2` of block `i`, 1 for everything else.
fn residual_scale(name: &str) -> f32 {
    if !name.ends_with("attn.proj.weight") && !name.ends_with("mlp.fc2.weight") {
        return 1.0;
    }
    let layer = name
        .split('.')
        .find_map(|part| part.parse::<usize>().ok())
        .unwrap_or(0);
    (2.0 * (layer + 1) as f32).sqrt().recip()
}

/// Makes a predictor of equal inner and outer width start at persistence: its input and output
/// projections become the identity, so that an untrained residual stream hands the current
/// latent through and training starts from a good guess.
///
/// Returns false, changing nothing, when the widths differ.
pub fn start_at_persistence(parameters: &mut Parameters) -> bool {
    let square = parameters.entries().iter().any(|(name, shape)| {
        name == "predictor_embed.weight" && shape.len() == 2 && shape[0] == shape[1]
    });
    if square {
        for name in ["predictor_embed.weight", "predictor_proj.weight"] {
            let weight = parameters.slice_mut(name);
            let d = weight.len().isqrt();
            weight.fill(0.0);
            weight.iter_mut().step_by(d + 1).for_each(|v| *v = 1.0);
        }
    }
    square
}

//! Starting weights for training.

use foresight_predictor::parameters::Parameters;

/// Makes a predictor of equal inner and outer width start at persistence: its input and output
/// projections become the identity, so that an untrained residual stream hands the current
/// latent through and training starts from a good guess.
///
/// Returns false, changing nothing, when the widths differ.
pub(crate) fn start_at_persistence(parameters: &mut Parameters) -> bool {
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

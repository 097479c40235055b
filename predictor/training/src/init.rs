//! Starting weights for training.

use foresight_predictor::checkpoint::init::{initialise, INITIAL_STD};
use foresight_predictor::checkpoint::Part;
use foresight_predictor::layout::Entry;
use foresight_predictor::parameters::Parameters;

/// Random weights of a network beside the official ones: matrices at the deviation that `std` gives for
/// their name and number of inputs.
pub(crate) fn random(entries: Vec<Entry>, seed: u64, std: fn(&str, usize) -> f32) -> Parameters {
    let mut parameters = Parameters::zeros(entries);
    initialise(&mut parameters, Part::AcPredictor, seed);
    for (name, shape) in parameters.entries().to_vec() {
        if let (true, [_, inputs]) = (name.ends_with(".weight"), &shape[..]) {
            let scale = std(&name, *inputs) / INITIAL_STD;
            let weights = parameters.slice_mut(&name).iter_mut();
            weights.for_each(|weight| *weight *= scale);
        }
    }
    parameters
}

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

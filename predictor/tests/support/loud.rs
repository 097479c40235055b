//! A small random world model whose latents hang on its actions.

use foresight_predictor::backend::{self, Backend};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{preset, Part};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{layout, ComputeDevice, Precision, WorldModel};

/// The preset `tiny`, louder than at initialisation so that actions matter.
pub fn model(device: ComputeDevice, precision: Precision) -> WorldModel {
    model_with(backend::open(device, precision).unwrap().as_ref())
}

/// [`model`] on a backend.
pub fn model_with(backend: &dyn Backend) -> WorldModel {
    let config = preset("tiny").unwrap();
    let tensors = |entries, part| {
        let mut parameters = Parameters::zeros(entries);
        initialise(&mut parameters, part, 3);
        parameters.values_mut().iter_mut().for_each(|v| *v *= 2.0);
        parameters.to_tensors().unwrap()
    };
    let encoder = tensors(layout::encoder(&config.encoder), Part::Encoder);
    let predictor_layout = layout::predictor(config.predictor.as_ref().unwrap());
    let predictor = tensors(predictor_layout, Part::AcPredictor);
    WorldModel::from_tensors_with(config, &encoder, &predictor, backend).unwrap()
}

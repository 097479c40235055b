//! What a world model sees and foresees, measured away from the control loop.
//!
//! A goal image's arm pose carries most of a pick-and-place, so closed-loop success alone
//! doesn't show that objects are seen. Three measurements tell parts of the system apart:
//! [`linear`] (is it in the latent?), [`ranks`] (does the energy order states by how far they
//! are?), [`prediction`] (does the predictor beat doing nothing, also where things touch?).

pub mod linear;
pub mod prediction;
pub mod ranks;

use foresight_datasets::EpisodeSet;
use foresight_predictor::WorldModel;
use serde::Serialize;

pub use linear::LinearProbe;
pub use prediction::PredictionErrors;
pub use ranks::{EnergyRanks, RankOptions};

use crate::run::RunError;

/// Everything `foresight probe` measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// Linear read-out of the latents.
    pub linear: LinearProbe,
    /// Order of the energies.
    pub ranks: EnergyRanks,
    /// Errors of the predictor.
    pub prediction: PredictionErrors,
}

/// Measures `model`: the read-out is fitted on `train` and judged on `held_out`, on which
/// predictions are judged too; ranks are measured in scenes of their own.
///
/// # Errors
/// [`RunError`] when the recordings don't fit the model, have no object truth, or a scene can't
/// be posed.
pub fn probe(
    model: &WorldModel,
    train: &EpisodeSet,
    held_out: &EpisodeSet,
    ranks: &RankOptions,
) -> Result<Probe, RunError> {
    Ok(Probe {
        linear: linear::fit_and_judge(model, train, held_out)?,
        ranks: ranks::measure(model, ranks)?,
        prediction: prediction::measure(model, held_out)?,
    })
}

/// Frames of a set at the model's size, encoded, for some of its steps.
fn latents(
    model: &WorldModel,
    set: &EpisodeSet,
    steps: &[usize],
) -> Result<Vec<foresight_predictor::Latent>, RunError> {
    let [height, width] = model.config().encoder.img_size;
    if (set.height() as usize, set.width() as usize) != (height, width) {
        return Err(RunError::Input(format!(
            "the recorded frames are {}×{} px but the model takes {width}×{height}; record with \
             --image-px {width}",
            set.width(),
            set.height()
        )));
    }
    let mut latents = Vec::with_capacity(steps.len());
    for chunk in steps.chunks(512) {
        let frames: Vec<u8> = chunk.iter().flat_map(|s| set.frame(*s)).copied().collect();
        let pixels = foresight_predictor::transform::normalised_pixels(&frames, [height, width]);
        let encoded = model.encode_pixels(&pixels);
        latents.extend(encoded.map_err(|e| RunError::Imagination(e.to_string()))?);
    }
    Ok(latents)
}

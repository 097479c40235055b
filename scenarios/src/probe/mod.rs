//! What a world model sees and foresees, measured away from the control loop.
//!
//! A goal image's arm pose carries most of a pick-and-place, so closed-loop success alone
//! doesn't show that objects are seen. Three measurements tell parts of the system apart:
//! [`linear`] (is it in the latent?), [`ranks`] (does the energy order states by how far they
//! are?), [`prediction`] (does the predictor beat doing nothing, also where things touch?).

pub mod linear;
pub mod prediction;
pub mod ranks;
mod recordings;

use foresight_predictor::WorldModel;
use serde::Serialize;

pub use linear::LinearProbe;
pub use prediction::PredictionErrors;
pub use ranks::{EnergyRanks, RankOptions};
pub use recordings::Recordings;

use crate::error::{RunError, RunResult};

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
    train: &Recordings,
    held_out: &Recordings,
    ranks: &RankOptions,
) -> RunResult<Probe> {
    Ok(Probe {
        linear: linear::fit_and_judge(model, train, held_out)?,
        ranks: ranks::measure(model, ranks)?,
        prediction: prediction::measure(model, held_out)?,
    })
}

/// Frames of a set at the model's size, encoded, for some of its steps.
fn latents(
    model: &WorldModel,
    set: &Recordings,
    steps: &[usize],
) -> RunResult<Vec<foresight_predictor::Latent>> {
    let [height, width] = model.config().encoder.img_size;
    let mut latents = Vec::with_capacity(steps.len());
    for chunk in steps.chunks(512) {
        let mut frames = Vec::new();
        for step in chunk {
            let (frame, [w, h]) = set.frame(*step);
            if [h as usize, w as usize] != [height, width] {
                return Err(RunError::Input(format!(
                    "the recorded frames are {w}×{h} px but the model takes {width}×{height}; \
                     record with --image-px {width}"
                )));
            }
            frames.extend_from_slice(frame);
        }
        let pixels = foresight_predictor::transform::normalised_pixels(&frames, [height, width]);
        let encoded = model.encode_pixels(&pixels);
        latents.extend(encoded.map_err(|e| RunError::Imagination(e.to_string()))?);
    }
    Ok(latents)
}

//! What a second level's training leaves: the model it was trained behind, and the second level in
//! its folder.

use std::path::Path;

use anyhow::{bail, Context, Result};
use foresight_predictor::checkpoint::{self, Checkpoint, Part, CONFIG_FILE, WEIGHTS_FILE};
use foresight_predictor::level_two::{self, LevelTwo, LevelTwoConfig, MacroActions, PROPOSALS};
use foresight_predictor::parameters::{Parameters, Tensors};
use foresight_predictor::{layout, PredictorConfig};

use crate::latent_clips::LatentClips;
use crate::settings::Settings;

/// Clips whose macro-actions are looked at to know which there are.
const LOOKED_AT: usize = 20_000;

/// The macro-actions of clips.
///
/// # Errors
/// Naming the file that can't be read.
pub(crate) fn macro_actions(clips: &LatentClips) -> Result<MacroActions> {
    let windows = clips.source().evenly_spaced(LOOKED_AT)?;
    let recorded: Vec<[f64; 7]> = windows.into_iter().flat_map(|w| w.actions).collect();
    Ok(MacroActions::of(&recorded)?)
}

/// The weights that a second level behind the model in `folder` goes on from: its own where it has
/// one of this architecture, else the first level's.
pub(crate) fn start(
    folder: &Path,
    checkpoint: &Checkpoint,
    predictor: &PredictorConfig,
) -> Result<Parameters> {
    let entries = layout::predictor(predictor);
    let tensors = match LevelTwo::is_in(folder) {
        true => {
            let file = folder.join(level_two::WEIGHTS);
            let tensors = candle_core::safetensors::load(&file, &candle_core::Device::Cpu);
            let tensors = tensors.with_context(|| format!("reading {}", file.display()))?;
            tensors.into_iter().collect::<Tensors>()
        }
        false => checkpoint.tensors(Part::AcPredictor, &entries)?,
    };
    Ok(Parameters::from_tensors(entries, &tensors)?)
}

/// Writes into `folder` the model of `of`, as it is, with a second level.
///
/// # Errors
/// When that model has no first level, or the disk refuses.
pub(crate) fn save(
    of: &Path,
    network: &PredictorConfig,
    settings: &Settings,
    macro_actions: MacroActions,
    parameters: &Parameters,
    folder: &Path,
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for name in [CONFIG_FILE, WEIGHTS_FILE] {
        let (from, to) = (of.join(name), folder.join(name));
        if from != to {
            std::fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
    }
    let config = LevelTwoConfig {
        network: network.clone(),
        jump_steps: settings.data.jump_steps,
        macro_actions,
        model_sha256: checkpoint::sha256(&of.join(WEIGHTS_FILE))?,
    };
    let dtype = settings.output.dtype.dtype();
    Ok(level_two::save(
        folder,
        &config,
        &parameters.to_tensors()?,
        dtype,
    )?)
}

/// Where a policy that proposes macro-actions belongs in a model folder with a second level.
///
/// # Errors
/// When it has none.
pub fn proposals_folder(model: &Path) -> Result<std::path::PathBuf> {
    if !LevelTwo::is_in(model) {
        bail!(
            "{} has no second level that proposals could be for; train one with `foresight train \
             --level 2`",
            model.display()
        );
    }
    Ok(model.join(PROPOSALS))
}

//! What a second level's training leaves: the model it was trained behind, and the second level in
//! its folder.

use std::path::Path;

use anyhow::{bail, Context, Result};
use foresight_predictor::checkpoint::{self, Checkpoint, Part, WEIGHTS_FILE};
use foresight_predictor::level_two::{self, LevelTwo, LevelTwoConfig, MacroActions, PROPOSALS};
use foresight_predictor::parameters::{Parameters, Tensors};
use foresight_predictor::{layout, PredictorConfig};

use crate::card::{self, RunSummary};
use crate::latent_clips::LatentClips;

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

/// Writes into `folder` the model of `of`, as it is, with a second level; its card says how that was
/// made.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn save(
    of: &Path,
    network: &PredictorConfig,
    macro_actions: MacroActions,
    parameters: &Parameters,
    summary: &RunSummary<'_>,
    folder: &Path,
) -> Result<()> {
    let settings = &summary.origin.settings;
    copy_files(of, folder)?;
    let config = LevelTwoConfig {
        network: network.clone(),
        jump_steps: settings.data.jump_steps,
        macro_actions,
        model_sha256: checkpoint::sha256(&of.join(WEIGHTS_FILE))?,
    };
    let dtype = settings.output.dtype.dtype();
    level_two::save(folder, &config, &parameters.to_tensors()?, dtype)?;
    let card = folder.join(card::FILE);
    let of_first = summary.base_card.as_deref();
    let of_first = of_first.unwrap_or_default().split(SECTION).next();
    let text = format!("{}{}", of_first.unwrap_or_default(), section(summary));
    std::fs::write(&card, text).with_context(|| format!("writing {}", card.display()))
}

/// The files of a model folder, folders in it left out.
fn copy_files(of: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let entries = std::fs::read_dir(of).with_context(|| format!("reading {}", of.display()))?;
    for entry in entries {
        let from = entry?.path();
        if let (true, Some(name)) = (from.is_file(), from.file_name()) {
            let to = folder.join(name);
            std::fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
    }
    Ok(())
}

/// Where the card begins to tell of the second level.
const SECTION: &str = "\n## Second level\n";

fn section(summary: &RunSummary<'_>) -> String {
    let (settings, inputs) = (&summary.origin.settings, &summary.origin.inputs);
    let of = |part: &str| {
        let found = summary.after.iter().find(|(name, _)| name == part);
        found.map_or(f64::NAN, |(_, value)| *value)
    };
    format!(
        "{SECTION}\nTrained with `--level 2` behind these weights on `{}` ({} episodes; held out: {}, \
         {} episodes): {} steps of {} clips, macro-actions of {} to {} steps, seed {}. Held-out L1 one \
         macro-action ahead {:.4}, doing nothing {:.4}. All settings are in the run's `run.toml`.\n",
        inputs.data.display(),
        inputs.episodes,
        inputs.validation,
        inputs.validation_episodes,
        summary.steps,
        settings.optimisation.batch_size,
        settings.data.jump_steps[0],
        settings.data.jump_steps[1],
        settings.optimisation.seed,
        of("teacher_forced"),
        of("persistence"),
    )
}

/// Where a policy that proposes macro-actions belongs in a model folder with a second level.
///
/// # Errors
/// When it has none, or, unless a run is `resumed`, proposals already.
pub fn proposals_folder(model: &Path, resumed: bool) -> Result<std::path::PathBuf> {
    let folder = model.join(PROPOSALS);
    if !LevelTwo::is_in(model) {
        bail!(
            "{} has no second level that proposals could be for; train one with `foresight train \
             --level 2`",
            model.display()
        );
    }
    if folder.exists() && !resumed {
        let there = folder.display();
        bail!("{there} is there already: move it away, or train for a copy of the model folder");
    }
    Ok(folder)
}

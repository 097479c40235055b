//! The model card of a fine-tuned model.

use std::fmt::Write;

use foresight_predictor::level_two::MacroActions;
use foresight_predictor::ModelConfig;

use crate::origin::Origin;

/// Name of the card in a model folder.
pub(crate) const FILE: &str = "MODEL_CARD.md";

/// What a run came to.
pub struct RunSummary<'a> {
    /// The model.
    pub config: &'a ModelConfig,
    /// Settings and inputs.
    pub origin: &'a Origin,
    /// Held-out loss parts of the starting weights, if they are known.
    pub before: Vec<(String, f64)>,
    /// Held-out loss parts of the weights in the folder.
    pub after: Vec<(String, f64)>,
    /// Steps done.
    pub steps: usize,
    /// Processes that trained.
    pub workers: usize,
    /// Parameters trained, and all of the predictor's.
    pub trained: [usize; 2],
    /// Episodes and clips left out because they can't be used.
    pub left_out: [usize; 2],
    /// Episodes whose camera has more or fewer frames than there are states.
    pub length_mismatches: usize,
    /// Of a second level: which macro-actions it learned from.
    pub macro_actions: Option<MacroActions>,
    /// The starting model's card, if it has one.
    pub base_card: Option<String>,
}

impl RunSummary<'_> {
    /// The card as Markdown.
    pub fn card(&self) -> String {
        let mut text = format!("# {}\n\n", self.config.name);
        let inputs = &self.origin.inputs;
        let settings = &self.origin.settings;
        let _ = writeln!(
            text,
            "The action-conditioned predictor of `{}`, fine-tuned with `foresight finetune`. The \
             encoder is that model's, unchanged.\n",
            inputs.model.display()
        );
        let data = &settings.data;
        let views: Vec<String> = data.views.iter().map(ToString::to_string).collect();
        let optimisation = &settings.optimisation;
        let _ = write!(
            text,
            "| | |\n|---|---|\n\
             | Started from | `{}`, weights sha256 `{}` |\n\
             | Data | `{}`, {} episodes |\n\
             | Held out | {}, {} episodes |\n\
             | Left out | {} unusable episodes, {} clips; of {} episodes the frames or states without \
             counterpart |\n\
             | Clips | {} frames at {} Hz, {:?} sampling, cameras {} |\n\
             | Trained | {} of {} parameters of the predictor |\n\
             | Steps | {} of {} clips by {} process(es), learning rate up to {:e}, weight decay {} |\n\
             | Loss | teacher forcing + {} × rollout of {} steps, exponent {} |\n\
             | Seed | {} |\n\
             | Made by | foresight {} (started with {}) |\n",
            inputs.model.display(),
            inputs.model_sha256,
            inputs.data.display(),
            inputs.episodes,
            inputs.validation,
            inputs.validation_episodes,
            self.left_out[0],
            self.left_out[1],
            self.length_mismatches,
            data.frames,
            data.fps,
            data.sampling,
            views.join(", "),
            self.trained[0],
            self.trained[1],
            self.steps,
            optimisation.batch_size,
            self.workers,
            optimisation.schedule.reference,
            optimisation.weight_decay,
            settings.loss.rollout_weight,
            settings.loss.auto_steps,
            settings.loss.loss_exp,
            optimisation.seed,
            env!("CARGO_PKG_VERSION"),
            self.origin.program_version
        );
        text += "\n## Held-out losses\n\n";
        let _ = writeln!(
            text,
            "Means over {} clips of held-out episodes, L1 on normalised latents; `persistence` is \
             predicting no change. The weights kept are those with the lowest total.\n\n\
             | | before | after |\n|---|---|---|",
            settings.run.validation_clips
        );
        for (part, after) in &self.after {
            let before = value(&self.before, part).map_or("–".to_owned(), |v| format!("{v:.4}"));
            let _ = writeln!(text, "| {part} | {before} | {after:.4} |");
        }
        text += "\nNot measured here: success in closed loop. `foresight eval --offline` and \
                 `foresight eval SCENARIO` with this folder as `--model` do.\n";
        let toml = toml::to_string(settings).unwrap_or_default();
        let _ = write!(text, "\n## Settings\n\n```toml\n{toml}```\n");
        if let Some(card) = &self.base_card {
            let _ = write!(
                text,
                "\n---\n\nThe card of the model this one started from. What it measured holds for \
                 that model.\n\n{card}"
            );
        }
        text
    }
}

fn value(parts: &[(String, f64)], part: &str) -> Option<f64> {
    parts.iter().find(|(name, _)| name == part).map(|(_, v)| *v)
}

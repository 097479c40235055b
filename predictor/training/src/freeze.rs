//! Which parts of a predictor are trained.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use foresight_predictor::config::PredictorConfig;
use foresight_predictor::layout;

/// Parts of an action-conditioned predictor to be trained; the rest stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreezeConfig {
    /// So many of the last blocks; all of them when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_blocks: Option<usize>,
    /// What leads latents in and out: `predictor_embed`, `predictor_norm`, `predictor_proj`.
    pub projections: bool,
    /// What makes tokens of actions, states and camera poses.
    pub condition_encoders: bool,
}

impl Default for FreezeConfig {
    /// Everything, as in the official recipe.
    fn default() -> Self {
        FreezeConfig {
            last_blocks: None,
            projections: true,
            condition_encoders: true,
        }
    }
}

impl FreezeConfig {
    /// Names of the parameters that stay as they are.
    ///
    /// # Errors
    /// When nothing would be trained, or there are fewer blocks.
    pub fn frozen(&self, config: &PredictorConfig) -> Result<BTreeSet<String>, String> {
        let blocks = self.last_blocks.unwrap_or(config.depth);
        if blocks > config.depth {
            return Err(format!(
                "trainable.last_blocks is {blocks} but the predictor has {} blocks",
                config.depth
            ));
        }
        let first = config.depth - blocks;
        let entries = layout::predictor(config);
        let frozen: BTreeSet<String> = entries
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !self.trains(name, first))
            .cloned()
            .collect();
        if frozen.len() == entries.len() {
            return Err(
                "nothing is trained: set trainable.last_blocks above 0, or projections or \
                 condition_encoders to true"
                    .into(),
            );
        }
        Ok(frozen)
    }

    fn trains(&self, name: &str, first_block: usize) -> bool {
        let mut parts = name.split('.');
        match parts.next() {
            Some("predictor_blocks") => {
                let number = parts.next().and_then(|n| n.parse::<usize>().ok());
                number.is_some_and(|n| n >= first_block)
            }
            Some("action_encoder" | "state_encoder" | "extrinsics_encoder") => {
                self.condition_encoders
            }
            _ => self.projections,
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/freeze.rs"]
mod tests;

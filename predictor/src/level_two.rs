//! The second level: a predictor of the same architecture whose actions take several steps.
//!
//! The first level foresees one action, 0.25 s of motion; a task takes dozens, and errors add up. The
//! second level learned from frames several steps apart ([`LevelTwoConfig::jump_steps`]) and the net
//! motion between them, a *macro-action* with the components of an action. It sees no picture that
//! the first level doesn't: same encoder, same latents. It lies in the model folder beside the first
//! (`level-2.json`, `level-2.safetensors`), with what proposes macro-actions
//! (`level-2-proposals/`, a cloned policy).

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

use crate::backend;
use crate::compute_device::ComputeDevice;
use crate::config::PredictorConfig;
use crate::error::{PredictorError, Result};
use crate::kernels::Precision;
use crate::layout;
use crate::parameters::{self, Tensors};
use crate::policy::Policy;
use crate::side_network::{self, damaged};
use crate::world_model::WorldModel;

/// What the weights belong to.
pub const DESCRIPTION: &str = "level-2.json";
/// The weights.
pub const WEIGHTS: &str = "level-2.safetensors";
/// The folder of what proposes macro-actions.
pub const PROPOSALS: &str = "level-2-proposals";

/// What a second level is, and which macro-actions it knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelTwoConfig {
    /// The predictor's architecture.
    pub network: PredictorConfig,
    /// `[least, most]` steps of the first level that a macro-action took in training.
    pub jump_steps: [usize; 2],
    /// The macro-actions of the training data.
    pub macro_actions: MacroActions,
    /// SHA-256 of the weights file of the model whose latents it knows, in hexadecimal digits.
    pub model_sha256: String,
}

/// Which macro-actions there were in the training data. A search keeps inside, since what a
/// predictor says of others is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MacroActions {
    /// 1 % of the training data's are lower: x, y, z in m, extrinsic xyz rotation in rad, change of
    /// closedness.
    pub low: [f64; 7],
    /// 1 % are higher.
    pub high: [f64; 7],
}

impl MacroActions {
    /// Of recorded macro-actions `[M, 7]`: what all but the outermost hundredth at either end lie
    /// between.
    ///
    /// # Errors
    /// When there are none, or one is no number.
    pub fn of(recorded: &[[f64; 7]]) -> Result<Self> {
        if recorded.is_empty() || recorded.iter().flatten().any(|v| !v.is_finite()) {
            return Err(PredictorError::Model(
                "there are no macro-actions to learn from, or some are no numbers".into(),
            ));
        }
        let quantile = |component: usize, share: f64| {
            let mut values: Vec<f64> = recorded.iter().map(|a| a[component]).collect();
            values.sort_by(f64::total_cmp);
            values[((values.len() - 1) as f64 * share).round() as usize]
        };
        Ok(MacroActions {
            low: std::array::from_fn(|i| quantile(i, 0.01)),
            high: std::array::from_fn(|i| quantile(i, 0.99)),
        })
    }
}

/// A second level, ready to plan with.
#[derive(Debug, Clone)]
pub struct LevelTwo {
    /// The encoder of the first level with this level's predictor: latents, rollouts and energies as
    /// there, actions being macro-actions.
    pub model: WorldModel,
    /// What it is.
    pub config: LevelTwoConfig,
    proposals: Option<Arc<Policy>>,
}

impl LevelTwo {
    /// Whether a model folder has one.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(DESCRIPTION).is_file()
    }

    /// The second level of `first`, a model loaded from `folder`; computes on `device` in `precision`.
    ///
    /// # Errors
    /// When there is none, it is damaged, or it belongs to other weights.
    pub fn load(
        folder: &Path,
        first: &WorldModel,
        device: ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        if !LevelTwo::is_in(folder) {
            return Err(PredictorError::File {
                path: folder.to_path_buf(),
                what:
                    "this model has no second level; train one with `foresight train --level 2`, \
                       or plan with planner.levels = 1"
                        .into(),
            });
        }
        let path = folder.join(DESCRIPTION);
        let config: LevelTwoConfig = side_network::read_description(&path)?;
        let of_first = crate::checkpoint::sha256(&folder.join(crate::checkpoint::WEIGHTS_FILE))?;
        if of_first != config.model_sha256 {
            return Err(PredictorError::File {
                path,
                what: "it was trained behind other weights than those of model.safetensors beside \
                       it; train it again with `foresight train --level 2`"
                    .into(),
            });
        }
        let weights = folder.join(WEIGHTS);
        let tensors = candle_core::safetensors::load(&weights, &Device::Cpu)
            .map_err(|e| damaged(&weights, &e))?;
        let tensors: Tensors = tensors.into_iter().collect();
        parameters::check(&layout::predictor(&config.network), &tensors)
            .map_err(|e| damaged(&weights, &e))?;
        let backend = backend::open(device, precision)?;
        let model = first.with_predictor(&config.network, &tensors, backend.as_ref())?;
        let proposals = folder.join(PROPOSALS);
        let proposals = match proposals.is_dir() {
            true => Some(Arc::new(Policy::load(&proposals, &first.config().encoder)?)),
            false => None,
        };
        Ok(LevelTwo {
            model,
            config,
            proposals,
        })
    }

    /// What proposes macro-actions, where the folder has it.
    pub fn proposals(&self) -> Option<&Policy> {
        self.proposals.as_deref()
    }
}

/// Writes a second level into the folder of the model whose latents it knows; `dtype` is f32, f16 or
/// bf16.
///
/// # Errors
/// When the disk refuses.
pub fn save(
    folder: &Path,
    config: &LevelTwoConfig,
    predictor: &Tensors,
    dtype: DType,
) -> Result<()> {
    side_network::save(folder, [DESCRIPTION, WEIGHTS], config, predictor, dtype)
}

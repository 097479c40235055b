//! The action-conditioned predictor as a differentiable function of its parameters.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor};

use crate::head_variables::HeadVariables;
use crate::layers::normalise;
use crate::trunk::{Past, Shared, Trunk};
use foresight_predictor::ac_predictor::rope_table;
use foresight_predictor::config::PredictorConfig;
use foresight_predictor::encoder::LATENT_EPS;
use foresight_predictor::kernels::attention::Visibility;
use foresight_predictor::layout;

/// A predictor whose parameters lie in a state's store under `prefix`.
pub(crate) struct PredictorForward<'a> {
    /// Architecture.
    pub config: &'a PredictorConfig,
    /// The store.
    pub shared: &'a Shared,
    /// Variables of everything outside the blocks.
    pub heads: &'a HeadVariables,
    /// Put before every official parameter name; empty for a predictor of its own.
    pub prefix: &'a str,
}

/// What a predictor looks at.
pub(crate) struct PredictorInputs<'a> {
    /// Normalised latents, `[B, T·N, D]`.
    pub latents: &'a Tensor,
    /// Actions, `[B, ≥ T, 7]`.
    pub actions: &'a Tensor,
    /// Poses, `[B, ≥ T, 7]`.
    pub states: &'a Tensor,
    /// Camera poses, `[B, ≥ T, 6]`, for predictors that take them.
    pub extrinsics: Option<&'a Tensor>,
}

impl PredictorForward<'_> {
    /// Predictions for the `steps` frames after each of the first `steps`: `[B, steps·N, D]`,
    /// normalised.
    ///
    /// # Errors
    /// When shapes don't agree, or camera poses are missing.
    pub(crate) fn step(&self, inputs: &PredictorInputs<'_>, steps: usize) -> Result<Tensor> {
        Ok(self.steps(inputs, 0..steps, None, 0)?.0)
    }

    /// Predictions for the frames after those of `steps`, whose latents alone `inputs` holds:
    /// `[B, steps·N, D]`, normalised. The steps before are the `past`'s; the first `keep` steps of all
    /// become the next past.
    ///
    /// # Errors
    /// As [`PredictorForward::step`].
    pub(crate) fn steps(
        &self,
        inputs: &PredictorInputs<'_>,
        steps: Range<usize>,
        past: Option<Arc<Past>>,
        keep: usize,
    ) -> Result<(Tensor, Arc<Past>)> {
        let (config, heads) = (self.config, self.heads);
        let (first, steps) = (steps.start, steps.len());
        let name = |suffix: &str| format!("{}{suffix}", self.prefix);
        let (n, d) = (config.tokens_per_frame(), config.predictor_embed_dim);
        let condition = config.condition_tokens();
        let b = inputs.latents.dim(0)?;
        let token = |encoder: &str, input: &Tensor| {
            let input = input.narrow(1, first, steps)?.contiguous()?;
            heads.linear(&name(encoder), &input)?.unsqueeze(2)
        };
        let mut parts = vec![
            token("action_encoder", inputs.actions)?,
            token("state_encoder", inputs.states)?,
        ];
        match (inputs.extrinsics, config.use_extrinsics) {
            (Some(extrinsics), true) => parts.push(token("extrinsics_encoder", extrinsics)?),
            (None, true) => candle_core::bail!("this predictor needs camera extrinsics"),
            (_, false) => {}
        }
        let embedded = heads.linear(&name("predictor_embed"), &inputs.latents.contiguous()?)?;
        parts.push(embedded.reshape((b, steps, n, d))?);
        let x = Tensor::cat(&parts, 2)?.reshape((b, steps * (condition + n), d))?;
        let trunk = Trunk {
            shape: layout::predictor_block(config),
            depth: config.depth,
            prefix: name("predictor_blocks"),
        };
        let rope = Arc::new(rope_table(config, first, steps));
        let visibility = Visibility::BlockCausal(condition + n);
        let keep = keep * (condition + n);
        let (x, past) = trunk.forward_after(self.shared, &x, &rope, visibility, past, keep)?;
        let patches = x
            .reshape((b, steps, condition + n, d))?
            .narrow(2, condition, n)?
            .reshape((b, steps * n, d))?;
        let normed = heads.layer_norm(&name("predictor_norm"), &patches)?;
        let predicted = heads.linear(&name("predictor_proj"), &normed)?;
        Ok((normalise(&predicted, LATENT_EPS)?, past))
    }
}

//! The action-conditioned predictor: latents, actions and states so far to the next latents.
//!
//! Official code: `src/models/ac_predictor.py`, `vit_ac_predictor(use_rope=True,
//! is_frame_causal=True)`. The tokens of one time step are `[action, state, (extrinsics),
//! patches…]`; a step sees itself and every earlier step.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder};

use crate::block::{Block, LayerNorm};
use crate::config::PredictorConfig;
use crate::rope::{self, Position, RopeTable};

/// The predictor.
#[derive(Debug, Clone)]
pub struct AcPredictor {
    config: PredictorConfig,
    predictor_embed: Linear,
    action_encoder: Linear,
    state_encoder: Linear,
    extrinsics_encoder: Option<Linear>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    proj: Linear,
}

impl AcPredictor {
    /// Reads the official state-dict names (`predictor_embed.weight`,
    /// `predictor_blocks.0.norm1.weight`, …) from `vb`.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub fn new(config: &PredictorConfig, vb: VarBuilder) -> Result<Self> {
        let (outer, d) = (config.embed_dim, config.predictor_embed_dim);
        let extrinsics_encoder = if config.use_extrinsics {
            Some(candle_nn::linear(6, d, vb.pp("extrinsics_encoder"))?)
        } else {
            None
        };
        let blocks = (0..config.depth)
            .map(|i| {
                let vb = vb.pp(format!("predictor_blocks.{i}"));
                Block::new(d, config.num_heads, config.mlp_hidden(), vb)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(AcPredictor {
            config: config.clone(),
            predictor_embed: candle_nn::linear(outer, d, vb.pp("predictor_embed"))?,
            action_encoder: candle_nn::linear(7, d, vb.pp("action_encoder"))?,
            state_encoder: candle_nn::linear(7, d, vb.pp("state_encoder"))?,
            extrinsics_encoder,
            blocks,
            norm: LayerNorm::new(d, vb.pp("predictor_norm"))?,
            proj: candle_nn::linear(d, outer, vb.pp("predictor_proj"))?,
        })
    }

    /// With candle's fused kernels, which have no derivatives.
    pub fn fused(self) -> Self {
        AcPredictor {
            blocks: self.blocks.into_iter().map(Block::fused).collect(),
            norm: self.norm.fused(),
            ..self
        }
    }

    /// The architecture.
    pub fn config(&self) -> &PredictorConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.proj.weight().device()
    }

    /// What the weights are numbers of.
    pub fn dtype(&self) -> DType {
        self.proj.weight().dtype()
    }

    /// Latents `[B, T·N, D]`, actions and states `[B, T, 7]` and, where the model has them,
    /// camera extrinsics `[B, T, 6]`, to predicted latents `[B, T·N, D]` of the next step each.
    ///
    /// # Errors
    /// When shapes disagree, or extrinsics are given or missing against the configuration.
    pub fn forward(
        &self,
        latents: &Tensor,
        actions: &Tensor,
        states: &Tensor,
        extrinsics: Option<&Tensor>,
    ) -> Result<Tensor> {
        let n = self.config.tokens_per_frame();
        let (b, tokens, _) = latents.dims3()?;
        let steps = tokens / n;
        if steps * n != tokens || steps == 0 {
            candle_core::bail!("{tokens} latent tokens are not a whole number of frames of {n}");
        }
        let d = self.config.predictor_embed_dim;
        let x = self
            .predictor_embed
            .forward(latents)?
            .reshape((b, steps, n, d))?;
        let action = self.action_encoder.forward(actions)?.unsqueeze(2)?;
        let state = self.state_encoder.forward(states)?.unsqueeze(2)?;
        let x = match (&self.extrinsics_encoder, extrinsics) {
            (Some(encoder), Some(extrinsics)) => {
                let camera = encoder.forward(extrinsics)?.unsqueeze(2)?;
                Tensor::cat(&[&action, &state, &camera, &x], 2)?
            }
            (None, None) => Tensor::cat(&[&action, &state, &x], 2)?,
            (Some(_), None) => candle_core::bail!("this predictor needs camera extrinsics"),
            (None, Some(_)) => candle_core::bail!("this predictor takes no camera extrinsics"),
        };
        let condition = self.config.condition_tokens();
        let mut x = x.reshape((b, steps * (condition + n), d))?;
        let table = rope_table(&self.config, 0, steps);
        let (cos, sin) = rope::tensors(&table, x.device())?;
        let (cos, sin) = (cos.to_dtype(x.dtype())?, sin.to_dtype(x.dtype())?);
        let seen = self.config.steps_seen(steps);
        let bias = causal_bias([steps, seen], condition + n, x.dtype(), x.device())?;
        for block in &self.blocks {
            x = block.forward(&x, &cos, &sin, bias.as_ref())?;
        }
        let patches = x
            .reshape((b, steps, condition + n, d))?
            .narrow(2, condition, n)?
            .reshape((b, tokens, d))?;
        self.proj.forward(&self.norm.forward(&patches)?)
    }
}

/// What steps taken one by one need of each other: keys and values of the steps taken, block by
/// block, and the RoPE tables of all.
#[derive(Debug, Clone)]
pub struct KvCache {
    blocks: Vec<Option<(Tensor, Tensor)>>,
    tables: Vec<(Tensor, Tensor)>,
    taken: usize,
}

impl AcPredictor {
    /// Nothing kept yet, for `steps` steps through the first `depth` blocks. Tables are on
    /// the device before the first step, so that none waits for them.
    ///
    /// # Errors
    /// When the device can't hold them.
    pub fn begin(&self, steps: usize, depth: usize) -> Result<KvCache> {
        let table = |step| {
            let (cos, sin) = rope::tensors(&rope_table(&self.config, step, 1), self.device())?;
            Ok((cos.to_dtype(self.dtype())?, sin.to_dtype(self.dtype())?))
        };
        Ok(KvCache {
            blocks: vec![None; depth.min(self.blocks.len())],
            tables: (0..steps).map(table).collect::<Result<_>>()?,
            taken: 0,
        })
    }

    /// One more time step after those in `cache`: latents `[B, N, D]`, action and state
    /// `[B, 1, 7]` and, where the model has them, camera extrinsics `[B, 1, 6]`, to the next
    /// latents `[B, N, D]`. Equals the last step of [`AcPredictor::forward`] over all of them,
    /// because its mask never lets an earlier step see a later one.
    ///
    /// # Errors
    /// As there, and when `cache` was made for fewer steps.
    pub fn step(
        &self,
        latents: &Tensor,
        action: &Tensor,
        state: &Tensor,
        extrinsics: Option<&Tensor>,
        cache: &mut KvCache,
    ) -> Result<Tensor> {
        let x = self.predictor_embed.forward(latents)?;
        let action = self.action_encoder.forward(action)?;
        let state = self.state_encoder.forward(state)?;
        let mut x = match (&self.extrinsics_encoder, extrinsics) {
            (Some(encoder), Some(camera)) => {
                Tensor::cat(&[&action, &state, &encoder.forward(camera)?, &x], 1)?
            }
            (None, None) => Tensor::cat(&[&action, &state, &x], 1)?,
            (Some(_), None) => candle_core::bail!("this predictor needs camera extrinsics"),
            (None, Some(_)) => candle_core::bail!("this predictor takes no camera extrinsics"),
        };
        let Some((cos, sin)) = cache.tables.get(cache.taken) else {
            candle_core::bail!("all {} steps have been taken", cache.taken);
        };
        cache.taken += 1;
        let more = cache.taken < cache.tables.len();
        let condition = self.config.condition_tokens();
        let per_step = condition + self.config.tokens_per_frame();
        let next_sees = self.config.steps_seen(cache.taken + 1) - 1;
        for (block, kept) in self.blocks.iter().zip(&mut cache.blocks) {
            x = block.forward_cached(&x, cos, sin, None, kept)?;
            // After the last step nobody looks back.
            kept.take_if(|_| !more || next_sees == 0);
            if let Some((keys, values)) = kept {
                *keys = newest(keys, next_sees * per_step)?;
                *values = newest(values, next_sees * per_step)?;
            }
        }
        let patches = x.narrow(1, condition, self.config.tokens_per_frame())?;
        self.proj
            .forward(&self.norm.forward(&patches.contiguous()?)?)
    }
}

/// RoPE of the tokens of `steps` time steps, the first of which is step `first`. Patch positions
/// are scaled as the official code does: rows by `grid height / rows`, columns by
/// `grid height / columns`.
pub fn rope_table(config: &PredictorConfig, first: usize, steps: usize) -> RopeTable {
    let [rows, columns] = config.grid();
    let column_scale = rows as f32 / columns as f32;
    let mut positions = Vec::new();
    for step in first..first + steps {
        let depth = step as f32;
        let nowhere = Position { depth, place: None };
        positions.extend(std::iter::repeat_n(nowhere, config.condition_tokens()));
        for row in 0..rows {
            for column in 0..columns {
                positions.push(Position {
                    depth,
                    place: Some((row as f32, column as f32 * column_scale)),
                });
            }
        }
    }
    let head_dim = config.predictor_embed_dim / config.num_heads;
    RopeTable::new(&positions, head_dim, config.rope)
}

/// The last `most` tokens of keys or values `[B, heads, tokens, head_dim]`.
fn newest(kept: &Tensor, most: usize) -> Result<Tensor> {
    let tokens = kept.dim(2)?;
    match tokens > most {
        true => kept.narrow(2, tokens - most, most)?.contiguous(),
        false => Ok(kept.clone()),
    }
}

/// What block-causal attention adds to its logits, `[N, N]` for `steps` steps of `per_step`
/// tokens that see at most `seen` steps, themselves included: made for the length at hand, so there is no limit on `T` and no mask of the longest
/// clip in memory. `None` for one step, which sees itself whole.
fn causal_bias(
    [steps, seen]: [usize; 2],
    per_step: usize,
    dtype: DType,
    device: &Device,
) -> Result<Option<Tensor>> {
    if steps == 1 {
        return Ok(None);
    }
    let n = steps * per_step;
    let mut bias = vec![0f32; n * n];
    for query in 0..n {
        let row = &mut bias[query * n..(query + 1) * n];
        let after = query / per_step + 1;
        row[..after.saturating_sub(seen) * per_step].fill(f32::NEG_INFINITY);
        row[after * per_step..].fill(f32::NEG_INFINITY);
    }
    Ok(Some(
        Tensor::from_vec(bias, (n, n), device)?.to_dtype(dtype)?,
    ))
}

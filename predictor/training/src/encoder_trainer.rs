//! One training step of a small encoder: latents of a batch, and the sum of its
//! [`objectives`].

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use crate::errors::{self, Error};
use crate::head_variables::HeadVariables;
use crate::layers::{gelu, linear, normalise, read};
use crate::objectives::hand::Learns;
use crate::objectives::masked::{self, Mask};
use crate::objectives::{
    self, hand, next_latent, object, outside_blocks, proprioception, residual_decoder,
    sigreg::{self, Sketch},
    EncoderLosses, Objectives, Total,
};
use crate::train_state::TrainState;
use crate::trunk::Trunk;
use foresight_predictor::backend;
use foresight_predictor::config::{EncoderConfig, Stem};
use foresight_predictor::encoder::LATENT_EPS;
use foresight_predictor::kernels::attention::Visibility;
use foresight_predictor::kernels::patches::patch_rows;
use foresight_predictor::layout::{self, Entry};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rope::RopeTable;

/// A batch of frames; of pairs when [`Objectives::need_pairs`], the second halves of all pairs
/// after the first halves.
#[derive(Debug, Clone, Default)]
pub struct EncoderBatch {
    /// Normalised pixels at the encoder's size, `[B, 3, H, W]`.
    pub pixels: Vec<f32>,
    /// Poses, `[B, 7]`.
    pub states: Vec<[f32; 7]>,
    /// Actions between the frames of each pair, `[B/2, 7]`; empty for single frames.
    pub actions: Vec<[f32; 7]>,
    /// Object and target in m (held as 0 or 1), `[B, 9]`; needed only by the object signal.
    pub objects: Vec<[f32; object::SIZE]>,
    /// Seed of this step's random directions and masks.
    pub seed: u64,
}

/// Encoder parameters with their heads, gradients and optimiser.
#[derive(Debug)]
pub struct EncoderTrainer {
    config: EncoderConfig,
    objectives: Objectives,
    state: TrainState,
    rope: Arc<RopeTable>,
}

/// Layout of an encoder with the heads its objectives need.
pub fn layout_with_heads(config: &EncoderConfig, objectives: &Objectives) -> Vec<Entry> {
    let mut entries = layout::encoder(config);
    entries.extend(objectives::heads(config, objectives));
    entries
}

impl EncoderTrainer {
    /// Trains `parameters`, laid out as [`layout_with_heads`].
    ///
    /// # Errors
    /// When memory for a moving average runs out.
    pub fn new(
        config: EncoderConfig,
        parameters: Parameters,
        objectives: Objectives,
    ) -> Result<Self> {
        if config.vjepa2_1.is_some() {
            candle_core::bail!(
                "these objectives train V-JEPA 2 encoders; V-JEPA 2.1's learn by [mask_prediction]"
            );
        }
        let [height, width] = config.img_size;
        let p = config.patch_size;
        let grid = RopeTable::grid(1, height / p, width / p);
        let mut state = TrainState::new(parameters);
        if objectives.masked > 0.0 {
            state = state.with_average(objectives.ema_momentum)?;
        }
        Ok(EncoderTrainer {
            rope: Arc::new(RopeTable::new(&grid, config.head_dim(), config.rope)),
            state,
            config,
            objectives,
        })
    }

    /// Parameters, gradients and optimiser.
    pub fn state(&self) -> &TrainState {
        &self.state
    }

    /// Parameters, gradients and optimiser, to update or restore them.
    pub fn state_mut(&mut self) -> &mut TrainState {
        &mut self.state
    }

    /// Losses of a batch; its gradients replace those of the last call.
    ///
    /// # Errors
    /// When the batch doesn't fit the encoder.
    pub fn compute_gradients(&mut self, batch: &EncoderBatch) -> Result<EncoderLosses> {
        self.state.clear()?;
        let (loss, losses, heads) = self.losses(batch)?;
        self.state.collect(&heads, &loss.backward()?)?;
        Ok(losses)
    }

    /// Losses of a batch without touching anything.
    ///
    /// # Errors
    /// When the batch doesn't fit the encoder.
    pub fn evaluate(&self, batch: &EncoderBatch) -> Result<EncoderLosses> {
        Ok(self.losses(batch)?.1)
    }

    fn losses(&self, batch: &EncoderBatch) -> Result<(Tensor, EncoderLosses, HeadVariables)> {
        let (config, objectives) = (&self.config, &self.objectives);
        self.check(batch)?;
        let heads = self.state.heads(outside_blocks)?;
        let pixels = &batch.pixels;
        let embedded = self.embed(&heads, pixels, batch.states.len())?;
        let latents = self.encode(&heads, &embedded, &self.rope)?;
        let pooled = latents.mean(1)?;
        let mut losses = EncoderLosses {
            deviation: read([&latents], |[values]| deviation(values, batch.states.len()))?,
            ..EncoderLosses::default()
        };

        let zero = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?;
        let mut total = Total(zero);
        let pose = proprioception::targets(&batch.states)?;
        if objectives.proprioception > 0.0 {
            let loss = proprioception::loss(&heads, &pooled, &pose)?;
            losses.proprioception = total.add(&loss, objectives.proprioception)?;
        }
        if objectives.object > 0.0 {
            let loss = object::loss(&heads, &pooled, &batch.objects)?;
            losses.object = total.add(&loss, objectives.object)?;
        }
        if objectives.residual_decoder > 0.0 {
            let (pose_only, loss) =
                residual_decoder::losses(config, &heads, &latents, pixels, &pose)?;
            losses.pose_decoder = total.add(&pose_only, 1.0)?;
            losses.residual_decoder = total.add(&loss, objectives.residual_decoder)?;
        }
        let cameras = objectives.hand_cameras();
        let hand = |latents: &Tensor, states: &[[f32; 7]], learns| {
            hand::loss(config, &cameras, &heads, latents, states, learns)
        };
        if objectives.hand > 0.0 {
            let loss = hand(&latents, &batch.states, Learns::Both)?;
            losses.hand = total.add(&loss, objectives.hand)?;
        }
        let pairs = batch.actions.len();
        let halves = |x: &Tensor| -> Result<[Tensor; 2]> {
            Ok([x.narrow(0, 0, pairs)?, x.narrow(0, pairs, pairs)?])
        };
        if objectives.next_latent > 0.0 {
            let [now, next] = halves(&latents)?;
            let (shared, actions) = (self.state.shared(), &batch.actions);
            let states = &batch.states[..pairs];
            let predicted = next_latent::predict(config, shared, &heads, &now, states, actions)?;
            let loss = errors::mean(Error::Absolute, &predicted, &next, None)?;
            losses.next_latent = total.add(&loss, objectives.next_latent)?;
            if objectives.hand > 0.0 {
                let loss = hand(&predicted, &batch.states[pairs..], Learns::Latents)?;
                losses.hand_predicted = total.add(&loss, objectives.hand)?;
            }
        }
        if objectives.inverse_dynamics > 0.0 {
            let [now, next] = halves(&pooled)?;
            let loss = next_latent::inverse_loss(&heads, [&now, &next], &batch.actions)?;
            losses.inverse_dynamics = total.add(&loss, objectives.inverse_dynamics)?;
        }
        if objectives.sigreg > 0.0 {
            let loss = sigreg::statistic(&latents.flatten_to(1)?, Sketch::COARSE, batch.seed)?;
            losses.sigreg = total.add(&loss, objectives.sigreg)?;
        }
        if objectives.masked > 0.0 {
            let loss = self.masked(&heads, &embedded, pixels, batch.seed)?;
            losses.masked = total.add(&loss, objectives.masked)?;
        }
        losses.total = f64::from(total.0.to_scalar::<f32>()?);
        Ok((total.0, losses, heads))
    }

    fn check(&self, batch: &EncoderBatch) -> Result<()> {
        let b = batch.states.len();
        let [height, width] = self.config.img_size;
        if b == 0 || batch.pixels.len() != b * height * width * 3 {
            candle_core::bail!("{b} states need {b} frames of {height}×{width} px");
        }
        if self.objectives.object > 0.0 && batch.objects.len() != b {
            candle_core::bail!("the object signal needs simulator labels for every frame");
        }
        if self.objectives.need_pairs() && 2 * batch.actions.len() != b {
            candle_core::bail!(
                "{b} frames are not the pairs of {} actions",
                batch.actions.len()
            );
        }
        Ok(())
    }

    fn masked(
        &self,
        heads: &HeadVariables,
        embedded: &Tensor,
        pixels: &[f32],
        seed: u64,
    ) -> Result<Tensor> {
        let config = &self.config;
        let Some(average) = self.state.average() else {
            candle_core::bail!("masked prediction needs a moving average of the encoder");
        };
        let p = config.patch_size;
        let mask = Mask::draw(config.img_size.map(|side| side / p), seed);
        let visible = Tensor::from_slice(&mask.visible, mask.visible.len(), &Device::Cpu)?;
        let seen = embedded.index_select(&visible, 1)?;
        let rope = Arc::new(masked::rope_of(config, &mask.visible));
        let encoded = self.encode(heads, &seen, &rope)?;
        let targets = backend::encode(config, average, pixels, config.img_size)
            .map_err(candle_core::Error::wrap)?;
        let targets = Tensor::from_vec(targets, embedded.shape(), &Device::Cpu)?;
        let shared = self.state.shared();
        masked::loss(config, shared, heads, &mask, &encoded, &targets)
    }

    /// Embedded tokens `[B, V, D]` through the blocks to normalised latents.
    fn encode(
        &self,
        heads: &HeadVariables,
        tokens: &Tensor,
        rope: &Arc<RopeTable>,
    ) -> Result<Tensor> {
        let trunk = Trunk {
            shape: layout::encoder_block(&self.config),
            depth: self.config.depth,
            prefix: "blocks".into(),
        };
        let x = trunk.forward(self.state.shared(), tokens, rope, Visibility::All)?;
        normalise(&heads.layer_norm("norm", &x)?, LATENT_EPS)
    }

    /// Patch embedding of normalised pixels `[B, 3, H, W]`: `[B, N, D]`.
    fn embed(&self, heads: &HeadVariables, pixels: &[f32], b: usize) -> Result<Tensor> {
        let config = &self.config;
        let (p, t, d) = (config.patch_size, config.tubelet_size, config.embed_dim);
        let n = config.tokens_per_frame();
        // The frames of a tubelet are one frame: their weights are summed instead of their pixels
        // being multiplied once each.
        let patches = |name: &str, p: usize| -> Result<Tensor> {
            let weight = heads.get(&format!("{name}.weight"))?;
            let (outputs, width) = (weight.dim(0)?, 3 * p * p);
            let weight = weight.reshape((outputs, 3, t, p * p))?.sum(2)?;
            let [h, w] = config.img_size;
            let rows = patch_rows(pixels, [1, h, w], p, 1);
            let rows = Tensor::from_vec(rows, (pixels.len() / width, width), &Device::Cpu)?;
            let bias = heads.get(&format!("{name}.bias"))?;
            linear(&rows, &weight.reshape((outputs, width))?, bias)
        };
        let x = match config.stem {
            Stem::Conv3d => patches("patch_embed.proj", p)?,
            Stem::TwoLevel => {
                let columns = config.img_size[1] / p;
                let merged = gelu(&patches("patch_embed.small", p / 2)?)?
                    .reshape(&[b * n / columns, 2, columns, 2, d / 2][..])?
                    .permute((0, 2, 1, 3, 4))?
                    .reshape((b * n, 2 * d))?;
                heads.linear("patch_embed.merge", &merged)?
            }
        };
        x.reshape((b, n, d))
    }
}

/// Standard deviation of each of a latent's values over `count` latents, averaged.
fn deviation(latents: &[f32], count: usize) -> f64 {
    let width = latents.len() / count;
    let (mut means, mut squares) = (vec![0f64; width], vec![0f64; width]);
    for latent in latents.chunks_exact(width) {
        let means = means.iter_mut().zip(latent);
        means.for_each(|(mean, v)| *mean += f64::from(*v) / count as f64);
    }
    for latent in latents.chunks_exact(width) {
        let values = squares.iter_mut().zip(&means).zip(latent);
        values.for_each(|((square, mean), v)| *square += (f64::from(*v) - mean).powi(2));
    }
    let others = count.saturating_sub(1).max(1) as f64;
    squares.iter().map(|s| (s / others).sqrt()).sum::<f64>() / width as f64
}

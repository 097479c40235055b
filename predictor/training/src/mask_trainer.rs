//! One step of masked pre-training, V-JEPA 2's and 2.1's: an encoder that sees a part of each
//! clip, a predictor that guesses the rest, and a moving average of the encoder that judges it.
//!
//! Everything runs on candle, by its automatic differentiation.

use std::collections::BTreeSet;

use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;

use crate::head_variables::HeadVariables;
use crate::mask_losses::{self, MaskLossOptions};
use crate::masks::BlockMasks;
use crate::train_state::TrainState;
use crate::training_device::TrainingDevice;
use foresight_predictor::config::EncoderConfig;
use foresight_predictor::encoder::select;
use foresight_predictor::mask_predictor::{MaskPrediction, MaskPredictor, MaskPredictorConfig};
use foresight_predictor::parameters::{Parameters, Tensors};
use foresight_predictor::reference_encoder::ReferenceEncoder;

/// Clips of one length and their masks.
#[derive(Debug, Clone)]
pub struct ClipGroup {
    /// Normalised pixels, `[B, 3, T, H, W]`.
    pub clips: Tensor,
    /// What each mask generator drew for them.
    pub masks: Vec<BlockMasks>,
}

/// Losses of one step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MaskLosses {
    /// At masked tokens, mean over groups and masks.
    pub masked: f64,
    /// At context tokens, likewise; 0 where they aren't predicted.
    pub context: f64,
    /// Weight of the context loss.
    pub lambda: f64,
    /// `masked + lambda · context`.
    pub total: f64,
}

/// Encoder, its moving average and predictor, with gradients and optimiser.
#[derive(Debug)]
pub struct MaskTrainer {
    encoder_config: EncoderConfig,
    predictor_config: MaskPredictorConfig,
    options: MaskLossOptions,
    /// Both networks, their names behind [`ENCODER`] and [`PREDICTOR`].
    state: TrainState,
    reached: BTreeSet<String>,
}

/// What stands before the names of the encoder's parameters in a [`MaskTrainer`]'s state.
pub const ENCODER: &str = "encoder";
/// What stands before the names of the predictor's.
pub const PREDICTOR: &str = "predictor";

/// Networks over one step's variables.
struct Step {
    encoder: ReferenceEncoder,
    predictor: MaskPredictor,
    target: ReferenceEncoder,
}

impl MaskTrainer {
    /// Trains `encoder`, laid out as [`foresight_predictor::layout::encoder`], and `predictor`, as
    /// [`foresight_predictor::layout::mask_predictor`]; `target` is the moving average to start
    /// from, the encoder itself at the beginning of a training.
    ///
    /// # Errors
    /// When a configuration can't be built, or memory runs out.
    pub fn new(
        (encoder_config, predictor_config): (EncoderConfig, MaskPredictorConfig),
        encoder: &Parameters,
        predictor: &Parameters,
        target: &Parameters,
        options: MaskLossOptions,
    ) -> Result<Self> {
        predictor_config
            .validate()
            .map_err(candle_core::Error::msg)?;
        let parts = [(ENCODER, encoder), (PREDICTOR, predictor)];
        let named = parts.iter().flat_map(|(part, parameters)| {
            let entries = parameters.entries().iter();
            entries.map(move |(name, shape)| (format!("{part}.{name}"), shape.clone()))
        });
        let mut both = Parameters::zeros(named.collect());
        let joined = [encoder.values(), predictor.values()].concat();
        both.values_mut().copy_from_slice(&joined);
        let mut state = TrainState::new(both).with_average(1.0)?;
        if let Some(average) = state.average_mut() {
            let count = target.values().len();
            average.values_mut()[..count].copy_from_slice(target.values());
        }
        Ok(MaskTrainer {
            encoder_config,
            predictor_config,
            options,
            state,
            reached: BTreeSet::new(),
        })
    }

    /// Parameters, gradients, optimiser and moving average of both networks.
    pub fn state(&self) -> &TrainState {
        &self.state
    }

    /// As [`MaskTrainer::state`], to update or restore them.
    pub fn state_mut(&mut self) -> &mut TrainState {
        &mut self.state
    }

    /// Names of the parameters that the last losses came to.
    pub fn reached(&self) -> &BTreeSet<String> {
        &self.reached
    }

    /// The moving average of the encoder under official names: what is released of a training.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn averaged_encoder(&self) -> Result<Tensors> {
        let Some(average) = self.state.average() else {
            candle_core::bail!("the moving average of the encoder is missing");
        };
        let all = average.to_tensors().map_err(candle_core::Error::wrap)?;
        let of_encoder = all.into_iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix(ENCODER)?.strip_prefix('.')?;
            Some((name.to_owned(), tensor))
        });
        Ok(of_encoder.collect())
    }

    /// Losses of a batch at iteration `iteration` of the whole training; its gradients replace
    /// those of the last call. `see` is told each prediction, by group and mask.
    ///
    /// # Errors
    /// When clips, masks and networks don't fit each other.
    pub fn compute_gradients(
        &mut self,
        groups: &[ClipGroup],
        iteration: u64,
        see: &mut dyn FnMut(usize, usize, &MaskPrediction),
    ) -> Result<MaskLosses> {
        self.state.clear()?;
        let heads = self.state.heads_on(&Device::Cpu)?;
        let mut reached = BTreeSet::new();
        let lambda = self.options.lambda(iteration);
        let losses = self.pass(&heads, groups, lambda, see, &mut |total| {
            let store = total.backward()?;
            self.state.collect(&heads, &store)?;
            reached.extend(heads.reached(&store));
            Ok(())
        })?;
        self.reached = reached;
        Ok(losses)
    }

    /// Losses of a batch without touching anything, the context weighed as at the end of a training.
    ///
    /// # Errors
    /// As [`MaskTrainer::compute_gradients`].
    pub fn evaluate(&self, groups: &[ClipGroup]) -> Result<MaskLosses> {
        let heads = self.state.heads_on(&Device::Cpu)?;
        let lambda = self.options.lambda(u64::MAX);
        self.pass(&heads, groups, lambda, &mut |_, _, _| (), &mut |_| Ok(()))
    }

    /// Losses of a batch; `learn` is handed the share of them of each group and mask.
    fn pass(
        &self,
        heads: &HeadVariables,
        groups: &[ClipGroup],
        lambda: f64,
        see: &mut dyn FnMut(usize, usize, &MaskPrediction),
        learn: &mut dyn FnMut(&Tensor) -> Result<()>,
    ) -> Result<MaskLosses> {
        let masks: usize = groups.iter().map(|g| g.masks.len()).sum();
        let share = 1.0 / masks.max(1) as f64;
        let place = TrainingDevice {
            device: Device::Cpu,
            dtype: candle_core::DType::F32,
        };
        let variables = heads.variables(&place)?;
        let predictor = variables.pp(PREDICTOR);
        let step = Step {
            encoder: ReferenceEncoder::new(&self.encoder_config, variables.pp(ENCODER))?,
            predictor: MaskPredictor::new(&self.predictor_config, predictor)?,
            target: self.target()?,
        };
        let mut losses = MaskLosses {
            lambda,
            ..MaskLosses::default()
        };
        for (g, group) in groups.iter().enumerate() {
            let targets = self.targets(&step.target, &group.clips)?;
            // A mask at a time: its graph is gone before the next one's grows.
            for (m, masks) in group.masks.iter().enumerate() {
                let prediction = step.predict(&group.clips, masks, g)?;
                see(g, m, &prediction);
                let (masked, context) = self.losses(&prediction, &targets, masks)?;
                losses.masked += f64::from(masked.to_scalar::<f32>()?) * share;
                let mut total = masked;
                if let Some(context) = context {
                    losses.context += f64::from(context.to_scalar::<f32>()?) * share;
                    total = (total + (context * lambda)?)?;
                }
                learn(&(total * share)?)?;
            }
        }
        losses.total = losses.masked + lambda * losses.context;
        Ok(losses)
    }

    /// One AdamW update of both networks with the gradients at hand, then one of the moving
    /// average with `momentum`. What no loss came to stays as it is, decay included.
    ///
    /// # Errors
    /// When another thread died holding the parameters.
    pub fn update(&mut self, rate: f64, weight_decay: f64, momentum: f64) -> Result<()> {
        self.state.set_momentum(momentum);
        let reached = &self.reached;
        self.state
            .update_reached(rate, weight_decay, None, |name| reached.contains(name))?;
        Ok(())
    }

    /// What the losses of `clips` `[B, 3, T, H, W]` compare with, `[B, N, L·D]`.
    ///
    /// # Errors
    /// When the clips don't fit the encoder.
    pub fn target_latents(&self, clips: &Tensor) -> Result<Tensor> {
        self.targets(&self.target()?, clips)
    }

    fn target(&self) -> Result<ReferenceEncoder> {
        let tensors = self.averaged_encoder()?.into_iter().collect();
        let vb = VarBuilder::from_tensors(tensors, candle_core::DType::F32, &Device::Cpu);
        ReferenceEncoder::new(&self.encoder_config, vb)
    }

    fn targets(&self, target: &ReferenceEncoder, clips: &Tensor) -> Result<Tensor> {
        let tokens = target.forward_training(clips, None)?;
        mask_losses::targets(&tokens, self.encoder_config.embed_dim, &self.options)
    }

    /// Losses at masked and at context tokens, the latter if they count.
    fn losses(
        &self,
        prediction: &MaskPrediction,
        targets: &Tensor,
        masks: &BlockMasks,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let p = self.options.loss_exp;
        let masked = select(targets, &ids(&masks.masked)?)?;
        let masked = mask_losses::loss(&prediction.masked, &masked, None, p)?;
        if !self.options.predict_all {
            return Ok((masked, None));
        }
        let Some(predicted) = &prediction.context else {
            candle_core::bail!(
                "the context's loss needs a predictor with return_all_tokens; set predict_all = false for one without"
            );
        };
        let [height, _] = self.predictor_config.img_size;
        let side = height / self.predictor_config.patch_size;
        let offset = self.options.offset_context_loss;
        let distances = || mask_losses::distances(&masks.context, &masks.masked, side, offset);
        let weighed = self.options.weight_distance_loss;
        let distances = weighed.then(distances).transpose()?;
        let context = select(targets, &ids(&masks.context)?)?;
        let context = mask_losses::loss(predicted, &context, distances.as_ref(), p)?;
        Ok((masked, Some(context)))
    }
}

impl Step {
    /// The prediction of one mask of group `group`, whose mask token is that of its number.
    fn predict(&self, clips: &Tensor, masks: &BlockMasks, group: usize) -> Result<MaskPrediction> {
        let [context, masked] = [ids(&masks.context)?, ids(&masks.masked)?];
        let seen = self.encoder.forward_training(clips, Some(&context))?;
        let modality = self.encoder.modality(clips.dim(2)?);
        self.predictor
            .predict(&seen, &context, &masked, group, modality)
    }
}

/// Token ids of a batch as a tensor `[B, K]`.
fn ids(lists: &[Vec<u32>]) -> Result<Tensor> {
    let length = lists.first().map_or(0, Vec::len);
    if length == 0 || lists.iter().any(|list| list.len() != length) {
        candle_core::bail!("masks must hold tokens, as many in every sample: draw them again");
    }
    let flat: Vec<u32> = lists.concat();
    Tensor::from_vec(flat, (lists.len(), length), &Device::Cpu)
}

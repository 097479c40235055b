//! An encoder from recorded clips by masked prediction, as V-JEPA 2 and 2.1 pre-train.

use std::path::Path;

use anyhow::{bail, Context, Result};
use candle_core::{DType, Device, Tensor};
use foresight_datasets::{ClipSampler, ClipWindow};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{self, Part};
use foresight_predictor::config::{check_numbers, ABOVE_0, FROM_0};
use foresight_predictor::config::{MaskPredictorConfig, Vjepa21PredictorOptions};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{layout, EncoderConfig, ModelConfig, PredictorError};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::episodes;
use crate::feed::{described, readers, Feed};
use crate::frame_transform::FrameTransform;
use crate::mask_trainer::{ClipGroup, MaskLosses, MaskTrainer};
use crate::masks::{BlockMaskGenerator, BlockMasks};
use crate::recipe::{MaskPrediction, PretrainRecipe};
use crate::run::{Parts, TrainingTask};
use crate::settings::Crop;
use crate::{BlockMaskOptions, Objectives, TrainState};

/// Clips the held-out losses are computed on.
const VALIDATION_CLIPS: usize = 64;

/// Masked prediction in training.
pub struct MaskTask {
    trainer: MaskTrainer,
    config: ModelConfig,
    momentum: f64,
    held_out: Clips,
    feed: Feed<Vec<ClipGroup>>,
}

/// The predictor that goes with an encoder.
fn predictor_of(encoder: &EncoderConfig, size: &MaskPrediction) -> MaskPredictorConfig {
    let vjepa2_1 = encoder.vjepa2_1.as_ref().map(|o| Vjepa21PredictorOptions {
        n_output_distillation: o.n_output_distillation,
        interpolate_rope: o.interpolate_rope,
        modality_embedding: o.modality_embedding,
        return_all_tokens: size.losses.predict_all,
        teacher_embed_dim: None,
    });
    MaskPredictorConfig {
        img_size: encoder.img_size,
        patch_size: encoder.patch_size,
        embed_dim: encoder.embed_dim,
        predictor_embed_dim: size.predictor_embed_dim,
        depth: size.predictor_depth,
        num_heads: size.predictor_num_heads,
        num_mask_tokens: 1 + usize::from(!size.image_masks.is_empty()),
        mlp_ratio: 4.0,
        rope: encoder.rope,
        vjepa2_1,
    }
}

impl MaskTask {
    /// An encoder and a predictor with random weights, and the recordings they learn from.
    ///
    /// # Errors
    /// When recipe or recordings can't be used.
    pub fn new(
        recipe: &PretrainRecipe,
        size: &MaskPrediction,
        data: &Path,
        validation: Option<&Path>,
    ) -> Result<Self> {
        let encoder = recipe.encoder.clone();
        check(recipe, size)?;
        let predictor = predictor_of(&encoder, size);
        let config = ModelConfig {
            mask_predictor: Some(predictor.clone()),
            ..ModelConfig::of(&recipe.name, encoder.clone())
        };
        config.validate().map_err(anyhow::Error::msg)?;
        let optimisation = &recipe.optimisation;
        let clips = optimisation.batch_size;
        let episodes = episodes::open(data, validation, &recipe.data)?;
        let open = |subset, path: &Path| -> Result<Clips> {
            let (drawn, seed) = ([size.clip_frames, clips], optimisation.seed);
            let sampler = episodes::sampler(subset, path, &recipe.data, drawn, seed)?;
            let generators = |masks: &[BlockMaskOptions], frames: usize| -> Result<Vec<_>> {
                let (crop, patch) = (encoder.img_size, encoder.patch_size);
                let tubelet = encoder.tubelet(frames);
                let made = masks.iter().map(|options| {
                    BlockMaskGenerator::new(options.clone(), crop, patch, frames, tubelet)
                        .map_err(anyhow::Error::msg)
                });
                made.collect()
            };
            Ok(Clips {
                sampler,
                transform: Crop::transform(recipe.crop.as_ref(), &encoder)?,
                video: generators(&size.masks, size.clip_frames)?,
                image: generators(&size.image_masks, 1)?,
            })
        };
        let training = open(episodes.training, data)?;
        let held_out = open(episodes.held_out, &episodes.held_out_root)?;
        let drawn = |entries, part| {
            let mut parameters = Parameters::zeros(entries);
            initialise(&mut parameters, part, optimisation.seed);
            parameters
        };
        let weights = drawn(layout::encoder(&encoder), Part::Encoder);
        let guess = drawn(layout::mask_predictor(&predictor), Part::MaskPredictor);
        let mut losses = size.losses.clone();
        let levels = encoder.vjepa2_1.as_ref().map(|o| o.n_output_distillation);
        losses.levels_predictor = levels.unwrap_or(1);
        let readers = readers(recipe.data.workers)?;
        Ok(MaskTask {
            trainer: MaskTrainer::new((encoder, predictor), &weights, &guess, &weights, losses)?,
            config,
            momentum: size.ema_momentum,
            held_out,
            feed: Feed::new(&readers, move |step| training.step(step, clips)),
        })
    }

    /// Writes the moving average of the encoder as a model folder.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let tensors = self.trainer.averaged_encoder()?;
        let (config, dtype) = (&self.config, DType::F32);
        Ok(checkpoint::save(folder, config, &tensors, None, dtype)?)
    }
}

fn check(recipe: &PretrainRecipe, size: &MaskPrediction) -> Result<()> {
    if recipe.objectives != Objectives::default() {
        bail!("[mask_prediction] takes the place of [objectives]: give one of them");
    }
    if size.masks.is_empty() {
        bail!("mask_prediction.masks needs a mask at least");
    }
    recipe.check()?;
    let [start, end] = size.losses.lambda_rises.map(|iteration| iteration as f64);
    let numbers = [
        ("ema_momentum", size.ema_momentum, [0.0, 1.0]),
        ("losses.loss_exp", size.losses.loss_exp, ABOVE_0),
        ("losses.lambda_value", size.losses.lambda_value, FROM_0),
        ("losses.lambda_rises", end, [start + 1.0, f64::INFINITY]),
    ];
    check_numbers("mask_prediction.", &numbers).map_err(anyhow::Error::msg)?;
    let [height, width] = recipe.encoder.img_size;
    let grid = recipe.encoder.clip_grid([size.clip_frames, height, width]);
    grid.map_err(anyhow::Error::msg)
        .context("mask_prediction.clip_frames")?;
    let modern = recipe.encoder.vjepa2_1.as_ref();
    if modern.is_none() && size.losses.predict_all {
        bail!(
            "V-JEPA 2's predictor doesn't predict what is seen: set \
             mask_prediction.losses.predict_all = false, or give the encoder a table vjepa2_1"
        );
    }
    if !size.image_masks.is_empty() && !recipe.encoder.is_image(1) {
        bail!(
            "mask_prediction.image_masks need an encoder with vjepa2_1.img_temporal_dim_size = 1"
        );
    }
    Ok(())
}

impl TrainingTask for MaskTask {
    fn state(&mut self) -> &mut TrainState {
        self.trainer.state_mut()
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let groups = self.feed.take(step)?;
        self.trainer.state_mut().set_momentum(self.momentum);
        let see = &mut |_: usize, _: usize, _: &_| ();
        let losses = self.trainer.compute_gradients(&groups, step as u64, see)?;
        Ok(parts(&losses))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let groups = self.held_out.validation().map_err(described)?;
        Ok(parts(&self.trainer.evaluate(&groups)?))
    }

    fn waited_s(&self) -> f64 {
        self.feed.waited_s()
    }
}

/// Recorded clips and how they are masked.
struct Clips {
    sampler: ClipSampler,
    transform: FrameTransform,
    video: Vec<BlockMaskGenerator>,
    image: Vec<BlockMaskGenerator>,
}

impl Clips {
    fn step(&self, step: usize, clips: usize) -> Result<Vec<ClipGroup>> {
        let draws = (step * clips) as u64..((step + 1) * clips) as u64;
        let windows = draws.map(|draw| self.sampler.window(draw));
        let windows: Vec<ClipWindow> = windows.collect::<Result<_, _>>()?;
        self.groups(&windows, step as u64, self.sampler.step_seed(step as u64))
    }

    /// The same clips and masks every time.
    fn validation(&self) -> Result<Vec<ClipGroup>> {
        let frames = self.sampler.options().shape.frames;
        let count = VALIDATION_CLIPS.min(self.sampler.states() / frames).max(1);
        self.groups(&self.sampler.evenly_spaced(count)?, 0, 0)
    }

    fn groups(&self, windows: &[ClipWindow], step: u64, seed: u64) -> Result<Vec<ClipGroup>> {
        let read = |(at, window): (usize, &ClipWindow)| {
            let frames = self.sampler.frames(window)?;
            self.transform.pixels(&frames, Some([seed, at as u64]))
        };
        let read: Vec<Vec<f32>> = windows
            .par_iter()
            .enumerate()
            .map(read)
            .collect::<Result<_>>()?;
        let [height, width] = self.transform.size();
        let frames = self.sampler.options().shape.frames;
        let shape = (windows.len(), frames, 3, height, width);
        let clips = Tensor::from_vec(read.concat(), shape, &Device::Cpu)?;
        let clips = clips.permute((0, 2, 1, 3, 4))?.contiguous()?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut masks = |generators: &[BlockMaskGenerator]| -> Result<Vec<BlockMasks>> {
            let drawn = generators.iter().map(|generator| {
                let block = generator.block_of_step(step);
                let below = &mut |n: usize| rng.random_range(0..n);
                let drawn = generator.draw(windows.len(), block, below);
                drawn.map_err(anyhow::Error::msg)
            });
            drawn.collect()
        };
        let mut groups = vec![ClipGroup {
            masks: masks(&self.video)?,
            clips: clips.clone(),
        }];
        if !self.image.is_empty() {
            groups.push(ClipGroup {
                masks: masks(&self.image)?,
                clips: clips.narrow(2, 0, 1)?.contiguous()?,
            });
        }
        Ok(groups)
    }
}

fn parts(losses: &MaskLosses) -> Parts {
    vec![
        ("total", losses.total),
        ("masked", losses.masked),
        ("context", losses.context),
        ("lambda", losses.lambda),
    ]
}

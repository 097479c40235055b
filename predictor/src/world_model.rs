//! A loaded model: images to latents, latents and actions to energies.

use std::path::Path;
use std::sync::Arc;

use foresight_planner::{ActionSequences, Pose};
use image::RgbImage;

use crate::ac_predictor::AcPredictor;
use crate::backend::{self, Backend, FrameEncoder, LatentPredictor};
use crate::checkpoint;
use crate::compact;
use crate::compute_device::ComputeDevice;
use crate::config::{ModelConfig, PredictorConfig};
use crate::error::{PredictorError, Result};
use crate::kernels::elementwise::mean_abs_difference;
use crate::kernels::Precision;
use crate::layout;
use crate::parameters::{self, Tensors};
use crate::rollout::{Budget, Rollout, RolloutStart};
use crate::transform::ImageTransform;

/// The layer-normalised latent of one frame, `[N, D]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Latent {
    /// Values, row-major.
    pub values: Vec<f32>,
    /// Tokens, `N`.
    pub tokens: usize,
}

impl Latent {
    /// Mean absolute difference of each token to another latent's, `[N]`.
    pub fn token_distances(&self, other: &Latent) -> Vec<f32> {
        let width = self.values.len() / self.tokens.max(1);
        let pairs = self
            .values
            .chunks(width.max(1))
            .zip(other.values.chunks(width.max(1)));
        pairs.map(|(a, b)| mean_abs_difference(a, b)).collect()
    }

    /// Mean absolute difference to another latent: the L1 energy.
    pub fn distance(&self, other: &Latent) -> f32 {
        mean_abs_difference(&self.values, &other.values)
    }
}

/// Encoder and action-conditioned predictor, ready to plan with.
#[derive(Debug, Clone)]
pub struct WorldModel {
    config: ModelConfig,
    encoder: Arc<dyn FrameEncoder>,
    pub(crate) predictor: Arc<dyn LatentPredictor>,
    /// The predictor on candle in f32, for gradients; a compact model has none.
    pub(crate) reference: Option<AcPredictor>,
    /// Where, and in which numbers.
    computes: String,
    budget: Budget,
}

fn no_predictor(folder: &Path) -> PredictorError {
    PredictorError::File {
        path: folder.to_path_buf(),
        what: "this model has no action-conditioned predictor, so it can't plan; train one with `foresight train`"
            .into(),
    }
}

impl WorldModel {
    /// Loads a model folder (`config.json`, `model.safetensors`; or a compact model's) to compute on the CPU
    /// in f32.
    ///
    /// # Errors
    /// When a file is missing, damaged, or its tensors don't fit the configuration, or the model
    /// has no predictor.
    pub fn load(folder: &Path) -> Result<Self> {
        WorldModel::load_on(folder, ComputeDevice::Cpu, Precision::F32)
    }

    /// As [`WorldModel::load`], to compute on `device` in `precision`.
    ///
    /// # Errors
    /// As there, and when the device doesn't answer or is too small.
    pub fn load_on(folder: &Path, device: ComputeDevice, precision: Precision) -> Result<Self> {
        if compact::is_compact(folder) {
            return WorldModel::load_compact(folder, device, precision);
        }
        let loaded = checkpoint::load(folder)?;
        let predictor = loaded.predictor.ok_or_else(|| no_predictor(folder))?;
        WorldModel::from_tensors_on(
            loaded.config,
            &loaded.encoder,
            &predictor,
            device,
            precision,
        )
    }

    /// Whether a model folder can plan, as far as its description and its weights' names and shapes tell: no
    /// more of the weights is read.
    ///
    /// # Errors
    /// As [`WorldModel::load`].
    pub fn check(folder: &Path) -> Result<()> {
        if compact::is_compact(folder) {
            return compact::read(folder).map(drop);
        }
        match checkpoint::check(folder)?.predictor {
            Some(_) => Ok(()),
            None => Err(no_predictor(folder)),
        }
    }

    fn load_compact(folder: &Path, device: ComputeDevice, precision: Precision) -> Result<Self> {
        if device != ComputeDevice::Cpu {
            return Err(PredictorError::Model(format!(
                "a compact model computes on the CPU, not on {device}; leave out --device"
            )));
        }
        let networks = compact::networks(folder, precision)?;
        Ok(WorldModel {
            config: networks.config,
            encoder: networks.encoder,
            predictor: networks.predictor,
            reference: None,
            computes: networks.computes,
            budget: Budget::default(),
        })
    }

    /// Assembles a model from tensors with official state-dict names, to compute on the CPU in
    /// f32.
    ///
    /// # Errors
    /// When the configuration is inconsistent, has no predictor, or tensors don't fit it.
    pub fn from_tensors(
        config: ModelConfig,
        encoder: &Tensors,
        predictor: &Tensors,
    ) -> Result<Self> {
        let device = ComputeDevice::Cpu;
        WorldModel::from_tensors_on(config, encoder, predictor, device, Precision::F32)
    }

    /// As [`WorldModel::from_tensors`], to compute on `device` in `precision`.
    ///
    /// # Errors
    /// As there, and when the device doesn't answer or is too small.
    pub fn from_tensors_on(
        config: ModelConfig,
        encoder: &Tensors,
        predictor: &Tensors,
        device: ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        let backend = backend::open(device, precision)?;
        WorldModel::from_tensors_with(config, encoder, predictor, backend.as_ref())
    }

    /// As [`WorldModel::from_tensors`], on a backend of one's own.
    ///
    /// # Errors
    /// As there, and when the backend's memory is too small.
    pub fn from_tensors_with(
        config: ModelConfig,
        encoder: &Tensors,
        predictor: &Tensors,
        backend: &dyn Backend,
    ) -> Result<Self> {
        config.validate().map_err(PredictorError::Model)?;
        let predictor_config = config.predictor.as_ref().ok_or_else(|| {
            PredictorError::Model("the configuration describes no predictor".into())
        })?;
        parameters::check(&layout::encoder(&config.encoder), encoder)?;
        parameters::check(&layout::predictor(predictor_config), predictor)?;
        Ok(WorldModel {
            encoder: backend.encoder(&config.encoder, encoder)?.into(),
            predictor: backend.predictor(predictor_config, predictor)?.into(),
            reference: Some(backend.differentiable(predictor_config, predictor)?),
            computes: format!("{} on {}", backend.precision(), backend.place()),
            budget: backend.budget(),
            config,
        })
    }

    /// What `config.json` says.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Whether the predictor takes the camera's pose; then [`crate::LatentEnergy::with_extrinsics`] has
    /// to say it.
    pub fn takes_extrinsics(&self) -> bool {
        self.predictor_config().use_extrinsics
    }

    /// In which numbers and on what it computes, as in "bf16 on AMX": bf16 is taken as f32 where
    /// a CPU is faster in it.
    pub fn computes(&self) -> &str {
        &self.computes
    }

    /// Memory for rollouts when nothing else is said.
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// What rolls actions out.
    pub fn predictor(&self) -> &Arc<dyn LatentPredictor> {
        &self.predictor
    }

    /// What encodes frames.
    pub fn encoder(&self) -> &Arc<dyn FrameEncoder> {
        &self.encoder
    }

    /// The same model computed by others, which must give its numbers. Gradients stay with candle's predictor.
    pub fn with_networks(
        self,
        encoder: Arc<dyn FrameEncoder>,
        predictor: Arc<dyn LatentPredictor>,
    ) -> Self {
        WorldModel {
            encoder,
            predictor,
            ..self
        }
    }

    /// The same encoder with another predictor, of `config` and `weights`, on `backend`.
    ///
    /// # Errors
    /// When the predictor doesn't fit the encoder or the tensors don't fit it, or memory is too small.
    pub fn with_predictor(
        &self,
        config: &PredictorConfig,
        weights: &Tensors,
        backend: &dyn Backend,
    ) -> Result<Self> {
        let described = ModelConfig {
            predictor: Some(config.clone()),
            ..self.config.clone()
        };
        described.validate().map_err(PredictorError::Model)?;
        parameters::check(&layout::predictor(config), weights)?;
        Ok(WorldModel {
            config: described,
            encoder: Arc::clone(&self.encoder),
            predictor: backend.predictor(config, weights)?.into(),
            reference: Some(backend.differentiable(config, weights)?),
            computes: self.computes.clone(),
            budget: self.budget,
        })
    }

    pub(crate) fn predictor_config(&self) -> &PredictorConfig {
        self.predictor.config()
    }

    /// Tokens and width of one latent, `[N, D]`.
    pub fn latent_shape(&self) -> [usize; 2] {
        let encoder = &self.config.encoder;
        [encoder.tokens_per_frame(), encoder.latent_dim()]
    }

    /// Rows and columns of a latent's tokens in the picture.
    pub fn token_grid(&self) -> [usize; 2] {
        self.config.encoder.grid()
    }

    /// One latent per image. Images of any size: they are centre-cropped and resized as the
    /// official evaluation transform does.
    ///
    /// # Errors
    /// When an image is empty.
    pub fn encode(&self, images: &[&RgbImage]) -> Result<Vec<Latent>> {
        let [height, width] = self.config.encoder.img_size;
        let mut pixels = Vec::with_capacity(images.len() * 3 * height * width);
        for image in images {
            pixels.extend(self.pixels(image)?);
        }
        self.encode_pixels(&pixels)
    }

    /// What the encoder sees of an image of any size, `[3, H, W]`.
    ///
    /// # Errors
    /// When the image is empty.
    pub fn pixels(&self, image: &RgbImage) -> Result<Vec<f32>> {
        let encoder = &self.config.encoder;
        let transform = ImageTransform::new(encoder.picture_size()).side_by_side(encoder.views());
        let (width, height) = image.dimensions();
        let frame = transform.apply(image.as_raw(), height as usize, width as usize);
        frame.map_err(|e| PredictorError::Model(e.to_string()))
    }

    /// One latent per frame of already transformed pixels `[B, 3, H, W]` at the model's size.
    ///
    /// # Errors
    /// When they are no whole number of frames, or a GPU fails.
    pub fn encode_pixels(&self, pixels: &[f32]) -> Result<Vec<Latent>> {
        let size = self.config.encoder.img_size;
        let latents = self.encoder.encode(pixels, size)?;
        let [tokens, width] = self.latent_shape();
        let latent = |values: &[f32]| Latent {
            values: values.to_vec(),
            tokens,
        };
        Ok(latents.chunks_exact(tokens * width).map(latent).collect())
    }

    /// The latents and poses after each step of sequence `sample`; `extrinsics` is the camera pose
    /// `[6]` for predictors that take one.
    ///
    /// # Errors
    /// When extrinsics are given or missing against the configuration, or a GPU fails.
    pub fn rollout(
        &self,
        context: &Latent,
        pose: &Pose,
        extrinsics: Option<[f32; 6]>,
        sequences: &ActionSequences,
        sample: usize,
    ) -> Result<Rollout> {
        let start = RolloutStart {
            latent: &context.values,
            pose: *pose,
            extrinsics,
        };
        self.predictor.rollout(&start, sequences, sample)
    }
}

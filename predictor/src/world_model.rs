//! A loaded model: images to latents, latents and actions to energies.

use std::path::Path;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use foresight_planner::{ActionSequences, Energy, EnergyError, Gradients, Pose};
use image::RgbImage;

use crate::ac_predictor::AcPredictor;
use crate::checkpoint;
use crate::config::ModelConfig;
use crate::cpu_encoder::PackedEncoder;
use crate::error::PredictorError;
use crate::goal_distance::{GoalDistance, GoalWeighting};
use crate::gradient;
use crate::kernels::elementwise::mean_abs_difference;
use crate::kernels::{Precision, Unit};
use crate::layout;
use crate::parameters::{Parameters, Tensors};
use crate::rollout::{Budget, Imagined, PackedPredictor, Start};
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
    /// Mean absolute difference to another latent: the L1 energy.
    pub fn distance(&self, other: &Latent) -> f32 {
        mean_abs_difference(&self.values, &other.values)
    }
}

/// Encoder and action-conditioned predictor, ready to plan with on the CPU.
#[derive(Debug, Clone)]
pub struct WorldModel {
    config: ModelConfig,
    encoder: PackedEncoder,
    predictor: PackedPredictor,
    /// The predictor on candle, for gradients.
    reference: AcPredictor,
}

impl WorldModel {
    /// Loads a model folder (`config.json`, `model.safetensors`) to compute in f32.
    ///
    /// # Errors
    /// When a file is missing, damaged, or its tensors don't fit the configuration, or the model
    /// has no predictor.
    pub fn load(folder: &Path) -> Result<Self, PredictorError> {
        WorldModel::load_with(folder, Precision::F32)
    }

    /// As [`WorldModel::load`], to compute in `precision`.
    ///
    /// # Errors
    /// As there.
    pub fn load_with(folder: &Path, precision: Precision) -> Result<Self, PredictorError> {
        let loaded = checkpoint::load(folder)?;
        let predictor = loaded.predictor.ok_or_else(|| PredictorError::File {
            path: folder.to_path_buf(),
            what: "this model has no action-conditioned predictor, so it can't plan; train one with `foresight train`".into(),
        })?;
        WorldModel::with_precision(loaded.config, &loaded.encoder, &predictor, precision)
    }

    /// Assembles a model from tensors with official state-dict names, to compute in f32.
    ///
    /// # Errors
    /// When the configuration is inconsistent, has no predictor, or tensors don't fit it.
    pub fn from_tensors(
        config: ModelConfig,
        encoder: &Tensors,
        predictor: &Tensors,
    ) -> Result<Self, PredictorError> {
        WorldModel::with_precision(config, encoder, predictor, Precision::F32)
    }

    /// As [`WorldModel::from_tensors`], to compute in `precision`.
    ///
    /// # Errors
    /// As there.
    pub fn with_precision(
        config: ModelConfig,
        encoder: &Tensors,
        predictor: &Tensors,
        precision: Precision,
    ) -> Result<Self, PredictorError> {
        config.validate().map_err(PredictorError::Model)?;
        let predictor_config = config.predictor.clone().ok_or_else(|| {
            PredictorError::Model("the configuration describes no predictor".into())
        })?;
        let f32_tensors = predictor
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(DType::F32)?)))
            .collect::<Result<_, candle_core::Error>>()?;
        let reference = VarBuilder::from_tensors(f32_tensors, DType::F32, &Device::Cpu);
        let encoder = Parameters::from_tensors(layout::encoder(&config.encoder), encoder)?;
        let predictor = Parameters::from_tensors(layout::predictor(&predictor_config), predictor)?;
        Ok(WorldModel {
            reference: AcPredictor::new(&predictor_config, reference)?,
            encoder: PackedEncoder::new(&config.encoder, &encoder, precision),
            predictor: PackedPredictor::new(&predictor_config, &predictor, precision),
            config,
        })
    }

    /// What `config.json` says.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What multiplies, and in which numbers: bf16 is taken as f32 where that is faster.
    pub fn unit(&self) -> (Unit, Precision) {
        self.predictor.unit()
    }

    /// Tokens and width of one latent, `[N, D]`.
    pub fn latent_shape(&self) -> [usize; 2] {
        let encoder = &self.config.encoder;
        [encoder.tokens_per_frame(), encoder.embed_dim]
    }

    /// One latent per image. Images of any size: they are centre-cropped and resized as the
    /// official evaluation transform does.
    ///
    /// # Errors
    /// When an image is empty.
    pub fn encode(&self, images: &[&RgbImage]) -> Result<Vec<Latent>, PredictorError> {
        let [height, width] = self.config.encoder.img_size;
        let mut pixels = Vec::with_capacity(images.len() * 3 * height * width);
        let transform = ImageTransform::new([height, width]);
        for image in images {
            let (width, height) = image.dimensions();
            let frame = transform.apply(image.as_raw(), height as usize, width as usize);
            pixels.extend(frame.map_err(|e| PredictorError::Model(e.to_string()))?);
        }
        Ok(self.encode_pixels(&pixels))
    }

    /// One latent per frame of already transformed pixels `[B, 3, H, W]` at the model's size.
    pub fn encode_pixels(&self, pixels: &[f32]) -> Vec<Latent> {
        let config = &self.config.encoder;
        let latents = self.encoder.encode(pixels, config.img_size);
        let [tokens, width] = self.latent_shape();
        latents
            .chunks_exact(tokens * width)
            .map(|values| Latent {
                values: values.to_vec(),
                tokens,
            })
            .collect()
    }

    /// The energy of action sequences from `context`, where the robot is at `pose`, towards
    /// `goal`: the L1 distance of the last predicted latent.
    pub fn energy<'a>(
        &'a self,
        context: &'a Latent,
        pose: &Pose,
        goal: &'a Latent,
        budget: Budget,
    ) -> LatentEnergy<'a> {
        LatentEnergy {
            model: self,
            context,
            pose: *pose,
            extrinsics: None,
            distance: GoalDistance::new(&context.values, &goal.values, GoalWeighting::UNIFORM),
            budget,
        }
    }

    /// The latents and poses after each step of sequence `sample`.
    pub fn imagine(
        &self,
        context: &Latent,
        pose: &Pose,
        sequences: &ActionSequences,
        sample: usize,
    ) -> Imagined {
        let start = Start {
            latent: &context.values,
            pose: *pose,
            extrinsics: None,
        };
        self.predictor.imagine(&start, sequences, sample)
    }
}

/// [`Energy`] by latent rollout.
#[derive(Debug, Clone)]
pub struct LatentEnergy<'a> {
    model: &'a WorldModel,
    context: &'a Latent,
    pose: Pose,
    extrinsics: Option<[f32; 6]>,
    distance: GoalDistance<'a>,
    budget: Budget,
}

impl LatentEnergy<'_> {
    /// With the camera pose `[6]` for predictors that take one.
    pub fn with_extrinsics(mut self, extrinsics: [f32; 6]) -> Self {
        self.extrinsics = Some(extrinsics);
        self
    }

    /// With the latent's entries weighed; uniform when never said.
    pub fn with_weighting(mut self, weighting: GoalWeighting) -> Self {
        self.distance = GoalDistance::new(&self.context.values, self.distance.goal(), weighting);
        self
    }

    /// Where rollouts start.
    fn start(&self) -> Result<Start<'_>, EnergyError> {
        let needs = self.model.predictor.config().use_extrinsics;
        if needs != self.extrinsics.is_some() {
            let what = if needs { "needs" } else { "takes no" };
            let message = format!("this predictor {what} camera extrinsics");
            return Err(EnergyError(Box::new(PredictorError::Model(message))));
        }
        Ok(Start {
            latent: &self.context.values,
            pose: self.pose,
            extrinsics: self.extrinsics,
        })
    }

    /// Energies after rolling through the first `depth` blocks.
    fn rolled(&self, sequences: &ActionSequences, depth: usize) -> Result<Vec<f32>, EnergyError> {
        let predictor = &self.model.predictor;
        let distance = |latent: &[f32]| self.distance.of(latent);
        Ok(predictor.roll(&self.start()?, sequences, depth, self.budget, distance))
    }
}

impl Energy for LatentEnergy<'_> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        self.rolled(sequences, self.model.predictor.config().depth)
    }

    /// The energies of a predictor cut off after this share of its blocks.
    fn previews(&self, sequences: &ActionSequences, share: f64) -> Result<Vec<f32>, EnergyError> {
        let depth = self.model.predictor.config().depth;
        let part = (depth as f64 * share).round() as usize;
        self.rolled(sequences, part.clamp(1, depth.max(1)))
    }

    fn gradients(&self, sequences: &ActionSequences) -> Result<Gradients, EnergyError> {
        let reference = &self.model.reference;
        gradient::gradients(reference, &self.start()?, sequences, &self.distance)
            .map_err(|e| EnergyError(Box::new(e)))
    }
}

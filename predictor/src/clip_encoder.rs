//! The encoder of a model alone: features of clips and images for whoever plans nothing.

use std::borrow::Cow;
use std::path::Path;

use crate::backend::{self, CpuBackend, FrameEncoder};
use crate::checkpoint::{Checkpoint, CheckpointError, Part};
use crate::compute_device::ComputeDevice;
use crate::config::{EncoderConfig, EncoderLevel};
use crate::error::{PredictorError, Result};
use crate::kernels::Precision;
use crate::layout;
use crate::parameters::{Tensors, WeightSource};

/// An encoder of either family, ready for clips.
#[derive(Debug)]
pub struct ClipEncoder {
    config: EncoderConfig,
    encoder: Box<dyn FrameEncoder>,
    computes: String,
    apart: bool,
}

/// What is taken from an encoder, and where it computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClipEncoderOptions {
    /// Another level of V-JEPA 2.1's encoder than the model's own.
    pub level: Option<EncoderLevel>,
    /// Whether every frame of a clip is encoded by itself, doubled to a tubelet as planning does it, and
    /// its tokens layer-normalised: for encoders that have seen nothing but such frames.
    pub apart: bool,
    /// Where.
    pub device: ComputeDevice,
    /// In which numbers.
    pub precision: Precision,
}

/// Tensors that are read when they are asked for.
struct Stored<'a> {
    checkpoint: &'a Checkpoint,
    part: Part,
}

impl WeightSource for Stored<'_> {
    fn values(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let tensor = self.checkpoint.tensor(self.part, name)?;
        let flat = tensor.to_dtype(candle_core::DType::F32)?.flatten_all()?;
        Ok(Cow::Owned(flat.to_vec1()?))
    }
}

impl ClipEncoder {
    /// The encoder of a model folder or checkpoint; of V-JEPA 2.1's files the moving average, as
    /// their hub loads it.
    ///
    /// # Errors
    /// When it is missing or damaged, its tensors don't fit its architecture, it has no such level,
    /// or the device doesn't answer.
    pub fn load(path: &Path, options: ClipEncoderOptions) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let inferred = checkpoint.architecture()?.encoder;
        let inferred = inferred.ok_or_else(|| PredictorError::File {
            path: path.to_path_buf(),
            what: "this model has no encoder; give one that has".into(),
        })?;
        if !inferred.heads_known {
            return Err(PredictorError::File {
                path: path.to_path_buf(),
                what: "its number of attention heads can't be told; make a model folder of it with `foresight model convert --encoder-heads`".into(),
            });
        }
        let mut config = inferred.config;
        let part = checkpoint.frozen_encoder();
        if let Some(level) = options.level {
            config.level = level;
            config.check_level().map_err(PredictorError::Model)?;
        }
        let expected = layout::encoder(&config);
        checkpoint.check(part, &expected)?;
        let stored = Stored {
            checkpoint: &checkpoint,
            part,
        };
        let tensors =
            || -> Result<Tensors, CheckpointError> { checkpoint.tensors(part, &expected) };
        let (encoder, computes) = match options.device {
            ComputeDevice::Cpu => {
                let cpu = CpuBackend::new(options.precision);
                (cpu.encoder_of(&config, &stored)?, described(&cpu))
            }
            device => {
                let backend = backend::open(device, options.precision)?;
                (
                    backend.encoder(&config, &tensors()?)?,
                    described(backend.as_ref()),
                )
            }
        };
        Ok(ClipEncoder {
            config,
            encoder,
            computes,
            apart: options.apart,
        })
    }

    /// An encoder of tensors with official names, on the CPU kernels in f32.
    ///
    /// # Errors
    /// When tensors don't fit the configuration.
    pub fn from_tensors(config: EncoderConfig, weights: &Tensors) -> Result<Self> {
        let cpu = CpuBackend::new(Precision::F32);
        Ok(ClipEncoder {
            encoder: backend::Backend::encoder(&cpu, &config, weights)?,
            computes: described(&cpu),
            apart: false,
            config,
        })
    }

    /// The architecture, with the level that is taken.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// In which numbers and on what it computes, as in "bf16 on AMX".
    pub fn computes(&self) -> &str {
        &self.computes
    }

    /// Tokens over time, rows and columns of clips of `frames` frames of the model's size. One frame
    /// is an image: V-JEPA 2, which has no path for images, sees it repeated to one tubelet.
    ///
    /// # Errors
    /// A sentence, when frames don't make whole tubelets.
    pub fn grid(&self, frames: usize) -> Result<[usize; 3]> {
        let [height, width] = self.config.img_size;
        if self.apart {
            let [rows, columns] = [height, width].map(|side| side / self.config.patch_size);
            return Ok([frames, rows, columns]);
        }
        let grid = self.config.clip_grid([self.frames(frames), height, width]);
        grid.map_err(PredictorError::Model)
    }

    /// Clips `[B, 3, T, H, W]` of the model's size, normalised, to tokens `[B, N, L]` after the
    /// encoder's norm; of frames that are apart, those of one after another.
    ///
    /// # Errors
    /// As [`ClipEncoder::grid`], and when a device fails.
    pub fn encode(&self, clips: &[f32], frames: usize) -> Result<Vec<f32>> {
        let [height, width] = self.config.img_size;
        if self.apart {
            let plane = height * width;
            let clips = clips.chunks_exact((3 * frames * plane).max(1));
            let apart = clips.flat_map(|clip| {
                let of_frame = move |at: usize| {
                    (0..3).flat_map(move |c| &clip[(c * frames + at) * plane..][..plane])
                };
                (0..frames).flat_map(of_frame).copied()
            });
            return self
                .encoder
                .encode(&apart.collect::<Vec<f32>>(), [height, width]);
        }
        let needed = self.frames(frames);
        if needed == frames {
            return self.encoder.encode_clips(clips, [frames, height, width]);
        }
        let planes = clips.chunks_exact((height * width).max(1));
        let repeated: Vec<f32> = planes
            .flat_map(|plane| std::iter::repeat_n(plane, needed).flatten().copied())
            .collect();
        self.encoder
            .encode_clips(&repeated, [needed, height, width])
    }

    fn frames(&self, frames: usize) -> usize {
        if frames == 1 && !self.config.is_image(1) {
            self.config.tubelet_size
        } else {
            frames
        }
    }
}

fn described(backend: &dyn backend::Backend) -> String {
    format!("{} on {}", backend.precision(), backend.place())
}

//! From a dataset to a model folder: losses, gradients, optimiser, resume, and the ways in.
//!
//! - [`predictor_run`]: an action-conditioned predictor behind a frozen encoder, fine-tuned or from
//!   random weights. [`settings`] say how.
//! - [`pretrain`]: an encoder from recorded frames.
//! - [`clone_policy`]: a policy that imitates demonstrations.
//! - [`compact_task`]: encoder and predictor of a compact model, jointly.
//!
//! All of them are a [`run::TrainingTask`] of one loop, [`run::run`], which steps, validates, logs and
//! resumes. What a step learns from comes from `foresight_datasets::ClipSampler` by the step's
//! number, through threads that read ahead: as pixels, or as latents of the frozen encoder
//! ([`latent_clips`]).
//!
//! The transformer blocks run on our kernels as one differentiable operation ([`trunk::Trunk`]);
//! everything around them (embeddings, heads, losses) is ordinary candle and its automatic
//! differentiation. All parameters and gradients of a network live in one flat buffer, which makes
//! the optimiser a single pass and a checkpoint a copy. A predictor can also learn through candle
//! alone, on a GPU ([`TrainingDevice`]).
//!
//! ```
//! use foresight_training::settings::Settings;
//!
//! // Defaults, changed from the command line.
//! let settings = Settings::resolve(None, &["run.log_every=5".into()])?;
//! assert_eq!(settings.run.log_every, 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adamw;
pub mod adapters;
mod ahead;
pub mod attentive_probe;
pub mod base;
mod card;
pub mod change_directions;
pub mod classify;
pub mod clip_features;
pub mod clone_policy;
pub mod compact_task;
pub mod compact_trainer;
mod device_forward;
pub mod encoder_trainer;
pub mod episodes;
mod errors;
pub mod estimate;
mod feed;
pub mod film_list;
mod forward;
mod frame_transform;
mod freeze;
pub mod frozen_encoder;
pub mod goal_head;
mod goal_trainer;
mod head_variables;
mod init;
mod latent_cache;
pub mod latent_clips;
mod latent_source;
mod layers;
pub mod level_two;
mod lighting;
pub mod log;
pub mod mask_losses;
pub mod mask_task;
pub mod mask_trainer;
pub mod masks;
pub mod memory;
pub mod mersenne_twister;
pub mod objectives;
pub mod optimisation;
pub mod origin;
mod policy_trainer;
mod predictor_batch;
pub mod predictor_run;
mod predictor_task;
mod predictor_trainer;
pub mod pretrain;
mod process_setup;
pub mod processes;
pub mod recipe;
pub mod run;
mod said_demonstrations;
pub mod schedule;
pub mod settings;
mod stage_cuts;
pub mod state;
mod surprise;
mod tensorboard;
mod train_state;
mod trained_layers;
mod training_device;
pub mod trunk;
pub mod workers;

pub use adamw::{AdamW, AdamWOptions};
pub use encoder_trainer::{EncoderBatch, EncoderTrainer};
pub use mask_losses::MaskLossOptions;
pub use mask_trainer::{ClipGroup, MaskTrainer};
pub use masks::{BlockMaskGenerator, BlockMaskOptions, BlockMasks};
pub use objectives::{EncoderLosses, Objectives};
pub use predictor_batch::PredictorBatch;
pub use predictor_trainer::{LatentMetric, Losses, PredictorLossOptions, PredictorTrainer};
pub use process_setup::arrange_process;
pub use schedule::WsdSchedule;
pub use train_state::TrainState;
pub use training_device::TrainingDevice;

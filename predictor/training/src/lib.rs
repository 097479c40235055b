//! Training: losses, gradients, AdamW with the official groups, schedules.
//!
//! The transformer blocks run on our kernels as one differentiable operation
//! ([`trunk::Trunk`]); everything around them (embeddings, heads, losses) is ordinary candle and
//! its automatic differentiation. All parameters and gradients of a network live in one flat
//! buffer, which makes the optimiser a single pass and a checkpoint a copy. A predictor can also learn
//! through candle alone, on a GPU ([`device_forward`]).

pub mod adamw;
pub mod device_forward;
pub mod encoder_trainer;
pub mod estimate;
pub mod finetune;
pub mod forward;
pub mod init;
pub mod latent_cache;
pub mod latent_set;
pub mod learner;
pub mod leaves;
pub mod log;
pub mod norm;
pub mod objectives;
pub mod policy_trainer;
pub mod predictor_trainer;
pub mod recipe;
pub mod run;
pub mod schedule;
pub mod state;
pub mod tensorboard;
pub mod trainable;
pub mod trunk;
pub mod workers;

pub use adamw::{AdamW, AdamWOptions};
pub use device_forward::TrainingDevice;
pub use encoder_trainer::{EncoderBatch, EncoderTrainer};
pub use learner::Learner;
pub use objectives::{EncoderLosses, Objectives};
pub use predictor_trainer::{Losses, PredictorBatch, PredictorLossOptions, PredictorTrainer};
pub use schedule::WsdSchedule;

//! V-JEPA 2 encoder and action-conditioned predictor on candle: inference and checkpoints.
//!
//! Two paths compute the same numbers. [`encoder`] and [`ac_predictor`] are the reference on
//! candle: differentiable, on any device. [`cpu_encoder`] and [`rollout`] are the fast path on
//! our CPU [`kernels`], which [`WorldModel`] plans with; [`device_encoder`] and
//! [`device_rollout`] plan on candle's devices.

pub mod ac_predictor;
pub mod block;
pub mod checkpoint;
pub mod config;
pub mod cpu_encoder;
pub mod device;
pub mod device_encoder;
pub mod device_rollout;
pub mod encoder;
pub mod error;
pub mod goal_distance;
pub mod gradient;
pub mod latent_energy;
pub mod layout;
pub mod mask_predictor;
pub mod npz;
pub mod nuisance;
pub mod offline;
pub mod parameters;
pub mod policy;
pub mod rollout;
pub mod rope;
pub mod transform;
pub mod world_model;

pub use config::{ActionSpace, EncoderConfig, ModelConfig, PredictorConfig, RopeVariant, Stem};
pub use device::ComputeDevice;
pub use error::PredictorError;
pub use foresight_kernels as kernels;
pub use foresight_kernels::{Precision, Unit};
pub use latent_energy::LatentEnergy;
pub use rollout::Budget;
pub use world_model::{Latent, WorldModel};

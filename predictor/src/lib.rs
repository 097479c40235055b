//! V-JEPA 2 encoder and action-conditioned predictor: networks, checkpoints, image transform,
//! rollouts.
//!
//! [`encoder`] and [`ac_predictor`] are the networks on candle: the reference, differentiable, on
//! any device. [`WorldModel`] plans through a [`backend`]: our CPU [`kernels`], or candle on a GPU.

pub mod ac_predictor;
pub mod backend;
pub mod block;
pub mod checkpoint;
mod compute_device;
pub mod config;
pub mod device;
pub mod ego_motion;
pub mod encoder;
pub mod error;
pub mod goal_distance;
pub mod gradient;
pub mod latent_energy;
pub mod layout;
pub mod mask_predictor;
pub mod npz;
pub mod offline;
pub mod parameters;
pub mod policy;
pub mod rollout;
pub mod rope;
pub mod transform;
pub mod world_model;

pub use backend::Backend;
pub use compute_device::ComputeDevice;
pub use config::{ActionSpace, EncoderConfig, ModelConfig, PredictorConfig, RopeVariant, Stem};
pub use error::PredictorError;
pub use foresight_kernels as kernels;
pub use foresight_kernels::{InstructionSet, Precision};
pub use latent_energy::LatentEnergy;
pub use rollout::Budget;
pub use world_model::{Latent, WorldModel};

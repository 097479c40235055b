//! V-JEPA 2 encoder and action-conditioned predictor: networks, checkpoints, image transform,
//! rollouts.
//!
//! [`encoder`] and [`ac_predictor`] are the networks on candle: the reference, differentiable, on
//! any device. [`WorldModel`] plans through a [`backend`]: our CPU [`kernels`], or candle on a GPU.
//!
//! ```
//! use foresight_predictor::WorldModel;
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tabletop");
//! let model = WorldModel::load(folder.as_ref())?;
//! let pictures = [40, 200].map(|grey| image::RgbImage::from_pixel(64, 64, image::Rgb([grey; 3])));
//! let latents = model.encode(&[&pictures[0], &pictures[1]])?;
//! assert_eq!(latents[0].distance(&latents[0]), 0.0);
//! assert!(latents[0].distance(&latents[1]) > 0.0);
//! # Ok::<(), foresight_predictor::PredictorError>(())
//! ```

pub mod ac_predictor;
pub mod array_file;
pub mod backend;
pub mod block;
pub mod checkpoint;
mod clip_encoder;
pub mod compact;
mod compute_device;
pub mod config;
pub mod device;
pub mod ego_motion;
pub mod encoder;
pub mod error;
mod eyes;
pub mod goal_distance;
pub mod goal_head;
mod gradient;
mod latent_energy;
pub mod layout;
pub mod level_two;
pub mod mask_predictor;
pub mod npz;
pub mod offline;
pub mod parameters;
pub mod policy;
pub mod reference_encoder;
pub mod rollout;
pub mod rope;
pub mod side_network;
pub mod transform;
pub mod vjepa21_encoder;
mod windows;
mod world_model;
mod zip_file;

pub use backend::Backend;
pub use clip_encoder::{ClipEncoder, ClipEncoderOptions};
pub use compute_device::ComputeDevice;
pub use config::{
    ActionSpace, EncoderConfig, EncoderLevel, ModelConfig, PredictorConfig, RopeVariant, Stem,
    Vjepa21Options,
};
pub use error::{PredictorError, Result};
pub use foresight_kernels as kernels;
pub use foresight_kernels::{InstructionSet, Precision};
pub use latent_energy::LatentEnergy;
pub use level_two::LevelTwo;
pub use rollout::Budget;
pub use world_model::{Latent, WorldModel};

//! All integration tests of this crate, linked once.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod backend_conformance;
mod bad_checkpoints;
mod compute_device;
mod foreign_checkpoints;
mod goal_distance;
#[path = "../support/loud.rs"]
mod loud;
mod model_config;
#[path = "../../../datasets/tests/suite/mutate.rs"]
mod mutate;
mod npz_damage;
mod offline;
mod parity_cem;
mod parity_checkpoints;
mod parity_encoder;
mod parity_energy;
mod parity_lewm;
mod parity_mask_predictor;
mod parity_predictor;
mod parity_transforms;
mod parity_vjepa21_checkpoints;
mod parity_vjepa21_encoder;
mod plans;
mod rope;
#[path = "../support/mod.rs"]
mod support;
mod torch_layouts;
mod transform;

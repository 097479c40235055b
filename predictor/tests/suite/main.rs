//! All integration tests of this crate, linked once.

mod backend_conformance;
mod bad_checkpoints;
#[path = "../support/loud.rs"]
mod loud;
#[path = "../../../datasets/tests/suite/mutate.rs"]
mod mutate;
mod npz_damage;
mod parity_cem;
mod parity_checkpoints;
mod parity_encoder;
mod parity_energy;
mod parity_mask_predictor;
mod parity_predictor;
mod parity_transforms;
mod parity_vjepa21_encoder;
mod plans;
#[path = "../support/mod.rs"]
mod support;
mod torch_layouts;

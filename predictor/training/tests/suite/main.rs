//! All integration tests of this crate, linked once.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod adapters;
mod kernels_match_candle;
mod objectives;
mod parity_lewm;
mod parity_mask_training;
mod parity_masks;
mod parity_train;
#[path = "../../../tests/support/mod.rs"]
mod support;

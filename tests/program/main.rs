//! The program as a user calls it, without an arm.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod book;
mod bundled_model;
mod compact;
mod deep;
mod energy;
mod energy_ranks;
mod examples;
mod films;
mod finetune;
mod finetune_formats;
mod gate;
mod parity_droid_transform;
mod reports;
#[path = "../support/require.rs"]
mod require;
mod run_command;
mod runs_as_data;
mod sentences;
mod two_levels;
mod workers;
mod wrong_recipes;

//! The program as a user calls it, without an arm.

mod book;
mod bundled_model;
mod energy;
mod finetune;
mod finetune_formats;
mod parity_droid_transform;
mod reports;
mod run_command;

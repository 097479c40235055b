//! Fine-tuning a model's predictor.

pub mod ahead;
pub mod base;
pub mod card;
pub mod clips;
pub mod episodes;
pub mod memory;
pub mod origin;
pub mod processes;
pub mod report;
pub mod settings;
pub mod task;

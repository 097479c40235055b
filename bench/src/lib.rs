//! What `foresight bench` measures: how fast plans are made, how good they are for what they cost,
//! how fast clips are read.

mod bare_predictor;
pub mod clips;
pub mod decisions;
pub mod encode;
mod memory;
pub mod plan;
pub mod precision;
pub mod replay;
pub mod search;
mod timed;

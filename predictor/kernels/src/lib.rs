//! Matrix products and transformer blocks for the CPU.
//!
//! The blocks of `foresight-predictor` on candle are the reference these are tested against. They
//! stay in use wherever speed doesn't matter, on other devices, and under automatic
//! differentiation. This crate knows slices of numbers: no tensors, no files.
//!
//! For plans, forwards only, in f32 or bf16: `tile` multiplies on whatever vector unit there
//! is, [`packed`] is its safe interface, [`inference`] makes blocks of it, [`ceiling`] and
//! [`profile`] measure; [`modulated`] makes those that actions modulate. For training, f32, over the `gemm` crate: [`attention`]
//! and [`block`] with their backward passes. [`elementwise`] serves both.
//!
//! Results don't depend on the number of threads: work is cut by rows, every row's sums have one
//! order, and nothing is added up across threads.
//!
//! ```
//! use foresight_kernels::rope::{RopeTable, RopeVariant};
//!
//! // Where tokens stand: 2 frames of 3 × 4 patches.
//! let positions = RopeTable::grid(2, 3, 4);
//! assert_eq!(positions.len(), 24);
//! ```

pub mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx_detection;
mod approximations;
pub mod attention;
pub mod block;
mod block_parameters;
pub mod ceiling;
pub mod elementwise;
pub mod inference;
mod instruction_set;
pub mod matmul;
pub mod modulated;
mod number;
pub mod packed;
pub mod patches;
pub mod profile;
pub mod rope;
mod tile;

pub use block::{Saved, SharedGradients, Workspace};
pub use block_parameters::{
    BlockGradients, BlockParameters, BlockShape, BlockWeights, LayerParameters, NORM_EPS,
    PARAMETER_NAMES,
};
pub use gemm::Parallelism;
pub use instruction_set::{InstructionSet, Precision};
pub use number::Number;
pub use rope::{RopeTable, RopeVariant};
pub use tile::{Element, InitialSums, Tile};

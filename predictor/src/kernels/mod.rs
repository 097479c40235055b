//! Transformer blocks for the CPU in f32: the fast path of rollouts and training.
//!
//! candle's blocks ([`crate::block`]) are the reference these are tested against. They stay in
//! use wherever speed doesn't matter, on other devices, and under automatic differentiation.
//! Here a block is a handful of matrix products (the `gemm` crate) and fused element-wise
//! passes over one flat buffer, forwards and, for training, backwards.
//!
//! Results don't depend on the number of threads: work is cut by samples into pieces of fixed
//! size and every sum inside a piece has one order.

pub mod attention;
pub mod block;
pub mod elementwise;
pub mod infer;
pub mod matmul;
pub mod packed;
pub mod tile;

pub use block::{BlockGradients, BlockShape, BlockWeights, KeyValueCache, Saved, Workspace};
pub use gemm::Parallelism;
pub use tile::{Precision, Unit};

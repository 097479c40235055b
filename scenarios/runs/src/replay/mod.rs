//! Plays what was recorded again: a run, an episode, a file of poses.
//!
//! A [`Tape`] says where the arm was and, when known, what it was told. Tapes of simulated runs
//! and recordings also hold the scene and the limits they were made with: told the same actions,
//! the simulator gives the same poses and pictures, bit for bit. Other tapes are followed pose by
//! pose. Either way every action passes the same safety envelope, stream and guard as in `run`.

pub mod error;
pub mod follow;
mod lerobot;
pub mod outside;
pub mod pictures;
pub mod play;
pub mod read;
pub mod stage;
pub mod tape;

pub use error::{PoseError, Tolerance};
pub use play::{replay, Replay, ReplayOptions, ReplayedStep};
pub use read::{open, OpenOptions, PoseFrame};
pub use stage::Stage;
pub use tape::{Tape, TapeKind};

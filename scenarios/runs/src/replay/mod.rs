//! Plays what was recorded again: a run, an episode, a file of poses.
//!
//! A [`Recording`] says where the arm was and, when known, what it was told. Those of simulated runs
//! and demonstrations also hold the scene and the limits they were made with: told the same
//! actions, the simulator gives the same poses and pictures, bit for bit. Others are followed pose
//! by pose. Either way every action passes the same safety envelope, stream and guard as in `run`.

mod follow;
mod lerobot;
mod open;
mod options;
mod out_of_bounds;
mod play;
mod pose_error;
mod recording;
mod scene;

pub use open::open;
pub use options::{OpenOptions, PoseFrame};
pub use out_of_bounds::OutOfBoundsInterval;
pub use play::{replay, Place, Replay, ReplayOptions, ReplayedStep};
pub use pose_error::{PoseError, Tolerance};
pub use recording::{Recording, RecordingKind};
pub use scene::{ReplayScene, ReplayStart};

//! LeRobot's dataset format, version 3.
//!
//! | file | content |
//! |---|---|
//! | `meta/info.json` | rate, features (columns and cameras), where files lie |
//! | `meta/episodes/chunk-*/file-*.parquet` | a row for each episode: length, and its place in the other files |
//! | `meta/tasks.parquet`, `meta/stats.json` | task texts; statistics of every feature |
//! | `data/chunk-*/file-*.parquet` | a row for each frame: states, actions, times |
//! | `videos/<camera>/chunk-*/file-*.mp4` | frames of many episodes, one after the other |
//!
//! Columns are named as in `lerobot/droid_1.0.1`, which is what [`store::LeRobotStore`] reads and
//! [`writer::LeRobotWriter`] writes: `observation.state.cartesian_position` (6: x y z m, extrinsic
//! xyz Euler rad, base frame) and `observation.state.gripper_position` (1, closedness). Datasets of
//! other robots may name seven components of `observation.state` instead; see
//! [`features::PoseColumns`].

pub mod columns;
mod episodes;
pub mod features;
mod rows;
mod splits;
pub mod store;
mod summary;
mod table;
pub mod writer;

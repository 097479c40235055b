//! The program in front of arms: stock franka-node with franka-sim, and our own served simulator.
//! Everything here keeps real time, so nothing that only computes shares this process.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod franka;
mod franka_faults;
mod lab;
#[path = "../../robot/tests/proxy/mod.rs"]
mod proxy;
mod recording;
#[path = "../support/require.rs"]
mod require;
mod robot_command;

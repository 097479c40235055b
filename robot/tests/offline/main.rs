//! The envelope and the arm in virtual time: no network, no clock.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

#[path = "../common/mod.rs"]
mod common;
mod continuous;
mod envelope;
mod envelope_config;
mod envelope_guard;
mod frame;
mod gripper;
mod se3;
mod settle;
mod streamer;
mod virtual_arm;

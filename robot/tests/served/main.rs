//! The arm client against a served simulator, over loopback and in real time.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

#[path = "../common/mod.rs"]
mod common;
mod served_arm;
mod served_faults;
mod wire;

//! The arm client against a served simulator, over loopback and in real time.

#[path = "../common/mod.rs"]
mod common;
mod served_arm;
mod served_faults;
mod wire;

//! The envelope and the arm in virtual time: no network, no clock.

#[path = "../common/mod.rs"]
mod common;
mod envelope;
mod envelope_guard;
mod streamer;
mod virtual_arm;

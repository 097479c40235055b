//! The envelope and the arm in virtual time: no network, no clock.

#[path = "../common/mod.rs"]
mod common;
mod envelope_guard;
mod virtual_arm;

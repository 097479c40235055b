//! Mutual TLS. A process of its own: zenoh's threads are arranged once for a whole process
//! (`link::arrange_threads`), and before its first session.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use std::sync::{Mutex, MutexGuard, PoisonError};

mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod tls_link;

/// One test at a time: one floods a link, the other wants an arm within 2 mm.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

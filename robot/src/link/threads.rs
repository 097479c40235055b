//! zenoh's threads, arranged so that TLS links hold.
//!
//! zenoh reads and writes one TLS stream from two threads at once, each through an exclusive
//! reference to the same rustls connection (`zenoh-link-tls` 1.10, eclipse-zenoh/zenoh#2557).
//! While rustls decrypts a record it puts an error in place of its connection state; a write in
//! that moment reads the error and fails with `HandshakeNotComplete`, zenoh takes the link down,
//! and with it the lease. The more really runs at once, the sooner: on idle cores within seconds.
//!
//! The remedy that needs no changed zenoh is to let one thread do both. zenoh reads the number
//! and roles of its threads from the environment, once, when the first session opens. It holds
//! for each process that speaks TLS, franka-node and franka-cam included.

use std::borrow::Borrow;

use zenoh_runtime::{RuntimeParam, ZRuntime, ZENOH_RUNTIME_ENV};

/// The value of `ZENOH_RUNTIME` with which zenoh receives and sends on one thread.
pub const ONE_THREAD: &str = "(rx:(handover:tx))";

/// Makes zenoh receive and send on one thread, which TLS links need. An arrangement that the
/// environment already holds is left alone.
///
/// Call it first thing in `main`, before any session and while there is one thread: it sets a
/// variable of the environment.
pub fn arrange_threads() {
    if std::env::var_os(ZENOH_RUNTIME_ENV).is_none() {
        std::env::set_var(ZENOH_RUNTIME_ENV, ONE_THREAD);
    }
}

/// Whether zenoh receives and sends on one thread in this process. Asking settles it: zenoh
/// reads its arrangement now, if it has not yet.
pub(super) fn on_one_thread() -> bool {
    let at = |role: ZRuntime| -> (ZRuntime, usize) {
        let param: &RuntimeParam = role.borrow();
        let runs_on = param.handover.unwrap_or(role);
        let there: &RuntimeParam = runs_on.borrow();
        (runs_on, there.worker_threads)
    };
    let (receiving, sending) = (at(ZRuntime::RX), at(ZRuntime::TX));
    receiving == sending && sending.1 == 1
}

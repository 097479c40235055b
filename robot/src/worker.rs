//! A named thread that is told to stop, and waited for, when its owner lets go of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::arm::ArmResult;
use crate::link::link_error;

/// A running thread; dropping it stops the thread.
pub(crate) struct Worker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts `work`, which ends when the flag it is given is set.
    ///
    /// # Errors
    /// [`crate::ArmError::Link`] with `what` was being done when the thread can't be made.
    pub(crate) fn start(
        name: String,
        what: &str,
        work: impl FnOnce(&AtomicBool) + Send + 'static,
    ) -> ArmResult<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || work(&told))
            .map_err(|e| link_error(what, e))?;
        Ok(Worker {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

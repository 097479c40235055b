//! The next steps' data, made while the present step is computed.

use std::sync::mpsc::{sync_channel, Receiver};
use std::time::{Duration, Instant};

use anyhow::{anyhow, Result};

/// Steps that are ready before they are asked for, at most.
const STEPS_AHEAD: usize = 2;

/// Results of a function of the step number, in order, computed by a thread of its own.
pub(crate) struct Ahead<T> {
    ready: Receiver<Result<T>>,
    next: usize,
    waited: Duration,
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins with step `first`. The thread ends when this is dropped, or after an error.
    pub(crate) fn new(first: usize, make: impl Fn(usize) -> Result<T> + Send + 'static) -> Self {
        let (sender, ready) = sync_channel(STEPS_AHEAD);
        std::thread::spawn(move || {
            for step in first.. {
                let made = make(step);
                let failed = made.is_err();
                if sender.send(made).is_err() || failed {
                    return;
                }
            }
        });
        Ahead {
            ready,
            next: first,
            waited: Duration::ZERO,
        }
    }

    /// The step that [`Ahead::take`] gives next.
    pub(crate) fn next(&self) -> usize {
        self.next
    }

    /// The next step's result; waits until it is there.
    ///
    /// # Errors
    /// The function's, or when its thread is gone.
    pub(crate) fn take(&mut self) -> Result<T> {
        let started = Instant::now();
        let made = self.ready.recv();
        self.waited += started.elapsed();
        self.next += 1;
        made.map_err(|_| anyhow!("reading data failed inside the program; please report it"))?
    }

    /// How long [`Ahead::take`] has waited in all.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }
}

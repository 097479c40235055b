//! Decodes clips ahead of a trainer, in order.
//!
//! Threads take the next draws, decode them (each drives an `ffmpeg` of its own) and the trainer
//! gets them in the order of their numbers, whatever order they were finished in. How long it had
//! to wait is measured: a share near zero says that decoding keeps up.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clip_source::{ClipSource, TrainingClip};
use crate::error::DatasetError;
use crate::set::Unusable;

/// How clips are prefetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefetchOptions {
    /// Threads that decode.
    pub workers: usize,
    /// Clips decoded but not yet taken, at most: bounds the memory.
    pub ahead: usize,
    /// The first draw.
    pub first: u64,
    /// From one draw to the next: the number of processes that share the draws.
    pub stride: u64,
    /// What to do with clips that can't be read.
    pub unusable: Unusable,
}

impl Default for PrefetchOptions {
    /// All draws from 0, a thread a processor, two clips ahead for each.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        PrefetchOptions {
            workers,
            ahead: 2 * workers,
            first: 0,
            stride: 1,
            unusable: Unusable::Refuse,
        }
    }
}

/// Clips of a source, decoded ahead. Dropping it ends the threads.
pub struct Prefetch {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    options: PrefetchOptions,
    waited: Duration,
    skipped: Vec<(u64, String)>,
    in_a_row: usize,
    episodes: usize,
}

struct Shared {
    queue: Mutex<Queue>,
    /// A clip is finished.
    finished: Condvar,
    /// There is room for another, or it is time to end.
    room: Condvar,
}

struct Queue {
    /// Counts draws started.
    next: u64,
    /// Counts draws handed out.
    taken: u64,
    clips: BTreeMap<u64, Result<TrainingClip, DatasetError>>,
    ending: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prefetch {
    /// Starts decoding.
    pub fn new(source: Arc<dyn ClipSource>, options: PrefetchOptions) -> Self {
        let options = PrefetchOptions {
            workers: options.workers.max(1),
            ahead: options.ahead.max(1),
            stride: options.stride.max(1),
            ..options
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                next: 0,
                taken: 0,
                clips: BTreeMap::new(),
                ending: false,
            }),
            finished: Condvar::new(),
            room: Condvar::new(),
        });
        let episodes = source.episodes();
        let workers = (0..options.workers)
            .map(|_| {
                let (shared, source) = (Arc::clone(&shared), Arc::clone(&source));
                std::thread::spawn(move || work(&shared, source.as_ref(), options))
            })
            .collect();
        Prefetch {
            shared,
            workers,
            options,
            waited: Duration::ZERO,
            skipped: Vec::new(),
            in_a_row: 0,
            episodes,
        }
    }

    /// The next clip and its draw; waits until it is decoded.
    ///
    /// A run that is to be resumed after this clip goes on with `first` at the draw after it.
    ///
    /// # Errors
    /// The clip's error, naming the file. Where unusable clips are skipped, only a missing
    /// `ffmpeg`, or as many unusable clips in a row as there are episodes.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<(u64, TrainingClip), DatasetError> {
        loop {
            let (number, clip) = self.take();
            let draw = self.draw(number);
            match clip {
                Ok(clip) => {
                    self.in_a_row = 0;
                    return Ok((draw, clip));
                }
                Err(error)
                    if self.options.unusable == Unusable::Refuse
                        || matches!(error, DatasetError::Decoder(_))
                        || self.in_a_row >= self.episodes =>
                {
                    return Err(error);
                }
                Err(error) => {
                    self.in_a_row += 1;
                    self.skipped.push((draw, error.to_string()));
                }
            }
        }
    }

    /// How long [`Prefetch::next`] has waited for clips in all.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Draws that were left out because they can't be read, with reasons.
    pub fn skipped(&self) -> &[(u64, String)] {
        &self.skipped
    }

    fn draw(&self, number: u64) -> u64 {
        self.options.first + number * self.options.stride
    }

    fn take(&mut self) -> (u64, Result<TrainingClip, DatasetError>) {
        let begin = Instant::now();
        let mut queue = self.shared.lock();
        let number = queue.taken;
        let clip = loop {
            if let Some(clip) = queue.clips.remove(&number) {
                break clip;
            }
            queue = self
                .shared
                .finished
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        };
        queue.taken += 1;
        self.shared.room.notify_all();
        drop(queue);
        self.waited += begin.elapsed();
        (number, clip)
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.shared.lock().ending = true;
        self.shared.room.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has already said so; there is nothing left to end.
            let _ = worker.join();
        }
    }
}

fn work(shared: &Shared, source: &dyn ClipSource, options: PrefetchOptions) {
    loop {
        let number = {
            let mut queue = shared.lock();
            while !queue.ending && queue.next >= queue.taken + options.ahead as u64 {
                queue = shared
                    .room
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queue.ending {
                return;
            }
            queue.next += 1;
            queue.next - 1
        };
        let draw = options.first + number * options.stride;
        // A clip that never comes would leave the trainer waiting forever.
        let clip = catch_unwind(AssertUnwindSafe(|| source.clip(draw))).unwrap_or_else(|_| {
            Err(DatasetError::Mismatch(format!(
                "reading draw {draw} failed inside the program; please report it"
            )))
        });
        shared.lock().clips.insert(number, clip);
        shared.finished.notify_all();
    }
}

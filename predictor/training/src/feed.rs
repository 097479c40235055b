//! A training step's clips, read ahead by threads of their own.

use std::sync::Arc;

use anyhow::{Context, Result};
use foresight_predictor::PredictorError;
use rayon::ThreadPool;

use crate::ahead::Ahead;
use crate::latent_clips::{LatentClip, LatentClips};

/// Which of a step's clips this process takes.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Clips a step, over all processes.
    pub batch_size: usize,
    /// This process.
    pub rank: usize,
    /// Number of processes.
    pub size: usize,
    /// Clips at a time.
    pub micro_batch: usize,
}

impl Share {
    /// All of a step's clips, at once.
    pub fn whole(batch_size: usize) -> Self {
        Share {
            batch_size,
            rank: 0,
            size: 1,
            micro_batch: batch_size,
        }
    }

    /// The draws of a step: a function of the step's number alone.
    pub fn draws(&self, step: usize) -> Vec<u64> {
        let own = self.batch_size / self.size;
        let first = (step * self.batch_size + self.rank * own) as u64;
        (first..first + own as u64).collect()
    }
}

/// Threads that read and decode.
///
/// # Errors
/// When the system refuses them.
pub(crate) fn readers(threads: usize) -> Result<Arc<ThreadPool>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1));
    Ok(Arc::new(
        pool.build().context("starting the threads that read")?,
    ))
}

/// Something that is read for every step, ahead of it.
pub(crate) struct Feed<T> {
    readers: Arc<ThreadPool>,
    make: Arc<dyn Fn(usize) -> Result<T> + Send + Sync>,
    ahead: Option<Ahead<T>>,
}

impl<T: Send + 'static> Feed<T> {
    /// What `make` gives for a step's number, made by `readers`.
    pub(crate) fn new(
        readers: &Arc<ThreadPool>,
        make: impl Fn(usize) -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        Feed {
            readers: Arc::clone(readers),
            make: Arc::new(make),
            ahead: None,
        }
    }

    /// That of a step; waits until it is there.
    ///
    /// # Errors
    /// What couldn't be read.
    pub(crate) fn take(&mut self, step: usize) -> Result<T, PredictorError> {
        let ahead = match self.ahead.take() {
            Some(ahead) if ahead.next() == step => ahead,
            _ => {
                let (make, readers) = (Arc::clone(&self.make), Arc::clone(&self.readers));
                Ahead::new(step, move |step| readers.install(|| make(step)))
            }
        };
        self.ahead.insert(ahead).take().map_err(described)
    }

    /// Seconds spent waiting so far.
    pub(crate) fn waited_s(&self) -> f64 {
        let waited = self.ahead.as_ref().map(Ahead::waited);
        waited.unwrap_or_default().as_secs_f64()
    }
}

/// This process's clips of every step.
pub(crate) fn clip_feed(
    readers: &Arc<ThreadPool>,
    clips: &Arc<LatentClips>,
    share: Share,
) -> Feed<Vec<LatentClip>> {
    let clips = Arc::clone(clips);
    Feed::new(readers, move |step| clips.clips(&share.draws(step)))
}

/// An error as the training loop passes it on.
pub(crate) fn described(error: anyhow::Error) -> PredictorError {
    PredictorError::Model(format!("{error:#}"))
}

//! Fine-tuning as the training loop sees it.

use std::sync::Arc;

use crate::run::{Parts, Task};
use crate::{Learner, Losses, PredictorTrainer};
use anyhow::Result;
use foresight_predictor::PredictorError;
use rayon::ThreadPool;

use super::ahead::Ahead;
use super::clips::{LatentClip, LatentClips};

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
    /// The draws of a step: a function of the step's number alone.
    pub fn draws(&self, step: usize) -> Vec<u64> {
        let own = self.batch_size / self.size;
        let first = (step * self.batch_size + self.rank * own) as u64;
        (first..first + own as u64).collect()
    }
}

/// A predictor, its clips and the held-out ones.
pub struct Finetuning {
    trainer: PredictorTrainer,
    training: Arc<LatentClips>,
    held_out: LatentClips,
    /// Draws of the held-out clips.
    validation: Vec<u64>,
    share: Share,
    /// Threads that read.
    readers: Arc<ThreadPool>,
    ahead: Option<Ahead<Vec<LatentClip>>>,
}

impl Finetuning {
    /// Puts it together.
    pub fn new(
        trainer: PredictorTrainer,
        training: LatentClips,
        held_out: LatentClips,
        validation_clips: usize,
        share: Share,
        readers: ThreadPool,
    ) -> Self {
        Finetuning {
            trainer,
            training: Arc::new(training),
            held_out,
            validation: (0..validation_clips as u64).collect(),
            share,
            readers: Arc::new(readers),
            ahead: None,
        }
    }

    /// Number of clips that were left out so far.
    pub fn skipped(&self) -> usize {
        self.training.skipped().len() + self.held_out.skipped().len()
    }

    /// Ends the threads, keeps what was learned.
    pub fn into_trainer(self) -> PredictorTrainer {
        self.trainer
    }

    /// This process's clips of a step.
    fn clips(&mut self, step: usize) -> Result<Vec<LatentClip>> {
        let ahead = match self.ahead.take() {
            Some(ahead) if ahead.next() == step => ahead,
            _ => {
                let (clips, share) = (Arc::clone(&self.training), self.share);
                let readers = Arc::clone(&self.readers);
                Ahead::new(step, move |step| {
                    readers.install(|| clips.clips(&share.draws(step)))
                })
            }
        };
        self.ahead.insert(ahead).take()
    }
}

impl Task for Finetuning {
    fn learner(&mut self) -> &mut Learner {
        self.trainer.learner_mut()
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let clips = self.clips(step).map_err(described)?;
        self.trainer.learner().clear()?;
        let mut sum = NOTHING;
        for part in clips.chunks(self.share.micro_batch) {
            let share = part.len() as f64 / clips.len() as f64;
            let batch = self.training.batch(part)?;
            let (losses, _) = self.trainer.accumulate_gradients(&batch, share)?;
            add(&mut sum, &losses, share);
        }
        Ok(parts(&sum))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let mut sum = NOTHING;
        let (mut persistence, mut seen) = (0.0, 0);
        for draws in self.validation.chunks(self.share.micro_batch) {
            let clips = self.readers.install(|| self.held_out.clips(draws));
            let clips = clips.map_err(described)?;
            let losses = self.trainer.evaluate(&self.held_out.batch(&clips)?)?;
            add(&mut sum, &losses, clips.len() as f64);
            persistence += clips.iter().map(change).sum::<f64>();
            seen += clips.len();
        }
        let mean = |sum: f64| sum / seen.max(1) as f64;
        let mut parts = parts(&Losses {
            teacher_forced: mean(sum.teacher_forced),
            rollout: mean(sum.rollout),
            total: mean(sum.total),
        });
        parts.push(("persistence", mean(persistence)));
        Ok(parts)
    }

    fn waited_s(&self) -> f64 {
        let waited = self.ahead.as_ref().map(Ahead::waited);
        waited.unwrap_or_default().as_secs_f64()
    }
}

/// Mean L1 distance between consecutive latents of a clip: what predicting no change scores.
fn change(clip: &LatentClip) -> f64 {
    let frames = clip.states.len() / 7;
    let frame = clip.latents.len() / frames;
    let pairs = clip.latents.iter().zip(&clip.latents[frame..]);
    let sum: f64 = pairs.map(|(a, b)| f64::from((a - b).abs())).sum();
    sum / (clip.latents.len() - frame) as f64
}

const NOTHING: Losses = Losses {
    teacher_forced: 0.0,
    rollout: 0.0,
    total: 0.0,
};

fn add(sum: &mut Losses, losses: &Losses, weight: f64) {
    sum.teacher_forced += weight * losses.teacher_forced;
    sum.rollout += weight * losses.rollout;
    sum.total += weight * losses.total;
}

fn parts(losses: &Losses) -> Parts {
    vec![
        ("total", losses.total),
        ("teacher_forced", losses.teacher_forced),
        ("rollout", losses.rollout),
    ]
}

fn described(error: anyhow::Error) -> PredictorError {
    PredictorError::Model(format!("{error:#}"))
}

//! An action-conditioned predictor's training as the training loop sees it.

use std::sync::Arc;

use foresight_datasets::Draws;
use foresight_predictor::PredictorError;
use rayon::ThreadPool;

use crate::feed::{clip_feed, described, Feed, Share};
use crate::latent_clips::{LatentClip, LatentClips};
use crate::run::{Parts, TrainingTask};
use crate::{Losses, PredictorTrainer, TrainState};

/// A predictor, its clips and the held-out ones.
pub struct PredictorTask {
    trainer: PredictorTrainer,
    training: Arc<LatentClips>,
    held_out: LatentClips,
    /// Draws of the held-out clips.
    validation: Vec<u64>,
    micro_batch: usize,
    readers: Arc<ThreadPool>,
    feed: Feed<Vec<LatentClip>>,
}

impl PredictorTask {
    /// Puts it together. Validation looks at the first `validation_clips` draws of `held_out`, of
    /// clips at no more than there are.
    pub fn new(
        trainer: PredictorTrainer,
        training: LatentClips,
        held_out: LatentClips,
        validation_clips: usize,
        share: Share,
        readers: &Arc<ThreadPool>,
    ) -> Self {
        let most = match held_out.source().options().draws {
            Draws::Episode => usize::MAX,
            _ => held_out.source().epoch(),
        };
        let training = Arc::new(training);
        PredictorTask {
            trainer,
            feed: clip_feed(readers, &training, share),
            training,
            held_out,
            validation: (0..validation_clips.min(most) as u64).collect(),
            micro_batch: share.micro_batch,
            readers: Arc::clone(readers),
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
}

impl TrainingTask for PredictorTask {
    fn state(&mut self) -> &mut TrainState {
        self.trainer.state_mut()
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let clips = self.feed.take(step)?;
        self.trainer.state().clear()?;
        let mut sum = NOTHING;
        for part in clips.chunks(self.micro_batch) {
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
        for draws in self.validation.chunks(self.micro_batch) {
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
            whitened: mean(sum.whitened),
            total: mean(sum.total),
        });
        parts.push(("persistence", mean(persistence)));
        Ok(parts)
    }

    fn waited_s(&self) -> f64 {
        self.feed.waited_s()
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
    whitened: 0.0,
    total: 0.0,
};

fn add(sum: &mut Losses, losses: &Losses, weight: f64) {
    sum.teacher_forced += weight * losses.teacher_forced;
    sum.rollout += weight * losses.rollout;
    sum.whitened += weight * losses.whitened;
    sum.total += weight * losses.total;
}

fn parts(losses: &Losses) -> Parts {
    vec![
        ("total", losses.total),
        ("teacher_forced", losses.teacher_forced),
        ("rollout", losses.rollout),
        ("whitened", losses.whitened),
    ]
}

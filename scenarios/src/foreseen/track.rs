//! Episodes as latents: what a predictor is asked about, and what really came.

use foresight_datasets::metadata::BranchOf;
use foresight_datasets::{EpisodeStore, View};
use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::{Latent, WorldModel};
use image::RgbImage;
use rayon::prelude::*;

use crate::error::{RunError, RunResult};

/// States a second a predictor's steps stand for, as in the official training.
const STEPS_HZ: f64 = 4.0;
/// Pictures encoded at a time.
const BATCH: usize = 64;

/// One episode, encoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    /// Its index in the store.
    pub(super) episode: usize,
    /// What it shares with episodes that are not independent of it: the scene.
    pub(super) scene: u64,
    /// Where it leaves another.
    pub(super) branch: Option<BranchOf>,
    /// Number of each state's frame.
    pub(super) numbers: Vec<usize>,
    /// Latents, `T` of `[N·D]`.
    pub(super) latents: Vec<Vec<f32>>,
    /// Measured poses, `T`.
    pub(super) states: Vec<Pose>,
    /// Where the object was, m, and whether it was held, `T`; empty when nobody knows.
    pub(super) objects: Vec<([f64; 3], bool)>,
    /// The camera's pose at each state, `T`; empty when not recorded.
    pub(super) extrinsics: Vec<[f32; 6]>,
}

impl Track {
    /// Reads and encodes every episode of a dataset that has two states and more, left camera.
    ///
    /// # Errors
    /// Naming the file that can't be read; when the model can't encode.
    pub(super) fn all(
        model: &WorldModel,
        store: &dyn EpisodeStore,
        done: &(dyn Fn() + Sync),
    ) -> RunResult<Vec<Self>> {
        let read = (0..store.episodes().len()).into_par_iter().map(|episode| {
            let track = Track::read(model, store, episode);
            done();
            track
        });
        let tracks: RunResult<Vec<Self>> = read.collect();
        let mut tracks = tracks?;
        tracks.retain(|track| track.states.len() > 1);
        // Episodes of a scene one after another.
        tracks.sort_by_key(|track| (track.scene, track.branch));
        Ok(tracks)
    }

    fn read(model: &WorldModel, store: &dyn EpisodeStore, episode: usize) -> RunResult<Self> {
        let input = |e: foresight_datasets::DatasetError| RunError::Input(e.to_string());
        let view = View::default();
        let extras = store.extras(episode).map_err(input)?;
        let measured = store.proprioception(episode, &view).map_err(input)?;
        let stride = (store.episodes()[episode].rate_hz / STEPS_HZ)
            .round()
            .max(1.0) as usize;
        let count = measured.frames.min(measured.states.len());
        let numbers: Vec<usize> = (0..count).step_by(stride).collect();
        let frames = store.frames(episode, &view, &numbers).map_err(input)?;
        let images: Vec<RgbImage> = frames.images().collect();
        let mut latents = Vec::with_capacity(images.len());
        for batch in images.chunks(BATCH) {
            let encoded = model.encode(&batch.iter().collect::<Vec<_>>())?;
            latents.extend(encoded.into_iter().map(|latent| latent.values));
        }
        let truth = extras.trajectory.simulator;
        let object = |truth: &foresight_datasets::SimulatorTrack, at: usize| {
            let position = truth.object_position_m.get(at)?;
            Some((*position, *truth.held.get(at)?))
        };
        let objects: Option<Vec<_>> =
            truth.and_then(|truth| numbers.iter().map(|at| object(&truth, *at)).collect());
        let recording = extras.metadata.and_then(|metadata| metadata.foresight);
        let of_camera = |poses: Vec<[f64; 6]>| {
            let poses = numbers.iter().filter_map(|at| poses.get(*at));
            poses.map(|pose| pose.map(|v| v as f32)).collect()
        };
        Ok(Track {
            episode,
            scene: recording.as_ref().map_or(episode as u64, |r| r.seed),
            branch: recording.and_then(|r| r.branch_of),
            latents,
            states: numbers.iter().map(|at| measured.states[*at]).collect(),
            objects: objects.unwrap_or_default(),
            extrinsics: measured.extrinsics.map_or_else(Vec::new, of_camera),
            numbers,
        })
    }

    /// States, `T`.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }
}

/// Whoever says what comes after some actions.
pub(super) trait Foresees: Sync {
    /// The latents `[N·D]` after each of `steps` recorded actions from state `start` on.
    ///
    /// # Errors
    /// [`RunError::Imagination`].
    fn ahead(&self, track: &Track, start: usize, steps: usize) -> RunResult<Vec<Vec<f32>>>;
}

impl Foresees for WorldModel {
    fn ahead(&self, track: &Track, start: usize, steps: usize) -> RunResult<Vec<Vec<f32>>> {
        let mut actions = ActionSequences::zeros(1, steps);
        for (i, pair) in track.states[start..=start + steps].windows(2).enumerate() {
            let action = pair[0].action_to(&pair[1]).to_array().map(|v| v as f32);
            actions.action_mut(0, i).copy_from_slice(&action);
        }
        let context = Latent {
            values: track.latents[start].clone(),
            tokens: self.latent_shape()[0],
        };
        let camera = track.extrinsics.get(start).copied();
        let camera = camera.filter(|_| self.takes_extrinsics());
        let rollout = self.rollout(&context, &track.states[start], camera, &actions, 0)?;
        Ok(rollout.latents)
    }
}

/// Mean absolute difference of two latents: the L1 energy.
pub(super) fn l1(a: &[f32], b: &[f32]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum();
    sum / a.len().max(1) as f64
}

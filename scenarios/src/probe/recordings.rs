//! Recorded episodes as the probes read them: in memory, step by step.

use std::ops::Range;

use foresight_datasets::{DatasetError, EpisodeStore, FrameStack, Trajectory, View};
use rayon::prelude::*;

/// Episodes with their pictures.
pub struct Recordings {
    episodes: Vec<(FrameStack, Trajectory)>,
    /// Episode and state of every step.
    places: Vec<(usize, usize)>,
}

impl Recordings {
    /// Reads every episode of a dataset, its left camera.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    pub fn read(store: &dyn EpisodeStore) -> Result<Self, DatasetError> {
        let read = (0..store.episodes().len()).into_par_iter().map(|episode| {
            let trajectory = store.extras(episode)?.trajectory;
            let numbers: Vec<usize> = (0..trajectory.len()).collect();
            let frames = store.frames(episode, &View::default(), &numbers)?;
            Ok((frames, trajectory))
        });
        let episodes: Vec<(FrameStack, Trajectory)> = read.collect::<Result<_, DatasetError>>()?;
        let lengths = episodes.iter().map(|(_, trajectory)| trajectory.len());
        let places = lengths
            .enumerate()
            .flat_map(|(i, n)| (0..n).map(move |t| (i, t)));
        Ok(Recordings {
            places: places.collect(),
            episodes,
        })
    }

    /// Steps of all episodes.
    pub fn steps(&self) -> usize {
        self.places.len()
    }

    /// Each episode's steps.
    pub fn episodes(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut end = 0;
        self.episodes.iter().map(move |(_, trajectory)| {
            end += trajectory.len();
            end - trajectory.len()..end
        })
    }

    /// A step's picture, `[H, W, 3]` u8, with its width and height.
    pub(super) fn frame(&self, step: usize) -> (&[u8], [u32; 2]) {
        let (episode, at) = self.places[step];
        let frames = &self.episodes[episode].0;
        (frames.frame(at), [frames.width(), frames.height()])
    }

    /// A step's measured pose.
    pub(super) fn state(&self, step: usize) -> [f32; 7] {
        let (episode, at) = self.places[step];
        let pose = &self.episodes[episode].1.states[at];
        pose.to_array().map(|v| v as f32)
    }

    /// The action from a step to the next of its episode.
    pub(super) fn action(&self, step: usize) -> [f32; 7] {
        let (episode, at) = self.places[step];
        let states = &self.episodes[episode].1.states;
        let action = states[at].action_to(&states[at + 1]);
        action.to_array().map(|v| v as f32)
    }

    /// Where the object is, m, and whether it is held; where the simulator said so.
    pub(super) fn object(&self, step: usize) -> Option<([f32; 3], bool)> {
        let (episode, at) = self.places[step];
        let truth = self.episodes[episode].1.simulator.as_ref()?;
        let position = truth.object_position_m[at].map(|v| v as f32);
        Some((position, truth.held[at]))
    }
}

//! Clips: what a trainer asks for and what it gets.

use serde::{Deserialize, Serialize};

use crate::alignment::FRAME_TOLERANCE;
use crate::frames::FrameStack;
use crate::sampling::ClipShape;
use crate::store::OnBadEpisode;
use crate::view::View;

/// States a second of recordings that don't say when their states were taken: DROID's.
pub(crate) const ASSUMED_RATE_HZ: f64 = 15.0;

/// A training clip.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingClip {
    /// `[T, H, W, 3]` u8, as decoded; cropping and resizing is the trainer's.
    pub frames: FrameStack,
    /// Where it comes from, and its numbers.
    pub window: ClipWindow,
}

/// Where a clip lies, and its numbers: everything but the pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipWindow {
    /// The episode's index in its sampler.
    pub episode: usize,
    /// The episode's name in its dataset.
    pub path: String,
    /// The camera.
    pub view: View,
    /// Numbers of the frames in the episode, `[T]`; the first is where the clip starts.
    pub frame_numbers: Vec<usize>,
    /// Measured poses, `[T / tubelet, 7]`: x y z m, extrinsic xyz Euler rad, closedness; in the
    /// robot's base frame, or in the camera's where so configured.
    pub states: Vec<[f64; 7]>,
    /// Differences of consecutive states by the official formula, `[T / tubelet - 1, 7]`.
    pub actions: Vec<[f64; 7]>,
    /// The camera's pose in the base frame at each state, `[T / tubelet, 6]`: x y z m, extrinsic
    /// xyz Euler rad; `None` when not recorded.
    pub extrinsics: Option<Vec<[f64; 6]>>,
}

/// Which clip a draw is. Draws are numbered from 0; what a draw is depends on the seed and its
/// number alone.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by", deny_unknown_fields)]
pub enum Draws {
    /// Every episode once an epoch in a shuffled order; camera and start at random. Long and
    /// short episodes count alike, as in the official loader.
    #[default]
    Episode,
    /// Every clip there is once an epoch in a shuffled order; or, where some count more, as many
    /// with replacement. Long episodes count more than short ones.
    Clip {
        /// How often clips in which the gripper moves by more than 0.1 are drawn, relative to
        /// others. Needs no labels: every robot knows its gripper. 1: all alike.
        gripper_events: f32,
        /// Clips a step: what is left of an epoch when it doesn't fill a step is not drawn.
        batch: usize,
    },
    /// Any clip, each draw by itself.
    Any {
        /// Draws that share a generator.
        batch: usize,
    },
    /// Any clip's first frame and a later one of its episode, as a goal. The clip's frames and
    /// states are those two. Its actions are the first jump of the way from the one to the other, of at
    /// most [`ClipShape::jump_steps`], and what leads from keyframe to keyframe; their gripper closes, 1,
    /// opens, −1, or stays.
    Goal {
        /// Draws that share a generator.
        batch: usize,
        /// Steps to the goal, at most; at least 1.
        farthest: usize,
        /// Share of the draws whose goal is as late as that and the episode allow, 0 to 1; the others'
        /// is anywhere between.
        #[serde(default)]
        farthest_share: f32,
        /// How often goals before which the gripper moves are drawn, relative to others.
        #[serde(default = "alike")]
        gripper_events: f32,
    },
}

fn alike() -> f32 {
    1.0
}

/// How clips are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipOptions {
    /// Frames, rate and sampling.
    pub shape: ClipShape,
    /// Which clip a draw is.
    pub draws: Draws,
    /// Cameras; each draw takes one of them at random. The left exterior one by default.
    pub views: Vec<View>,
    /// Express states in the camera's frame instead of the robot's base
    /// (`camera_frame` of the official loader). Needs recorded extrinsics.
    pub transform_frame: bool,
    /// What to do with episodes that can't give such clips.
    pub on_bad_episode: OnBadEpisode,
    /// States a second of recordings without timestamps.
    pub assumed_rate_hz: f64,
    /// Frames a video may have more or fewer than there are states; see [`crate::alignment`].
    pub frame_tolerance: usize,
    /// Decides every draw.
    pub seed: u64,
}

impl Default for ClipOptions {
    fn default() -> Self {
        ClipOptions {
            shape: ClipShape::default(),
            draws: Draws::default(),
            views: vec![View::default()],
            transform_frame: false,
            on_bad_episode: OnBadEpisode::Refuse,
            assumed_rate_hz: ASSUMED_RATE_HZ,
            frame_tolerance: FRAME_TOLERANCE,
            seed: 239,
        }
    }
}

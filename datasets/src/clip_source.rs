//! Training clips by number: the n-th draw of a seed is always the same clip.
//!
//! A trainer asks for draws 0, 1, 2 …; what a draw is depends on the seed and its number alone,
//! not on what was drawn before or by how many threads. A resumed run that goes on at draw n
//! therefore sees the data it would have seen, and several machines can share the draws between
//! them.
//!
//! ```no_run
//! use foresight_datasets::{store, ClipOptions, ClipSource, EpisodeClips};
//!
//! let data = store::open("droid/index.json".as_ref())?;
//! let clips = EpisodeClips::new(data, ClipOptions::default())?;
//! for (episode, reason) in clips.skipped() {
//!     eprintln!("{episode} is left out: {reason}");
//! }
//! let clip = clips.clip(0)?;
//! assert_eq!(clip.frames.len(), 8);
//! assert_eq!((clip.window.states.len(), clip.window.actions.len()), (8, 7));
//! # Ok::<(), foresight_datasets::DatasetError>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::frames::FrameStack;
use crate::pairing::FRAME_TOLERANCE;
use crate::sampling::ClipShape;
use crate::set::Unusable;
use crate::view::View;

pub use crate::episode_clips::EpisodeClips;

/// States a second of recordings that don't say when their states were taken: DROID's.
pub const ASSUMED_RATE_HZ: f64 = 15.0;

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
    /// The episode's index in its source.
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

/// Clips by number.
pub trait ClipSource: Send + Sync {
    /// Number of episodes clips are drawn from. Each appears once in `episodes()` consecutive
    /// draws that start at a multiple of it.
    fn episodes(&self) -> usize;

    /// Name of an episode.
    fn name(&self, episode: usize) -> &str;

    /// The frames an episode's clips can start at, in one view.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    fn starts(&self, episode: usize, view: &View) -> Result<Vec<usize>, DatasetError>;

    /// The clip of an episode that starts at a given frame, one of [`ClipSource::starts`].
    ///
    /// # Errors
    /// When no clip starts there; naming the file that can't be read.
    fn window_at(
        &self,
        episode: usize,
        view: &View,
        start: usize,
    ) -> Result<ClipWindow, DatasetError>;

    /// The clip of a draw, without its pictures.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    fn window(&self, draw: u64) -> Result<ClipWindow, DatasetError>;

    /// A clip's pictures, `[T, H, W, 3]`.
    ///
    /// # Errors
    /// Naming the file that can't be decoded.
    fn frames(&self, window: &ClipWindow) -> Result<FrameStack, DatasetError>;

    /// The clip of a draw.
    ///
    /// # Errors
    /// Naming the file that can't be read. A clip is never replaced by another.
    fn clip(&self, draw: u64) -> Result<TrainingClip, DatasetError> {
        let window = self.window(draw)?;
        Ok(TrainingClip {
            frames: self.frames(&window)?,
            window,
        })
    }
}

/// How clips are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipOptions {
    /// Frames, rate and sampling.
    pub shape: ClipShape,
    /// Cameras; each draw takes one of them at random. The left exterior one by default.
    pub views: Vec<View>,
    /// Express states in the camera's frame instead of the robot's base
    /// (`camera_frame` of the official loader). Needs recorded extrinsics.
    pub transform_frame: bool,
    /// What to do with episodes that can't give such clips.
    pub unusable: Unusable,
    /// States a second of recordings without timestamps.
    pub assumed_rate_hz: f64,
    /// Frames a video may have more or fewer than there are states; see [`crate::pairing`].
    pub frame_tolerance: usize,
    /// Decides every draw.
    pub seed: u64,
}

impl Default for ClipOptions {
    fn default() -> Self {
        ClipOptions {
            shape: ClipShape::default(),
            views: vec![View::default()],
            transform_frame: false,
            unusable: Unusable::Refuse,
            assumed_rate_hz: ASSUMED_RATE_HZ,
            frame_tolerance: FRAME_TOLERANCE,
            seed: 239,
        }
    }
}

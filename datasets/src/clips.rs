//! Training windows: consecutive steps of one episode, drawn in a seeded order.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::DatasetError;
use crate::set::EpisodeSet;

/// A window of consecutive steps, copied out of an [`EpisodeSet`].
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// `[T, H, W, 3]` u8.
    pub frames: Vec<u8>,
    /// Measured poses, `[T, 7]`.
    pub states: Vec<[f32; 7]>,
    /// Realised actions between them, `[T - 1, 7]`.
    pub actions: Vec<[f32; 7]>,
    /// How much the window counts, 1 by default.
    pub weight: f32,
}

/// Where a window lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Index of the episode in its set.
    pub episode: usize,
    /// First step, in the set's arrays.
    pub start: usize,
}

/// How often windows are drawn, relative to a plain one.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowWeights {
    /// Every window once an epoch.
    Uniform,
    /// Windows in which the gripper moves by more than 0.1 count `factor` times. Needs no
    /// labels: every robot knows its gripper.
    GripperEvents {
        /// Weight of such a window.
        factor: f32,
    },
    /// By the simulator's truth: object labels.
    SimulatorState {
        /// Weight when the object moves by more than 5 mm.
        object_motion: f32,
        /// Weight when the object is grasped or released.
        grasp_event: f32,
    },
    /// One weight a step (`[N]`), e.g. from a model's residual; a window has its steps' maximum.
    PerStep(Vec<f32>),
}

/// Gripper movement that counts as an event, closedness.
const GRIPPER_EVENT: f32 = 0.1;
/// Object movement that counts as moved, m.
const OBJECT_MOVED_M: f32 = 0.005;

/// Draws windows of `T` consecutive steps.
#[derive(Debug, Clone)]
pub struct ClipSampler {
    windows: Vec<Window>,
    /// Running sum of the weights; empty when all are equal.
    cumulative: Vec<f64>,
    weights: Vec<f32>,
    length: usize,
    seed: u64,
}

impl ClipSampler {
    /// A sampler of windows of `length` steps.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when no episode is long enough, or weights are not one a step
    /// or not finite and non-negative with a positive sum.
    pub fn new(
        set: &EpisodeSet,
        length: usize,
        weights: &WindowWeights,
        seed: u64,
    ) -> Result<Self, DatasetError> {
        let windows: Vec<Window> = set
            .episodes()
            .iter()
            .enumerate()
            .flat_map(|(episode, span)| {
                let ends = (span.steps.end + 1).saturating_sub(length.max(1));
                (span.steps.start..ends).map(move |start| Window { episode, start })
            })
            .collect();
        if windows.is_empty() || length == 0 {
            let longest = set.episodes().iter().map(|e| e.steps.len()).max();
            return Err(DatasetError::Mismatch(format!(
                "no episode has {length} steps for a clip; the longest has {}",
                longest.unwrap_or(0)
            )));
        }
        if let WindowWeights::PerStep(values) = weights {
            if values.len() != set.steps() || values.iter().any(|w| !w.is_finite() || *w < 0.0) {
                return Err(DatasetError::Mismatch(format!(
                    "window weights must be one finite number ≥ 0 for each of {} steps",
                    set.steps()
                )));
            }
        }
        let window_weights: Vec<f32> = windows
            .iter()
            .map(|w| window_weight(set, w.start, length, weights))
            .collect();
        let mut sum = 0.0;
        let cumulative: Vec<f64> = match weights {
            WindowWeights::Uniform => Vec::new(),
            _ => window_weights
                .iter()
                .map(|w| {
                    sum += f64::from(*w);
                    sum
                })
                .collect(),
        };
        if !cumulative.is_empty() && sum <= 0.0 {
            return Err(DatasetError::Mismatch(
                "all window weights are zero".to_owned(),
            ));
        }
        Ok(ClipSampler {
            windows,
            cumulative,
            weights: window_weights,
            length,
            seed,
        })
    }

    /// Number of different windows, and of windows in an epoch.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether there is no window; never true of a sampler that was made.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Steps of a window, `T`.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The windows of one epoch, in order: a permutation of all when weights are uniform, else
    /// as many draws with replacement. A pure function of seed and epoch.
    pub fn epoch(&self, epoch: u64) -> Vec<Window> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch);
        if self.cumulative.is_empty() {
            let mut windows = self.windows.clone();
            windows.shuffle(&mut rng);
            return windows;
        }
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        (0..self.windows.len())
            .map(|_| {
                let at = rng.random_range(0.0..total);
                self.windows[self.cumulative.partition_point(|sum| *sum <= at)]
            })
            .collect()
    }

    /// Copies a window's contents.
    pub fn clip(&self, set: &EpisodeSet, window: Window) -> Clip {
        let steps = window.start..window.start + self.length;
        let index = self
            .windows
            .binary_search_by_key(&window.start, |w| w.start);
        Clip {
            frames: set.frames_of(steps.clone()).to_vec(),
            states: set.states()[steps.clone()].to_vec(),
            actions: set.actions()[steps.start..steps.end - 1].to_vec(),
            weight: index.map_or(1.0, |i| self.weights[i]),
        }
    }
}

fn window_weight(set: &EpisodeSet, start: usize, length: usize, weights: &WindowWeights) -> f32 {
    let steps = start..start + length;
    match weights {
        WindowWeights::Uniform => 1.0,
        WindowWeights::GripperEvents { factor } => {
            let moves = set.actions()[start..start + length - 1]
                .iter()
                .any(|action| action[6].abs() > GRIPPER_EVENT);
            if moves {
                *factor
            } else {
                1.0
            }
        }
        WindowWeights::SimulatorState {
            object_motion,
            grasp_event,
        } => {
            let objects = &set.objects()[steps];
            let changed = objects.windows(2).any(|pair| pair[0].held != pair[1].held);
            let moved = objects.windows(2).any(|pair| {
                let (a, b) = (pair[0].position_m, pair[1].position_m);
                let squared: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
                squared.sqrt() > OBJECT_MOVED_M
            });
            let mut weight = 1.0_f32;
            if moved {
                weight = weight.max(*object_motion);
            }
            if changed {
                weight = weight.max(*grasp_event);
            }
            weight
        }
        WindowWeights::PerStep(values) => values[steps].iter().copied().fold(0.0, f32::max),
    }
}

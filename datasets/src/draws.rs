//! Which clip a draw is: the clips there are, and the orders they are drawn in.
//!
//! Draws come in groups with a generator of their own each, stream `g` of the seed's: a group is
//! an epoch, or a training step where every draw stands by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::clips::Draws;
use crate::error::{DatasetError, Result};

/// Gripper movement that counts as an event, closedness.
pub(crate) const GRIPPER_EVENT: f32 = 0.1;
/// Keeps the epochs' orders of episodes apart from the draws' starts.
const ORDER: u64 = 0x6f72_6465_7200;

/// A place where a clip starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClipStart {
    /// Index of the episode in its sampler.
    pub episode: u32,
    /// Index of the view in the options.
    pub view: u16,
    /// Frame.
    pub frame: u32,
    /// Frames of the episode behind that one.
    pub left: u32,
    /// Whether the gripper moves in the clip.
    pub event: bool,
}

/// What a draw came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// An episode; view and start are the draw's own.
    Episode(usize),
    /// A clip.
    Clip(ClipStart),
    /// A clip's first frame, and a goal so many steps later.
    Goal(ClipStart, usize),
}

/// One group of draws.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// Indices of episodes or clips.
    order: Vec<u32>,
    /// Steps to the goals.
    goals: Vec<u32>,
    /// What the generator gives next.
    next: u64,
}

/// The clips of a dataset, and the orders last asked for.
#[derive(Debug)]
pub(crate) struct Table {
    draws: Draws,
    seed: u64,
    episodes: usize,
    /// Every start in the order of episodes and frames; empty when draws are of episodes.
    starts: Vec<ClipStart>,
    /// How often each start is drawn, relative to the others; empty: all alike.
    emphasis: Vec<f32>,
    /// Index of the start of each state of all episodes; `None` where no clip starts.
    states: Vec<Option<u32>>,
    groups: Mutex<HashMap<u64, Arc<Group>>>,
}

impl Table {
    /// `recordings` are the states and the starts of every episode's every view; none where draws
    /// are of episodes.
    ///
    /// # Errors
    /// When weights or sizes are impossible, or no clip starts anywhere.
    pub(crate) fn new(
        draws: Draws,
        seed: u64,
        episodes: usize,
        recordings: Vec<(usize, Vec<ClipStart>)>,
    ) -> Result<Self> {
        let wrong = |what: &str| Err(DatasetError::Mismatch(what.to_owned()));
        match draws {
            Draws::Clip { batch: 0, .. }
            | Draws::Any { batch: 0 }
            | Draws::Goal { batch: 0, .. } => {
                return wrong("the clips of a step (batch) must be at least 1")
            }
            Draws::Clip { gripper_events, .. } | Draws::Goal { gripper_events, .. }
                if !(gripper_events.is_finite() && gripper_events > 0.0) =>
            {
                return wrong("gripper_events must be a number above 0")
            }
            Draws::Goal { farthest_share, .. } if !(0.0..=1.0).contains(&farthest_share) => {
                return wrong("the share of the farthest goals must be from 0 to 1")
            }
            Draws::Goal { farthest: 0, .. } => {
                return wrong("the steps to the farthest goal must be at least 1")
            }
            Draws::Episode => {}
            _ if recordings.iter().all(|(_, starts)| starts.is_empty()) => {
                return wrong("no episode is long enough for a clip")
            }
            _ => {}
        }
        let (mut starts, mut states) = (Vec::new(), Vec::new());
        for (length, of_recording) in recordings {
            let first = states.len();
            states.resize(first + length, None);
            for start in of_recording {
                states[first + start.frame as usize] = Some(starts.len() as u32);
                starts.push(start);
            }
        }
        Ok(Table {
            draws,
            seed,
            episodes,
            starts,
            emphasis: Vec::new(),
            states,
            groups: Mutex::default(),
        })
    }

    /// Sets how often each start is drawn.
    ///
    /// # Errors
    /// When the weights don't fit the starts.
    pub(crate) fn emphasise(&mut self, weights: Vec<f32>) -> Result<()> {
        let possible = |weight: &f32| weight.is_finite() && *weight > 0.0;
        if !matches!(self.draws, Draws::Clip { .. })
            || weights.len() != self.starts.len()
            || !weights.iter().all(possible)
        {
            return Err(DatasetError::Mismatch(format!(
                "{} weights, each a number above 0, are needed for {} clips, not {}",
                self.starts.len(),
                self.starts.len(),
                weights.len()
            )));
        }
        self.emphasis = weights;
        self.groups = Mutex::default();
        Ok(())
    }

    /// Draws of a group.
    pub(crate) fn group_size(&self) -> usize {
        match self.draws {
            Draws::Episode => self.episodes,
            Draws::Clip { batch, .. } => match self.starts.len() / batch * batch {
                0 => self.starts.len(),
                whole => whole,
            },
            Draws::Any { batch } | Draws::Goal { batch, .. } => batch,
        }
    }

    /// States of all recordings.
    pub(crate) fn states(&self) -> usize {
        self.states.len()
    }

    pub(crate) fn drawn(&self, draw: u64) -> Drawn {
        let size = self.group_size() as u64;
        let (group, at) = (self.group(draw / size), (draw % size) as usize);
        let number = group.order[at] as usize;
        match self.draws {
            Draws::Episode => Drawn::Episode(number),
            Draws::Goal { .. } => Drawn::Goal(self.starts[number], group.goals[at] as usize),
            _ => Drawn::Clip(self.starts[number]),
        }
    }

    /// What a group's generator gives after its draws: for whatever else is random in them.
    pub(crate) fn after(&self, group: u64) -> u64 {
        self.group(group).next
    }

    /// The starts of `count` states, evenly spaced over all; those where no clip starts left out.
    pub(crate) fn spaced(&self, count: usize) -> Vec<ClipStart> {
        let count = count.min(self.states.len());
        let at = (0..count).filter_map(|i| self.states[i * self.states.len() / count]);
        at.map(|start| self.starts[start as usize]).collect()
    }

    /// Whether the gripper moves in one of the `steps` after the start of that number.
    fn moves_before(&self, number: usize, steps: usize) -> bool {
        let first = self.starts[number];
        let after = self.starts[number..].iter();
        let mut inside = after.take_while(|start| {
            (start.episode, start.view) == (first.episode, first.view)
                && start.frame < first.frame + steps as u32
        });
        inside.any(|start| start.event)
    }

    fn group(&self, number: u64) -> Arc<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(&number) {
            return Arc::clone(group);
        }
        // Prefetching reaches a few groups ahead, not further.
        groups.retain(|known, _| known.abs_diff(number) <= 8);
        let group = Arc::new(self.make(number));
        groups.insert(number, Arc::clone(&group));
        group
    }

    fn make(&self, number: u64) -> Group {
        let salt = match self.draws {
            Draws::Episode => ORDER,
            _ => 0,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ salt);
        rng.set_stream(number);
        let (mut order, mut goals) = (Vec::new(), Vec::new());
        let shuffled = |count: usize, rng: &mut ChaCha8Rng| {
            let mut order: Vec<u32> = (0..count as u32).collect();
            order.shuffle(rng);
            order
        };
        match self.draws {
            Draws::Episode => order = shuffled(self.episodes, &mut rng),
            Draws::Clip { gripper_events, .. }
                if gripper_events == 1.0 && self.emphasis.is_empty() =>
            {
                order = shuffled(self.starts.len(), &mut rng);
            }
            Draws::Clip { gripper_events, .. } => {
                let mut sum = 0.0;
                let weights = self.starts.iter().enumerate().map(|(at, start)| {
                    let event = if start.event { gripper_events } else { 1.0 };
                    event * self.emphasis.get(at).copied().unwrap_or(1.0)
                });
                let cumulative: Vec<f64> = weights
                    .map(|weight| {
                        sum += f64::from(weight);
                        sum
                    })
                    .collect();
                order.extend((0..self.starts.len()).map(|_| {
                    let at = rng.random_range(0.0..sum);
                    cumulative.partition_point(|sum| *sum <= at) as u32
                }));
            }
            Draws::Any { batch } => {
                while order.len() < batch {
                    let state = rng.random_range(0..self.states.len());
                    order.extend(self.states[state]);
                }
            }
            Draws::Goal {
                batch,
                farthest,
                farthest_share,
                gripper_events,
            } => {
                // The rarer kind is drawn whenever it comes up, the other in proportion.
                let [calm, moving] = [1.0 / gripper_events.max(1.0), gripper_events.min(1.0)];
                while order.len() < batch {
                    let number = rng.random_range(0..self.starts.len());
                    let left = self.starts[number].left as usize;
                    let most = left.min(farthest);
                    let least = match farthest_share > 0.0 && rng.random::<f32>() < farthest_share {
                        true => most,
                        false => 1,
                    };
                    let steps = rng.random_range(least..=most);
                    if gripper_events != 1.0 {
                        let kept = if self.moves_before(number, steps) {
                            moving
                        } else {
                            calm
                        };
                        if rng.random::<f32>() >= kept {
                            continue;
                        }
                    }
                    order.push(number as u32);
                    goals.push(steps as u32);
                }
            }
        }
        Group {
            order,
            goals,
            next: rng.random(),
        }
    }
}

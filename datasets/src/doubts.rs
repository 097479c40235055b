//! What is doubtful about a dataset's poses: units, and what its gripper's numbers mean.
//!
//! Nothing in a file says that an angle is in radians. What no arm can do gives other units away;
//! it is said, not refused, for a base frame may lie far from an arm.

use foresight_planner::{pose_units, Pose};

use crate::store::EpisodeStore;

/// Closedness from which on a gripper counts as closed.
const CLOSED: f64 = 0.8;
/// Share of episodes that begin closed, above which closed is asked about.
const MOST: f64 = 0.9;
/// Largest opening of a hand of an arm of this size, m.
const WIDEST_M: f64 = 0.12;

/// What was seen of a dataset's poses.
#[derive(Debug, Clone, Default)]
pub struct Doubts {
    episodes: usize,
    begin_closed: usize,
    /// Whose pose never changes.
    still: usize,
    /// Least and largest closedness.
    gripper: Option<[f64; 2]>,
    doubtful: usize,
    /// The first doubtful episode, and what is doubtful.
    first: Option<(String, String)>,
}

impl Doubts {
    /// What is doubtful about some of a store's episodes, at most `most` evenly spaced ones;
    /// those that can't be read are passed over.
    pub fn of(store: &dyn EpisodeStore, most: usize) -> Self {
        let count = store.episodes().len();
        let mut doubts = Doubts::default();
        for episode in (0..count).step_by(count.div_ceil(most.max(1)).max(1)) {
            if let Ok(extras) = store.extras(episode) {
                doubts.look(&store.episodes()[episode].path, &extras.trajectory.states);
            }
        }
        doubts
    }

    /// Looks at an episode's states.
    pub fn look(&mut self, path: &str, states: &[Pose]) {
        let Some(first) = states.first() else {
            return;
        };
        self.episodes += 1;
        self.begin_closed += usize::from(first.gripper > CLOSED);
        self.still += usize::from(states.iter().all(|pose| pose == first));
        // The farthest position, the largest angle, the gripper farthest from half closed.
        let mut worst = first.to_array();
        let far = |p: &[f64; 7]| p[..3].iter().map(|v| v * v).sum::<f64>();
        let [mut least, mut most] = self.gripper.unwrap_or([first.gripper; 2]);
        for pose in states.iter().map(Pose::to_array) {
            if far(&pose) > far(&worst) {
                worst[..3].copy_from_slice(&pose[..3]);
            }
            for k in 3..6 {
                if pose[k].abs() > worst[k].abs() {
                    worst[k] = pose[k];
                }
            }
            if (pose[6] - 0.5).abs() > (worst[6] - 0.5).abs() {
                worst[6] = pose[6];
            }
            (least, most) = (least.min(pose[6]), most.max(pose[6]));
        }
        self.gripper = Some([least, most]);
        if let Some(doubt) = pose_units::doubt(&worst) {
            self.doubtful += 1;
            self.first.get_or_insert((path.to_owned(), doubt));
        }
    }

    /// Adds what was seen of other episodes.
    pub(crate) fn join(&mut self, other: Doubts) {
        self.episodes += other.episodes;
        self.begin_closed += other.begin_closed;
        self.still += other.still;
        self.doubtful += other.doubtful;
        if let (Some([a, b]), Some([c, d])) = (self.gripper, other.gripper) {
            self.gripper = Some([a.min(c), b.max(d)]);
        }
        self.gripper = self.gripper.or(other.gripper);
        self.first = self.first.take().or(other.first);
    }

    /// What is doubtful, in words for whoever recorded it; empty when nothing is.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some((path, doubt)) = &self.first {
            words.push(format!(
                "{} of {} episodes have poses that can't be in metres, radians and closedness \
                 from 0 (open) to 1 (closed); {path}: {doubt}",
                self.doubtful, self.episodes
            ));
        }
        if self.episodes > 0 && self.still == self.episodes {
            words.push(format!(
                "no pose of {} episodes ever changes: perhaps their columns were made and never filled",
                self.episodes
            ));
        }
        if self.begin_closed as f64 > MOST * self.episodes as f64 {
            words.push(format!(
                "{} of {} episodes begin with a closed gripper (above {CLOSED}): perhaps 1 means \
                 open in this dataset, where 0 is open and 1 is closed here; if so, store 1 - gripper",
                self.begin_closed, self.episodes
            ));
        }
        match self.gripper {
            Some([least, most]) if least >= 0.0 && most <= WIDEST_M && most - least > 0.01 => {
                words.push(format!(
                    "the gripper lies between {least:.4} and {most:.4} everywhere: perhaps that \
                     is its opening in m, where 0 is open and 1 is closed here; if so, store \
                     1 - opening / largest opening"
                ));
            }
            _ => {}
        }
        words
    }
}

#[cfg(test)]
#[path = "../tests/unit/doubts.rs"]
mod tests;

//! Recorded frames to aim at: an index of a dataset's latents.
//!
//! What leads from here to the goal has often been recorded: an episode that was once much like what
//! is seen now and later much like the goal. The frames in between are waypoints, whether a model
//! foresees them or not. "Much like" has to mean where the objects are, not where the arm is: frames
//! are compared by the same weighed differences as goals are
//! ([`foresight_predictor::goal_distance`]), which count what the arm's own motion would not set
//! right.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use foresight_datasets::{jumps, EpisodeStore, View};
use foresight_planner::{Action, Pose};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeights};
use foresight_predictor::{Latent, WorldModel};
use image::RgbImage;
use rayon::prelude::*;

use crate::error::{RunError, RunResult};

/// Most frames of an index; of a larger dataset the first episodes are taken.
const MOST_FRAMES: usize = 200_000;
/// What a hand that is a metre away counts, in weighed L1 between latents: 5 cm as much as a third of
/// the way from a picture to an unlike one.
const PER_METRE: f64 = 2.0;
/// A segment is this many steps long at most.
const LONGEST_STEPS: usize = 30;
/// First waypoints of segments nearer together than this are one, m.
const SAME_WAYPOINT_M: f64 = 0.05;
/// The same for changes of closedness.
const SAME_GRIPPER: f64 = 0.3;
/// A segment that is less like the situation than the best one by this share counts 1/e of it.
const UNLIKE: f64 = 0.1;
/// Steps of a macro-action at most: recorded waypoints cost nothing, and the way there was clear.
const JUMP_STEPS: usize = 2;

/// Frames whose latents are compared between two looks at whether the others can be any nearer.
const LOOKED_AT: usize = 256;

/// A dataset's frames at the model's rate, as latents.
#[derive(Debug, Clone)]
pub struct Anchors {
    /// Where they come from, for people.
    pub origin: String,
    poses: Vec<Pose>,
    latents: Vec<Latent>,
    /// Each episode's frames.
    episodes: Vec<Range<usize>>,
}

/// How far every recorded frame is from a goal: measured once while it is pursued.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalIndex {
    /// For a segment that begins at each frame: the frame most like the goal that it may end at, and
    /// how unlike the goal that is.
    ends: Vec<(usize, f32)>,
}

/// A piece of a recorded episode, one frame or more, by numbers of frames in the index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Its first frame.
    pub from: usize,
    /// Its last frame.
    pub to: usize,
    /// How unlike its ends are to here and the goal.
    pub distance: f32,
}

impl Segment {
    fn order(&self, other: &Segment) -> Ordering {
        let nearer = self.distance.total_cmp(&other.distance);
        nearer.then(self.from.cmp(&other.from))
    }
}

impl Anchors {
    /// Indexes the left camera's frames of a dataset at the rate that `model` was trained at. What is
    /// known to have failed is nothing to aim at and left out.
    ///
    /// # Errors
    /// [`RunError::Input`] naming what can't be read, or when there is no frame.
    pub fn index(model: &WorldModel, dataset: &Path) -> RunResult<Self> {
        let wrong = |e: foresight_datasets::DatasetError| RunError::Input(format!("anchors: {e}"));
        let store = foresight_datasets::open(dataset).map_err(wrong)?;
        let fps = model.config().action_space.fps;
        let mut chosen = Vec::new();
        let mut frames = 0;
        for (episode, entry) in store.episodes().iter().enumerate() {
            if entry.success == Some(false) {
                continue;
            }
            let stride = (entry.rate_hz / fps).round().max(1.0) as usize;
            let numbers: Vec<usize> = (0..entry.length).step_by(stride).collect();
            frames += numbers.len();
            if frames > MOST_FRAMES {
                break;
            }
            chosen.push((episode, numbers));
        }
        let read = chosen
            .par_iter()
            .map(|(episode, numbers)| frames_of(model, store.as_ref(), *episode, numbers));
        let read: Vec<(Vec<Pose>, Vec<Latent>)> = read.collect::<RunResult<_>>()?;
        let mut anchors = Anchors {
            origin: format!("{} recorded episodes in {}", read.len(), dataset.display()),
            poses: Vec::new(),
            latents: Vec::new(),
            episodes: Vec::new(),
        };
        for (poses, latents) in read {
            let begin = anchors.poses.len();
            anchors.poses.extend(poses);
            anchors.latents.extend(latents);
            anchors.episodes.push(begin..anchors.poses.len());
        }
        if anchors.poses.is_empty() {
            return Err(RunError::Input(format!(
                "{} has no episode to aim at that has frames and isn't marked as failed; record some \
                 with `foresight record`",
                dataset.display()
            )));
        }
        Ok(anchors)
    }

    /// How far the recorded frames are from `goal`.
    pub fn towards(&self, goal: &Latent, weights: &GoalWeights) -> GoalIndex {
        let to_goal = GoalDistance::weighed(&goal.values, weights);
        let away: Vec<f32> = self
            .latents
            .par_iter()
            .map(|latent| to_goal.of(&latent.values))
            .collect();
        let end = |episode: &Range<usize>, from: usize| {
            let last = episode.end.min(from + LONGEST_STEPS + 1);
            let nearest = (from..last).min_by(|a, b| away[*a].total_cmp(&away[*b]));
            let to = nearest.unwrap_or(from);
            (to, away[to])
        };
        let episodes = self.episodes.iter();
        let ends = episodes.flat_map(|episode| episode.clone().map(move |from| end(episode, from)));
        GoalIndex {
            ends: ends.collect(),
        }
    }

    /// The `count` episodes' segments whose first frame is most like what is seen with the hand at
    /// `pose`, and whose last is most like the goal that `goal` was measured towards, best first; one
    /// an episode.
    pub fn segments(
        &self,
        seen: &Latent,
        pose: &Pose,
        goal: &GoalIndex,
        weights: &GoalWeights,
        count: usize,
    ) -> Vec<Segment> {
        let to_here = GoalDistance::weighed(&seen.values, weights);
        // What is known without looking at latents bounds what looking can give: most frames are too
        // far away already by where the hand is.
        let least = |(at, (_, away)): (usize, &(usize, f32))| {
            let away_m = self.poses[at].distance_m(pose);
            let gripper = (self.poses[at].gripper - pose.gripper).abs();
            (at, away + (PER_METRE * away_m + gripper) as f32)
        };
        let mut frames: Vec<(usize, f32)> = goal.ends.iter().enumerate().map(least).collect();
        frames.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let mut best: BTreeMap<usize, Segment> = BTreeMap::new();
        let mut farthest = f32::INFINITY;
        for some in frames.chunks(LOOKED_AT) {
            if some[0].1 > farthest {
                break;
            }
            let segment = |(from, least): &(usize, f32)| Segment {
                from: *from,
                to: goal.ends[*from].0,
                distance: least + to_here.of(&self.latents[*from].values),
            };
            let segments: Vec<Segment> = some.par_iter().map(segment).collect();
            for segment in segments {
                let episode = self.episodes.partition_point(|e| e.end <= segment.from);
                let known = best.entry(episode).or_insert(segment);
                if segment.order(known).is_lt() {
                    *known = segment;
                }
            }
            let mut nearest: Vec<f32> = best.values().map(|s| s.distance).collect();
            nearest.sort_by(f32::total_cmp);
            farthest = nearest.get(count.max(1) - 1).copied().unwrap_or(farthest);
        }
        let mut segments: Vec<Segment> = best.into_values().collect();
        segments.sort_by(Segment::order);
        segments.truncate(count);
        segments
    }

    /// Numbers of the frames that a segment's jumps land at.
    fn landings(&self, segment: &Segment) -> Vec<usize> {
        let states = &self.poses[segment.from..=segment.to];
        let way = jumps::way(states, 0, states.len() - 1, JUMP_STEPS);
        way.into_iter().map(|at| segment.from + at).collect()
    }

    /// The macro-actions that take a hand at `pose` along a segment's waypoints.
    pub fn way(&self, segment: &Segment, pose: &Pose) -> Vec<Action> {
        let mut here = *pose;
        let landings = self.landings(segment).into_iter();
        let action = |at: usize| {
            let mut action = here.action_to(&self.poses[at]);
            action.rotation_rad = [0.0; 3];
            here = here.apply(&action);
            action
        };
        landings.map(action).collect()
    }

    /// The first waypoint that segments, best first, lead a hand at `pose` to: the mean of those that
    /// do the same as the best one, the more like the situation the more they count. One recording's
    /// objects lie a little beside where they lie now, the mean of several much less.
    ///
    /// Returns its latent and the macro-actions from there on, the best segment's but for the first;
    /// none where the best one ends where it begins, so that what is seen is like the goal. `None`
    /// without segments.
    pub fn waypoint(&self, segments: &[Segment], pose: &Pose) -> Option<(Latent, Vec<Action>)> {
        let best = segments.first()?;
        let mut way = self.way(best, pose);
        let Some(leader) = way.first().copied() else {
            // It looks like the goal already.
            return Some((self.latents[best.to].clone(), Vec::new()));
        };
        let agrees = |action: &Action| {
            let apart = (0..3).map(|i| action.translation_m[i] - leader.translation_m[i]);
            apart.map(|d| d * d).sum::<f64>().sqrt() < SAME_WAYPOINT_M
                && (action.gripper - leader.gripper).abs() < SAME_GRIPPER
        };
        let mut sum = vec![0.0f32; self.latents[best.from].values.len()];
        let (mut mean, mut total) = ([0.0; 7], 0.0);
        for segment in segments {
            let Some(at) = self.landings(segment).into_iter().next() else {
                continue;
            };
            let Some(action) = self.way(segment, pose).into_iter().next() else {
                continue;
            };
            if !agrees(&action) {
                continue;
            }
            let unlike = f64::from(segment.distance / best.distance.max(f32::MIN_POSITIVE)) - 1.0;
            let weight = (-unlike / UNLIKE).exp();
            total += weight;
            for (sum, component) in mean.iter_mut().zip(action.to_array()) {
                *sum += weight * component;
            }
            for (sum, value) in sum.iter_mut().zip(&self.latents[at].values) {
                *sum += weight as f32 * value;
            }
        }
        way[0] = Action::from_array(mean.map(|component| component / total));
        sum.iter_mut().for_each(|value| *value /= total as f32);
        let latent = Latent {
            values: sum,
            tokens: self.latents[best.from].tokens,
        };
        Some((latent, way))
    }
}

fn frames_of(
    model: &WorldModel,
    store: &dyn EpisodeStore,
    episode: usize,
    numbers: &[usize],
) -> RunResult<(Vec<Pose>, Vec<Latent>)> {
    let wrong = |e: foresight_datasets::DatasetError| RunError::Input(format!("anchors: {e}"));
    let measured = store
        .proprioception(episode, &View::default())
        .map_err(wrong)?;
    let shared = measured.frames.min(measured.states.len());
    let numbers: Vec<usize> = numbers.iter().copied().filter(|n| *n < shared).collect();
    let frames = store
        .frames(episode, &View::default(), &numbers)
        .map_err(wrong)?;
    let images: Vec<RgbImage> = frames.images().collect();
    let images: Vec<&RgbImage> = images.iter().collect();
    let poses = numbers.iter().map(|n| measured.states[*n]).collect();
    Ok((poses, model.encode(&images)?))
}

#[cfg(test)]
#[path = "../tests/unit/anchors.rs"]
mod tests;

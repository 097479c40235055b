//! Jumps: which later frame of an episode an action that takes several steps leads to.
//!
//! Where the gripper moves, something is taken or let go; an action that spans more than that says
//! nothing of where. A jump therefore ends where the gripper begins to move, and the gripper's own
//! movement is a jump by itself, as keyframes are found in the literature (James and Davison,
//! "Q-attention", 2022). It takes no labels: every robot knows its gripper.

use foresight_planner::Pose;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::draws::GRIPPER_EVENT;
use crate::sampling::ClipShape;

/// Whether the gripper moves between a frame and the next.
pub(crate) fn gripper_moves(states: &[Pose], frame: usize) -> bool {
    match states.get(frame..frame + 2) {
        Some([now, next]) => gripper_direction(next.gripper - now.gripper) != 0.0,
        _ => false,
    }
}

/// 1 where a change of closedness closes the gripper, −1 where it opens it, 0 where it is too little.
pub(crate) fn gripper_direction(change: f64) -> f64 {
    match change.abs() > f64::from(GRIPPER_EVENT) {
        true => change.signum(),
        false => 0.0,
    }
}

/// Where a jump from `from` ends that takes at most `most` steps and goes no further than `last`.
pub(crate) fn landing(states: &[Pose], from: usize, most: usize, last: usize) -> usize {
    let moving = gripper_moves(states, from);
    let end = (from + most.max(1)).min(last);
    let mut frames = from + 1..end;
    frames
        .find(|frame| gripper_moves(states, *frame) != moving)
        .unwrap_or(end)
}

/// Which of `states`, each one step after the other, the clip that starts at the first consists of.
/// Lengths of its jumps are drawn by `seed`, and each leaves room for those after it. `None` where it
/// doesn't fit.
pub(crate) fn clip(states: &[Pose], shape: &ClipShape, seed: [u64; 4]) -> Option<Vec<usize>> {
    let jumps = shape.frames.checked_sub(1)?;
    if jumps >= states.len() {
        return None;
    }
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(seed) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(bytes);
    let [least, most] = shape.jump_steps;
    let mut frames = vec![0];
    let mut frame = 0;
    for behind in (0..jumps).rev() {
        let length = rng.random_range(least..=most);
        frame = landing(states, frame, length, states.len() - 1 - behind);
        frames.push(frame);
    }
    Some(frames)
}

/// Where the jumps from `from` to `goal` land, `goal` last, each of at most `most` steps.
pub fn way(states: &[Pose], from: usize, goal: usize, most: usize) -> Vec<usize> {
    let mut frames = Vec::new();
    let mut frame = from;
    while frame < goal {
        frame = landing(states, frame, most, goal);
        frames.push(frame);
    }
    frames
}

/// Where the gripper takes or lets go of something, as keyframes are called in the literature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keyframe {
    /// The state from which the gripper moves.
    pub begins: usize,
    /// The state at which it has moved.
    pub ends: usize,
    /// Whether it closes.
    pub closes: bool,
}

/// A closing that ends beyond this closedness has nothing between the fingers.
const EMPTY: f64 = 0.9;

/// The keyframes of `states` that end after `from` and begin before `goal`. A closing on nothing is
/// none, nor is an opening that lets nothing go: they say where the object isn't.
pub(crate) fn keyframes(states: &[Pose], from: usize, goal: usize) -> Vec<Keyframe> {
    let mut found = Vec::new();
    let mut begins = 0;
    while begins < goal.min(states.len()) {
        if !gripper_moves(states, begins) {
            begins += 1;
            continue;
        }
        let closes = states[begins + 1].gripper > states[begins].gripper;
        let moves_on = |state: &usize| {
            gripper_moves(states, *state)
                && (states[state + 1].gripper > states[*state].gripper) == closes
        };
        let ends = (begins + 1..states.len()).find(|state| !moves_on(state));
        let ends = ends.unwrap_or(states.len() - 1);
        let closest = states[if closes { ends } else { begins }].gripper;
        if ends > from && closest < EMPTY {
            found.push(Keyframe {
                begins,
                ends,
                closes,
            });
        }
        begins = ends;
    }
    found
}

#[cfg(test)]
#[path = "../tests/unit/jumps.rs"]
mod tests;

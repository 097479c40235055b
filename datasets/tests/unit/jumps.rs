//! Unit tests of `src/jumps.rs`.

use super::*;
use crate::sampling::Sampling;

fn gripping(closedness: &[f64]) -> Vec<Pose> {
    let pose = |(i, gripper): (usize, &f64)| Pose {
        position_m: [0.1 * i as f64, 0.0, 0.0],
        euler_rad: [0.0; 3],
        gripper: *gripper,
    };
    closedness.iter().enumerate().map(pose).collect()
}

#[test]
fn keyframes_are_where_something_is_taken_or_let_go() {
    let states = gripping(&[0.0, 0.0, 0.5, 1.0, 1.0, 0.0, 0.0, 0.4, 0.6, 0.6, 0.0, 0.0]);
    let at = |begins, ends, closes| Keyframe {
        begins,
        ends,
        closes,
    };
    // The closing on nothing and the opening after it are none.
    let (taken, let_go) = (at(6, 8, true), at(9, 10, false));
    assert_eq!(keyframes(&states, 0, 11), [taken, let_go]);
    assert_eq!(keyframes(&states, 0, 9), [taken]);
    assert_eq!(keyframes(&states, 7, 11), [taken, let_go]);
    assert_eq!(keyframes(&states, 8, 11), [let_go]);
    assert_eq!(keyframes(&states, 10, 11), []);
}

#[test]
fn jumps_end_where_the_gripper_begins_and_ceases_to_move() {
    let states = gripping(&[0.0, 0.0, 0.0, 0.2, 0.4, 0.4, 0.4, 0.4, 0.0, 0.0]);
    assert_eq!(way(&states, 0, 9, 8), [2, 4, 7, 8, 9]);
    assert_eq!(way(&states, 0, 9, 2), [2, 4, 6, 7, 8, 9]);
    assert_eq!(way(&states, 3, 6, 8), [4, 6]);
    assert_eq!(way(&states, 5, 5, 8), [0; 0]);
}

#[test]
fn clips_fit_and_their_lengths_follow_from_seed_and_start() {
    let states = gripping(&[0.0; 12]);
    let shape = ClipShape {
        frames: 3,
        sampling: Sampling::Consecutive,
        jump_steps: [2, 8],
        ..ClipShape::default()
    };
    shape.check().expect("a possible shape");
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..40 {
        for start in 0..10 {
            let (states, seed) = (&states[start..], [seed, 0, start as u64, 0]);
            let frames = clip(states, &shape, seed).expect("it fits");
            assert_eq!(Some(&frames), clip(states, &shape, seed).as_ref());
            assert!(frames.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(frames[2] < states.len(), "{frames:?}");
            lengths.insert(frames[1] - frames[0]);
        }
    }
    // Shorter than asked for where the episode ends.
    assert_eq!(lengths, (1..=8).collect());
    assert_eq!(clip(&states[10..], &shape, [0; 4]), None);
}

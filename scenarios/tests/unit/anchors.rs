//! Unit tests of `src/anchors.rs`.

use super::*;

fn latent(values: &[f32]) -> Latent {
    Latent {
        values: values.to_vec(),
        tokens: 1,
    }
}

/// 40 episodes of 10 frames; hands and latents wander.
fn recordings() -> Anchors {
    let (mut poses, mut latents) = (Vec::new(), Vec::new());
    for frame in 0..400u32 {
        let wander = |k: u32| f64::from((frame * k) % 97) / 97.0;
        poses.push(Pose::from_array([
            0.4 + 0.2 * wander(31),
            0.3 * wander(17) - 0.15,
            0.1 + 0.1 * wander(53),
            0.0,
            0.0,
            0.0,
            (wander(7) > 0.7).into(),
        ]));
        latents.push(latent(&[11, 29, 43, 61].map(|k| wander(k) as f32)));
    }
    Anchors {
        origin: String::new(),
        poses,
        latents,
        episodes: (0..40).map(|e| 10 * e..10 * (e + 1)).collect(),
    }
}

#[test]
fn looking_at_the_nearest_hands_first_finds_what_looking_at_every_pair_does() {
    let anchors = recordings();
    let weights = GoalWeights::uniform();
    for query in 0..12u32 {
        let at = (query * 37 % 400) as usize;
        let pose = Pose {
            gripper: 0.1,
            ..anchors.poses[at]
        };
        let seen = latent(&[0.3, 0.1 * query as f32 % 1.0, 0.5, 0.8]);
        let goal = latent(&[0.9, 0.2, 0.07 * query as f32 % 1.0, 0.1]);
        let to_goal = anchors.towards(&goal, &weights);
        for count in [1, 5, 40] {
            let found = anchors.segments(&seen, &pose, &to_goal, &weights, count);
            let mut all: Vec<f32> = anchors
                .episodes
                .iter()
                .map(|episode| {
                    let pairs = episode
                        .clone()
                        .flat_map(|from| (from..episode.end).map(move |to| (from, to)));
                    let unlike = |(from, to): (usize, usize)| {
                        let hand = PER_METRE * anchors.poses[from].distance_m(&pose)
                            + (anchors.poses[from].gripper - pose.gripper).abs();
                        anchors.latents[from].distance(&seen)
                            + hand as f32
                            + anchors.latents[to].distance(&goal)
                    };
                    pairs.map(unlike).fold(f32::INFINITY, f32::min)
                })
                .collect();
            all.sort_by(f32::total_cmp);
            assert_eq!(found.len(), count);
            for (segment, wanted) in found.iter().zip(&all) {
                assert!((segment.distance - wanted).abs() < 1e-5);
                let episode = anchors.episodes.iter().find(|e| e.contains(&segment.from));
                assert!(episode.unwrap().contains(&segment.to) && segment.to >= segment.from);
            }
        }
    }
}

//! Unit tests of `src/foreseen/mod.rs`.
//!
//! Synthetic episodes in which latents are labels: what is measured is known.

use foresight_datasets::metadata::BranchOf;
use foresight_planner::Pose;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Foresees exactly what comes.
struct Perfect;

impl Foresees for Perfect {
    fn ahead(&self, track: &Track, start: usize, steps: usize) -> RunResult<Vec<Vec<f32>>> {
        Ok(track.latents[start + 1..=start + steps].to_vec())
    }
}

/// Foresees no change.
struct Persistence;

impl Foresees for Persistence {
    fn ahead(&self, track: &Track, start: usize, steps: usize) -> RunResult<Vec<Vec<f32>>> {
        Ok(vec![track.latents[start].clone(); steps])
    }
}

/// Hand and object written into a latent, in the gauge's units around their middles.
fn latent(pose: &Pose, object: [f64; 3]) -> Vec<f32> {
    let [x, y, z] = pose.position_m;
    let numbers = [x - 0.5, y, z - 0.1, 0.2 * (pose.gripper - 0.5)];
    let object = [object[0] - 0.5, object[1], object[2] - 0.05];
    let all = numbers.into_iter().chain(object);
    all.map(|v| (v / POSITION_M) as f32).collect()
}

/// An episode whose object is pushed about, lies still, and is carried at times.
fn track(scene: u64, branch: Option<u32>, length: usize) -> Track {
    let mut rng = ChaCha8Rng::seed_from_u64(scene);
    let mut object = [
        0.5 + rng.random_range(-0.1..0.1),
        rng.random_range(-0.1..0.1),
        0.02,
    ];
    let mut track = Track {
        scene,
        branch: branch.map(|index| BranchOf {
            seed: scene,
            step: 0,
            index,
        }),
        ..Track::default()
    };
    let mut held = false;
    for at in 0..length {
        // Branches share their first state.
        if let (1, Some(index)) = (at, branch) {
            rng = ChaCha8Rng::seed_from_u64(1000 * scene + u64::from(index));
        }
        if at > 0 {
            let action = rng.random_range(0..4);
            let moves = held || action < 2;
            for value in &mut object[..2] {
                *value += if moves {
                    rng.random_range(-0.04..0.04)
                } else {
                    0.0
                };
            }
            held = branch.is_none() && action == 3;
            object[2] = if held { 0.08 } else { 0.02 };
        }
        let hand = std::array::from_fn::<f64, 3, _>(|_| rng.random_range(-0.1..0.1));
        let gripper = rng.random_range(0.0..1.0);
        let pose = [
            0.5 + hand[0],
            hand[1],
            0.1 + hand[2],
            0.0,
            0.0,
            0.0,
            gripper,
        ];
        let pose = Pose::from_array(pose);
        track.latents.push(latent(&pose, object));
        track.states.push(pose);
        track.objects.push((object, held));
    }
    track
}

fn tracks(scenes: std::ops::Range<u64>) -> Vec<Track> {
    let of_scene = |scene| {
        let branches = (0..6).map(move |index| track(scene, Some(index), 3));
        std::iter::once(track(scene, None, 12)).chain(branches)
    };
    scenes.flat_map(of_scene).collect()
}

fn measured(predictor: &impl Foresees) -> Foreseen {
    let gauge = GaugeOptions {
        steps: 400,
        seed: 2,
    };
    let options = ForeseenOptions {
        steps_ahead: 4,
        gauge,
        examples: 0,
    };
    let gauges = Gauges::fit(&tracks(0..80), gauge).expect("gauges");
    foreseen(predictor, &gauges, &tracks(100..130), options).expect("measured")
}

#[test]
fn a_perfect_predictor_foresees_what_the_gauge_can_read() {
    let foreseen = measured(&Perfect);
    let object = foreseen.object.expect("there is the truth");
    let kinds: Vec<Kind> = object.displacements.iter().map(|d| d.kind).collect();
    for kind in [Kind::Push, Kind::Grasp, Kind::Drop] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    for d in &object.displacements {
        assert_eq!(d.foreseen, d.seen, "{d:?}");
        assert_eq!(d.l1, 0.0);
        let share = d.seen.share.expect("a share");
        assert!((share.value - 1.0).abs() < 0.15, "{d:?}");
        assert!(share.ci95[0] <= share.value && share.value <= share.ci95[1]);
    }
    let push = object.displacements[0];
    assert_eq!((push.kind, push.steps_ahead), (Kind::Push, 1));
    assert!(push.seen.r2.expect("R²").value > 0.8, "{push:?}");
    for still in &object.false_motion {
        assert_eq!(still.foreseen_cm, still.seen_cm);
    }
    for ranking in &object.rankings {
        assert_eq!(ranking.energy, ranking.true_latents);
        assert!(ranking.read.expect("ranks").value > 0.7, "{ranking:?}");
    }
    assert_eq!(object.rankings.len(), 2, "branches have two actions");
    assert!(foreseen.robot.iter().all(|r| r.l1 == 0.0));
    let closedness = foreseen.robot_read.closedness.expect("closedness").value;
    assert!(closedness < 0.1, "{closedness}");
}

#[test]
fn persistence_foresees_nothing() {
    let foreseen = measured(&Persistence);
    let object = foreseen.object.expect("there is the truth");
    for d in &object.displacements {
        let [share, r2] = [d.foreseen.share, d.foreseen.r2].map(|e| e.expect("a number").value);
        assert_eq!((share, r2), (0.0, 0.0), "{d:?}");
        assert_eq!(d.l1, d.l1_persistence);
    }
    for still in &object.false_motion {
        assert_eq!(still.foreseen_cm.expect("a number").value, 0.0);
    }
    for r in &foreseen.robot {
        assert_eq!(r.l1_over_persistence.expect("a number").value, 1.0);
    }
    // Branches of one state begin with the same picture: every action looks alike.
    for ranking in &object.rankings {
        assert!(
            ranking.energy.expect("ranks").value.abs() < 1e-12,
            "{ranking:?}"
        );
    }
}

#[test]
fn without_labels_the_robot_is_measured() {
    let unlabelled = |scenes| {
        let mut tracks = tracks(scenes);
        tracks.iter_mut().for_each(|track| track.objects.clear());
        tracks
    };
    let options = ForeseenOptions {
        gauge: GaugeOptions { steps: 50, seed: 2 },
        ..ForeseenOptions::default()
    };
    let gauges = Gauges::fit(&unlabelled(0..10), options.gauge).expect("gauges");
    let foreseen = foreseen(&Perfect, &gauges, &unlabelled(20..25), options).expect("measured");
    assert_eq!(foreseen.object, None);
    assert_eq!(foreseen.robot.len(), 8);
    assert!(super::foreseen(&Perfect, &gauges, &[], options).is_err());
}

#[test]
fn kinds_are_told_from_true_states() {
    let kind = |objects: &[([f64; 3], bool)]| Kind::of(objects);
    let (here, there) = ([0.5, 0.0, 0.02], [0.52, 0.0, 0.02]);
    let near = [0.505, 0.0, 0.02];
    assert_eq!(kind(&[(here, false), (there, false)]), Some(Kind::Push));
    assert_eq!(kind(&[(here, false), (here, false)]), Some(Kind::Nothing));
    assert_eq!(kind(&[(here, false), (near, false)]), None);
    assert_eq!(kind(&[(here, true), (there, true)]), Some(Kind::Carry));
    assert_eq!(kind(&[(here, false), (here, true)]), Some(Kind::Grasp));
    assert_eq!(kind(&[(here, true), (there, false)]), Some(Kind::Drop));
    let carried = [(here, false), (near, true), (there, false)];
    assert_eq!(kind(&carried), None, "it was in the hand on the way");
}

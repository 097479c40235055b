//! Unit tests of `src/policy.rs`.

use super::*;
use crate::episode_config::StartKind;
use foresight_planner::Pose;
use rand::SeedableRng;

const GRASP_M: f64 = 0.025;

fn demonstrator(behaviour: Behaviour, random_action_share: f64, seed: u64) -> Demonstrator {
    let style = EpisodeConfig {
        behaviour,
        start: StartKind::Scene,
        waypoint_noise_m: 0.003,
        random_action_share,
        stride_m: 0.07,
        closing_step: 0.75,
        opening_step: 0.75,
        aslant_share: 0.25,
        stumble_share: 0.0,
        gripper_noise: 0.0,
    };
    let site = ScriptGeometry {
        object_size_m: [0.04, 0.04, 0.05],
        object_round: false,
        target_m: [0.55, -0.1],
        grasp_height_m: GRASP_M,
        hover_height_m: 0.11,
        free_min_m: [0.40, -0.18, 0.02],
        free_max_m: [0.60, 0.18, 0.25],
        box_min_m: [0.35, -0.22, 0.012],
        box_max_m: [0.65, 0.22, 0.35],
    };
    let rng = ChaCha8Rng::seed_from_u64(seed);
    Demonstrator::new(&DemonstrationConfig::default(), style, site, rng)
}

/// A world in which a hand closing around the object holds it and nothing else happens.
fn play(demonstrator: &mut Demonstrator, steps: usize) -> Vec<(DemonstratorView, Action)> {
    let mut view = DemonstratorView {
        pose: Pose::from_array([0.42, 0.05, 0.15, std::f64::consts::PI, 0.0, 0.0, 0.0]),
        object_m: [0.45, 0.08, 0.02],
        object_yaw_rad: 0.0,
        held: false,
    };
    (0..steps)
        .map(|_| {
            let action = demonstrator.act(&view);
            let before = view;
            view.pose = view.pose.apply(&action);
            let at = view.pose.position_m;
            let around = (0..3).all(|i| (at[i] - view.object_m[i]).abs() < 0.015);
            view.held = view.pose.gripper >= 0.45 && (view.held || around);
            if view.held {
                view.pose.gripper = 0.45;
                view.object_m = [at[0], at[1], (at[2] - 0.005).max(0.02)];
            } else {
                view.object_m[2] = 0.02;
            }
            (before, action)
        })
        .collect()
}

#[test]
fn an_undisturbed_pick_and_place_places() {
    for seed in 0..20 {
        let played = play(&mut demonstrator(Behaviour::PickAndPlace, 0.0, seed), 20);
        let placed = played.iter().any(|(view, _)| {
            let [x, y, _] = view.object_m;
            !view.held && (x - 0.55).hypot(y + 0.1) < 0.03
        });
        assert!(placed, "seed {seed}: {played:#?}");
    }
}

#[test]
fn a_hand_that_stumbled_rises_and_places() {
    for seed in 0..20 {
        let mut stumbling = demonstrator(Behaviour::PickAndPlace, 0.0, seed);
        (stumbling.style.aslant_share, stumbling.style.stumble_share) = (0.0, 1.0);
        let played = play(&mut stumbling, 26);
        let grasp = played.iter().position(|(view, _)| view.held).unwrap();
        let heights = played[..grasp]
            .iter()
            .map(|(view, _)| view.pose.position_m[2]);
        let heights: Vec<f64> = heights.collect();
        // Down, up over the object, and down again.
        let over = heights.iter().rposition(|z| *z > 0.085).unwrap();
        let lowest = heights[..over]
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min);
        assert!(lowest < heights[over], "seed {seed}: {heights:?}");
    }
}

#[test]
fn actions_are_bounded_and_repeatable() {
    for behaviour in Behaviour::ALL {
        for seed in 0..10 {
            let played = play(&mut demonstrator(behaviour, 0.5, seed), 16);
            for (_, action) in &played {
                assert!(action.translation_m.iter().all(|d| d.abs() <= 0.075));
                assert!(action.gripper.abs() <= 1.0);
                assert_eq!(action.rotation_rad, [0.0; 3]);
            }
            let again = play(&mut demonstrator(behaviour, 0.5, seed), 16);
            let actions =
                |p: &[(DemonstratorView, Action)]| p.iter().map(|x| x.1).collect::<Vec<_>>();
            assert_eq!(actions(&played), actions(&again));
        }
    }
}

#[test]
fn a_blocked_hand_gives_way() {
    let mut demonstrator = demonstrator(Behaviour::PickAndPlace, 0.0, 1);
    let view = DemonstratorView {
        pose: Pose::from_array([0.45, 0.08, 0.11, std::f64::consts::PI, 0.0, 0.0, 0.0]),
        object_m: [0.45, 0.08, 0.02],
        object_yaw_rad: 0.0,
        held: false,
    };
    // The hand never moves: pushing down must not go on for ever.
    let rises = (0..8)
        .filter(|_| demonstrator.act(&view).translation_m[2] > 0.01)
        .count();
    assert!(rises >= 2, "{rises}");
}

//! What happens from outside does what it says, and to nothing else.

use foresight_sim::{goals, Disturbance, Light, SceneDistribution, Simulator};
use image::RgbImage;

/// The object of scene `seed` in the closed hand, 8 cm up.
fn holding(seed: u64) -> Simulator {
    let scene = SceneDistribution::default().sample(seed);
    let mut simulator = Simulator::new(&scene).unwrap();
    simulator
        .set_goal_state(&goals::lifted(&scene, 0.08))
        .unwrap();
    simulator.advance(0.3);
    simulator
}

fn disturbed(seed: u64, what: &Disturbance) -> Simulator {
    let mut simulator = holding(seed);
    simulator.disturb(what).unwrap();
    simulator.advance(1.5);
    simulator
}

/// Mean difference of two pictures' channels, of 255.
fn apart(a: &RgbImage, b: &RgbImage) -> f64 {
    let sum: f64 = a
        .as_raw()
        .iter()
        .zip(b.as_raw())
        .map(|(a, b)| f64::from(a.abs_diff(*b)))
        .sum();
    sum / a.as_raw().len() as f64
}

#[test]
fn what_is_held_slips_moves_or_goes() {
    for seed in 300..306 {
        let [x, y] = holding(seed).scene().object.position_m;
        assert!(holding(seed).truth().held, "{seed}");
        let slipped = disturbed(seed, &Disturbance::LoseGrip).truth();
        assert!(!slipped.held && slipped.on_table, "{seed}: {slipped:?}");
        let to_m = [x, y + 0.12];
        let moved = disturbed(seed, &Disturbance::MoveObject { to_m }).truth();
        assert!(
            !moved.held && moved.upright && moved.on_table,
            "{seed}: {moved:?}"
        );
        let [mx, my, _] = moved.object_position_m;
        assert!(
            (mx - to_m[0]).hypot(my - to_m[1]) < 2e-3,
            "{seed}: {moved:?}"
        );
        let gone = disturbed(seed, &Disturbance::RemoveObject);
        assert!(!gone.truth().held && gone.truth().hand_distance_m > 2.0);
        assert!(
            gone.gripper().width_m < 2e-3,
            "the fingers close on nothing"
        );
    }
}

#[test]
fn a_blocked_gripper_holds_what_it_holds_and_lets_nothing_go() {
    let mut simulator = holding(300);
    let width_m = simulator.gripper().width_m;
    simulator.disturb(&Disturbance::BlockGripper).unwrap();
    simulator.gripper_move(0.08);
    simulator.advance(1.0);
    assert!(simulator.truth().held);
    assert!((simulator.gripper().width_m - width_m).abs() < 1e-3);
}

#[test]
fn the_camera_sees_what_happened() {
    let scene = SceneDistribution::default().sample(301);
    let clean = Simulator::new(&scene).unwrap();
    let picture = |what: &Disturbance| {
        let mut simulator = clean.clone();
        simulator.disturb(what).unwrap();
        simulator.render(64, 64)
    };
    let before = clean.render(64, 64);
    let by = |what: &Disturbance| apart(&before, &picture(what));
    let turn = |degrees: f64| Disturbance::TurnCamera {
        angle_rad: degrees.to_radians(),
        axis_rad: 0.7,
    };
    assert!(by(&turn(0.0)) < 1e-9);
    assert!(by(&turn(3.0)) > 1.0 && by(&turn(10.0)) > by(&turn(3.0)));
    let dark = Light {
        intensity: 0.0,
        ..scene.light.clone()
    };
    assert!(by(&Disturbance::SetLight(dark)) > 5.0);
    let covered = picture(&Disturbance::CoverLens);
    assert!(covered.pixels().all(|p| p == covered.get_pixel(0, 0)));
    // Few pixels, but these.
    let mut other = SceneDistribution::default().sample(302).object;
    other.position_m = [
        scene.object.position_m[0],
        scene.object.position_m[1] + 0.11,
    ];
    for what in [
        Disturbance::RemoveObject,
        Disturbance::SwapObject(other.clone()),
        Disturbance::AddObject(other.clone()),
    ] {
        let pixels = picture(&what);
        let changed = before
            .pixels()
            .zip(pixels.pixels())
            .filter(|(a, b)| a != b)
            .count();
        assert!((8..600).contains(&changed), "{what:?}: {changed}");
    }
}

#[test]
fn a_second_object_can_be_run_into() {
    let scene = SceneDistribution::default().sample(303);
    let mut other = scene.object.clone();
    other.position_m[1] += 0.1;
    let mut simulator = Simulator::new(&scene).unwrap();
    simulator.disturb(&Disturbance::AddObject(other)).unwrap();
    simulator.advance(0.2);
    let start = simulator.truth().object_position_m;
    // The first object, put down half inside the second, is pushed out of it.
    let to_m = [start[0], start[1] + 0.08];
    simulator
        .disturb(&Disturbance::MoveObject { to_m })
        .unwrap();
    simulator.advance(1.0);
    let end = simulator.truth().object_position_m;
    assert!(
        (end[1] - to_m[1]).abs() > 1e-3 || (end[0] - to_m[0]).abs() > 1e-3,
        "{end:?}"
    );
}

//! A made-up episode for the tests.

use foresight_datasets::metadata::{Recording, SCHEMA};
use foresight_datasets::{
    CommandedStep, Episode, FrameStack, Metadata, SimulatorTrack, Split, Trajectory,
};
use foresight_planner::{Action, Pose};

/// An episode of `steps` states; every value differs from every other.
pub fn episode(seed: u64, split: Split, steps: usize) -> Episode {
    let at = |t: usize, k: usize| seed as f64 * 1e-10 + t as f64 * 0.01 + k as f64 * 0.001;
    let states: Vec<Pose> = (0..steps)
        .map(|t| {
            Pose::from_array([
                0.4 + at(t, 0),
                at(t, 1),
                0.2 + at(t, 2),
                3.1,
                at(t, 4),
                at(t, 5),
                if t > steps / 2 { 0.6 } else { 0.0 },
            ])
        })
        .collect();
    let mut frames = FrameStack::new(4, 3);
    for t in 0..steps {
        let pixels: Vec<u8> = (0..36)
            .map(|i| (t * 36 + i + seed as usize) as u8)
            .collect();
        frames.push(&pixels).expect("the stack's size");
    }
    Episode {
        metadata: Metadata {
            uuid: format!("SIM+foresight+{seed}"),
            lab: "SIM".into(),
            user: "Foresight".into(),
            user_id: "simulator".into(),
            date: "2026-01-02".into(),
            timestamp: "2026-01-02".into(),
            hdf5_path: String::new(),
            building: "simulator".into(),
            scene_id: seed as i64,
            success: Some(seed.is_multiple_of(2)),
            robot_serial: "fr3".into(),
            current_task: "pick".into(),
            trajectory_length: 0,
            wrist_cam_serial: String::new(),
            ext1_cam_serial: String::new(),
            ext2_cam_serial: String::new(),
            left_mp4_path: String::new(),
            right_mp4_path: String::new(),
            wrist_mp4_path: String::new(),
            foresight: Some(Recording {
                schema: SCHEMA,
                split,
                seed,
                scenario: "pick_and_place".into(),
                behaviour: "grasp".into(),
                start: "far".into(),
                waypoint_noise_m: 0.01,
                random_action_share: 0.2,
                step_rate_hz: 4.0,
                program_version: "0".into(),
                branch_of: None,
                named: None,
            }),
        },
        camera: "tabletop".into(),
        frames,
        trajectory: Trajectory {
            time_s: (0..steps).map(|t| 0.1 + 0.25 * t as f64).collect(),
            joints_rad: (0..steps)
                .map(|t| std::array::from_fn(|k| at(t, k)))
                .collect(),
            commands: states
                .windows(2)
                .map(|pair| CommandedStep {
                    requested: Action::from_array([0.01, 0.0, -0.02, 0.0, 0.0, 0.0, 0.75]),
                    target: pair[1],
                })
                .collect(),
            simulator: Some(SimulatorTrack {
                object_position_m: (0..steps)
                    .map(|t| [0.5 + if t > steps / 2 { at(t, 0) } else { 0.0 }, 0.1, 0.02])
                    .collect(),
                object_quaternion_xyzw: vec![[0.0, 0.0, 0.0, 1.0]; steps],
                held: (0..steps).map(|t| t > steps / 2).collect(),
                upright: vec![true; steps],
                target_position_m: [0.55, -0.1],
                scene_seed: seed,
                scene: "{\"object\": \"box\"}".into(),
                initial_state: Some(foresight_datasets::InitialState {
                    pose: Some([0.4, 0.1, 0.2, 3.0, 0.1, -0.2, 1.0 / 3.0]),
                    object: None,
                    grasping: true,
                    settling_s: 0.3,
                    envelope: "{}".into(),
                }),
            }),
            states,
        },
    }
}

//! A scripted pick and place, for tests.

use foresight_planner::Pose;
use foresight_sim::{goals, GroundTruth, Scene, Simulator};

/// What became of a demonstration.
// Not every test looks at every part.
#[allow(dead_code)]
#[derive(Debug, Clone)]
pub struct Outcome {
    pub grasped: GroundTruth,
    pub lifted: GroundTruth,
    pub carried: GroundTruth,
    pub placed: GroundTruth,
    pub width_m: f64,
}

/// Goes to a pose and waits until there.
pub fn go(simulator: &mut Simulator, pose: &Pose) {
    simulator.set_cartesian_target(pose.isometry());
    for _ in 0..3000 {
        simulator.step();
        let state = simulator.arm();
        let left = (0..3)
            .map(|i| (state.tcp.translation.vector[i] - pose.position_m[i]).powi(2))
            .sum::<f64>()
            .sqrt();
        // What the hand sets down may touch the table a little early.
        if (left < 1e-4 && state.tcp_speed_m_s < 1e-3)
            || (left < 3e-3 && state.tcp_speed_m_s == 0.0)
        {
            return;
        }
    }
}

/// Grasps at the object's place moved by `off_m`, lifts 10 cm, carries, lowers, lets go, rises.
pub fn pick_and_place(scene: &Scene, off_m: [f64; 2]) -> (Simulator, Outcome) {
    let mut simulator = Simulator::new(scene).unwrap();
    let shifted = |mut pose: Pose| {
        pose.position_m[0] += off_m[0];
        pose.position_m[1] += off_m[1];
        pose
    };
    simulator.gripper_move(0.08);
    go(&mut simulator, &shifted(goals::above_object(scene).arm));
    go(&mut simulator, &shifted(goals::at_object(scene).arm));
    simulator.gripper_grasp(0.0, 30.0);
    simulator.advance(1.0);
    let grasped = simulator.truth();
    let width_m = simulator.gripper().width_m;
    go(&mut simulator, &shifted(goals::lifted(scene, 0.10).arm));
    let lifted = simulator.truth();
    go(&mut simulator, &goals::carried_over_target(scene).arm);
    let carried = simulator.truth();
    go(&mut simulator, &goals::lowered_on_target(scene).arm);
    simulator.gripper_move(0.08);
    simulator.advance(0.8);
    go(&mut simulator, &goals::placed(scene).arm);
    let placed = simulator.truth();
    let outcome = Outcome {
        grasped,
        lifted,
        carried,
        placed,
        width_m,
    };
    (simulator, outcome)
}

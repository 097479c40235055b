//! Whether the arm reaches what a scenario draws from its ranges, and may go there, wherever that falls.

use foresight_planner::Pose;
use foresight_settings::Diagnostic;
use foresight_sim::goals::{self, GoalState};
use foresight_sim::{Scene, SceneDistribution, Simulator};

use crate::scenario::{GoalStateName, PointRange, Scenario, Start};

/// Corners of a box.
const CORNERS: usize = 8;

/// Ranges of which the arm can't take a corner, in the orientation it has there, or must not.
pub(crate) fn faults(scenario: &Scenario, faults: &mut Vec<Diagnostic>) {
    let corner_scenes: Vec<Scene> = (0..CORNERS).map(|k| corner_scene(scenario, k)).collect();
    let safety = &scenario.safety;
    let inside = |at: &[f64; 3]| safety.workspace.contains(at, safety.outside_tolerance_m);
    let mut check = |path: String, what: String, remedy: &str, poses: Vec<Pose>| {
        let beyond = Simulator::check_reach(&poses).err().map(|e| e.to_string());
        let mut places = poses.iter().map(|pose| pose.position_m);
        let outside = || {
            let at = places.find(|at| !inside(at))?;
            Some(format!(
                "it takes the hand to {at:.3?} m, outside safety.workspace"
            ))
        };
        if let Some(why) = beyond.or_else(outside) {
            let what = format!("{what} is partly beyond the arm's reach: {why}");
            faults.push(Diagnostic::new(path, what, remedy));
        }
    };
    if scenario.start == Start::Scene {
        let starts = corner_scenes.iter().map(|scene| scene.start.pose());
        check(
            "scene.start_x_m".into(),
            "where the hand starts".into(),
            "give start_x_m, start_y_m, start_z_m and where the object stands so that the arm reaches all of it",
            starts.collect(),
        );
    }
    for (i, goal) in scenario.subgoal.iter().enumerate() {
        let Some(state) = &goal.state else { continue };
        let scenes = corner_scenes.iter().enumerate();
        let poses = scenes.flat_map(|(k, scene)| arms(state, scene, k));
        let parked = |pose: Pose| Pose {
            position_m: scenario.goals_with_hand_at_m.unwrap_or(pose.position_m),
            ..pose
        };
        let (what, remedy) = match state {
            GoalStateName::Reach { .. } | GoalStateName::CarryTo { .. } => {
                ("its region", "give a region that the arm reaches everywhere")
            }
            _ => (
                "its pose",
                "give [scene] ranges of object_x_m, object_y_m, target_x_m and target_y_m that the arm reaches everywhere",
            ),
        };
        check(
            format!("subgoal.{i}.state"),
            format!("sub-goal {:?}: {what}", goal.name),
            remedy,
            poses.map(parked).collect(),
        );
    }
}

/// A scene in which everything stands in corner `k` of where it is drawn from.
fn corner_scene(scenario: &Scenario, k: usize) -> Scene {
    let from: &SceneDistribution = &scenario.scene;
    let at = |ranges: [[f64; 2]; 3]| corner(&ranges, k);
    let mut scene = from.sample(scenario.seed);
    let [x, y, _] = at([from.object_x_m, from.object_y_m, [0.0; 2]]);
    scene.object.position_m = [x, y];
    let [u, v, _] = at([from.target_x_m, from.target_y_m, [0.0; 2]]);
    scene.target.position_m = [u, v];
    let start = at([from.start_x_m, from.start_y_m, from.start_z_m]);
    let origin = match from.start_relative_to_object {
        true => [x, y, scene.object.size_m[2]],
        false => [0.0; 3],
    };
    scene.start.position_m = std::array::from_fn(|axis| origin[axis] + start[axis]);
    scene
}

/// Poses of the arm in a sub-goal's state: at corner `k` of its region, where it has one.
fn arms(state: &GoalStateName, scene: &Scene, k: usize) -> Vec<Pose> {
    let in_region = |from: &PointRange, pose: Pose| Pose {
        position_m: corner(&[from.x_m, from.y_m, from.z_m], k),
        ..pose
    };
    let one = |state: GoalState| vec![state.arm];
    match state {
        GoalStateName::AboveObject => one(goals::above_object(scene)),
        GoalStateName::AtObject => one(goals::at_object(scene)),
        GoalStateName::Grasped => one(goals::grasped(scene)),
        GoalStateName::Lifted { height_m } => one(goals::lifted(scene, *height_m)),
        GoalStateName::CarriedOverTarget => one(goals::carried_over_target(scene)),
        GoalStateName::LoweredOnTarget => one(goals::lowered_on_target(scene)),
        GoalStateName::Placed => one(goals::placed(scene)),
        // From any side.
        GoalStateName::Pushed { .. } => [0.0, 0.5, 1.0, 1.5]
            .map(|turns| goals::pushed(scene, turns * std::f64::consts::PI, 0.0).arm)
            .into(),
        GoalStateName::Reach { from } => vec![in_region(from, scene.start.pose())],
        GoalStateName::CarryTo { from } => vec![in_region(from, goals::lifted(scene, 0.0).arm)],
    }
}

fn corner(ranges: &[[f64; 2]; 3], k: usize) -> [f64; 3] {
    std::array::from_fn(|axis| ranges[axis][(k >> axis) & 1])
}

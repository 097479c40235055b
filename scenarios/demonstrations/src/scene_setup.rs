//! How an episode is set up: what the script must know of the scene, and starts in contact.

use foresight_datasets::InitialState;
use foresight_robot::EnvelopeConfig;
use foresight_sim::goals::{self, GoalState};
use foresight_sim::{ObjectKind, Scene, SimError, Simulator};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::episode_config::StartKind;
use crate::stage::ScriptGeometry;
use foresight_scenarios::demonstrations::DemonstrationConfig;

/// Virtual time an object placed in the hand gets to come to rest, s.
const SETTLING_S: f64 = 0.3;
/// How far beside the object a start near it may be, m on each axis.
const NEAR_M: f64 = 0.045;
/// The fingertips clear an object's top with the TCP this far above it, m.
const TIPS_CLEAR_M: f64 = 0.012;

/// The scene's geometry as the demonstrator needs it.
pub(crate) fn site(
    scene: &Scene,
    envelope: &EnvelopeConfig,
    mix: &DemonstrationConfig,
) -> ScriptGeometry {
    let mut box_min_m = envelope.workspace.min_m;
    box_min_m[2] = envelope.floor_m();
    let box_max_m = envelope.workspace.max_m;
    let bounded = |corner: [f64; 3]| -> [f64; 3] {
        std::array::from_fn(|i| corner[i].clamp(box_min_m[i], box_max_m[i]))
    };
    ScriptGeometry {
        object_size_m: scene.object.size_m,
        object_round: scene.object.kind == ObjectKind::Cup,
        free_min_m: bounded(mix.free_min_m),
        free_max_m: bounded(mix.free_max_m),
        target_m: scene.target.position_m,
        grasp_height_m: scene.object.grasp_height_m().max(box_min_m[2]),
        hover_height_m: goals::above_object(scene).arm.position_m[2],
        box_min_m,
        box_max_m,
    }
}

/// Puts the hand where the episode starts; says how, for exact replays.
///
/// # Errors
/// [`SimError`] when the arm can't take the pose.
pub(crate) fn place(
    simulator: &mut Simulator,
    scene: &Scene,
    site: &ScriptGeometry,
    start: StartKind,
    rng: &mut ChaCha8Rng,
) -> Result<InitialState, SimError> {
    let goal = match start {
        StartKind::Scene => return Ok(InitialState::default()),
        StartKind::Wide => wide(scene, site, rng),
        StartKind::Near => near(scene, site, rng),
        StartKind::InHand => in_hand(scene, site, rng),
    };
    simulator.set_goal_state(&goal)?;
    simulator.advance(SETTLING_S);
    Ok(InitialState {
        pose: Some(goal.arm.to_array()),
        object: goal.object.map(|object| {
            let ([x, y, z], [i, j, k, w]) = (object.position_m, object.quaternion_xyzw);
            [x, y, z, i, j, k, w]
        }),
        grasping: goal.grasping,
        settling_s: SETTLING_S,
        envelope: String::new(),
    })
}

/// The open hand anywhere over the table, higher than the object.
fn wide(scene: &Scene, site: &ScriptGeometry, rng: &mut ChaCha8Rng) -> GoalState {
    let mut goal = goals::above_object(scene);
    for axis in 0..2 {
        goal.arm.position_m[axis] = between(rng, site.free_min_m[axis], site.free_max_m[axis]);
    }
    let low = scene.object.size_m[2] + TIPS_CLEAR_M;
    goal.arm.position_m[2] = between(rng, low, site.free_max_m[2].max(low));
    inside(&mut goal, site);
    goal
}

/// Around the object, open or partly closed: low enough to touch it with the next action, and
/// never with a finger inside it.
fn near(scene: &Scene, site: &ScriptGeometry, rng: &mut ChaCha8Rng) -> GoalState {
    let mut goal = goals::at_object(scene);
    let around = rng.random_bool(0.5);
    let position = &mut goal.arm.position_m;
    if around {
        // Fingers astride the object: nearly centred along the opening, low.
        let [hand_x, hand_y] = [
            rng.random_range(-0.015..0.015),
            rng.random_range(-0.006..0.006),
        ];
        let (sin, cos) = scene.start.yaw_rad.sin_cos();
        position[0] += cos * hand_x - sin * hand_y;
        position[1] += sin * hand_x + cos * hand_y;
        position[2] = between(rng, site.grasp_height_m, site.hover_height_m);
    } else {
        position[0] += rng.random_range(-NEAR_M..NEAR_M);
        position[1] += rng.random_range(-NEAR_M..NEAR_M);
        // Above the object's top with the fingertips.
        let low = scene.object.size_m[2] + TIPS_CLEAR_M;
        position[2] = rng.random_range(low..low + 0.06);
        goal.arm.gripper = if rng.random_bool(0.5) {
            0.0
        } else {
            rng.random_range(0.0..1.0)
        };
    }
    inside(&mut goal, site);
    goal
}

/// The object in the closed hand, anywhere between the table and the top of the box.
fn in_hand(scene: &Scene, site: &ScriptGeometry, rng: &mut ChaCha8Rng) -> GoalState {
    let on_table = rng.random_bool(0.25);
    let top = (site.free_max_m[2] - site.grasp_height_m).max(0.02);
    // Low as often as high: that is where placing happens.
    let lift = if on_table {
        0.0
    } else if rng.random_bool(0.4) {
        between(rng, 0.005, top.min(0.06))
    } else {
        between(rng, 0.01, top)
    };
    let mut goal = goals::lifted(scene, lift);
    let before = goal.arm.position_m;
    if !on_table {
        // Anywhere over the box, the target as likely as not: placing is rare otherwise.
        let over_target = rng.random_bool(0.4);
        for axis in 0..2 {
            goal.arm.position_m[axis] = if over_target {
                site.target_m[axis] + rng.random_range(-0.05..0.05)
            } else {
                between(rng, site.free_min_m[axis], site.free_max_m[axis])
            };
        }
    }
    inside(&mut goal, site);
    if let Some(object) = &mut goal.object {
        for (axis, at) in object.position_m.iter_mut().enumerate() {
            *at += goal.arm.position_m[axis] - before[axis];
        }
    }
    goal
}

fn inside(goal: &mut GoalState, site: &ScriptGeometry) {
    for (axis, at) in goal.arm.position_m.iter_mut().enumerate() {
        *at = at.clamp(site.box_min_m[axis], site.box_max_m[axis]);
    }
}

/// A uniform draw that also takes an interval of no length.
fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

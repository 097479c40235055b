//! Violation of expectation: of two continuations of one scene, does the impossible one surprise a
//! predictor more?
//!
//! Both continuations show the same hand doing the same actions; in one the simulator decides what becomes
//! of the object, in the other it is drawn where it can't be. Controls compare the usual with
//! something unusual that may well happen. A surprise is the L1 between predicted and reached latents, the mean
//! over a continuation's steps, as V-JEPA's intuitive physics tests take it (arXiv 2502.11831).

use foresight_planner::{Action, Pose};
use foresight_robot::{Arm, VirtualArm};
use foresight_sim::goals::{self, ObjectPose};
use foresight_sim::{Disturbance, GoalState, GroundTruth, Scene, Simulator};
use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::controllers::LoadedModel;
use crate::env::virtual_arm_config;
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};
use crate::evaluate::Counted;
use crate::faults::other_object;
use crate::load::LoadedScenario;
use crate::monitor::{expect, Expectation};

/// The stream of the seed's random numbers that pairs draw from.
const PAIR_STREAM: u64 = 6;
/// Virtual time a posed scene gets to come to rest, s.
const SETTLING_S: f64 = 0.3;
/// How far a hand moves in one action here, m.
const STRIDE_M: f64 = 0.06;
/// A small movement in the air, for scenes in which the hand plays no part, m.
const IDLE_M: f64 = 0.02;
/// How high objects are held before they are let go, m.
const HELD_M: f64 = 0.08;
/// The part of its height that an object sinks by: all of it would leave its shadow alone.
const SUNK: f64 = 0.9;
/// How far objects jump, m.
const JUMP_M: [f64; 2] = [0.08, 0.12];

/// What happens that can't, or seldom does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhysicsKind {
    /// Gone when the open hand that went down around it rises again.
    Vanishes,
    /// Elsewhere, with nothing near it.
    Teleports,
    /// Of another colour.
    SwapsColour,
    /// Sinks into the table.
    SinksIntoTable,
    /// The hand sweeps through it and it stays.
    PassesThroughHand,
    /// Let go in the air, it stays there.
    FloatsReleased,
    /// Let go in the air, it rises.
    RisesReleased,
    /// Rises with a hand that never closed.
    FollowsOpenHand,
    /// Moves as if it were pushed while the hand goes the other way.
    MovesUntouched,
    /// Control: it slips out of the rising hand, which may happen.
    Slips,
    /// Control: the fingers stay open when told to close, which may happen.
    FingersStuck,
}

impl PhysicsKind {
    /// Every kind, in the order of tables.
    pub const ALL: [PhysicsKind; 11] = [
        PhysicsKind::Vanishes,
        PhysicsKind::Teleports,
        PhysicsKind::SwapsColour,
        PhysicsKind::SinksIntoTable,
        PhysicsKind::PassesThroughHand,
        PhysicsKind::FloatsReleased,
        PhysicsKind::RisesReleased,
        PhysicsKind::FollowsOpenHand,
        PhysicsKind::MovesUntouched,
        PhysicsKind::Slips,
        PhysicsKind::FingersStuck,
    ];

    /// Whether the other continuation is merely unusual.
    pub fn is_control(self) -> bool {
        matches!(self, PhysicsKind::Slips | PhysicsKind::FingersStuck)
    }

    /// Where it begins, and what the hand does.
    fn staging(self, scene: &Scene, heading_rad: f64) -> (Option<GoalState>, [Action; 2]) {
        let [open, close] = [-1.0, 1.0].map(|gripper| Action {
            gripper,
            ..Action::default()
        });
        let up = moved([0.0, 0.0, STRIDE_M]);
        let idle = moved([0.0, 0.0, IDLE_M]);
        match self {
            PhysicsKind::Vanishes => {
                let above = goals::above_object(scene);
                let down_m = goals::at_object(scene).arm.position_m[2] - above.arm.position_m[2];
                let down = moved([0.0, 0.0, down_m.max(-STRIDE_M)]);
                (
                    Some(above),
                    [down, moved([0.0, 0.0, -down.translation_m[2]])],
                )
            }
            PhysicsKind::Teleports | PhysicsKind::SwapsColour | PhysicsKind::SinksIntoTable => {
                (None, [idle, idle])
            }
            PhysicsKind::PassesThroughHand | PhysicsKind::MovesUntouched => {
                let (sin, cos) = heading_rad.sin_cos();
                let sweep = moved([STRIDE_M * cos, STRIDE_M * sin, 0.0]);
                (Some(goals::pushed(scene, heading_rad, 0.0)), [sweep, sweep])
            }
            PhysicsKind::FloatsReleased | PhysicsKind::RisesReleased => {
                (Some(goals::lifted(scene, HELD_M)), [open, idle])
            }
            PhysicsKind::FollowsOpenHand => (Some(goals::at_object(scene)), [up, idle]),
            PhysicsKind::Slips => (Some(goals::grasped(scene)), [up, idle]),
            PhysicsKind::FingersStuck => (Some(goals::at_object(scene)), [close, up]),
        }
    }

    /// What really happens to a scene instead, between the first look and the first action.
    fn disturbance(self) -> Option<Disturbance> {
        match self {
            PhysicsKind::Slips => Some(Disturbance::LoseGrip),
            PhysicsKind::FingersStuck => Some(Disturbance::BlockGripper),
            _ => None,
        }
    }

    /// What the hand does in the other continuation.
    fn others_actions(self, actions: [Action; 2]) -> [Action; 2] {
        match self {
            PhysicsKind::MovesUntouched => actions.map(|a| moved(a.translation_m.map(|v| -v))),
            _ => actions,
        }
    }

    /// Draws the object where it can't be, as it is seen after action number `after` (from 1).
    fn falsify(self, seen: &mut Simulator, began: &Began, after: usize) -> RunResult<()> {
        if after == 0 {
            return Ok(());
        }
        let [x, y, z] = began.truth.object_position_m;
        let at = |position_m: [f64; 3]| ObjectPose {
            position_m,
            quaternion_xyzw: began.truth.object_quaternion_xyzw,
        };
        let part = after as f64 / 2.0;
        match self {
            PhysicsKind::Vanishes if after == 2 => seen.disturb(&Disturbance::RemoveObject)?,
            PhysicsKind::Teleports => seen.set_object(&at(began.elsewhere_m))?,
            PhysicsKind::SwapsColour => {
                let other = Disturbance::SwapObject(began.other.clone());
                seen.disturb(&other)?;
            }
            PhysicsKind::SinksIntoTable => {
                let height_m = seen.scene().object.size_m[2];
                seen.set_object(&at([x, y, z - SUNK * part * height_m]))?;
            }
            PhysicsKind::PassesThroughHand | PhysicsKind::FloatsReleased => {
                seen.set_object(&at([x, y, z]))?;
            }
            PhysicsKind::RisesReleased => seen.set_object(&at([x, y, z + part * STRIDE_M]))?,
            PhysicsKind::FollowsOpenHand => {
                let hand = seen.pose().position_m;
                let by = [0, 1, 2].map(|i| hand[i] - began.hand.position_m[i]);
                seen.set_object(&at([x + by[0], y + by[1], z + by[2]]))?;
            }
            PhysicsKind::MovesUntouched => {
                if let Some(pushed) = began.usual.get(after) {
                    seen.set_object(&ObjectPose {
                        position_m: pushed.object_position_m,
                        quaternion_xyzw: pushed.object_quaternion_xyzw,
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn moved(translation_m: [f64; 3]) -> Action {
    Action {
        translation_m,
        ..Action::default()
    }
}

/// How a pair begins, and what was drawn for it.
struct Began {
    truth: GroundTruth,
    hand: Pose,
    elsewhere_m: [f64; 3],
    other: foresight_sim::Object,
    /// What becomes of the object in the usual continuation, look by look.
    usual: Vec<GroundTruth>,
}

/// Looks and what was sent between them.
#[derive(Debug, Clone, Default)]
pub struct Continuation {
    /// What the camera sees, from before the first action to after the last.
    pub frames: Vec<RgbImage>,
    /// The poses measured there.
    pub poses: Vec<Pose>,
    /// What the arm was sent.
    pub actions: Vec<Action>,
}

/// Two continuations of one scene.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What the simulator makes of it.
    pub usual: Continuation,
    /// The impossible one; of a control, the unusual one.
    pub other: Continuation,
}

/// The pair of a kind that a seed decides.
///
/// # Errors
/// [`RunError`] when the scene can't be simulated.
pub fn pair(scenario: &LoadedScenario, seed: u64, kind: PhysicsKind) -> RunResult<Pair> {
    let spec = EpisodeSpec::new(scenario, seed);
    let scene = spec.goal_scene.as_ref().ok_or_else(|| {
        RunError::Input("physics is tried in the simulator; robot.kind must be \"sim\"".into())
    })?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(PAIR_STREAM);
    let heading_rad = rng.random_range(0.0..std::f64::consts::TAU);
    let mut simulator = Simulator::new(scene)?;
    let (start, actions) = kind.staging(scene, heading_rad);
    if let Some(start) = start {
        simulator.set_goal_state(&start)?;
    }
    simulator.advance(SETTLING_S);
    let truth = simulator.truth();
    let [x, y, z] = truth.object_position_m;
    let (sin, cos) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
    let far_m = rng.random_range(JUMP_M[0]..=JUMP_M[1]);
    let mut began = Began {
        hand: simulator.pose(),
        elsewhere_m: [x + far_m * cos, y + far_m * sin, z],
        other: other_object(&scenario.scenario.scene, &scene.object, &mut rng),
        truth,
        usual: Vec::new(),
    };
    let config = virtual_arm_config(&spec);
    let safety = scenario.scenario.safety;
    let mut arm = VirtualArm::with_simulator(simulator, safety, config)?;
    let usual = play(&mut arm.clone(), &actions, None, |simulator, _| {
        began.usual.push(simulator.truth());
        Ok(())
    })?;
    let happens = kind.disturbance();
    let other = play(
        &mut arm,
        &kind.others_actions(actions),
        happens,
        |seen, after| kind.falsify(seen, &began, after),
    )?;
    Ok(Pair { usual, other })
}

/// Lets the arm act, after something has happened; `shown` may alter what is drawn after each action, not what goes on.
fn play(
    arm: &mut VirtualArm,
    actions: &[Action],
    happens: Option<Disturbance>,
    mut shown: impl FnMut(&mut Simulator, usize) -> RunResult<()>,
) -> RunResult<Continuation> {
    let mut continuation = Continuation::default();
    for after in 0..=actions.len() {
        if let Some(action) = after.checked_sub(1).and_then(|n| actions.get(n)) {
            continuation.actions.push(arm.execute(action)?.sent);
        }
        let look = arm.observe()?;
        let mut seen = arm.simulator().clone();
        shown(&mut seen, after)?;
        if let Some(happens) = happens.as_ref().filter(|_| after == 0) {
            arm.simulator_mut().disturb(happens)?;
        }
        let (width, height) = (look.frame.image.width(), look.frame.image.height());
        continuation.frames.push(seen.render(width, height));
        continuation.poses.push(look.pose);
    }
    Ok(continuation)
}

/// How surprised the predictor is, how surprised when it isn't told the actions, and by how much the
/// pictures change.
fn surprises(
    loaded: &LoadedModel,
    extrinsics: Option<[f32; 6]>,
    continuation: &Continuation,
) -> RunResult<[f64; 3]> {
    let latents = loaded.encode(&continuation.frames)?;
    let mut sums = [0.0; 3];
    for (i, action) in continuation.actions.iter().enumerate() {
        let [before, reached] = [&latents[i], &latents[i + 1]];
        for (sum, expectation) in sums
            .iter_mut()
            .zip([Expectation::Action, Expectation::NoAction])
        {
            let pose = &continuation.poses[i];
            let expected = expect(&loaded.model, expectation, before, pose, extrinsics, action)?;
            *sum += f64::from(reached.distance(&expected));
        }
        sums[2] += pixels_apart(&continuation.frames[i], &continuation.frames[i + 1]);
    }
    let steps = continuation.actions.len().max(1) as f64;
    Ok(sums.map(|sum| sum / steps))
}

/// Mean absolute difference of two pictures of one size, 0 to 255.
fn pixels_apart(a: &RgbImage, b: &RgbImage) -> f64 {
    let pairs = a.as_raw().iter().zip(b.as_raw());
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.as_raw().len().max(1) as f64
}

/// How often the other continuation of a kind surprises more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhysicsRow {
    /// The kind.
    pub kind: PhysicsKind,
    /// Whether it is a control: then nothing is right or wrong.
    pub control: bool,
    /// It surprises the predictor more.
    pub predictor: Counted,
    /// It surprises the predictor more when that isn't told the action.
    pub without_actions: Counted,
    /// Its pictures change more.
    pub pixels: Counted,
}

/// Tries `pairs` pairs of every kind, of seeds from `seed` on.
///
/// # Errors
/// [`RunError`] when the scenario can't be simulated or the model fails.
pub fn try_physics(
    scenario: &LoadedScenario,
    loaded: &LoadedModel,
    seed: u64,
    pairs: u64,
) -> RunResult<Vec<PhysicsRow>> {
    let row = |kind: PhysicsKind| {
        let more: Vec<[bool; 3]> = (seed..seed + pairs)
            .into_par_iter()
            .map(|seed| {
                let spec = EpisodeSpec::new(scenario, seed);
                let extrinsics = spec.rollout_extrinsics(&loaded.model)?;
                let pair = pair(scenario, seed, kind)?;
                let usual = surprises(loaded, extrinsics, &pair.usual)?;
                let other = surprises(loaded, extrinsics, &pair.other)?;
                Ok([0, 1, 2].map(|i| other[i] > usual[i]))
            })
            .collect::<RunResult<_>>()?;
        let share = |by: usize| Counted::of(&more.iter().map(|m| m[by]).collect::<Vec<bool>>());
        Ok(PhysicsRow {
            kind,
            control: kind.is_control(),
            predictor: share(0),
            without_actions: share(1),
            pixels: share(2),
        })
    };
    PhysicsKind::ALL.into_iter().map(row).collect()
}

#[cfg(test)]
#[path = "../tests/unit/physics.rs"]
mod tests;

//! What goes wrong on purpose: faults of the simulated world at times drawn from the seed.

use foresight_planner::{Action, Pose};
use foresight_sim::{Disturbance, GroundTruth, Light, Object, Scene, SceneDistribution, Simulator};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::episode_spec::EpisodeSpec;
use crate::error::RunResult;
pub use crate::fault_kind::{FaultKind, Faults};

/// The stream of the seed's random numbers that faults draw from.
const FAULT_STREAM: u64 = 5;
/// The part of an episode's steps in which faults that can happen at any time do.
const EARLY: f64 = 0.6;
/// A gripper this far closed or more is closed.
const CLOSED: f64 = 0.25;
/// An action of the gripper from this size on closes or opens it.
const GRIPPER_ACTION: f64 = 0.1;
/// How far objects are knocked away, and beside the hand others are put, m.
const AWAY_M: [f64; 2] = [0.06, 0.10];
const BESIDE_M: [f64; 2] = [0.08, 0.15];
/// Colours differ by this much at least after a swap, summed over the channels.
const OTHER_COLOUR: f64 = 0.35;

/// Lets an episode's fault happen.
#[derive(Debug, Clone)]
pub struct FaultInjector {
    kind: FaultKind,
    /// Steps it could happen at that are still let pass.
    wait: u32,
    over: bool,
    from: SceneDistribution,
    rng: ChaCha8Rng,
}

impl FaultInjector {
    /// The fault of an episode; `None` when its scenario has none.
    pub fn of(spec: &EpisodeSpec) -> Option<Self> {
        let scenario = &spec.loaded.scenario;
        let kinds = &scenario.faults.as_ref()?.kinds;
        let turn = (spec.seed % kinds.len().max(1) as u64) as usize;
        let kind = *kinds.get(turn)?;
        let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
        rng.set_stream(FAULT_STREAM);
        let steps: u32 = scenario.subgoal.iter().map(|g| g.steps).sum();
        let chances = match kind {
            FaultKind::MissedGrasp => 1,
            FaultKind::GripperBlocked => 2,
            FaultKind::Slip => 6,
            _ => (f64::from(steps) * EARLY) as u32,
        };
        Some(FaultInjector {
            kind,
            wait: rng.random_range(0..chances.max(1)),
            over: false,
            from: scenario.scene.clone(),
            rng,
        })
    }

    /// Before an action: lets the fault happen when its time has come, and says so.
    ///
    /// # Errors
    /// [`crate::RunError::Simulator`] when the scene can't take it.
    pub fn before(
        &mut self,
        action: &Action,
        simulator: &mut Simulator,
    ) -> RunResult<Option<FaultKind>> {
        let (truth, hand) = (simulator.truth(), simulator.pose());
        if self.over || !can_happen(self.kind, &truth, &hand, action) {
            return Ok(None);
        }
        if self.wait > 0 {
            self.wait -= 1;
            return Ok(None);
        }
        self.over = true;
        let what = self.draw(&truth, &hand, simulator.scene());
        simulator.disturb(&what)?;
        Ok(Some(self.kind))
    }

    fn draw(&mut self, truth: &GroundTruth, hand: &Pose, scene: &Scene) -> Disturbance {
        let [x, y, _] = truth.object_position_m;
        let hand_xy = [hand.position_m[0], hand.position_m[1]];
        match self.kind {
            FaultKind::KnockedAway => Disturbance::MoveObject {
                to_m: self.around([x, y], AWAY_M, [x, y]),
            },
            FaultKind::MissedGrasp => {
                // Along the pads, or the object would hit a finger.
                let yaw = hand.euler_rad[2];
                let far = self.rng.random_range(AWAY_M[0]..=AWAY_M[1]);
                let far = if self.rng.random::<bool>() { far } else { -far };
                Disturbance::MoveObject {
                    to_m: [x + far * yaw.cos(), y + far * yaw.sin()],
                }
            }
            FaultKind::Slip => Disturbance::LoseGrip,
            FaultKind::Removed => Disturbance::RemoveObject,
            FaultKind::Swapped => {
                Disturbance::SwapObject(other_object(&self.from, &scene.object, &mut self.rng))
            }
            FaultKind::SecondObject => {
                let mut object = other_object(&self.from, &scene.object, &mut self.rng);
                object.position_m = self.around(hand_xy, BESIDE_M, [x, y]);
                Disturbance::AddObject(object)
            }
            FaultKind::Camera3Deg | FaultKind::Camera10Deg => {
                let ten = self.kind == FaultKind::Camera10Deg;
                Disturbance::TurnCamera {
                    angle_rad: if ten { 10.0_f64 } else { 3.0 }.to_radians(),
                    axis_rad: self.rng.random_range(0.0..std::f64::consts::TAU),
                }
            }
            FaultKind::LensCovered => Disturbance::CoverLens,
            FaultKind::GripperBlocked => Disturbance::BlockGripper,
            FaultKind::LightSwitched => Disturbance::SetLight(Light {
                intensity: 0.1 * scene.light.intensity,
                ..scene.light.clone()
            }),
        }
    }

    /// A point this far from `middle`, where objects are drawn from and clear of `clear`, as well
    /// as that can be had.
    fn around(&mut self, middle: [f64; 2], [least, most]: [f64; 2], clear: [f64; 2]) -> [f64; 2] {
        let inside = |at: f64, [low, high]: [f64; 2]| low <= at && at <= high;
        let mut at = middle;
        for _ in 0..64 {
            let far = self.rng.random_range(least..=most);
            let (sin, cos) = self.rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
            at = [middle[0] + far * cos, middle[1] + far * sin];
            let apart = (at[0] - clear[0]).hypot(at[1] - clear[1]);
            if inside(at[0], self.from.object_x_m)
                && inside(at[1], self.from.object_y_m)
                && apart >= AWAY_M[0]
            {
                break;
            }
        }
        at
    }
}

/// An object as a scenario's scenes have them, of another colour than `object`.
pub(crate) fn other_object(
    from: &SceneDistribution,
    object: &Object,
    rng: &mut ChaCha8Rng,
) -> Object {
    let mut other = from.sample(rng.random()).object;
    for _ in 0..64 {
        let pairs = other.colour.iter().zip(&object.colour);
        if pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() >= OTHER_COLOUR {
            break;
        }
        other = from.sample(rng.random()).object;
    }
    other
}

fn can_happen(kind: FaultKind, truth: &GroundTruth, hand: &Pose, action: &Action) -> bool {
    let closes = action.gripper > GRIPPER_ACTION && hand.gripper < CLOSED;
    let opens = action.gripper < -GRIPPER_ACTION && hand.gripper > CLOSED;
    match kind {
        FaultKind::Slip => truth.held && truth.object_height_m > 0.02,
        FaultKind::MissedGrasp => closes,
        FaultKind::GripperBlocked => closes || opens,
        _ => true,
    }
}

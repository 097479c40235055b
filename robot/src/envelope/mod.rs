//! The one safety gate between the planner and the wire.
//!
//! Pure: an action, the pose it starts from and the joints there go in; out comes the pose to
//! stream to, with a list of what was changed, or the reason it is refused. Both arms pass every
//! action through here, and only what comes out is streamed.

mod config;
mod reach;
mod report;

use foresight_planner::{Action, Pose};
use nalgebra::Isometry3;

pub use config::{EnvelopeConfig, EnvelopeError, WorkspaceBox};
use reach::Reach;
pub use report::{Adjustment, Refusal};

/// Halvings in the search for the longest part of an unreachable action: to a 32nd of it.
const HALVINGS: u32 = 5;

/// Clamping by less than this, m, is the rounding of plans in single precision, which nobody wants to read.
const TOLD_M: f64 = 1e-5;

/// The safety envelope: limits plus the arm's kinematics.
#[derive(Clone)]
pub struct Envelope {
    config: EnvelopeConfig,
    reach: Reach,
}

/// An action that may be streamed.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The action after all limits: what leads from the start to `goal`.
    pub sent: Action,
    /// The pose to stream to; its gripper is the closedness asked for.
    pub goal: Pose,
    /// `goal` without the gripper.
    pub placement: Isometry3<f64>,
    /// Joints that reach `goal` with the margin kept, rad.
    pub joints_rad: [f64; 7],
    /// What was changed on the way; empty when nothing.
    pub changed: Vec<Adjustment>,
}

impl Envelope {
    /// An envelope with these limits.
    ///
    /// # Errors
    /// [`EnvelopeError`] when a limit makes no sense.
    pub fn new(config: EnvelopeConfig) -> Result<Self, EnvelopeError> {
        Envelope::build(config, None)
    }

    /// An envelope for an arm whose end effector isn't the Franka Hand: `flange_to_tcp` is its
    /// transform from the flange.
    ///
    /// # Errors
    /// As [`Envelope::new`].
    pub fn with_tool(
        config: EnvelopeConfig,
        flange_to_tcp: &Isometry3<f64>,
    ) -> Result<Self, EnvelopeError> {
        Envelope::build(config, Some(flange_to_tcp))
    }

    fn build(config: EnvelopeConfig, tool: Option<&Isometry3<f64>>) -> Result<Self, EnvelopeError> {
        config.validate()?;
        let reach = Reach::new(config.joint_margin_rad, tool)?;
        Ok(Envelope { config, reach })
    }

    /// The limits.
    pub fn config(&self) -> &EnvelopeConfig {
        &self.config
    }

    /// Judges one action from the pose `start`, with the arm's joints at `joints_rad`.
    ///
    /// # Errors
    /// [`Refusal`] when a number is not finite, the arm stands far outside its box, or neither
    /// the action nor a shorter one along it can be reached.
    pub fn admit(
        &self,
        start: &Pose,
        joints_rad: &[f64; 7],
        action: &Action,
    ) -> Result<Admitted, Refusal> {
        self.check_inputs(start, joints_rad, action)?;
        let mut changed = Vec::new();
        let limited = self.clamp_action(action, &mut changed);
        let mut goal = start.apply(&limited);
        self.clamp_to_box(&mut goal, &mut changed);
        let (goal, joints_rad) = self.reachable(start, joints_rad, goal, &mut changed)?;
        Ok(Admitted {
            sent: start.action_to(&goal),
            placement: goal.isometry(),
            goal,
            joints_rad,
            changed,
        })
    }

    fn check_inputs(
        &self,
        start: &Pose,
        joints_rad: &[f64; 7],
        action: &Action,
    ) -> Result<(), Refusal> {
        const NAMES: [&str; 7] = ["dx", "dy", "dz", "drx", "dry", "drz", "gripper"];
        for (name, value) in NAMES.iter().zip(action.to_array()) {
            if !value.is_finite() {
                return Err(Refusal::NotFinite {
                    component: name.to_string(),
                });
            }
        }
        let measured = start.to_array().into_iter().chain(*joints_rad);
        if measured.into_iter().any(|v| !v.is_finite()) {
            return Err(Refusal::NotFinite {
                component: "measured pose".to_string(),
            });
        }
        for (i, axis) in ['x', 'y', 'z'].into_iter().enumerate() {
            let p = start.position_m[i];
            let (min, max) = (
                self.config.workspace.min_m[i],
                self.config.workspace.max_m[i],
            );
            let outside_m = (min - p).max(p - max);
            if outside_m > self.config.outside_tolerance_m {
                return Err(Refusal::OutsideBox { axis, outside_m });
            }
        }
        Ok(())
    }

    fn clamp_action(&self, action: &Action, changed: &mut Vec<Adjustment>) -> Action {
        let mut out = *action;
        let limit = self.config.max_translation_axis_m;
        for (i, axis) in ['x', 'y', 'z'].into_iter().enumerate() {
            let asked_m = out.translation_m[i];
            let sent_m = asked_m.clamp(-limit, limit);
            if sent_m != asked_m {
                changed.push(Adjustment::Axis {
                    axis,
                    asked_m,
                    sent_m,
                });
                out.translation_m[i] = sent_m;
            }
        }
        let asked_m = out.length_m();
        let sent_m = self.config.max_translation_m;
        if asked_m > sent_m {
            changed.push(Adjustment::Length { asked_m, sent_m });
            out.translation_m = out.translation_m.map(|v| v * sent_m / asked_m);
        }
        let asked_rad = out.angle_rad();
        let sent_rad = self.config.max_rotation_rad;
        if asked_rad > sent_rad {
            changed.push(Adjustment::Rotation {
                asked_rad,
                sent_rad,
            });
            out.rotation_rad = out.part(sent_rad / asked_rad).rotation_rad;
        }
        let sent = out
            .gripper
            .clamp(-self.config.max_gripper, self.config.max_gripper);
        if sent != out.gripper {
            changed.push(Adjustment::Gripper {
                asked: out.gripper,
                sent,
            });
            out.gripper = sent;
        }
        out
    }

    fn clamp_to_box(&self, goal: &mut Pose, changed: &mut Vec<Adjustment>) {
        let WorkspaceBox { min_m, max_m } = self.config.workspace;
        for (i, axis) in ['x', 'y', 'z'].into_iter().enumerate() {
            let asked_m = goal.position_m[i];
            let sent_m = asked_m.clamp(min_m[i], max_m[i]);
            if (sent_m - asked_m).abs() > TOLD_M {
                changed.push(Adjustment::Workspace {
                    axis,
                    asked_m,
                    sent_m,
                });
            }
            goal.position_m[i] = sent_m;
        }
        let floor_m = self.config.floor_m();
        let asked_m = goal.position_m[2];
        if asked_m < floor_m {
            if floor_m - asked_m > TOLD_M {
                changed.push(Adjustment::Table {
                    asked_m,
                    sent_m: floor_m,
                });
            }
            goal.position_m[2] = floor_m;
        }
    }

    /// The goal, or the longest part of the way to it, that joints can reach.
    fn reachable(
        &self,
        start: &Pose,
        joints_rad: &[f64; 7],
        goal: Pose,
        changed: &mut Vec<Adjustment>,
    ) -> Result<(Pose, [f64; 7]), Refusal> {
        let (from, to) = (start.isometry(), goal.isometry());
        let why = match self.reach.solve(&to, joints_rad) {
            Ok(joints) => return Ok((goal, joints)),
            Err(why) => why,
        };
        let (mut reached, mut missed) = (0.0, 1.0);
        let mut best = None;
        for _ in 0..HALVINGS {
            let fraction = (reached + missed) / 2.0;
            let part = along(&from, &to, fraction);
            // A start outside the box is only led back by a whole step.
            let p = part.translation.vector;
            let inside = self.config.workspace.contains(&[p.x, p.y, p.z], 0.0)
                && p.z >= self.config.floor_m();
            match self.reach.solve(&part, joints_rad) {
                Ok(joints) if inside => {
                    best = Some((fraction, part, joints));
                    reached = fraction;
                }
                _ => missed = fraction,
            }
        }
        if let Some((fraction, part, joints)) = best {
            changed.push(Adjustment::Shortened { fraction, why });
            return Ok((Pose::from_isometry(&part, goal.gripper), joints));
        }
        Err(Refusal::Unreachable { why })
    }
}

/// The placement a fraction of the way from one to the other.
fn along(from: &Isometry3<f64>, to: &Isometry3<f64>, fraction: f64) -> Isometry3<f64> {
    let position = from
        .translation
        .vector
        .lerp(&to.translation.vector, fraction);
    let rotation = from
        .rotation
        .try_slerp(&to.rotation, fraction, 1e-9)
        .unwrap_or(from.rotation);
    Isometry3::from_parts(position.into(), rotation)
}

//! From an action to what both arms do with it: the envelope's goal and the gripper's command.

use foresight_planner::{Action, Pose};
use nalgebra::Isometry3;

use crate::envelope::{Admitted, Envelope, Refusal};
use crate::gripper::{GripperCommand, GripperConfig, GripperPolicy};
use crate::se3::{angle_rad, distance_m};
use foresight_kinematics::hand::closedness;

/// An arm this near its last command stands there as far as the next action is concerned, m.
const AT_COMMAND_M: f64 = 0.005;
/// The same for the orientation, rad.
const AT_COMMAND_RAD: f64 = 0.03;

/// The envelope, the gripper's policy, and the last command, which the next action counts from.
#[derive(Clone)]
pub(crate) struct ActionGate {
    envelope: Envelope,
    gripper: GripperPolicy,
    commanded: Option<Isometry3<f64>>,
}

/// What to do about one action.
pub(crate) struct GatedCommand {
    /// What the envelope let through.
    pub admitted: Admitted,
    /// What to tell the gripper, if anything.
    pub gripper: Option<GripperCommand>,
    /// The pose commanded, gripper included.
    pub commanded: Pose,
}

impl ActionGate {
    pub(crate) fn new(envelope: Envelope, gripper: GripperConfig, width_m: f64) -> Self {
        ActionGate {
            envelope,
            gripper: GripperPolicy::new(gripper, width_m),
            commanded: None,
        }
    }

    /// Forgets the last command: the arm was stopped, or moved by someone else.
    pub(crate) fn forget(&mut self) {
        self.commanded = None;
    }

    /// The pose held now, for reports.
    pub(crate) fn held(&self, measured: &Isometry3<f64>) -> Pose {
        Pose::from_isometry(&self.start(measured), self.gripper.commanded())
    }

    /// Judges one action of an arm measured at `measured` with joints `joints_rad`, its fingers
    /// `width_m` apart; counted from the last command when the arm is on its way there.
    pub(crate) fn judge(
        &mut self,
        measured: &Isometry3<f64>,
        under_way: bool,
        joints_rad: &[f64; 7],
        width_m: f64,
        action: &Action,
    ) -> Result<GatedCommand, Refusal> {
        let start = match self.commanded {
            Some(commanded) if under_way => commanded,
            _ => self.start(measured),
        };
        let start = Pose::from_isometry(&start, closedness(width_m));
        let admitted = self.envelope.admit(&start, joints_rad, action)?;
        let gripper = self.gripper.command(admitted.sent.gripper, width_m);
        self.commanded = Some(admitted.placement);
        let commanded = Pose {
            gripper: self.gripper.commanded(),
            ..admitted.goal
        };
        Ok(GatedCommand {
            admitted,
            gripper,
            commanded,
        })
    }

    /// Where an action starts: at the last command when the arm reached it, so that small
    /// tracking errors don't add up over actions; else where the arm is.
    fn start(&self, measured: &Isometry3<f64>) -> Isometry3<f64> {
        self.commanded
            .filter(|c| {
                distance_m(c, measured) < AT_COMMAND_M && angle_rad(c, measured) < AT_COMMAND_RAD
            })
            .unwrap_or(*measured)
    }
}

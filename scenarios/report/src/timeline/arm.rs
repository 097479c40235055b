//! The arm's parts, and where they are.

use foresight_kinematics::hand::{HAND_TO_FINGERS_M, STROKE_M};
use foresight_kinematics::Fr3;
use foresight_planner::Pose;
use foresight_sim::parts::{self, VisualMesh};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

use super::sink::{Sink, TimelineError};

/// An arm to show.
pub(crate) struct ArmShown(Fr3);

impl ArmShown {
    /// Shows the arm's shape.
    ///
    /// # Errors
    /// [`TimelineError`] when the arm's description or the sink can't be used.
    pub(crate) fn new(sink: &mut dyn Sink) -> Result<Self, TimelineError> {
        let failed = |e: String| TimelineError::Run(format!("the arm's shape: {e}"));
        for part in parts::arm_and_hand().map_err(|e| failed(e.to_string()))? {
            sink.part(&part)?;
        }
        Fr3::new().map(ArmShown).map_err(|e| failed(e.to_string()))
    }

    /// Shows where every part is.
    ///
    /// # Errors
    /// [`TimelineError`] when the sink can't be written.
    pub(crate) fn place(
        &self,
        joints_rad: &[f64; 7],
        pose: &Pose,
        sink: &mut dyn Sink,
    ) -> Result<(), TimelineError> {
        let at = self.0.link_poses(joints_rad);
        for (name, link) in parts::LINKS.iter().zip(&at.links) {
            sink.placed(name, link)?;
        }
        sink.placed(parts::HAND, &at.hand)?;
        let half_m = STROKE_M / 2.0 * (1.0 - pose.gripper);
        let turned = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f64::consts::PI);
        for (name, side_m, rotation) in [
            (parts::FINGERS[0], half_m, UnitQuaternion::identity()),
            (parts::FINGERS[1], -half_m, turned),
        ] {
            let in_hand =
                Isometry3::from_parts(Translation3::new(0.0, side_m, HAND_TO_FINGERS_M), rotation);
            sink.placed(name, &(at.hand * in_hand))?;
        }
        Ok(())
    }
}

/// The hand's pose, whatever the arm's joints are.
pub(crate) fn place_hand(
    name: &str,
    pose: &Pose,
    sink: &mut dyn Sink,
) -> Result<(), TimelineError> {
    sink.placed(name, &pose.isometry())
}

/// The object of a scene.
pub(crate) fn object(scene: &foresight_sim::Scene) -> VisualMesh {
    parts::object(&scene.object)
}

//! The chain of rigid transforms from the base to the TCP.

use franka::model::{Frame, Model, FR3_URDF};
use nalgebra::{Isometry3, Matrix3, Rotation3, SMatrix, Translation3, UnitQuaternion, Vector3};

use crate::hand::{FLANGE_TO_TCP_M, HAND_YAW_RAD};
use crate::limits::joint_limits_rad;

/// The TCP's Jacobian in base axes: linear rows (m/rad), then angular rows (rad/rad).
pub type Jacobian = SMatrix<f64, 6, 7>;

/// Where the arm's visible parts are, in the base frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkPoses {
    /// `link0` (the base) to `link7`.
    pub links: [Isometry3<f64>; 8],
    /// The flange (`link8`).
    pub flange: Isometry3<f64>,
    /// The hand frame: the flange yawed by −45°.
    pub hand: Isometry3<f64>,
}

/// Why the arm's model could not be built.
#[derive(Debug, thiserror::Error)]
pub enum KinematicsError {
    /// franka-rs refused its own description of the arm.
    #[error("the FR3's description in franka-rs could not be read: {0}; its version probably does not fit this program")]
    Model(String),
}

/// A Franka Research 3 with the Franka Hand, or another end effector.
#[derive(Debug, Clone)]
pub struct Fr3 {
    /// Joint `i` in joint `i-1`'s frame at zero angle; every joint turns about its own z.
    placements: [Placement; 7],
    flange: Placement,
    /// From the flange to the TCP when it isn't the Franka Hand's.
    tool: Option<Placement>,
}

/// A constant transform, kept as a matrix because products are what it is used for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Placement {
    rotation: Matrix3<f64>,
    translation: Vector3<f64>,
}

impl Placement {
    const IDENTITY: Placement = Placement {
        rotation: Matrix3::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        translation: Vector3::new(0.0, 0.0, 0.0),
    };

    fn from_column_major(m: &[f64; 16]) -> Self {
        Placement {
            rotation: Matrix3::new(m[0], m[4], m[8], m[1], m[5], m[9], m[2], m[6], m[10]),
            translation: Vector3::new(m[12], m[13], m[14]),
        }
    }

    fn then(&self, next: &Placement) -> Placement {
        Placement {
            rotation: self.rotation * next.rotation,
            translation: self.translation + self.rotation * next.translation,
        }
    }

    fn inverse(&self) -> Placement {
        let rotation = self.rotation.transpose();
        Placement {
            rotation,
            translation: -(rotation * self.translation),
        }
    }

    /// Turned by `angle` about its own z: only the first two columns change.
    fn turned(mut self, angle: f64) -> Placement {
        let (sin, cos) = angle.sin_cos();
        let (x, y) = (
            self.rotation.column(0).into_owned(),
            self.rotation.column(1).into_owned(),
        );
        self.rotation.set_column(0, &(x * cos + y * sin));
        self.rotation.set_column(1, &(y * cos - x * sin));
        self
    }

    fn isometry(&self) -> Isometry3<f64> {
        let rotation = Rotation3::from_matrix_unchecked(self.rotation);
        Isometry3::from_parts(
            Translation3::from(self.translation),
            UnitQuaternion::from_rotation_matrix(&rotation),
        )
    }
}

impl Fr3 {
    /// Reads the arm's constants from franka-rs.
    ///
    /// # Errors
    /// [`KinematicsError::Model`] if franka-rs can't read its own FR3 description.
    pub fn new() -> Result<Self, KinematicsError> {
        let model =
            Model::from_urdf(FR3_URDF).map_err(|e| KinematicsError::Model(e.to_string()))?;
        let identity = Isometry3::<f64>::identity().to_homogeneous();
        let mut eye = [0.0; 16];
        eye.copy_from_slice(identity.as_slice());
        let at_zero =
            |frame| Placement::from_column_major(&model.pose_q(frame, &[0.0; 7], &eye, &eye));

        let mut placements = [Placement::IDENTITY; 7];
        let mut before = Placement::IDENTITY;
        for (placement, frame) in placements.iter_mut().zip(Frame::ALL) {
            let here = at_zero(frame);
            *placement = before.inverse().then(&here);
            before = here;
        }
        Ok(Fr3 {
            placements,
            flange: before.inverse().then(&at_zero(Frame::Flange)),
            tool: None,
        })
    }

    /// The same arm with another end effector: `flange_to_tcp` is what Desk calls the end
    /// effector's transform (`F_T_EE`).
    #[must_use]
    pub fn with_tool(mut self, flange_to_tcp: &Isometry3<f64>) -> Self {
        self.tool = Some(Placement {
            rotation: *flange_to_tcp.rotation.to_rotation_matrix().matrix(),
            translation: flange_to_tcp.translation.vector,
        });
        self
    }

    /// From the flange to the TCP: the Franka Hand's, or that of [`Fr3::with_tool`].
    pub fn tool(&self) -> Isometry3<f64> {
        match &self.tool {
            Some(tool) => tool.isometry(),
            None => franka_hand(),
        }
    }

    /// The end effector transform of an arm that reports its TCP at `tcp` with joints `q`, rad:
    /// what the arm's configuration really is, rather than what it should be.
    pub fn measured_tool(&self, q: &[f64; 7], tcp: &Isometry3<f64>) -> Isometry3<f64> {
        self.link_poses(q).flange.inverse() * tcp
    }

    /// Position limits of the seven joints, rad, lower then upper.
    pub fn limits() -> &'static [(f64, f64); 7] {
        joint_limits_rad()
    }

    /// The TCP in the base frame for joint angles `q` in rad.
    pub fn tcp_pose(&self, q: &[f64; 7]) -> Isometry3<f64> {
        let (_, tcp) = self.frames(q);
        tcp.isometry()
    }

    /// The poses of every visible part in the base frame for joint angles `q` in rad.
    pub fn link_poses(&self, q: &[f64; 7]) -> LinkPoses {
        let (joints, _) = self.frames(q);
        let mut links = [Isometry3::identity(); 8];
        for (link, joint) in links[1..].iter_mut().zip(&joints) {
            *link = joint.isometry();
        }
        let flange = joints[6].then(&self.flange);
        LinkPoses {
            links,
            flange: flange.isometry(),
            hand: flange.turned(HAND_YAW_RAD).isometry(),
        }
    }

    /// The TCP's Jacobian in base axes for joint angles `q` in rad.
    pub fn jacobian(&self, q: &[f64; 7]) -> Jacobian {
        self.tcp_and_jacobian(q).1
    }

    /// The TCP and its Jacobian, for the price of one.
    pub fn tcp_and_jacobian(&self, q: &[f64; 7]) -> (Isometry3<f64>, Jacobian) {
        let (joints, tcp) = self.frames(q);
        let mut jacobian = Jacobian::zeros();
        for (column, joint) in joints.iter().enumerate() {
            let axis = joint.rotation.column(2).into_owned();
            let linear = axis.cross(&(tcp.translation - joint.translation));
            jacobian
                .fixed_view_mut::<3, 1>(0, column)
                .copy_from(&linear);
            jacobian.fixed_view_mut::<3, 1>(3, column).copy_from(&axis);
        }
        (tcp.isometry(), jacobian)
    }

    fn frames(&self, q: &[f64; 7]) -> ([Placement; 7], Placement) {
        let mut joints = [Placement::IDENTITY; 7];
        let mut here = Placement::IDENTITY;
        for ((joint, placement), angle) in joints.iter_mut().zip(&self.placements).zip(q) {
            here = here.then(placement).turned(*angle);
            *joint = here;
        }
        let flange = here.then(&self.flange);
        if let Some(tool) = &self.tool {
            return (joints, flange.then(tool));
        }
        let mut tcp = flange.turned(HAND_YAW_RAD);
        tcp.translation += tcp.rotation.column(2) * FLANGE_TO_TCP_M;
        (joints, tcp)
    }
}

/// From the flange to the TCP of the Franka Hand.
pub fn franka_hand() -> Isometry3<f64> {
    Isometry3::from_parts(
        Translation3::new(0.0, 0.0, FLANGE_TO_TCP_M),
        UnitQuaternion::from_axis_angle(&Vector3::z_axis(), HAND_YAW_RAD),
    )
}

#[cfg(test)]
#[path = "../tests/unit/chain.rs"]
mod tests;

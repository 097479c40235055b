//! A moment of a simulation, as its camera sees it.

use foresight_kinematics::LinkPoses;
use image::RgbImage;
use nalgebra::Isometry3;

use crate::render;
use crate::scene::Scene;

/// Where everything visible was at one moment. Drawing takes milliseconds; with this the
/// simulation need not stand still meanwhile.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) scene: Scene,
    pub(crate) props: render::Props,
    pub(crate) arm: LinkPoses,
    pub(crate) fingers: [Isometry3<f64>; 2],
    pub(crate) object: Isometry3<f64>,
}

impl Snapshot {
    /// Draws what the camera sees, sRGB, `width` × `height` pixels.
    pub fn render(&self, width: u32, height: u32) -> RgbImage {
        render::render(&self.picture(), width, height, 1)
    }

    /// Like [`Snapshot::render`] from `factor`² samples a pixel: smooth edges for people.
    pub fn render_smooth(&self, width: u32, height: u32, factor: u32) -> RgbImage {
        render::render(&self.picture(), width, height, factor.clamp(1, 8))
    }

    fn picture(&self) -> render::Picture<'_> {
        render::Picture {
            scene: &self.scene,
            props: &self.props,
            arm: self.arm,
            fingers: self.fingers,
            object: self.object,
        }
    }
}

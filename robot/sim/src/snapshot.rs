//! A moment of a simulation, as its camera sees it.

use foresight_kinematics::LinkPoses;
use image::{Rgb, RgbImage};
use nalgebra::Isometry3;

use crate::render;
use crate::scene::{Camera, Scene};

/// What a covered lens sees.
const COVERED: Rgb<u8> = Rgb([9, 8, 8]);

/// Where everything visible was at one moment. Drawing takes milliseconds; with this the
/// simulation need not stand still meanwhile.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) scene: Scene,
    pub(crate) props: render::Props,
    pub(crate) arm: LinkPoses,
    pub(crate) fingers: [Isometry3<f64>; 2],
    /// `None` when there is none any more.
    pub(crate) object: Option<Isometry3<f64>>,
    /// Of the other objects, in their order.
    pub(crate) others: Vec<Isometry3<f64>>,
    pub(crate) lens_covered: bool,
}

impl Snapshot {
    /// Draws what the camera sees, sRGB, `width` × `height` pixels.
    pub fn render(&self, width: u32, height: u32) -> RgbImage {
        self.draw(None, width, height, 1)
    }

    /// Draws what one camera of the scene sees, by its place among [`Scene::cameras`]; the first for
    /// one there isn't.
    pub fn render_camera(&self, camera: usize, width: u32, height: u32) -> RgbImage {
        let camera = self.scene.cameras().nth(camera);
        let camera = camera.unwrap_or(&self.scene.camera);
        self.draw(Some(camera), width, height, 1)
    }

    /// Like [`Snapshot::render`] from `factor`² samples a pixel: smooth edges for people.
    pub fn render_smooth(&self, width: u32, height: u32, factor: u32) -> RgbImage {
        self.draw(None, width, height, factor.clamp(1, 8))
    }

    /// What this camera sees, or all of them side by side.
    fn draw(&self, camera: Option<&Camera>, width: u32, height: u32, factor: u32) -> RgbImage {
        if self.lens_covered {
            return RgbImage::from_pixel(width, height, COVERED);
        }
        match camera {
            Some(camera) => render::view(&self.picture(), camera, width, height, factor),
            None => render::render(&self.picture(), width, height, factor),
        }
    }

    fn picture(&self) -> render::Picture<'_> {
        render::Picture {
            scene: &self.scene,
            props: &self.props,
            arm: self.arm,
            fingers: self.fingers,
            object: self.object,
            others: &self.others,
        }
    }
}

//! From the base frame to pixels.

use nalgebra::{Isometry3, Matrix3, Vector3};

use crate::scene::Camera;

/// Nothing closer than this is drawn, m.
pub(crate) const NEAR_M: f32 = 0.05;

/// A pinhole camera with its picture: x right, y down, z into the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PinholeCamera {
    /// Base axes to camera axes.
    pub rotation: Matrix3<f32>,
    pub eye: Vector3<f32>,
    /// Pixels per unit of x/z and y/z.
    pub focal: f32,
    pub middle: [f32; 2],
}

/// An affine map from a mesh's frame into the camera's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToCamera {
    rotation: Matrix3<f32>,
    translation: Vector3<f32>,
}

impl ToCamera {
    pub(super) fn point(&self, p: &Vector3<f32>) -> Vector3<f32> {
        self.rotation * p + self.translation
    }
}

impl PinholeCamera {
    pub(super) fn new(camera: &Camera, width: usize, height: usize) -> Self {
        let eye = Vector3::from(camera.eye_m);
        let forward = (Vector3::from(camera.look_at_m) - eye).normalize();
        // Looking straight down, any direction can be up in the picture: take x.
        let up = if forward.z.abs() > 0.999 {
            Vector3::x()
        } else {
            Vector3::z()
        };
        let right = forward.cross(&up).normalize();
        let down = forward.cross(&right);
        let rows = [right.transpose(), down.transpose(), forward.transpose()];
        PinholeCamera {
            rotation: Matrix3::from_rows(&rows).cast(),
            eye: eye.cast(),
            focal: (height as f64 / 2.0 / (camera.fov_rad / 2.0).tan()) as f32,
            middle: [width as f32 / 2.0, height as f32 / 2.0],
        }
    }

    pub(super) fn to_camera(self, pose: &Isometry3<f64>) -> ToCamera {
        let rotation = pose.rotation.to_rotation_matrix().into_inner().cast();
        let translation: Vector3<f32> = pose.translation.vector.cast();
        ToCamera {
            rotation: self.rotation * rotation,
            translation: self.rotation * (translation - self.eye),
        }
    }

    /// Pixel coordinates and 1/z of a point in the camera's frame, z beyond [`NEAR_M`].
    pub(super) fn project(&self, p: &Vector3<f32>) -> [f32; 3] {
        let inverse = 1.0 / p.z;
        [
            self.middle[0] + self.focal * p.x * inverse,
            self.middle[1] + self.focal * p.y * inverse,
            inverse,
        ]
    }

    /// Whether a sphere in the camera's frame may be seen.
    pub(super) fn sees(&self, centre: &Vector3<f32>, radius: f32) -> bool {
        if centre.z + radius < NEAR_M {
            return false;
        }
        (0..2).all(|axis| {
            let slope = self.middle[axis] / self.focal;
            let reach = radius * (1.0 + slope * slope).sqrt();
            centre[axis].abs() <= centre.z * slope + reach
        })
    }

    /// The direction in base axes in which the middle of a pixel lies, not normalised: its
    /// camera z is 1.
    pub(super) fn ray(&self, x: usize, y: usize) -> Vector3<f32> {
        let local = Vector3::new(
            (x as f32 + 0.5 - self.middle[0]) / self.focal,
            (y as f32 + 0.5 - self.middle[1]) / self.focal,
            1.0,
        );
        self.rotation.tr_mul(&local)
    }
}

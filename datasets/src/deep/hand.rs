//! Where the hand is in a picture, by a pose and a camera's extrinsics.

use foresight_planner::{euler, Pose};
use nalgebra::{Point3, Vector3};

/// A pinhole camera: extrinsics as recorded, square pixels, its middle in the picture's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewpoint {
    /// x y z m, extrinsic xyz Euler rad, base frame; z points into the picture, x to its right.
    pub(super) pose: [f64; 6],
    /// Angle of view from the picture's top to its bottom, rad.
    pub(super) fov_rad: f64,
    /// Width and height of the picture, px.
    pub(super) size: [usize; 2],
}

impl Viewpoint {
    /// Pixels per unit of x/z.
    pub(super) fn focal_px(&self) -> f64 {
        self.size[1] as f64 / 2.0 / (self.fov_rad / 2.0).tan()
    }

    /// Where a point in the base frame appears, px; `None` behind the camera.
    pub(super) fn project(&self, point: &Point3<f64>) -> Option<[f64; 2]> {
        let [x, y, z, a, b, c] = self.pose;
        let local = euler::to_matrix([a, b, c]).tr_mul(&(point.coords - Vector3::new(x, y, z)));
        let [width, height] = self.size.map(|side| side as f64);
        (local.z > 0.05).then(|| {
            let by = self.focal_px() / local.z;
            [width / 2.0 + by * local.x, height / 2.0 + by * local.y]
        })
    }
}

/// Points on the Franka Hand and the flange it hangs on, in the frame of the fingertips (z points out
/// of the hand), m. Parallel grippers of other makers are much like it at the size of a few pixels.
pub(super) fn points() -> Vec<Vector3<f64>> {
    let mut points = Vec::new();
    let steps = |from: f64, to: f64, count: usize| {
        (0..count).map(move |i| from + (to - from) * i as f64 / (count - 1) as f64)
    };
    for z in steps(-0.10, -0.045, 7) {
        for y in steps(-0.10, 0.10, 11) {
            points.extend(steps(-0.03, 0.03, 4).map(|x| Vector3::new(x, y, z)));
        }
    }
    for z in steps(-0.20, -0.10, 8) {
        let round = steps(0.0, std::f64::consts::TAU, 13);
        points.extend(round.map(|a| Vector3::new(0.045 * a.cos(), 0.045 * a.sin(), z)));
    }
    for z in steps(-0.045, 0.0, 6) {
        let sides = [-0.045, -0.03, -0.015, 0.015, 0.03, 0.045];
        points.extend(sides.map(|y| Vector3::new(0.0, y, z)));
    }
    points
}

/// The fingertips, where poses are of a frame that lies `behind_m` behind them.
pub(super) fn tip(pose: &Pose, behind_m: f64) -> Point3<f64> {
    pose.isometry() * Point3::new(0.0, 0.0, behind_m)
}

/// Those points in the picture, px.
pub(super) fn shown(
    pose: &Pose,
    behind_m: f64,
    camera: &Viewpoint,
    points: &[Vector3<f64>],
) -> Vec<[f64; 2]> {
    let place = pose.isometry();
    let behind = Vector3::new(0.0, 0.0, behind_m);
    let places = points.iter().map(|p| place * Point3::from(p + behind));
    places.filter_map(|p| camera.project(&p)).collect()
}

//! What may happen to a scene from outside: an object is moved, lost or swapped, a camera bumped.

use nalgebra::{Rotation3, Unit, Vector3};

use crate::goals::ObjectPose;
use crate::scene::{Camera, Light, Object};
use crate::simulator::{SimError, Simulator};

/// How long pads stay slippery, s: long enough for what they hold to fall out.
const SLIPPERY_S: f64 = 0.8;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Disturbance {
    /// The object stands elsewhere on the table, upright, whoever held it.
    MoveObject {
        /// Its middle, base frame, m.
        to_m: [f64; 2],
    },
    /// The pads lose their grip for a moment.
    LoseGrip,
    /// The object is gone.
    RemoveObject,
    /// Another object is where it was; its own place in the scene counts nothing.
    SwapObject(Object),
    /// Another object stands on the table too, at its own place.
    AddObject(Object),
    /// The (first) camera is turned where it stands.
    TurnCamera {
        /// By how much, rad.
        angle_rad: f64,
        /// About which axis across the line of sight, rad from the horizontal.
        axis_rad: f64,
    },
    /// Something covers the lens.
    CoverLens,
    /// The fingers stay where they are, whatever they are told.
    BlockGripper,
    /// Another lamp.
    SetLight(Light),
}

impl Simulator {
    /// Lets something happen, now.
    ///
    /// # Errors
    /// [`SimError::Invalid`] for numbers that are no place.
    pub fn disturb(&mut self, what: &Disturbance) -> Result<(), SimError> {
        match what {
            Disturbance::MoveObject { to_m: [x, y] } => {
                let object = &self.scene().object;
                let at = [*x, *y, object.size_m[2] / 2.0];
                self.set_object(&ObjectPose::upright(at, object.yaw_rad))
            }
            Disturbance::LoseGrip => {
                self.grease_pads(SLIPPERY_S);
                Ok(())
            }
            Disturbance::RemoveObject => self.remove_object(),
            Disturbance::SwapObject(object) => {
                self.swap_object(object);
                Ok(())
            }
            Disturbance::AddObject(object) => {
                self.add_object(object);
                Ok(())
            }
            Disturbance::TurnCamera {
                angle_rad,
                axis_rad,
            } => {
                let turned = turned(&self.scene().camera, *angle_rad, *axis_rad);
                self.scene_mut().camera = turned;
                Ok(())
            }
            Disturbance::CoverLens => {
                self.cover_lens();
                Ok(())
            }
            Disturbance::BlockGripper => {
                self.block_gripper();
                Ok(())
            }
            Disturbance::SetLight(light) => {
                self.scene_mut().light = light.clone();
                Ok(())
            }
        }
    }
}

/// The camera looking elsewhere from the same place.
fn turned(camera: &Camera, angle_rad: f64, axis_rad: f64) -> Camera {
    let eye = Vector3::from(camera.eye_m);
    let forward = Vector3::from(camera.look_at_m) - eye;
    let across = forward
        .cross(&Vector3::z())
        .try_normalize(1e-9)
        .unwrap_or_else(Vector3::x);
    let axis = Unit::new_normalize(
        across * axis_rad.cos() + forward.normalize().cross(&across) * axis_rad.sin(),
    );
    let forward = Rotation3::from_axis_angle(&axis, angle_rad) * forward;
    Camera {
        look_at_m: (eye + forward).into(),
        ..camera.clone()
    }
}

//! What stands where: plain data, SI units, the robot's base frame.

use foresight_planner::Pose;
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::colour::ColourName;

/// Everything a simulated episode starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// The object to move.
    pub object: Object,
    /// Where it should go: a disc painted on the table.
    pub target: TargetDisc,
    /// The table.
    pub table: TableTop,
    /// The lamp.
    pub light: Light,
    /// The camera, any jitter already applied.
    pub camera: Camera,
    /// More cameras, whose pictures stand to the right of the first one's in every frame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_cameras: Vec<Camera>,
    /// Where the hand starts.
    pub start: StartPose,
    /// Other objects on the table, which the task leaves where they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Object>,
    /// Other discs, which are not where the object should go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_targets: Vec<TargetDisc>,
}

impl Scene {
    /// All cameras, in the order in which their pictures stand in a frame.
    pub fn cameras(&self) -> impl Iterator<Item = &Camera> {
        std::iter::once(&self.camera).chain(&self.other_cameras)
    }

    /// All objects, the one to move first.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        std::iter::once(&self.object).chain(&self.others)
    }

    /// All discs, the one the object should go to first.
    pub fn targets(&self) -> impl Iterator<Item = &TargetDisc> {
        std::iter::once(&self.target).chain(&self.other_targets)
    }

    /// The same scene for a task that moves object number `object` to disc number `target`, both
    /// counted from 0 in the order of [`Scene::objects`] and [`Scene::targets`]: each changes
    /// places with the first. Doing it twice undoes it. `None` where there is no such object or disc.
    pub fn about(&self, object: usize, target: usize) -> Option<Scene> {
        let mut scene = self.clone();
        if let Some(other) = object.checked_sub(1) {
            std::mem::swap(&mut scene.object, scene.others.get_mut(other)?);
        }
        if let Some(other) = target.checked_sub(1) {
            std::mem::swap(&mut scene.target, scene.other_targets.get_mut(other)?);
        }
        Some(scene)
    }
}

/// What kind of body the object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A solid box.
    Box,
    /// A round cup, open at the top.
    Cup,
}

impl ObjectKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ObjectKind::Box => "box",
            ObjectKind::Cup => "cup",
        }
    }
}

/// The object, standing upright on the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ObjectFile")]
pub struct Object {
    /// Its kind.
    pub kind: ObjectKind,
    /// Extent along its own x, y and z, m; a cup's x and y are its outer diameter.
    pub size_m: [f64; 3],
    /// Where its middle stands on the table, x and y, m.
    pub position_m: [f64; 2],
    /// Its turn about z, rad.
    pub yaw_rad: f64,
    /// Linear RGB reflectance, 0 to 1.
    pub colour: [f64; 3],
    /// Coulomb friction on the table. Written as `table_friction`; a scene written before that has
    /// `friction` instead, of which the table took the mean with 0.8, and is read accordingly.
    #[serde(rename = "table_friction")]
    pub friction: f64,
    /// Density of its material, kg/m³.
    pub density_kg_m3: f64,
}

/// An object as scenes have it, old ones included.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectFile {
    kind: ObjectKind,
    size_m: [f64; 3],
    position_m: [f64; 2],
    yaw_rad: f64,
    colour: [f64; 3],
    table_friction: Option<f64>,
    friction: Option<f64>,
    density_kg_m3: f64,
}

impl TryFrom<ObjectFile> for Object {
    type Error = &'static str;

    fn try_from(file: ObjectFile) -> Result<Self, Self::Error> {
        let friction = match (file.table_friction, file.friction) {
            (Some(friction), None) => friction,
            (None, Some(old)) => (old + 0.8) / 2.0,
            _ => {
                return Err("an object has one of `table_friction` and, in old scenes, `friction`")
            }
        };
        Ok(Object {
            kind: file.kind,
            size_m: file.size_m,
            position_m: file.position_m,
            yaw_rad: file.yaw_rad,
            colour: file.colour,
            friction,
            density_kg_m3: file.density_kg_m3,
        })
    }
}

impl Object {
    /// What it is called: the name nearest to its colour, and its kind.
    pub fn name(&self) -> String {
        format!("{} {}", ColourName::nearest(self.colour), self.kind.name())
    }

    /// Its pose standing upright on the table, the origin in the middle of its extent.
    pub fn pose(&self) -> Isometry3<f64> {
        let [x, y] = self.position_m;
        Isometry3::from_parts(
            Translation3::new(x, y, self.size_m[2] / 2.0),
            UnitQuaternion::from_axis_angle(&Vector3::z_axis(), self.yaw_rad),
        )
    }
}

/// The disc the object should be brought to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetDisc {
    /// Its middle on the table, x and y, m.
    pub position_m: [f64; 2],
    /// Its radius, m.
    pub radius_m: f64,
    /// Linear RGB reflectance, 0 to 1.
    pub colour: [f64; 3],
}

impl TargetDisc {
    /// What it is called: the name nearest to its colour.
    pub fn name(&self) -> String {
        format!("{} disc", ColourName::nearest(self.colour))
    }
}

/// The table top and what lies behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableTop {
    /// Linear RGB reflectance of the top, 0 to 1.
    pub colour: [f64; 3],
    /// Linear RGB of what is seen past the table, 0 to 1.
    pub background: [f64; 3],
}

/// A lamp far away, plus light from everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Light {
    /// Direction towards the lamp; any length but zero.
    pub towards: [f64; 3],
    /// Strength of the lamp; 1 is a well-lit surface facing it.
    pub intensity: f64,
    /// Strength of the light from everywhere.
    pub ambient: f64,
}

/// A pinhole camera; z is up in the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// Where it is, m.
    pub eye_m: [f64; 3],
    /// The point in the middle of the picture, m.
    pub look_at_m: [f64; 3],
    /// Vertical field of view, rad.
    pub fov_rad: f64,
}

/// Where the hand starts, pointing straight down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartPose {
    /// TCP position, m.
    pub position_m: [f64; 3],
    /// The hand's turn about z, rad; at 0 the fingers open along y.
    pub yaw_rad: f64,
    /// Closedness, 0 open to 1 closed.
    pub gripper: f64,
}

impl StartPose {
    /// The same as the planner's vocabulary has it.
    pub fn pose(&self) -> Pose {
        Pose {
            position_m: self.position_m,
            euler_rad: [std::f64::consts::PI, 0.0, self.yaw_rad],
            gripper: self.gripper,
        }
    }
}

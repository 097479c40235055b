//! Where scenes come from: ranges, and a seed.

use foresight_planner::pose_units::FARTHEST_CAMERA_M;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::colour::hsv_to_rgb;
use crate::crowd::{self, SeveralObjects, SeveralTargets};
use crate::scene::{Camera, Light, Object, ObjectKind, Scene, StartPose, TableTop, TargetDisc};

/// The stream of a seed's random numbers that draws the jitter of all cameras but the first.
const OTHER_CAMERAS_STREAM: u64 = 7;

/// Fields of view that a camera can have, rad.
const LEAST_FOV_RAD: f64 = 0.01;
const MOST_FOV_RAD: f64 = 3.0;

/// `[low, high]`; a value is drawn evenly from between them.
pub type Range = [f64; 2];

/// Ranges that scenes are drawn from. Every field has a default; lengths in m, angles in rad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SceneDistribution {
    /// The kinds of object, equally likely.
    pub object_kinds: Vec<ObjectKind>,
    /// Width of a box across the fingers and along them, m.
    pub box_width_m: Range,
    /// Height of a box, m.
    pub box_height_m: Range,
    /// Outer diameter of a cup, m.
    pub cup_diameter_m: Range,
    /// Height of a cup, m.
    pub cup_height_m: Range,
    /// Where the object stands, x, m.
    pub object_x_m: Range,
    /// Where the object stands, y, m.
    pub object_y_m: Range,
    /// The object's turn against the hand's, rad.
    pub object_yaw_rad: Range,
    /// The object's hue, 0 to 1 around the colour circle; whole numbers are red.
    pub object_hue: Range,
    /// The object's saturation, 0 to 1.
    pub object_saturation: Range,
    /// The object's brightness, 0 to 1.
    pub object_value: Range,
    /// Coulomb friction of the object on the table. The hand's rubber pads grip it better: by 0.2, or
    /// by a quarter where it is below 0.8.
    pub friction: Range,
    /// Density of the object's material, kg/m³.
    pub density_kg_m3: Range,
    /// Where the target disc lies, x, m.
    pub target_x_m: Range,
    /// Where the target disc lies, y, m.
    pub target_y_m: Range,
    /// Radius of the target disc, m.
    pub target_radius_m: Range,
    /// The target's hue.
    pub target_hue: Range,
    /// The target lies at least this far from the object, m.
    pub target_min_distance_m: f64,
    /// Whether `start_x_m`, `start_y_m` and `start_z_m` count from the middle of the object's top
    /// rather than from the base frame's origin.
    pub start_relative_to_object: bool,
    /// Where the TCP starts, x, m.
    pub start_x_m: Range,
    /// Where the TCP starts, y, m.
    pub start_y_m: Range,
    /// Where the TCP starts, z, m.
    pub start_z_m: Range,
    /// The hand's turn about z, rad; at 0 the fingers open along y.
    pub start_yaw_rad: Range,
    /// Closedness of the gripper at the start.
    pub start_gripper: Range,
    /// Brightness of the table, 0 to 1.
    pub table_value: Range,
    /// Direction of the lamp around z, rad; 0 is along x.
    pub light_azimuth_rad: Range,
    /// Height of the lamp, rad; π/2 is straight above.
    pub light_elevation_rad: Range,
    /// Strength of the lamp.
    pub light_intensity: Range,
    /// Strength of the light from everywhere.
    pub light_ambient: Range,
    /// The camera before jitter.
    pub camera_eye_m: [f64; 3],
    /// What it looks at before jitter.
    pub camera_look_at_m: [f64; 3],
    /// Its vertical field of view, rad.
    pub camera_fov_rad: f64,
    /// Each coordinate of the eye moves by up to this, m.
    pub camera_eye_jitter_m: f64,
    /// Each coordinate of the point looked at moves by up to this, m.
    pub camera_look_at_jitter_m: f64,
    /// More cameras, before the same jitter as the first one's: their pictures stand to the right
    /// of its picture, each as wide, in every frame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_cameras: Vec<Camera>,
    /// Several objects, of which no two have both colour and kind in common; one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<SeveralObjects>,
    /// Several target discs of different colours; one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<SeveralTargets>,
}

impl Default for SceneDistribution {
    /// [`SceneDistribution::near_start`].
    fn default() -> Self {
        SceneDistribution {
            object_kinds: vec![ObjectKind::Box, ObjectKind::Cup],
            box_width_m: [0.04, 0.052],
            box_height_m: [0.04, 0.06],
            cup_diameter_m: [0.05, 0.062],
            cup_height_m: [0.06, 0.075],
            object_x_m: [0.42, 0.58],
            object_y_m: [-0.13, 0.13],
            object_yaw_rad: [-0.12, 0.12],
            // From violet over red to yellow: the target is green.
            object_hue: [-0.35, 0.20],
            object_saturation: [0.75, 1.0],
            object_value: [0.55, 0.95],
            friction: [0.8, 1.0],
            density_kg_m3: [300.0, 700.0],
            target_x_m: [0.42, 0.58],
            target_y_m: [-0.13, 0.13],
            target_radius_m: [0.045, 0.045],
            target_hue: [0.40, 0.40],
            target_min_distance_m: 0.11,
            start_relative_to_object: true,
            start_x_m: [-0.04, 0.04],
            start_y_m: [-0.04, 0.04],
            start_z_m: [0.05, 0.12],
            start_yaw_rad: [0.0, 0.0],
            start_gripper: [0.0, 0.0],
            table_value: [0.10, 0.25],
            light_azimuth_rad: [-1.2, 1.2],
            light_elevation_rad: [0.9, 1.35],
            light_intensity: [0.75, 1.0],
            light_ambient: [0.30, 0.45],
            camera_eye_m: [1.12, 0.36, 0.50],
            camera_look_at_m: [0.50, 0.015, 0.10],
            camera_fov_rad: 0.48,
            camera_eye_jitter_m: 0.04,
            camera_look_at_jitter_m: 0.01,
            other_cameras: Vec::new(),
            objects: None,
            targets: None,
        }
    }
}

/// Why a distribution makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DistributionError {
    /// A range ends before it begins, or leaves what is physically possible.
    #[error(
        "scene distribution: {field} = [{low}, {high}] must be ascending and within [{min}, {max}]"
    )]
    Range {
        /// The field's name.
        field: &'static str,
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
        /// The smallest value allowed.
        min: f64,
        /// The largest value allowed.
        max: f64,
    },
    /// No object kinds.
    #[error("scene distribution: object_kinds is empty; name at least one of \"box\", \"cup\"")]
    NoKinds,
    /// Several objects or targets that can't be, or a camera that can't.
    #[error("scene distribution: {what}; {remedy}")]
    Several {
        /// The key at fault.
        field: &'static str,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl SceneDistribution {
    /// The hand starts within a few centimetres of the object, above it.
    pub fn near_start() -> Self {
        Self::default()
    }

    /// The hand starts anywhere over the workspace.
    pub fn wide_start() -> Self {
        SceneDistribution {
            start_relative_to_object: false,
            start_x_m: [0.40, 0.60],
            start_y_m: [-0.16, 0.16],
            start_z_m: [0.14, 0.26],
            ..Self::default()
        }
    }

    /// Checks that every range ascends and is physically possible.
    ///
    /// # Errors
    /// [`DistributionError`] names the first field that isn't.
    pub fn validate(&self) -> Result<(), DistributionError> {
        if self.object_kinds.is_empty() {
            return Err(DistributionError::NoKinds);
        }
        let (near, pi) = (2.0, std::f64::consts::PI);
        let (fov, apart) = ([self.camera_fov_rad; 2], [self.target_min_distance_m; 2]);
        let (eye, look_at) = (self.camera_eye_jitter_m, self.camera_look_at_jitter_m);
        let checks: [(&'static str, Range, f64, f64); 30] = [
            ("box_width_m", self.box_width_m, 0.01, 0.075),
            ("box_height_m", self.box_height_m, 0.01, 0.3),
            ("cup_diameter_m", self.cup_diameter_m, 0.02, 0.075),
            ("cup_height_m", self.cup_height_m, 0.02, 0.3),
            ("object_x_m", self.object_x_m, -near, near),
            ("object_y_m", self.object_y_m, -near, near),
            ("object_yaw_rad", self.object_yaw_rad, -pi, pi),
            ("object_hue", self.object_hue, -1.0, 2.0),
            ("object_saturation", self.object_saturation, 0.0, 1.0),
            ("object_value", self.object_value, 0.0, 1.0),
            ("friction", self.friction, 0.0, 3.0),
            ("density_kg_m3", self.density_kg_m3, 10.0, 20_000.0),
            ("target_x_m", self.target_x_m, -near, near),
            ("target_y_m", self.target_y_m, -near, near),
            ("target_radius_m", self.target_radius_m, 0.005, 0.3),
            ("target_hue", self.target_hue, -1.0, 2.0),
            ("start_x_m", self.start_x_m, -near, near),
            ("start_y_m", self.start_y_m, -near, near),
            ("start_z_m", self.start_z_m, -near, near),
            ("start_yaw_rad", self.start_yaw_rad, -pi, pi),
            ("start_gripper", self.start_gripper, 0.0, 1.0),
            ("table_value", self.table_value, 0.0, 1.0),
            (
                "light_elevation_rad",
                self.light_elevation_rad,
                0.2,
                pi / 2.0,
            ),
            ("light_azimuth_rad", self.light_azimuth_rad, -pi, pi),
            ("light_intensity", self.light_intensity, 0.0, 10.0),
            ("light_ambient", self.light_ambient, 0.0, 10.0),
            ("target_min_distance_m", apart, 0.0, 2.0 * near),
            ("camera_eye_jitter_m", [eye; 2], 0.0, near),
            ("camera_look_at_jitter_m", [look_at; 2], 0.0, near),
            ("camera_fov_rad", fov, LEAST_FOV_RAD, MOST_FOV_RAD),
        ];
        for (field, [low, high], min, max) in checks {
            // Written so that NaN fails too.
            if !(low <= high && low >= min && high <= max) {
                return Err(DistributionError::Range {
                    field,
                    low,
                    high,
                    min,
                    max,
                });
            }
        }
        let first = Camera {
            eye_m: self.camera_eye_m,
            look_at_m: self.camera_look_at_m,
            fov_rad: self.camera_fov_rad,
        };
        for (field, camera) in std::iter::once(("camera_eye_m", &first))
            .chain(self.other_cameras.iter().map(|c| ("other_cameras", c)))
        {
            let apart = (0..3).map(|i| (camera.eye_m[i] - camera.look_at_m[i]).powi(2));
            let mut places = camera.eye_m.iter().chain(&camera.look_at_m);
            // Written so that NaN fails too.
            let sane = places.all(|v| v.abs() <= FARTHEST_CAMERA_M)
                && apart.sum::<f64>() > 1e-4
                && (LEAST_FOV_RAD..=MOST_FOV_RAD).contains(&camera.fov_rad);
            if !sane {
                return Err(DistributionError::Several {
                    field,
                    what: format!(
                        "a camera at {:?} m looks at {:?} m, {} rad wide",
                        camera.eye_m, camera.look_at_m, camera.fov_rad
                    ),
                    remedy: "give two places in m, at most 10 from the base and more than 1 cm apart, and an angle of 0.01 to 3 rad",
                });
            }
        }
        crowd::check(self)
    }

    /// The scene of `seed`: the same seed, the same scene.
    pub fn sample(&self, seed: u64) -> Scene {
        let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
        let start_yaw_rad = draw.from(self.start_yaw_rad);
        let object = self.object(&mut draw, start_yaw_rad);
        let target = self.target(&mut draw, object.position_m);
        let start = self.start(&mut draw, &object, start_yaw_rad);
        let table_value = draw.from(self.table_value);
        let tint = draw.from([-0.03, 0.03]);
        let background = draw.from([0.10, 0.22]);
        let mut scene = Scene {
            object,
            target,
            table: TableTop {
                colour: [table_value + tint, table_value, table_value - tint],
                background: [background, background * 1.03, background * 1.06],
            },
            light: self.light(&mut draw),
            camera: self.camera(&mut draw),
            other_cameras: self.other_cameras(seed),
            start,
            others: Vec::new(),
            other_targets: Vec::new(),
        };
        crowd::add(self, &mut scene, seed);
        for_each_number(&mut scene, |x| *x = (*x * 1e6).round() / 1e6);
        for object in std::iter::once(&mut scene.object).chain(&mut scene.others) {
            object.friction = (object.friction * 2e6).round() / 2e6;
        }
        scene
    }

    fn object(&self, draw: &mut Draw, hand_yaw_rad: f64) -> Object {
        let kind = match self.object_kinds.len() {
            0 => ObjectKind::Box,
            n => self.object_kinds[draw.0.random_range(0..n)],
        };
        self.object_of(kind, draw, hand_yaw_rad)
    }

    /// An object of a kind.
    pub(crate) fn object_of(&self, kind: ObjectKind, draw: &mut Draw, hand_yaw_rad: f64) -> Object {
        let size_m = match kind {
            ObjectKind::Box => {
                let (x, y) = (draw.from(self.box_width_m), draw.from(self.box_width_m));
                [x, y, draw.from(self.box_height_m)]
            }
            ObjectKind::Cup => {
                let diameter = draw.from(self.cup_diameter_m);
                [diameter, diameter, draw.from(self.cup_height_m)]
            }
        };
        Object {
            kind,
            size_m,
            position_m: [draw.from(self.object_x_m), draw.from(self.object_y_m)],
            yaw_rad: hand_yaw_rad + draw.from(self.object_yaw_rad),
            colour: hsv_to_rgb([
                draw.from(self.object_hue),
                draw.from(self.object_saturation),
                draw.from(self.object_value),
            ]),
            friction: draw.from(self.friction),
            density_kg_m3: draw.from(self.density_kg_m3),
        }
    }

    fn target(&self, draw: &mut Draw, object_m: [f64; 2]) -> TargetDisc {
        let away = |p: &[f64; 2]| (p[0] - object_m[0]).hypot(p[1] - object_m[1]);
        let mut best = [draw.from(self.target_x_m), draw.from(self.target_y_m)];
        // Ranges too small to keep the distance give the farthest of what was drawn.
        for _ in 0..64 {
            if away(&best) >= self.target_min_distance_m {
                break;
            }
            let next = [draw.from(self.target_x_m), draw.from(self.target_y_m)];
            if away(&next) > away(&best) {
                best = next;
            }
        }
        TargetDisc {
            position_m: best,
            radius_m: draw.from(self.target_radius_m),
            colour: hsv_to_rgb([draw.from(self.target_hue), 0.75, 0.55]),
        }
    }

    fn start(&self, draw: &mut Draw, object: &Object, yaw_rad: f64) -> StartPose {
        let origin = if self.start_relative_to_object {
            [object.position_m[0], object.position_m[1], object.size_m[2]]
        } else {
            [0.0; 3]
        };
        let ranges = [self.start_x_m, self.start_y_m, self.start_z_m];
        StartPose {
            position_m: std::array::from_fn(|i| origin[i] + draw.from(ranges[i])),
            yaw_rad,
            gripper: draw.from(self.start_gripper),
        }
    }

    fn light(&self, draw: &mut Draw) -> Light {
        let azimuth = draw.from(self.light_azimuth_rad);
        let elevation = draw.from(self.light_elevation_rad);
        Light {
            towards: [
                elevation.cos() * azimuth.cos(),
                elevation.cos() * azimuth.sin(),
                elevation.sin(),
            ],
            intensity: draw.from(self.light_intensity),
            ambient: draw.from(self.light_ambient),
        }
    }

    fn camera(&self, draw: &mut Draw) -> Camera {
        let camera = Camera {
            eye_m: self.camera_eye_m,
            look_at_m: self.camera_look_at_m,
            fov_rad: self.camera_fov_rad,
        };
        self.jittered(&camera, draw)
    }

    /// The others draw from a stream of their own: the rest of a seed's scene is the same without them.
    fn other_cameras(&self, seed: u64) -> Vec<Camera> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(OTHER_CAMERAS_STREAM);
        let mut draw = Draw(rng);
        let cameras = self.other_cameras.iter();
        cameras.map(|c| self.jittered(c, &mut draw)).collect()
    }

    fn jittered(&self, camera: &Camera, draw: &mut Draw) -> Camera {
        let (e, l) = (self.camera_eye_jitter_m, self.camera_look_at_jitter_m);
        Camera {
            eye_m: camera.eye_m.map(|x| x + draw.from([-e, e])),
            look_at_m: camera.look_at_m.map(|x| x + draw.from([-l, l])),
            fov_rad: camera.fov_rad,
        }
    }
}

/// Every number of a scene but the friction, which is a mean of two such and keeps half a millionth.
/// Sampled scenes are rounded to six decimals: they read well in a file,
/// and come back from it with the same bits from any JSON parser.
fn for_each_number(scene: &mut Scene, mut visit: impl FnMut(&mut f64)) {
    let Scene {
        object,
        target,
        table,
        light,
        camera,
        other_cameras,
        start,
        others,
        other_targets,
    } = scene;
    let triples = [
        &mut table.colour,
        &mut table.background,
        &mut light.towards,
        &mut start.position_m,
    ];
    triples.into_iter().flatten().for_each(&mut visit);
    for camera in std::iter::once(camera).chain(other_cameras) {
        let triples = [&mut camera.eye_m, &mut camera.look_at_m];
        triples.into_iter().flatten().for_each(&mut visit);
        visit(&mut camera.fov_rad);
    }
    for object in std::iter::once(object).chain(others) {
        let triples = [&mut object.size_m, &mut object.colour];
        triples.into_iter().flatten().for_each(&mut visit);
        object.position_m.iter_mut().for_each(&mut visit);
        visit(&mut object.yaw_rad);
        visit(&mut object.density_kg_m3);
    }
    for target in std::iter::once(target).chain(other_targets) {
        target.colour.iter_mut().for_each(&mut visit);
        target.position_m.iter_mut().for_each(&mut visit);
        visit(&mut target.radius_m);
    }
    for single in [
        &mut light.intensity,
        &mut light.ambient,
        &mut start.yaw_rad,
        &mut start.gripper,
    ] {
        visit(single);
    }
}

/// Draws from ranges.
pub(crate) struct Draw(pub(crate) ChaCha8Rng);

impl Draw {
    pub(crate) fn from(&mut self, [low, high]: Range) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }
}

//! The messages of Foxglove's schemas that a run needs, as JSON, with their JSON schemas.
//!
//! Names and fields are the format's own (<https://docs.foxglove.dev/docs/sdk/schemas>): metres,
//! quaternions as x, y, z, w, colours from 0 to 1.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use nalgebra::Isometry3;
use schemars::generate::SchemaSettings;
use schemars::JsonSchema;
use serde::Serialize;

/// A message with a schema of Foxglove's.
pub(crate) trait Message: Serialize + JsonSchema {
    /// The schema's name.
    const NAME: &'static str;

    /// Its JSON schema, nothing referred to elsewhere: readers need not resolve references.
    fn schema() -> Vec<u8> {
        let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<Self>();
        schema.to_value().to_string().into_bytes()
    }
}

/// A moment, from the beginning of the run.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(title = "time")]
pub(crate) struct Time {
    sec: u32,
    nsec: u32,
}

impl Time {
    /// The moment `ns` after the beginning.
    pub(crate) fn from_ns(ns: u64) -> Self {
        Time {
            sec: u32::try_from(ns / 1_000_000_000).unwrap_or(u32::MAX),
            nsec: (ns % 1_000_000_000) as u32,
        }
    }
}

/// How long something is shown; zero for until it is replaced.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(title = "duration")]
pub(crate) struct Lifetime {
    sec: i32,
    nsec: u32,
}

/// A vector or a point.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Vector {
    x: f64,
    y: f64,
    z: f64,
}

impl From<[f64; 3]> for Vector {
    fn from([x, y, z]: [f64; 3]) -> Self {
        Vector { x, y, z }
    }
}

/// A rotation.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Quaternion {
    x: f64,
    y: f64,
    z: f64,
    w: f64,
}

/// Where something is and how it is turned.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Pose {
    position: Vector,
    orientation: Quaternion,
}

impl From<&Isometry3<f64>> for Pose {
    fn from(at: &Isometry3<f64>) -> Self {
        let q = at.rotation.coords;
        Pose {
            position: <[f64; 3]>::from(at.translation.vector).into(),
            orientation: Quaternion {
                x: q.x,
                y: q.y,
                z: q.z,
                w: q.w,
            },
        }
    }
}

impl Pose {
    /// At `position`, not turned.
    pub(crate) fn at(position: [f64; 3]) -> Self {
        let mut pose = Pose::from(&Isometry3::identity());
        pose.position = position.into();
        pose
    }
}

/// Red, green, blue, opacity.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Colour {
    r: f64,
    g: f64,
    b: f64,
    a: f64,
}

impl From<[f64; 3]> for Colour {
    fn from([r, g, b]: [f64; 3]) -> Self {
        Colour { r, g, b, a: 1.0 }
    }
}

/// `foxglove.CompressedImage`: a picture as a PNG file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CompressedImage {
    timestamp: Time,
    frame_id: String,
    #[schemars(extend("contentEncoding" = "base64"))]
    data: String,
    format: &'static str,
}

impl Message for CompressedImage {
    const NAME: &'static str = "foxglove.CompressedImage";
}

impl CompressedImage {
    /// A PNG file taken at `timestamp`.
    pub(crate) fn png(timestamp: Time, frame_id: &str, file: &[u8]) -> Self {
        CompressedImage {
            timestamp,
            frame_id: frame_id.to_owned(),
            data: STANDARD.encode(file),
            format: "png",
        }
    }
}

/// `foxglove.PoseInFrame`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PoseInFrame {
    pub(crate) timestamp: Time,
    pub(crate) frame_id: &'static str,
    pub(crate) pose: Pose,
}

impl Message for PoseInFrame {
    const NAME: &'static str = "foxglove.PoseInFrame";
}

/// `foxglove.FrameTransform`: where a frame is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FrameTransform {
    timestamp: Time,
    parent_frame_id: &'static str,
    child_frame_id: String,
    translation: Vector,
    rotation: Quaternion,
}

impl Message for FrameTransform {
    const NAME: &'static str = "foxglove.FrameTransform";
}

impl FrameTransform {
    /// The frame `child` is at `at` in `parent`.
    pub(crate) fn new(
        timestamp: Time,
        parent: &'static str,
        child: &str,
        at: &Isometry3<f64>,
    ) -> Self {
        let pose = Pose::from(at);
        FrameTransform {
            timestamp,
            parent_frame_id: parent,
            child_frame_id: child.to_owned(),
            translation: pose.position,
            rotation: pose.orientation,
        }
    }
}

/// `foxglove.Log`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Log {
    pub(crate) timestamp: Time,
    pub(crate) level: u8,
    pub(crate) message: String,
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

impl Message for Log {
    const NAME: &'static str = "foxglove.Log";
}

/// `foxglove.SceneUpdate`: things to show, each in place of the one with its id.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SceneUpdate {
    deletions: Vec<Nothing>,
    pub(crate) entities: Vec<SceneEntity>,
}

impl Message for SceneUpdate {
    const NAME: &'static str = "foxglove.SceneUpdate";
}

impl From<SceneEntity> for SceneUpdate {
    fn from(entity: SceneEntity) -> Self {
        SceneUpdate {
            deletions: Vec::new(),
            entities: vec![entity],
        }
    }
}

/// A primitive this program never shows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Nothing {}

/// One thing of a scene.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SceneEntity {
    timestamp: Time,
    frame_id: String,
    id: String,
    lifetime: Lifetime,
    frame_locked: bool,
    metadata: Vec<Nothing>,
    arrows: Vec<Nothing>,
    cubes: Vec<Nothing>,
    pub(crate) spheres: Vec<Sphere>,
    cylinders: Vec<Nothing>,
    pub(crate) lines: Vec<Line>,
    pub(crate) triangles: Vec<Triangles>,
    texts: Vec<Nothing>,
    models: Vec<Nothing>,
}

impl SceneEntity {
    /// An empty thing in the frame `frame_id`, that moves with it.
    pub(crate) fn new(timestamp: Time, frame_id: &str, id: &str) -> Self {
        SceneEntity {
            timestamp,
            frame_id: frame_id.to_owned(),
            id: id.to_owned(),
            lifetime: Lifetime { sec: 0, nsec: 0 },
            frame_locked: true,
            metadata: Vec::new(),
            arrows: Vec::new(),
            cubes: Vec::new(),
            spheres: Vec::new(),
            cylinders: Vec::new(),
            lines: Vec::new(),
            triangles: Vec::new(),
            texts: Vec::new(),
            models: Vec::new(),
        }
    }
}

/// A ball.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Sphere {
    pub(crate) pose: Pose,
    pub(crate) size: Vector,
    pub(crate) color: Colour,
}

/// A line through points.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Line {
    pub(crate) r#type: u8,
    pub(crate) pose: Pose,
    pub(crate) thickness: f64,
    pub(crate) scale_invariant: bool,
    pub(crate) points: Vec<Vector>,
    pub(crate) color: Colour,
    pub(crate) colors: Vec<Colour>,
    pub(crate) indices: Vec<u32>,
}

/// A mesh.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Triangles {
    pub(crate) pose: Pose,
    pub(crate) points: Vec<Vector>,
    pub(crate) color: Colour,
    pub(crate) colors: Vec<Colour>,
    pub(crate) indices: Vec<u32>,
}

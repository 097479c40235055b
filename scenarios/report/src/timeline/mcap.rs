//! An MCAP file with Foxglove's schemas, for Foxglove, Lichtblick and other viewers.
//!
//! | topic | schema | content |
//! |---|---|---|
//! | `/camera`, `/goal`, `/imagined`; of replays `/recorded`, `/replayed` | `CompressedImage` | pictures |
//! | `/tf` | `FrameTransform` | the arm's links and the object |
//! | `/scene` | `SceneUpdate` | their meshes, once |
//! | `/tcp/pose`, `/target/pose` | `PoseInFrame` | the hand, and where it is sent |
//! | `/elites`, `/plan` | `SceneUpdate` | where the best sampled actions would end; the chosen way |
//! | `/state`, `/energy`, `/motion`, `/latency`; of replays `/error` | numbers by name | to plot |
//! | `/log` | `Log` | sub-goals, what the envelope changed, the verdict |
//!
//! Messages lie in chunks with indexes, so that readers seek instead of reading all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use ::mcap::records::MessageHeader;
use ::mcap::{McapError, WriteOptions, Writer};
use foresight_sim::parts::VisualMesh;
use nalgebra::Isometry3;
use serde::Serialize;
use serde_json::{json, Value};

use super::foxglove::{
    Colour, CompressedImage, FrameTransform, Line, Log, Message, Pose, PoseInFrame, SceneEntity,
    SceneUpdate, Sphere, Time, Triangles,
};
use super::sink::{rank_colour, screen_colour, Dot, Numbers, Sink, TimelineError};

/// The frame everything is given in.
const BASE: &str = "base";
/// Diameter of a shown point, m.
const DOT_M: f64 = 0.006;

/// An MCAP file being written.
pub struct McapFile {
    path: PathBuf,
    file: Writer<BufWriter<File>>,
    /// By topic.
    channels: BTreeMap<String, u16>,
    sequence: u32,
    parts: BTreeSet<String>,
    now_ns: u64,
}

impl McapFile {
    /// Begins a file, in place of one that is there.
    ///
    /// # Errors
    /// [`TimelineError::Write`] when it can't be written.
    pub fn create(path: &Path) -> Result<Self, TimelineError> {
        let options = WriteOptions::new().library(concat!("foresight ", env!("CARGO_PKG_VERSION")));
        let file = File::create(path).map_err(|e| TimelineError::write(path, e))?;
        let file = options
            .create(BufWriter::new(file))
            .map_err(|e| TimelineError::write(path, e))?;
        Ok(McapFile {
            path: path.to_owned(),
            file,
            channels: BTreeMap::new(),
            sequence: 0,
            parts: BTreeSet::new(),
            now_ns: 0,
        })
    }

    fn now(&self) -> Time {
        Time::from_ns(self.now_ns)
    }

    fn send<M: Message>(&mut self, topic: &str, message: &M) -> Result<(), TimelineError> {
        self.put(topic, M::NAME, M::schema, message)
    }

    fn put(
        &mut self,
        topic: &str,
        schema_name: &str,
        schema: impl FnOnce() -> Vec<u8>,
        content: &impl Serialize,
    ) -> Result<(), TimelineError> {
        let data = serde_json::to_vec(content).map_err(|e| TimelineError::write(&self.path, e))?;
        let written = self.channel(topic, schema_name, schema).and_then(|id| {
            self.sequence += 1;
            let header = MessageHeader {
                channel_id: id,
                sequence: self.sequence,
                log_time: self.now_ns,
                publish_time: self.now_ns,
            };
            self.file.write_to_known_channel(&header, &data)
        });
        written.map_err(|e| TimelineError::write(&self.path, e))
    }

    /// The channel of a topic; the first message on it settles its schema.
    fn channel(
        &mut self,
        topic: &str,
        schema_name: &str,
        schema: impl FnOnce() -> Vec<u8>,
    ) -> Result<u16, McapError> {
        if let Some(id) = self.channels.get(topic) {
            return Ok(*id);
        }
        let schema = self.file.add_schema(schema_name, "jsonschema", &schema())?;
        let id = self
            .file
            .add_channel(schema, topic, "json", &BTreeMap::new())?;
        self.channels.insert(topic.to_owned(), id);
        Ok(id)
    }
}

impl Sink for McapFile {
    fn at(&mut self, time_s: f64, _step: u32) {
        self.now_ns = (time_s.max(0.0) * 1e9) as u64;
    }

    fn part(&mut self, part: &VisualMesh) -> Result<(), TimelineError> {
        self.parts.insert(part.name.to_owned());
        let mut entity = SceneEntity::new(self.now(), part.name, part.name);
        entity.triangles.push(Triangles {
            pose: Pose::at([0.0; 3]),
            points: part.points_m.iter().map(|p| rounded(p).into()).collect(),
            color: Colour::from([1.0; 3]),
            colors: part
                .colours
                .iter()
                .map(|c| rounded(&screen_colour(c)).into())
                .collect(),
            indices: part.triangles.concat(),
        });
        self.send("/scene", &SceneUpdate::from(entity))
    }

    fn placed(&mut self, name: &str, at: &Isometry3<f64>) -> Result<(), TimelineError> {
        if self.parts.contains(name) {
            let moved = FrameTransform::new(self.now(), BASE, name, at);
            return self.send("/tf", &moved);
        }
        let pose = PoseInFrame {
            timestamp: self.now(),
            frame_id: BASE,
            pose: at.into(),
        };
        self.send(&format!("/{name}/pose"), &pose)
    }

    fn picture(&mut self, name: &str, png: Vec<u8>) -> Result<(), TimelineError> {
        let image = CompressedImage::png(self.now(), name, &png);
        self.send(&format!("/{name}"), &image)
    }

    fn dots(&mut self, name: &str, dots: &[Dot]) -> Result<(), TimelineError> {
        let mut entity = SceneEntity::new(self.now(), BASE, name);
        entity.spheres.extend(dots.iter().map(|dot| Sphere {
            pose: Pose::at(dot.at_m),
            size: [DOT_M; 3].into(),
            color: rank_colour(dot.rank).into(),
        }));
        self.send(&format!("/{name}"), &SceneUpdate::from(entity))
    }

    fn way(&mut self, name: &str, points_m: &[[f64; 3]]) -> Result<(), TimelineError> {
        let mut entity = SceneEntity::new(self.now(), BASE, name);
        entity.lines.push(Line {
            r#type: 0,
            pose: Pose::at([0.0; 3]),
            thickness: 3.0,
            scale_invariant: true,
            points: points_m.iter().map(|p| (*p).into()).collect(),
            color: Colour::from([0.1, 0.4, 0.9]),
            colors: Vec::new(),
            indices: Vec::new(),
        });
        self.send(&format!("/{name}"), &SceneUpdate::from(entity))
    }

    fn numbers(&mut self, name: &str, numbers: Numbers<'_>) -> Result<(), TimelineError> {
        let values: BTreeMap<&str, f64> = numbers.iter().copied().collect();
        let number =
            |(key, _): &(&'static str, f64)| ((*key).to_owned(), json!({"type": "number"}));
        let properties: serde_json::Map<String, Value> = numbers.iter().map(number).collect();
        let schema = json!({ "type": "object", "properties": properties });
        let text = || schema.to_string().into_bytes();
        self.put(
            &format!("/{name}"),
            &format!("foresight.{name}"),
            text,
            &values,
        )
    }

    fn say(&mut self, warning: bool, text: &str) -> Result<(), TimelineError> {
        let log = Log {
            timestamp: self.now(),
            level: if warning { 3 } else { 2 },
            message: text.to_owned(),
            name: "foresight",
            file: "",
            line: 0,
        };
        self.send("/log", &log)
    }

    fn finish(self: Box<Self>) -> Result<(), TimelineError> {
        let McapFile { path, mut file, .. } = *self;
        file.finish().map_err(|e| TimelineError::write(&path, e))?;
        let written = file.into_inner().into_inner();
        written.map_err(|e| TimelineError::write(&path, e))?;
        Ok(())
    }
}

/// To a tenth of a millimetre: what is looked at needs no more, and JSON spells every digit.
fn rounded(point: &[f32; 3]) -> [f64; 3] {
    point.map(|v| (f64::from(v) * 1e4).round() / 1e4)
}

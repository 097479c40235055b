//! A recording for Rerun: a file, or a stream to a viewer that is open.
//!
//! | entity | archetype | content |
//! |---|---|---|
//! | `/camera`, `/goal`, `/imagined`; of replays `/recorded`, `/replayed` | `EncodedImage` | pictures |
//! | `/base/link0` … `/base/right_finger`, `/base/object` | `Mesh3D` once, `Transform3D` | the arm's links and the object |
//! | `/base/tcp`, `/base/target`; of replays `/base/recorded`, `/base/replayed` | `Transform3D` | the hand, and where it is sent |
//! | `/base/elites` | `Points3D` | where the best sampled actions would end |
//! | `/base/plan`; of replays `/base/recorded_way`, `/base/replayed_way` | `LineStrips3D` | ways |
//! | `/state/…`, `/energy/…`, `/motion/…`, `/latency/…`; of replays `/error/…` | `Scalars` | to plot |
//! | `/log` | `TextLog` | sub-goals, what the envelope changed, the verdict |
//!
//! Everything in space lies under `/base`, the arm's base frame. There are two timelines: `time`,
//! and the number of the `step`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use foresight_sim::parts::VisualMesh;
use nalgebra::Isometry3;
use re_sdk::{AsComponents, RecordingStream, RecordingStreamBuilder, RecordingStreamError};
use re_sdk_types::archetypes::{
    EncodedImage, LineStrips3D, Mesh3D, Points3D, Scalars, TextLog, Transform3D, TransformAxes3D,
    ViewCoordinates,
};
use re_sdk_types::components::{LineStrip3D, MediaType, Radius, TextLogLevel};
use re_sdk_types::datatypes::{Quaternion, Rgba32};

use super::sink::{rank_colour, screen_colour, Dot, Numbers, Sink, TimelineError};

/// Where everything in space hangs.
const BASE: &str = "base";
/// Radius of a shown point, m.
const DOT_M: f32 = 0.003;
/// Length of a shown frame's axes, m.
const AXES_M: f32 = 0.05;
/// Width of a shown way, points on the screen.
const WAY_POINTS: f32 = 1.5;
/// The colour of a way.
const WAY: Rgba32 = Rgba32::from_rgb(26, 102, 230);
/// How long a disk or a viewer may take to receive what was told.
const PATIENCE: Duration = Duration::from_secs(20);

/// A recording being told.
pub struct RerunSink {
    stream: RecordingStream,
    /// The file or the viewer.
    target: Target,
    parts: BTreeSet<String>,
    hands: BTreeSet<String>,
}

enum Target {
    File(PathBuf),
    Viewer(String),
}

impl Target {
    fn failed(&self, reason: impl ToString) -> TimelineError {
        match self {
            Target::File(path) => TimelineError::write(path, reason),
            Target::Viewer(url) => TimelineError::Viewer {
                url: url.clone(),
                reason: reason.to_string(),
            },
        }
    }
}

impl RerunSink {
    /// Begins a file, in place of one that is there.
    ///
    /// # Errors
    /// [`TimelineError::Write`] when it can't be written.
    pub fn create(path: &Path) -> Result<Self, TimelineError> {
        let target = Target::File(path.to_owned());
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::begin(target, &name, |builder| builder.save(path))
    }

    /// Begins a stream to the viewer at `url`, such as `rerun+http://127.0.0.1:9876/proxy`.
    ///
    /// # Errors
    /// [`TimelineError::Viewer`] when no viewer is there; that takes a few seconds.
    pub fn connect(url: &str) -> Result<Self, TimelineError> {
        let target = Target::Viewer(url.to_owned());
        let recording = Self::begin(target, "live", |builder| builder.connect_grpc_opts(url))?;
        // The SDK connects in the background and would go on trying.
        recording.flush()?;
        Ok(recording)
    }

    fn begin(
        target: Target,
        name: &str,
        open: impl FnOnce(RecordingStreamBuilder) -> Result<RecordingStream, RecordingStreamError>,
    ) -> Result<Self, TimelineError> {
        // Asked for on the command line, so the SDK's switch in the environment doesn't count.
        let builder = RecordingStreamBuilder::new("foresight")
            .recording_name(name)
            .enabled(true);
        let stream = open(builder).map_err(|e| target.failed(e))?;
        // Time is the run's own; the moments of writing and their order mean nothing.
        stream.set_log_time_enabled(false);
        stream.set_log_tick_enabled(false);
        let recording = RerunSink {
            stream,
            target,
            parts: BTreeSet::new(),
            hands: BTreeSet::new(),
        };
        recording.still(BASE, &ViewCoordinates::RIGHT_HAND_Z_UP())?;
        Ok(recording)
    }

    /// Waits until everything is written or sent.
    fn flush(&self) -> Result<(), TimelineError> {
        let flushed = self.stream.flush_with_timeout(PATIENCE);
        flushed.map_err(|e| self.target.failed(e))
    }

    fn log(&self, entity: &str, what: &impl AsComponents) -> Result<(), TimelineError> {
        let logged = self.stream.log(entity, what);
        logged.map_err(|e| self.target.failed(e))
    }

    /// What holds at all times.
    fn still(&self, entity: &str, what: &impl AsComponents) -> Result<(), TimelineError> {
        let logged = self.stream.log_static(entity, what);
        logged.map_err(|e| self.target.failed(e))
    }
}

impl Sink for RerunSink {
    fn at(&mut self, time_s: f64, step: u32) {
        self.stream.set_duration_secs("time", time_s.max(0.0));
        self.stream.set_time_sequence("step", i64::from(step));
    }

    fn part(&mut self, part: &VisualMesh) -> Result<(), TimelineError> {
        self.parts.insert(part.name.to_owned());
        let mesh = Mesh3D::new(part.points_m.iter().copied())
            .with_triangle_indices(part.triangles.iter().copied())
            .with_vertex_colors(part.colours.iter().map(|c| colour(screen_colour(c))));
        self.still(&format!("{BASE}/{}", part.name), &mesh)
    }

    fn placed(&mut self, name: &str, at: &Isometry3<f64>) -> Result<(), TimelineError> {
        let entity = format!("{BASE}/{name}");
        if !self.parts.contains(name) && self.hands.insert(name.to_owned()) {
            self.still(&entity, &TransformAxes3D::new(AXES_M))?;
        }
        let q = at.rotation.coords;
        let turn = Quaternion::from_xyzw([q.x, q.y, q.z, q.w].map(|v| v as f32));
        let shift = <[f64; 3]>::from(at.translation.vector);
        let placed = Transform3D::from_translation(shift).with_quaternion(turn);
        self.log(&entity, &placed)
    }

    fn picture(&mut self, name: &str, png: Vec<u8>) -> Result<(), TimelineError> {
        let picture = EncodedImage::new(png).with_media_type(MediaType::png());
        self.log(name, &picture)
    }

    fn dots(&mut self, name: &str, dots: &[Dot]) -> Result<(), TimelineError> {
        let points = Points3D::new(dots.iter().map(|dot| dot.at_m))
            .with_radii([DOT_M])
            .with_colors(
                dots.iter()
                    .map(|dot| colour(rank_colour(dot.rank).map(|v| v as f32))),
            );
        self.log(&format!("{BASE}/{name}"), &points)
    }

    fn way(&mut self, name: &str, points_m: &[[f64; 3]]) -> Result<(), TimelineError> {
        let way = LineStrips3D::new([LineStrip3D::from_iter(points_m.iter().copied())])
            .with_radii([Radius::new_ui_points(WAY_POINTS)])
            .with_colors([WAY]);
        self.log(&format!("{BASE}/{name}"), &way)
    }

    fn numbers(&mut self, name: &str, numbers: Numbers<'_>) -> Result<(), TimelineError> {
        for (key, value) in numbers {
            self.log(&format!("{name}/{key}"), &Scalars::new([*value]))?;
        }
        Ok(())
    }

    fn say(&mut self, warning: bool, text: &str) -> Result<(), TimelineError> {
        let level = if warning {
            TextLogLevel::WARN
        } else {
            TextLogLevel::INFO
        };
        self.log("log", &TextLog::new(text).with_level(level))
    }

    fn finish(self: Box<Self>) -> Result<(), TimelineError> {
        self.flush()?;
        self.stream.finalize_deferred_sinks();
        Ok(())
    }
}

fn colour(rgb: [f32; 3]) -> Rgba32 {
    let [r, g, b] = rgb.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8);
    Rgba32::from_rgb(r, g, b)
}

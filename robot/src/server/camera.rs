//! The simulated camera as franka-cam's capture thread reads one.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use franka_cam::{
    CamConfig, CameraConfig, Format, Frame, FrameSource, SourceFactory, SourceInfo,
    TIMESTAMP_MONOTONIC, TIMESTAMP_SOE,
};
use image::codecs::jpeg::JpegEncoder;

use super::clock::SharedSimulator;
use super::SimServerConfig;
use crate::arm::{ArmError, ArmResult};

/// Draws and encodes one frame after the other at a fixed rate.
pub(super) struct SimCamera {
    world: Arc<SharedSimulator>,
    info: SourceInfo,
    /// The one camera of the scene whose picture it is; of all, side by side, when `None`.
    view: Option<usize>,
    quality: u8,
    jpeg: Vec<u8>,
    seq: u32,
    due: Instant,
}

impl SimCamera {
    /// What franka-cam opens the camera with.
    pub(super) fn factory(
        world: Arc<SharedSimulator>,
        config: &SimServerConfig,
        view: Option<usize>,
    ) -> SourceFactory {
        let info = SourceInfo {
            device: "simulator".into(),
            format: Format::Mjpeg,
            width: config.picture_width(),
            height: config.frame_height,
            fps: config.frames_per_second,
            ts_monotonic: true,
            ts_soe: true,
        };
        let quality = config.jpeg_quality.clamp(1, 100);
        Arc::new(move |_| {
            Ok(Box::new(SimCamera {
                world: Arc::clone(&world),
                info: info.clone(),
                view,
                quality,
                jpeg: Vec::new(),
                seq: 0,
                due: Instant::now(),
            }) as Box<dyn FrameSource + Send>)
        })
    }
}

impl FrameSource for SimCamera {
    fn next(&mut self, timeout: Duration) -> io::Result<Option<Frame<'_>>> {
        let wait = self.due.saturating_duration_since(Instant::now());
        if wait > timeout {
            std::thread::sleep(timeout);
            return Ok(None);
        }
        std::thread::sleep(wait);
        self.due = (self.due + self.info.period()).max(Instant::now());
        if self.world.lock().camera_dead {
            return Ok(None);
        }
        let (width, height) = (self.info.width, self.info.height);
        // Only the moment is taken under the lock; the simulation goes on while it is drawn.
        let (captured_ns, moment) = {
            let inner = self.world.lock();
            let captured_ns = franka_cam::monotonic_ns();
            let skewed_ns = captured_ns.saturating_add_signed(inner.camera_skew_ns);
            (skewed_ns, inner.simulator.snapshot())
        };
        let picture = match self.view {
            Some(view) => moment.render_camera(view, width.into(), height.into()),
            None => moment.render(width.into(), height.into()),
        };
        self.jpeg.clear();
        JpegEncoder::new_with_quality(&mut self.jpeg, self.quality)
            .encode_image(&picture)
            .map_err(io::Error::other)?;
        self.seq = self.seq.wrapping_add(1);
        let flags = TIMESTAMP_MONOTONIC | TIMESTAMP_SOE;
        Ok(Some(Frame::new(&self.jpeg, self.seq, captured_ns, flags)))
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }
}

/// franka-cam's own configuration of the cameras.
pub(super) fn configs(config: &SimServerConfig) -> ArmResult<Vec<CameraConfig>> {
    let names = std::iter::once(&config.camera).chain(&config.other_cameras);
    let one = |(number, name): (usize, &String)| {
        format!(
            "[[camera]]\nname = {name:?}\ndevice = \"simulator-{number}\"\nwidth = {}\nheight = {}\nfps = {}\n",
            config.picture_width(), config.frame_height, config.frames_per_second
        )
    };
    let text: String = names.enumerate().map(one).collect();
    let parsed: CamConfig = text.parse().map_err(|e: franka_cam::ConfigError| {
        ArmError::Simulator(format!("camera '{}': {e}", config.camera))
    })?;
    Ok(parsed.cameras)
}

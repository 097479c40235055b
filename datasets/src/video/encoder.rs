//! Videos written frame by frame.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::unavailable;
use crate::error::{DatasetError, Result};

/// How a video is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// H.264 at high quality, a key frame every other frame: every player reads it, and any frame
    /// is found quickly.
    #[default]
    H264,
    /// AV1 with the settings LeRobot records with; a third of the size, slow to write.
    Av1,
    /// MPEG-4 Part 2, what OpenCV writes and DROID was recorded with.
    Mpeg4,
}

impl VideoCodec {
    /// FFmpeg's name of what is written.
    pub fn name(self) -> &'static str {
        match self {
            VideoCodec::H264 => "h264",
            VideoCodec::Av1 => "av1",
            VideoCodec::Mpeg4 => "mpeg4",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            VideoCodec::H264 => &[
                "-c:v", "libx264", "-crf", "14", "-preset", "veryfast", "-g", "2", "-bf", "0",
            ],
            VideoCodec::Av1 => &["-c:v", "libsvtav1", "-crf", "30", "-preset", "8", "-g", "2"],
            VideoCodec::Mpeg4 => &["-c:v", "mpeg4", "-q:v", "2", "-g", "12"],
        }
    }
}

/// A video being written; a file appears under its name only when it is complete.
pub struct VideoEncoder {
    child: Child,
    path: PathBuf,
    partial: PathBuf,
    size: (u32, u32),
    frames: usize,
}

impl VideoEncoder {
    /// Starts a video of `width`×`height` px and `fps` frames a second.
    ///
    /// # Errors
    /// [`DatasetError::Decoder`] when `ffmpeg` is missing.
    pub fn create(
        path: &Path,
        (width, height): (u32, u32),
        fps: f64,
        codec: VideoCodec,
    ) -> Result<Self> {
        let partial = path.with_extension("partial.mp4");
        // Colours are halved in resolution, which needs even sides; odd ones keep them whole.
        let pixels = if width % 2 == 0 && height % 2 == 0 {
            "yuv420p"
        } else {
            "yuv444p"
        };
        let child = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y"])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24"])
            .args(["-s", &format!("{width}x{height}"), "-r", &fps.to_string()])
            .args(["-i", "-", "-an"])
            .args(codec.options())
            .args(["-pix_fmt", pixels, "-fps_mode", "passthrough"])
            .arg(super::named(&partial))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(unavailable)?;
        Ok(VideoEncoder {
            child,
            path: path.to_path_buf(),
            partial,
            size: (width, height),
            frames: 0,
        })
    }

    /// Number of frames written.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Bytes on disk so far.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.partial).map_or(0, |m| m.len())
    }

    /// Appends a frame, `[H, W, 3]` u8.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when its size is not the video's; [`DatasetError::Corrupt`] with
    /// `ffmpeg`'s reason when it gave up.
    pub fn push(&mut self, rgb: &[u8]) -> Result<()> {
        let (width, height) = self.size;
        if rgb.len() != width as usize * height as usize * 3 {
            return Err(DatasetError::Mismatch(format!(
                "a frame of {} bytes can't join a video of {width}×{height} px",
                rgb.len()
            )));
        }
        let result = match &mut self.child.stdin {
            Some(pipe) => pipe.write_all(rgb),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        if result.is_err() {
            self.end()?;
        }
        result.map_err(|e| DatasetError::io("encode", &self.path, e))?;
        self.frames += 1;
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] with `ffmpeg`'s reason, [`DatasetError::Io`].
    pub fn finish(mut self) -> Result<()> {
        self.end()?;
        std::fs::rename(&self.partial, &self.path)
            .map_err(|e| DatasetError::io("write", &self.path, e))
    }

    /// Waits for `ffmpeg` to end.
    fn end(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let mut words = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut words);
        }
        let status = self
            .child
            .wait()
            .map_err(|e| DatasetError::io("encode", &self.path, e))?;
        if status.success() {
            return Ok(());
        }
        // Encoders say who they are first, and FFmpeg only at the end that one failed.
        let error = |line: &&str| line.to_lowercase().contains("error");
        let reason = words.lines().find(error).or(words.lines().last());
        let reason = reason.unwrap_or("no reason given");
        Err(DatasetError::corrupt(
            &self.path,
            format!("ffmpeg can't encode it: {reason}"),
        ))
    }
}

impl Drop for VideoEncoder {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Ended already where the video was finished.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.partial);
    }
}

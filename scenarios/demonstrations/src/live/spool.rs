//! The running episode: pictures on disk as they came, everything else in memory.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use foresight_datasets::{DatasetError, Pictures};
use foresight_robot::capture::{Captured, CapturedFrame, CapturedGripper, CapturedState};
use foresight_robot::Frame;

use crate::error::RecordError;

/// What arrived of one episode.
pub(super) struct Spool {
    folder: PathBuf,
    pub(super) cameras: Vec<SpooledCamera>,
    /// In the order of the node's clock.
    pub(super) states: Vec<CapturedState>,
    pub(super) grippers: Vec<CapturedGripper>,
}

/// A camera's pictures.
pub(super) struct SpooledCamera {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    pub(super) frames: Vec<SpooledFrame>,
}

/// Where a picture lies in its camera's file.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpooledFrame {
    pub(super) captured_ns: u64,
    pub(super) sequence: u32,
    at: u64,
    length: usize,
}

impl Spool {
    /// An empty spool in a folder of its own, which is made anew.
    pub(super) fn create(folder: &Path, cameras: usize) -> Result<Self, RecordError> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).map_err(write_error(folder))?;
        let camera = |number: usize| {
            let path = folder.join(format!("camera_{number}"));
            Ok(SpooledCamera {
                file: BufWriter::new(File::create(&path).map_err(write_error(&path))?),
                path,
                bytes: 0,
                frames: Vec::new(),
            })
        };
        Ok(Spool {
            folder: folder.to_path_buf(),
            cameras: (0..cameras)
                .map(camera)
                .collect::<Result<_, RecordError>>()?,
            states: Vec::new(),
            grippers: Vec::new(),
        })
    }

    /// Keeps a message. One that is not newer than the last of its kind is passed over.
    pub(super) fn push(&mut self, message: Captured) -> Result<(), RecordError> {
        match message {
            Captured::State(state) => {
                if self.states.last().is_none_or(|s| s.node_ns < state.node_ns) {
                    self.states.push(state);
                }
            }
            Captured::Gripper(gripper) => {
                if self
                    .grippers
                    .last()
                    .is_none_or(|g| g.node_ns < gripper.node_ns)
                {
                    self.grippers.push(gripper);
                }
            }
            Captured::Frame(frame) => self.cameras[frame.camera].push(&frame)?,
        }
        Ok(())
    }

    /// Puts everything where it can be read back.
    pub(super) fn flush(&mut self) -> Result<(), RecordError> {
        for camera in &mut self.cameras {
            camera.file.flush().map_err(write_error(&camera.path))?;
        }
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl SpooledCamera {
    fn push(&mut self, frame: &CapturedFrame) -> Result<(), RecordError> {
        let last = self.frames.last();
        if last.is_some_and(|last| last.captured_ns >= frame.captured_ns) {
            return Ok(());
        }
        let written = self.file.write_all(&frame.bytes);
        written.map_err(write_error(&self.path))?;
        self.frames.push(SpooledFrame {
            captured_ns: frame.captured_ns,
            sequence: frame.sequence,
            at: self.bytes,
            length: frame.bytes.len(),
        });
        self.bytes += frame.bytes.len() as u64;
        Ok(())
    }

    /// Gives the pictures of these frames, by their place in the list.
    pub(super) fn pictures(&self, frames: Vec<SpooledFrame>) -> Result<Pictures, RecordError> {
        let file = File::open(&self.path).map_err(write_error(&self.path))?;
        let (file, path) = (Mutex::new(file), self.path.clone());
        Ok(Box::new(move |number| {
            let frame = frames.get(number).ok_or_else(|| {
                DatasetError::Mismatch(format!("there is no picture of state {number}"))
            })?;
            let mut bytes = vec![0; frame.length];
            let mut file = file.lock().unwrap_or_else(|e| e.into_inner());
            let read = file.seek(SeekFrom::Start(frame.at));
            let read = read.and_then(|_| file.read_exact(&mut bytes));
            read.map_err(|source| DatasetError::Io {
                action: "read",
                path: path.clone(),
                source,
            })?;
            let decoded = Frame::decode(&bytes).map_err(|e| DatasetError::Corrupt {
                path: path.clone(),
                reason: format!("picture {number}: {e}"),
            })?;
            Ok(decoded.image)
        }))
    }
}

/// A write that failed: most often the disk is full.
fn write_error(path: &Path) -> impl Fn(std::io::Error) -> RecordError + '_ {
    |source| {
        let path = path.to_path_buf();
        let action = "write";
        RecordError::Dataset(DatasetError::Io {
            action,
            path,
            source,
        })
    }
}

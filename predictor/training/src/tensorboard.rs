//! Scalars for TensorBoard: event files of TensorFlow's record format, written by hand because
//! a scalar needs four fields of one message and the libraries bring a protocol compiler.
//!
//! A record is its length (u64), the length's checksum, the data and their checksum, all
//! little-endian; a checksum is a masked CRC-32C. The data are one `Event` message.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// An event file that is open for writing.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: File,
}

impl EventFile {
    /// A new file in `folder`, for the steps from `first_step` on. What earlier files in the
    /// folder say about those steps, because their process died after its last checkpoint,
    /// TensorBoard then forgets.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn create(folder: &Path, first_step: usize) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let now = wall_time();
        // Name order is reading order, so the time comes first, to the nanosecond.
        let name = format!("events.out.tfevents.{now:020.9}.{}", std::process::id());
        let mut events = EventFile {
            file: File::create(folder.join(name))?,
        };
        let mut version = Message::event(0);
        version.bytes(3, b"brain.Event:2");
        events.record(&version.0)?;
        let mut start = Message::event(first_step);
        let mut session_log = Message::default();
        session_log.varint(1, 1); // START: purge what was said from this step on.
        start.bytes(7, &session_log.0);
        events.record(&start.0)?;
        Ok(events)
    }

    /// Values of one step under their tags, such as `train/total`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn scalars<'a>(
        &mut self,
        step: usize,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> io::Result<()> {
        let mut summary = Message::default();
        for (tag, value) in values {
            let mut scalar = Message::default();
            scalar.bytes(1, tag.as_bytes());
            scalar.float(2, value as f32);
            summary.bytes(1, &scalar.0);
        }
        let mut event = Message::event(step);
        event.bytes(5, &summary.0);
        self.record(&event.0)
    }

    /// One write, so that a process that dies heads whole records.
    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked_crc(data).to_le_bytes());
        self.file.write_all(&record)
    }
}

fn wall_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

/// A protocol buffers message, encoded as it is built.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// An `Event` of this moment: 1 is its wall time, 2 its step.
    fn event(step: usize) -> Self {
        let mut event = Message::default();
        event.key(1, 1);
        event.0.extend(wall_time().to_le_bytes());
        event.varint(2, step as u64);
        event
    }

    fn key(&mut self, field: u8, wire_type: u8) {
        self.0.push(field << 3 | wire_type);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u8, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.key(field, 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn float(&mut self, field: u8, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }
}

/// CRC-32C (Castagnoli), bit by bit: a few hundred bytes a step.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
#[path = "../tests/unit/tensorboard.rs"]
mod tests;

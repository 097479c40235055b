//! The MCAP container: as much of the format as one writer of JSON messages needs.
//!
//! Written out here instead of taken from a library because the one there is rebuilds most of
//! this program's dependencies for a dozen record types. A file is the magic bytes, then records
//! (kind, length, content; little-endian), then the magic bytes again. Messages stand one after
//! the other without chunks; the summary repeats schemas and channels and counts the messages.
//! <https://mcap.dev/spec>

use std::collections::BTreeMap;
use std::io::{self, Write};

const MAGIC: [u8; 8] = [0x89, b'M', b'C', b'A', b'P', b'0', b'\r', b'\n'];

/// Kinds of records.
mod kind {
    pub const HEADER: u8 = 0x01;
    pub const FOOTER: u8 = 0x02;
    pub const SCHEMA: u8 = 0x03;
    pub const CHANNEL: u8 = 0x04;
    pub const MESSAGE: u8 = 0x05;
    pub const STATISTICS: u8 = 0x0b;
    pub const DATA_END: u8 = 0x0f;
}

/// A file being written.
pub struct Container<W: Write> {
    out: W,
    written: u64,
    /// Schemas and channels, to be repeated at the end.
    definitions: Vec<(u8, Vec<u8>)>,
    schemas: BTreeMap<String, u16>,
    channels: BTreeMap<String, u16>,
    counts: BTreeMap<u16, u64>,
    sequence: u32,
    times_ns: Option<(u64, u64)>,
}

impl<W: Write> Container<W> {
    /// Begins a file written by `library`.
    ///
    /// # Errors
    /// Whatever `out` refuses with; so below.
    pub fn new(out: W, library: &str) -> io::Result<Self> {
        let mut file = Container {
            out,
            written: 0,
            definitions: Vec::new(),
            schemas: BTreeMap::new(),
            channels: BTreeMap::new(),
            counts: BTreeMap::new(),
            sequence: 0,
            times_ns: None,
        };
        file.raw(&MAGIC)?;
        let mut header = Vec::new();
        text(&mut header, b"");
        text(&mut header, library.as_bytes());
        file.record(kind::HEADER, &header)?;
        Ok(file)
    }

    /// Writes a JSON message of `time_ns` on `topic`. The first one on a topic settles its
    /// schema.
    ///
    /// # Errors
    /// See [`Container::new`].
    pub fn message(
        &mut self,
        topic: &str,
        schema_name: &str,
        json_schema: impl FnOnce() -> Vec<u8>,
        time_ns: u64,
        data: &[u8],
    ) -> io::Result<()> {
        let channel = match self.channels.get(topic) {
            Some(id) => *id,
            None => self.channel(topic, schema_name, json_schema)?,
        };
        self.sequence += 1;
        let mut record = channel.to_le_bytes().to_vec();
        record.extend(self.sequence.to_le_bytes());
        record.extend(time_ns.to_le_bytes());
        record.extend(time_ns.to_le_bytes());
        record.extend(data);
        *self.counts.entry(channel).or_default() += 1;
        let (first, last) = self.times_ns.unwrap_or((time_ns, time_ns));
        self.times_ns = Some((first.min(time_ns), last.max(time_ns)));
        self.record(kind::MESSAGE, &record)
    }

    fn channel(
        &mut self,
        topic: &str,
        schema_name: &str,
        json_schema: impl FnOnce() -> Vec<u8>,
    ) -> io::Result<u16> {
        let schema = match self.schemas.get(schema_name) {
            Some(id) => *id,
            None => {
                // Zero stands for no schema.
                let id = self.schemas.len() as u16 + 1;
                let mut record = id.to_le_bytes().to_vec();
                text(&mut record, schema_name.as_bytes());
                text(&mut record, b"jsonschema");
                text(&mut record, &json_schema());
                self.schemas.insert(schema_name.to_owned(), id);
                self.define(kind::SCHEMA, record)?;
                id
            }
        };
        let id = self.channels.len() as u16;
        let mut record = id.to_le_bytes().to_vec();
        record.extend(schema.to_le_bytes());
        text(&mut record, topic.as_bytes());
        text(&mut record, b"json");
        // No metadata.
        record.extend(0_u32.to_le_bytes());
        self.channels.insert(topic.to_owned(), id);
        self.define(kind::CHANNEL, record)?;
        Ok(id)
    }

    /// Writes the summary and the end.
    ///
    /// # Errors
    /// See [`Container::new`].
    pub fn finish(mut self) -> io::Result<()> {
        // Zero: no checksum.
        self.record(kind::DATA_END, &0_u32.to_le_bytes())?;
        let summary_start = self.written;
        for (kind, content) in std::mem::take(&mut self.definitions) {
            self.record(kind, &content)?;
        }
        let (first, last) = self.times_ns.unwrap_or_default();
        let messages: u64 = self.counts.values().sum();
        let mut statistics = messages.to_le_bytes().to_vec();
        statistics.extend((self.schemas.len() as u16).to_le_bytes());
        statistics.extend((self.channels.len() as u32).to_le_bytes());
        // Attachments, metadata, chunks.
        statistics.extend([0; 12]);
        statistics.extend(first.to_le_bytes());
        statistics.extend(last.to_le_bytes());
        statistics.extend((self.counts.len() as u32 * 10).to_le_bytes());
        for (channel, count) in &self.counts {
            statistics.extend(channel.to_le_bytes());
            statistics.extend(count.to_le_bytes());
        }
        self.record(kind::STATISTICS, &statistics)?;
        let mut footer = summary_start.to_le_bytes().to_vec();
        // No offsets by kind, no checksum.
        footer.extend([0; 12]);
        self.record(kind::FOOTER, &footer)?;
        self.raw(&MAGIC)?;
        self.out.flush()
    }

    fn define(&mut self, kind: u8, content: Vec<u8>) -> io::Result<()> {
        self.record(kind, &content)?;
        self.definitions.push((kind, content));
        Ok(())
    }

    fn record(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        self.raw(&[kind])?;
        self.raw(&(content.len() as u64).to_le_bytes())?;
        self.raw(content)
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// A text or bytes with their length in front.
fn text(record: &mut Vec<u8>, bytes: &[u8]) {
    record.extend((bytes.len() as u32).to_le_bytes());
    record.extend(bytes);
}

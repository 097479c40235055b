//! What an MP4 file's header says: how many frames, at which rate, of which size.
//!
//! Indexing a hundred thousand videos must not decode them, nor start a program for each. Only
//! the boxes that answer these questions are read (ISO/IEC 14496-12): `moov/trak` of the first
//! video track with `tkhd` (size), `mdia/mdhd` (clock) and `stbl/stts` (frames and durations).
//! What a video's rate is worth is another question: DROID's files say 60 fps and were taken at
//! 15 Hz, so times come from the trajectory and the rate here only reproduces the official
//! frame-index sampling.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::DatasetError;

/// Largest `moov` that is read; an hour of video needs less than 4 MiB.
const MAX_MOOV: u64 = 64 << 20;

/// A video's header.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoHeader {
    /// Number of frames.
    pub frames: usize,
    /// Mean frame rate the file claims, Hz.
    pub fps: f64,
    /// Width, px.
    pub width: u32,
    /// Height, px.
    pub height: u32,
    /// Whether all frames are shown equally long: a frame's time then follows from its number.
    pub even: bool,
}

impl VideoHeader {
    /// Reads a file's header.
    ///
    /// # Errors
    /// [`DatasetError::Io`], or [`DatasetError::Corrupt`] when it is empty, cut short, fragmented
    /// or no MP4.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let mut file = File::open(path).map_err(|e| DatasetError::io("read", path, e))?;
        let size = file
            .metadata()
            .map_err(|e| DatasetError::io("read", path, e))?
            .len();
        parse(&mut file, size).map_err(|fault| match fault {
            Fault::Io(e) => DatasetError::io("read", path, e),
            Fault::Content(reason) => DatasetError::corrupt(path, reason),
        })
    }
}

enum Fault {
    Io(io::Error),
    Content(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Fault::Content(reason.to_owned())
    }
}

const CUT: &str = "the video was cut short; copy it again";

/// Looks through the top-level boxes, which must fill the file exactly.
fn parse(file: &mut (impl Read + Seek), size: u64) -> Result<VideoHeader, Fault> {
    if size == 0 {
        return Err("the video is empty; it was not copied completely".into());
    }
    let mut moov = None;
    let mut at = 0;
    while at < size {
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::with_capacity(16);
        file.by_ref().take(16).read_to_end(&mut head)?;
        let kind = head.get(4..8).ok_or(CUT)?;
        let (header, length) = match u32_at(&head, 0).ok_or(CUT)? {
            0 => (8, size - at),
            1 => (16, u64_at(&head, 8).ok_or(CUT)?),
            length => (8, u64::from(length)),
        };
        if at == 0 && !kind.iter().all(|b| (b' '..=b'~').contains(b)) {
            return Err("it is not an MP4 file".into());
        }
        if length < header {
            return Err("its boxes are damaged; it is not a readable MP4 file".into());
        }
        if length > size - at {
            return Err(CUT.into());
        }
        if kind == b"moov" {
            if length > MAX_MOOV {
                return Err("its header is larger than 64 MiB, which cannot be".into());
            }
            file.seek(SeekFrom::Start(at + header))?;
            let mut bytes = Vec::new();
            file.by_ref()
                .take(length - header)
                .read_to_end(&mut bytes)?;
            moov = Some(bytes);
        }
        at += length;
    }
    let Some(moov) = moov else {
        return Err(
            "it has no header (moov box): the recording was interrupted, or it was cut short"
                .into(),
        );
    };
    let tracks = boxes(&moov).filter(|(kind, _)| kind == b"trak");
    let mut reason = "it has no video track";
    for (_, track) in tracks {
        let Some(media) = child(track, b"mdia") else {
            continue;
        };
        let handler = child(media, b"hdlr").and_then(|b| b.get(8..12));
        if handler != Some(b"vide") {
            continue;
        }
        match video(track, media) {
            Ok(header) => return Ok(header),
            Err(why) => reason = why,
        }
    }
    Err(reason.into())
}

fn video(track: &[u8], media: &[u8]) -> Result<VideoHeader, &'static str> {
    const DAMAGED: &str = "its header is damaged";
    let clock = child(media, b"mdhd").ok_or(DAMAGED)?;
    let timescale_at = if clock.first() == Some(&1) { 20 } else { 12 };
    let timescale = u32_at(clock, timescale_at).ok_or(DAMAGED)?;

    let table = child(media, b"minf")
        .and_then(|b| child(b, b"stbl"))
        .and_then(|b| child(b, b"stts"))
        .ok_or(DAMAGED)?;
    let entries = u32_at(table, 4).ok_or(DAMAGED)? as usize;
    let (mut frames, mut ticks) = (0_u64, 0_u64);
    let mut first_delta = None;
    let mut even = true;
    let rows = table.get(8..).unwrap_or_default().chunks_exact(8);
    if rows.len() < entries {
        return Err(DAMAGED);
    }
    for row in rows.take(entries) {
        let (count, delta) = (
            u64::from(u32_at(row, 0).unwrap_or(0)),
            u64::from(u32_at(row, 4).unwrap_or(0)),
        );
        // The last frame's duration may differ: nothing comes after it.
        even &= *first_delta.get_or_insert(delta) == delta || count <= 1;
        frames = frames.saturating_add(count);
        ticks = ticks.saturating_add(count.saturating_mul(delta));
    }
    if frames == 0 {
        return Err(
            "its header lists no frames (a fragmented MP4, or none were recorded); remux it with \
             `ffmpeg -i OLD.mp4 -c copy NEW.mp4`",
        );
    }
    if timescale == 0 || ticks == 0 || frames > u64::from(u32::MAX) {
        return Err(DAMAGED);
    }

    let shape = child(track, b"tkhd").ok_or(DAMAGED)?;
    let size_at = if shape.first() == Some(&1) { 88 } else { 76 };
    // 16.16 fixed point.
    let side = |at| u32_at(shape, at).map(|v| v >> 16).ok_or(DAMAGED);
    Ok(VideoHeader {
        frames: frames as usize,
        fps: f64::from(timescale) * frames as f64 / ticks as f64,
        width: side(size_at)?,
        height: side(size_at + 4)?,
        even,
    })
}

/// The boxes inside a box's content; ends at the first that doesn't fit.
fn boxes(mut content: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let kind = content.get(4..8)?.try_into().ok()?;
        let (header, length) = match u32_at(content, 0)? {
            0 => (8, content.len()),
            1 => (16, usize::try_from(u64_at(content, 8)?).ok()?),
            length => (8, length as usize),
        };
        let inner = content.get(header..length)?;
        content = content.get(length..)?;
        Some((kind, inner))
    })
}

fn child<'a>(content: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(content)
        .find(|(kind, _)| kind == wanted)
        .map(|(_, inner)| inner)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_be_bytes(eight.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], inner: &[u8]) -> Vec<u8> {
        let length = (inner.len() as u32 + 8).to_be_bytes();
        [&length[..], kind, inner].concat()
    }

    /// 40 frames at 60 Hz and 10 at 30 Hz, 64×48 px.
    fn file() -> Vec<u8> {
        let words =
            |values: &[u32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_be_bytes()).collect() };
        let stts = boxed(b"stts", &words(&[0, 2, 40, 10, 10, 20]));
        let minf = boxed(b"minf", &boxed(b"stbl", &stts));
        let hdlr = boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide\0\0\0\0");
        let mdhd = boxed(b"mdhd", &words(&[0, 0, 0, 600, 600]));
        let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());
        let mut tkhd = vec![0; 76];
        tkhd.extend(words(&[64 << 16, 48 << 16]));
        let sound = boxed(b"trak", &boxed(b"mdia", &boxed(b"hdlr", &[0; 12])));
        let video = boxed(b"trak", &[boxed(b"tkhd", &tkhd), mdia].concat());
        let moov = boxed(b"moov", &[sound, video].concat());
        [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[7; 99]), moov].concat()
    }

    fn header(bytes: &[u8]) -> Result<VideoHeader, String> {
        parse(&mut io::Cursor::new(bytes), bytes.len() as u64).map_err(|fault| match fault {
            Fault::Io(e) => e.to_string(),
            Fault::Content(reason) => reason,
        })
    }

    #[test]
    fn frames_rate_and_size_are_read() {
        let found = header(&file()).expect("an MP4 file");
        assert_eq!((found.frames, found.width, found.height), (50, 64, 48));
        assert!(!found.even);
        assert!((found.fps - 50.0).abs() < 1e-9, "{}", found.fps);
    }

    #[test]
    fn every_cut_is_an_error() {
        let whole = file();
        for length in 0..whole.len() {
            // A cut exactly between two boxes leaves a file that only lacks its header.
            let reason = header(&whole[..length]).expect_err("cut short");
            assert!(
                ["cut short", "empty", "interrupted"]
                    .iter()
                    .any(|w| reason.contains(w)),
                "{length}: {reason}"
            );
        }
        assert!(header(&[0xff; 64])
            .expect_err("no MP4")
            .contains("not an MP4"));
    }

    #[test]
    fn damage_never_panics() {
        let whole = file();
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                if let Ok(found) = header(&bytes) {
                    assert!(found.frames > 0 && found.fps.is_finite());
                }
            }
        }
    }
}

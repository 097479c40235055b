//! What an MP4 file's header says: how many frames, when each is shown, of which size.
//!
//! Indexing a hundred thousand videos must not decode them, nor start a program for each. Only
//! the boxes that answer these questions are read (ISO/IEC 14496-12): of the `trak` a player
//! would show, `tkhd` (whether the picture is turned), `mdia/mdhd` (clock), `edts/elst` (what of
//! it is shown, and when) and `mdia/minf/stbl` (sizes, durations and places of the frames).
//! What a video's rate is worth is another question: DROID's files say 60 fps and were taken at
//! 15 Hz, so times come from the trajectory and the rate here only reproduces the official
//! frame-index sampling.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{DatasetError, Result};

mod track;

/// Largest `moov` that is read; an hour of video needs less than 4 MiB.
const MAX_MOOV: u64 = 64 << 20;

/// A video's header.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoHeader {
    /// Number of frames that are shown.
    pub frames: usize,
    /// Mean frame rate the file claims, Hz.
    pub fps: f64,
    /// Width of the pictures as they are shown, px.
    pub width: u32,
    /// Height of the pictures as they are shown, px.
    pub height: u32,
    /// When each frame is shown, s on the file's clock, in the order they are shown.
    pub times_s: Vec<f64>,
    /// When those frames are shown that can be decoded without others, s, ascending.
    pub key_times_s: Vec<f64>,
    /// Which of the file's video tracks this is, counted from 0; see [`VideoHeader::tracks`].
    pub track: usize,
    /// Number of video tracks. Of several one of at least five frames is taken, no cover picture;
    /// then, as FFmpeg's libraries choose and so the official loader, one that is on by default,
    /// then the one of the highest bit rate.
    pub tracks: usize,
}

impl VideoHeader {
    /// Reads a file's header.
    ///
    /// # Errors
    /// [`DatasetError::Io`], or [`DatasetError::Corrupt`] when it is empty, cut short, fragmented
    /// or no MP4.
    pub fn read(path: &Path) -> Result<Self> {
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

    /// The frame shown nearest to a time, s behind the first one's.
    pub fn nearest(&self, after_s: f64) -> usize {
        let wanted = self.times_s.first().copied().unwrap_or(0.0) + after_s;
        let above = self.times_s.partition_point(|t| *t < wanted);
        let off = |i: usize| {
            self.times_s
                .get(i)
                .map_or(f64::INFINITY, |t| (t - wanted).abs())
        };
        match above.checked_sub(1) {
            Some(below) if off(below) <= off(above) => below,
            _ => above,
        }
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

/// Looks through the top-level boxes. What lies behind the header and all frames doesn't matter.
fn parse(file: &mut (impl Read + Seek), size: u64) -> Result<VideoHeader, Fault> {
    if size == 0 {
        return Err("the video is empty; it was not copied completely".into());
    }
    let (mut moov, mut fragmented) = (None, false);
    let mut at = 0;
    while at < size {
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::with_capacity(16);
        file.by_ref().take(16).read_to_end(&mut head)?;
        let printable = |kind: &[u8]| kind.iter().all(|b| (b' '..=b'~').contains(b));
        if at == 0 && head.get(4..8).is_some_and(|kind| !printable(kind)) {
            return Err("it is not an MP4 file".into());
        }
        fragmented |= head.get(4..8) == Some(b"moof");
        let length = match boxed_length(&head, size - at) {
            Some((header, length)) if length >= header && length <= size - at => {
                if head.get(4..8) == Some(b"moov") {
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
                length
            }
            // Whether all frames are there, their places say.
            _ if moov.is_some() => break,
            Some((header, length)) if length < header => {
                return Err("its boxes are damaged; it is not a readable MP4 file".into())
            }
            _ => return Err(CUT.into()),
        };
        at += length;
    }
    let Some(moov) = moov else {
        return Err(
            "it has no header (moov box): the recording was interrupted, or it was cut short"
                .into(),
        );
    };
    if fragmented {
        return Err(track::FRAGMENTED.into());
    }
    let header = track::shown(&moov)?;
    if header.end > size {
        return Err(CUT.into());
    }
    Ok(header.video)
}

/// How long a box's own header is, and how long it is in all, of `rest` bytes.
fn boxed_length(head: &[u8], rest: u64) -> Option<(u64, u64)> {
    head.get(4..8)?;
    Some(match u32_at(head, 0)? {
        0 => (8, rest),
        1 => (16, u64_at(head, 8)?),
        length => (8, u64::from(length)),
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
#[path = "../tests/unit/mp4_header.rs"]
mod tests;

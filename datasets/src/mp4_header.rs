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

use crate::error::DatasetError;

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
    let mut moov = None;
    let mut at = 0;
    while at < size {
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::with_capacity(16);
        file.by_ref().take(16).read_to_end(&mut head)?;
        let printable = |kind: &[u8]| kind.iter().all(|b| (b' '..=b'~').contains(b));
        if at == 0 && head.get(4..8).is_some_and(|kind| !printable(kind)) {
            return Err("it is not an MP4 file".into());
        }
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
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], inner: &[u8]) -> Vec<u8> {
        let length = (inner.len() as u32 + 8).to_be_bytes();
        [&length[..], kind, inner].concat()
    }

    fn words(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_be_bytes()).collect()
    }

    /// A video track of 16-byte frames in a chunk at `place`; `turned` by a quarter, and with an
    /// edit list.
    fn track(stts: &[u32], width: u32, place: u32, turned: bool, elst: &[u32]) -> Vec<u8> {
        let frames: u32 = stts.chunks_exact(2).map(|row| row[0]).sum();
        let stts = [&[0, stts.len() as u32 / 2], stts].concat();
        let table = [
            boxed(b"stts", &words(&stts)),
            boxed(b"stsz", &words(&[0, 16, frames])),
            boxed(b"stsc", &words(&[0, 1, 1, frames, 1])),
            boxed(b"stco", &words(&[0, 1, place])),
        ];
        let minf = boxed(b"minf", &boxed(b"stbl", &table.concat()));
        let hdlr = boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide\0\0\0\0");
        let mdhd = boxed(b"mdhd", &words(&[0, 0, 0, 600, 600]));
        let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());
        let one = 1 << 16;
        let mut tkhd = words(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        tkhd.extend(match turned {
            true => words(&[0, one, 0, 0_u32.wrapping_sub(one), 0, 0, 0, 0, 1 << 30]),
            false => words(&[one, 0, 0, 0, one, 0, 0, 0, 1 << 30]),
        });
        tkhd.extend(words(&[width << 16, 48 << 16]));
        let edits = boxed(b"edts", &boxed(b"elst", &words(elst)));
        boxed(b"trak", &[boxed(b"tkhd", &tkhd), edits, mdia].concat())
    }

    fn movie(tracks: &[Vec<u8>]) -> Vec<u8> {
        let mut mvhd = words(&[0, 0, 0, 1000]);
        mvhd.resize(96, 0);
        let sound = boxed(b"trak", &boxed(b"mdia", &boxed(b"hdlr", &[0; 12])));
        let moov = [&[boxed(b"mvhd", &mvhd), sound], tracks].concat().concat();
        boxed(b"moov", &moov)
    }

    /// 40 frames at 60 Hz and 10 at 30 Hz, 64×48 px, header last; 20 bytes lie before the frames.
    fn file() -> Vec<u8> {
        let moov = movie(&[track(&[40, 10, 10, 20], 64, 20, false, &[0, 0])]);
        [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[7; 800]), moov].concat()
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
        assert!((found.fps - 50.0).abs() < 1e-9, "{}", found.fps);
        let near = |at: usize, time_s: f64| (found.times_s[at] - time_s).abs() < 1e-9;
        assert!(near(39, 39.0 / 60.0) && near(40, 40.0 / 60.0) && near(41, 42.0 / 60.0));
        assert_eq!((found.nearest(0.7), found.nearest(9.0)), (41, 49));
    }

    #[test]
    fn turned_cut_and_second_tracks_are_what_a_player_shows() {
        let of = |tracks: &[Vec<u8>]| {
            let mdat = boxed(b"mdat", &[7; 800]);
            let bytes = [boxed(b"ftyp", b"isom"), mdat, movie(tracks), vec![0; 3]].concat();
            header(&bytes).expect("an MP4 file")
        };
        let turned = of(&[track(&[50, 10], 64, 20, true, &[0, 0])]);
        assert_eq!((turned.width, turned.height), (48, 64));
        // After half a second of nothing, 0.25 s from the track's 0.1 s on: ticks 60 to 209.
        let elst = [0, 2, 500, u32::MAX, 1 << 16, 250, 60, 1 << 16];
        let cut = of(&[track(&[50, 10], 64, 20, false, &elst)]);
        assert_eq!(cut.frames, 15);
        assert!((cut.times_s[0] - 0.5).abs() < 1e-9, "{:?}", cut.times_s);
        let (small, whole) = (&[1, 600], &[50, 10]);
        let second = of(&[
            track(small, 32, 20, false, &[0, 0]),
            track(whole, 64, 20, false, &[0, 0]),
        ]);
        assert_eq!((second.track, second.tracks, second.width), (1, 2, 64));
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
        // With the header first, the frames' places say what is missing.
        let moov = |place: u32| movie(&[track(&[40, 10, 10, 20], 64, place, false, &[0, 0])]);
        let place = 12 + moov(0).len() as u32 + 8;
        let first = [
            boxed(b"ftyp", b"isom"),
            moov(place),
            boxed(b"mdat", &[7; 800]),
        ]
        .concat();
        assert!(header(&first).is_ok());
        for length in 0..first.len() {
            assert!(header(&first[..length]).is_err(), "{length}");
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

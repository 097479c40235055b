//! Unit tests of `src/mp4_header.rs`.

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
fn films_in_fragments_are_refused_although_some_frames_are_listed() {
    let reason = header(&[file(), boxed(b"moof", &[0; 8])].concat()).unwrap_err();
    assert!(
        reason.contains("fragmented") && reason.contains("remux"),
        "{reason}"
    );
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

//! The video track a player shows: which one, and its frames' times, sizes and places.

use super::{boxes, child, u32_at, u64_at, VideoHeader};

const DAMAGED: &str = "its header is damaged";
/// What is wrong with a film whose frames are listed in between its pictures.
pub(super) const FRAGMENTED: &str =
    "its header lists no frames or only some (a fragmented MP4, or \
                                     none were recorded); remux it with `ffmpeg -i OLD.mp4 -c copy \
                                     NEW.mp4`";
/// Frames of all tracks that are believed: a day at 100 Hz. What a damaged header claims beyond
/// is not worth the memory.
const MOST_FRAMES: u64 = 1 << 23;

/// A track, and what only choosing among several and checking needs.
pub(super) struct Shown {
    pub video: VideoHeader,
    /// Where the last of its frames ends in the file, bytes.
    pub end: u64,
    /// How many of five frames it has, whether it is on by default, bytes a second.
    preference: (u64, bool, f64),
}

/// The track to show.
pub(super) fn shown(moov: &[u8]) -> Result<Shown, &'static str> {
    let movie = child(moov, b"mvhd").unwrap_or_default();
    let movie_scale = u32_at(movie, if movie.first() == Some(&1) { 20 } else { 12 });
    let turned = matrix(movie, if movie.first() == Some(&1) { 48 } else { 36 });
    let mut reason = "it has no video track";
    let mut best: Option<Shown> = None;
    let mut tracks = 0;
    for (_, track) in boxes(moov).filter(|(kind, _)| kind == b"trak") {
        let Some(media) = child(track, b"mdia") else {
            continue;
        };
        let handler = child(media, b"hdlr").and_then(|b| b.get(8..12));
        if handler != Some(b"vide") {
            continue;
        }
        match read(track, media, movie_scale.unwrap_or(0), turned) {
            Ok(mut found) => {
                found.video.track = tracks;
                if best
                    .as_ref()
                    .is_none_or(|b| found.preference > b.preference)
                {
                    best = Some(found);
                }
            }
            Err(why) => reason = why,
        }
        tracks += 1;
    }
    let mut best = best.ok_or(reason)?;
    best.video.tracks = tracks;
    Ok(best)
}

fn read(
    track: &[u8],
    media: &[u8],
    movie_scale: u32,
    movie_matrix: [i64; 4],
) -> Result<Shown, &'static str> {
    let clock = child(media, b"mdhd").ok_or(DAMAGED)?;
    let timescale_at = if clock.first() == Some(&1) { 20 } else { 12 };
    let timescale = u32_at(clock, timescale_at).ok_or(DAMAGED)?;
    let table = child(media, b"minf").and_then(|b| child(b, b"stbl"));
    let table = table.ok_or(DAMAGED)?;

    let durations = runs(child(table, b"stts").ok_or(DAMAGED)?)?;
    let frames: u64 = durations.iter().map(|[count, _]| u64::from(*count)).sum();
    let whole = durations.iter().map(|[n, d]| u64::from(*n) * u64::from(*d));
    let ticks = whole.fold(0_u64, u64::saturating_add);
    if frames == 0 {
        return Err(FRAGMENTED);
    }
    if timescale == 0 || ticks == 0 || frames > MOST_FRAMES {
        return Err(DAMAGED);
    }
    // B-frames are stored in another order than they are shown in.
    let delays = child(table, b"ctts").map_or(Ok(Vec::new()), runs)?;
    let mut delays = delays
        .iter()
        .flat_map(|[n, delay]| std::iter::repeat_n(i64::from(*delay as i32), *n as usize));
    let mut decoded_at = 0_i64;
    let mut shown_at = Vec::with_capacity(frames as usize);
    for [count, duration] in &durations {
        for _ in 0..*count {
            shown_at.push(decoded_at + delays.next().unwrap_or(0));
            decoded_at += i64::from(*duration);
        }
    }
    let keys: Vec<i64> = match child(table, b"stss") {
        None => shown_at.clone(),
        Some(list) => list
            .get(8..)
            .unwrap_or_default()
            .chunks_exact(4)
            .filter_map(|n| shown_at.get((u32_at(n, 0)? as usize).checked_sub(1)?))
            .copied()
            .collect(),
    };
    let edits = edits(track, movie_scale, timescale);
    let seconds = |of: &[i64]| edited(of, &edits, f64::from(timescale));
    let times_s = seconds(&shown_at);
    if times_s.is_empty() {
        return Err("its edit list shows none of its frames");
    }

    let (bytes, end) = places(table)?;
    let header = child(track, b"tkhd").ok_or(DAMAGED)?;
    let sized = if header.first() == Some(&1) { 88 } else { 76 };
    let [mut width, mut height] = size(table, header, sized).ok_or(DAMAGED)?;
    let [a, b, c, d] = product(matrix(header, sized - 36), movie_matrix);
    if a == 0 && d == 0 && b != 0 && c != 0 {
        (width, height) = (height, width);
    }
    let enabled = header.get(3).is_some_and(|flags| flags & 1 == 1);
    let mean_s = ticks as f64 / f64::from(timescale);
    Ok(Shown {
        preference: (frames.min(5), enabled, bytes as f64 / mean_s),
        end,
        video: VideoHeader {
            frames: times_s.len(),
            fps: frames as f64 / mean_s,
            width,
            height,
            times_s,
            key_times_s: seconds(&keys),
            track: 0,
            tracks: 1,
        },
    })
}

/// Rows of a count and a value: `stts`, `ctts`.
fn runs(table: &[u8]) -> Result<Vec<[u32; 2]>, &'static str> {
    let entries = u32_at(table, 4).ok_or(DAMAGED)? as usize;
    let rows = table.get(8..).unwrap_or_default().chunks_exact(8);
    if rows.len() < entries {
        return Err(DAMAGED);
    }
    let rows = rows.take(entries);
    Ok(rows
        .map(|row| [u32_at(row, 0).unwrap_or(0), u32_at(row, 4).unwrap_or(0)])
        .collect())
}

/// A stretch of the track that is shown.
struct Edit {
    /// Its first tick in the track, and the one behind its last.
    media: [i64; 2],
    /// When it begins to be shown, ticks of the track.
    shown: f64,
}

/// The edit list: which ticks are shown, and when; all at once where there is none.
fn edits(track: &[u8], movie_scale: u32, timescale: u32) -> Vec<Edit> {
    let list = child(track, b"edts").and_then(|b| child(b, b"elst"));
    let list = list.unwrap_or_default();
    let wide = list.first() == Some(&1);
    let mut edits = Vec::new();
    let mut shown = 0.0;
    let rows = list.get(8..).unwrap_or_default();
    for row in rows.chunks_exact(if wide { 20 } else { 12 }) {
        let (length, from) = match wide {
            true => (u64_at(row, 0), u64_at(row, 8).map(|v| v as i64)),
            false => (
                u32_at(row, 0).map(u64::from),
                u32_at(row, 4).map(|v| i64::from(v as i32)),
            ),
        };
        let (length, from) = (length.unwrap_or(0), from.unwrap_or(-1));
        let ticks = length as f64 * f64::from(timescale) / f64::from(movie_scale.max(1));
        if from >= 0 {
            // Without a length it goes on to the end.
            let to = match length {
                0 => i64::MAX,
                _ => from.saturating_add(ticks.round() as i64),
            };
            edits.push(Edit {
                media: [from, to],
                shown,
            });
        }
        shown += ticks;
    }
    if edits.is_empty() {
        edits.push(Edit {
            media: [i64::MIN, i64::MAX],
            shown: 0.0,
        });
    }
    edits
}

/// When these ticks are shown, s, ascending.
fn edited(ticks: &[i64], edits: &[Edit], timescale: f64) -> Vec<f64> {
    let mut times = Vec::with_capacity(ticks.len());
    for Edit { media, shown } in edits {
        let from = if media[0] == i64::MIN { 0 } else { media[0] };
        let inside = ticks.iter().filter(|t| (media[0]..media[1]).contains(t));
        times.extend(inside.map(|t| (*t as f64 - from as f64 + shown) / timescale));
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Bytes of all frames, and where the last of them ends in the file.
fn places(table: &[u8]) -> Result<(u64, u64), &'static str> {
    let sizes = child(table, b"stsz").unwrap_or_default();
    let (same, count) = (u32_at(sizes, 4).unwrap_or(0), u32_at(sizes, 8).unwrap_or(0));
    let each: Vec<u32> = match same {
        0 => sizes
            .get(12..)
            .unwrap_or_default()
            .chunks_exact(4)
            .filter_map(|v| u32_at(v, 0))
            .collect(),
        same if u64::from(count) <= MOST_FRAMES => vec![same; count as usize],
        _ => return Err(DAMAGED),
    };
    let offsets: Vec<u64> = match (child(table, b"stco"), child(table, b"co64")) {
        (Some(list), _) => list
            .get(8..)
            .unwrap_or_default()
            .chunks_exact(4)
            .filter_map(|v| u32_at(v, 0).map(u64::from))
            .collect(),
        (None, Some(list)) => list
            .get(8..)
            .unwrap_or_default()
            .chunks_exact(8)
            .filter_map(|v| u64_at(v, 0))
            .collect(),
        (None, None) => Vec::new(),
    };
    let chunks = child(table, b"stsc").unwrap_or_default();
    let rows: Vec<[usize; 2]> = chunks
        .get(8..)
        .unwrap_or_default()
        .chunks_exact(12)
        .filter_map(|row| Some([u32_at(row, 0)? as usize, u32_at(row, 4)? as usize]))
        .collect();
    let mut end = 0;
    let (mut next, mut row) = (0_usize, 0);
    for (number, offset) in offsets.iter().enumerate() {
        while rows
            .get(row + 1)
            .is_some_and(|[first, _]| *first <= number + 1)
        {
            row += 1;
        }
        let count = rows.get(row).map_or(0, |[_, count]| *count);
        let until = next.saturating_add(count).min(each.len());
        let bytes: u64 = each[next..until].iter().map(|size| u64::from(*size)).sum();
        if bytes > 0 {
            end = end.max(offset.saturating_add(bytes));
        }
        next = until;
    }
    Ok((each.iter().map(|size| u64::from(*size)).sum(), end))
}

/// Width and height of the stored pictures, px; those of the track where these aren't given.
fn size(table: &[u8], header: &[u8], at: usize) -> Option<[u32; 2]> {
    // The first sample entry's, behind the list's and its own header.
    let entry = child(table, b"stsd").and_then(|list| list.get(16..));
    let side = |at: usize| {
        let two = entry?.get(at..at + 2)?;
        Some(u32::from(u16::from_be_bytes(two.try_into().ok()?)))
    };
    if let (Some(width @ 1..), Some(height @ 1..)) = (side(24), side(26)) {
        return Some([width, height]);
    }
    // 16.16 fixed point.
    Some([u32_at(header, at)? >> 16, u32_at(header, at + 4)? >> 16])
}

/// The part of a display matrix that turns the picture: a, b, c, d of `[a b u; c d v; x y w]`.
fn matrix(header: &[u8], at: usize) -> [i64; 4] {
    let of = |k: usize| u32_at(header, at + 4 * k).map(|v| i64::from(v as i32) >> 8);
    match (of(0), of(1), of(3), of(4)) {
        (Some(a), Some(b), Some(c), Some(d)) if [a, b, c, d] != [0; 4] => [a, b, c, d],
        _ => [256, 0, 0, 256],
    }
}

fn product([a, b, c, d]: [i64; 4], [e, f, g, h]: [i64; 4]) -> [i64; 4] {
    [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h]
}

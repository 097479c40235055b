//! Videos of every codec in use: the frames asked for are the frames one gets.

use std::path::Path;

use foresight_datasets::mp4_header::VideoHeader;
use foresight_datasets::video::{self, VideoCodec, VideoEncoder};

const SIZE: (u32, u32) = (96, 64);
const FRAMES: usize = 70;

/// A grey level for each frame that survives compression: neighbours differ by 37.
fn level(number: usize) -> u8 {
    (number * 37 % 211) as u8 + 20
}

fn write(path: &Path, codec: VideoCodec) {
    let mut encoder = VideoEncoder::create(path, SIZE, 15.0, codec).expect("ffmpeg");
    for number in 0..FRAMES {
        let frame = vec![level(number); (SIZE.0 * SIZE.1 * 3) as usize];
        encoder.push(&frame).expect("a frame");
    }
    encoder.finish().expect("a video");
}

#[test]
fn the_frames_asked_for_are_the_ones_one_gets() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    for codec in [VideoCodec::H264, VideoCodec::Av1, VideoCodec::Mpeg4] {
        let path = folder.path().join(format!("{}.mp4", codec.name()));
        write(&path, codec);
        check(&path);
        let header = VideoHeader::read(&path).expect("a header");
        assert_eq!((header.width, header.height), SIZE);
        assert!((header.fps - 15.0).abs() < 1e-6);
    }
    // B-frames are stored in another order than they are shown in.
    let plain = folder.path().join("h264.mp4");
    let reordered = folder.path().join("reordered.mp4");
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&plain)
        .args(["-c:v", "libx264", "-crf", "10", "-bf", "3", "-g", "25"])
        .arg(&reordered)
        .status();
    assert!(status.expect("ffmpeg").success());
    check(&reordered);

    let made = |name: &str, before: &[&str], options: &[&str]| {
        let path = folder.path().join(name);
        let mut command = std::process::Command::new("ffmpeg");
        command.args(["-v", "error"]).args(before).arg("-i");
        let status = command.arg(&reordered).args(options).arg(&path).status();
        assert!(status.expect("ffmpeg").success(), "{name}");
        path
    };
    // Uneven times, of which the mean rate says nothing.
    let uneven = "setpts=(N+2*floor(N/3)+40*gt(N\\,30))/15/TB";
    // Two of three frames at the same time, which can't tell them apart.
    let alike = "setpts=(N+0.4*mod(N\\,3))/15/TB";
    for (name, times) in [("uneven.mp4", uneven), ("alike.mp4", alike)] {
        let times = ["-vf", times, "-fps_mode", "passthrough", "-c:v", "libx264"];
        let quality = ["-crf", "10", "-bf", "2", "-g", "12"];
        check(&made(name, &[], &[times.as_slice(), &quality].concat()));
    }
    // Cut without decoding: an edit list hides the frames before the first one shown.
    let cut = made("cut.mp4", &["-ss", "1.03"], &["-c", "copy"]);
    let header = VideoHeader::read(&cut).expect("a header");
    assert_eq!(header.frames, FRAMES - 16);
    assert_eq!(video::count_frames(&cut).expect("decoded"), FRAMES - 16);
    for numbers in [vec![0, 1, 30], vec![29], vec![40, 53]] {
        let frames = video::frames_at(&cut, &numbers).expect("decoded");
        let found: Vec<u8> = frames.iter().map(|f| f.get_pixel(20, 15).0[1]).collect();
        let wanted = numbers.iter().map(|n| level(n + 16));
        let near = found.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 6);
        assert!(
            near && found.len() == numbers.len(),
            "{numbers:?}: {found:?}"
        );
    }
}

fn check(path: &Path) {
    assert_eq!(VideoHeader::read(path).expect("a header").frames, FRAMES);
    assert_eq!(video::count_frames(path).expect("decoded"), FRAMES);
    let wanted: [&[usize]; 6] = [
        &[0],
        &[3, 4, 5, 23],
        &[24],
        &[25, 27, 29, 48, 69],
        &[FRAMES - 1],
        &[60, 61, 62, 63],
    ];
    for numbers in wanted {
        let frames = video::frames_at(path, numbers).expect("decoded");
        assert_eq!(frames.len(), numbers.len(), "{}", path.display());
        for (frame, number) in frames.iter().zip(numbers) {
            let found = frame.get_pixel(20, 15).0[1];
            assert!(
                found.abs_diff(level(*number)) <= 6,
                "{}: frame {number} is {found}, not {}",
                path.display(),
                level(*number)
            );
        }
    }
    // Past the end there is nothing, and nothing else instead.
    assert_eq!(video::frames_at(path, &[69, 70]).expect("decoded").len(), 1);
}

#[test]
fn damaged_videos_are_found() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("a.mp4");
    write(&path, VideoCodec::Mpeg4);
    let whole = std::fs::read(&path).expect("bytes");
    // The content is overwritten, the header is not.
    let mut bytes = whole.clone();
    let at = bytes.windows(4).position(|w| w == b"mdat").expect("frames");
    let until = bytes.windows(4).position(|w| w == b"moov").expect("header");
    bytes[at + 4 + (until - at) / 2..until - 4].fill(0);
    std::fs::write(&path, bytes).expect("damaged");
    let error = video::count_frames(&path).map_or_else(|e| e.to_string(), |n| n.to_string());
    assert!(
        error.contains("a.mp4 is unusable") || error != FRAMES.to_string(),
        "{error}"
    );
}

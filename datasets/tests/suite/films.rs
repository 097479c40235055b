//! Films: videos, folders of images and single ones, cut into clips.

use std::path::Path;

use foresight_datasets::{video, Film, FilmClip, FilmSampling};
use image::RgbImage;

fn pictures(folder: &Path, count: u8) {
    for i in 0..count {
        let picture = RgbImage::from_pixel(4, 3, image::Rgb([i, 0, 0]));
        picture.save(folder.join(format!("{i:03}.png"))).unwrap();
    }
}

fn red(film: &Film, clip: &FilmClip) -> Vec<u8> {
    let frames = film.read(&clip.numbers).unwrap();
    frames
        .iter()
        .map(|frame| frame.get_pixel(0, 0)[0])
        .collect()
}

#[test]
fn folders_of_images_are_cut_into_clips() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path(), 10);
    std::fs::write(folder.path().join("notes.txt"), "not a picture").unwrap();
    let film = Film::open(folder.path()).unwrap();
    assert_eq!(film.frames(), 10);
    let mut sampling = FilmSampling {
        frames: 4,
        rate_hz: Some(4.0),
        stride: 3,
    };
    let clips = film.clips(&sampling);
    let seen: Vec<Vec<u8>> = clips.iter().map(|clip| red(&film, clip)).collect();
    assert_eq!(seen, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]);
    sampling.rate_hz = None;
    assert_eq!(red(&film, &film.clips(&sampling)[0]), [1, 3, 6, 8]);
    // Shorter than a clip: the last frame stands still.
    sampling.frames = 12;
    sampling.rate_hz = Some(1.0);
    let clips = film.clips(&sampling);
    assert_eq!(clips.len(), 1);
    assert_eq!(red(&film, &clips[0])[8..], [8, 9, 9, 9]);
    for (frames, rate_hz, stride) in [(0, None, 1), (1, None, 0), (1, Some(f64::NAN), 1)] {
        let wrong = FilmSampling {
            frames,
            rate_hz,
            stride,
        };
        assert!(wrong.check().is_err());
    }
}

#[test]
fn videos_are_sampled_by_the_times_they_say() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let mut encoder =
        video::VideoEncoder::create(&path, (16, 16), 10.0, video::VideoCodec::H264).unwrap();
    for i in 0..12u8 {
        encoder.push(&[20 * i; 16 * 16 * 3]).unwrap();
    }
    encoder.finish().unwrap();
    let film = Film::open(&path).unwrap();
    assert_eq!(film.frames(), 12);
    let clips = film.clips(&FilmSampling {
        frames: 3,
        rate_hz: Some(5.0),
        stride: 3,
    });
    let numbers: Vec<Vec<usize>> = clips.iter().map(|c| c.numbers.clone()).collect();
    assert_eq!(numbers, [[0, 2, 4], [6, 8, 10]]);
    assert!((clips[1].start_s - 0.6).abs() < 1e-3);
    for (number, grey) in numbers[1].iter().zip(red(&film, &clips[1])) {
        assert!((f64::from(grey) - 20.0 * *number as f64).abs() < 6.0);
    }
    // What decoding shows is what the header says.
    let decoded = video::times_s(&path).unwrap();
    assert_eq!(decoded.len(), 12);
    let apart = (decoded[11] - decoded[0]) - 1.1;
    assert!(apart.abs() < 1e-3, "{apart}");
}

#[test]
fn what_is_no_film_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = Film::open(folder.path()).unwrap_err().to_string();
    assert!(empty.contains("a folder of images"), "{empty}");
    let file = folder.path().join("broken.png");
    std::fs::write(&file, b"no picture").unwrap();
    let film = Film::open(&file).unwrap();
    let broken = film.read(&[0]).unwrap_err().to_string();
    assert!(broken.contains("broken.png"), "{broken}");
    let missing = Film::open(&folder.path().join("nothing.mp4")).unwrap_err();
    assert!(missing.to_string().contains("nothing.mp4"));
}

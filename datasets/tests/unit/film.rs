//! Unit tests of `src/film.rs`.

use super::*;

#[test]
fn frames_are_those_shown_nearest_to_a_rates_ticks() {
    let film = Film {
        path: "film".into(),
        source: Source::Images(vec!["x".into(); 7]),
        times_s: Some(vec![0.0, 0.1, 0.2, 0.3, 0.6, 0.85, 1.0]),
        frames: 7,
    };
    assert_eq!(film.sampled(4.0), [0, 2, 4, 5, 6]);
    let clips = film.clips(&FilmSampling {
        frames: 2,
        rate_hz: Some(4.0),
        stride: 2,
    });
    assert_eq!(clips.len(), 2);
    assert_eq!(clips[1].numbers, [4, 5]);
    assert_eq!(clips[1].start_s, 0.6);
}

#[test]
fn a_folder_s_images_come_as_they_are_counted_and_hidden_ones_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "f1.png",
        "f2.png",
        "f9_b.png",
        "f10.png",
        "f010_b.png",
        "f100.png",
    ];
    for (i, name) in names.iter().enumerate() {
        let picture = RgbImage::from_pixel(2, 2, image::Rgb([10 * i as u8; 3]));
        picture.save(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("._f1.png"), b"of macOS").unwrap();
    let film = Film::open(folder.path()).unwrap();
    let shown = film.read(&[0, 1, 2, 3, 4, 5]).unwrap();
    let shades: Vec<u8> = shown.iter().map(|p| p.get_pixel(0, 0).0[0]).collect();
    assert_eq!(shades, [0, 10, 20, 30, 40, 50]);
}

#[test]
fn a_clip_of_more_frames_than_fit_in_memory_is_refused() {
    let of = |frames| FilmSampling {
        frames,
        rate_hz: None,
        stride: 1,
    };
    assert!(of(64).check().is_ok());
    for frames in [0, 100_000_000] {
        let said = of(frames).check().unwrap_err().to_string();
        assert!(said.contains("1 to 4096 frames"), "{said}");
    }
}

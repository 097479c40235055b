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

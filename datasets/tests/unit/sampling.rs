//! Unit tests of `src/sampling.rs`.

use super::*;

fn even(rate_hz: f64, frames: usize) -> Vec<f64> {
    (0..frames).map(|i| i as f64 / rate_hz).collect()
}

#[test]
fn droid_at_15_hz_gives_4_frames_a_second() {
    let time_s = even(15.0, 60);
    let shape = ClipShape::default();
    let numbers = by_time(&time_s, 3, &shape, tolerance_s(&time_s)).expect("it fits");
    // 3.75 frames a step, rounded to the nearest.
    assert_eq!(numbers, [3, 7, 10, 14, 18, 22, 25, 29]);
    let starts = starts_by_time(&time_s, &shape);
    assert_eq!((starts[0], starts.len()), (0, 34));
}

#[test]
fn whole_recordings_are_thinned_to_their_end() {
    let time_s = even(15.0, 31);
    assert_eq!(
        evenly(&time_s, 5.0),
        [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    );
    assert_eq!(evenly(&time_s, 15.0).len(), 31);
    for fps in [16.0, 20.0, 30.0] {
        assert_eq!(evenly(&time_s, fps), [0], "{fps}");
    }
    assert!(evenly(&[], 4.0).is_empty());
}

#[test]
fn jitter_and_a_rate_a_little_lower_cost_no_end_of_a_recording() {
    let mut time_s = even(15.0, 60);
    for (i, t) in time_s.iter_mut().enumerate() {
        *t += [0.0, 0.024, -0.021, 0.015][i % 4];
    }
    for fps in [14.0, 13.0, 12.0] {
        let numbers = evenly(&time_s, fps);
        assert!(numbers
            .windows(2)
            .all(|pair| (1..4).contains(&(pair[1] - pair[0]))));
        assert!(numbers.last() >= Some(&58), "{fps}: {numbers:?}");
    }
    assert!(evenly(&even(3.9, 60), 4.0).len() >= 58);
}

#[test]
fn pauses_neither_end_a_recording_nor_slow_its_rate() {
    for pause_s in [0.5, 5.0, 3600.0] {
        let mut time_s = even(15.0, 45);
        for t in &mut time_s[8..] {
            *t += pause_s;
        }
        assert!((rate_hz(&time_s) - 15.0).abs() < 1e-9, "{pause_s}");
        let expected: Vec<usize> = [0, 3, 6].into_iter().chain((8..45).step_by(3)).collect();
        assert_eq!(evenly(&time_s, 5.0), expected, "{pause_s}");
    }
    assert_eq!((rate_hz(&[]), rate_hz(&[1.0])), (0.0, 0.0));
}

#[test]
fn times_in_other_units_are_named() {
    for rate_hz in [4.0, 15.0, 60.0, 200.0] {
        let of = |scale: f64| {
            let times: Vec<f64> = even(rate_hz, 20).iter().map(|t| t * scale).collect();
            check_times(&times, true)
        };
        assert_eq!(of(1.0), Ok(()));
        assert!(of(1e9).unwrap_err().contains("(nanoseconds for seconds)"));
        assert!(of(1e6).unwrap_err().contains("nanoseconds for milli"));
        assert!(of(1e-3).is_ok() == (rate_hz < 5.0));
    }
    assert!(check_times(&[0.0, 1.0, 1.0], false)
        .unwrap_err()
        .contains("state 1 to"));
    assert_eq!(check_times(&[0.0, 1000.0], false), Ok(()));
}

#[test]
fn pauses_and_slow_recordings_have_no_clips() {
    let mut time_s = even(15.0, 40);
    for t in &mut time_s[20..] {
        *t += 1.0;
    }
    let starts = starts_by_time(
        &time_s,
        &ClipShape {
            frames: 4,
            ..ClipShape::default()
        },
    );
    assert!(starts.iter().all(|s| s + 11 < 20 || *s >= 20), "{starts:?}");
    assert!(starts.contains(&0) && starts.contains(&21));
    assert!(starts_by_time(&even(3.0, 60), &ClipShape::default()).is_empty());
}

#[test]
fn legacy_counts_frames_as_the_official_loader_does() {
    let shape = ClipShape {
        sampling: Sampling::Legacy,
        ..ClipShape::default()
    };
    // ceil(60 / 4) = 15 frames a step, 120 frames a clip.
    assert_eq!(legacy_step(60.0, &shape), 15);
    assert_eq!(legacy_starts(300, 60.0, &shape), 0..180);
    assert_eq!(legacy_starts(120, 60.0, &shape), 0..0);
    assert_eq!(legacy(5, 15.0, &shape), [5, 9, 13, 17, 21, 25, 29, 33]);
}

#[test]
fn impossible_shapes_are_refused() {
    let good = ClipShape::default();
    assert!(good.check().is_ok());
    for bad in [
        ClipShape { frames: 0, ..good },
        ClipShape { tubelet: 3, ..good },
        ClipShape { tubelet: 0, ..good },
        ClipShape { fps: 0.0, ..good },
        ClipShape {
            fps: f64::NAN,
            ..good
        },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}

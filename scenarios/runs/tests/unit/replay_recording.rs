//! Unit tests of `src/replay/recording.rs`.

use super::*;

#[test]
fn thinning_follows_the_clock() {
    let mut recording = Recording {
        name: String::new(),
        kind: RecordingKind::Csv,
        poses: vec![Pose::from_array([0.0; 7]); 31],
        time_s: (0..31).map(|i| 10.0 + f64::from(i) / 15.0).collect(),
        actions: Vec::new(),
        frames: Vec::new(),
        replay_scene: None,
        notes: Vec::new(),
    };
    recording.thin(5.0);
    assert_eq!(recording.poses.len(), 11);
    assert!((recording.seconds(1).unwrap() - 0.2).abs() < 1e-9);
    assert!((recording.seconds(10).unwrap() - 2.0).abs() < 1e-9);
    recording.thin(100.0);
    assert_eq!(recording.poses.len(), 11);
}

//! Unit tests of `src/replay/out_of_bounds.rs`.

use super::*;

#[test]
fn stretches_name_their_worst_pose() {
    let limits = EnvelopeConfig::new(foresight_robot::WorkspaceBox {
        min_m: [0.3, -0.2, 0.0],
        max_m: [0.6, 0.2, 0.4],
    });
    let at = |x: f64, z: f64| Pose::from_array([x, 0.0, z, 3.1, 0.0, 0.0, 0.0]);
    let poses = [
        at(0.5, 0.1),
        at(0.62, 0.1),
        at(0.65, 0.1),
        at(0.5, 0.1),
        at(0.5, 0.0),
    ];
    let found = out_of_bounds(&poses, &limits);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].from, found[0].to, found[0].worst), (1, 2, 2));
    assert!((found[0].beyond_m() - 0.05).abs() < 1e-9 && found[0].axis == 'x');
    assert_eq!((found[1].axis, found[1].limit_m), ('z', limits.floor_m()));
    assert_eq!(out_of_bounds(&poses[..1], &limits), []);
}

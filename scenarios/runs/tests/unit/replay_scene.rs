//! Unit tests of `src/replay/scene.rs`.

use super::*;

#[test]
fn limits_of_recordings_from_elsewhere_are_a_scenario_files_defaults() {
    let scene = ReplayScene::elsewhere(&[Pose::from_array([0.5; 7])]);
    let stated = "[workspace]\nmin_m = [0.15, -0.6, 0.0]\nmax_m = [0.85, 0.6, 0.85]\n";
    assert_eq!(Ok(scene.safety), toml::from_str(stated));
}

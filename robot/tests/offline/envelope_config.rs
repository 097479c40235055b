//! The envelope's limits: defaults, nonsense, unknown keys.

use foresight_robot::envelope::EnvelopeError;
use foresight_robot::{EnvelopeConfig, WorkspaceBox};

fn config() -> EnvelopeConfig {
    EnvelopeConfig::new(WorkspaceBox {
        min_m: [0.3, -0.3, 0.0],
        max_m: [0.7, 0.3, 0.5],
    })
}

#[test]
fn the_room_stands_on_the_table() {
    let mut config = config();
    let floor = config.table_height_m + config.table_clearance_m;
    assert!(floor > 0.0);
    assert_eq!(config.workspace_bounds().min_m, [0.3, -0.3, floor]);
    assert_eq!(config.workspace_bounds().max_m, [0.7, 0.3, 0.5]);
    config.workspace.min_m[2] = 0.1;
    assert_eq!(config.workspace_bounds().min_m[2], 0.1);
}

#[test]
fn defaults_are_valid_and_nonsense_is_named() {
    assert_eq!(config().validate(), Ok(()));
    let mut fast = config();
    fast.speed_m_s = f64::NAN;
    let error = fast.validate().expect_err("NaN speed").to_string();
    assert!(error.contains("speed_m_s"), "{error}");
    let mut inside_out = config();
    inside_out.workspace.min_m[1] = 0.4;
    assert!(matches!(
        inside_out.validate(),
        Err(EnvelopeError::Box { axis: 'y', .. })
    ));
    let mut buried = config();
    buried.table_height_m = 0.6;
    assert!(matches!(
        buried.validate(),
        Err(EnvelopeError::UnderTable { .. })
    ));
}

#[test]
fn unknown_keys_are_refused() {
    let text = r#"{"workspace": {"min_m": [0,0,0], "max_m": [1,1,1]}, "speed": 3}"#;
    assert!(serde_json::from_str::<EnvelopeConfig>(text).is_err());
}

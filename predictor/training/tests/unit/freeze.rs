//! Unit tests of `src/freeze.rs`.

use super::*;
use foresight_predictor::checkpoint::preset;

#[test]
fn parts_are_what_they_are_called() {
    let config = preset("tiny").unwrap().predictor.unwrap();
    assert!(FreezeConfig::default().frozen(&config).unwrap().is_empty());
    let last = FreezeConfig {
        last_blocks: Some(1),
        projections: false,
        condition_encoders: true,
    };
    let frozen = last.frozen(&config).unwrap();
    assert!(frozen.contains("predictor_blocks.2.mlp.fc1.weight"));
    assert!(frozen.contains("predictor_norm.bias"));
    assert!(!frozen.contains("predictor_blocks.3.mlp.fc1.weight"));
    assert!(!frozen.contains("action_encoder.weight"));
    let nothing = FreezeConfig {
        last_blocks: Some(0),
        projections: false,
        condition_encoders: false,
    };
    assert!(nothing.frozen(&config).is_err());
    let too_many = FreezeConfig {
        last_blocks: Some(5),
        ..FreezeConfig::default()
    };
    assert!(too_many.frozen(&config).unwrap_err().contains("4 blocks"));
}

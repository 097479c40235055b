//! Unit tests of `src/checkpoint/hugging_face.rs`.

use super::*;

#[test]
fn vjepa21_is_told_by_its_options() {
    let config = |more: &str| -> Config {
        let text = format!(
            r#"{{"crop_size": 384, "frames_per_clip": 64, "hidden_size": 768, "mlp_ratio": 4.0,
                "num_attention_heads": 12, "num_hidden_layers": 12, "patch_size": 16,
                "tubelet_size": 2{more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    assert!(!config("").is_vjepa21());
    assert!(!config(r#", "use_rope_interleave": false"#).is_vjepa21());
    assert!(config(r#", "use_rope_interleave": true"#).is_vjepa21());
    assert!(config(r#", "interpolate_rope": true"#).is_vjepa21());
}

#[test]
fn names_become_official() {
    let name = |part, n| official(part, n);
    assert_eq!(
        name(Part::Encoder, "layer.3.attention.proj.bias"),
        "blocks.3.attn.proj.bias"
    );
    assert_eq!(name(Part::Encoder, "layernorm.weight"), "norm.weight");
    assert_eq!(
        name(Part::MaskPredictor, "layer.0.mlp.fc1.weight"),
        "predictor_blocks.0.mlp.fc1.weight"
    );
    assert_eq!(
        name(Part::MaskPredictor, "proj.bias"),
        "predictor_proj.bias"
    );
    assert_eq!(
        qkv("blocks.0.attn.key.bias"),
        Some(("blocks.0.attn.qkv.bias".into(), 1))
    );
}

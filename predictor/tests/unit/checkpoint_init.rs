//! Unit tests of `src/checkpoint/init.rs`.

use super::*;

#[test]
fn values_have_the_official_spread_and_depend_on_seed_and_name() {
    let name = "blocks.1.mlp.fc2.weight";
    let a = values(Part::Encoder, name, 200_000, 1);
    let spread = |v: &[f32]| {
        let sum: f64 = v.iter().map(|x| f64::from(*x).powi(2)).sum();
        (sum / v.len() as f64).sqrt()
    };
    assert!((spread(&a) - 0.01).abs() < 1e-4, "{}", spread(&a));
    assert_eq!(a, values(Part::Encoder, name, 200_000, 1));
    assert_eq!(a[..100], values(Part::Encoder, name, 100, 1));
    assert_ne!(a, values(Part::Encoder, name, 200_000, 2));
    assert_ne!(a, values(Part::AcPredictor, name, 200_000, 1));
    let plain = values(Part::Encoder, "patch_embed.proj.weight", 200_000, 1);
    assert!((spread(&plain) - 0.02).abs() < 2e-4);
    assert!(values(Part::Encoder, "norm.weight", 3, 1) == [1.0; 3]);
    assert!(values(Part::Encoder, "blocks.0.attn.qkv.bias", 2, 1) == [0.0; 2]);
}

#[test]
fn every_preset_is_consistent() {
    for name in PRESETS {
        let config = preset(name).unwrap();
        config.validate().unwrap();
    }
    let full = preset("vitg-ac").unwrap();
    let count = |entries: Vec<crate::layout::Entry>| -> usize {
        entries
            .iter()
            .map(|(_, s)| s.iter().product::<usize>())
            .sum()
    };
    let encoder = count(crate::layout::encoder(&full.encoder));
    assert_eq!(encoder, 1_012_173_952);
    let predictor = count(crate::layout::predictor(&full.predictor.unwrap()));
    assert_eq!(predictor, 305_213_824);
    // Numbers and names of the official constructors; the predictors' in millions.
    for (name, parameters, names, predictor, predictor_names) in [
        ("base", 86_833_152, 158, 22.9, 162),
        ("large", 304_680_960, 302, 23.0, 162),
        ("giant", 1_013_267_968, 494, 55.4, 308),
        ("gigantic", 1_845_216_768, 590, 59.4, 308),
    ] {
        let config = preset(&format!("vjepa2_1_vit_{name}_384")).unwrap();
        let entries = crate::layout::encoder(&config.encoder);
        assert_eq!(entries.len(), names, "{name}");
        assert_eq!(count(entries), parameters, "{name}");
        let entries = crate::layout::mask_predictor(&mask_predictor_of(&config.encoder));
        assert_eq!(entries.len(), predictor_names, "{name}");
        let millions = count(entries) as f64 / 1e6;
        assert!((millions - predictor).abs() < 0.06, "{name}: {millions}");
    }
}

//! Fixture 13: the mask generator of the official pre-training, id for id.

use crate::support::{of_kind, Fixture};
use candle_core::DType;
use foresight_training::mersenne_twister::MersenneTwister;
use foresight_training::{BlockMaskGenerator, BlockMaskOptions};
use serde_json::{json, Value};

fn options(blocks: &Value) -> BlockMaskOptions {
    let mut options = json!({});
    // The generator's arguments and the configurations' names for them.
    let names = [
        ("aspect_ratio", "aspect_ratio"),
        ("npred", "num_blocks"),
        ("spatial_pred_mask_scale", "spatial_scale"),
        ("temporal_pred_mask_scale", "temporal_scale"),
        ("max_context_frames_ratio", "max_temporal_keep"),
        ("max_keep", "max_keep"),
        ("full_complement", "full_complement"),
        ("pred_full_complement", "pred_full_complement"),
        ("inv_block", "inv_block"),
    ];
    for (key, value) in blocks.as_object().unwrap() {
        let (_, ours) = names.iter().find(|(theirs, _)| theirs == key).unwrap();
        options[*ours] = value.clone();
    }
    serde_json::from_value(options).unwrap()
}

fn generator(case: &Value) -> BlockMaskGenerator {
    let size = |key: &str| case[key].as_u64().unwrap() as usize;
    let crop: [usize; 2] = serde_json::from_value(case["crop_size"].clone()).unwrap();
    let options = options(&case["blocks"]);
    let (patch, tubelet) = (size("patch_size"), size("tubelet_size"));
    let generator = BlockMaskGenerator::new(options, crop, patch, size("frames"), tubelet).unwrap();
    assert_eq!(json!(generator.grid()), case["grid"]);
    generator
}

fn ids(fixture: &Fixture, name: &str) -> Vec<Vec<u32>> {
    let tensor = fixture.get(name).to_dtype(DType::U32).unwrap();
    tensor.to_vec2().unwrap()
}

#[test]
fn parity_mask_generator() {
    for fixture in of_kind("13_mask_predictor", "mask_generator") {
        for case in fixture.json["cases"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let generator = generator(case);
            let uniforms: Vec<f64> = fixture
                .get(&format!("in.{name}.uniforms"))
                .to_vec1()
                .unwrap();
            let step = case["step"].as_u64().unwrap();
            let mut torch = MersenneTwister::new(step as u32);
            assert_eq!(
                [(); 3].map(|()| torch.uniform()).to_vec(),
                uniforms,
                "{name}"
            );
            let block = generator.block([uniforms[0], uniforms[1], uniforms[2]]);
            assert_eq!(json!(block), case["block_thw"], "{name}");
            assert_eq!(generator.block_of_step(step), block, "{name}");

            let batch = case["batch"].as_u64().unwrap() as usize;
            let draws: Vec<usize> = ids(&fixture, &format!("in.{name}.draws"))
                .concat()
                .into_iter()
                .map(|place| place as usize)
                .collect();
            let mut at = 0;
            let masks = generator.draw(batch, block, &mut |below| {
                at += 1;
                assert!(draws[at - 1] < below, "{name}");
                draws[at - 1]
            });
            assert_eq!(
                at,
                draws.len(),
                "{name}: as many numbers as were drawn there"
            );
            let masks = masks.unwrap();
            assert_eq!(
                masks.context,
                ids(&fixture, &format!("out.{name}.masks_enc"))
            );
            assert_eq!(
                masks.masked,
                ids(&fixture, &format!("out.{name}.masks_pred"))
            );
        }
    }
}

/// Blocks that hide every token are an error, where the official code never comes back.
#[test]
fn a_batch_without_context_is_given_up() {
    let options = BlockMaskOptions {
        spatial_scale: [1.0, 1.0],
        aspect_ratio: [1.0, 1.0],
        num_blocks: 1,
        ..BlockMaskOptions::default()
    };
    let generator = BlockMaskGenerator::new(options, [64, 64], 16, 4, 2).unwrap();
    let block = generator.block_of_step(0);
    assert_eq!(block, [2, 4, 4]);
    let mut torch = MersenneTwister::new(1);
    let problem = generator
        .draw(2, block, &mut |n| torch.below(n))
        .unwrap_err();
    assert!(problem.contains("nothing to see"), "{problem}");
    let backwards = BlockMaskOptions {
        spatial_scale: [0.5, 0.2],
        ..BlockMaskOptions::default()
    };
    assert!(BlockMaskGenerator::new(backwards, [64, 64], 16, 4, 2).is_err());
    let none = BlockMaskOptions::default();
    assert!(BlockMaskGenerator::new(none, [8, 64], 16, 4, 2).is_err());
}

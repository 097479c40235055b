//! Random weights with the official initialisation, of any architecture, the full-size one too.
//!
//! Weights are normal with standard deviation 0.02 (the official truncation lies at ±2, a
//! hundred standard deviations away), the output projections of block `l` divided by `√(2l)`,
//! biases 0 and norms 1.

use std::path::Path;

use candle_core::DType;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::error::CheckpointError;
use super::folder::{encode, write};
use super::Part;
use crate::config::{
    ActionSpace, EncoderConfig, EncoderLevel, ModelConfig, PredictorConfig, RopeVariant, Stem,
    MODEL_TYPE,
};
use crate::parameters::Parameters;

/// Standard deviation of every weight before rescaling.
const STD: f32 = 0.02;
/// Values drawn from one generator: results don't depend on the number of threads.
const CHUNK: usize = 1 << 16;

/// Architectures with a name.
pub const PRESETS: [&str; 6] = ["tiny", "vitl", "vith", "vitg", "vitg-384", "vitg-ac"];

/// A named architecture: the released ones, and a small one of ours.
pub fn preset(name: &str) -> Option<ModelConfig> {
    let vit = |side: usize, embed_dim, depth, num_heads, mlp_ratio| EncoderConfig {
        img_size: [side, side],
        patch_size: 16,
        num_frames: 64,
        tubelet_size: 2,
        embed_dim,
        depth,
        num_heads,
        mlp_ratio,
        rope: RopeVariant::Tiled,
        stem: Stem::Conv3d,
        vjepa2_1: None,
        level: EncoderLevel::Last,
    };
    let giant = |side| vit(side, 1408, 40, 22, 48.0 / 11.0);
    let predictor = |e: &EncoderConfig, predictor_embed_dim, depth, num_heads| PredictorConfig {
        img_size: e.img_size,
        patch_size: e.patch_size,
        num_frames: e.num_frames,
        tubelet_size: e.tubelet_size,
        embed_dim: e.embed_dim,
        predictor_embed_dim,
        depth,
        num_heads,
        use_extrinsics: false,
        mlp_ratio: 4.0,
        rope: e.rope,
        euler_around_rad: None,
    };
    let (encoder, predictor) = match name {
        "tiny" => {
            let encoder = EncoderConfig {
                stem: Stem::TwoLevel,
                ..vit(64, 128, 3, 4, 4.0)
            };
            let predictor = predictor(&encoder, 128, 4, 4);
            (encoder, Some(predictor))
        }
        "vitl" => (vit(256, 1024, 24, 16, 4.0), None),
        "vith" => (vit(256, 1280, 32, 16, 4.0), None),
        "vitg" => (giant(256), None),
        "vitg-384" => (giant(384), None),
        "vitg-ac" => {
            let encoder = giant(256);
            let predictor = predictor(&encoder, 1024, 24, 16);
            (encoder, Some(predictor))
        }
        _ => return None,
    };
    Some(ModelConfig {
        model_type: MODEL_TYPE.into(),
        name: format!("{name}-random"),
        encoder,
        predictor,
        action_space: ActionSpace::default(),
    })
}

/// Writes a model folder of random weights, one tensor in memory at a time. `done` is told the
/// number of values after each tensor.
///
/// # Errors
/// When the configuration is inconsistent or the disk fails.
pub fn init(
    config: &ModelConfig,
    seed: u64,
    dtype: DType,
    folder: impl AsRef<Path>,
    mut done: impl FnMut(usize),
) -> Result<(), CheckpointError> {
    let folder = folder.as_ref();
    write(folder, config, dtype, &mut |part, name, shape| {
        let values = values(part, name, shape.iter().product(), seed);
        done(values.len());
        encode(folder, name, &values, dtype)
    })
}

/// The official initial weights of a network, heads included: what [`init`] writes with the same
/// seed.
pub fn initialise(parameters: &mut Parameters, part: Part, seed: u64) {
    for (name, shape) in parameters.entries().to_vec() {
        let initial = values(part, &name, shape.iter().product(), seed);
        parameters.slice_mut(&name).copy_from_slice(&initial);
    }
}

/// Initial values of one parameter.
fn values(part: Part, name: &str, count: usize, seed: u64) -> Vec<f32> {
    if name.ends_with(".bias") {
        return vec![0.0; count];
    }
    if name.contains("norm") {
        return vec![1.0; count];
    }
    let std = STD / rescale(name);
    let mut values = vec![0f32; count];
    values
        .par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(chunk, values)| {
            let mut rng = ChaCha8Rng::from_seed(seed_of(part, name, seed, chunk));
            // A standard normal can't fail to be made; scaling it keeps it that way.
            if let Ok(normal) = Normal::new(0f32, 1.0) {
                for value in values {
                    *value = normal.sample(&mut rng) * std;
                }
            }
        });
    values
}

/// `√(2l)` for the output projections of the `l`-th block, counted from 1.
fn rescale(name: &str) -> f32 {
    if !name.ends_with(".attn.proj.weight") && !name.ends_with(".mlp.fc2.weight") {
        return 1.0;
    }
    let block = name.split('.').find_map(|part| part.parse::<u32>().ok());
    block.map_or(1.0, |i| (2.0 * (i as f32 + 1.0)).sqrt())
}

/// A seed of its own for every chunk of every tensor, by name: the same values whatever else
/// the model has.
fn seed_of(part: Part, name: &str, seed: u64, chunk: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((chunk as u64).to_le_bytes());
    hash.update(part.to_string());
    hash.update([0]);
    hash.update(name);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
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
    }
}

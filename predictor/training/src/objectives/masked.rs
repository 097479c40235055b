//! V-JEPA's masked latent prediction: from the visible tokens, the latents that a moving average
//! of the encoder gives the masked ones.
//!
//! Official code: `app/vjepa/train.py` (loss, target, momentum) and `src/masks/multiseq_multiblock3d.py`
//! (blocks). One frame is one tubelet here, so blocks span space only; one mask serves a whole
//! batch.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::linear;
use crate::head_variables::HeadVariables;
use crate::trunk::{Shared, Trunk};
use foresight_predictor::config::EncoderConfig;
use foresight_predictor::kernels::attention::Visibility;
use foresight_predictor::layout::{self, Entry};
use foresight_predictor::rope::{Position, RopeTable};

/// Where the throw-away predictor's parameters lie.
const PREFIX: &str = "head.masked.";
/// Its blocks.
const DEPTH: usize = 2;
/// Areas of blocks, as shares of the frame.
const SCALE: [f64; 2] = [0.1, 0.3];
/// Heights of blocks over their widths.
const ASPECT: [f64; 2] = [0.75, 1.5];
/// Blocks are added until this share of the tokens is masked.
const LEAST_MASKED: f64 = 0.5;

/// Parameters of the throw-away predictor.
pub fn layout(config: &EncoderConfig) -> Vec<Entry> {
    let d = config.embed_dim;
    let mut entries = Vec::new();
    linear(&mut entries, "head.masked.embed", d, d);
    entries.push(("head.masked.token".into(), vec![d]));
    let block = layout::encoder_block(config);
    entries.extend(layout::blocks("head.masked.blocks", DEPTH, block));
    entries.push(("head.masked.norm.weight".into(), vec![d]));
    entries.push(("head.masked.norm.bias".into(), vec![d]));
    linear(&mut entries, "head.masked.proj", d, d);
    entries
}

/// Tokens of a frame, told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Indices of the tokens the encoder sees, ascending.
    pub visible: Vec<u32>,
    /// Indices of the tokens to predict, ascending.
    pub masked: Vec<u32>,
}

impl Mask {
    /// Blocks on a grid, drawn from `seed`; at least one token is visible and one masked.
    pub fn draw([rows, columns]: [usize; 2], seed: u64) -> Mask {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = rows * columns;
        let mut hidden = vec![false; count];
        // Blocks that would cover everything are drawn again, a bounded number of times.
        for _ in 0..64 {
            let masked = hidden.iter().filter(|h| **h).count();
            if masked as f64 >= LEAST_MASKED * count as f64 {
                break;
            }
            let area = rng.random_range(SCALE[0]..SCALE[1]) * count as f64;
            let aspect = rng.random_range(ASPECT[0]..ASPECT[1]);
            let side = |length: f64, most: usize| (length.round() as usize).clamp(1, most);
            let height = side((area * aspect).sqrt(), rows);
            let width = side((area / aspect).sqrt(), columns);
            let top = rng.random_range(0..=rows - height);
            let left = rng.random_range(0..=columns - width);
            let mut with = hidden.clone();
            for row in top..top + height {
                with[row * columns + left..][..width].fill(true);
            }
            if with.contains(&false) {
                hidden = with;
            }
        }
        let of = |wanted: bool| {
            (0..count as u32)
                .filter(|i| hidden[*i as usize] == wanted)
                .collect()
        };
        Mask {
            visible: of(false),
            masked: of(true),
        }
    }
}

/// Mean absolute error at the masked tokens.
///
/// `encoded` holds the encoder's normalised latents of the visible tokens `[B, V, D]`, `targets`
/// the moving average's latents of all tokens `[B, N, D]`, normalised.
///
/// # Errors
/// When shapes don't agree.
pub fn loss(
    config: &EncoderConfig,
    shared: &Shared,
    heads: &HeadVariables,
    mask: &Mask,
    encoded: &Tensor,
    targets: &Tensor,
) -> Result<Tensor> {
    let (b, visible, d) = encoded.dims3()?;
    let masked = mask.masked.len();
    let seen = heads.linear("head.masked.embed", encoded)?;
    let unseen = heads
        .get("head.masked.token")?
        .reshape((1, 1, d))?
        .broadcast_as((b, masked, d))?;
    let x = Tensor::cat(&[&seen, &unseen.contiguous()?], 1)?;
    let order: Vec<u32> = mask.visible.iter().chain(&mask.masked).copied().collect();
    let trunk = Trunk {
        shape: layout::encoder_block(config),
        depth: DEPTH,
        prefix: format!("{PREFIX}blocks"),
    };
    let rope = Arc::new(rope_of(config, &order));
    let x = trunk.forward(shared, &x, &rope, Visibility::All)?;
    let x = x.narrow(1, visible, masked)?.contiguous()?;
    let predicted = heads.linear(
        "head.masked.proj",
        &heads.layer_norm("head.masked.norm", &x)?,
    )?;
    let wanted = Tensor::from_slice(&mask.masked, masked, &Device::Cpu)?;
    (predicted - targets.index_select(&wanted, 1)?)?
        .abs()?
        .mean_all()
}

/// Rotations of some of a frame's tokens.
pub fn rope_of(config: &EncoderConfig, tokens: &[u32]) -> RopeTable {
    let [height, width] = config.img_size;
    let p = config.patch_size;
    let grid = RopeTable::grid(1, height / p, width / p);
    let positions: Vec<Position> = tokens.iter().map(|i| grid[*i as usize]).collect();
    RopeTable::new(&positions, config.head_dim(), config.rope)
}

#[cfg(test)]
#[path = "../../tests/unit/objectives_masked.rs"]
mod tests;

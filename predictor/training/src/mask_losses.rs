//! The losses of V-JEPA 2's and 2.1's masked pre-training.
//!
//! Official code: `app/vjepa/train.py` and `app/vjepa_2_1/train.py`, `train_step`.

use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};

use foresight_predictor::encoder::normalise_latent;

/// Which losses, and how they are weighed; names are the official ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskLossOptions {
    /// Power of the error, `mean|z − h|^p / p`. Default 1.
    pub loss_exp: f64,
    /// More than 1: each level of the target is normalised by itself; 1: all of them together.
    /// Default 4, the number of levels; V-JEPA 2 has one.
    pub levels_predictor: usize,
    /// Whether the context's latents are predicted too. Default true; V-JEPA 2 doesn't.
    pub predict_all: bool,
    /// Whether a context token weighs less the farther it is from what is masked. Default true.
    pub weight_distance_loss: bool,
    /// Whether that distance is taken in tokens of a grid of 16. Default false.
    pub offset_context_loss: bool,
    /// Weight of the context loss. Default 0.5.
    pub lambda_value: f64,
    /// Whether that weight is 0 at first and rises. Default true.
    pub lambda_progressive: bool,
    /// Iterations at which it begins to rise, and has risen. Default 15,000 and 30,000, as officially.
    pub lambda_rises: [u64; 2],
}

impl Default for MaskLossOptions {
    /// V-JEPA 2.1's primary phase.
    fn default() -> Self {
        MaskLossOptions {
            loss_exp: 1.0,
            levels_predictor: 4,
            predict_all: true,
            weight_distance_loss: true,
            offset_context_loss: false,
            lambda_value: 0.5,
            lambda_progressive: true,
            lambda_rises: [15_000, 30_000],
        }
    }
}

impl MaskLossOptions {
    /// V-JEPA 2's: masked tokens only, one level.
    pub fn vjepa2() -> Self {
        MaskLossOptions {
            levels_predictor: 1,
            predict_all: false,
            ..MaskLossOptions::default()
        }
    }

    /// Weight of the context loss at iteration `iteration` of the whole training, from 0
    /// (`Lambda_LinearWarmupHold`).
    pub fn lambda(&self, iteration: u64) -> f64 {
        let [start, end] = self.lambda_rises;
        if !self.predict_all {
            0.0
        } else if !self.lambda_progressive || iteration >= end {
            self.lambda_value
        } else {
            let risen = iteration.saturating_sub(start) as f64 / (end - start) as f64;
            self.lambda_value * risen
        }
    }
}

/// What predictions are compared with: the target encoder's `tokens` `[B, N, L·D]`, each level of
/// `width` channels layer-normalised by itself, or all of them together.
///
/// # Errors
/// When the tokens are no whole number of levels wide.
pub fn targets(tokens: &Tensor, width: usize, options: &MaskLossOptions) -> Result<Tensor> {
    if options.levels_predictor <= 1 {
        return normalise_latent(tokens);
    }
    let (b, n, channels) = tokens.dims3()?;
    if width == 0 || channels % width != 0 {
        candle_core::bail!("targets {channels} wide are no levels of {width} channels");
    }
    let levels = tokens.reshape((b, n, channels / width, width))?;
    normalise_latent(&levels)?.reshape((b, n, channels))
}

/// `mean(|z − h|^p / d) / p` of predictions and targets `[B, K, L·D]`, where `distances` `[B, K]`,
/// if given, divide each token's error.
///
/// # Errors
/// When shapes don't agree.
pub fn loss(
    predicted: &Tensor,
    target: &Tensor,
    distances: Option<&Tensor>,
    loss_exp: f64,
) -> Result<Tensor> {
    let error = (predicted - target)?.abs()?;
    let powered = if loss_exp == 1.0 {
        error
    } else {
        error.powf(loss_exp)?
    };
    let weighed = match distances {
        Some(d) => powered.broadcast_mul(&d.recip()?.unsqueeze(2)?)?,
        None => powered,
    };
    weighed.mean_all()? / loss_exp
}

/// Square root of the euclidean distance, in tokens over time, height and width, of each context
/// token to the nearest masked one: `[B, K]` (`masks_dist.py`). Places are taken on a square grid
/// of `side` patches.
///
/// # Errors
/// When a sample has no masked token, or distances are to be offset on a grid below 16 patches,
/// for which the official code divides by nought.
pub fn distances(
    context: &[Vec<u32>],
    masked: &[Vec<u32>],
    side: usize,
    offset: bool,
) -> Result<Tensor> {
    let coefficient = side / 16;
    if offset && coefficient == 0 {
        candle_core::bail!(
            "offset_context_loss needs a grid of at least 16 patches, not {side}: switch it off"
        );
    }
    let place = |id: u32| -> [f32; 3] {
        let id = id as usize;
        [id / (side * side), id / side % side, id % side].map(|v| v as f32)
    };
    let mut values = Vec::new();
    for (context, masked) in context.iter().zip(masked) {
        let masked: Vec<[f32; 3]> = masked.iter().map(|id| place(*id)).collect();
        for id in context {
            let at = place(*id);
            let squared = |other: &[f32; 3]| -> f32 {
                at.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum()
            };
            let Some(nearest) = masked.iter().map(squared).reduce(f32::min) else {
                candle_core::bail!("nothing is masked: make the blocks larger");
            };
            let mut distance = nearest.sqrt();
            if offset {
                distance *= 1.0 / coefficient as f32;
            }
            values.push(distance.sqrt());
        }
    }
    let shape = (context.len(), context.first().map_or(0, Vec::len));
    Tensor::from_vec(values, shape, &Device::Cpu)
}

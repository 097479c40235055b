//! What can be told from a compact model's latents: the action between two pictures, the hand's pose, and what
//! changed in the picture.
//!
//! Latents that are only predicted and kept apart hold what is easily foreseen: colours and light fill them
//! before an object of a few pixels does. What a robot knows of itself and where pixels changed are in every
//! recording. All three are asked of true latents and of foreseen ones.

use candle_core::{Device, Result, Tensor};
use foresight_predictor::compact::CompactConfig;
use foresight_predictor::config::{check_numbers, FROM_0};
use foresight_predictor::layout::Entry;
use foresight_predictor::side_network::NetworkLayers;
use serde::{Deserialize, Serialize};

/// Changes are told by squares of so many pixels a side.
const SQUARE: usize = 4;
/// Squares that change less than this share of the mean one aren't magnified further.
const LEAST_CHANGE: f32 = 0.1;

/// What counts how much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompactObjectives {
    /// Weight of the Epps–Pulley statistic times the batch size; the published one is 0.1.
    pub sigreg: f64,
    /// Weight of the inverse dynamics, the squared error of actions as the predictor is told them.
    pub inverse_dynamics: f64,
    /// Weight of the latents foreseen all the way from a clip's first picture, beside one step ahead.
    pub rollout: f64,
    /// Weight of the hand's pose told from a latent, the squared error in an action's numbers: true latents
    /// and those foreseen from a clip's first picture on.
    pub proprioception: f64,
    /// Weight of the picture's change told from the latents before and after it, true and foreseen ones; 1
    /// is what telling nothing costs.
    pub changes: f64,
    /// Hidden width of what tells these from latents.
    #[serde(alias = "inverse_hidden")]
    pub hidden: usize,
}

impl Default for CompactObjectives {
    /// The published two, alone.
    fn default() -> Self {
        CompactObjectives {
            sigreg: 0.1,
            inverse_dynamics: 0.0,
            rollout: 0.0,
            proprioception: 0.0,
            changes: 0.0,
            hidden: 256,
        }
    }
}

impl CompactObjectives {
    /// Checks the weights.
    ///
    /// # Errors
    /// A sentence naming the field and what it must be.
    pub fn check(&self) -> std::result::Result<(), String> {
        let numbers = [
            ("sigreg", self.sigreg, FROM_0),
            ("inverse_dynamics", self.inverse_dynamics, FROM_0),
            ("rollout", self.rollout, FROM_0),
            ("proprioception", self.proprioception, FROM_0),
            ("changes", self.changes, FROM_0),
            ("hidden", self.hidden as f64, [1.0, f64::INFINITY]),
        ];
        check_numbers("objectives.", &numbers)
    }
}

/// The right answers.
#[derive(Debug, Clone)]
pub struct Told {
    /// Actions as the predictor is told them, `[B, T − 1, A]`.
    pub actions: Tensor,
    /// Where the hand is and how far closed, in the same numbers but without angles, which have an end where a
    /// hand has none; less the batch's mean, `[B, T, P]`.
    pub poses: Option<Tensor>,
    /// How each later picture of a clip differs from its first one, square by square, every square by how
    /// much it changes in the batch, `[B, T − 1, S]`.
    pub changes: Option<Tensor>,
}

/// Names, inputs and outputs of the layers that tell what counts.
pub(crate) fn layout(config: &CompactConfig, objectives: &CompactObjectives) -> Vec<Entry> {
    let (d, a) = (config.latent_dim, config.actions.len());
    let p = config.without_angles().len();
    let [height, width] = config.frame_size();
    let squares = 3 * (height / SQUARE) * (width / SQUARE);
    let asked = [
        ("inverse", 2 * d, a, true),
        ("pose", d, p, objectives.proprioception > 0.0),
        ("change", 2 * d, squares, objectives.changes > 0.0),
    ];
    let mut entries = Vec::new();
    for (name, inputs, outputs, _) in asked.into_iter().filter(|(_, _, _, wanted)| *wanted) {
        let hidden = objectives.hidden;
        for (layer, inputs, outputs) in [("fc1", inputs, hidden), ("fc2", hidden, outputs)] {
            entries.push((format!("{name}.{layer}.weight"), vec![outputs, inputs]));
            entries.push((format!("{name}.{layer}.bias"), vec![outputs]));
        }
    }
    entries
}

/// Mean squared error of `right`, told by the layers `name` from `seen`.
pub(crate) fn error(
    layers: &impl NetworkLayers,
    name: &str,
    seen: &Tensor,
    right: &Tensor,
) -> Result<Tensor> {
    let hidden = layers.relu(&layers.linear(&format!("{name}.fc1"), seen)?)?;
    (layers.linear(&format!("{name}.fc2"), &hidden)? - right)?
        .sqr()?
        .mean_all()
}

/// [`Told::poses`] of poses `[B·T]`.
pub(crate) fn poses<'a>(
    config: &CompactConfig,
    poses: impl Iterator<Item = &'a [f64; 7]>,
    [clips, frames]: [usize; 2],
) -> Result<Tensor> {
    let numbers = config.without_angles();
    let told = poses.flat_map(|pose| {
        let told: Vec<f32> = config.told(&pose.map(|v| v as f32)).collect();
        numbers.iter().map(move |number| told[*number])
    });
    let told = Tensor::from_iter(told, &Device::Cpu)?;
    let told = told.reshape((clips * frames, numbers.len()))?;
    told.broadcast_sub(&told.mean_keepdim(0)?)?
        .reshape((clips, frames, numbers.len()))
}

/// [`Told::changes`] of clips of normalised pictures, `[B][T·3·H·W]`.
pub(crate) fn changes(clips: &[Vec<f32>], [height, width]: [usize; 2]) -> Result<Tensor> {
    let (rows, columns) = (height / SQUARE, width / SQUARE);
    let squares = |picture: &[f32]| {
        let mut sums = vec![0f32; 3 * rows * columns];
        for (y, line) in picture.chunks_exact(width).enumerate() {
            let row = y / height * rows + (y % height / SQUARE).min(rows - 1);
            let sums = &mut sums[row * columns..][..columns];
            for (sum, pixels) in sums.iter_mut().zip(line.chunks_exact(SQUARE)) {
                *sum += pixels.iter().sum::<f32>();
            }
        }
        sums
    };
    let mut changes = Vec::new();
    for clip in clips {
        let mut pictures = clip.chunks_exact(3 * height * width).map(squares);
        let first = pictures.next().unwrap_or_default();
        changes.extend(pictures.map(|mut later| {
            let pairs = later.iter_mut().zip(&first);
            pairs.for_each(|(v, first)| *v -= first);
            later
        }));
    }
    let size = 3 * rows * columns;
    let mut scales = vec![0f32; size];
    for change in &changes {
        let pairs = scales.iter_mut().zip(change);
        pairs.for_each(|(scale, v)| *scale += v * v / changes.len() as f32);
    }
    scales.iter_mut().for_each(|v| *v = v.sqrt());
    let least = LEAST_CHANGE * scales.iter().sum::<f32>() / size as f32;
    for change in &mut changes {
        let pairs = change.iter_mut().zip(&scales);
        pairs.for_each(|(v, scale)| *v /= scale.max(least).max(f32::MIN_POSITIVE));
    }
    let shape = (clips.len(), changes.len() / clips.len().max(1), size);
    Tensor::from_vec(changes.concat(), shape, &Device::Cpu)
}

#[cfg(test)]
#[path = "../../tests/unit/objectives_told.rs"]
mod tests;

//! How far the hand is closed, from the tokens where the hand is.
//!
//! Fingers are a few pixels: a head that looks at all tokens never finds them, one that looks where
//! the hand is does within minutes. A grid of places around the hand, three quarters of a patch
//! apart, is sampled from the latents between the tokens, and a small network reads closedness
//! there; its gradient reaches the right tokens. Where the hand is in the picture is told by a
//! camera ([`HandCamera`]; a few centimetres off don't matter), or learned: attention over the
//! tokens with the hand's position as its query. Needs no labels: every robot knows its pose and
//! its fingers.

use candle_core::{Device, Result, Tensor, D};
use candle_nn::ops::softmax;
use nalgebra::Vector3;
use serde::{Deserialize, Serialize};

use super::{linear, POSITION_SCALE_M};
use crate::head_variables::HeadVariables;
use foresight_predictor::config::EncoderConfig;
use foresight_predictor::layout::Entry;

/// Places along each side of the grid.
const SIDE: usize = 3;
/// Places.
const PLACES: usize = SIDE * SIDE;
/// Distance of neighbouring places, patches.
const STEP_PATCHES: f64 = 0.75;
/// Hidden width.
const HIDDEN: usize = 256;
/// Hidden width of the learned place.
const PLACE_HIDDEN: usize = 64;
/// Errors of closedness from here on count by their size, not its square.
const HUBER: f64 = 0.1;

/// The camera whose pictures show the hand, in the robot's base frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandCamera {
    /// Where it is, m.
    pub eye_m: [f64; 3],
    /// The point in the middle of the picture, m.
    pub look_at_m: [f64; 3],
    /// Vertical field of view, rad.
    pub fov_rad: f64,
}

impl HandCamera {
    /// Checks the numbers.
    ///
    /// # Errors
    /// A sentence naming the field and what it must be.
    pub fn check(&self) -> std::result::Result<(), String> {
        let numbers = self.eye_m.iter().chain(&self.look_at_m);
        if !numbers.into_iter().all(|v| v.is_finite()) {
            return Err("objectives.hand_camera must hold numbers, in m".into());
        }
        if !(self.fov_rad > 0.0 && self.fov_rad < std::f64::consts::PI) {
            return Err(format!(
                "objectives.hand_camera.fov_rad = {} must be above 0 and below π",
                self.fov_rad
            ));
        }
        let [f, _, _] = self.axes();
        if f.iter().all(|v| v.is_finite()) && f[2].abs() < 0.9999 {
            return Ok(());
        }
        Err("objectives.hand_camera must look somewhere else than straight up or down".into())
    }

    /// Forward, right and up, unit vectors.
    fn axes(&self) -> [Vector3<f64>; 3] {
        let forward = (Vector3::from(self.look_at_m) - Vector3::from(self.eye_m)).normalize();
        let right = forward.cross(&Vector3::z()).normalize();
        [forward, right, right.cross(&forward)]
    }

    /// Where a point of the base frame, m, lies in a picture `[H, W]` px: column and row, px. The
    /// middle of the picture for points behind the camera.
    pub fn project(&self, point_m: [f64; 3], [height, width]: [usize; 2]) -> [f64; 2] {
        let (height, width) = (height as f64, width as f64);
        let from_eye = Vector3::from(point_m) - Vector3::from(self.eye_m);
        let [depth, right, up] = self.axes().map(|axis| from_eye.dot(&axis));
        if depth <= 0.0 {
            return [width / 2.0, height / 2.0];
        }
        let focal_px = height / 2.0 / (self.fov_rad / 2.0).tan();
        [
            width / 2.0 + focal_px * right / depth,
            height / 2.0 - focal_px * up / depth,
        ]
    }
}

/// Parameters of the head; of the learned place too where no camera tells it.
pub fn layout(config: &EncoderConfig, cameras: &[HandCamera]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let views = cameras.len().max(1);
    let inputs = views * PLACES * config.embed_dim + place_inputs(cameras);
    linear(&mut entries, "head.hand.fc1", inputs, HIDDEN);
    linear(&mut entries, "head.hand.fc2", HIDDEN, 1);
    if cameras.is_empty() {
        let places = PLACES * config.tokens_per_frame();
        linear(&mut entries, "head.hand.place1", 3, PLACE_HIDDEN);
        linear(&mut entries, "head.hand.place2", PLACE_HIDDEN, places);
    }
    entries
}

/// What the head knows of the place beside the latents there.
fn place_inputs(cameras: &[HandCamera]) -> usize {
    if cameras.is_empty() {
        3
    } else {
        2 * cameras.len()
    }
}

/// Who moves when closedness is misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learns {
    /// The latents and the head.
    Both,
    /// The latents alone. A predictor is told closedness: a head that learned from predicted
    /// latents too would find it where no picture ever puts it.
    Latents,
}

/// Mean error of the closedness of `states` `[B, 7]` read from latents `[B, N, D]`; absolute where
/// it is above 0.1, squared below.
///
/// # Errors
/// When shapes don't agree.
pub fn loss(
    config: &EncoderConfig,
    cameras: &[HandCamera],
    heads: &HeadVariables,
    latents: &Tensor,
    states: &[[f32; 7]],
    learns: Learns,
) -> Result<Tensor> {
    let (b, _, d) = latents.dims3()?;
    let (shares, place) = if cameras.is_empty() {
        learned(config, heads, states)?
    } else {
        shown(config, cameras, states)?
    };
    let places = shares.dim(1)?;
    let seen = shares.matmul(latents)?.reshape((b, places * d))?;
    let seen = Tensor::cat(&[&seen, &place], 1)?;
    let linear = |name, x: &Tensor| match learns {
        Learns::Both => heads.linear(name, x),
        Learns::Latents => heads.fixed_linear(name, x),
    };
    let hidden = linear("head.hand.fc1", &seen)?.gelu_erf()?;
    let told = linear("head.hand.fc2", &hidden)?;
    let closedness: Vec<f32> = states.iter().map(|s| s[6]).collect();
    let error = (told - Tensor::from_vec(closedness, (b, 1), &Device::Cpu)?)?;
    ((error.sqr()? + HUBER * HUBER)?.sqrt()? - HUBER)?.mean_all()
}

/// Shares of the tokens `[B, V·9, N]` at places around the hand in each of V cameras' pictures by
/// bilinear sampling, and where it is in its patch `[B, V·2]`. The pictures stand side by side.
fn shown(
    config: &EncoderConfig,
    cameras: &[HandCamera],
    states: &[[f32; 7]],
) -> Result<(Tensor, Tensor)> {
    let patch = config.patch_size as f64;
    let [rows, all_columns] = config.img_size.map(|side| side / config.patch_size);
    let columns = (all_columns / cameras.len()).max(1);
    let n = rows * all_columns;
    let places = cameras.len() * PLACES;
    let mut shares = vec![0f32; states.len() * places * n];
    let mut inside = Vec::with_capacity(states.len() * 2 * cameras.len());
    for (state, shares) in states.iter().zip(shares.chunks_exact_mut(places * n)) {
        let hand_m = [state[0], state[1], state[2]].map(f64::from);
        let seen = cameras.iter().enumerate();
        for ((view, camera), shares) in seen.zip(shares.chunks_exact_mut(PLACES * n)) {
            let first = (view * columns).min(all_columns - columns);
            let picture_px = [config.img_size[0], config.img_size[1] / cameras.len()];
            let at = camera.project(hand_m, picture_px).map(|v| v / patch);
            inside.extend(at.map(|v| v.rem_euclid(1.0) as f32));
            for (place, shares) in shares.chunks_exact_mut(n).enumerate() {
                let step = |i: usize| (i as f64 - (SIDE / 2) as f64) * STEP_PATCHES;
                let [left, from_x] = between(at[0] + step(place % SIDE), columns);
                let [top, from_y] = between(at[1] + step(place / SIDE), rows);
                let last = |i: f64, count: usize| (i as usize + 1).min(count - 1);
                for (row, y) in [(top as usize, 1.0 - from_y), (last(top, rows), from_y)] {
                    let tokens = [(left as usize, 1.0 - from_x), (last(left, columns), from_x)];
                    for (column, x) in tokens {
                        shares[row * all_columns + first + column] += (x * y) as f32;
                    }
                }
            }
        }
    }
    Ok((
        Tensor::from_vec(shares, (states.len(), places, n), &Device::Cpu)?,
        Tensor::from_vec(inside, (states.len(), 2 * cameras.len()), &Device::Cpu)?,
    ))
}

/// The token before a place, patches, along an axis of `count` tokens, and how far the place is
/// from its centre to the next one's.
fn between(place: f64, count: usize) -> [f64; 2] {
    let at = (place - 0.5).clamp(0.0, (count - 1) as f64);
    [at.floor(), at.fract()]
}

/// The same where no camera is known: shares that follow from the hand's position, and that.
fn learned(
    config: &EncoderConfig,
    heads: &HeadVariables,
    states: &[[f32; 7]],
) -> Result<(Tensor, Tensor)> {
    let positions = states.iter().flat_map(|s| [s[0], s[1], s[2]]);
    let positions: Vec<f32> = positions.map(|v| v / POSITION_SCALE_M).collect();
    let positions = Tensor::from_vec(positions, (states.len(), 3), &Device::Cpu)?;
    let hidden = heads.linear("head.hand.place1", &positions)?.gelu_erf()?;
    let logits = heads.linear("head.hand.place2", &hidden)?;
    let logits = logits.reshape((states.len(), PLACES, config.tokens_per_frame()))?;
    Ok((softmax(&logits, D::Minus1)?, positions))
}

#[cfg(test)]
#[path = "../../tests/unit/objectives_hand.rs"]
mod tests;

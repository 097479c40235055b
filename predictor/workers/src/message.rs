//! What machines tell each other: numbers as they are in memory, little-endian, and a JSON header of whole
//! numbers as the message's attachment.

use foresight_planner::{ActionSequences, Pose};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the messages.
pub(crate) const PROTOCOL: u32 = 2;
/// What every key begins with.
pub(crate) const ROOT: &str = "foresight/workers";

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Version of the messages it speaks.
    pub protocol: u32,
    /// Its name, the third part of its keys.
    pub name: String,
    /// Its model's name.
    pub model: String,
    /// SHA-256 of its model's weights.
    pub sha256: String,
    /// In which numbers and on what it computes.
    pub computes: String,
    /// Candidates a second, one step each, measured when it began.
    pub samples_per_s: f64,
}

/// Header of a context: what a decision's candidates have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContextHeader {
    /// What it is asked for by: the start of its payload's SHA-256.
    pub id: String,
    /// Numbers of a latent, `N·D`.
    pub size: usize,
    /// Whether weights of the distance follow latent and goal.
    pub weighed: bool,
}

/// A context as it travels: the current latent, the goal's and, where the distance is weighed, what each
/// entry counts; all `[N, D]`.
pub(crate) fn context_message(
    latent: &[f32],
    goal: &[f32],
    weights: Option<&[f32]>,
) -> (ContextHeader, Vec<u8>) {
    let mut payload = bytes(latent);
    payload.extend(bytes(goal));
    payload.extend(weights.iter().flat_map(|w| bytes(w)));
    let header = ContextHeader {
        id: digest(&payload),
        size: latent.len(),
        weighed: weights.is_some(),
    };
    (header, payload)
}

/// A context as a worker keeps it.
#[derive(Debug)]
pub(crate) struct Context {
    pub latent: Vec<f32>,
    pub goal: Vec<f32>,
    pub weights: Option<Vec<f32>>,
}

impl Context {
    /// From a message; `None` when it isn't what its header says.
    pub(crate) fn read(header: &ContextHeader, payload: &[u8]) -> Option<Self> {
        let parts = if header.weighed { 3 } else { 2 };
        let numbers = floats(payload)?;
        if header.size == 0
            || numbers.len() != header.size.checked_mul(parts)?
            || digest(payload) != header.id
        {
            return None;
        }
        let part = |i: usize| numbers[i * header.size..(i + 1) * header.size].to_vec();
        Some(Context {
            latent: part(0),
            goal: part(1),
            weights: header.weighed.then(|| part(2)),
        })
    }
}

/// Header of a request for energies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EnergiesHeader {
    /// Of the context.
    pub context: String,
    /// Sequences, `S`.
    pub samples: usize,
    /// Steps of each, `H`.
    pub horizon: usize,
    /// Blocks of the predictor to go through.
    pub depth: usize,
    /// Whether the camera's pose follows the arm's.
    pub extrinsics: bool,
    /// Whether what every step counts follows that.
    pub along: bool,
}

/// What energies are asked of, beside the context.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidates {
    pub pose: Pose,
    pub extrinsics: Option<[f32; 6]>,
    pub steps: Option<Vec<f32>>,
    pub sequences: ActionSequences,
}

impl Candidates {
    /// As a message's payload.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let pose = self.pose.to_array();
        let mut payload: Vec<u8> = pose.iter().flat_map(|v| v.to_le_bytes()).collect();
        payload.extend(self.extrinsics.iter().flat_map(|e| bytes(e)));
        payload.extend(self.steps.iter().flat_map(|s| bytes(s)));
        payload.extend(bytes(self.sequences.values()));
        payload
    }

    /// From a message; `None` when it isn't what its header says.
    pub(crate) fn read(header: &EnergiesHeader, payload: &[u8]) -> Option<Self> {
        const POSE_BYTES: usize = 7 * size_of::<f64>();
        let (pose, rest) = payload.split_at_checked(POSE_BYTES)?;
        let mut components = [0.0; 7];
        for (c, b) in components.iter_mut().zip(pose.chunks_exact(8)) {
            *c = f64::from_le_bytes(b.try_into().ok()?);
        }
        let numbers = floats(rest)?;
        let (camera, numbers) = numbers.split_at_checked(if header.extrinsics { 6 } else { 0 })?;
        let (steps, actions) =
            numbers.split_at_checked(if header.along { header.horizon } else { 0 })?;
        let size = header.horizon.checked_mul(7)?;
        if actions.len() != header.samples.checked_mul(size)? {
            return None;
        }
        let mut sequences = ActionSequences::zeros(header.samples, header.horizon);
        for (i, action) in actions.chunks_exact(7).enumerate() {
            let to = sequences.action_mut(i / header.horizon, i % header.horizon);
            to.copy_from_slice(action);
        }
        Some(Candidates {
            pose: Pose::from_array(components),
            extrinsics: camera.try_into().ok(),
            steps: header.along.then(|| steps.to_vec()),
            sequences,
        })
    }
}

/// Header of frames to encode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FramesHeader {
    /// Height and width, px.
    pub size: [usize; 2],
}

/// Numbers as bytes.
pub(crate) fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Bytes as numbers; `None` for no whole number of them.
pub(crate) fn floats(bytes: &[u8]) -> Option<Vec<f32>> {
    let numbers = bytes.chunks_exact(4);
    if !numbers.remainder().is_empty() {
        return None;
    }
    numbers
        .map(|b| Some(f32::from_le_bytes(b.try_into().ok()?)))
        .collect()
}

/// The first half of a SHA-256, hexadecimal.
fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..16].iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
#[path = "../tests/unit/message.rs"]
mod tests;

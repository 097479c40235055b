//! A clip through an encoder, timed: our half of bench/clips_against_official.py.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{safetensors, DType, Device, Tensor};
use foresight_predictor::{ClipEncoder, ClipEncoderOptions};
use serde_json::{json, Value};

use crate::memory;

/// Encodes the tensor `clip` `[1, 3, T, H, W]` of a safetensors file `rounds` times, each timed on its
/// own, and writes its `tokens` `[N, L]` to `out`. Peak memory is that of the whole process, loading
/// included.
///
/// # Errors
/// When a file can't be used, or the device fails.
pub fn encode(
    model: &Path,
    clip: &Path,
    options: ClipEncoderOptions,
    rounds: usize,
    out: Option<&Path>,
) -> Result<Value> {
    let started = Instant::now();
    let encoder = ClipEncoder::load(model, options)?;
    let load_s = started.elapsed().as_secs_f64();
    let named = || clip.display().to_string();
    let mut tensors = safetensors::load(clip, &Device::Cpu).with_context(named)?;
    let tensor = tensors.remove("clip").context("it has no tensor `clip`");
    let tensor = tensor.with_context(named)?;
    let (_, _, frames, ..) = tensor.dims5().with_context(named)?;
    let pixels: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    drop(tensor);
    let (mut seconds, mut cpu_seconds, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let (started, cpu) = (Instant::now(), memory::cpu_seconds());
        tokens = encoder.encode(&pixels, frames)?;
        seconds.push(started.elapsed().as_secs_f64());
        let spent = memory::cpu_seconds().zip(cpu).map(|(now, then)| now - then);
        cpu_seconds.push(spent);
    }
    let peak_mib = memory::peak_mib();
    if let Some(out) = out {
        let width = encoder.config().latent_dim();
        let tokens = Tensor::from_slice(&tokens, (tokens.len() / width, width), &Device::Cpu)?;
        let all = std::collections::HashMap::from([("tokens", tokens)]);
        safetensors::save(&all, out).with_context(|| out.display().to_string())?;
    }
    Ok(json!({
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "load_s": load_s,
        "peak_mib": peak_mib,
        "computes": encoder.computes(),
        "threads": rayon::current_num_threads(),
    }))
}

//! Draws as latents: frames through the frozen encoder, or out of the cache.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{anyhow, bail, Context, Result};
use candle_core::{Device, Tensor};
use foresight_datasets::{ClipSampler, ClipWindow, DatasetError, FrameStack, OnBadEpisode, View};
use foresight_predictor::PredictorConfig;
use rayon::prelude::*;

use crate::frame_transform::FrameTransform;
use crate::frozen_encoder::FrozenEncoder;
use crate::latent_cache::LatentCache;
use crate::PredictorBatch;

/// Frames decoded and encoded at a time when an episode goes into the cache.
const FRAMES_AT_ONCE: usize = 64;

/// A clip as the predictor sees it, everything flat.
pub struct LatentClip {
    /// `[T, N, D]`, normalised.
    pub latents: Vec<f32>,
    /// `[T, 7]`.
    pub states: Vec<f32>,
    /// `[T − 1, 7]`.
    pub actions: Vec<f32>,
    /// `[T, 6]`, where the predictor takes camera poses.
    pub extrinsics: Option<Vec<f32>>,
}

impl LatentClip {
    fn cameras(&self) -> &[f32] {
        self.extrinsics.as_deref().unwrap_or_default()
    }
}

/// Why a clip can't be had.
#[derive(Debug, Clone)]
struct ClipFault {
    /// Whether the data are to blame, so that others may do.
    of_data: bool,
    text: String,
}

impl From<anyhow::Error> for ClipFault {
    fn from(error: anyhow::Error) -> Self {
        let data = error.downcast_ref::<DatasetError>();
        ClipFault {
            // Without a decoder no clip can be had.
            of_data: data.is_some_and(|e| !matches!(e, DatasetError::Decoder(_))),
            text: format!("{error:#}"),
        }
    }
}

impl From<DatasetError> for ClipFault {
    fn from(error: DatasetError) -> Self {
        ClipFault::from(anyhow::Error::from(error))
    }
}

/// Clips of a dataset by draw.
pub struct LatentClips {
    source: ClipSampler,
    /// What tells an episode from all others, by its name.
    identities: HashMap<String, String>,
    encoder: Arc<FrozenEncoder>,
    transform: FrameTransform,
    predictor: PredictorConfig,
    cache: Option<Arc<LatentCache>>,
    /// Draws left out, with reasons.
    skipped: Mutex<BTreeMap<u64, String>>,
}

impl LatentClips {
    /// Clips of `source`, whose dataset is called `dataset`.
    pub fn new(
        source: ClipSampler,
        dataset: &str,
        encoder: Arc<FrozenEncoder>,
        transform: FrameTransform,
        predictor: PredictorConfig,
        cache: Option<Arc<LatentCache>>,
    ) -> Self {
        let identities = source.store().episodes().iter().map(|entry| {
            let facts = serde_json::to_string(entry).unwrap_or_default();
            (entry.path.clone(), format!("{dataset} {facts}"))
        });
        LatentClips {
            identities: identities.collect(),
            source,
            encoder,
            transform,
            predictor,
            cache,
            skipped: Mutex::default(),
        }
    }

    /// Where they come from.
    pub fn source(&self) -> &ClipSampler {
        &self.source
    }

    /// Draws left out so far because they can't be read.
    pub fn skipped(&self) -> BTreeMap<u64, String> {
        let skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.clone()
    }

    /// Values of a frame's latent, N·D.
    pub fn frame_values(&self) -> usize {
        self.predictor.tokens_per_frame() * self.predictor.embed_dim
    }

    /// Draws every clip as often as its weight says, relative to the others; weights in the order
    /// of all clips.
    ///
    /// # Errors
    /// When there aren't as many weights as clips.
    pub fn emphasise(&mut self, weights: Vec<f32>) -> Result<()> {
        Ok(self.source.emphasise(weights)?)
    }

    /// The clips at some windows, in their order; `None` for those that can't be read, where the
    /// settings leave such out.
    ///
    /// # Errors
    /// Naming the first file that can't be read.
    pub fn clips_at(&self, windows: &[ClipWindow]) -> Result<Vec<Option<LatentClip>>> {
        let wanted = windows.iter().cloned().map(Ok).collect();
        let made = self.read(wanted, &vec![0; windows.len()]);
        let kept = made.into_iter().map(|clip| match clip {
            Ok(clip) => Ok(Some(clip)),
            Err(fault) if self.may_be_skipped(&fault) => Ok(None),
            Err(fault) => bail!("{}", fault.text),
        });
        kept.collect()
    }

    /// The clips of some draws, in their order. Those that can't be read are left out and named
    /// where the settings say so; none is ever replaced by another.
    ///
    /// # Errors
    /// Naming the first file that can't be read, or when none of them can.
    pub fn clips(&self, draws: &[u64]) -> Result<Vec<LatentClip>> {
        let windows = draws
            .par_iter()
            .map(|draw| self.source.window(*draw).map_err(ClipFault::from))
            .collect();
        let made = self.read(windows, draws);
        let mut clips = Vec::with_capacity(draws.len());
        let mut last = None;
        for (draw, clip) in draws.iter().zip(made) {
            match clip {
                Ok(clip) => clips.push(clip),
                Err(fault) if self.may_be_skipped(&fault) => {
                    let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
                    if skipped.insert(*draw, fault.text.clone()).is_none() {
                        tracing::warn!("draw {draw} is left out: {}", fault.text);
                    }
                    last = Some(fault);
                }
                Err(fault) => bail!("draw {draw}: {}", fault.text),
            }
        }
        match last {
            Some(fault) if clips.is_empty() => {
                bail!("no clip of this step can be read: {}", fault.text)
            }
            _ => Ok(clips),
        }
    }

    /// The clips at the windows of some draws, or why each can't be had.
    fn read(
        &self,
        windows: Vec<Result<ClipWindow, ClipFault>>,
        draws: &[u64],
    ) -> Vec<Result<LatentClip, ClipFault>> {
        let unfilled = self.fill_missing(&windows);
        windows
            .into_par_iter()
            .zip(draws)
            .map(|(window, draw)| {
                let window = window?;
                if let Some(fault) = unfilled.get(&self.identity(&window)) {
                    return Err(fault.clone());
                }
                let latents = self.latents(&window, *draw)?;
                Ok(self.with_latents(&window, latents)?)
            })
            .collect()
    }

    fn may_be_skipped(&self, fault: &ClipFault) -> bool {
        fault.of_data && self.source.options().on_bad_episode == OnBadEpisode::Skip
    }

    /// Puts what the cache lacks of these clips' episodes into it; returns what failed.
    fn fill_missing(
        &self,
        windows: &[Result<ClipWindow, ClipFault>],
    ) -> HashMap<String, ClipFault> {
        let Some(cache) = &self.cache else {
            return HashMap::new();
        };
        let missing: BTreeMap<String, &ClipWindow> = windows
            .iter()
            .flatten()
            .map(|window| (self.identity(window), window))
            .filter(|(name, _)| !cache.has(name))
            .collect();
        missing
            .into_par_iter()
            .filter_map(|(name, window)| {
                let fault = self.fill(cache, &name, window).err()?;
                Some((name, ClipFault::from(fault)))
            })
            .collect()
    }

    /// What tells the episode and camera of a clip from all others.
    fn identity(&self, window: &ClipWindow) -> String {
        let name = self.identities.get(&window.path);
        format!("{} {}", name.map_or("", String::as_str), window.view)
    }

    fn with_latents(&self, window: &ClipWindow, latents: Vec<f32>) -> Result<LatentClip> {
        let extrinsics = match (&window.extrinsics, self.predictor.use_extrinsics) {
            (_, false) => None,
            (Some(rows), true) => Some(rows.iter().flatten().map(|v| *v as f32).collect()),
            (None, true) => bail!(
                "{}: the predictor takes camera poses but none are recorded of camera {}",
                window.path,
                window.view
            ),
        };
        let narrow = |pose: &[f64; 7]| pose.map(|v| v as f32);
        let states = window.states.iter();
        let actions = window.actions.iter();
        Ok(LatentClip {
            latents,
            states: states
                .flat_map(|s| self.predictor.state_input(narrow(s)))
                .collect(),
            actions: actions.flat_map(narrow).collect(),
            extrinsics,
        })
    }

    fn latents(&self, window: &ClipWindow, draw: u64) -> Result<Vec<f32>> {
        let Some(cache) = &self.cache else {
            return self.encode(&self.source.frames(window)?, Some(draw));
        };
        let latents = cache.get(&self.identity(window), &window.frame_numbers)?;
        latents.with_context(|| format!("{} was deleted meanwhile", cache.folder().display()))
    }

    /// Frames `[T, H, W, 3]` to latents `[T, N, D]`.
    fn encode(&self, frames: &FrameStack, draw: Option<u64>) -> Result<Vec<f32>> {
        let draw = draw.map(|draw| [self.source.options().seed, draw]);
        let pixels = self.transform.pixels(frames, draw)?;
        self.encoder.encode(&pixels, self.transform.size())
    }

    /// All frames of an episode into the cache.
    fn fill(&self, cache: &LatentCache, name: &str, window: &ClipWindow) -> Result<()> {
        let count = self.frame_count(&window.path, &window.view)?;
        let mut latents = Vec::new();
        let mut from = 0;
        while from < count {
            let to = (from + FRAMES_AT_ONCE).min(count);
            let part = ClipWindow {
                frame_numbers: (from..to).collect(),
                ..window.clone()
            };
            latents.extend(self.encode(&self.source.frames(&part)?, None)?);
            from = to;
        }
        Ok(cache.put(name, &latents)?)
    }

    fn frame_count(&self, path: &str, view: &View) -> Result<usize> {
        let episodes = self.source.store().episodes();
        let entry = episodes.iter().find(|e| e.path == path);
        let entry = entry.with_context(|| format!("there is no episode {path}"))?;
        let camera = entry.camera(view).map_err(|e| anyhow!("{path}: {e}"))?;
        Ok(camera.frames.min(entry.length))
    }

    /// Clips as one batch.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn batch(&self, clips: &[LatentClip]) -> candle_core::Result<PredictorBatch> {
        let config = &self.predictor;
        let b = clips.len();
        let t = clips.first().map_or(0, |c| c.states.len() / 7);
        let joined = |part: fn(&LatentClip) -> &[f32], rows: usize, width: usize| {
            let values: Vec<f32> = clips.iter().flat_map(part).copied().collect();
            Tensor::from_vec(values, (b, rows, width), &Device::Cpu)
        };
        let tokens = t * config.tokens_per_frame();
        Ok(PredictorBatch {
            latents: joined(|c| &c.latents, tokens, config.embed_dim)?,
            actions: joined(|c| &c.actions, t - 1, 7)?,
            states: joined(|c| &c.states, t, 7)?,
            extrinsics: if config.use_extrinsics {
                Some(joined(LatentClip::cameras, t, 6)?)
            } else {
                None
            },
            weights: None,
        })
    }
}

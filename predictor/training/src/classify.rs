//! Classes of films by an attentive probe on a frozen encoder's features: fitted with early stopping,
//! judged on films that were held out.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use candle_core::{Device, Tensor};
use candle_nn::loss::cross_entropy;
use foresight_datasets::{Film, FilmClip};
use foresight_predictor::encoder::LATENT_EPS;
use foresight_predictor::kernels::elementwise::normalise_rows;
use foresight_predictor::parameters::Parameters;
use rand::seq::SliceRandom;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::attentive_probe::AttentiveProbeConfig;
use crate::clip_features::ClipFeatures;
use crate::film_list::{FilmList, LabelledFilm};
use crate::latent_cache::{LatentCache, LatentStorage};
use crate::TrainState;

/// How a probe learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Times every clip is seen at most.
    pub epochs: usize,
    /// Clips of a step.
    pub batch_size: usize,
    /// Highest learning rates that are tried; what is early stopping's best stays.
    pub rates: Vec<f64>,
    /// AdamW's decay of weights.
    pub weight_decay: f64,
    /// Epochs without a better loss on the films for early stopping, after which a probe is done.
    pub patience: usize,
    /// Attention heads.
    pub heads: usize,
    /// Decides initial weights and the order of clips.
    pub seed: u64,
}

/// One epoch of one learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Highest learning rate.
    pub rate: f64,
    /// From 1.
    pub epoch: usize,
    /// Mean cross-entropy while it learned.
    pub training_loss: f64,
    /// Mean cross-entropy of the films for early stopping.
    pub stopping_loss: f64,
    /// Share of those that are named rightly.
    pub stopping_accuracy: f64,
}

/// A fitted probe.
#[derive(Debug)]
pub struct Fitted {
    /// Its size.
    pub config: AttentiveProbeConfig,
    /// Its weights.
    pub parameters: Parameters,
    /// Every epoch of every learning rate.
    pub epochs: Vec<Epoch>,
    /// The one whose weights these are.
    pub best: Epoch,
}

/// What a probe says of a film.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The film.
    pub path: PathBuf,
    /// Its class, where it is known.
    pub class: Option<usize>,
    /// Probabilities of the classes, the mean over its clips.
    pub probabilities: Vec<f32>,
}

impl Verdict {
    /// The most probable class.
    pub fn predicted(&self) -> usize {
        let all = self.probabilities.iter().enumerate();
        // The first of equals.
        all.rev()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |(class, _)| class)
    }
}

/// Tokens of films' clips on disk, layer-normalised, and which encoder made them.
#[derive(Debug)]
pub struct ClipTokens {
    features: ClipFeatures,
    cache: LatentCache,
    tokens: usize,
}

/// A clip that can be learned from: its film's key and its number there.
#[derive(Debug, Clone)]
struct Sample {
    key: String,
    clip: usize,
    class: usize,
}

impl ClipTokens {
    /// Tokens kept below `folder`; `identity` says which weights the encoder has.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open(features: ClipFeatures, identity: &str, folder: &Path) -> Result<Self> {
        let grid = features.encoder().grid(features.sampling().frames)?;
        let tokens = grid.iter().product();
        let key = format!(
            "{identity} {:?} {grid:?} {} {:?}",
            features.encoder().config(),
            features.encoder().computes(),
            features.sampling()
        );
        let shape = [tokens, features.width()];
        let cache = LatentCache::keyed(folder, &key, shape, LatentStorage::F16)?;
        Ok(ClipTokens {
            features,
            cache,
            tokens,
        })
    }

    /// Width of a token.
    pub fn width(&self) -> usize {
        self.features.width()
    }

    /// Encodes what isn't there yet of the films; `done` is told of every film.
    ///
    /// # Errors
    /// Naming the film that can't be read.
    pub fn prepare(&self, films: &[LabelledFilm], done: impl Fn() + Sync) -> Result<()> {
        // Films beside one another where the encoder is small, one by one where it keeps all cores
        // busy itself: rayon shares either out.
        films.par_iter().try_for_each(|film| {
            self.prepare_one(&film.path)?;
            done();
            Ok(())
        })
    }

    fn prepare_one(&self, path: &Path) -> Result<()> {
        let key = key_of(path)?;
        if self.cache.has(&key) {
            return Ok(());
        }
        let film = Film::open(path)?;
        let mut tokens = Vec::new();
        for clip in self.clips(&film)? {
            tokens.extend(self.encoded(&film, &clip)?);
        }
        self.cache.put(&key, &tokens)?;
        Ok(())
    }

    /// An image is as long a clip as the others, standing still: images and videos then have the same
    /// tokens.
    fn clips(&self, film: &Film) -> Result<Vec<FilmClip>> {
        let mut clips = film.clips(self.features.sampling());
        if film.is_image() {
            for clip in &mut clips {
                clip.numbers = vec![0; self.features.sampling().frames];
            }
        }
        Ok(clips)
    }

    fn encoded(&self, film: &Film, clip: &FilmClip) -> Result<Vec<f32>> {
        let mut tokens = self.features.tokens(film, clip)?;
        normalise_rows(&mut tokens, self.width(), LATENT_EPS as f32);
        Ok(tokens)
    }

    fn samples(&self, films: &[LabelledFilm]) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for film in films {
            let key = key_of(&film.path)?;
            for clip in 0..self.cache.count(&key)? {
                samples.push(Sample {
                    key: key.clone(),
                    clip,
                    class: film.class,
                });
            }
        }
        Ok(samples)
    }

    /// Tokens of samples, `[B, N, D]`.
    fn batch(&self, samples: &[&Sample]) -> Result<Vec<f32>> {
        let mut tokens = Vec::with_capacity(samples.len() * self.tokens * self.width());
        for sample in samples {
            let found = self.cache.get(&sample.key, &[sample.clip])?;
            tokens.extend(found.with_context(|| {
                format!(
                    "the features of {} are gone; run the command again",
                    sample.key
                )
            })?);
        }
        Ok(tokens)
    }

    /// What a probe says of films, in their order, which [`ClipTokens::prepare`] has seen.
    ///
    /// # Errors
    /// When features can't be read.
    pub fn verdicts(
        &self,
        config: &AttentiveProbeConfig,
        parameters: &Parameters,
        films: &[LabelledFilm],
    ) -> Result<Vec<Verdict>> {
        let weights = config.fixed(parameters)?;
        let verdict = |film: &LabelledFilm| {
            let samples = self.samples(std::slice::from_ref(film))?;
            let mut mean = vec![0f32; config.classes];
            for samples in samples.chunks(8) {
                let tokens = self.batch(&samples.iter().collect::<Vec<_>>())?;
                for clip in config.probabilities(&weights, &tokens, samples.len())? {
                    mean.iter_mut().zip(clip).for_each(|(m, p)| *m += p);
                }
            }
            mean.iter_mut().for_each(|m| *m /= samples.len() as f32);
            Ok(Verdict {
                path: film.path.clone(),
                class: Some(film.class),
                probabilities: mean,
            })
        };
        films.iter().map(verdict).collect()
    }

    /// What a probe says of a film that is encoded for it alone.
    ///
    /// # Errors
    /// When it can't be read, or a device fails.
    pub fn verdict(
        &self,
        config: &AttentiveProbeConfig,
        parameters: &Parameters,
        path: &Path,
    ) -> Result<Verdict> {
        let film = Film::open(path)?;
        let clips = self.clips(&film)?;
        let weights = config.fixed(parameters)?;
        let mut mean = vec![0f32; config.classes];
        for clip in &clips {
            let mut tokens = self.encoded(&film, clip)?;
            LatentStorage::F16.round(&mut tokens);
            let said = config.probabilities(&weights, &tokens, 1)?;
            let said = said.iter().flatten();
            mean.iter_mut()
                .zip(said)
                .for_each(|(m, p)| *m += p / clips.len() as f32);
        }
        Ok(Verdict {
            path: path.to_path_buf(),
            class: None,
            probabilities: mean,
        })
    }
}

/// What tells a film from others and from what lay there before.
fn key_of(path: &Path) -> Result<String> {
    let named = || path.display().to_string();
    let path = path.canonicalize().with_context(named)?;
    let data = std::fs::metadata(&path).with_context(named)?;
    let changed = data.modified().ok();
    let changed = changed.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    let changed_ns = changed.map_or(0, |t| t.as_nanos());
    Ok(format!("{} {} {changed_ns}", path.display(), data.len()))
}

/// Fits a probe on `films`, stopping by `stopping`; `see` is told every epoch.
///
/// # Errors
/// When options contradict each other, or features can't be read.
pub fn fit(
    tokens: &ClipTokens,
    [films, stopping]: [&FilmList; 2],
    options: &FitOptions,
    mut see: impl FnMut(&Epoch),
) -> Result<Fitted> {
    let config = AttentiveProbeConfig {
        width: tokens.width(),
        heads: options.heads,
        classes: films.classes.len(),
    };
    config.check().map_err(anyhow::Error::msg)?;
    if options.rates.is_empty() || options.epochs == 0 || options.batch_size == 0 {
        bail!("a probe needs a learning rate, an epoch and a clip a step at least");
    }
    let (decay, mut rates) = (options.weight_decay, options.rates.iter());
    if let Some(rate) = rates.find(|rate| !(**rate > 0.0 && **rate <= 1.0)) {
        bail!("the learning rate is {rate}; give numbers above 0, up to 1");
    }
    if !(0.0..=1.0).contains(&decay) {
        bail!("the weight decay is {decay}; give a number from 0 to 1");
    }
    let samples = tokens.samples(&films.films)?;
    let mut best: Option<(Epoch, Vec<f32>)> = None;
    let mut epochs = Vec::new();
    for &rate in &options.rates {
        let mut state = TrainState::new(config.initial(options.seed));
        let mut since_best = 0;
        let mut lowest = f64::INFINITY;
        for epoch in 0..options.epochs {
            let training_loss =
                one_epoch(tokens, &config, &mut state, &samples, options, rate, epoch)?;
            let verdicts = tokens.verdicts(&config, &*state.parameters()?, &stopping.films)?;
            let (stopping_loss, stopping_accuracy) = judged(&verdicts);
            let seen = Epoch {
                rate,
                epoch: epoch + 1,
                training_loss,
                stopping_loss,
                stopping_accuracy,
            };
            see(&seen);
            epochs.push(seen);
            let better = |(b, _): &(Epoch, _)| stopping_loss < b.stopping_loss;
            if stopping_loss.is_finite() && best.as_ref().is_none_or(better) {
                best = Some((seen, state.parameters()?.values().to_vec()));
            }
            since_best += 1;
            if stopping_loss < lowest {
                (lowest, since_best) = (stopping_loss, 0);
            }
            if since_best >= options.patience {
                break;
            }
        }
    }
    let Some((best, values)) = best else {
        bail!("no learning rate gave a loss that is a number; give lower ones");
    };
    let mut parameters = Parameters::zeros(config.layout());
    parameters.values_mut().copy_from_slice(&values);
    Ok(Fitted {
        config,
        parameters,
        epochs,
        best,
    })
}

/// One pass over the clips; their mean loss. The rate warms up over the first epoch and falls along
/// a cosine.
fn one_epoch(
    tokens: &ClipTokens,
    config: &AttentiveProbeConfig,
    state: &mut TrainState,
    samples: &[Sample],
    options: &FitOptions,
    rate: f64,
    epoch: usize,
) -> Result<f64> {
    let mut order: Vec<&Sample> = samples.iter().collect();
    let seed = options.seed.wrapping_add(1 + epoch as u64);
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let steps = order.len().div_ceil(options.batch_size);
    let mut sum = 0.0;
    for (step, samples) in order.chunks(options.batch_size).enumerate() {
        let done = (epoch * steps + step) as f64 / (options.epochs * steps) as f64;
        let warm = ((epoch * steps + step + 1) as f64 / steps as f64).min(1.0);
        let now = rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        let shape = (samples.len(), tokens.tokens, tokens.width());
        let x = Tensor::from_vec(tokens.batch(samples)?, shape, &Device::Cpu)?;
        let classes: Vec<u32> = samples.iter().map(|s| s.class as u32).collect();
        let classes = Tensor::from_vec(classes, samples.len(), &Device::Cpu)?;
        state.clear()?;
        let weights = state.heads_on(&Device::Cpu)?;
        let loss = cross_entropy(&config.logits(&weights, &x)?, &classes)?;
        state.collect(&weights, &loss.backward()?)?;
        state.update(now, options.weight_decay, Some(1.0))?;
        sum += f64::from(loss.to_scalar::<f32>()?) * samples.len() as f64;
    }
    Ok(sum / order.len().max(1) as f64)
}

/// Mean cross-entropy and share of right ones of films whose class is known.
pub fn judged(verdicts: &[Verdict]) -> (f64, f64) {
    let (mut loss, mut right, mut count) = (0.0, 0.0, 0.0);
    for verdict in verdicts {
        let Some(class) = verdict.class else { continue };
        // Not `max`, which makes a number of what is none.
        let p = f64::from(verdict.probabilities[class]);
        let p = if p < 1e-12 { 1e-12 } else { p };
        loss -= p.ln();
        right += f64::from(u8::from(verdict.predicted() == class));
        count += 1.0;
    }
    (loss / f64::max(count, 1.0), right / f64::max(count, 1.0))
}

/// How often films of a class (row) were named as another (column).
pub fn confusion(verdicts: &[Verdict], classes: usize) -> Vec<Vec<u64>> {
    let mut counts = vec![vec![0; classes]; classes];
    for verdict in verdicts {
        if let Some(class) = verdict.class {
            counts[class][verdict.predicted()] += 1;
        }
    }
    counts
}

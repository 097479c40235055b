//! `foresight eval --offline`: a model on recorded episodes, without moving anything.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_datasets::ClipSampler;
use foresight_planner::{Action, Pose};
use foresight_predictor::offline::{
    action_error, action_score, deviation, roll_out, score_search, RecordedClip, COLLAPSED,
    SCORE_HORIZON,
};
use foresight_predictor::{Latent, WorldModel};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;

use foresight_training::frozen_encoder::FrozenEncoder;
use foresight_training::latent_clips::LatentClips;
use foresight_training::{episodes, settings::Settings};

/// Arguments of `foresight eval --offline`.
#[derive(Debug, Args)]
pub(super) struct OfflineArgs {
    /// Judge the model on recorded episodes instead of playing scenarios.
    #[arg(long, requires = "data")]
    pub offline: bool,
    /// Recorded episodes: a DROID-raw root, an index, a list of folders or a LeRobot v3 folder.
    /// Episodes recorded for training are left out.
    #[arg(long, value_name = "PATH", requires = "offline")]
    data: Option<PathBuf>,
    /// Only the episodes that `foresight finetune` with these settings would hold out of --data.
    #[arg(long, requires = "offline")]
    held_out: bool,
    /// Clips looked at; an episode gives as many as needed.
    #[arg(long, default_value_t = 256, requires = "offline")]
    clips: usize,
    /// Clips that are planned for, for the action score; 0 leaves it out.
    #[arg(long, default_value_t = 64, requires = "offline")]
    plans: usize,
    /// Settings of clips and crops (TOML), as for `foresight finetune`; `--set` changes one of
    /// them.
    #[arg(long, value_name = "FILE", requires = "offline")]
    config: Option<PathBuf>,
}

/// Mean and half width of its 95 % interval (normal approximation over clips).
#[derive(Debug, Clone, Copy, Serialize)]
struct Mean {
    mean: f64,
    interval: f64,
}

impl Mean {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        let mean = values.clone().sum::<f64>() / count;
        let squares: f64 = values.map(|v| (v - mean).powi(2)).sum();
        let variance = squares / (count - 1.0).max(1.0);
        Mean {
            mean,
            interval: 1.96 * (variance / count).sqrt(),
        }
    }
}

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ± {:.4}", self.mean, self.interval)
    }
}

/// Errors after some steps.
#[derive(Debug, Serialize)]
struct Horizon {
    steps: usize,
    predicted: Mean,
    persistence: Mean,
    ratio: f64,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Offline {
    model: PathBuf,
    episodes: usize,
    clips: usize,
    horizons: Vec<Horizon>,
    plans: usize,
    action_error_m: Option<Mean>,
    gripper_error: Option<Mean>,
    action_score: Option<f64>,
    latent_deviation: f64,
    prediction_deviation: f64,
    collapsed: bool,
}

/// Runs `foresight eval --offline`.
///
/// # Errors
/// When model, settings or recordings can't be used.
pub(super) fn run(
    args: &OfflineArgs,
    model: Option<&Path>,
    changes: &[String],
    json: bool,
) -> Result<()> {
    let (Some(folder), Some(data)) = (model, &args.data) else {
        bail!("eval --offline needs --model and --data");
    };
    let settings = Settings::resolve(args.config.as_deref(), changes)?;
    settings.check(1)?;
    if args.clips == 0 {
        bail!("--clips must be at least 1");
    }
    if args.plans > 0 && settings.data.frames <= SCORE_HORIZON {
        bail!(
            "the action score needs clips of more than {SCORE_HORIZON} frames (data.frames), or \
             --plans 0"
        );
    }
    let model =
        WorldModel::load(folder).with_context(|| format!("loading {}", folder.display()))?;
    let model = Arc::new(model);
    let subset = episodes::held_out(data, args.held_out, &settings.data)?;
    let source = ClipSampler::new(Box::new(subset), settings.held_out_options())?;
    let Some(predictor) = model.config().predictor.clone() else {
        bail!("{} has no predictor", folder.display());
    };
    if predictor.use_extrinsics {
        bail!(
            "{} takes camera poses, which rollouts from recordings don't support yet",
            folder.display()
        );
    }
    let episodes = source.episodes();
    let transform = settings.transform(&model.config().encoder)?;
    let encoder = Arc::new(FrozenEncoder::Of(Arc::clone(&model)));
    let clips = LatentClips::new(source, "", encoder, transform, predictor, None);
    episodes::name_left_out(clips.source());
    episodes::name_length_mismatches(clips.source());
    let offline = measure(args, &settings, &model, &clips, folder, episodes)?;
    if json {
        println!("{}", serde_json::to_string(&offline)?);
    } else {
        print!("{offline}");
    }
    Ok(())
}

fn measure(
    args: &OfflineArgs,
    settings: &Settings,
    model: &WorldModel,
    clips: &LatentClips,
    folder: &Path,
    episodes: usize,
) -> Result<Offline> {
    let recorded = read(args, settings, model, clips)?;
    let rolled = recorded
        .par_iter()
        .map(|clip| roll_out(model, clip))
        .collect::<Result<Vec<_>, _>>()?;
    let horizons = (0..settings.data.frames - 1).map(|h| {
        let predicted = Mean::of(rolled.iter().map(|r| r.errors[h]));
        let persistence = Mean::of(rolled.iter().map(|r| r.persistence[h]));
        Horizon {
            steps: h + 1,
            ratio: predicted.mean / persistence.mean.max(f64::MIN_POSITIVE),
            predicted,
            persistence,
        }
    });
    let horizons = horizons.collect();
    let rotations = model.config().action_space.max_rotation_rad > 0.0;
    let search = score_search(rotations);
    let planned = &recorded[..args.plans.min(recorded.len())];
    let bar = progress("planning", planned.len());
    let mut errors = Vec::new();
    for (number, clip) in planned.iter().enumerate() {
        let seed = settings.optimisation.seed;
        errors.push(action_error(model, clip, &search, seed, number as u64)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let some = !errors.is_empty();
    let translation = some.then(|| Mean::of(errors.iter().map(|e| e.translation_m)));
    let latent_deviation = deviation(recorded.iter().flat_map(|c| &c.latents));
    let prediction_deviation = deviation(rolled.iter().flat_map(|r| &r.predictions));
    Ok(Offline {
        model: folder.to_path_buf(),
        episodes,
        clips: recorded.len(),
        horizons,
        plans: errors.len(),
        action_score: translation.map(|m| action_score(m.mean)),
        action_error_m: translation,
        gripper_error: some.then(|| Mean::of(errors.iter().map(|e| e.gripper))),
        collapsed: latent_deviation.min(prediction_deviation) < COLLAPSED,
        latent_deviation,
        prediction_deviation,
    })
}

/// The clips of the first draws.
fn read(
    args: &OfflineArgs,
    settings: &Settings,
    model: &WorldModel,
    clips: &LatentClips,
) -> Result<Vec<RecordedClip>> {
    let draws: Vec<u64> = (0..args.clips as u64).collect();
    let [tokens, width] = model.latent_shape();
    let bar = progress("reading", draws.len());
    let mut recorded = Vec::with_capacity(draws.len());
    for some in draws.chunks(settings.memory.micro_batch) {
        for clip in clips.clips(some)? {
            recorded.push(RecordedClip {
                latents: clip
                    .latents
                    .chunks_exact(tokens * width)
                    .map(|values| Latent {
                        values: values.to_vec(),
                        tokens,
                    })
                    .collect(),
                states: rows(&clip.states).map(Pose::from_array).collect(),
                actions: rows(&clip.actions).map(Action::from_array).collect(),
            });
        }
        bar.inc(some.len() as u64);
    }
    bar.finish_and_clear();
    Ok(recorded)
}

fn rows(values: &[f32]) -> impl Iterator<Item = [f64; 7]> + '_ {
    values
        .chunks_exact(7)
        .map(|row| std::array::from_fn(|i| f64::from(row[i])))
}

/// Hidden by itself when standard error is not a terminal.
fn progress(what: &str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} clips, {eta} left");
    ProgressBar::new(length as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what.to_owned())
}

impl fmt::Display for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} clips of {} episodes, rolled out from their first frame, L1",
            self.model.display(),
            self.clips,
            self.episodes
        )?;
        writeln!(f, "steps  predicted          no change          ratio")?;
        for h in &self.horizons {
            writeln!(
                f,
                "{:>5}  {}    {}    {:.2}",
                h.steps, h.predicted, h.persistence, h.ratio
            )?;
        }
        if let (Some(score), Some(error), Some(gripper)) =
            (self.action_score, self.action_error_m, self.gripper_error)
        {
            writeln!(
                f,
                "action score {score:.1} of 80: plans {SCORE_HORIZON} steps ahead are {error} m \
                 from the recorded motion, the gripper {gripper}, {} plans",
                self.plans
            )?;
        }
        writeln!(
            f,
            "features deviate by {:.3} over frames, predictions by {:.3}",
            self.latent_deviation, self.prediction_deviation
        )?;
        if self.collapsed {
            writeln!(
                f,
                "ALARM: below {COLLAPSED}: latents or predictions have collapsed and tell frames \
                 apart no longer; errors above mean nothing"
            )?;
        }
        Ok(())
    }
}

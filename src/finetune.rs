//! `foresight finetune`: the predictor of a model on DROID or on one's own episodes.

mod ahead;
mod card;
pub mod clips;
pub mod episodes;
mod memory;
mod origin;
mod processes;
pub mod settings;
mod task;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{anyhow, bail, Context, Result};
use candle_core::DType;
use clap::Args;
use foresight_datasets::EpisodeClips;
use foresight_predictor::checkpoint::{self, Checkpoint, Part, WEIGHTS_FILE};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::train::estimate::{peak_memory, StepShape};
use foresight_predictor::train::latent_cache::LatentCache;
use foresight_predictor::train::log;
use foresight_predictor::train::run::{Outcome, Parts, RunOptions, Task};
use foresight_predictor::train::{Learner, PredictorTrainer};
use foresight_predictor::{layout, ModelConfig, PredictorConfig};

use crate::training::train;
use card::Summary;
use clips::{Encoder, LatentClips};
use episodes::Episodes;
use origin::{Inputs, Origin};
use settings::{Dtype, Settings};
use task::{Finetuning, Share};

/// Arguments of `foresight finetune`.
#[derive(Debug, Args)]
pub struct FinetuneArgs {
    /// Model folder to start from.
    #[arg(long, value_name = "DIR", required_unless_present = "print_config")]
    model: Option<PathBuf>,
    /// Episodes to learn from: a DROID-raw root, an index (from `foresight dataset index`), or a
    /// list of episode folders as the official code takes it.
    #[arg(long, value_name = "PATH", required_unless_present_any = ["print_config", "estimate", "rehearse"])]
    data: Option<PathBuf>,
    /// Episodes to validate on; a part of --data when absent.
    #[arg(long, value_name = "PATH")]
    validation: Option<PathBuf>,
    /// Folder of this run: state, logs and the resulting model in `model/`.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["print_config", "estimate", "rehearse"])]
    out: Option<PathBuf>,
    /// Settings (TOML) over the defaults, which are the official recipe.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, over those of --config; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Length of the run; warm-up and decay change in proportion.
    #[arg(long)]
    steps: Option<usize>,
    /// Learning rate that is held; the others change in proportion.
    #[arg(long)]
    lr: Option<f64>,
    /// Clips a step, over all processes.
    #[arg(long)]
    batch_size: Option<usize>,
    /// Decides the order of the clips, where they start and which camera they show.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder of the latent cache; `latents` in --out when absent. Runs that look at the same
    /// frames with the same encoder can share one.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Go on where an earlier run in --out stopped.
    #[arg(long)]
    resume: bool,
    /// Say what memory and time it would take, and stop.
    #[arg(long)]
    estimate: bool,
    /// As --estimate, then take one step on made-up latents and say what it really took.
    #[arg(long)]
    rehearse: bool,
    /// Print the default settings with their meaning, and stop.
    #[arg(long)]
    print_config: bool,
    /// One JSON object on standard output at the end.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight finetune`.
///
/// # Errors
/// When settings, model or data can't be used, or training fails; what was saved stays.
pub fn run(args: FinetuneArgs) -> Result<()> {
    if args.print_config {
        print!("{}", settings::DEFAULT);
        return Ok(());
    }
    let Some(model) = &args.model else {
        bail!("--model is needed");
    };
    let workers = processes::join()?;
    let settings = args.settings()?;
    settings.check(workers.size())?;
    let base = Base::open(model)?;
    let frozen = settings.trainable.frozen(&base.predictor);
    let frozen = frozen.map_err(anyhow::Error::msg)?;
    let entries = layout::predictor(&base.predictor);
    let count = |trained: bool| -> usize {
        let counted = entries
            .iter()
            .filter(|(n, _)| !trained || !frozen.contains(n));
        counted.map(|(_, s)| s.iter().product::<usize>()).sum()
    };
    let trained = [count(true), count(false)];
    let shape = StepShape {
        config: &base.predictor,
        loss: &settings.loss,
        clips: settings
            .memory
            .micro_batch
            .min(settings.optimisation.batch_size / workers.size()),
        frames: settings.data.frames,
        recompute: settings.memory.recompute,
        trained: trained[0],
    };
    let leads = workers.rank() == 0;
    let estimated = memory::estimate(&shape, &settings, workers.size())?;
    if leads && !args.json {
        eprintln!("{estimated}");
    }
    if args.estimate || args.rehearse {
        let rehearsed = if args.rehearse {
            let learner = base.learner(&settings, frozen)?;
            Some(memory::rehearse(&shape, &settings, learner, &estimated)?)
        } else {
            None
        };
        if args.json {
            let both = serde_json::json!({"estimate": estimated, "rehearsal": rehearsed});
            println!("{both}");
        } else if let Some(rehearsed) = rehearsed {
            println!("{rehearsed}");
        }
        return Ok(());
    }

    let (Some(data), Some(out)) = (&args.data, &args.out) else {
        bail!("--data and --out are needed");
    };
    let episodes = episodes::open(data, args.validation.as_deref(), &settings.data)?;
    let origin = Origin {
        program_version: env!("CARGO_PKG_VERSION").into(),
        inputs: Inputs {
            model: model.clone(),
            model_sha256: checkpoint::sha256(&model.join(WEIGHTS_FILE))?,
            data: data.clone(),
            episodes: foresight_datasets::EpisodeStore::episodes(&episodes.training).len(),
            validation: episodes.held_out_by.clone(),
            validation_episodes: foresight_datasets::EpisodeStore::episodes(&episodes.held_out)
                .len(),
        },
        settings: settings.clone(),
    };
    if leads {
        origin.enter(out, args.resume)?;
    }
    let cache_root = args.cache.clone().unwrap_or_else(|| out.join("latents"));
    let (training, held_out) = base.clips(&settings, episodes, data, &cache_root)?;
    let left_out = training.source().skipped().len() + held_out.source().skipped().len();
    for (episode, reason) in training
        .source()
        .skipped()
        .iter()
        .chain(held_out.source().skipped())
    {
        tracing::warn!("{episode} is left out: {reason}");
    }
    let learner = base.learner(&settings, frozen)?;
    let readers = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.data.workers.max(1))
        .build()
        .context("starting the threads that read")?;
    let mut task = Finetuning::new(
        PredictorTrainer::with_learner(base.predictor.clone(), learner, settings.loss),
        training,
        held_out,
        settings.run.validation_clips,
        Share {
            batch_size: settings.optimisation.batch_size,
            rank: workers.rank(),
            size: workers.size(),
            micro_batch: shape.clips,
        },
        readers,
    );
    let mut options = RunOptions::new(out);
    options.resume = args.resume;
    options.log_every = settings.run.log_every;
    options.validate_every = settings.run.validate_every;
    options.checkpoint_every = settings.run.checkpoint_every;
    options.validate_first = true;
    options.workers = Rc::clone(&workers);
    let outcome = train(&mut task, &settings.optimisation, &options)?;
    if !leads {
        return Ok(());
    }
    let folder = out.join("model");
    let after = task.validate()?;
    let clips_left_out = task.skipped();
    let trainer = task.into_trainer();
    let summary = Summary {
        config: &base.config(&settings),
        origin: &origin,
        before: log::validation_at(out, 0),
        after: named(&after),
        steps: outcome.steps,
        workers: workers.size(),
        trained,
        left_out: [left_out, clips_left_out],
        base_card: std::fs::read_to_string(model.join(card::FILE)).ok(),
    };
    base.save(&trainer, &summary, settings.output.dtype, &folder)?;
    say(&args, &outcome, &summary, &folder)
}

fn named(parts: &Parts) -> Vec<(String, f64)> {
    let owned = |(name, value): &(&str, f64)| ((*name).to_owned(), *value);
    parts.iter().map(owned).collect()
}

fn say(args: &FinetuneArgs, outcome: &Outcome, summary: &Summary, folder: &Path) -> Result<()> {
    if args.json {
        let object = |parts: &[(String, f64)]| -> serde_json::Map<String, serde_json::Value> {
            parts
                .iter()
                .map(|(n, v)| (n.clone(), (*v).into()))
                .collect()
        };
        println!(
            "{}",
            serde_json::json!({
                "model": folder, "steps": outcome.steps, "interrupted": outcome.interrupted,
                "before": object(&summary.before), "after": object(&summary.after),
                "peak_memory_bytes": peak_memory(),
            })
        );
    } else {
        println!(
            "predictor after {} steps, held-out L1 one step ahead {:.4} (persistence {:.4}): {}",
            outcome.steps,
            summary.after("teacher_forced"),
            summary.after("persistence"),
            folder.display()
        );
    }
    Ok(())
}

impl FinetuneArgs {
    fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::resolve(self.config.as_deref(), &self.set)?;
        if let Some(steps) = self.steps {
            settings.set_steps(steps);
        }
        if let Some(rate) = self.lr {
            settings.set_rate(rate);
        }
        if let Some(batch_size) = self.batch_size {
            settings.optimisation.batch_size = batch_size;
        }
        if let Some(seed) = self.seed {
            settings.optimisation.seed = seed;
        }
        Ok(settings)
    }
}

/// The model a run starts from.
struct Base {
    checkpoint: Checkpoint,
    config: ModelConfig,
    predictor: PredictorConfig,
}

impl Base {
    fn open(folder: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(folder)
            .with_context(|| format!("opening the model {}", folder.display()))?;
        let config = checkpoint.config().cloned().ok_or_else(|| {
            anyhow!(
                "{} is a checkpoint, but no model folder of ours; make one with `foresight model \
                 convert`",
                folder.display()
            )
        })?;
        let predictor = config.predictor.clone().ok_or_else(|| {
            anyhow!(
                "{} has an encoder but no action-conditioned predictor; `foresight train` makes \
                 one from scratch",
                folder.display()
            )
        })?;
        Ok(Base {
            checkpoint,
            config,
            predictor,
        })
    }

    fn learner(&self, settings: &Settings, frozen: BTreeSet<String>) -> Result<Learner> {
        let entries = layout::predictor(&self.predictor);
        let tensors = self.checkpoint.tensors(Part::AcPredictor, &entries)?;
        let parameters = Parameters::from_tensors(entries, &tensors)?;
        drop(tensors);
        Ok(Learner::new(parameters)
            .with_frozen(frozen)?
            .with_recomputation(settings.memory.recompute))
    }

    /// Clips to train and to validate on.
    fn clips(
        &self,
        settings: &Settings,
        episodes: Episodes,
        data: &Path,
        cache_root: &Path,
    ) -> Result<(LatentClips, LatentClips)> {
        let transform = settings.transform(self.config.encoder.img_size);
        let cache = if settings.cache.enabled && transform.is_fixed() {
            let sha = checkpoint::part_sha256(&self.checkpoint, Part::Encoder)?;
            let (encoder, storage) = (&self.config.encoder, settings.cache.storage);
            let cache = LatentCache::open(cache_root, encoder, &sha, &transform, storage)?;
            Some(Arc::new(cache))
        } else {
            None
        };
        let encoder = Arc::new(Encoder::lazy(
            self.checkpoint.clone(),
            self.config.encoder.clone(),
        ));
        let clips = |subset, dataset: String| -> Result<LatentClips> {
            let source = EpisodeClips::new(Box::new(subset), settings.clip_options())
                .with_context(|| format!("in {dataset}"))?;
            Ok(LatentClips::new(
                source,
                &dataset,
                Arc::clone(&encoder),
                transform.clone(),
                self.predictor.clone(),
                cache.clone(),
            ))
        };
        let dataset = |path: &Path| {
            let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
            path.display().to_string()
        };
        let held_out_name = dataset(&episodes.held_out_root);
        Ok((
            clips(episodes.training, dataset(data))?,
            clips(episodes.held_out, held_out_name)?,
        ))
    }

    /// The resulting model's description.
    fn config(&self, settings: &Settings) -> ModelConfig {
        let mut config = self.config.clone();
        config.name = match &settings.output.name {
            Some(name) => name.clone(),
            None => format!("{}-tuned", self.config.name),
        };
        config.action_space.fps = settings.data.fps;
        config
    }

    fn save(
        &self,
        trainer: &PredictorTrainer,
        summary: &Summary,
        dtype: Dtype,
        folder: &Path,
    ) -> Result<()> {
        let dtype = match dtype {
            Dtype::F32 => DType::F32,
            Dtype::Bf16 => DType::BF16,
            Dtype::F16 => DType::F16,
        };
        let parameters = trainer.learner().parameters()?;
        checkpoint::save_tuned(&self.checkpoint, summary.config, &parameters, dtype, folder)?;
        let card = folder.join(card::FILE);
        std::fs::write(&card, summary.card()).with_context(|| format!("writing {}", card.display()))
    }
}

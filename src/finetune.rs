//! `foresight finetune`: the predictor of a model on DROID or on one's own episodes.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_datasets::EpisodeStore;
use foresight_predictor::checkpoint::{self, WEIGHTS_FILE};
use foresight_predictor::ComputeDevice;
use foresight_training::estimate::peak_memory;
use foresight_training::log;
use foresight_training::run::{Outcome, Parts, RunOptions, Task};
use foresight_training::PredictorTrainer;

use crate::training::train;
use foresight_training::finetune::base::Base;
use foresight_training::finetune::card::{self, Summary};
use foresight_training::finetune::origin::{Inputs, Origin};
use foresight_training::finetune::settings::{self, Settings};
use foresight_training::finetune::task::{Finetuning, Share};
use foresight_training::finetune::{episodes, memory, processes, report};

/// Arguments of `foresight finetune`.
#[derive(Debug, Args)]
pub struct FinetuneArgs {
    /// Model folder to start from.
    #[arg(long, value_name = "DIR", required_unless_present = "print_config")]
    model: Option<PathBuf>,
    /// Episodes to learn from: a DROID-raw root, an index (from `foresight dataset index`), a list
    /// of episode folders as the official code takes it, or a LeRobot v3 folder.
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
    /// Where it computes: cpu, cuda or cuda:N; `compute.device` of the settings.
    #[arg(long)]
    device: Option<ComputeDevice>,
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
    if args.estimate || args.rehearse {
        return foresee(&args, &settings, &base, workers.size());
    }
    let (Some(data), Some(out)) = (&args.data, &args.out) else {
        bail!("--data and --out are needed");
    };
    // What is wrong with the inputs is said first: the estimate takes its time.
    let episodes = episodes::open(data, args.validation.as_deref(), &settings.data)?;
    let origin = Origin {
        program_version: env!("CARGO_PKG_VERSION").into(),
        inputs: Inputs {
            model: model.clone(),
            model_sha256: checkpoint::sha256(&model.join(WEIGHTS_FILE))?,
            data: data.clone(),
            episodes: episodes.training.episodes().len(),
            validation: episodes.held_out_by.clone(),
            validation_episodes: episodes.held_out.episodes().len(),
        },
        settings: settings.clone(),
    };
    let leads = workers.rank() == 0;
    if leads {
        origin.enter(out, args.resume)?;
    }
    let cache_root = args.cache.clone().unwrap_or_else(|| out.join("latents"));
    let (training, held_out) = base.clips(&settings, episodes, data, &cache_root)?;
    let left_out = report::left_out(&[&training, &held_out]);
    let uneven = report::uneven(&[&training, &held_out]);
    let (learner, trained) = base.learner(&settings)?;
    let device = settings.compute.open()?;
    let shape = base.step_shape(&settings, workers.size(), trained[0], device.as_ref());
    if leads && !args.json {
        eprintln!("{}", memory::estimate(&shape, &settings, workers.size())?);
    }
    let readers = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.data.workers.max(1))
        .build()
        .context("starting the threads that read")?;
    let mut task = Finetuning::new(
        PredictorTrainer::with_learner(base.predictor.clone(), learner, settings.loss)
            .on(device.clone()),
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
        uneven,
        base_card: std::fs::read_to_string(model.join(card::FILE)).ok(),
    };
    base.save(&trainer, &summary, settings.output.dtype, &folder)?;
    say(&args, &outcome, &summary, &folder)
}

/// Says what a run would take, and with --rehearse takes a step of it.
fn foresee(args: &FinetuneArgs, settings: &Settings, base: &Base, workers: usize) -> Result<()> {
    let [trained, _] = base.counts(settings)?;
    let device = settings.compute.open()?;
    let shape = base.step_shape(settings, workers, trained, device.as_ref());
    let estimated = memory::estimate(&shape, settings, workers)?;
    if !args.json {
        eprintln!("{estimated}");
    }
    let rehearsed = match args.rehearse {
        true => {
            let (learner, _) = base.learner(settings)?;
            Some(memory::rehearse(&shape, settings, learner, &estimated)?)
        }
        false => None,
    };
    if args.json {
        let both = serde_json::json!({"estimate": estimated, "rehearsal": rehearsed});
        println!("{both}");
    } else if let Some(rehearsed) = rehearsed {
        println!("{rehearsed}");
    }
    Ok(())
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
        if let Some(device) = self.device {
            settings.compute.device = device;
        }
        Ok(settings)
    }
}

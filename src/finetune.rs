//! `foresight finetune`: the predictor of a model on DROID or on one's own episodes.

use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_predictor::ComputeDevice;
use foresight_training::base::Base;
use foresight_training::estimate::peak_memory;
use foresight_training::predictor_run::{Files, Finished, PredictorRun};
use foresight_training::run::Outcome;
use foresight_training::settings::{self, Settings};
use foresight_training::{memory, processes, TrainingDevice};

use crate::training::train;

/// Arguments of `foresight finetune`.
#[derive(Debug, Args)]
pub(crate) struct FinetuneArgs {
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
    /// 1: the predictor of single actions. 2: one whose actions take several steps, for planning at two
    /// levels; it begins as the model's second level, or as the first where there is none, and needs
    /// data.sampling = "consecutive" or "real_time".
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    level: u8,
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
pub(crate) fn run(args: FinetuneArgs) -> Result<()> {
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
    let base = Base::open(model, &settings)?;
    let device = settings.compute.open()?;
    if args.estimate || args.rehearse {
        return foresee(&args, &settings, &base, device.as_ref(), workers.size());
    }
    let (Some(data), Some(out)) = (&args.data, &args.out) else {
        bail!("--data and --out are needed");
    };
    let files = Files {
        model: model.clone(),
        data: data.clone(),
        validation: args.validation.clone(),
        out: out.clone(),
        cache: args.cache.clone(),
        resume: args.resume,
    };
    // What is wrong with the inputs is said first: the estimate takes its time.
    let mut run = PredictorRun::prepare(base, settings, files, device.as_ref(), &workers)?;
    let leads = workers.rank() == 0;
    if leads && !args.json {
        eprintln!("{}", run.estimate(device.as_ref())?);
    }
    let (task, settings, options) = run.parts();
    let outcome = train(task, &settings.optimisation, options)?;
    if !leads {
        return Ok(());
    }
    let finished = run.finish(&outcome)?;
    say(&args, &outcome, &finished);
    Ok(())
}

/// Says what a run would take, and with --rehearse takes a step of it.
fn foresee(
    args: &FinetuneArgs,
    settings: &Settings,
    base: &Base,
    device: Option<&TrainingDevice>,
    workers: usize,
) -> Result<()> {
    let [trained, _] = base.counts(settings)?;
    let shape = base.step_shape(settings, workers, trained, device);
    let estimated = memory::estimate(&shape, settings, workers)?;
    if !args.json {
        eprintln!("{estimated}");
    }
    let rehearsed = match args.rehearse {
        true => {
            let (state, _) = base.state(settings)?;
            Some(memory::rehearse(&shape, settings, state, &estimated)?)
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

fn say(args: &FinetuneArgs, outcome: &Outcome, finished: &Finished) {
    let folder = &finished.folder;
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
                "before": object(&finished.before), "after": object(&finished.after),
                "peak_memory_bytes": peak_memory(),
            })
        );
    } else {
        println!(
            "predictor after {} steps, held-out L1 one step ahead {:.4} (persistence {:.4}): {}",
            outcome.steps,
            finished.after("teacher_forced"),
            finished.after("persistence"),
            folder.display()
        );
    }
}

impl FinetuneArgs {
    fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::resolve(self.config.as_deref(), &self.set)?;
        settings.for_level(self.level)?;
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

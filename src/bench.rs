//! `foresight bench`: how fast plans are made, how good they are for what they cost, how fast clips
//! are read.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::{Args, Subcommand};
use foresight_bench::precision::{range, PrecisionComparison};
use foresight_bench::{clips, decisions, encode, plan, precision, replay, search};
use foresight_datasets::ClipSampler;
use foresight_planner::{CemConfig, PlannerConfig, RefitMethod};
use foresight_predictor::{ComputeDevice, InstructionSet, Precision, WorldModel};
use foresight_settings::{read_text, Change};
use foresight_training::settings::Settings;
use serde_json::json;

use crate::embed::EncoderArgs;
use crate::overrides::{preset_change, SetArgs};

/// Commands of `foresight bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Time, FLOP/s, share of this machine's measured ceiling and memory of whole plans.
    Plan(PlanBench),
    /// Energy reached against evaluations and seconds, for every planner over many scenes.
    Search(SearchBench),
    /// bf16 against f32: rank correlation, elites, and the plans' difference against CEM's own
    /// spread from seed to seed.
    Precision(PrecisionBench),
    /// Clips a second that are read and decoded, for `foresight finetune` with the same settings.
    Clips(ClipsBench),
    /// One plan from a predictor, latents and noise on disk: our half of
    /// bench/against_official.py.
    Replay(ReplayBench),
    /// One clip from disk through an encoder: our half of bench/clips_against_official.py.
    Encode(EncodeBench),
}

/// Runs `foresight bench`.
///
/// # Errors
/// When a model, a scenario or a file can't be used.
pub(crate) fn run(command: BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Plan(args) => plans(&args),
        BenchCommand::Search(args) => searches(&args),
        BenchCommand::Precision(args) => precisions(&args),
        BenchCommand::Clips(args) => clip_rate(&args),
        BenchCommand::Replay(args) => {
            let (device, set) = (args.device, args.unit);
            let result = replay::replay(&args.case, device, args.precision, set, args.rounds)?;
            println!("{result}");
            Ok(())
        }
        BenchCommand::Encode(args) => {
            let options = args.encoder.options();
            let (model, out) = (&args.encoder.model, args.out.as_deref());
            println!(
                "{}",
                encode::encode(model, &args.clip, options, args.rounds, out)?
            );
            Ok(())
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EncodeBench {
    #[command(flatten)]
    encoder: EncoderArgs,
    /// A safetensors file with a tensor `clip` [1, 3, frames, height, width], normalised.
    #[arg(long)]
    clip: PathBuf,
    /// Times it is encoded.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where its tokens go.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanBench {
    /// Model folder whose architecture is measured. Weights are drawn at random: they don't
    /// matter for speed.
    #[arg(long, default_value = "models/tabletop")]
    model: PathBuf,
    /// Plans per line, after one to warm up; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Candidates for the full-size architecture.
    #[arg(long, default_value_t = 8)]
    full_size_samples: usize,
    /// Iterations for the full-size architecture.
    #[arg(long, default_value_t = 1)]
    full_size_iterations: usize,
    /// Leave the full-size architecture out: it takes a minute and 3 GiB.
    #[arg(long)]
    bundled_only: bool,
    /// Memory for the rollouts beside the weights, MiB; 512 on the CPU and most of what a GPU has
    /// free when absent.
    #[arg(long)]
    memory_mib: Option<usize>,
    /// Where the predictor computes: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what
    /// a GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
    #[command(flatten)]
    set: SetArgs,
    /// One array of objects on standard output.
    #[arg(long)]
    json: bool,
}

fn plans(args: &PlanBench) -> Result<()> {
    let options = plan::PlanOptions {
        rounds: args.rounds,
        memory_mib: args.memory_mib,
        device: args.device,
    };
    let note = &mut |line| eprintln!("{line}");
    let changes = Change::parse_all(&args.set.set)?;
    let mut planners = Vec::new();
    for name in ["paper", "notebook", "fast"] {
        let changes = [&[preset_change(name)], &changes[..]].concat();
        let (planner, hints) = PlannerConfig::changed(&changes)?;
        if name == "paper" {
            hints.iter().for_each(|hint| tracing::warn!("{hint}"));
        }
        planners.push((name, released_search(&planner)?));
    }
    let bundled = plan::architecture(&args.model)?;
    let mut timings = plan::measure(&bundled, &planners, options, note)?;
    if !args.bundled_only {
        let (full, planners) = plan::full_size(args.full_size_samples, args.full_size_iterations)?;
        timings.extend(plan::measure(&full, &planners, options, note)?);
    }
    if args.json {
        println!("{}", serde_json::to_string(&timings)?);
    }
    Ok(())
}

/// The search that is timed, if it is what the settings ask for.
fn released_search(planner: &PlannerConfig) -> Result<CemConfig> {
    let other = planner.method != RefitMethod::Cem
        || planner.baseline.is_some()
        || planner.preview_share.is_some()
        || planner.refine_steps > 0
        || planner.residual_power > 0.0;
    if other {
        bail!(
            "bench plan times the cross-entropy method alone: leave out the keys method, baseline, \
             preview_share, refine_steps and residual_power"
        );
    }
    Ok(planner.cem())
}

#[derive(Debug, Args)]
pub(crate) struct SearchBench {
    /// Scenario whose scenes and sub-goals are planned for.
    #[arg(long, default_value = "scenarios/pick_and_place.toml")]
    scenario: PathBuf,
    /// Model folder.
    #[arg(long, default_value = "models/tabletop")]
    model: PathBuf,
    /// Scenes, one decision each, the sub-goals taken in turn.
    #[arg(long, default_value_t = 36)]
    scenes: u64,
    /// Seed of the first scene.
    #[arg(long, default_value_t = 500_000)]
    seed: u64,
    /// Searches per scene and planner.
    #[arg(long, default_value_t = 3)]
    repeats: u64,
    /// Planners: TOML files with the keys of a scenario's `planner` section, instead of the
    /// built-in list.
    #[arg(long, value_name = "FILE")]
    planner: Vec<PathBuf>,
    /// Numbers the networks' products are taken in, f32 or bf16; energies reported are always f32.
    #[arg(long, default_value_t = Precision::Bf16)]
    precision: Precision,
    /// Where the networks compute: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what a
    /// GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
    /// Where the rows go (JSON lines), for bench/plot_search.py.
    #[arg(long)]
    out: PathBuf,
}

fn searches(args: &SearchBench) -> Result<()> {
    let exact = WorldModel::load_on(&args.model, args.device, Precision::F32)?;
    let model = WorldModel::load_on(&args.model, args.device, args.precision)?;
    let read = |path: &PathBuf| -> Result<_> {
        let planner = PlannerConfig::from_table(path, &read_text(path)?)?;
        let name = path.file_stem().unwrap_or_default();
        Ok((name.to_string_lossy().into_owned(), planner))
    };
    let planners = match args.planner.is_empty() {
        true => search::built_in()?,
        false => args.planner.iter().map(read).collect::<Result<_>>()?,
    };
    let decisions = decisions::decisions(&args.scenario, &exact, args.seed, args.scenes)?;
    let done = &mut |decision: &decisions::Decision| {
        eprintln!("scene {}, {}", decision.seed, decision.goal_name);
    };
    let rows = search::study([&exact, &model], &planners, &decisions, args.repeats, done)?;
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(&args.out, lines).with_context(|| args.out.display().to_string())
}

#[derive(Debug, Args)]
pub(crate) struct PrecisionBench {
    /// Scenario whose scenes are planned for.
    #[arg(long, default_value = "scenarios/pick_and_place.toml")]
    scenario: PathBuf,
    /// Model folder.
    #[arg(long, default_value = "models/tabletop")]
    model: PathBuf,
    /// Decisions.
    #[arg(long, default_value_t = 30)]
    scenes: u64,
    /// Seed of the first scene.
    #[arg(long, default_value_t = 510_000)]
    seed: u64,
    /// Candidates whose energies are compared.
    #[arg(long, default_value_t = 800)]
    samples: usize,
    /// The full-size architecture with random weights and latents instead: slow.
    #[arg(long)]
    full_size: bool,
    /// Candidates and iterations of the full-size plans whose actions are compared.
    #[arg(long, num_args = 2, value_names = ["SAMPLES", "ITERATIONS"], default_values_t = [32, 3])]
    full_size_plan: Vec<usize>,
    /// Where the networks compute: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what a
    /// GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
}

fn precisions(args: &PrecisionBench) -> Result<()> {
    let compared = if args.full_size {
        let Ok(plan) = <[usize; 2]>::try_from(&args.full_size_plan[..]) else {
            bail!("--full-size-plan takes two numbers");
        };
        let comparison = precision::full_size(args.seed, args.samples, plan, args.device)?;
        vec![comparison]
    } else {
        let scenes = [args.seed, args.scenes];
        let (scenario, model) = (&args.scenario, &args.model);
        precision::scenario(scenario, model, scenes, args.samples, args.device)?
    };
    println!(
        "{} decisions, {} candidates each",
        compared.len(),
        args.samples
    );
    let row = |name: &str, of: fn(&PrecisionComparison) -> f64| {
        let [low, middle, high] = range(compared.iter().map(of));
        println!("{name:<58} median {middle:.5}  ({low:.5} to {high:.5})");
    };
    row("rank correlation of energies", |c| c.rank_correlation);
    row("share of the ten best that are the same", |c| c.overlap);
    row(
        "action, bf16 against f32, same noise (share of the box)",
        |c| c.between_precisions,
    );
    row(
        "action, f32 against f32, another seed (share of the box)",
        |c| c.between_seeds,
    );
    Ok(())
}

#[derive(Debug, Args)]
pub(crate) struct ClipsBench {
    /// A DROID-raw root, an index, a list of episode folders or a LeRobot v3 folder.
    data: PathBuf,
    /// Clips read, of as many draws.
    #[arg(long, default_value_t = 64)]
    clips: usize,
    /// Settings (TOML), as for `foresight finetune`; `data.workers` threads read.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One of those settings; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

fn clip_rate(args: &ClipsBench) -> Result<()> {
    if args.clips == 0 {
        bail!("--clips must be at least 1");
    }
    let settings = Settings::resolve(args.config.as_deref(), &args.set)?;
    settings.check(1)?;
    let store = foresight_datasets::open_tolerant(&args.data, settings.data.frame_tolerance)
        .with_context(|| format!("opening {}", args.data.display()))?;
    let source = ClipSampler::new(store, settings.clip_options())?;
    let workers = settings.data.workers.max(1);
    let rate = clips::read(&source, args.clips, workers)?;
    let ([width, height], frames) = (rate.size_px, settings.data.frames);
    if args.json {
        println!(
            "{}",
            json!({
                "clips": args.clips, "frames": frames, "size": [width, height],
                "workers": workers, "seconds": rate.seconds, "clips_per_s": rate.clips_per_s,
                "thread_seconds_per_clip": rate.thread_seconds_per_clip,
            })
        );
    } else {
        println!(
            "{} clips of {frames} frames of {width}×{height} px by {workers} threads in {:.1} s: \
             {:.1} clips a second, {:.0} ms of a thread each",
            args.clips,
            rate.seconds,
            rate.clips_per_s,
            rate.thread_seconds_per_clip * 1e3
        );
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(crate) struct ReplayBench {
    /// Folder with case.json (predictor architecture, settings), predictor.safetensors and
    /// case.safetensors (context, goal, pose, noise), as bench/against_official.py writes it.
    case: PathBuf,
    /// Numbers the products are taken in: f32 or bf16.
    #[arg(long, default_value_t = Precision::Bf16)]
    precision: Precision,
    /// Where the predictor computes: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what
    /// a GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
    /// Instruction set to multiply with on the CPU instead of the fastest: amx, avx512-bf16, avx512,
    /// avx2 or portable.
    #[arg(long, conflicts_with = "device")]
    unit: Option<InstructionSet>,
    /// Plans, each timed on its own.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

//! `foresight plan`: one decision from images on disk.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, Result};
use clap::{ArgGroup, Args};
use foresight_planner::{
    solve, Action, ActionSequences, CemConfig, Constraints, Energy, EnergyError, Plan,
    PlannerConfig, SeededNoise, WaypointSource,
};
use foresight_predictor::goal_distance::GoalWeighting;
use foresight_predictor::{Budget, ComputeDevice, Latent, LevelTwo, Precision, WorldModel};
use foresight_scenarios::controllers::hierarchy::Look;
use foresight_scenarios::controllers::{EncodedObservation, Hierarchy, LatentModel, SecondLevel};
use foresight_settings::Change;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::overrides::{preset_change, preset_names, SetArgs};
use crate::task::{Task, TaskArgs};
use crate::workers::{shared, WorkersArgs};

/// Arguments of `foresight plan`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("given").required(true).args(["context", "npz"])))]
pub(crate) struct PlanArgs {
    /// Model folder with an encoder and a predictor.
    #[arg(long)]
    model: PathBuf,
    #[command(flatten)]
    task: TaskArgs,
    /// Settings of the search that the options below change. The box is the model's own, except the
    /// notebook's.
    #[arg(long, value_parser = preset_names(), default_value = "paper")]
    preset: String,
    /// Candidates per iteration.
    #[arg(long)]
    samples: Option<u32>,
    /// Iterations.
    #[arg(long)]
    iterations: Option<u32>,
    /// Elites the distribution is refitted to; at most as many as there are candidates.
    #[arg(long)]
    topk: Option<u32>,
    /// Planned steps.
    #[arg(long)]
    horizon: Option<u32>,
    /// Largest translation per axis and step, m.
    #[arg(long, value_name = "M")]
    max_step_m: Option<f64>,
    /// Seed of the search.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Memory for the rollouts beside the weights, MiB; 512 on the CPU and most of what a GPU has
    /// free when absent.
    #[arg(long)]
    memory_mib: Option<usize>,
    /// Numbers that the networks' products are taken in: f32 or bf16.
    #[arg(long, default_value_t = Precision::Bf16)]
    precision: Precision,
    /// Where the networks compute: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what a
    /// GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
    #[command(flatten)]
    workers: WorkersArgs,
    #[command(flatten)]
    set: SetArgs,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Wall-clock seconds.
struct Seconds {
    load: f64,
    encode: f64,
    search: f64,
}

/// Runs `foresight plan`.
///
/// # Errors
/// When the model, an image or an option can't be used.
pub(crate) fn run(args: PlanArgs) -> Result<()> {
    let task = args.task.read(false)?;
    let asked = asked(&args)?;
    let started = Instant::now();
    let mut model = WorldModel::load_on(&args.model, args.device, args.precision)?;
    if let Some(link) = args.workers.over(None) {
        model = shared(model, &args.model, &link)?;
    }
    let settings = in_the_model_s_box(asked, &model)?;
    let cem = settings.cem();
    let extrinsics = args.task.camera(&model)?;
    let load = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let latents = model.encode(&[&task.context, &task.goal])?;
    let [context, goal] = &latents[..] else {
        bail!("two images gave {} latents", latents.len());
    };
    let encode = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let own = model.budget();
    let budget = Budget {
        memory_mib: args.memory_mib.unwrap_or(own.memory_mib),
        ..own
    };
    let energy = model
        .energy(context, &task.pose, goal, budget)
        .with_extrinsics(extrinsics);
    let weights = energy.weights(GoalWeighting::residual(settings.residual_power)?, None)?;
    let energy = WithProgress {
        energy: energy.with_weights(&weights),
        bar: progress(cem.evaluations()),
    };
    let plan = if settings.levels == 1 {
        let mut search = settings.method().begin(&Constraints::default());
        solve(&mut *search, &energy, &mut SeededNoise::new(args.seed, 0))?
    } else {
        let seen = EncodedObservation {
            latent: context.clone(),
            pose: task.pose,
        };
        at_two_levels(
            &args,
            &settings,
            &model,
            (seen, &task),
            goal.clone(),
            extrinsics,
        )?
    };
    energy.bar.finish_and_clear();
    let seconds = Seconds {
        load,
        encode,
        search: started.elapsed().as_secs_f64(),
    };
    let distance = context.distance(goal);
    if args.json {
        println!("{}", as_json(&args, &task, &cem, &plan, distance, &seconds));
    } else {
        print(&task, &plan, distance, &seconds);
    }
    Ok(())
}

/// The first action towards the first waypoint that the model's second level plans.
fn at_two_levels(
    args: &PlanArgs,
    settings: &PlannerConfig,
    model: &WorldModel,
    (seen, task): (EncodedObservation, &Task),
    goal: Latent,
    extrinsics: Option<[f32; 6]>,
) -> Result<Plan> {
    if settings.level_two.waypoints == WaypointSource::Recorded {
        bail!("plan has no recordings to aim at; set planner.level_two.waypoints = \"foreseen\"");
    }
    let second = LevelTwo::load(&args.model, model, args.device, args.precision)?;
    let weighting = GoalWeighting::residual(settings.residual_power)?;
    let extrinsics = extrinsics.map(|e| e.map(f64::from));
    let first = LatentModel::new(model, vec![goal], weighting, extrinsics);
    let second = SecondLevel {
        model: Some(&second),
        anchors: None,
    };
    let look = Look {
        pixels: model.pixels(&task.context)?,
        pose: task.pose,
    };
    let hierarchy = Hierarchy::new(first, second, settings, args.seed);
    let mut hierarchy = hierarchy.with_pictures(vec![model.pixels(&task.goal)?]);
    Ok(hierarchy.plan(&seen, &look, &Constraints::default(), 0)?)
}

/// What the flags and `--set` say of the search, and the settings that these changes make.
fn asked(args: &PlanArgs) -> Result<(Vec<Change>, PlannerConfig)> {
    let mut changes = vec![preset_change(&args.preset)];
    let counts = [
        ("--samples", "planner.samples", args.samples),
        ("--iterations", "planner.iterations", args.iterations),
        ("--topk", "planner.topk", args.topk),
        ("--horizon", "planner.horizon", args.horizon),
    ];
    for (flag, path, count) in counts {
        changes.extend(count.map(|n| Change::flag(flag, path, n)));
    }
    let box_m = |flag, m: f64| Change::flag(flag, "planner.box_m", m);
    changes.extend(args.max_step_m.map(|m| box_m("--max-step-m", m)));
    changes.extend(Change::parse_all(&args.set.set)?);
    let (settings, hints) = PlannerConfig::changed(&changes)?;
    for hint in hints {
        tracing::warn!("{hint}");
    }
    for (key, value) in [
        ("box_m", settings.box_m),
        ("rotation_rad", settings.rotation_rad),
    ] {
        if value > 0.5 {
            bail!("planner.{key} is {value}; give a number up to 0.5: no arm is sent farther in one step");
        }
    }
    Ok((changes, settings))
}

/// The search's settings. Its box is the one the model was trained on, unless the preset is the
/// notebook's, which brings its own, or a flag names one.
fn in_the_model_s_box(
    (mut changes, asked): (Vec<Change>, PlannerConfig),
    model: &WorldModel,
) -> Result<PlannerConfig> {
    if asked.preset == "notebook" {
        return Ok(asked);
    }
    let own_m = model.config().action_space.max_translation_m;
    let own = Change::flag("the model's own box", "planner.box_m", own_m);
    changes.insert(1, own);
    Ok(PlannerConfig::changed(&changes)?.0)
}

/// Counts evaluations on a progress bar.
struct WithProgress<E> {
    energy: E,
    bar: ProgressBar,
}

impl<E: Energy> Energy for WithProgress<E> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let energies = self.energy.energies(sequences)?;
        self.bar.inc(sequences.samples() as u64);
        Ok(energies)
    }
}

/// Hidden by itself where standard error is no terminal.
fn progress(evaluations: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("planning {bar:40} {pos}/{len} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(evaluations as u64).with_style(style)
}

fn as_json(
    args: &PlanArgs,
    task: &Task,
    cem: &CemConfig,
    plan: &Plan,
    distance: f32,
    seconds: &Seconds,
) -> serde_json::Value {
    let actions: Vec<[f64; 7]> = plan.actions.iter().map(Action::to_array).collect();
    let best: Vec<Option<&f32>> = plan
        .iterations
        .iter()
        .map(|i| i.elite_energies.first())
        .collect();
    json!({
        "model": args.model,
        "seed": args.seed,
        "search": cem,
        "state": task.pose.to_array(),
        "actions": actions,
        "macro_actions": plan.macro_actions.iter().map(Action::to_array).collect::<Vec<_>>(),
        "energy": plan.energy(),
        "energy_per_iteration": best,
        "iterations": plan.iterations,
        "evaluations": plan.evaluations,
        "distance_before": distance,
        "true_action": task.true_action.as_ref().map(Action::to_array),
        "seconds": {"load": seconds.load, "encode": seconds.encode, "search": seconds.search},
    })
}

fn print(task: &Task, plan: &Plan, distance: f32, seconds: &Seconds) {
    println!("distance of the images' latents: {distance:.4}");
    println!("\niteration  best energy  mean of elites");
    for (i, iteration) in plan.iterations.iter().enumerate() {
        let energies = &iteration.elite_energies;
        let mean = energies.iter().sum::<f32>() / energies.len().max(1) as f32;
        let best = energies.first().copied().unwrap_or(f32::NAN);
        println!("{:>9}  {best:>11.5}  {mean:>14.5}", i + 1);
    }
    println!("\nstep     dx m     dy m     dz m  drx rad  dry rad  drz rad  gripper");
    let row = |name: &str, action: &Action| {
        let values = action.to_array().map(|v| format!("{v:>8.4}"));
        println!("{name:<4} {}", values.join(" "));
    };
    for (i, action) in plan.actions.iter().enumerate() {
        row(&(i + 1).to_string(), action);
    }
    if let Some(action) = &task.true_action {
        row("true", action);
    }
    if !plan.macro_actions.is_empty() {
        println!("\nled by the second level's macro-actions:");
        for (i, action) in plan.macro_actions.iter().enumerate() {
            row(&(i + 1).to_string(), action);
        }
    }
    println!(
        "\n{} evaluations; loading {:.1} s, encoding {:.1} s, search {:.1} s",
        plan.evaluations, seconds.load, seconds.encode, seconds.search
    );
}

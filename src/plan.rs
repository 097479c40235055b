//! `foresight plan`: one decision from images on disk.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{bail, Result};
use clap::Args;
use foresight_datasets::picture;
use foresight_planner::{
    pose_units, solve, Action, ActionSequences, CemConfig, Constraints, Energy, EnergyError, Plan,
    PlannerConfig, Pose, SeededNoise, WaypointSource,
};
use foresight_predictor::goal_distance::GoalWeighting;
use foresight_predictor::npz::Trajectory;
use foresight_predictor::{Budget, ComputeDevice, Latent, LevelTwo, Precision, WorldModel};
use foresight_scenarios::controllers::hierarchy::Look;
use foresight_scenarios::controllers::{EncodedObservation, Hierarchy, LatentModel, SecondLevel};
use foresight_settings::Change;
use image::RgbImage;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::overrides::{preset_change, preset_names, SetArgs};
use crate::workers::{shared, WorkersArgs};

/// Arguments of `foresight plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Model folder with an encoder and a predictor.
    #[arg(long)]
    model: PathBuf,
    /// What the camera sees now.
    #[arg(
        long,
        value_name = "IMAGE",
        required_unless_present = "npz",
        conflicts_with = "npz"
    )]
    context: Option<PathBuf>,
    /// What it should see.
    #[arg(
        long,
        value_name = "IMAGE",
        required_unless_present = "npz",
        conflicts_with = "npz"
    )]
    goal: Option<PathBuf>,
    /// The robot's pose now: x,y,z in m in its base frame, extrinsic xyz Euler angles in rad,
    /// gripper from 0 (open) to 1 (closed).
    #[arg(
        long,
        value_name = "X,Y,Z,RX,RY,RZ,G",
        allow_hyphen_values = true,
        required_unless_present = "npz",
        conflicts_with = "npz"
    )]
    state: Option<String>,
    /// Where the camera stands, for models that take its pose: x,y,z in m in the robot's base
    /// frame, extrinsic xyz Euler angles in rad, its z axis pointing into the picture.
    #[arg(long, value_name = "X,Y,Z,RX,RY,RZ", allow_hyphen_values = true)]
    extrinsics: Option<String>,
    /// An episode instead: observations of 1×T×H×W×3 and states of 1×T×7. Plans from its first
    /// frame to its last.
    #[arg(long, value_name = "FILE")]
    npz: Option<PathBuf>,
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

/// What to plan from and to.
struct Task {
    context: RgbImage,
    goal: RgbImage,
    pose: Pose,
    /// The pose at the goal, where an episode tells it.
    goal_pose: Option<Pose>,
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
    let task = task(&args)?;
    let asked = asked(&args)?;
    let started = Instant::now();
    let mut model = WorldModel::load_on(&args.model, args.device, args.precision)?;
    if let Some(link) = args.workers.over(None) {
        model = shared(model, &args.model, &link)?;
    }
    let settings = in_the_model_s_box(asked, &model)?;
    let cem = settings.cem();
    let extrinsics = camera(args.extrinsics.as_deref(), &model)?;
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

fn task(args: &PlanArgs) -> Result<Task> {
    if let Some(path) = &args.npz {
        let mut episode = Trajectory::read(path)?;
        let frames = episode.frames.len();
        let (Some(goal), Some(goal_pose)) = (episode.frames.pop(), episode.states.pop()) else {
            bail!("{}: the episode has no frame", path.display());
        };
        let (Some(context), Some(pose)) =
            (episode.frames.into_iter().next(), episode.states.first())
        else {
            bail!(
                "{}: the episode has {frames} frame; planning needs a first and a last one",
                path.display()
            );
        };
        return Ok(Task {
            context,
            goal,
            pose: *pose,
            goal_pose: Some(goal_pose),
        });
    }
    let (Some(context), Some(goal), Some(state)) = (&args.context, &args.goal, &args.state) else {
        bail!("give --context, --goal and --state, or --npz");
    };
    Ok(Task {
        context: picture::open(context)?,
        goal: picture::open(goal)?,
        pose: parse_state(state)?,
        goal_pose: None,
    })
}

/// A pose from `x,y,z,rx,ry,rz,g`.
///
/// # Errors
/// When it is not seven finite numbers, or the gripper is out of range.
pub(crate) fn parse_state(text: &str) -> Result<Pose> {
    let array = numbers::<7>("--state", text, "seven numbers: x,y,z,rx,ry,rz,g")?;
    if let Some(doubt) = pose_units::doubt(&array) {
        bail!("--state {text:?}: {doubt}");
    }
    Ok(Pose::from_array(array))
}

/// Where the camera stands, from `x,y,z,rx,ry,rz`, for a model that takes its pose.
///
/// # Errors
/// When it is not six finite numbers, the model takes it and it is missing, or the other way round.
pub(crate) fn camera(text: Option<&str>, model: &WorldModel) -> Result<Option<[f32; 6]>> {
    let name = &model.config().name;
    match (text, model.takes_extrinsics()) {
        (None, false) => Ok(None),
        (Some(text), true) => {
            let camera = numbers::<6>("--extrinsics", text, "six numbers: x,y,z,rx,ry,rz")?;
            if let Some(doubt) = pose_units::camera_doubt(&camera) {
                bail!("--extrinsics {text:?}: {doubt}");
            }
            Ok(Some(camera.map(|v| v as f32)))
        }
        (None, true) => bail!(
            "the model {name} plans with the camera's pose; add --extrinsics X,Y,Z,RX,RY,RZ: \
             where the camera stands in the robot's base frame, m and rad"
        ),
        (Some(_), false) => {
            bail!("the model {name} doesn't take the camera's pose; leave out --extrinsics")
        }
    }
}

/// `N` finite numbers, separated by commas.
fn numbers<const N: usize>(flag: &str, text: &str, wanted: &str) -> Result<[f64; N]> {
    let values: Option<Vec<f64>> = text.split(',').map(|v| v.trim().parse().ok()).collect();
    let array = values.and_then(|values| <[f64; N]>::try_from(values).ok());
    let Some(array) = array else {
        bail!("{flag} {text:?} is not {wanted}");
    };
    if array.iter().any(|v| !v.is_finite()) {
        bail!("{flag} {text:?} has a value that is not finite");
    }
    Ok(array)
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
        "true_action": task.goal_pose.map(|goal| task.pose.action_to(&goal).to_array()),
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
    if let Some(goal) = &task.goal_pose {
        row("true", &task.pose.action_to(goal));
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

#[cfg(test)]
mod tests {
    use super::{numbers, parse_state};

    #[test]
    fn a_camera_is_six_numbers_for_models_that_take_one() {
        let wanted = "six numbers";
        let camera = numbers::<6>("--extrinsics", "1,0,-0.5, 0,3.1,0", wanted).unwrap();
        assert_eq!(camera, [1.0, 0.0, -0.5, 0.0, 3.1, 0.0]);
        for bad in ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "0,0,0,0,0,inf"] {
            assert!(numbers::<6>("--extrinsics", bad, wanted).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_state_is_seven_finite_numbers_with_a_gripper_in_range() {
        let pose = parse_state("0.5, -0.1,0.2,3.25,0,-1.5,1").unwrap();
        assert_eq!(pose.to_array(), [0.5, -0.1, 0.2, 3.25, 0.0, -1.5, 1.0]);
        for bad in [
            "",
            "1,2,3",
            "0,0,0,0,0,0,2",
            "0,0,0,0,0,nan,0",
            "0.467,-0.0158,0.4648,-179.26,-0.0014,90.006,0.04",
            "467,-15.8,464.8,-3.1,0,0,0.04",
            "a,0,0,0,0,0,0",
        ] {
            assert!(parse_state(bad).is_err(), "{bad}");
        }
    }
}

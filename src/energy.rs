//! `foresight energy`: the energy landscape around standing still, as CSV and picture.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, Context, Result};
use clap::{ArgGroup, Args};
use foresight_planner::{Action, Landscape, Pose};
use foresight_predictor::{Budget, WorldModel};
use foresight_report::landscape::{self, Marks};
use foresight_runs::read::RunData;
use foresight_scenarios::{LoadedScenario, RunError};
use serde_json::json;

use crate::task::{Task, TaskArgs};

/// Arguments of `foresight energy`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("given").required(true).args(["context", "npz", "run"])))]
pub(crate) struct EnergyArgs {
    /// Model folder with an encoder and a predictor; the run's own with --run.
    #[arg(long, required_unless_present = "run")]
    model: Option<PathBuf>,
    #[command(flatten)]
    task: TaskArgs,
    /// With --npz: from its last frame to its first.
    #[arg(long, requires = "npz", conflicts_with_all = ["context", "run"])]
    reverse: bool,
    /// A step of a run instead: what was seen then, and the goal pursued.
    #[arg(long, value_name = "RUN", requires = "step")]
    run: Option<PathBuf>,
    /// The step of --run, from 1 as the report counts.
    #[arg(long, requires = "run", conflicts_with_all = ["context", "npz"])]
    step: Option<usize>,
    /// Grid points along each axis; an odd number has the plane Δz = 0.
    #[arg(long, default_value_t = 9)]
    grid: usize,
    /// The grid reaches from minus to plus this along each axis, m a step.
    #[arg(long, default_value_t = 0.075, value_name = "M")]
    half_width_m: f64,
    /// How many steps the same action is repeated.
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Folder for energy.csv and energy.png.
    #[arg(long, default_value = "energy")]
    out: PathBuf,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight energy`.
///
/// # Errors
/// When the model, an image or an option can't be used.
pub(crate) fn run(args: EnergyArgs) -> Result<()> {
    if !(1..=101).contains(&args.grid) || !(1..=16).contains(&args.repeat) {
        bail!("--grid goes from 1 to 101, --repeat from 1 to 16");
    }
    if !(args.half_width_m > 0.0 && args.half_width_m <= 1.0) {
        bail!(
            "--half-width-m is {}; give metres, up to 1",
            args.half_width_m
        );
    }
    let task = task(&args)?;
    let model = WorldModel::load(&model_dir(&args)?)?;
    let started = Instant::now();
    let latents = model.encode(&[&task.context, &task.goal])?;
    let [context, goal] = &latents[..] else {
        bail!("two images gave {} latents", latents.len());
    };
    let energy = model
        .energy(context, &task.pose, goal, Budget::default())
        .with_extrinsics(args.task.camera(&model)?);
    let landscape = Landscape::compute(&energy, args.grid, args.half_width_m, args.repeat)?;
    let seconds = started.elapsed().as_secs_f64();
    let Some((minimum_m, lowest)) = landscape.minimum() else {
        bail!("no energy is a number; check the model's weights");
    };

    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("can't create {}", args.out.display()))?;
    let csv = args.out.join("energy.csv");
    std::fs::write(&csv, as_csv(&landscape)).map_err(|e| RunError::write(&csv, e))?;
    let png = args.out.join("energy.png");
    let true_m = task.true_action.map(|action| action.translation_m);
    let marks = Marks { minimum_m, true_m };
    landscape::picture(&landscape, &marks)
        .save(&png)
        .map_err(|e| RunError::write(&png, e))?;

    let standing = context.distance(goal);
    let notes = notes(
        &landscape,
        minimum_m,
        model.config().action_space.max_translation_m,
    );
    if args.json {
        let object = json!({
            "minimum_m": minimum_m,
            "lowest_energy": lowest,
            "distance_of_the_images": standing,
            "true_translation_m": true_m,
            "energies": landscape.energies,
            "grid": landscape.side,
            "half_width_m": landscape.half_width_m,
            "repeat": args.repeat,
            "seconds": seconds,
            "notes": notes,
            "csv": csv,
            "png": png,
        });
        println!("{object}");
        return Ok(());
    }
    let cm = |v: [f64; 3]| v.map(|v| format!("{:+.1}", 100.0 * v)).join(" ");
    println!("distance of the images' latents: {standing:.4}");
    println!("lowest energy {lowest:.4} at Δ {} cm", cm(minimum_m));
    if let Some(true_m) = true_m {
        let remark = if landscape::is_outside(&landscape, true_m) {
            "; outside the grid, --half-width-m makes it larger"
        } else {
            ""
        };
        println!("true translation Δ {} cm{remark}", cm(true_m));
    }
    for note in &notes {
        println!("note: {note}");
    }
    println!(
        "{} energies in {seconds:.1} s; see {} and {}",
        landscape.energies.len(),
        png.display(),
        csv.display()
    );
    Ok(())
}

/// What must be known to read a landscape right: that its lowest energy may lie elsewhere, and
/// what the model never learnt.
fn notes(landscape: &Landscape, minimum_m: [f64; 3], box_m: f64) -> Vec<String> {
    let mut notes = Vec::new();
    let edges = landscape.edges(minimum_m);
    let width_m = landscape.half_width_m;
    if !edges.is_empty() {
        // Beyond the model's box nothing would be learnt from a larger grid.
        let more = match width_m < box_m {
            true => format!("give a larger --half-width-m than {width_m}"),
            false => "one action doesn't reach it: several do, as a plan of more steps".into(),
        };
        let edges = edges.join(" and ");
        notes.push(format!(
            "the lowest energy lies on the grid's edge along {edges}: a lower one may lie beyond; {more}"
        ));
    }
    if width_m > box_m {
        notes.push(format!(
            "the grid reaches to {width_m} m a step, beyond the {box_m} m along an axis that the model was trained with: energies there mean little; give --half-width-m {box_m}"
        ));
    }
    notes
}

fn model_dir(args: &EnergyArgs) -> Result<PathBuf> {
    if let Some(model) = &args.model {
        return Ok(model.clone());
    }
    let run = args.run.as_deref().context("give --model")?;
    let loaded = LoadedScenario::read(&run.join("scenario.resolved.toml"))?;
    Ok(loaded.model_dir()?)
}

fn task(args: &EnergyArgs) -> Result<Task> {
    if let (Some(run), Some(step)) = (&args.run, args.step) {
        return of_run(run, step);
    }
    args.task.read(args.reverse)
}

fn of_run(run: &std::path::Path, step: usize) -> Result<Task> {
    let data = RunData::read(run).map_err(anyhow::Error::msg)?;
    let count = data.steps.len();
    let Some(at) = step.checked_sub(1).filter(|at| *at < count) else {
        bail!("--step {step}: the run has the steps 1 to {count}");
    };
    let trace = &data.steps[at];
    let context = data.frames.get(at).cloned().flatten();
    let goals = RunData::model_goals(run);
    let (Some(context), Some(goal)) = (context, goals.get(trace.subgoal_index)) else {
        bail!(
            "{} lacks the frame or the goal of step {step}",
            run.display()
        );
    };
    Ok(Task {
        context,
        goal: goal.clone(),
        pose: Pose::from_array(trace.pose),
        true_action: Some(Action::from_array(trace.planned_action())),
    })
}

fn as_csv(landscape: &Landscape) -> String {
    let mut text = String::from("dx_m,dy_m,dz_m,energy\n");
    for (i, energy) in landscape.energies.iter().enumerate() {
        let [x, y, z] = landscape.translation_m(i);
        text += &format!("{x},{y},{z},{energy}\n");
    }
    text
}

#[cfg(test)]
#[path = "../tests/unit/energy.rs"]
mod tests;

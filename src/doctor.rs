//! `foresight doctor`: is everything there, and does it fit together?

use std::path::{Path, PathBuf};

use anyhow::{anyhow, Result};
use clap::Args;
use foresight_planner::Component;
use foresight_robot::doctor::{examine, Bounds, Check, Examination, Grade, NodeLimits};
use foresight_scenarios::{LoadedScenario, ModelSource};

use crate::connection::Connection;

/// Arguments of `foresight doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    connection: Connection,
    /// franka-node's configuration file, for its limits; its defaults when absent.
    #[arg(long, value_name = "FILE")]
    node_config: Option<PathBuf>,
    /// One JSON array on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight doctor`; `false` when a check failed.
///
/// # Errors
/// When a file given can't be used.
pub(crate) fn run(args: &DoctorArgs) -> Result<bool> {
    let (arm, loaded) = args.connection.resolve()?;
    let node = match &args.node_config {
        Some(file) => NodeLimits::read(file, &arm.arm),
        None => NodeLimits::defaults(),
    };
    let examination = Examination {
        envelope: loaded.as_ref().map(|l| l.scenario.safety),
        bounds: loaded.as_ref().map(bounds),
        node: node.map_err(|e| anyhow!(e))?,
        arm,
    };
    let mut checks = examine(&examination);
    if let Some(loaded) = &loaded {
        checks.push(model(&loaded.path(&loaded.scenario.model.dir)));
        checks.push(goals(loaded));
    }
    if args.json {
        println!("{}", serde_json::to_string(&checks)?);
    } else {
        for check in &checks {
            println!("{:4}  {:14}  {}", check.grade, check.name, check.found);
            if !check.remedy.is_empty() {
                println!("{:22}→ {}", "", check.remedy);
            }
        }
        let count = |grade| checks.iter().filter(|c| c.grade == grade).count();
        println!(
            "{} pass, {} warn, {} fail",
            count(Grade::Pass),
            count(Grade::Warn),
            count(Grade::Fail)
        );
    }
    Ok(checks.iter().all(|c| c.grade != Grade::Fail))
}

/// What the scenario's planner may ask for.
fn bounds(loaded: &LoadedScenario) -> Bounds {
    let space = loaded.scenario.planner.cem().space;
    let largest = |components: &[Component]| {
        let searched = space.dimensions.iter();
        searched
            .filter(|d| components.contains(&d.component))
            .fold(0.0_f64, |m, d| m.max(d.bound))
    };
    Bounds {
        translation_m: largest(&Component::ALL[..3]),
        rotation_rad: largest(&Component::ALL[3..6]),
    }
}

fn model(dir: &Path) -> Check {
    match ModelSource::model(dir) {
        Ok(source) => Check::pass("model", source.describe()),
        Err(error) => Check::fail(
            "model",
            error.to_string(),
            "`foresight model verify DIR` says what is missing; correct model.dir in the scenario",
        ),
    }
}

fn goals(loaded: &LoadedScenario) -> Check {
    let subgoals = &loaded.scenario.subgoal;
    let missing: Vec<String> = subgoals
        .iter()
        .filter_map(|goal| goal.image.as_deref())
        .map(|image| loaded.path(image))
        .filter(|path| image::image_dimensions(path).is_err())
        .map(|path| path.display().to_string())
        .collect();
    if missing.is_empty() {
        return Check::pass("goal images", format!("{} sub-goals", subgoals.len()));
    }
    Check::fail(
        "goal images",
        format!("can't read {}", missing.join(", ")),
        "take them with `foresight robot goal capture`",
    )
}

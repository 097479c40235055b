//! `foresight doctor`: is everything there, and does it fit together?

use std::path::PathBuf;

use anyhow::{anyhow, Result};
use clap::Args;
use foresight_planner::Component;
use foresight_robot::doctor::{
    examine, Bounds, CameraLatency, Check, Examination, Grade, NodeLimits,
};
use foresight_robot::streamer::STREAM_HZ;
use foresight_scenarios::decision_latency::decision_latency;
use foresight_scenarios::{LoadedScenario, ModelSource, RunError};

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
    let (mut checks, camera) = examine(&examination);
    if let Some(loaded) = &loaded {
        let source = source(loaded);
        checks.push(model(&source));
        checks.push(goals(loaded));
        if let (Some(camera), Ok(source)) = (&camera, &source) {
            checks.push(latency(camera, loaded, source));
        }
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

fn source(loaded: &LoadedScenario) -> Result<ModelSource, RunError> {
    let model = &loaded.scenario.model;
    let (device, precision) = (model.device, model.precision);
    ModelSource::model_on(&loaded.path(&model.dir), device, precision)?.with_levels(
        &loaded.scenario.planner,
        None,
        device,
        precision,
    )
}

/// From a picture's capture to the first target planned on it, step by step, and how many actions a
/// second that allows.
fn latency(camera: &CameraLatency, loaded: &LoadedScenario, source: &ModelSource) -> Check {
    let decision = match decision_latency(loaded, source, &camera.look) {
        Ok(decision) => decision,
        Err(error) => {
            let remedy = "mend the goal images or the model; the latency is not known before";
            return Check::warn("latency", error.to_string(), remedy);
        }
    };
    let target_s = 1.0 / STREAM_HZ;
    let decided_s = decision.encode_s + decision.plan_s + target_s;
    // A picture is on average half a period old when it is wanted, and a whole one at worst.
    let seen_s = camera.slowest_s.max(0.0) + camera.period_s;
    let found = format!(
        "capture → frame {:.0} ms (slowest {:.0}, one every {:.0}), encode {:.0}, plan {:.0}, target {:.0}: \
         up to {:.0} ms from a picture to its action, {:.1} actions/s in continuous motion; motion is \
         not measured, nothing moves here (plan.jsonl of a run has it)",
        camera.age_s * 1e3,
        camera.slowest_s * 1e3,
        camera.period_s * 1e3,
        decision.encode_s * 1e3,
        decision.plan_s * 1e3,
        target_s * 1e3,
        (seen_s + decided_s) * 1e3,
        1.0 / decided_s,
    );
    let braking_s = loaded.scenario.safety.speed_m_s / loaded.scenario.safety.acceleration_m_s2;
    let remedy = if decided_s > braking_s {
        "decisions take longer than braking: short actions will stop between; plan with fewer samples, or on a faster machine"
    } else if seen_s > decided_s + braking_s {
        "pictures are older than what is planned on them takes; look for a slow network or raise fps"
    } else {
        return Check::pass("latency", found);
    };
    Check::warn("latency", found, remedy)
}

fn model(source: &Result<ModelSource, RunError>) -> Check {
    match source {
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

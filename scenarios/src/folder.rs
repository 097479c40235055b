//! The run folder: everything needed to understand and repeat a run.
//!
//! `plan.jsonl` has a line per step, `frames/` what the camera saw, `goals/` the goal images,
//! `episode.gif` both side by side, `scenario.resolved.toml` the scenario with its seed and the
//! versions, `scene.json` the simulated scene, `result.json` the verdict.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::Serialize;
use serde_json::json;

use crate::animation;
use crate::calendar::UtcTime;
use crate::episode::{EpisodeOutcome, EpisodeStep};
use crate::instance::Instance;
use crate::run::RunError;
use crate::world::{picture, WorldSource};

/// A run folder being written.
pub struct RunFolder {
    path: PathBuf,
    plan: BufWriter<File>,
    names: Vec<String>,
    goals: Vec<RgbImage>,
    panels: Vec<RgbImage>,
}

impl RunFolder {
    /// Creates `<root>/<time>-<scenario>-<seed>` and writes what is known before the first step.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn create(
        root: &Path,
        instance: &Instance,
        source: &WorldSource,
        goals: &[RgbImage],
    ) -> Result<Self, RunError> {
        let scenario = &instance.loaded.scenario;
        let name = format!("{}-{}-{}", timestamp(), scenario.name, instance.seed);
        let path = fresh(root, &name);
        for folder in ["frames", "goals"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(|e| RunError::write(&folder, e))?;
        }
        for (i, (goal, image)) in scenario.subgoal.iter().zip(goals).enumerate() {
            save(
                image,
                &path.join(format!("goals/{i}-{}.png", file_name(&goal.name))),
            )?;
        }
        let resolved = path.join("scenario.resolved.toml");
        let text = resolved_text(instance, source);
        fs::write(&resolved, text).map_err(|e| RunError::write(&resolved, e))?;
        if let Some(scene) = &instance.scene {
            write_json(&path.join("scene.json"), scene)?;
        }
        let plan = path.join("plan.jsonl");
        let file = File::create(&plan).map_err(|e| RunError::write(&plan, e))?;
        Ok(RunFolder {
            path,
            plan: BufWriter::new(file),
            names: scenario.subgoal.iter().map(|g| g.name.clone()).collect(),
            goals: goals.to_vec(),
            panels: Vec::new(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one step: its line and its frame.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn step(&mut self, step: &EpisodeStep<'_>) -> Result<(), RunError> {
        let line = self.line(step);
        let written = writeln!(self.plan, "{line}").and_then(|()| self.plan.flush());
        written.map_err(|e| RunError::write(&self.path.join("plan.jsonl"), e))?;
        if let Some(frame) = picture(step.observation) {
            save(
                &frame,
                &self.path.join(format!("frames/{:04}.png", step.number)),
            )?;
            let seen = step.execution.view.as_ref().unwrap_or(&frame);
            self.panels
                .push(animation::panel(seen, &self.goals[step.goal]));
        }
        Ok(())
    }

    fn line(&self, step: &EpisodeStep<'_>) -> serde_json::Value {
        let executed = &step.execution.execution;
        json!({
            "step": step.number,
            "subgoal": self.names[step.goal],
            "subgoal_index": step.goal,
            "subgoal_step": step.goal_step,
            "pose": step.pose.to_array(),
            "settled": step.observation.settled,
            "arm_time_s": step.observation.arm_time_s,
            "frame_captured_ns": step.observation.frame.captured_ns,
            "pose_age_ms": step.observation.pose_age_ms,
            "distance": step.distance,
            "plan": {
                "actions": step.plan.actions.iter().map(|a| a.to_array()).collect::<Vec<_>>(),
                "energy": step.plan.energy(),
                "evaluations": step.plan.evaluations,
                "iterations": step.plan.iterations,
            },
            "action": executed.requested.to_array(),
            "sent": executed.sent.to_array(),
            "adjustments": executed.changed,
            "refusal": executed.refusal,
            "commanded_pose": executed.commanded_pose.to_array(),
            "reached_pose": executed.reached_pose.to_array(),
            "error_m": executed.error_m,
            "arm_settled": executed.settled,
            "refused_targets": executed.refused,
            "seconds": {
                "observe": step.observe_seconds,
                "plan": step.plan_seconds,
                "execute": step.execute_seconds,
                "arm": executed.seconds,
                "arm_settle": executed.settle_seconds,
            },
            "truth": step.execution.truth,
        })
    }

    /// Writes the last frame, the animation and the verdict.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn finish(
        mut self,
        outcome: &EpisodeOutcome,
        view: Option<RgbImage>,
        result: &impl Serialize,
    ) -> Result<PathBuf, RunError> {
        if let Some(frame) = picture(&outcome.last) {
            save(
                &frame,
                &self.path.join(format!("frames/{:04}.png", outcome.steps)),
            )?;
            if let Some(goal) = self.goals.last() {
                self.panels
                    .push(animation::panel(view.as_ref().unwrap_or(&frame), goal));
            }
        }
        let gif = self.path.join("episode.gif");
        if !self.panels.is_empty() {
            animation::write_gif(&gif, &self.panels)
                .map_err(|e| RunError::write(&gif, std::io::Error::other(e)))?;
        }
        let full = json!({
            "result": result,
            "failure": outcome.verdict.failure,
            "evaluations": outcome.evaluations,
            "last_pose": outcome.last.pose.to_array(),
            "last_distance": outcome.last_distance,
            "truth": outcome.truth,
        });
        write_json(&self.path.join("result.json"), &full)?;
        Ok(self.path)
    }
}

/// The scenario with this run's seed and absolute paths, readable as a scenario again.
fn resolved_text(instance: &Instance, source: &WorldSource) -> String {
    let mut scenario = instance.loaded.scenario.clone();
    scenario.seed = instance.seed;
    let absolute = |path: &Path| {
        let path = instance.loaded.path(path);
        path.canonicalize().unwrap_or(path)
    };
    scenario.model.dir = match source {
        WorldSource::Model { dir, .. }
        | WorldSource::Dynamics { dir, .. }
        | WorldSource::Policy { dir, .. } => dir.canonicalize().unwrap_or_else(|_| dir.clone()),
        WorldSource::Oracle => absolute(&scenario.model.dir),
    };
    if scenario.robot.franka.is_some() {
        scenario.robot.franka = Some(crate::cell::franka(&instance.loaded));
    }
    for goal in &mut scenario.subgoal {
        goal.image = goal.image.as_deref().map(absolute);
    }
    let body = toml::to_string(&scenario)
        .unwrap_or_else(|e| format!("# this scenario can't be written as TOML: {e}\n"));
    format!(
        "# Resolved by foresight {}, seed {}, from {}\n# Imagination: {}\n\n{body}",
        env!("CARGO_PKG_VERSION"),
        instance.seed,
        instance.loaded.file.display(),
        source.describe()
    )
}

fn save(image: &RgbImage, path: &Path) -> Result<(), RunError> {
    image
        .save(path)
        .map_err(|e| RunError::write(path, std::io::Error::other(e)))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| RunError::write(path, std::io::Error::other(e)))?;
    fs::write(path, text + "\n").map_err(|e| RunError::write(path, e))
}

/// A folder of this name that doesn't exist yet.
fn fresh(root: &Path, name: &str) -> PathBuf {
    let first = root.join(name);
    if !first.exists() {
        return first;
    }
    let numbered = (2..).map(|i| root.join(format!("{name}-{i}")));
    numbered
        .into_iter()
        .find(|path| !path.exists())
        .unwrap_or(first)
}

fn file_name(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(keep).collect()
}

/// Now, UTC, as `YYYYMMDD-HHMMSS`.
fn timestamp() -> String {
    let t = UtcTime::now();
    format!(
        "{:04}{:02}{:02}-{:02}{:02}{:02}",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

//! The run folder: everything needed to understand and repeat a run.
//!
//! | file | content |
//! |---|---|
//! | `report.html` | all of it to look at, offline |
//! | `plan.jsonl` | a line per step, [`crate::trace::StepTrace`] |
//! | `trajectory.csv` | poses and actions with all their bits, [`crate::poses::PoseTable`] |
//! | `frames/` | what the camera saw before each step and after the last |
//! | `views/` | the same moments in larger pictures, from the simulator |
//! | `goals/` | the goal images |
//! | `imagined/` | the frame each predicted latent was recognised as |
//! | `hindsight.json` | predicted against reached, [`crate::hindsight::Hindsight`] |
//! | `episode.gif` | camera and goal side by side |
//! | `scenario.resolved.toml` | the scenario with its seed and versions |
//! | `scene.json` | the simulated scene |
//! | `result.json` | the verdict |

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use foresight_planner::{Action, Pose};
use image::codecs::jpeg::JpegEncoder;
use image::RgbImage;
use serde::Serialize;
use serde_json::json;

use crate::animation;
use crate::calendar::UtcTime;
use crate::controllers::{LoadedModel, ModelSource};
use crate::episode::{EpisodeOutcome, EpisodeStep};
use crate::episode_spec::EpisodeSpec;
use crate::gallery::Gallery;
use crate::hindsight::{self, Depth};
use crate::poses::PoseTable;
use crate::report;
use crate::run::RunError;
use crate::trace::StepTrace;

/// JPEG quality of the larger pictures.
const VIEW_QUALITY: u8 = 88;

/// A run folder being written.
pub struct RunFolder {
    path: PathBuf,
    plan: BufWriter<File>,
    names: Vec<String>,
    goals: Vec<RgbImage>,
    seen_goals: Vec<RgbImage>,
    panels: Vec<RgbImage>,
    view: Option<RgbImage>,
    frames: Vec<RgbImage>,
    steps: Vec<StepTrace>,
    last: Option<(Pose, f64)>,
}

/// How much is computed about a run after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindsight {
    /// What was predicted and what came.
    Brief,
    /// Also the energy around each decision and the frames imagined latents are recognised as,
    /// when the model is small enough.
    Full,
}

impl RunFolder {
    /// A name for a new run folder: `<root>/<time>-<scenario>-<seed>`.
    pub fn fresh_path(root: &Path, instance: &EpisodeSpec) -> PathBuf {
        let scenario = &instance.loaded.scenario;
        let name = format!("{}-{}-{}", timestamp(), scenario.name, instance.seed);
        fresh(root, &name)
    }

    /// Creates the folder and writes what is known before the first step.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn create(
        path: PathBuf,
        instance: &EpisodeSpec,
        source: &ModelSource,
        goals: &[RgbImage],
    ) -> Result<Self, RunError> {
        let scenario = &instance.loaded.scenario;
        for folder in ["frames", "goals"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(|e| RunError::write(&folder, e))?;
        }
        let views = instance.goal_views(animation::PANEL_PX);
        let mut seen_goals = Vec::new();
        for (i, (goal, image)) in scenario.subgoal.iter().zip(goals).enumerate() {
            let name = path.join(format!("goals/{i}-{}.png", file_name(&goal.name)));
            save(image, &name)?;
            let view = views.get(i).cloned().flatten();
            if let Some(view) = &view {
                save_jpeg(view, &name.with_extension("jpg"))?;
            }
            seen_goals.push(view.unwrap_or_else(|| image.clone()));
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
            seen_goals,
            panels: Vec::new(),
            view: None,
            frames: Vec::new(),
            steps: Vec::new(),
            last: None,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Steps written so far.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Takes the larger picture of the moment before the next step.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn view(&mut self, view: Option<RgbImage>) -> Result<(), RunError> {
        if let Some(view) = &view {
            let name = format!("views/{:04}.jpg", self.steps.len());
            save_jpeg(view, &self.path.join(name))?;
        }
        self.view = view;
        Ok(())
    }

    /// Writes one step: its line and its frame.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn step(&mut self, step: &EpisodeStep<'_>) -> Result<(), RunError> {
        let trace = StepTrace::new(step, &self.names[step.goal]);
        let written = serde_json::to_string(&trace)
            .map_err(std::io::Error::other)
            .and_then(|line| writeln!(self.plan, "{line}"))
            .and_then(|()| self.plan.flush());
        written.map_err(|e| RunError::write(&self.path.join("plan.jsonl"), e))?;
        let frame = &step.observation.frame.image;
        save(
            frame,
            &self.path.join(format!("frames/{:04}.png", step.number)),
        )?;
        let seen = self.view.as_ref().unwrap_or(frame);
        self.panels
            .push(animation::panel(seen, &self.seen_goals[step.goal]));
        self.frames.push(frame.clone());
        let executed = &step.execution.execution;
        let time_s = step.observation.arm_time_s + executed.seconds;
        self.last = Some((executed.reached_pose, time_s));
        self.steps.push(trace);
        self.view(step.execution.view.clone())
    }

    /// Writes the last frame, the animation, the trajectory, the hindsight, the verdict and the
    /// report.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn finish(
        mut self,
        outcome: &EpisodeOutcome,
        result: &impl Serialize,
        instance: &EpisodeSpec,
        source: &ModelSource,
        hindsight: Hindsight,
        virtual_time: bool,
    ) -> Result<PathBuf, RunError> {
        let frame = &outcome.last.frame.image;
        let name = format!("frames/{:04}.png", outcome.steps);
        save(frame, &self.path.join(name))?;
        if let Some(goal) = self.seen_goals.last() {
            let seen = self.view.as_ref().unwrap_or(frame);
            self.panels.push(animation::panel(seen, goal));
        }
        self.frames.push(frame.clone());
        self.last = Some((outcome.last.pose, outcome.last.arm_time_s));
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
            "last_joints_rad": outcome.last.joints_rad,
            "last_distance": outcome.last_distance,
            "truth": outcome.truth,
            "imagination": source.describe(),
            "virtual_time": virtual_time,
            "time": calendar_text(),
            "program_version": env!("CARGO_PKG_VERSION"),
        });
        self.look_back(instance, source, hindsight)?;
        self.close(&full)
    }

    /// Writes what there is of a run that an error ended.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn abandon(self, why: &str, instance: &EpisodeSpec) -> Result<PathBuf, RunError> {
        let full = json!({
            "result": {
                "scenario": instance.loaded.scenario.name,
                "seed": instance.seed,
                "success": false,
                "reason": format!("ended by an error: {why}"),
                "steps": self.steps.len(),
            },
            "failure": "aborted",
            "time": calendar_text(),
            "program_version": env!("CARGO_PKG_VERSION"),
        });
        self.close(&full)
    }

    fn close(mut self, result: &serde_json::Value) -> Result<PathBuf, RunError> {
        let csv = self.path.join("trajectory.csv");
        let text = self.trajectory().to_csv();
        fs::write(&csv, text).map_err(|e| RunError::write(&csv, e))?;
        write_json(&self.path.join("result.json"), result)?;
        let flushed = self.plan.flush();
        flushed.map_err(|e| RunError::write(&self.path.join("plan.jsonl"), e))?;
        report::write(&self.path)?;
        Ok(self.path)
    }

    /// Poses before each step and after the last one.
    fn trajectory(&self) -> PoseTable {
        let poses = self.steps.iter().map(|s| Pose::from_array(s.pose));
        let times = self.steps.iter().map(|s| s.arm_time_s);
        PoseTable {
            poses: poses.chain(self.last.map(|l| l.0)).collect(),
            time_s: times.chain(self.last.map(|l| l.1)).collect(),
            actions: self
                .steps
                .iter()
                .map(|s| Action::from_array(s.action))
                .collect(),
        }
    }

    fn look_back(
        &self,
        instance: &EpisodeSpec,
        source: &ModelSource,
        how: Hindsight,
    ) -> Result<(), RunError> {
        let Some(model) = source.predicting() else {
            return Ok(());
        };
        let full = how == Hindsight::Full && hindsight::is_light(model);
        let path_m: Vec<[f64; 3]> = self.steps.iter().map(|s| s.reached_pose).map(xyz).collect();
        let gallery = if full {
            Gallery::posed(model, instance, &path_m)?
        } else {
            None
        };
        let depth = Depth {
            gallery: gallery.as_ref().filter(|g| !g.is_empty()),
            planes: full,
            weighting: instance.loaded.scenario.goal_weighting(),
            room: instance.loaded.scenario.workspace_bounds(),
        };
        let (seen, recognised) =
            hindsight::look_back(model, &self.steps, &self.frames, &self.goals, depth)?;
        write_hindsight(&self.path, &seen, &recognised)
    }
}

fn xyz(pose: [f64; 7]) -> [f64; 3] {
    [pose[0], pose[1], pose[2]]
}

/// Writes `hindsight.json` and `imagined/` into a run folder, replacing older ones.
///
/// # Errors
/// [`RunError::Write`] when the disk refuses.
pub fn write_hindsight(
    run: &Path,
    hindsight: &hindsight::Hindsight,
    recognised: &[RgbImage],
) -> Result<(), RunError> {
    write_json(&run.join("hindsight.json"), hindsight)?;
    for (step, image) in hindsight.steps.iter().zip(recognised) {
        save(image, &run.join(format!("imagined/{:04}.png", step.step)))?;
    }
    Ok(())
}

/// The scenario with this run's seed and absolute paths, readable as a scenario again.
fn resolved_text(instance: &EpisodeSpec, source: &ModelSource) -> String {
    let mut scenario = instance.loaded.scenario.clone();
    scenario.seed = instance.seed;
    let absolute = |path: &Path| {
        let path = instance.loaded.path(path);
        path.canonicalize().unwrap_or(path)
    };
    scenario.model.dir = match source.eyes() {
        Some(LoadedModel { dir, .. }) => dir.canonicalize().unwrap_or_else(|_| dir.clone()),
        None => absolute(&scenario.model.dir),
    };
    if scenario.robot.franka.is_some() {
        scenario.robot.franka = Some(crate::env::franka(&instance.loaded));
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
    make_parent(path)?;
    image
        .save(path)
        .map_err(|e| RunError::write(path, std::io::Error::other(e)))
}

fn save_jpeg(image: &RgbImage, path: &Path) -> Result<(), RunError> {
    make_parent(path)?;
    let file = File::create(path).map_err(|e| RunError::write(path, e))?;
    let mut writer = BufWriter::new(file);
    JpegEncoder::new_with_quality(&mut writer, VIEW_QUALITY)
        .encode_image(image)
        .map_err(|e| RunError::write(path, std::io::Error::other(e)))?;
    writer.flush().map_err(|e| RunError::write(path, e))
}

fn make_parent(path: &Path) -> Result<(), RunError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|e| RunError::write(parent, e)),
        None => Ok(()),
    }
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

/// Now, UTC, for people.
fn calendar_text() -> String {
    let t = UtcTime::now();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

//! The run folder: everything needed to understand and repeat a run.
//!
//! | file | content |
//! |---|---|
//! | `report.html` | all of it to look at, offline |
//! | `plan.jsonl` | a line per step, [`StepTrace`] |
//! | `trajectory.csv` | poses and actions with all their bits, [`PoseTable`] |
//! | `frames/` | what the camera saw before each step and after the last |
//! | `views/` | the same moments in larger pictures, from the simulator |
//! | `goals/` | the goal images |
//! | `imagined/` | the frame each predicted latent was recognised as |
//! | `hindsight.json` | predicted against reached, [`RunAnalysis`](crate::analysis_record::RunAnalysis) |
//! | `sentence.json` | what was said, and what the goal head made of it |
//! | `episode.gif` | camera and goal side by side |
//! | `scenario.resolved.toml` | the scenario with its seed and versions |
//! | `scene.json` | the simulated scene |
//! | `result.json` | what it came to, [`RunRecord`] |
//!
//! The report, the animation and the analysis are made from the folder afterwards, by others.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use foresight_planner::{Action, Pose};
use foresight_scenarios::controllers::LoadedModel;
use foresight_scenarios::episode::{EpisodeOutcome, EpisodeStep};
use foresight_scenarios::{EpisodeSpec, ModelSource, RunError};
use image::codecs::jpeg::JpegEncoder;
use image::RgbImage;
use serde::Serialize;

use crate::record::RunRecord;
use crate::trace::StepTrace;
use crate::trajectory_csv::PoseTable;
use crate::utc;

/// Width and height of the larger pictures, px.
pub const VIEW_PX: u32 = 192;
/// JPEG quality of the larger pictures.
const VIEW_QUALITY: u8 = 88;

/// A run folder being written.
pub struct RunFolder {
    path: PathBuf,
    plan: BufWriter<File>,
    names: Vec<String>,
    steps: Vec<StepTrace>,
    last: Option<(Pose, f64)>,
}

impl RunFolder {
    /// A name for a new run folder: `<root>/<time>-<scenario>-<seed>`.
    pub fn fresh_path(root: &Path, instance: &EpisodeSpec) -> PathBuf {
        let scenario = &instance.loaded.scenario;
        let name = format!("{}-{}-{}", utc::timestamp(), scenario.name, instance.seed);
        fresh(root, &name)
    }

    /// Creates the folder and writes what is known before the first step: the scenario, the
    /// scene, the goal images and, where there are any, larger pictures of them.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn create(
        path: PathBuf,
        instance: &EpisodeSpec,
        source: &ModelSource,
        goals: &[RgbImage],
        views: &[Option<RgbImage>],
    ) -> Result<Self, RunError> {
        let scenario = &instance.loaded.scenario;
        for folder in ["frames", "goals"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(|e| RunError::write(&folder, e))?;
        }
        for (i, (goal, image)) in scenario.subgoal.iter().zip(goals).enumerate() {
            let name = path.join(format!("goals/{i}-{}.png", file_name(&goal.name)));
            save(image, &name)?;
            if let Some(Some(view)) = views.get(i) {
                save_jpeg(view, &name.with_extension("jpg"))?;
            }
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
    pub fn view(&mut self, view: Option<&RgbImage>) -> Result<(), RunError> {
        let name = format!("views/{:04}.jpg", self.steps.len());
        view.map_or(Ok(()), |view| save_jpeg(view, &self.path.join(name)))
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
        let name = format!("frames/{:04}.png", step.number);
        save(&step.observation.frame.image, &self.path.join(name))?;
        let executed = &step.execution.execution;
        let time_s = step.observation.arm_time_s + executed.seconds;
        self.last = Some((executed.reached_pose, time_s));
        self.steps.push(trace);
        self.view(step.execution.view.as_ref())
    }

    /// Writes the last frame, the trajectory and the record.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn finish(mut self, outcome: &EpisodeOutcome, record: &RunRecord) -> Result<(), RunError> {
        let name = format!("frames/{:04}.png", outcome.steps);
        save(&outcome.last.frame.image, &self.path.join(name))?;
        self.last = Some((outcome.last.pose, outcome.last.arm_time_s));
        self.close(record)
    }

    /// Writes what there is of a run that an error ended.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn abandon(self, why: &str, instance: &EpisodeSpec) -> Result<(), RunError> {
        let record = RunRecord::abandoned(instance, &self.steps, why, &self.path);
        self.close(&record)
    }

    fn close(self, record: &RunRecord) -> Result<(), RunError> {
        let csv = self.path.join("trajectory.csv");
        let text = self.trajectory().to_csv();
        fs::write(&csv, text).map_err(|e| RunError::write(&csv, e))?;
        write_json(&self.path.join("result.json"), record)
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
        scenario.robot.franka = Some(instance.loaded.franka());
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

pub(crate) fn save(image: &RgbImage, path: &Path) -> Result<(), RunError> {
    make_parent(path)?;
    image.save(path).map_err(|e| RunError::write(path, e))
}

fn save_jpeg(image: &RgbImage, path: &Path) -> Result<(), RunError> {
    make_parent(path)?;
    let file = File::create(path).map_err(|e| RunError::write(path, e))?;
    let mut writer = BufWriter::new(file);
    JpegEncoder::new_with_quality(&mut writer, VIEW_QUALITY)
        .encode_image(image)
        .map_err(|e| RunError::write(path, e))?;
    writer.flush().map_err(|e| RunError::write(path, e))
}

fn make_parent(path: &Path) -> Result<(), RunError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|e| RunError::write(parent, e)),
        None => Ok(()),
    }
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| RunError::write(path, e))?;
    fs::write(path, text + "\n").map_err(|e| RunError::write(path, e))
}

/// The path of a folder of this name, or of the first `<name>-2`, `<name>-3`, … that isn't there
/// yet.
pub fn fresh(root: &Path, name: &str) -> PathBuf {
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

/// A name as part of a file's.
pub(crate) fn file_name(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(keep).collect()
}

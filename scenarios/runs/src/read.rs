//! A run folder as its report needs it. Whatever is missing is left out, not complained about.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::analysis_record::RunAnalysis;
use crate::record::RunRecord;
use crate::trace::{self, StepTrace};

/// What a run folder holds.
pub struct RunData {
    /// `result.json`; `None` when the run was interrupted before it could be written.
    pub record: Option<RunRecord>,
    /// Every step.
    pub steps: Vec<StepTrace>,
    /// What the camera saw before each step and after the last.
    pub frames: Vec<Option<RgbImage>>,
    /// The same moments larger, as JPEG files.
    pub views: Vec<Option<Vec<u8>>>,
    /// Goal images; the larger picture where there is one.
    pub goals: Vec<RgbImage>,
    /// The frame each predicted latent was recognised as, by step.
    pub imagined: Vec<Option<RgbImage>>,
    /// The frames that the waypoints of each step's plan were recognised as.
    pub waypoints: Vec<Vec<Option<RgbImage>>>,
    /// What the model sees looking back.
    pub analysis: Option<RunAnalysis>,
    /// `scenario.resolved.toml`.
    pub scenario: String,
    /// `scene.json`.
    pub scene: Option<foresight_sim::Scene>,
}

impl RunData {
    /// Reads a run folder.
    ///
    /// # Errors
    /// What is wrong with `plan.jsonl`, without which there is no run, or with `result.json`.
    pub fn read(run: &Path) -> Result<Self, String> {
        let steps = trace::read(&run.join("plan.jsonl"))?;
        let count = steps.len();
        let text = |name: &str| fs::read_to_string(run.join(name)).unwrap_or_default();
        let image = |path: PathBuf| image::open(path).ok().map(|i| i.to_rgb8());
        let numbered = |folder: &str, i: usize| image(run.join(format!("{folder}/{i:04}.png")));
        let analysis = RunAnalysis::read(&run.join("hindsight.json"));
        let waypoints = |i: usize| {
            let step = analysis.as_ref().and_then(|a| a.steps.get(i));
            let count = step.map_or(0, |step| step.waypoints.len());
            let of = |k: usize| image(run.join(format!("imagined/{i:04}-{k}.png")));
            (0..count).map(of).collect()
        };
        Ok(RunData {
            waypoints: (0..count).map(waypoints).collect(),
            record: RunRecord::read(run)?,
            frames: (0..=count).map(|i| numbered("frames", i)).collect(),
            views: (0..=count)
                .map(|i| fs::read(run.join(format!("views/{i:04}.jpg"))).ok())
                .collect(),
            imagined: (0..count).map(|i| numbered("imagined", i)).collect(),
            goals: goals(&run.join("goals")),
            analysis,
            scenario: text("scenario.resolved.toml"),
            scene: serde_json::from_str(&text("scene.json")).ok(),
            steps,
        })
    }

    /// The goal images at the model's own size, for looking back.
    pub fn model_goals(run: &Path) -> Vec<RgbImage> {
        listed(&run.join("goals"), ".png")
            .into_iter()
            .filter_map(|path| image::open(path).ok())
            .map(|i| i.to_rgb8())
            .collect()
    }
}

fn goals(folder: &Path) -> Vec<RgbImage> {
    listed(folder, ".png")
        .into_iter()
        .filter_map(|path| {
            let larger = path.with_extension("jpg");
            let path = if larger.exists() { larger } else { path };
            Some(image::open(path).ok()?.to_rgb8())
        })
        .collect()
}

fn listed(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().ends_with(ending))
        .collect();
    // By their number, so that 10 comes after 9.
    paths.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digits = name.chars().take_while(char::is_ascii_digit);
        digits.collect::<String>().parse::<usize>().ok()
    });
    paths
}

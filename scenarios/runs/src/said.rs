//! `sentence.json`: what was said, what the goal head made of it, and the frame of the run that each
//! goal latent is nearest to.

use std::fs;
use std::path::Path;

use foresight_predictor::{Latent, WorldModel};
use foresight_scenarios::controllers::sentences::SaidStage;
use foresight_scenarios::{EpisodeSpec, RunError};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::folder::file_name;

/// The file's name inside a run folder.
pub const FILE_NAME: &str = "sentence.json";

/// A stage of a sentence, looked back at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageLookedBack {
    /// The stage as it was pursued.
    #[serde(flatten)]
    pub said: SaidStage,
    /// The number of the frame whose latent is nearest to the goal's.
    pub nearest_frame: usize,
    /// How far it is, L1.
    pub distance: f32,
}

/// Writes the file, and the nearest frames in place of the goal images that sentences don't have.
/// `stages` are those pursued; nothing is written where nothing was said.
///
/// # Errors
/// [`RunError`] when the frames can't be encoded or the disk refuses.
pub fn write(
    run: &Path,
    spec: &EpisodeSpec,
    model: &WorldModel,
    stages: Vec<SaidStage>,
) -> Result<(), RunError> {
    if stages.is_empty() {
        return Ok(());
    }
    let frame = |i: usize| image::open(run.join(format!("frames/{i:04}.png"))).ok();
    let frames: Vec<RgbImage> = (0..).map_while(frame).map(|f| f.to_rgb8()).collect();
    let latents = model.encode(&frames.iter().collect::<Vec<_>>())?;
    let mut looked_back = Vec::new();
    for said in stages {
        let goal = Latent {
            values: said.latent.clone(),
            tokens: latents.first().map_or(0, |l| l.tokens),
        };
        let distances = latents.iter().map(|latent| latent.distance(&goal));
        let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((nearest_frame, distance)) = nearest else {
            break;
        };
        let name = &spec.loaded.scenario.subgoal[said.goal].name;
        let picture = run.join(format!("goals/{}-{}.png", said.goal, file_name(name)));
        let saved = frames[nearest_frame].save(&picture);
        saved.map_err(|e| RunError::write(&picture, e))?;
        looked_back.push(StageLookedBack {
            said,
            nearest_frame,
            distance,
        });
    }
    let file = run.join(FILE_NAME);
    let text = serde_json::to_string_pretty(&looked_back);
    let text = text.map_err(|e| RunError::write(&file, e))?;
    fs::write(&file, text + "\n").map_err(|e| RunError::write(&file, e))
}

/// What a run folder says was said; nothing where nothing was.
pub fn read(run: &Path) -> Vec<StageLookedBack> {
    let text = fs::read_to_string(run.join(FILE_NAME)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

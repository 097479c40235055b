//! An episode as an animated picture: what the camera saw beside the goal pursued.

use std::path::Path;

use foresight_runs::folder::VIEW_PX;
use foresight_scenarios::episode::{EpisodeOutcome, EpisodeStep};
use foresight_scenarios::RunError;
use image::imageops::{overlay, resize, FilterType};
use image::{Rgb, RgbImage};

use crate::gif;

/// Side of each of the two panels, px.
const PANEL_PX: u32 = VIEW_PX;
/// Space around the panels, px.
const MARGIN_PX: u32 = 6;
/// How long a step is shown, and the last one, ms.
const STEP_MS: u32 = 350;
const LAST_MS: u32 = 2500;

/// The animation of an episode that is being played.
pub(crate) struct Animation {
    goals: Vec<RgbImage>,
    view: Option<RgbImage>,
    panels: Vec<RgbImage>,
}

impl Animation {
    /// Begins with the goals' pictures, by sub-goal, and the larger picture of the scene as it
    /// is, if there is one.
    pub(crate) fn new(goals: Vec<RgbImage>, view: Option<RgbImage>) -> Self {
        Animation {
            goals,
            view,
            panels: Vec::new(),
        }
    }

    /// Takes what was seen before a step.
    pub(crate) fn step(&mut self, step: &EpisodeStep<'_>) {
        self.push(&step.observation.frame.image, step.goal);
        self.view.clone_from(&step.execution.view);
    }

    /// Takes what was seen at the end, and writes the GIF unless nothing was ever seen.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub(crate) fn finish(mut self, outcome: &EpisodeOutcome, path: &Path) -> Result<(), RunError> {
        self.push(
            &outcome.last.frame.image,
            self.goals.len().saturating_sub(1),
        );
        if self.panels.is_empty() {
            return Ok(());
        }
        let written = gif::write(path, self.panels, STEP_MS, LAST_MS);
        written.map_err(|e| RunError::write(path, e))
    }

    fn push(&mut self, frame: &RgbImage, goal: usize) {
        if let Some(goal) = self.goals.get(goal) {
            let seen = self.view.as_ref().unwrap_or(frame);
            self.panels.push(panel(seen, goal));
        }
    }
}

/// Camera and goal side by side.
fn panel(camera: &RgbImage, goal: &RgbImage) -> RgbImage {
    // Pictures of several cameras side by side keep their shape.
    let (width, height) = camera.dimensions();
    let panel_px = PANEL_PX * (width / height.max(1)).max(1);
    let width = 2 * panel_px + 3 * MARGIN_PX;
    let mut canvas = RgbImage::from_pixel(width, PANEL_PX + 2 * MARGIN_PX, Rgb([24, 24, 26]));
    for (i, image) in [camera, goal].into_iter().enumerate() {
        let side = resize(image, panel_px, PANEL_PX, FilterType::CatmullRom);
        let x = MARGIN_PX + i as u32 * (panel_px + MARGIN_PX);
        overlay(&mut canvas, &side, i64::from(x), i64::from(MARGIN_PX));
    }
    canvas
}

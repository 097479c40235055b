//! Frames to recognise imagined latents by: the model has no decoder, but it has an eye.
//!
//! A predicted latent can't be turned into a picture. The frame whose latent lies nearest to it
//! can be shown instead: what the model would have to see to see what it imagined. The frames
//! come from recorded episodes, or from the simulator posed all over the scene.

use std::path::Path;

use foresight_datasets::{layout, Episode};
use foresight_predictor::{Latent, WorldModel};
use foresight_sim::{goals, GoalState, Scene, Simulator};
use image::RgbImage;
use rayon::prelude::*;

use foresight_scenarios::EpisodeSpec;
use foresight_scenarios::RunError;

/// Distance of neighbouring hand positions in a posed gallery, m.
const SPACING_M: f64 = 0.03;
/// How far beyond the hand's path a posed gallery reaches, m.
const MARGIN_M: f64 = 0.05;
/// Most frames encoded; of more recorded ones, evenly spread ones are taken.
const MOST: usize = 4000;

/// Frames and their latents.
#[derive(Debug, Clone)]
pub struct NearestNeighbours {
    /// Where the frames come from, for reports.
    pub origin: String,
    images: Vec<RgbImage>,
    latents: Vec<Latent>,
}

impl NearestNeighbours {
    /// Encodes frames.
    ///
    /// # Errors
    /// [`RunError::Imagination`] when the model can't encode them.
    pub fn new(
        model: &WorldModel,
        origin: String,
        images: Vec<RgbImage>,
    ) -> Result<Self, RunError> {
        let batches: Vec<Result<Vec<Latent>, RunError>> = images
            .par_chunks(32)
            .map(|batch| {
                let batch: Vec<&RgbImage> = batch.iter().collect();
                let encoded = model.encode(&batch);
                encoded.map_err(|e| RunError::Imagination(e.to_string()))
            })
            .collect();
        let mut latents = Vec::with_capacity(images.len());
        for batch in batches {
            latents.extend(batch?);
        }
        Ok(NearestNeighbours {
            origin,
            images,
            latents,
        })
    }

    /// Every frame of the recorded episodes below a folder, thinned to what is bearable.
    ///
    /// # Errors
    /// [`RunError`] when the folder has no readable episode.
    pub fn recorded(model: &WorldModel, root: &Path) -> Result<Self, RunError> {
        let folders = layout::episode_folders(root).map_err(|e| RunError::Input(e.to_string()))?;
        let mut images = Vec::new();
        let mut episodes = 0;
        for folder in &folders {
            // Unreadable ones are `dataset validate`'s business.
            let Ok(episode) = Episode::read(folder, None) else {
                continue;
            };
            episodes += 1;
            images.extend(episode.frames.images());
        }
        if images.is_empty() {
            return Err(RunError::Input(format!(
                "{} has no episode with frames; record some with `foresight record`",
                root.display()
            )));
        }
        let stride = images.len().div_ceil(MOST);
        let images: Vec<RgbImage> = images.into_iter().step_by(stride).collect();
        let origin = format!(
            "{} frames of {episodes} recorded episodes in {}",
            images.len(),
            root.display()
        );
        NearestNeighbours::new(model, origin, images)
    }

    /// The instance's scene with the hand posed on a grid around `path_m`: open with the object
    /// where it stood, holding it, and open with the object on the target. `None` when nothing
    /// simulates the scene.
    ///
    /// # Errors
    /// [`RunError`] when the scene can't be simulated or encoded.
    pub fn posed(
        model: &WorldModel,
        instance: &EpisodeSpec,
        path_m: &[[f64; 3]],
    ) -> Result<Option<Self>, RunError> {
        let Some(scene) = &instance.scene else {
            return Ok(None);
        };
        let safety = &instance.loaded.scenario.safety;
        let camera = instance.loaded.scenario.camera;
        let states = states(scene, &grid(path_m, &safety.workspace, safety.floor_m()));
        let simulator = Simulator::new(scene)?;
        let images: Vec<RgbImage> = states
            .par_iter()
            .map_init(
                || simulator.clone(),
                |simulator, state| {
                    // What the arm can't reach needs no picture.
                    simulator.set_goal_state(state).ok()?;
                    Some(simulator.render(camera.width_px, camera.height_px))
                },
            )
            .flatten()
            .collect();
        let origin = format!(
            "{} pictures of this scene, the hand posed every {:.0} cm",
            images.len(),
            100.0 * SPACING_M
        );
        NearestNeighbours::new(model, origin, images).map(Some)
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The frame whose latent is nearest in L1, and how near.
    pub fn nearest(&self, latent: &Latent) -> Option<(&RgbImage, f32)> {
        let distances = self.latents.iter().map(|l| l.distance(latent));
        let (at, distance) = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((&self.images[at], distance))
    }
}

/// Points around a path, within the workspace.
fn grid(
    path_m: &[[f64; 3]],
    workspace: &foresight_robot::WorkspaceBox,
    floor_m: f64,
) -> Vec<[f64; 3]> {
    let axis = |i: usize| -> Vec<f64> {
        let along = || path_m.iter().map(|p| p[i]);
        let mut low = along().fold(f64::INFINITY, f64::min) - MARGIN_M;
        let mut high = along().fold(f64::NEG_INFINITY, f64::max) + MARGIN_M;
        low = low.max(workspace.min_m[i]);
        high = high.min(workspace.max_m[i]);
        if i == 2 {
            low = low.max(floor_m);
        }
        if !(low.is_finite() && high > low) {
            return Vec::new();
        }
        let cells = ((high - low) / SPACING_M).ceil().clamp(1.0, 40.0);
        (0..=cells as usize)
            .map(|k| low + (high - low) * k as f64 / cells)
            .collect()
    };
    let [xs, ys, zs] = [axis(0), axis(1), axis(2)];
    let mut points = Vec::new();
    for x in &xs {
        for y in &ys {
            points.extend(zs.iter().map(|z| [*x, *y, *z]));
        }
    }
    points
}

fn states(scene: &Scene, points: &[[f64; 3]]) -> Vec<GoalState> {
    let open = goals::at_object(scene);
    let held = goals::lifted(scene, 0.0);
    let placed = goals::placed(scene);
    let mut states = Vec::with_capacity(3 * points.len());
    for point in points {
        for (model, carried) in [(&open, false), (&held, true), (&placed, false)] {
            let mut state = model.clone();
            let by: [f64; 3] = std::array::from_fn(|i| point[i] - state.arm.position_m[i]);
            state.arm.position_m = *point;
            if let (true, Some(object)) = (carried, &mut state.object) {
                if by[2] < -1e-3 {
                    continue; // the object would be in the table
                }
                for (at, by) in object.position_m.iter_mut().zip(by) {
                    *at += by;
                }
            }
            states.push(state);
        }
    }
    states
}

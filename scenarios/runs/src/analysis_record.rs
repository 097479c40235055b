//! `hindsight.json`: what an analysis found, written and read here.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A run as the model sees it afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunAnalysis {
    /// The model's name.
    pub model: String,
    /// Where the frames come from that imagined latents are recognised by; empty without them.
    pub gallery: String,
    /// Every step.
    pub steps: Vec<StepAnalysis>,
}

/// One step; all distances are L1 between layer-normalised latents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepAnalysis {
    /// The step.
    pub step: u32,
    /// From what was seen before the action to the goal.
    pub seen_to_goal: f32,
    /// From what the model predicted for the executed action to the goal: what it hoped for.
    pub predicted_to_goal: f32,
    /// From what came to the goal.
    pub reached_to_goal: f32,
    /// From what was predicted to what came: how wrong it was.
    pub predicted_to_reached: f32,
    /// From what was seen before to what came: how wrong it would be to expect no change.
    pub seen_to_reached: f32,
    /// How wrong each token was, `[N]`: from what was predicted to what came; empty in older runs.
    #[serde(default)]
    pub surprise: Vec<f32>,
    /// Rows and columns of its map.
    #[serde(default)]
    pub surprise_grid: [usize; 2],
    /// Distance of the recognised frame to the predicted latent.
    pub nearest_distance: Option<f32>,
    /// Where the second level's plan leads, where this step begins to follow one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waypoints: Vec<WaypointAnalysis>,
    /// Energies over Δx (slowest) and Δy through the action; empty when not computed.
    pub plane_xy: Vec<f32>,
    /// The same over Δx and Δz.
    pub plane_xz: Vec<f32>,
    /// Points along each axis of the planes.
    pub plane_side: usize,
    /// The planes reach from minus to plus this, m.
    pub plane_half_width_m: f64,
}

/// A waypoint of the second level's plan; its recognised frame lies beside the step's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaypointAnalysis {
    /// The pose there, base frame: m, rad, closedness.
    pub pose: [f64; 7],
    /// From what is foreseen there to the goal.
    pub to_goal: f32,
    /// Distance of the recognised frame to what is foreseen.
    pub nearest_distance: Option<f32>,
}

impl RunAnalysis {
    /// Reads `hindsight.json`; `None` when it is missing or from another version.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}

//! Decisions to plan for, from the simulator: every sub-goal of a scenario, entered where the one
//! before it should have led.

use std::path::Path;

use anyhow::{anyhow, Result};
use foresight_planner::{Constraints, Pose};
use foresight_predictor::{Latent, WorldModel};
use foresight_scenarios::{EpisodeSpec, LoadedScenario};
use foresight_sim::Simulator;

/// One decision.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Seed of the scene.
    pub seed: u64,
    /// The sub-goal's name.
    pub goal_name: String,
    /// What is seen.
    pub context: Latent,
    /// What should be seen.
    pub goal: Latent,
    /// Where the hand is.
    pub pose: Pose,
    /// What the sub-goal and the workspace allow.
    pub constraints: Constraints,
}

/// `count` decisions in scenes `first_seed…`, the sub-goals taken in turn.
///
/// # Errors
/// When the scenario can't be used or isn't simulated, or a device fails.
pub fn decisions(
    scenario: &Path,
    model: &WorldModel,
    first_seed: u64,
    count: u64,
) -> Result<Vec<Decision>> {
    let loaded = LoadedScenario::read(scenario)?;
    (0..count)
        .map(|number| {
            let seed = first_seed + number;
            let instance = EpisodeSpec::new(&loaded, seed);
            let goals = instance.schedule();
            let index = number as usize % goals.len();
            let scene = instance
                .scene
                .as_ref()
                .ok_or_else(|| anyhow!("{}: not a simulated scenario", scenario.display()))?;
            let mut simulator = Simulator::new(scene)?;
            if let Some(Some(before)) = index.checked_sub(1).map(|i| &instance.goal_states[i]) {
                simulator.set_goal_state(before)?;
            }
            let camera = &loaded.scenario.camera;
            let seen = simulator.render(camera.width_px, camera.height_px);
            let images = instance.goal_images()?;
            let mut latents = model.encode(&[&seen, &images[index]])?;
            let (Some(goal), Some(context)) = (latents.pop(), latents.pop()) else {
                return Err(anyhow!("the encoder returned no latent"));
            };
            let pose = simulator.pose();
            let constraints = goals[index].gripper.constraints(0, goals[index].steps);
            let constraints = constraints.within(loaded.scenario.workspace_bounds(), &pose);
            Ok(Decision {
                seed,
                goal_name: goals[index].name.clone(),
                context,
                goal,
                pose,
                constraints,
            })
        })
        .collect()
}

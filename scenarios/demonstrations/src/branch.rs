//! Branches: which states of an episode are left, and by which actions.

use foresight_planner::Action;
use foresight_robot::VirtualArm;
use foresight_scenarios::demonstrations::{BranchConfig, DemonstrationConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::stage::{normal, DemonstratorView, ScriptGeometry};

/// From this distance of hand and object on, one action may bring them together, m.
const NEAR_M: f64 = 0.10;
/// What a state further away counts.
const FAR_WEIGHT: f64 = 0.05;
/// The stream of a seed's generator that chooses states; its branches' come after it. The scene has
/// drawn from stream 0, the demonstrator draws from stream 1.
const STREAM: u64 = 2;

/// A state that may be branched: the arm and its simulator as they were.
pub(crate) struct BranchPoint {
    key: f64,
    /// Its number in the episode.
    pub(crate) step: u32,
    /// A copy of everything.
    pub(crate) arm: VirtualArm,
    /// What the demonstrator saw.
    pub(crate) view: DemonstratorView,
}

/// Keeps some of an episode's states as it goes, near ones rather than far ones.
pub(crate) struct BranchPoints {
    most: usize,
    rng: ChaCha8Rng,
    kept: Vec<BranchPoint>,
}

impl BranchPoints {
    pub(crate) fn new(config: &BranchConfig, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STREAM);
        let chosen = config.per_state > 0 && rng.random::<f64>() < config.episode_share;
        BranchPoints {
            most: if chosen { config.states as usize } else { 0 },
            rng,
            kept: Vec::new(),
        }
    }

    /// Looks at the next state. Efraimidis and Spirakis: the largest `u^(1/weight)` are a weighted
    /// draw without replacement.
    pub(crate) fn offer(&mut self, step: usize, arm: &VirtualArm, view: &DemonstratorView) {
        if self.most == 0 {
            return;
        }
        let near = arm.simulator().truth().hand_distance_m < NEAR_M;
        let weight = if near { 1.0 } else { FAR_WEIGHT };
        let key = self.rng.random::<f64>().powf(1.0 / weight);
        let least = self.kept.iter().enumerate();
        let least = least.min_by(|(_, a), (_, b)| a.key.total_cmp(&b.key));
        let full = self.kept.len() == self.most;
        match least {
            Some((_, point)) if full && point.key >= key => return,
            Some((at, _)) if full => drop(self.kept.swap_remove(at)),
            _ => {}
        }
        self.kept.push(BranchPoint {
            key,
            step: step as u32,
            arm: arm.clone(),
            view: *view,
        });
    }

    /// The states to branch, in the episode's order.
    pub(crate) fn chosen(mut self) -> Vec<BranchPoint> {
        self.kept.sort_by_key(|point| point.step);
        self.kept
    }
}

/// The actions of branch `index` of a state: the first stays; of the others most go straight to a
/// point around the object, some straight anywhere, some anyhow.
pub(crate) fn actions(
    mix: &DemonstrationConfig,
    site: &ScriptGeometry,
    point: &BranchPoint,
    seed: u64,
    index: u32,
) -> Vec<Action> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(STREAM + 1 + (u64::from(point.step) << 8) + u64::from(index));
    let [least, largest] = mix.branches.actions;
    let count = rng.random_range(least..=largest) as usize;
    let bound = mix.max_step_m;
    let mut translations = vec![[0.0; 3]; count];
    match rng.random_range(0..10) {
        _ if index == 0 => {}
        0..=5 => {
            let height = if rng.random_bool(0.7) {
                site.grasp_height_m + rng.random_range(-0.005..0.03)
            } else {
                rng.random_range(site.grasp_height_m..site.hover_height_m)
            };
            let object = point.view.object_m;
            let to = [
                object[0] + normal(0.03, &mut rng),
                object[1] + normal(0.03, &mut rng),
                height,
            ];
            let here = point.view.pose.position_m;
            // At once, or by all actions.
            let actions = if rng.random_bool(0.5) { 1 } else { count };
            let step = std::array::from_fn(|i| (to[i] - here[i]) / actions as f64);
            translations.fill(within(step, bound));
        }
        6..=7 => translations.fill(any(&mut rng, bound)),
        _ => translations
            .iter_mut()
            .for_each(|translation| *translation = any(&mut rng, bound)),
    }
    let mut actions: Vec<Action> = translations
        .into_iter()
        .map(|translation_m| Action {
            translation_m,
            rotation_rad: [0.0; 3],
            gripper: 0.0,
        })
        .collect();
    if index > 0 && rng.random_bool(0.5) {
        let at = rng.random_range(0..count);
        let change = match rng.random_range(0..4) {
            0 => 1.0,
            1 => -1.0,
            _ => rng.random_range(-1.0..1.0),
        };
        actions[at].gripper = f64::clamp(change, -mix.max_gripper_step, mix.max_gripper_step);
    }
    actions
}

/// A translation, shortened to `bound` on its longest axis.
fn within(step: [f64; 3], bound: f64) -> [f64; 3] {
    let longest = step.iter().fold(bound, |most, d| d.abs().max(most));
    step.map(|d| d * bound / longest)
}

fn any(rng: &mut ChaCha8Rng, bound: f64) -> [f64; 3] {
    let scale = if rng.random_bool(0.5) { 1.0 } else { 0.4 };
    std::array::from_fn(|_| scale * rng.random_range(-bound..=bound))
}

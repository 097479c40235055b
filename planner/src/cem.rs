//! The cross-entropy method, with the choices of the released code.

use serde::{Deserialize, Serialize};

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::search::{lowest, ActionArrays, Iteration, Search, SearchMethod};
use crate::space::{Component, Constraints, SearchSpace};

/// How much of the old distribution an update keeps, each in `[0, 1)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Momentum {
    /// Share of the old mean.
    pub mean: f64,
    /// Share of the old standard deviation.
    pub std: f64,
}

/// Settings of the cross-entropy method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CemConfig {
    /// Candidates per iteration.
    pub samples: usize,
    /// Iterations, `cem_steps` of the released code.
    pub iterations: usize,
    /// Elites the distribution is refitted to.
    pub topk: usize,
    /// Planned steps, `rollout` of the released code.
    pub horizon: usize,
    /// For translations and rotations.
    pub momentum: Momentum,
    /// For the gripper.
    pub momentum_gripper: Momentum,
    /// What is searched.
    pub space: SearchSpace,
    /// A final gripper change smaller than this is rounded to 0.
    pub gripper_deadband: f64,
    /// Whether each iteration's first candidate is the mean itself. Not in the released code.
    pub mean_is_candidate: bool,
    /// How many of the last iteration's elites compete again. Not in the released code.
    pub keep_elites: usize,
}

impl CemConfig {
    /// The paper's planner: 800 samples, 10 refinements, top 10, one step ahead, ± 0.075 m per
    /// axis; one action is executed, then it plans again. The paper names no momenta: these are
    /// the released wrapper's.
    pub fn paper() -> Self {
        CemConfig {
            samples: 800,
            horizon: 1,
            space: SearchSpace::translation_and_gripper(0.075),
            ..CemConfig::notebook()
        }
    }

    /// The defaults of the released notebook's `WorldModel`: 400 samples, 10 refinements, top
    /// 10, two steps ahead, ± 0.05 m per axis.
    pub fn notebook() -> Self {
        let momentum = Momentum {
            mean: 0.15,
            std: 0.15,
        };
        CemConfig {
            samples: 400,
            iterations: 10,
            topk: 10,
            horizon: 2,
            momentum,
            momentum_gripper: momentum,
            space: SearchSpace::translation_and_gripper(0.05),
            gripper_deadband: 0.25,
            mean_is_candidate: false,
            keep_elites: 0,
        }
    }

    /// Checks counts and ranges.
    ///
    /// # Errors
    /// A sentence naming the setting and what it must be.
    pub fn validate(&self) -> Result<(), String> {
        let counts = [
            ("samples", self.samples, 1_000_000),
            ("iterations", self.iterations, 10_000),
            ("topk", self.topk, self.samples),
            ("horizon", self.horizon, 64),
        ];
        for (name, value, most) in counts {
            if value == 0 || value > most {
                return Err(format!("{name} is {value}; give a number in 1..={most}"));
            }
        }
        if self.keep_elites > self.topk {
            let (keep, topk) = (self.keep_elites, self.topk);
            return Err(format!(
                "keep_elites is {keep}; give a number in 0..={topk} (topk)"
            ));
        }
        for momentum in [self.momentum, self.momentum_gripper] {
            for value in [momentum.mean, momentum.std] {
                if !(0.0..1.0).contains(&value) {
                    return Err(format!("a momentum is {value}; give a number in [0, 1)"));
                }
            }
        }
        if !(0.0..=1.0).contains(&self.gripper_deadband) {
            let value = self.gripper_deadband;
            return Err(format!(
                "gripper_deadband is {value}; give a number in [0, 1]"
            ));
        }
        self.space.validate()
    }
}

impl SearchMethod for CemConfig {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        Box::new(Cem::new(self.clone(), constraints))
    }
}

/// The cross-entropy method for one decision.
///
/// Arithmetic is f32 as in the released code, so that the same noise leads to the same elites.
#[derive(Debug, Clone)]
pub struct Cem {
    config: CemConfig,
    constraints: Constraints,
    done: usize,
    mean: ActionArrays,
    std: ActionArrays,
    elites: Vec<ActionArrays>,
}

impl Cem {
    /// A search that has not begun yet.
    pub fn new(config: CemConfig, constraints: &Constraints) -> Self {
        let mut mean = [0.0; 7];
        let mut std = [0.0; 7];
        for d in &config.space.dimensions {
            std[d.component.index()] = d.std as f32;
        }
        for (m, fixed) in mean.iter_mut().zip(constraints.fixed) {
            *m = fixed.unwrap_or(*m);
        }
        Cem {
            mean: vec![mean; config.horizon],
            std: vec![std; config.horizon],
            done: 0,
            elites: Vec::new(),
            constraints: *constraints,
            config,
        }
    }

    /// One candidate action from one row of noise.
    fn candidate(&self, step: usize, noise: &[f32]) -> [f32; 7] {
        let mut action = [0.0; 7];
        for (d, z) in self.config.space.dimensions.iter().zip(noise) {
            let (i, bound) = (d.component.index(), d.bound_f32());
            action[i] = (z * self.std[step][i] + self.mean[step][i]).clamp(-bound, bound);
        }
        self.constrain(step, action)
    }

    fn constrain(&self, step: usize, mut action: [f32; 7]) -> [f32; 7] {
        for (a, fixed) in action.iter_mut().zip(self.constraints.fixed) {
            *a = fixed.unwrap_or(*a);
        }
        if self
            .constraints
            .close_gripper_from
            .is_some_and(|from| step >= from)
        {
            action[Component::Gripper.index()] = 1.0;
        }
        action
    }

    /// The mean, clipped and constrained like any candidate.
    fn mean_candidate(&self, step: usize) -> [f32; 7] {
        let nothing = vec![0.0; self.config.space.dimensions.len()];
        self.candidate(step, &nothing)
    }
}

impl Search for Cem {
    fn propose(&mut self, noise: &mut dyn Noise) -> Option<ActionSequences> {
        if self.done == self.config.iterations {
            return None;
        }
        let (samples, width) = (self.config.samples, self.config.space.dimensions.len());
        let mut candidates = ActionSequences::zeros(samples, self.config.horizon);
        let mut rows = vec![0.0; samples * width];
        for step in 0..self.config.horizon {
            noise.fill(&mut rows);
            for (sample, row) in rows.chunks_exact(width).enumerate() {
                let action = self.candidate(step, row);
                candidates.action_mut(sample, step).copy_from_slice(&action);
            }
            if self.config.mean_is_candidate {
                let mean = self.mean_candidate(step);
                candidates.action_mut(0, step).copy_from_slice(&mean);
            }
        }
        let kept = self.elites.iter().take(self.config.keep_elites).rev();
        for (elite, sample) in kept.zip((0..samples).rev()) {
            for (step, action) in elite.iter().enumerate() {
                candidates.action_mut(sample, step).copy_from_slice(action);
            }
        }
        Some(candidates)
    }

    fn update(&mut self, candidates: &ActionSequences, energies: &[f32]) -> Iteration {
        self.done += 1;
        let elites = lowest(energies, self.config.topk);
        for step in 0..self.config.horizon {
            for i in 0..7 {
                let values = elites
                    .iter()
                    .map(|&s| f64::from(candidates.action(s, step)[i]));
                let (mean, std) = mean_and_std(values);
                let momentum = if i == Component::Gripper.index() {
                    self.config.momentum_gripper
                } else {
                    self.config.momentum
                };
                let blend = |new: f64, old: f32, keep: f64| {
                    new as f32 * (1.0 - keep) as f32 + old * keep as f32
                };
                let (old_mean, old_std) = (self.mean[step][i], self.std[step][i]);
                self.mean[step][i] = blend(mean, old_mean, momentum.mean);
                // One elite has no spread to learn from: the search narrows as if it had none,
                // where the released code turns into NaN.
                self.std[step][i] = blend(std, old_std, momentum.std);
            }
        }
        let sequence = |s: usize| -> ActionArrays {
            let step = |h| std::array::from_fn(|i| candidates.action(s, h)[i]);
            (0..self.config.horizon).map(step).collect()
        };
        self.elites = elites.iter().map(|&s| sequence(s)).collect();
        Iteration {
            mean: self.mean.clone(),
            std: self.std.clone(),
            elite_energies: elites.iter().map(|&s| energies[s]).collect(),
            best: self.elites[0].clone(),
            elite_actions: self.elites.clone(),
            elites,
            evaluations: energies.len(),
        }
    }

    fn result(&self) -> ActionArrays {
        let deadband = self.config.gripper_deadband as f32;
        let mut actions = self.mean.clone();
        for action in &mut actions {
            let gripper = &mut action[Component::Gripper.index()];
            if gripper.abs() < deadband {
                *gripper = 0.0;
            }
        }
        actions
    }
}

/// Mean and unbiased standard deviation; 0 for a single value.
fn mean_and_std(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    if count < 2.0 {
        return (mean, 0.0);
    }
    let squares: f64 = values.map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0)).sqrt())
}

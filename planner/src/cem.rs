//! The cross-entropy method, with the choices of the released code.

use std::fmt::Display;

use foresight_settings::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::energy::ActionSequences;
use crate::gaussian::{Gaussian, Momentum, WarmStart};
use crate::noise::Noise;
use crate::objective::Objective;
use crate::pose::Action;
use crate::search::{
    lowest, ActionArrays, Candidates, Evaluation, Iteration, Request, Search, SearchMethod,
};
use crate::space::{Component, Constraints, SearchSpace};

/// Settings of the cross-entropy method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Each iteration draws this share of the samples of the one before, but no fewer than
    /// twice `topk`: 1 in the released code, 0.8 in iCEM.
    #[serde(default = "one")]
    pub population_decay: f64,
    /// Exponent of the noise's power spectrum over the planned steps: 0 is white, as in the
    /// released code; larger values give actions that go on in one direction for longer.
    #[serde(default)]
    pub noise_colour: f64,
    /// How the previous plan is used. Not in the released code.
    #[serde(default)]
    pub warm_start: WarmStart,
    /// Whether the best candidate met is decided on rather than the mean of the elites.
    #[serde(default)]
    pub execute_best: bool,
    /// Which planned steps count in a candidate's energy: the last in the released code.
    #[serde(default)]
    pub objective: Objective,
    /// Whether the horizon shrinks to [`Constraints::steps_left`]. Not in the released code.
    #[serde(default)]
    pub within_steps_left: bool,
}

fn one() -> f64 {
    1.0
}

impl CemConfig {
    /// Everything that is out of range; paths are keys of a [`crate::PlannerConfig`].
    pub fn faults(&self) -> Vec<Diagnostic> {
        let candidates = match self.samples {
            0 => usize::MAX,
            samples => samples,
        };
        let mut faults = Vec::new();
        let mut check = |ok: bool, key: &str, value: &dyn Display, remedy: &str| {
            if !ok {
                faults.push(Diagnostic::new(key, format!("{key} is {value}"), remedy));
            }
        };
        for (key, value, least, most) in [
            ("samples", self.samples, 1, 1_000_000),
            ("iterations", self.iterations, 1, 10_000),
            ("topk", self.topk, 1, candidates),
            ("horizon", self.horizon, 1, 64),
            ("keep_elites", self.keep_elites, 0, self.topk),
        ] {
            let remedy = format!("give a number in {least}..={most}");
            check((least..=most).contains(&value), key, &value, &remedy);
        }
        for (key, value) in [
            ("momentum_mean", self.momentum.mean),
            ("momentum_std", self.momentum.std),
            ("momentum_mean_gripper", self.momentum_gripper.mean),
            ("momentum_std_gripper", self.momentum_gripper.std),
        ] {
            let ok = (0.0..1.0).contains(&value);
            check(ok, key, &value, "give a number in [0, 1)");
        }
        let value = self.gripper_deadband;
        let ok = (0.0..=1.0).contains(&value);
        check(ok, "gripper_deadband", &value, "give a number in [0, 1]");
        let value = self.population_decay;
        let ok = value > 0.0 && value <= 1.0;
        let remedy = "give a number above 0 and at most 1";
        check(ok, "population_decay", &value, remedy);
        let value = self.noise_colour;
        let ok = (0.0..=8.0).contains(&value);
        check(ok, "noise_colour", &value, "give a number in [0, 8]");
        faults.extend(self.space.faults());
        faults
    }

    /// Candidates of iteration `iteration`, from 0.
    pub(crate) fn population(&self, iteration: usize) -> usize {
        let decay = self.population_decay.powi(iteration as i32);
        let least = (2 * self.topk).min(self.samples);
        ((self.samples as f64 * decay).round() as usize).max(least)
    }

    /// The first distribution of a decision; `ahead` is what the last plan would have done next.
    pub(crate) fn distribution(&self, constraints: &Constraints, ahead: &[Action]) -> Gaussian {
        let most = constraints.steps_left.filter(|_| self.within_steps_left);
        let horizon = most.map_or(self.horizon, |most| self.horizon.min(most.max(1)));
        let mut distribution = Gaussian::new(&self.space, constraints, horizon);
        distribution.colour(self.noise_colour);
        distribution.warm(self.warm_start, ahead);
        distribution
    }

    /// Candidates of all iterations.
    pub fn evaluations(&self) -> usize {
        (0..self.iterations).map(|i| self.population(i)).sum()
    }
}

impl SearchMethod for CemConfig {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        self.resume(constraints, &[])
    }

    fn resume(&self, constraints: &Constraints, ahead: &[Action]) -> Box<dyn Search> {
        Box::new(Cem::new(self.clone(), constraints, ahead))
    }
}

/// The cross-entropy method for one decision.
///
/// Arithmetic is f32 as in the released code, so that the same noise leads to the same elites.
#[derive(Debug, Clone)]
pub struct Cem {
    config: CemConfig,
    distribution: Gaussian,
    done: usize,
    elites: Vec<ActionArrays>,
    /// The best candidate met, with its energy.
    best: Option<(f32, ActionArrays)>,
}

impl Cem {
    /// A search that has not begun yet; `ahead` is what the last plan would have done next.
    pub fn new(config: CemConfig, constraints: &Constraints, ahead: &[Action]) -> Self {
        Cem {
            distribution: config.distribution(constraints, ahead),
            config,
            done: 0,
            elites: Vec::new(),
            best: None,
        }
    }
}

impl Search for Cem {
    fn ask(&mut self, noise: &mut dyn Noise) -> Option<Candidates> {
        if self.done == self.config.iterations {
            return None;
        }
        // 1. Sample action sequences from the distribution.
        let samples = self.config.population(self.done);
        let mut candidates = self.distribution.sample(samples, noise);
        if self.config.mean_is_candidate {
            self.distribution.write_mean(&mut candidates, 0);
        }
        let kept = self.elites.iter().take(self.config.keep_elites).rev();
        for (elite, sample) in kept.zip((0..samples).rev()) {
            for (step, action) in elite.iter().enumerate() {
                candidates.action_mut(sample, step).copy_from_slice(action);
            }
        }
        Some(Candidates {
            sequences: candidates,
            request: Request::Energies,
        })
    }

    fn tell(&mut self, candidates: &ActionSequences, evaluation: &Evaluation) -> Iteration {
        self.done += 1;
        // 2. The elites are the candidates of lowest energy.
        let energies = &evaluation.energies;
        let elites = lowest(energies, self.config.topk);
        // 3. Refit the distribution to them.
        let weights = vec![1.0; elites.len()];
        let (momentum, gripper) = (self.config.momentum, self.config.momentum_gripper);
        self.distribution
            .refit(candidates, &elites, &weights, momentum, gripper);
        let energy = energies[elites[0]];
        let iteration = Iteration::of_elites(candidates, energies, elites);
        self.elites.clone_from(&iteration.elite_actions);
        if self.best.as_ref().is_none_or(|(best, _)| energy < *best) {
            self.best = Some((energy, iteration.best.clone()));
        }
        Iteration {
            mean: self.distribution.mean().clone(),
            std: self.distribution.std().clone(),
            ..iteration
        }
    }

    fn result(&self) -> ActionArrays {
        let mut actions = match &self.best {
            Some((_, best)) if self.config.execute_best => best.clone(),
            _ => self.distribution.mean().clone(),
        };
        without_small_gripper_changes(&mut actions, self.config.gripper_deadband);
        actions
    }

    fn objective(&self) -> Objective {
        self.config.objective
    }
}

/// Gripper changes below `deadband` become 0.
pub(crate) fn without_small_gripper_changes(actions: &mut ActionArrays, deadband: f64) {
    for action in actions {
        let gripper = &mut action[Component::Gripper.index()];
        if gripper.abs() < deadband as f32 {
            *gripper = 0.0;
        }
    }
}

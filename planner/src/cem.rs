//! The cross-entropy method, with the choices of the released code.

use serde::{Deserialize, Serialize};

use crate::energy::ActionSequences;
use crate::gaussian::{Gaussian, WarmStart};
use crate::noise::Noise;
use crate::pose::Action;
use crate::search::{
    lowest, sequence, ActionArrays, Answer, Iteration, Proposal, Question, Search, SearchMethod,
};
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
}

fn one() -> f64 {
    1.0
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
            population_decay: 1.0,
            noise_colour: 0.0,
            warm_start: WarmStart::Cold,
            execute_best: false,
        }
    }

    /// iCEM (Pinneri et al., *Sample-efficient cross-entropy method for real-time planning*,
    /// CoRL 2020): coloured noise, a shrinking population, elites that compete again, the mean
    /// as a candidate of the last iterations, a warm start.
    pub fn icem() -> Self {
        CemConfig {
            samples: 128,
            iterations: 6,
            keep_elites: 3,
            population_decay: 0.8,
            noise_colour: 2.0,
            mean_is_candidate: true,
            warm_start: WarmStart::Mean,
            ..CemConfig::paper()
        }
    }

    /// The quick one: at horizon 1 four dimensions need no 8,000 looks. 64 samples, five times,
    /// elites that compete again, the mean among the candidates, a deviation that shrinks a
    /// little slower than the elites say. Chosen on development scenes: docs/planning.md.
    pub fn fast() -> Self {
        CemConfig {
            samples: 64,
            iterations: 5,
            topk: 8,
            keep_elites: 4,
            mean_is_candidate: true,
            momentum: Momentum {
                mean: 0.0,
                std: 0.2,
            },
            momentum_gripper: Momentum {
                mean: 0.0,
                std: 0.0,
            },
            ..CemConfig::paper()
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
        if !(self.population_decay > 0.0 && self.population_decay <= 1.0) {
            let value = self.population_decay;
            return Err(format!(
                "population_decay is {value}; give a number above 0 and at most 1"
            ));
        }
        if !(0.0..=8.0).contains(&self.noise_colour) {
            let value = self.noise_colour;
            return Err(format!("noise_colour is {value}; give a number in [0, 8]"));
        }
        self.space.validate()
    }

    /// Candidates of iteration `iteration`, from 0.
    pub(crate) fn population(&self, iteration: usize) -> usize {
        let decay = self.population_decay.powi(iteration as i32);
        let least = (2 * self.topk).min(self.samples);
        ((self.samples as f64 * decay).round() as usize).max(least)
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
        let mut distribution = Gaussian::new(&config.space, constraints, config.horizon);
        distribution.colour(config.noise_colour);
        distribution.warm(config.warm_start, ahead);
        Cem {
            distribution,
            config,
            done: 0,
            elites: Vec::new(),
            best: None,
        }
    }
}

impl Search for Cem {
    fn propose(&mut self, noise: &mut dyn Noise) -> Option<Proposal> {
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
        Some(Proposal {
            candidates,
            question: Question::Energies,
        })
    }

    fn update(&mut self, candidates: &ActionSequences, answer: &Answer) -> Iteration {
        self.done += 1;
        // 2. The elites are the candidates of lowest energy.
        let energies = &answer.energies;
        let elites = lowest(energies, self.config.topk);
        // 3. Refit the distribution to them.
        let weights = vec![1.0; elites.len()];
        let (momentum, gripper) = (self.config.momentum, self.config.momentum_gripper);
        self.distribution
            .refit(candidates, &elites, &weights, momentum, gripper);
        self.elites = elites.iter().map(|&s| sequence(candidates, s)).collect();
        let energy = energies[elites[0]];
        if self.best.as_ref().is_none_or(|(best, _)| energy < *best) {
            self.best = Some((energy, self.elites[0].clone()));
        }
        Iteration {
            mean: self.distribution.mean().clone(),
            std: self.distribution.std().clone(),
            elite_energies: elites.iter().map(|&s| energies[s]).collect(),
            best: self.elites[0].clone(),
            elite_actions: self.elites.clone(),
            elites,
            evaluations: energies.len(),
            cost: energies.len() as f64,
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

//! The search of the second level: sequences of macro-actions that stay near those of the data.
//!
//! An energy over several macro-actions has narrow, far-apart valleys: an object is fetched only if
//! one of them ends at the object, the next closes the fingers, and so on. One distribution over
//! sequences, refitted to its elites as CEM does, ends between the valleys. Here every elite is the
//! middle of a distribution of its own, which narrows with every iteration, and the search begins at
//! proposals: what the recordings' demonstrators would do. What lies far from every proposal costs
//! more, and nothing leaves the range of the recorded macro-actions: a predictor says anything of
//! actions it has never seen, and a search finds what flatters it (Hi-LeWM and HWM report the same
//! of learned hierarchies).

use foresight_settings::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::pose::Action;
use crate::search::{
    lowest, sequence, ActionArrays, Candidates, Evaluation, Iteration, Request, Search,
};
use crate::space::{Component, Constraints};

/// Noise beyond so many standard deviations makes a gripper's change another one: one in twenty at
/// either end.
const GRIPPER_FLIP: f32 = 1.65;
/// Standard deviation of a gripper's change.
const GRIPPER_STD: f32 = 0.1;
/// A closing that nobody proposed: what is left of the stroke around a hand-sized object.
const CLOSES: f32 = 0.4;

/// `[planner.level_two]`: the search over macro-actions, and when to search anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(default))]
#[serde(default, deny_unknown_fields)]
pub struct LevelTwoSearch {
    /// Candidates per iteration.
    pub samples: usize,
    /// Iterations per search.
    pub iterations: usize,
    /// Sequences that each iteration goes on from.
    pub topk: usize,
    /// Macro-actions planned ahead.
    pub horizon: usize,
    /// What waypoints are: latents that the second level foresees along the macro-actions found, or
    /// those of recorded frames (`--anchors`), for which nothing is searched.
    pub waypoints: WaypointSource,
    /// Whether the search begins at what the demonstrators of the training data would do, rather than
    /// anywhere in the data's range.
    pub proposals: bool,
    /// Recorded segments that the search begins at too, of those that `--anchors` gives.
    pub anchors: usize,
    /// Standard deviation of the first candidates around a proposal, as a share of half the data's
    /// range of macro-actions.
    pub spread: f64,
    /// What the spread is multiplied by from one iteration to the next.
    pub narrowing: f64,
    /// What a candidate's mean squared distance from its proposal costs, in spreads, as a share of the
    /// first proposal's energy; a changed mind about the gripper is far.
    pub prior_weight: f64,
    /// Steps of the first level towards a waypoint before the second level plans anew; as many as the
    /// way takes when that is fewer.
    pub replan_after: u32,
    /// As `residual_power`, of the second level's energy.
    pub residual_power: f64,
    /// Whether the first level searches for the way to the latent of a foreseen waypoint, or goes straight to
    /// where its macro-action ends. Recorded frames are always searched for.
    pub first_level: FirstLevel,
}

/// What the first level makes of a waypoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FirstLevel {
    /// The goal latent of a search.
    Searches,
    /// A pose, to which it goes in steps of `box_m` at most.
    Follows,
}

/// What waypoints are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaypointSource {
    /// Latents that the second level foresees.
    Foreseen,
    /// Latents of recorded frames.
    Recorded,
}

impl Default for LevelTwoSearch {
    fn default() -> Self {
        LevelTwoSearch {
            samples: 16,
            iterations: 1,
            topk: 8,
            horizon: 6,
            waypoints: WaypointSource::Foreseen,
            proposals: true,
            anchors: 8,
            spread: 0.05,
            narrowing: 0.5,
            prior_weight: 1.0,
            replan_after: 1,
            residual_power: 1.0,
            first_level: FirstLevel::Follows,
        }
    }
}

impl LevelTwoSearch {
    /// Everything that is out of range; paths are keys of the table.
    pub fn faults(&self) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        for (key, value, least, most) in [
            ("samples", self.samples, 1, 1_000_000),
            ("iterations", self.iterations, 1, 10_000),
            ("topk", self.topk, 1, self.samples.max(1)),
            ("horizon", self.horizon, 1, 32),
            ("replan_after", self.replan_after as usize, 1, 1_000),
            ("anchors", self.anchors, 0, 1_000),
        ] {
            if !(least..=most).contains(&value) {
                let remedy = format!("give a number in {least}..={most}");
                faults.push(Diagnostic::new(key, format!("{key} is {value}"), remedy));
            }
        }
        for (key, value, most) in [
            ("spread", self.spread, 1.0),
            ("narrowing", self.narrowing, 1.0),
            ("prior_weight", self.prior_weight, 1e3),
            (
                "residual_power",
                self.residual_power,
                crate::MAX_RESIDUAL_POWER,
            ),
        ] {
            if !(0.0..=most).contains(&value) {
                let remedy = format!("give a number from 0 to {most}");
                faults.push(Diagnostic::new(key, format!("{key} is {value}"), remedy));
            }
        }
        faults
    }
}

/// Which macro-actions a search may use: the range of the recorded ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MacroRange {
    /// Lower bounds, in an action's order and units.
    pub low: [f32; 7],
    /// Upper bounds.
    pub high: [f32; 7],
}

/// A sequence that is gone on from.
#[derive(Debug, Clone)]
struct Member {
    actions: ActionArrays,
    energy: f32,
    /// Number of the start it comes from.
    start: usize,
}

/// A search over macro-actions in progress.
pub struct MacroSearch {
    config: LevelTwoSearch,
    range: MacroRange,
    constraints: Constraints,
    starts: Vec<ActionArrays>,
    /// The best so far, ascending.
    members: Vec<Member>,
    /// Which start each of the last candidates comes from.
    asked: Vec<usize>,
    /// The energy of the first start, which the prior's cost is a share of.
    unit: f32,
    done: usize,
}

impl MacroSearch {
    /// Begins at `proposals`, each cut or filled up to the horizon; at standing still where there are
    /// none.
    pub fn new(
        config: LevelTwoSearch,
        range: MacroRange,
        constraints: &Constraints,
        proposals: &[Vec<Action>],
    ) -> Self {
        let whole = |proposal: &Vec<Action>| {
            let actions = proposal.iter().map(|a| a.to_array().map(|v| v as f32));
            let mut actions: ActionArrays = actions.take(config.horizon).collect();
            actions.resize(config.horizon, [0.0; 7]);
            actions
        };
        let mut starts: Vec<ActionArrays> = proposals.iter().map(whole).collect();
        if starts.is_empty() {
            starts.push(whole(&Vec::new()));
        }
        MacroSearch {
            config,
            range,
            constraints: *constraints,
            starts,
            members: Vec::new(),
            asked: Vec::new(),
            unit: 0.0,
            done: 0,
        }
    }

    /// `actions` with noise, kept within the data's range and what the constraints allow.
    fn vary(&self, actions: &ActionArrays, noise: &[f32], spread: f32) -> ActionArrays {
        let gripper = Component::Gripper.index();
        let rows = noise.chunks_exact(NOISE_PER_STEP);
        let varied = actions.iter().zip(rows).map(|(action, noise)| {
            let mut varied = *action;
            for i in 0..3 {
                let half = 0.5 * (self.range.high[i] - self.range.low[i]);
                varied[i] += spread * half * noise[i];
            }
            varied[gripper] = match noise[4] {
                n if n > GRIPPER_FLIP => CLOSES + GRIPPER_STD * noise[3],
                n if n < -GRIPPER_FLIP => -1.0,
                _ if varied[gripper] == 0.0 => 0.0,
                _ if noise[3] > GRIPPER_FLIP => 0.0,
                _ => varied[gripper] + GRIPPER_STD * noise[3],
            };
            varied
        });
        let mut varied: ActionArrays = varied.collect();
        self.constrain(&mut varied);
        varied
    }

    fn constrain(&self, actions: &mut ActionArrays) {
        for action in actions.iter_mut() {
            for (i, value) in action.iter_mut().enumerate() {
                let (low, high) = (self.range.low[i].min(0.0), self.range.high[i].max(0.0));
                *value = value.clamp(low, high);
            }
            for (value, fixed) in action.iter_mut().zip(self.constraints.fixed) {
                *value = fixed.unwrap_or(*value);
            }
        }
    }

    fn spread(&self) -> f32 {
        (self.config.spread * self.config.narrowing.powi(self.done as i32)) as f32
    }

    /// Mean squared distance of a candidate from its start, in first spreads; of the gripper's changes in
    /// those of a closing.
    fn strayed(&self, actions: &ActionArrays, start: usize) -> f32 {
        let from = &self.starts[start];
        let mut sum = 0.0;
        for (action, from) in actions.iter().zip(from) {
            for i in 0..3 {
                let half = 0.5 * (self.range.high[i] - self.range.low[i]);
                let spread = (self.config.spread as f32 * half).max(1e-6);
                sum += ((action[i] - from[i]) / spread).powi(2);
            }
            let gripper = Component::Gripper.index();
            sum += ((action[gripper] - from[gripper]) / GRIPPER_STD).powi(2);
        }
        sum / (4 * actions.len().max(1)) as f32
    }
}

/// x, y, z, the gripper, and whether the gripper's change becomes another one.
const NOISE_PER_STEP: usize = 5;

impl Search for MacroSearch {
    fn ask(&mut self, noise: &mut dyn Noise) -> Option<Candidates> {
        if self.done == self.config.iterations {
            return None;
        }
        let parents: Vec<(ActionArrays, usize)> = match self.done {
            0 => self.starts.iter().cloned().zip(0..).collect(),
            _ => {
                let members = self.members.iter();
                members.map(|m| (m.actions.clone(), m.start)).collect()
            }
        };
        let samples = self.config.samples.max(parents.len());
        let mut rows = vec![0.0; self.config.horizon * NOISE_PER_STEP];
        let spread = self.spread();
        let mut sequences = ActionSequences::zeros(samples, self.config.horizon);
        self.asked.clear();
        for sample in 0..samples {
            let (actions, start) = match parents.get(sample).filter(|_| self.done == 0) {
                Some((unchanged, start)) => {
                    let mut actions = unchanged.clone();
                    self.constrain(&mut actions);
                    (actions, *start)
                }
                None => {
                    let (parent, start) = &parents[sample % parents.len()];
                    noise.fill(&mut rows);
                    (self.vary(parent, &rows, spread), *start)
                }
            };
            for (step, action) in actions.iter().enumerate() {
                sequences.action_mut(sample, step).copy_from_slice(action);
            }
            self.asked.push(start);
        }
        if let Some(bounds) = &self.constraints.bounds {
            for sample in 0..samples {
                bounds.clamp_translations(&mut sequences, sample, &self.constraints.fixed);
            }
        }
        Some(Candidates {
            sequences,
            request: Request::Energies,
        })
    }

    fn tell(&mut self, candidates: &ActionSequences, evaluation: &Evaluation) -> Iteration {
        if self.done == 0 {
            self.unit = evaluation.energies.first().copied().unwrap_or(0.0);
        }
        let weight = self.config.prior_weight as f32 * self.unit;
        let mut all = std::mem::take(&mut self.members);
        for (sample, (energy, start)) in evaluation.energies.iter().zip(&self.asked).enumerate() {
            let actions = sequence(candidates, sample);
            all.push(Member {
                energy: energy + weight * self.strayed(&actions, *start),
                actions,
                start: *start,
            });
        }
        let energies: Vec<f32> = all.iter().map(|m| m.energy).collect();
        let kept = lowest(&energies, self.config.topk).into_iter();
        self.members = kept.map(|at| all[at].clone()).collect();
        self.done += 1;
        let iteration = Iteration::of_elites(
            candidates,
            &evaluation.energies,
            lowest(&evaluation.energies, self.config.topk),
        );
        Iteration {
            mean: self.result(),
            std: vec![[0.0; 7]; self.config.horizon],
            ..iteration
        }
    }

    fn result(&self) -> ActionArrays {
        let best = self.members.first().map(|m| m.actions.clone());
        best.unwrap_or_else(|| vec![[0.0; 7]; self.config.horizon])
    }
}

#[cfg(test)]
#[path = "../tests/unit/macro_search.rs"]
mod tests;

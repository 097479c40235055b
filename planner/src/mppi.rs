//! Model-predictive path integral control: every candidate pulls at the mean, the better the
//! harder.

use serde::{Deserialize, Serialize};

use crate::cem::{without_small_gripper_changes, CemConfig};
use crate::energy::ActionSequences;
use crate::gaussian::Gaussian;
use crate::noise::Noise;
use crate::objective::Objective;
use crate::pose::Action;
use crate::search::{
    lowest, ActionArrays, Candidates, Evaluation, Iteration, Request, Search, SearchMethod,
};
use crate::space::Constraints;

/// Settings of MPPI (Williams et al., *Information theoretic MPC for model-based reinforcement
/// learning*, ICRA 2017), iterated as in TD-MPC2: weights `exp(-(E - min E) / λ)`, with `λ` a
/// share of the candidates' spread in energy so that it has no unit, and a distribution refitted
/// with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MppiConfig {
    /// Samples, iterations, horizon, space, momenta, noise and warm start. `topk` candidates at
    /// most have a weight.
    pub sampling: CemConfig,
    /// `λ` over the standard deviation of the energies.
    pub temperature: f64,
}

impl SearchMethod for MppiConfig {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        self.resume(constraints, &[])
    }

    fn resume(&self, constraints: &Constraints, ahead: &[Action]) -> Box<dyn Search> {
        Box::new(Mppi {
            config: self.clone(),
            distribution: self.sampling.distribution(constraints, ahead),
            done: 0,
        })
    }
}

struct Mppi {
    config: MppiConfig,
    distribution: Gaussian,
    done: usize,
}

impl Search for Mppi {
    fn ask(&mut self, noise: &mut dyn Noise) -> Option<Candidates> {
        let s = &self.config.sampling;
        if self.done == s.iterations {
            return None;
        }
        let mut candidates = self.distribution.sample(s.population(self.done), noise);
        if s.mean_is_candidate {
            self.distribution.write_mean(&mut candidates, 0);
        }
        Some(Candidates {
            sequences: candidates,
            request: Request::Energies,
        })
    }

    fn tell(&mut self, candidates: &ActionSequences, evaluation: &Evaluation) -> Iteration {
        self.done += 1;
        let energies = &evaluation.energies;
        let s = &self.config.sampling;
        let elites = lowest(energies, s.topk);
        let lambda = (self.config.temperature * spread(energies)).max(f64::MIN_POSITIVE);
        let least = f64::from(energies[elites[0]]);
        let weight = |&e: &usize| (-(f64::from(energies[e]) - least) / lambda).exp();
        let (weighted, weights): (Vec<usize>, Vec<f64>) = elites
            .iter()
            .map(|e| (*e, weight(e)))
            .filter(|(_, w)| *w > 1e-12)
            .unzip();
        let (momentum, gripper) = (s.momentum, s.momentum_gripper);
        self.distribution
            .refit(candidates, &weighted, &weights, momentum, gripper);
        Iteration {
            mean: self.distribution.mean().clone(),
            std: self.distribution.std().clone(),
            ..Iteration::of_elites(candidates, energies, elites)
        }
    }

    fn result(&self) -> ActionArrays {
        let mut actions = self.distribution.mean().clone();
        without_small_gripper_changes(&mut actions, self.config.sampling.gripper_deadband);
        actions
    }

    fn objective(&self) -> Objective {
        self.config.sampling.objective
    }
}

/// Standard deviation of the finite energies.
fn spread(energies: &[f32]) -> f64 {
    let finite = energies.iter().filter(|e| e.is_finite());
    let values: Vec<f64> = finite.map(|e| f64::from(*e)).collect();
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()
}

//! Methods that don't look: what a plan has to beat.

use serde::{Deserialize, Serialize};

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::search::{ActionArrays, Answer, Iteration, Proposal, Search, SearchMethod};
use crate::space::{Constraints, SearchSpace};

/// Never moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandStill;

/// A random action of the search space's first distribution, every time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomActions {
    /// Where the actions come from.
    pub space: SearchSpace,
}

struct Fixed(ActionArrays);

struct Random {
    space: SearchSpace,
    constraints: Constraints,
    action: [f32; 7],
}

impl SearchMethod for StandStill {
    fn begin(&self, _: &Constraints) -> Box<dyn Search> {
        Box::new(Fixed(vec![[0.0; 7]]))
    }
}

impl SearchMethod for RandomActions {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        Box::new(Random {
            space: self.space.clone(),
            constraints: *constraints,
            action: [0.0; 7],
        })
    }
}

impl Search for Fixed {
    fn propose(&mut self, _: &mut dyn Noise) -> Option<Proposal> {
        None
    }

    fn update(&mut self, _: &ActionSequences, _: &Answer) -> Iteration {
        nothing_learned()
    }

    fn result(&self) -> ActionArrays {
        self.0.clone()
    }
}

impl Search for Random {
    fn propose(&mut self, noise: &mut dyn Noise) -> Option<Proposal> {
        let mut row = vec![0.0; self.space.dimensions.len()];
        noise.fill(&mut row);
        for (d, z) in self.space.dimensions.iter().zip(row) {
            let bound = d.bound_f32();
            self.action[d.component.index()] = (z * d.std as f32).clamp(-bound, bound);
        }
        for (a, fixed) in self.action.iter_mut().zip(self.constraints.fixed) {
            *a = fixed.unwrap_or(*a);
        }
        None
    }

    fn update(&mut self, _: &ActionSequences, _: &Answer) -> Iteration {
        nothing_learned()
    }

    fn result(&self) -> ActionArrays {
        vec![self.action]
    }
}

fn nothing_learned() -> Iteration {
    Iteration {
        mean: Vec::new(),
        std: Vec::new(),
        elites: Vec::new(),
        elite_energies: Vec::new(),
        elite_actions: Vec::new(),
        best: Vec::new(),
        evaluations: 0,
        cost: 0.0,
    }
}

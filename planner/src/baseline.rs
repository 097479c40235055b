//! Methods that don't look: what a plan has to beat.

use serde::{Deserialize, Serialize};

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::search::{ActionArrays, Candidates, Evaluation, Iteration, Search, SearchMethod};
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

struct Random {
    space: SearchSpace,
    constraints: Constraints,
    action: [f32; 7],
}

impl SearchMethod for StandStill {
    fn begin(&self, _: &Constraints) -> Box<dyn Search> {
        let nothing = RandomActions {
            space: SearchSpace { dimensions: vec![] },
        };
        nothing.begin(&Constraints::default())
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

impl Search for Random {
    fn ask(&mut self, noise: &mut dyn Noise) -> Option<Candidates> {
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

    fn tell(&mut self, _: &ActionSequences, _: &Evaluation) -> Iteration {
        Iteration::default()
    }

    fn result(&self) -> ActionArrays {
        vec![self.action]
    }
}

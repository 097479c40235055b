//! The shape of every search: ask for candidates, tell their energies, repeat.

use serde::Serialize;

use crate::energy::{gradients_along, sum_along, ActionSequences, Energy, EnergyError, Gradients};
use crate::noise::Noise;
use crate::objective::Objective;
use crate::pose::Action;
use crate::space::Constraints;

/// A sequence of actions as arrays of their seven components.
pub type ActionArrays = Vec<[f32; 7]>;

/// Action sequences that a search proposes, and what it wants to know about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidates {
    /// The sequences, `[S, H, 7]`.
    pub sequences: ActionSequences,
    /// What it wants to know.
    pub request: Request,
}

/// What a search asks about its candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Request {
    /// Their energies.
    Energies,
    /// Stand-ins at about this share of an energy's cost; see [`Energy::previews`].
    Previews(f64),
    /// Energies and derivatives.
    Gradients,
}

impl Request {
    /// What evaluating one candidate costs, in energies. A gradient goes forwards and twice as far backwards.
    pub fn cost(self) -> f64 {
        match self {
            Request::Energies => 1.0,
            Request::Previews(share) => share,
            Request::Gradients => 3.0,
        }
    }
}

/// What evaluating [`Candidates`] gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// One value a candidate: energies, or previews where those were asked for.
    pub energies: Vec<f32>,
    /// Derivatives `[S, H, 7]` where those were asked for, empty otherwise.
    pub gradients: Vec<f32>,
}

/// A search in progress for one decision.
pub trait Search {
    /// The next candidates, or `None` when the search has finished.
    fn ask(&mut self, noise: &mut dyn Noise) -> Option<Candidates>;

    /// Learns how the candidates last asked for were evaluated.
    fn tell(&mut self, candidates: &ActionSequences, evaluation: &Evaluation) -> Iteration;

    /// The action sequence the search has settled on, `[horizon]`.
    fn result(&self) -> ActionArrays;

    /// Which steps of a rollout count in the energies it is told.
    fn objective(&self) -> Objective {
        Objective::Last
    }
}

/// Makes a fresh search for every decision.
pub trait SearchMethod: Send + Sync {
    /// A search for one decision under these constraints.
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search>;

    /// As [`SearchMethod::begin`], from what the plan before this one would have done next:
    /// its actions without the executed one. Methods that don't start warm ignore it.
    fn resume(&self, constraints: &Constraints, _ahead: &[Action]) -> Box<dyn Search> {
        self.begin(constraints)
    }
}

impl SearchMethod for Box<dyn SearchMethod> {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        (**self).begin(constraints)
    }

    fn resume(&self, constraints: &Constraints, ahead: &[Action]) -> Box<dyn Search> {
        (**self).resume(constraints, ahead)
    }
}

/// What one iteration of a search learned.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Iteration {
    /// Mean of the sampling distribution after the update, `[horizon, 7]`.
    pub mean: ActionArrays,
    /// Its standard deviation, `[horizon, 7]`; 0 for components not searched.
    pub std: ActionArrays,
    /// Indices of the elite candidates, by ascending energy.
    pub elites: Vec<usize>,
    /// Their energies.
    pub elite_energies: Vec<f32>,
    /// Their actions, each `[horizon, 7]`.
    pub elite_actions: Vec<ActionArrays>,
    /// The best candidate of this iteration, `[horizon, 7]`.
    pub best: ActionArrays,
    /// Candidates judged so far in this decision.
    pub evaluations: usize,
    /// What that cost, in energies: previews count less, gradients more.
    pub cost: f64,
}

impl Iteration {
    /// The elites among evaluated sequences, by ascending energy; what the search made of them is
    /// for the search to say, what it cost for [`solve`].
    pub fn of_elites(sequences: &ActionSequences, energies: &[f32], elites: Vec<usize>) -> Self {
        let actions = |&s: &usize| sequence(sequences, s);
        Iteration {
            elite_energies: elites.iter().map(|&s| energies[s]).collect(),
            best: elites.first().map(actions).unwrap_or_default(),
            elite_actions: elites.iter().map(actions).collect(),
            elites,
            ..Iteration::default()
        }
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The actions decided on, `[horizon]`; the first one is to be executed.
    pub actions: Vec<Action>,
    /// What every iteration learned.
    pub iterations: Vec<Iteration>,
    /// Candidates judged in all.
    pub evaluations: usize,
    /// What that cost, in energies: previews count less, gradients more.
    pub cost: f64,
    /// What led it, where a second level did: the macro-actions to the goal that are still to come,
    /// from where the decision was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macro_actions: Vec<Action>,
}

impl Plan {
    /// A plan nothing was searched for: one action, as far as the constraints allow it.
    pub fn unsearched(action: Action, constraints: &Constraints) -> Plan {
        let mut components = action.to_array();
        for (c, fixed) in components.iter_mut().zip(constraints.fixed) {
            *c = fixed.map_or(*c, f64::from);
        }
        if constraints.close_gripper_from == Some(0) {
            components[6] = 1.0;
        }
        Plan {
            actions: vec![Action::from_array(components)],
            iterations: Vec::new(),
            evaluations: 0,
            cost: 0.0,
            macro_actions: Vec::new(),
        }
    }

    /// The action to execute; standing still where the plan is empty.
    pub fn first(&self) -> Action {
        self.actions.first().copied().unwrap_or_default()
    }

    /// The plan without its executed first action; its last action, which leads on in the same
    /// direction, fills the place at the end.
    pub fn after_first(&self) -> Vec<Action> {
        let rest = self.actions.iter().skip(1).chain(self.actions.last());
        rest.copied().collect()
    }

    /// Lowest energy met in the last iteration; `None` for methods that compute none.
    pub fn energy(&self) -> Option<f32> {
        self.iterations.last()?.elite_energies.first().copied()
    }
}

/// Why no plan was found.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The energy failed.
    #[error(transparent)]
    Energy(#[from] EnergyError),
    /// The energy answered with the wrong number of values.
    #[error("{expected} candidates were asked about but {got} energies came back")]
    Count {
        /// Candidates.
        expected: usize,
        /// Energies.
        got: usize,
    },
    /// No candidate has a finite energy.
    #[error("all {0} candidates have an energy that is not finite; check the model's weights and the goal image")]
    NotFinite(usize),
}

/// Runs a search to its end.
///
/// # Errors
/// [`PlanError`] when energies can't be computed or none is finite.
pub fn solve(
    search: &mut dyn Search,
    energy: &dyn Energy,
    noise: &mut dyn Noise,
) -> Result<Plan, PlanError> {
    let mut iterations = Vec::new();
    let (mut evaluations, mut cost) = (0, 0.0);
    while let Some(Candidates { sequences, request }) = search.ask(noise) {
        let evaluation = evaluate(energy, &sequences, request, search.objective())?;
        let (expected, got) = (sequences.samples(), evaluation.energies.len());
        if expected != got {
            return Err(PlanError::Count { expected, got });
        }
        if !evaluation.energies.iter().any(|e| e.is_finite()) {
            return Err(PlanError::NotFinite(expected));
        }
        evaluations += expected;
        cost += expected as f64 * request.cost();
        let mut iteration = search.tell(&sequences, &evaluation);
        (iteration.evaluations, iteration.cost) = (evaluations, cost);
        iterations.push(iteration);
    }
    let actions = search
        .result()
        .into_iter()
        .map(|a| Action::from_array(a.map(f64::from)));
    Ok(Plan {
        actions: actions.collect(),
        iterations,
        evaluations,
        cost,
        macro_actions: Vec::new(),
    })
}

fn evaluate(
    energy: &dyn Energy,
    sequences: &ActionSequences,
    request: Request,
    objective: Objective,
) -> Result<Evaluation, EnergyError> {
    let weights = objective.weights(sequences.horizon());
    let energies = match (request, &weights) {
        (Request::Energies, None) => energy.energies(sequences)?,
        (Request::Energies, Some(weights)) => energy.energies_along(sequences, weights)?,
        (Request::Previews(share), None) => energy.previews(sequences, share)?,
        (Request::Previews(share), Some(weights)) => {
            sum_along(sequences, weights, |prefix| energy.previews(prefix, share))?
        }
        (Request::Gradients, weights) => {
            let Gradients { energies, values } = match weights {
                None => energy.gradients(sequences)?,
                Some(weights) => gradients_along(energy, sequences, weights)?,
            };
            return Ok(Evaluation {
                energies,
                gradients: values,
            });
        }
    };
    Ok(Evaluation {
        energies,
        gradients: Vec::new(),
    })
}

/// Sequence number `sample` of the candidates.
pub fn sequence(candidates: &ActionSequences, sample: usize) -> ActionArrays {
    let step = |h| std::array::from_fn(|i| candidates.action(sample, h)[i]);
    (0..candidates.horizon()).map(step).collect()
}

/// Indices of the `count` lowest energies, ascending; NaN counts as worse than anything, ties
/// go to the lower index.
pub fn lowest(energies: &[f32], count: usize) -> Vec<usize> {
    let key = |i: usize| {
        let e = energies[i];
        if e.is_nan() {
            f32::INFINITY
        } else {
            e
        }
    };
    let mut order: Vec<usize> = (0..energies.len()).collect();
    order.sort_by(|&a, &b| key(a).total_cmp(&key(b)).then(a.cmp(&b)));
    order.truncate(count);
    order
}

//! Gradient refinement: from where a search ended, downhill through the predictor.

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::objective::Objective;
use crate::pose::Action;
use crate::search::{
    lowest, ActionArrays, Candidates, Evaluation, Iteration, Request, Search, SearchMethod,
};
use crate::space::{Component, Constraints, SearchSpace};

/// Any search, followed by descent from its result and its best elites.
pub struct GradientRefinement<M> {
    /// The search.
    pub method: M,
    /// What may be searched; steps are measured in its bounds.
    pub space: SearchSpace,
    /// Sequences that go downhill together: the result and the best elites.
    pub starts: usize,
    /// Gradients taken.
    pub steps: usize,
    /// Length of the first step, as a share of each component's bound; later ones shrink.
    pub step_share: f64,
}

impl<M: SearchMethod> SearchMethod for GradientRefinement<M> {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        self.resume(constraints, &[])
    }

    fn resume(&self, constraints: &Constraints, ahead: &[Action]) -> Box<dyn Search> {
        Box::new(RefinementSearch {
            inner: self.method.resume(constraints, ahead),
            space: self.space.clone(),
            constraints: *constraints,
            starts: self.starts.max(1),
            steps: self.steps,
            step_share: self.step_share,
            elites: Vec::new(),
            at: None,
            taken: 0,
            best: None,
        })
    }
}

struct RefinementSearch {
    inner: Box<dyn Search>,
    space: SearchSpace,
    constraints: Constraints,
    starts: usize,
    steps: usize,
    step_share: f64,
    /// The inner search's last elites.
    elites: Vec<ActionArrays>,
    /// Where the descent is; `None` while the inner search goes on.
    at: Option<ActionSequences>,
    taken: usize,
    best: Option<(f32, ActionArrays)>,
}

impl RefinementSearch {
    /// The result and the best elites of the search.
    fn first(&self) -> ActionSequences {
        let mut starts = vec![self.inner.result()];
        starts.extend(self.elites.iter().take(self.starts - 1).cloned());
        let mut at = ActionSequences::zeros(starts.len(), starts[0].len());
        for (sample, actions) in starts.iter().enumerate() {
            for (step, action) in actions.iter().enumerate() {
                at.action_mut(sample, step).copy_from_slice(action);
            }
        }
        at
    }

    /// Every searched, unconstrained component one step against its gradient. Steps have the
    /// length of `share` bounds in the largest component: how steep an energy is says little
    /// about how far its minimum is.
    fn downhill(&self, at: &ActionSequences, gradients: &[f32], share: f32) -> ActionSequences {
        let mut next = at.clone();
        let closes = self.constraints.close_gripper_from;
        for sample in 0..at.samples() {
            let gradient =
                |step: usize, i: usize| gradients[(sample * at.horizon() + step) * 7 + i];
            let free: Vec<(usize, usize, f32)> = (0..at.horizon())
                .flat_map(|step| self.space.dimensions.iter().map(move |d| (step, d)))
                .filter(|(step, d)| {
                    let gripper = d.component == Component::Gripper;
                    self.constraints.fixed[d.component.index()].is_none()
                        && !(gripper && closes.is_some_and(|from| *step >= from))
                })
                .map(|(step, d)| (step, d.component.index(), d.bound_f32()))
                .collect();
            let slope = |(step, i, bound): &(usize, usize, f32)| gradient(*step, *i) * bound;
            let steepest = free.iter().map(|f| slope(f).abs()).fold(0f32, f32::max);
            if !(steepest.is_finite() && steepest > 0.0) {
                continue;
            }
            for f in &free {
                let (step, i, bound) = *f;
                let value = &mut next.action_mut(sample, step)[i];
                *value = (*value - share * bound * slope(f) / steepest).clamp(-bound, bound);
            }
            if let Some(bounds) = &self.constraints.bounds {
                bounds.clamp_translations(&mut next, sample, &self.constraints.fixed);
            }
        }
        next
    }
}

impl Search for RefinementSearch {
    fn ask(&mut self, noise: &mut dyn Noise) -> Option<Candidates> {
        if self.at.is_none() {
            if let Some(candidates) = self.inner.ask(noise) {
                return Some(candidates);
            }
            self.at = Some(self.first());
        }
        if self.taken > self.steps {
            return None;
        }
        // After the last step only its energy is of interest.
        let request = if self.taken == self.steps {
            Request::Energies
        } else {
            Request::Gradients
        };
        let sequences = self.at.clone()?;
        Some(Candidates { sequences, request })
    }

    fn tell(&mut self, candidates: &ActionSequences, evaluation: &Evaluation) -> Iteration {
        if self.at.is_none() {
            let iteration = self.inner.tell(candidates, evaluation);
            self.elites = iteration.elite_actions.clone();
            return iteration;
        }
        let order = lowest(&evaluation.energies, candidates.samples());
        let energy = evaluation.energies[order[0]];
        let iteration = Iteration::of_elites(candidates, &evaluation.energies, order);
        if self.best.as_ref().is_none_or(|(best, _)| energy < *best) {
            self.best = Some((energy, iteration.best.clone()));
        }
        if self.taken < self.steps {
            let share = self.step_share as f32 * 0.7f32.powi(self.taken as i32);
            self.at = Some(self.downhill(candidates, &evaluation.gradients, share));
        }
        self.taken += 1;
        Iteration {
            mean: self.result(),
            std: vec![[0.0; 7]; candidates.horizon()],
            ..iteration
        }
    }

    fn objective(&self) -> Objective {
        self.inner.objective()
    }

    fn result(&self) -> ActionArrays {
        match &self.best {
            Some((_, actions)) => actions.clone(),
            None => self.inner.result(),
        }
    }
}

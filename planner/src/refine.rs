//! Gradient refinement: from where a search ended, downhill through the predictor.

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::pose::Action;
use crate::search::{
    lowest, sequence, ActionArrays, Answer, Iteration, Proposal, Question, Search, SearchMethod,
};
use crate::space::{Component, Constraints, SearchSpace};

/// Any search, followed by descent from its result and its best elites.
pub struct Refined<M> {
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

impl<M: SearchMethod> SearchMethod for Refined<M> {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        self.resume(constraints, &[])
    }

    fn resume(&self, constraints: &Constraints, ahead: &[Action]) -> Box<dyn Search> {
        Box::new(Descent {
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

struct Descent {
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

impl Descent {
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
            if let Some(slack) = &self.constraints.slack {
                slack.keep_in(&mut next, sample, &self.constraints.fixed);
            }
        }
        next
    }
}

impl Search for Descent {
    fn propose(&mut self, noise: &mut dyn Noise) -> Option<Proposal> {
        if self.at.is_none() {
            if let Some(proposal) = self.inner.propose(noise) {
                return Some(proposal);
            }
            self.at = Some(self.first());
        }
        if self.taken > self.steps {
            return None;
        }
        // After the last step only its energy is of interest.
        let question = if self.taken == self.steps {
            Question::Energies
        } else {
            Question::Gradients
        };
        self.at.clone().map(|candidates| Proposal {
            candidates,
            question,
        })
    }

    fn update(&mut self, candidates: &ActionSequences, answer: &Answer) -> Iteration {
        if self.at.is_none() {
            let iteration = self.inner.update(candidates, answer);
            self.elites = iteration.elite_actions.clone();
            return iteration;
        }
        let order = lowest(&answer.energies, candidates.samples());
        let (energy, best) = (answer.energies[order[0]], sequence(candidates, order[0]));
        if self
            .best
            .as_ref()
            .is_none_or(|(lowest, _)| energy < *lowest)
        {
            self.best = Some((energy, best.clone()));
        }
        if self.taken < self.steps {
            let share = self.step_share as f32 * 0.7f32.powi(self.taken as i32);
            self.at = Some(self.downhill(candidates, &answer.gradients, share));
        }
        self.taken += 1;
        Iteration {
            mean: self.result(),
            std: vec![[0.0; 7]; candidates.horizon()],
            elite_actions: order.iter().map(|&s| sequence(candidates, s)).collect(),
            elite_energies: order.iter().map(|&s| answer.energies[s]).collect(),
            elites: order,
            best,
            evaluations: candidates.samples(),
            cost: 0.0,
        }
    }

    fn result(&self) -> ActionArrays {
        match &self.best {
            Some((_, actions)) => actions.clone(),
            None => self.inner.result(),
        }
    }
}

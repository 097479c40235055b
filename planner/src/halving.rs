//! Successive halving: look at all candidates cheaply, at the promising ones properly.

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::pose::Action;
use crate::search::{
    lowest, sequence, ActionArrays, Answer, Iteration, Proposal, Question, Search, SearchMethod,
};
use crate::space::Constraints;

/// Any search, its candidates sifted by [`crate::Energy::previews`] first.
pub struct Halved<M> {
    /// The search.
    pub method: M,
    /// Cost of a preview, as a share of an energy's.
    pub preview_share: f64,
    /// Share of the candidates whose energies are computed.
    pub kept_share: f64,
}

impl<M: SearchMethod> SearchMethod for Halved<M> {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        self.resume(constraints, &[])
    }

    fn resume(&self, constraints: &Constraints, ahead: &[Action]) -> Box<dyn Search> {
        Box::new(Sift {
            inner: self.method.resume(constraints, ahead),
            preview_share: self.preview_share,
            kept_share: self.kept_share,
            promising: None,
            previewed: false,
        })
    }
}

struct Sift {
    inner: Box<dyn Search>,
    preview_share: f64,
    kept_share: f64,
    /// Candidates that passed the preview.
    promising: Option<ActionSequences>,
    /// Whether the last proposal was a preview.
    previewed: bool,
}

impl Search for Sift {
    fn propose(&mut self, noise: &mut dyn Noise) -> Option<Proposal> {
        if let Some(candidates) = self.promising.take() {
            self.previewed = false;
            return Some(Proposal {
                candidates,
                question: Question::Energies,
            });
        }
        let mut proposal = self.inner.propose(noise)?;
        self.previewed = proposal.question == Question::Energies;
        if self.previewed {
            proposal.question = Question::Previews(self.preview_share);
        }
        Some(proposal)
    }

    fn update(&mut self, candidates: &ActionSequences, answer: &Answer) -> Iteration {
        if !self.previewed {
            return self.inner.update(candidates, answer);
        }
        let kept = (candidates.samples() as f64 * self.kept_share).ceil() as usize;
        // The first candidate may be the mean: it always gets its energy.
        let mut promising = lowest(&answer.energies, kept.max(1));
        if !promising.contains(&0) {
            promising.push(0);
        }
        promising.sort_unstable();
        self.promising = Some(candidates.select(&promising));
        // Nothing is known about energies yet, so there are no elites.
        let best = lowest(&answer.energies, 1);
        Iteration {
            mean: self.inner.result(),
            std: Vec::new(),
            elite_energies: Vec::new(),
            elite_actions: Vec::new(),
            best: sequence(candidates, best[0]),
            elites: Vec::new(),
            evaluations: 0,
            cost: 0.0,
        }
    }

    fn result(&self) -> ActionArrays {
        self.inner.result()
    }
}

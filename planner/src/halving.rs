//! Successive halving: look at all candidates cheaply, at the promising ones properly.

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::objective::Objective;
use crate::pose::Action;
use crate::search::{
    lowest, sequence, ActionArrays, Candidates, Evaluation, Iteration, Request, Search,
    SearchMethod,
};
use crate::space::Constraints;

/// Any search, its candidates sifted by [`crate::Energy::previews`] first.
pub struct SuccessiveHalving<M> {
    /// The search.
    pub method: M,
    /// Cost of a preview, as a share of an energy's.
    pub preview_share: f64,
    /// Share of the candidates whose energies are computed.
    pub kept_share: f64,
}

impl<M: SearchMethod> SearchMethod for SuccessiveHalving<M> {
    fn begin(&self, constraints: &Constraints) -> Box<dyn Search> {
        self.resume(constraints, &[])
    }

    fn resume(&self, constraints: &Constraints, ahead: &[Action]) -> Box<dyn Search> {
        Box::new(HalvingSearch {
            inner: self.method.resume(constraints, ahead),
            preview_share: self.preview_share,
            kept_share: self.kept_share,
            promising: None,
            previewed: false,
        })
    }
}

struct HalvingSearch {
    inner: Box<dyn Search>,
    preview_share: f64,
    kept_share: f64,
    /// Candidates that passed the preview.
    promising: Option<ActionSequences>,
    /// Whether a preview was asked for last.
    previewed: bool,
}

impl Search for HalvingSearch {
    fn ask(&mut self, noise: &mut dyn Noise) -> Option<Candidates> {
        if let Some(sequences) = self.promising.take() {
            self.previewed = false;
            return Some(Candidates {
                sequences,
                request: Request::Energies,
            });
        }
        let mut candidates = self.inner.ask(noise)?;
        self.previewed = candidates.request == Request::Energies;
        if self.previewed {
            candidates.request = Request::Previews(self.preview_share);
        }
        Some(candidates)
    }

    fn tell(&mut self, candidates: &ActionSequences, evaluation: &Evaluation) -> Iteration {
        if !self.previewed {
            return self.inner.tell(candidates, evaluation);
        }
        let kept = (candidates.samples() as f64 * self.kept_share).ceil() as usize;
        // The first candidate may be the mean: it always gets its energy.
        let mut promising = lowest(&evaluation.energies, kept.max(1));
        if !promising.contains(&0) {
            promising.push(0);
        }
        promising.sort_unstable();
        self.promising = Some(candidates.select(&promising));
        // Nothing is known about energies yet, so there are no elites.
        let best = lowest(&evaluation.energies, 1);
        Iteration {
            mean: self.inner.result(),
            best: sequence(candidates, best[0]),
            ..Iteration::default()
        }
    }

    fn objective(&self) -> Objective {
        self.inner.objective()
    }

    fn result(&self) -> ActionArrays {
        self.inner.result()
    }
}

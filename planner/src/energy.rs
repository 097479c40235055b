//! What a search minimises: the energy of candidate action sequences.

use crate::Action;

/// Candidate action sequences `[S, H, 7]`, f32, sample-major; the seven components are those of
/// [`Action`].
#[derive(Debug, Clone, PartialEq)]
pub struct ActionSequences {
    samples: usize,
    horizon: usize,
    values: Vec<f32>,
}

impl ActionSequences {
    /// All-zero sequences `[samples, horizon, 7]`.
    pub fn zeros(samples: usize, horizon: usize) -> Self {
        ActionSequences {
            samples,
            horizon,
            values: vec![0.0; samples * horizon * 7],
        }
    }

    /// Number of sequences, `S`.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Steps per sequence, `H`.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The values, `[S, H, 7]` row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Copies of the sequences `chosen`, in that order.
    pub fn select(&self, chosen: &[usize]) -> Self {
        let mut selected = ActionSequences::zeros(chosen.len(), self.horizon);
        let size = self.horizon * 7;
        for (to, from) in selected.values.chunks_exact_mut(size.max(1)).zip(chosen) {
            to.copy_from_slice(&self.values[from * size..(from + 1) * size]);
        }
        selected
    }

    /// Copies of the sequences without what comes after their first `steps` actions.
    pub fn first_steps(&self, steps: usize) -> Self {
        let horizon = steps.min(self.horizon);
        let whole = self.values.chunks_exact((self.horizon * 7).max(1));
        ActionSequences {
            samples: self.samples,
            horizon,
            values: whole.flat_map(|s| &s[..horizon * 7]).copied().collect(),
        }
    }

    /// One action of one sequence, as its seven components.
    pub fn action(&self, sample: usize, step: usize) -> &[f32] {
        let at = (sample * self.horizon + step) * 7;
        &self.values[at..at + 7]
    }

    /// One action of one sequence, as an [`Action`].
    pub fn action_at(&self, sample: usize, step: usize) -> Action {
        let components = self.action(sample, step);
        Action::from_array(std::array::from_fn(|i| f64::from(components[i])))
    }

    /// One action of one sequence, to write into.
    pub fn action_mut(&mut self, sample: usize, step: usize) -> &mut [f32] {
        let at = (sample * self.horizon + step) * 7;
        &mut self.values[at..at + 7]
    }
}

/// Why energies could not be computed; the world model behind the trait says what went wrong.
#[derive(Debug, thiserror::Error)]
#[error("the energy of the candidate actions could not be computed: {0}")]
pub struct EnergyError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Scores action sequences by how far their predicted outcome is from the goal.
///
/// Implementations must be pure: the same sequences give the same energies, whatever was asked
/// before and however many threads compute them. Energies must be finite; a search treats NaN
/// as worse than anything.
pub trait Energy {
    /// One energy per sequence, lower is better.
    ///
    /// # Errors
    /// [`EnergyError`] when the model behind it fails.
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError>;

    /// Weighted sums of the energies after every step, for an [`crate::Objective`] that counts more
    /// than the last: one of `weights` for each step. Rolls every prefix of the sequences out anew
    /// unless an implementation knows better.
    ///
    /// # Errors
    /// As [`Energy::energies`].
    fn energies_along(
        &self,
        sequences: &ActionSequences,
        weights: &[f32],
    ) -> Result<Vec<f32>, EnergyError> {
        sum_along(sequences, weights, |prefix| self.energies(prefix))
    }

    /// Cheap stand-ins for the energies, at about `share` of their cost: good enough to tell the
    /// hopeless from the promising, in units of their own. The energies themselves where there
    /// is no cheaper way.
    ///
    /// # Errors
    /// As [`Energy::energies`].
    fn previews(&self, sequences: &ActionSequences, share: f64) -> Result<Vec<f32>, EnergyError> {
        let _ = share;
        self.energies(sequences)
    }

    /// Energies and their derivatives by every component of every action.
    ///
    /// # Errors
    /// As [`Energy::energies`], and where derivatives are not to be had.
    fn gradients(&self, sequences: &ActionSequences) -> Result<Gradients, EnergyError> {
        let _ = sequences;
        Err(EnergyError(
            "this energy has no gradients; choose a planner without refinement".into(),
        ))
    }
}

/// Weighted sum of what `energies` says of every prefix of the sequences.
pub(crate) fn sum_along(
    sequences: &ActionSequences,
    weights: &[f32],
    mut energies: impl FnMut(&ActionSequences) -> Result<Vec<f32>, EnergyError>,
) -> Result<Vec<f32>, EnergyError> {
    let mut sums: Option<Vec<f32>> = None;
    for (step, weight) in weights.iter().enumerate() {
        let weighed = energies(&sequences.first_steps(step + 1))?.into_iter();
        let weighed = weighed.map(|e| weight * e);
        sums = Some(match sums {
            None => weighed.collect(),
            // A wrong number of energies stays one, for the caller to find.
            Some(sums) => sums.into_iter().zip(weighed).map(|(s, e)| s + e).collect(),
        });
    }
    Ok(sums.unwrap_or_default())
}

/// The same of energies and derivatives.
pub(crate) fn gradients_along(
    energy: &dyn Energy,
    sequences: &ActionSequences,
    weights: &[f32],
) -> Result<Gradients, EnergyError> {
    let row = sequences.horizon() * 7;
    let mut values = vec![0.0; sequences.values().len()];
    let energies = sum_along(sequences, weights, |prefix| {
        let gradients = energy.gradients(prefix)?;
        let (steps, weight) = (prefix.horizon(), weights[prefix.horizon() - 1]);
        let rows = values.chunks_exact_mut(row);
        for (sum, gradient) in rows.zip(gradients.values.chunks_exact(steps * 7)) {
            for (sum, derivative) in sum.iter_mut().zip(gradient) {
                *sum += weight * derivative;
            }
        }
        Ok(gradients.energies)
    })?;
    Ok(Gradients { energies, values })
}

/// Energies with their derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// One energy per sequence.
    pub energies: Vec<f32>,
    /// `[S, H, 7]`, as [`ActionSequences::values`].
    pub values: Vec<f32>,
}

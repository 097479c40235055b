//! Parameters, their gradients and their optimiser: what every trainer moves.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, RwLockReadGuard};

use candle_core::backprop::GradStore;
use candle_core::{Device, Error, Result};

use crate::adamw::clip_norm;
use crate::adapters::Adapters;
use crate::head_variables::HeadVariables;
use crate::trunk::Shared;
use crate::{AdamW, AdamWOptions};
use foresight_predictor::parameters::Parameters;

/// One network in training.
#[derive(Debug)]
pub struct TrainState {
    shared: Shared,
    optimiser: AdamW,
    average: Option<Average>,
}

/// An exponential moving average of the parameters: the target network of masked prediction.
#[derive(Debug)]
struct Average {
    momentum: f32,
    parameters: Parameters,
}

impl TrainState {
    /// With fresh moments and zero gradients.
    pub fn new(parameters: Parameters) -> Self {
        TrainState {
            optimiser: AdamW::new(parameters.entries(), AdamWOptions::default(), |_| true),
            shared: Shared::new(parameters),
            average: None,
        }
    }

    /// Leaves the parameters in `frozen` as they are; they get neither gradients nor moments.
    ///
    /// # Errors
    /// When another thread died holding the parameters.
    pub fn with_frozen(mut self, frozen: BTreeSet<String>) -> Result<Self> {
        self.optimiser = {
            let parameters = self.parameters()?;
            let moved = |name: &str| !frozen.contains(name);
            AdamW::new(parameters.entries(), AdamWOptions::default(), moved)
        };
        self.shared.frozen = Arc::new(frozen);
        Ok(self)
    }

    /// Trains only these adapters of the parameters, into which they are merged.
    ///
    /// # Errors
    /// When another thread died holding either.
    pub fn with_adapters(mut self, adapters: Adapters) -> Result<Self> {
        let all: BTreeSet<String> = {
            let parameters = self.parameters()?;
            let names = parameters.entries().iter().map(|(name, _)| name.clone());
            names.collect()
        };
        self.shared.frozen = Arc::new(all);
        {
            let values = adapters.values()?;
            self.optimiser = AdamW::new(values.entries(), AdamWOptions::default(), |_| true);
            *self.gradients()? = vec![0.0; values.values().len()];
        }
        self.shared.adapters = Some(Arc::new(adapters));
        Ok(self)
    }

    /// The adapters, where they are what is trained.
    pub fn adapters(&self) -> Option<&Adapters> {
        self.shared.adapters.as_deref()
    }

    /// Computes blocks again in the backward pass instead of keeping what they computed.
    #[must_use]
    pub fn with_recomputation(mut self, recompute: bool) -> Self {
        self.shared.recompute = recompute;
        self
    }

    /// Also keeps an exponential moving average of the parameters, that moves by
    /// `1 − momentum` towards them after every update.
    ///
    /// # Errors
    /// When another thread died holding the parameters.
    pub fn with_average(mut self, momentum: f64) -> Result<Self> {
        let parameters = self.parameters()?.clone();
        self.average = Some(Average {
            momentum: momentum as f32,
            parameters,
        });
        Ok(self)
    }

    /// The moving average, if one is kept.
    pub fn average(&self) -> Option<&Parameters> {
        self.average.as_ref().map(|a| &a.parameters)
    }

    /// The moving average, to restore it.
    pub fn average_mut(&mut self) -> Option<&mut Parameters> {
        self.average.as_mut().map(|a| &mut a.parameters)
    }

    /// Another momentum for the moving average, if one is kept.
    pub fn set_momentum(&mut self, momentum: f64) {
        if let Some(average) = &mut self.average {
            average.momentum = momentum as f32;
        }
    }

    /// What operations on the graph hold on to.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The optimiser, to save it.
    pub fn optimiser(&self) -> &AdamW {
        &self.optimiser
    }

    /// The optimiser, to restore it.
    pub fn optimiser_mut(&mut self) -> &mut AdamW {
        &mut self.optimiser
    }

    /// The parameters.
    ///
    /// # Errors
    /// When another thread died holding them.
    pub fn parameters(&self) -> Result<RwLockReadGuard<'_, Parameters>> {
        self.shared
            .parameters
            .read()
            .map_err(|_| Error::Msg("parameters were lost with a thread".into()))
    }

    /// The gradients, laid out as the parameters, or as the adapters where they are trained.
    ///
    /// # Errors
    /// When another thread died holding them.
    pub fn gradients(&self) -> Result<MutexGuard<'_, Vec<f32>>> {
        self.shared
            .gradients
            .lock()
            .map_err(|_| Error::Msg("gradients were lost with a thread".into()))
    }

    /// Gradients to zero.
    ///
    /// # Errors
    /// When another thread died holding them.
    pub fn clear(&self) -> Result<()> {
        self.gradients()?.fill(0.0);
        Ok(())
    }

    /// Candle variables for the parameters `wanted` selects, in main memory.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn heads(&self, wanted: impl Fn(&str) -> bool) -> Result<HeadVariables> {
        let parameters = self.parameters()?;
        HeadVariables::new(&parameters, wanted, &self.shared.frozen, &Device::Cpu)
    }

    /// Candle variables for all parameters, on `device`.
    ///
    /// # Errors
    /// When its memory runs out.
    pub fn heads_on(&self, device: &Device) -> Result<HeadVariables> {
        let parameters = self.parameters()?;
        HeadVariables::new(&parameters, |_| true, &self.shared.frozen, device)
    }

    /// Adds the gradients of `heads`.
    ///
    /// # Errors
    /// When one can't be read.
    pub fn collect(&self, heads: &HeadVariables, store: &GradStore) -> Result<()> {
        if self.shared.adapters.is_some() {
            return Ok(());
        }
        let parameters = self.parameters()?;
        heads.collect(store, &parameters, &mut self.gradients()?)
    }

    /// One AdamW update with the gradients at hand, clipped to the norm `clip` if given; returns
    /// their norm before clipping.
    ///
    /// # Errors
    /// When another thread died holding the parameters.
    pub fn update(&mut self, rate: f64, weight_decay: f64, clip: Option<f64>) -> Result<f64> {
        self.update_reached(rate, weight_decay, clip, |_| true)
    }

    /// As [`TrainState::update`], leaving alone the parameters that `reached` denies: those that no
    /// loss of this step came to.
    ///
    /// # Errors
    /// As [`TrainState::update`].
    pub fn update_reached(
        &mut self,
        rate: f64,
        weight_decay: f64,
        clip: Option<f64>,
        reached: impl Fn(&str) -> bool,
    ) -> Result<f64> {
        let shared = self.shared.clone();
        let lost = |_| Error::Msg("gradients were lost with a thread".into());
        let mut gradients = shared.gradients.lock().map_err(lost)?;
        let norm = clip_norm(&mut gradients, clip.unwrap_or(f64::INFINITY));
        let mut parameters = shared
            .parameters
            .write()
            .map_err(|_| Error::Msg("parameters were lost with a thread".into()))?;
        if let Some(adapters) = &shared.adapters {
            adapters.update(&mut parameters, |values| {
                let optimiser = &mut self.optimiser;
                optimiser.step(values, &gradients, rate, weight_decay, |_| true);
            })?;
            return Ok(norm);
        }
        let names = parameters.entries().iter();
        let reached: Vec<bool> = names.map(|(name, _)| reached(name)).collect();
        let values = parameters.values_mut();
        self.optimiser
            .step(values, &gradients, rate, weight_decay, |i| reached[i]);
        if let Some(average) = &mut self.average {
            let m = average.momentum;
            for (a, v) in average.parameters.values_mut().iter_mut().zip(values) {
                *a = m * *a + (1.0 - m) * *v;
            }
        }
        Ok(norm)
    }
}

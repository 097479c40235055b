//! The parameters outside the blocks, as candle variables for one step.

use std::collections::{BTreeSet, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::VarBuilder;

use crate::layers;
use crate::training_device::TrainingDevice;
use foresight_predictor::block::NORM_EPS;
use foresight_predictor::parameters::Parameters;

/// Fresh variables for one forward and backward pass; their gradients are read back into the
/// flat buffer. Made anew each step, so no graph survives it.
#[derive(Debug)]
pub struct HeadVariables {
    vars: HashMap<String, Var>,
    /// Parameters that are not trained.
    constants: HashMap<String, Tensor>,
}

impl HeadVariables {
    /// Variables on `device` for every parameter that `wanted` selects, constants for the `frozen`
    /// of them.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(
        parameters: &Parameters,
        wanted: impl Fn(&str) -> bool,
        frozen: &BTreeSet<String>,
        device: &Device,
    ) -> Result<Self> {
        let (mut vars, mut constants) = (HashMap::new(), HashMap::new());
        for (name, shape) in parameters.entries() {
            if wanted(name) {
                let (values, shape) = (parameters.slice(name), shape.as_slice());
                if frozen.contains(name) {
                    let constant = Tensor::from_slice(values, shape, device)?;
                    constants.insert(name.clone(), constant);
                } else {
                    vars.insert(name.clone(), Var::from_slice(values, shape, device)?);
                }
            }
        }
        Ok(HeadVariables { vars, constants })
    }

    /// One variable or constant.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        match (self.vars.get(name), self.constants.get(name)) {
            (Some(var), _) => Ok(var.as_tensor()),
            (None, Some(constant)) => Ok(constant),
            (None, None) => candle_core::bail!("no parameter of this step is called {name}"),
        }
    }

    /// All of them for a network to be built from, rounded on the graph to `place`'s numbers.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn variables(&self, place: &TrainingDevice) -> Result<VarBuilder<'static>> {
        let vars = self.vars.iter().map(|(name, var)| (name, var.as_tensor()));
        let tensors = vars
            .chain(&self.constants)
            .map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(place.dtype)?)))
            .collect::<Result<_>>()?;
        let TrainingDevice { device, dtype } = place;
        Ok(VarBuilder::from_tensors(tensors, *dtype, device))
    }

    /// `x` through the linear layer `name`.
    ///
    /// # Errors
    /// When the shapes don't agree.
    pub fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.get(&format!("{name}.weight"))?;
        layers::linear(x, weight, self.get(&format!("{name}.bias"))?)
    }

    /// `x` through the linear layer `name`, which doesn't learn from it.
    ///
    /// # Errors
    /// When the shapes don't agree.
    pub fn fixed_linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.get(&format!("{name}.weight"))?.detach();
        layers::linear(x, &weight, &self.get(&format!("{name}.bias"))?.detach())
    }

    /// `x` through the layer normalisation `name`.
    ///
    /// # Errors
    /// When the shapes don't agree.
    pub fn layer_norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.get(&format!("{name}.weight"))?;
        layers::layer_norm(x, weight, self.get(&format!("{name}.bias"))?, NORM_EPS)
    }

    /// Names of the variables that a loss came to.
    pub fn reached(&self, store: &GradStore) -> BTreeSet<String> {
        let vars = self.vars.iter();
        vars.filter(|(_, var)| store.get(var).is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Adds the variables' gradients to `gradients`, laid out as `parameters`. Parameters the
    /// loss didn't reach keep theirs.
    ///
    /// # Errors
    /// When a gradient can't be read.
    pub fn collect(
        &self,
        store: &GradStore,
        parameters: &Parameters,
        gradients: &mut [f32],
    ) -> Result<()> {
        for (name, var) in &self.vars {
            if let Some(gradient) = store.get(var) {
                let values: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
                for (g, v) in gradients[parameters.range(name)].iter_mut().zip(values) {
                    *g += v;
                }
            }
        }
        Ok(())
    }
}

//! A small network beside a world model, on a training step's graph.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use foresight_predictor::kernels::attention::Visibility;
use foresight_predictor::rope::RopeTable;
use foresight_predictor::side_network::NetworkLayers;
use foresight_predictor::{layout, PredictorConfig};

use crate::head_variables::HeadVariables;
use crate::layers::{gelu, normalise, relu};
use crate::train_state::TrainState;
use crate::trunk::Trunk;

/// Its parameters as variables of the graph.
pub(crate) struct TrainedLayers<'a> {
    /// Of its blocks, where it has any.
    pub(crate) network: Option<&'a PredictorConfig>,
    pub(crate) state: &'a TrainState,
    pub(crate) heads: &'a HeadVariables,
}

impl NetworkLayers for TrainedLayers<'_> {
    fn parameter(&self, name: &str) -> Result<Tensor> {
        self.heads.get(name).cloned()
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        self.heads.linear(name, x)
    }

    fn relu(&self, x: &Tensor) -> Result<Tensor> {
        relu(x)
    }

    fn gelu(&self, x: &Tensor) -> Result<Tensor> {
        gelu(x)
    }

    fn normalise(&self, x: &Tensor, eps: f64) -> Result<Tensor> {
        normalise(x, eps)
    }

    fn blocks(&self, x: &Tensor, rope: &Arc<RopeTable>) -> Result<Tensor> {
        let Some(network) = self.network else {
            candle_core::bail!("the network has no blocks");
        };
        let trunk = Trunk {
            shape: layout::predictor_block(network),
            depth: network.depth,
            prefix: "blocks".into(),
        };
        trunk.forward(self.state.shared(), x, rope, Visibility::All)
    }
}

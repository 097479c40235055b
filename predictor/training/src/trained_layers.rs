//! A small network beside a world model, on a training step's graph.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use foresight_predictor::block::NORM_EPS;
use foresight_predictor::kernels::attention::Visibility;
use foresight_predictor::rope::RopeTable;
use foresight_predictor::side_network::NetworkLayers;
use foresight_predictor::{layout, PredictorConfig};

use crate::head_variables::HeadVariables;
use crate::layers::normalise;
use crate::train_state::TrainState;
use crate::trunk::Trunk;

/// Its parameters as variables of the graph.
pub(crate) struct TrainedLayers<'a> {
    pub(crate) network: &'a PredictorConfig,
    pub(crate) state: &'a TrainState,
    pub(crate) heads: &'a HeadVariables,
}

impl NetworkLayers for TrainedLayers<'_> {
    fn parameter(&self, name: &str) -> Result<Tensor> {
        self.heads.get(name).cloned()
    }

    fn normalise(&self, x: &Tensor) -> Result<Tensor> {
        normalise(x, NORM_EPS)
    }

    fn blocks(&self, x: &Tensor, rope: &Arc<RopeTable>) -> Result<Tensor> {
        let trunk = Trunk {
            shape: layout::predictor_block(self.network),
            depth: self.network.depth,
            prefix: "blocks".into(),
        };
        trunk.forward(self.state.shared(), x, rope, Visibility::All)
    }
}

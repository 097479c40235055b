//! The goal head's network: words, a stage and what is seen now in; what will be seen then out.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::GoalHeadConfig;
use crate::block::NORM_EPS;
use crate::layout::{self, Entry};
use crate::rope::{Position, RopeTable};
use crate::side_network::NetworkLayers;

/// Places are told in units of this, m.
pub const PLACE_SCALE_M: f32 = 0.1;
/// Of what a place tells: the hand's x, y and z.
pub const PLACE: usize = 3;
/// What is told of how well a sentence fits the view: its object is there, its disc is there.
pub const FITS: usize = 2;

/// Names and shapes of the head's parameters.
pub fn layout(config: &GoalHeadConfig) -> Vec<Entry> {
    let network = &config.network;
    let (outer, d) = (network.embed_dim, network.predictor_embed_dim);
    let mut entries = Vec::new();
    let mut linear = |name: &str, inputs: usize, outputs: usize| {
        entries.push((format!("{name}.weight"), vec![outputs, inputs]));
        entries.push((format!("{name}.bias"), vec![outputs]));
    };
    linear("embed", outer, d);
    linear("state_encoder", 7, d);
    linear("head", d, outer);
    linear("place", d, PLACE);
    linear("fit", d, FITS);
    // Row 0 stands for no word.
    entries.push(("words.weight".into(), vec![config.vocabulary.len() + 1, d]));
    entries.push(("order.weight".into(), vec![config.most_words, d]));
    entries.push(("stages.weight".into(), vec![config.stages.len(), d]));
    entries.push(("query".into(), vec![d]));
    entries.push(("norm.weight".into(), vec![d]));
    entries.push(("norm.bias".into(), vec![d]));
    let shape = layout::predictor_block(network);
    entries.extend(layout::blocks("blocks", network.depth, shape));
    entries
}

/// What the head is asked, of `B` moments.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Latents of what is seen, `[B, N, D]`.
    pub now: Tensor,
    /// Poses, `[B, 7]`.
    pub states: Tensor,
    /// Numbers of the words, `[B, W]`, 0 after the last.
    pub words: Tensor,
    /// Numbers of the stages, `[B]`.
    pub stages: Tensor,
}

/// What the head answers.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Latents of what will be seen at the end of the stage, `[B, N, D]`.
    pub goal: Tensor,
    /// Where the hand will be then, `[B, 3]`, in units of [`PLACE_SCALE_M`] from the middle of the table.
    pub place: Tensor,
    /// Logits of how well the sentence fits, `[B, 2]`, see [`FITS`].
    pub fit: Tensor,
}

/// The network's answers.
///
/// # Errors
/// When shapes don't agree.
pub fn answers(
    config: &GoalHeadConfig,
    layers: &impl NetworkLayers,
    asked: &Asked,
) -> Result<Answered> {
    let network = &config.network;
    let (b, patches, _) = asked.now.dims3()?;
    let d = network.predictor_embed_dim;
    let scale = (d as f64).sqrt();
    let parameter = |name: &str| layers.parameter(name);
    let linear = |name: &str, x: &Tensor| layers.linear(name, x);
    let looked_up = |name: &str, numbers: &Tensor| {
        let rows = parameter(name)?.index_select(&numbers.flatten_all()?, 0)?;
        rows * scale
    };
    let words = looked_up("words.weight", &asked.words)?.reshape((b, config.most_words, d))?;
    let order = (parameter("order.weight")? * scale)?.unsqueeze(0)?;
    let stage = looked_up("stages.weight", &asked.stages)?;
    let query = (parameter("query")? * scale)?.reshape((1, 1, d))?;
    let seen = linear("embed", &asked.now.contiguous()?)?;
    let x = Tensor::cat(
        &[
            &query.broadcast_as((b, 1, d))?.contiguous()?,
            &stage.unsqueeze(1)?,
            &linear("state_encoder", &asked.states)?.unsqueeze(1)?,
            &words.broadcast_add(&order)?,
            // Every patch is told the stage too: it answers for itself.
            &seen.broadcast_add(&stage.unsqueeze(1)?)?,
        ],
        1,
    )?;
    let tokens = x.dim(1)?;
    let x = layers.blocks(&x.contiguous()?, &rope(config))?;
    let normed = layers
        .normalise(&x, NORM_EPS)?
        .broadcast_mul(&parameter("norm.weight")?)?
        .broadcast_add(&parameter("norm.bias")?)?;
    let token = |at: usize| normed.narrow(1, at, 1)?.squeeze(1)?.contiguous();
    let change = linear(
        "head",
        &normed.narrow(1, tokens - patches, patches)?.contiguous()?,
    )?;
    Ok(Answered {
        goal: (&asked.now + change)?,
        place: linear("place", &token(1)?)?,
        fit: linear("fit", &token(0)?)?,
    })
}

/// Words are nowhere in the picture; patches are where they are.
fn rope(config: &GoalHeadConfig) -> Arc<RopeTable> {
    let network = &config.network;
    let [rows, columns] = network.grid();
    let nowhere = Position {
        depth: 0.0,
        place: None,
    };
    let mut positions = vec![nowhere; 3 + config.most_words];
    positions.extend(RopeTable::grid(1, rows, columns));
    let head_dim = network.predictor_embed_dim / network.num_heads;
    Arc::new(RopeTable::new(&positions, head_dim, network.rope))
}

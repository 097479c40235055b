//! A stack of transformer blocks on our kernels as one differentiable candle operation.

use std::sync::{Arc, Mutex, RwLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::kernels::attention::Visibility;
use crate::kernels::{block, BlockShape, Parallelism, Saved, Workspace};
use crate::parameters::{block_gradients, Parameters};
use crate::rope::RopeTable;

/// Most pieces a batch is cut into, whatever the number of cores: each piece adds up its own
/// gradients and the pieces are summed in order, so results don't depend on the machine.
const MAX_SHARDS: usize = 4;

/// A network's parameters and the gradients of the current step, shared with the operations on
/// candle's graph.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Parameters, moved by the optimiser between steps.
    pub parameters: Arc<RwLock<Parameters>>,
    /// Gradients in the same layout.
    pub gradients: Arc<Mutex<Vec<f32>>>,
}

impl Shared {
    /// With zero gradients.
    pub fn new(parameters: Parameters) -> Self {
        let len = parameters.values().len();
        Shared {
            parameters: Arc::new(RwLock::new(parameters)),
            gradients: Arc::new(Mutex::new(vec![0.0; len])),
        }
    }
}

/// Blocks `<prefix>.0` … over `[B, N, D]`.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// Sizes of a block.
    pub shape: BlockShape,
    /// Number of blocks.
    pub depth: usize,
    /// Name of the list of blocks, e.g. `predictor_blocks`.
    pub prefix: String,
}

impl Trunk {
    /// `x [B, N, D]` through every block. Parameter gradients are added to `shared` when the
    /// backward pass reaches the result.
    ///
    /// # Errors
    /// When `x` is not an f32 tensor of that shape on the CPU.
    pub fn forward(
        &self,
        shared: &Shared,
        x: &Tensor,
        rope: &Arc<RopeTable>,
        visibility: Visibility,
    ) -> Result<Tensor> {
        x.contiguous()?.apply_op1(TrunkOp {
            trunk: self.clone(),
            shared: shared.clone(),
            rope: Arc::clone(rope),
            visibility,
            saved: Mutex::new(Vec::new()),
        })
    }
}

struct TrunkOp {
    trunk: Trunk,
    shared: Shared,
    rope: Arc<RopeTable>,
    visibility: Visibility,
    /// What each shard's blocks saved, filled by the forward pass.
    saved: Mutex<Vec<Vec<Saved>>>,
}

fn poisoned<T>(_: T) -> candle_core::Error {
    candle_core::Error::Msg("another thread failed in the middle of a training step".into())
}

impl TrunkOp {
    /// Values per shard and how each shard's products are spread.
    fn shards(&self, values: usize) -> (usize, Parallelism) {
        let sample = self.rope.tokens() * self.trunk.shape.dim;
        let samples = values / sample;
        let per_shard = samples.div_ceil(MAX_SHARDS).max(1);
        let inner = if samples == 1 {
            Parallelism::Rayon(0)
        } else {
            Parallelism::None
        };
        (per_shard * sample, inner)
    }
}

impl CustomOp1 for TrunkOp {
    fn name(&self) -> &'static str {
        "transformer-trunk"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("transformer-trunk needs a contiguous input");
        };
        let mut x = storage.as_slice::<f32>()?[start..end].to_vec();
        let (_, n, d) = layout.shape().dims3()?;
        if n != self.rope.tokens() || d != self.trunk.shape.dim {
            candle_core::bail!("transformer-trunk got tokens of another number or width");
        }
        let parameters = self.shared.parameters.read().map_err(poisoned)?;
        let (per_shard, inner) = self.shards(x.len());
        let saved = x
            .par_chunks_mut(per_shard)
            .map(|x| {
                let mut ws = Workspace::new(inner);
                (0..self.trunk.depth)
                    .map(|i| {
                        let w = parameters.block(&format!("{}.{i}", self.trunk.prefix));
                        let (shape, visibility) = (self.trunk.shape, self.visibility);
                        block::forward_saved(shape, &w, x, &self.rope, visibility, &mut ws)
                    })
                    .collect()
            })
            .collect();
        *self.saved.lock().map_err(poisoned)? = saved;
        Ok((CpuStorage::F32(x), layout.shape().clone()))
    }

    fn bwd(&self, _arg: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        let mut grad: Vec<f32> = grad_res.flatten_all()?.to_vec1()?;
        let saved = std::mem::take(&mut *self.saved.lock().map_err(poisoned)?);
        let parameters = self.shared.parameters.read().map_err(poisoned)?;
        let (per_shard, inner) = self.shards(grad.len());
        let name = |i: usize| format!("{}.{i}", self.trunk.prefix);
        let first = parameters.block_range(&name(0)).start;
        let last = parameters.block_range(&name(self.trunk.depth - 1)).end;
        let shards: Vec<Vec<f32>> = grad
            .par_chunks_mut(per_shard)
            .zip(saved)
            .map(|(grad, saved)| {
                let mut ws = Workspace::new(inner);
                let mut sum = vec![0.0; last - first];
                for (i, saved) in saved.iter().enumerate().rev() {
                    let w = parameters.block(&name(i));
                    let range = parameters.block_range(&name(i));
                    let buffer = &mut sum[range.start - first..range.end - first];
                    let mut g = block_gradients(&w, buffer);
                    let shape = self.trunk.shape;
                    block::backward(shape, &w, saved, grad, &self.rope, &mut g, &mut ws);
                }
                sum
            })
            .collect();
        let mut gradients = self.shared.gradients.lock().map_err(poisoned)?;
        for shard in &shards {
            for (g, s) in gradients[first..last].iter_mut().zip(shard) {
                *g += s;
            }
        }
        Ok(Some(Tensor::from_vec(
            grad,
            grad_res.shape(),
            grad_res.device(),
        )?))
    }
}

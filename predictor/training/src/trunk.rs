//! A stack of transformer blocks on our kernels as one differentiable candle operation.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, RwLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, Var};
use rayon::prelude::*;

use foresight_predictor::kernels::attention::Visibility;
use foresight_predictor::kernels::PARAMETER_NAMES;
use foresight_predictor::kernels::{block, BlockShape, Parallelism, Saved, Workspace};
use foresight_predictor::parameters::{block_gradients, Parameters};
use foresight_predictor::rope::RopeTable;

/// Most pieces a batch is cut into, whatever the number of cores: each piece adds up its own
/// gradients and the pieces are summed in order, so results don't depend on the machine.
pub(crate) const MAX_SHARDS: usize = 4;
/// Gradients of a piece that one thread sums over the shards.
const PIECE: usize = 1 << 14;

/// A network's parameters and the gradients of the current step, shared with the operations on
/// candle's graph.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Parameters, moved by the optimiser between steps.
    pub parameters: Arc<RwLock<Parameters>>,
    /// Gradients in the same layout.
    pub gradients: Arc<Mutex<Vec<f32>>>,
    /// Names of parameters that are not trained. A block is frozen with its first parameter.
    pub frozen: Arc<BTreeSet<String>>,
    /// Whether the backward pass runs each block forwards again instead of keeping what it
    /// computed: a third more work for a fraction of the memory, and the same numbers.
    pub recompute: bool,
}

impl Shared {
    /// With zero gradients; everything is trained.
    pub fn new(parameters: Parameters) -> Self {
        let len = parameters.values().len();
        Shared {
            parameters: Arc::new(RwLock::new(parameters)),
            gradients: Arc::new(Mutex::new(vec![0.0; len])),
            frozen: Arc::default(),
            recompute: false,
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
        let x = x.contiguous()?;
        // candle records no operation on an input that needs no gradient, but the parameters
        // in here need theirs: with frozen embeddings the input becomes a variable of its own.
        let input_gradient = x.track_op();
        let x = if input_gradient {
            x
        } else {
            Var::from_tensor(&x)?.into_inner()
        };
        x.apply_op1(TrunkOp {
            trunk: self.clone(),
            shared: shared.clone(),
            rope: Arc::clone(rope),
            visibility,
            input_gradient,
            saved: Mutex::new(Vec::new()),
        })
    }

    fn block(&self, i: usize) -> String {
        format!("{}.{i}", self.prefix)
    }
}

struct TrunkOp {
    trunk: Trunk,
    shared: Shared,
    rope: Arc<RopeTable>,
    visibility: Visibility,
    /// Whether anybody wants the gradient of the input.
    input_gradient: bool,
    /// What each shard's blocks left behind, filled by the forward pass.
    saved: Mutex<Vec<Vec<Kept>>>,
}

/// What one block heads for the backward pass.
enum Kept {
    /// All that it computed.
    Everything(Saved),
    /// Its input, to compute that again.
    Input(Vec<f32>),
    /// Nothing: the backward pass doesn't come here.
    Nothing,
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

    fn trained(&self, i: usize) -> bool {
        let first = format!("{}.{}", self.trunk.block(i), PARAMETER_NAMES[0]);
        !self.shared.frozen.contains(&first)
    }

    /// The first block the backward pass has to reach; the depth when it needn't come at all.
    fn lowest(&self) -> usize {
        if self.input_gradient {
            return 0;
        }
        let depth = self.trunk.depth;
        (0..depth).find(|i| self.trained(*i)).unwrap_or(depth)
    }

    fn forward(
        &self,
        parameters: &Parameters,
        i: usize,
        x: &mut [f32],
        ws: &mut Workspace,
    ) -> Saved {
        let w = parameters.block(&self.trunk.block(i));
        block::forward_saved(self.trunk.shape, &w, x, &self.rope, self.visibility, ws)
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
        let (lowest, recompute) = (self.lowest(), self.shared.recompute);
        let saved = x
            .par_chunks_mut(per_shard)
            .map(|x| {
                let mut ws = Workspace::new(inner);
                (0..self.trunk.depth)
                    .map(|i| {
                        let input = (recompute && i >= lowest).then(|| x.to_vec());
                        let saved = self.forward(&parameters, i, x, &mut ws);
                        match input {
                            Some(input) => Kept::Input(input),
                            None if i < lowest => Kept::Nothing,
                            None => Kept::Everything(saved),
                        }
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
        let mut gradients = self.shared.gradients.lock().map_err(poisoned)?;
        let (per_shard, inner) = self.shards(grad.len());
        let mut shards: Vec<Shard> = grad
            .chunks_mut(per_shard)
            .zip(saved)
            .map(|(grad, kept)| Shard {
                grad,
                kept,
                sum: Vec::new(),
                ws: Workspace::new(inner),
            })
            .collect();
        // Block by block, so that only one block's gradients are held per shard.
        for i in (self.lowest()..self.trunk.depth).rev() {
            let range = parameters.block_range(&self.trunk.block(i));
            shards
                .par_iter_mut()
                .try_for_each(|shard| shard.backward(self, &parameters, i, range.len()))?;
            if self.trained(i) {
                let pieces = gradients[range].par_chunks_mut(PIECE).enumerate();
                pieces.for_each(|(piece, gradients)| {
                    for shard in &shards {
                        let sum = &shard.sum[piece * PIECE..];
                        gradients.iter_mut().zip(sum).for_each(|(g, s)| *g += s);
                    }
                });
            }
        }
        drop(shards);
        if !self.input_gradient {
            return Ok(None);
        }
        Ok(Some(Tensor::from_vec(
            grad,
            grad_res.shape(),
            grad_res.device(),
        )?))
    }
}

/// Some of the samples on their way back through the blocks.
struct Shard<'a> {
    grad: &'a mut [f32],
    kept: Vec<Kept>,
    /// This shard's gradients of the block at hand.
    sum: Vec<f32>,
    ws: Workspace,
}

impl Shard<'_> {
    /// Through block `i`, the last that is left, of `len` parameters.
    fn backward(
        &mut self,
        op: &TrunkOp,
        parameters: &Parameters,
        i: usize,
        len: usize,
    ) -> Result<()> {
        let saved = match self.kept.pop() {
            Some(Kept::Everything(saved)) => saved,
            Some(Kept::Input(mut x)) => op.forward(parameters, i, &mut x, &mut self.ws),
            Some(Kept::Nothing) | None => {
                candle_core::bail!("transformer-trunk was taken back twice")
            }
        };
        let w = parameters.block(&op.trunk.block(i));
        self.sum.clear();
        self.sum.resize(len, 0.0);
        let mut g = block_gradients(&w, &mut self.sum);
        let (shape, rope) = (op.trunk.shape, &op.rope);
        block::backward(shape, &w, &saved, self.grad, rope, &mut g, &mut self.ws);
        Ok(())
    }
}

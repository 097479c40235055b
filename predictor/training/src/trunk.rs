//! A stack of transformer blocks on our kernels as one differentiable candle operation.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, Var};
use rayon::prelude::*;

use crate::adamw::PIECE;
use crate::adapters::Adapters;
use foresight_predictor::kernels::attention::Visibility;
use foresight_predictor::kernels::PARAMETER_NAMES;
use foresight_predictor::kernels::{
    block, BlockShape, Parallelism, Saved, SharedGradients, Workspace,
};
use foresight_predictor::parameters::{block_gradients, Parameters};
use foresight_predictor::rope::RopeTable;

/// Most pieces a batch is cut into, whatever the number of cores: each piece adds up its own
/// gradients and the pieces are summed in order, so results don't depend on the machine.
pub(crate) const MAX_SHARDS: usize = 4;

/// A network's parameters and the gradients of the current step, shared with the operations on
/// candle's graph.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Parameters, moved by the optimiser between steps.
    pub parameters: Arc<RwLock<Parameters>>,
    /// Gradients in the same layout, or in that of the adapters.
    pub gradients: Arc<Mutex<Vec<f32>>>,
    /// Names of parameters that are not trained. A block is frozen with its first parameter.
    pub frozen: Arc<BTreeSet<String>>,
    /// What is trained instead of the parameters.
    pub adapters: Option<Arc<Adapters>>,
    /// Whether the backward pass runs each block forwards again instead of keeping what it
    /// computed: a third more work for a fraction of the memory, and the same numbers.
    pub recompute: bool,
    /// Memory of earlier passes for later ones: asking the system for it costs as much as filling it.
    spare: Arc<Mutex<Vec<Saved>>>,
}

impl Shared {
    /// With zero gradients; everything is trained.
    pub fn new(parameters: Parameters) -> Self {
        let len = parameters.values().len();
        Shared {
            parameters: Arc::new(RwLock::new(parameters)),
            gradients: Arc::new(Mutex::new(vec![0.0; len])),
            frozen: Arc::default(),
            adapters: None,
            recompute: false,
            spare: Arc::default(),
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Saved>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys and values of tokens that went through the blocks, for tokens that come after: what a
/// rollout's next step sees of its earlier ones, without taking them through again. Gradients come back
/// the same way: a later pass adds to them, the earlier one, whose backward pass comes after, takes
/// them on.
#[derive(Debug, Default)]
pub struct Past {
    /// By shard, by block.
    shards: Mutex<Vec<Vec<PastBlock>>>,
}

#[derive(Debug, Clone)]
struct PastBlock {
    /// `[B, tokens, 2·D]`.
    kv: Vec<f32>,
    gradient: Vec<f32>,
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
        self.forward_after(shared, x, rope, visibility, None, 0)
            .map(|(x, _)| x)
    }

    /// As [`Trunk::forward`] for tokens that also see those of `past`. Also gives keys and values of the
    /// first `keep` tokens of all that were seen, `past`'s before `x`'s, for tokens that come after.
    ///
    /// # Errors
    /// As there.
    pub fn forward_after(
        &self,
        shared: &Shared,
        x: &Tensor,
        rope: &Arc<RopeTable>,
        visibility: Visibility,
        past: Option<Arc<Past>>,
        keep: usize,
    ) -> Result<(Tensor, Arc<Past>)> {
        let x = x.contiguous()?;
        // candle records no operation on an input that needs no gradient, but the parameters
        // in here need theirs: with frozen embeddings the input becomes a variable of its own.
        let input_gradient = x.track_op();
        let x = if input_gradient {
            x
        } else {
            Var::from_tensor(&x)?.into_inner()
        };
        let kept = Arc::new(Past::default());
        let x = x.apply_op1(TrunkOp {
            trunk: self.clone(),
            shared: shared.clone(),
            rope: Arc::clone(rope),
            visibility,
            past: past.unwrap_or_default(),
            kept: Arc::clone(&kept),
            keep,
            input_gradient,
            saved: Mutex::new(Vec::new()),
        })?;
        Ok((x, kept))
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
    past: Arc<Past>,
    kept: Arc<Past>,
    keep: usize,
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
        let block = self.trunk.block(i);
        let adapters = self.shared.adapters.as_ref();
        let first = format!("{block}.{}", PARAMETER_NAMES[0]);
        adapters.is_some_and(|a| a.adapts(&block)) || !self.shared.frozen.contains(&first)
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
        past: Option<&[PastBlock]>,
        ws: &mut Workspace,
    ) -> Saved {
        let w = parameters.block(&self.trunk.block(i));
        let past = past.map_or(&[][..], |blocks| &blocks[i].kv);
        let (shape, visibility) = (self.trunk.shape, self.visibility);
        let spare = self.shared.spare().pop().unwrap_or_default();
        block::forward_saved(shape, &w, x, &self.rope, visibility, past, spare, ws)
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
        let past = self.past.shards.lock().map_err(poisoned)?;
        let shards = x.par_chunks_mut(per_shard).enumerate().map(|(shard, x)| {
            let mut ws = Workspace::new(inner);
            let past = past.get(shard).map(Vec::as_slice);
            let blocks = (0..self.trunk.depth).map(|i| {
                let input = (recompute && i >= lowest).then(|| x.to_vec());
                let saved = self.forward(&parameters, i, x, past, &mut ws);
                let kv = saved.keys_and_values(self.keep, n, d);
                let gradient = vec![0.0; kv.len()];
                let saved = match input {
                    None if i >= lowest => Kept::Everything(saved),
                    input => {
                        self.shared.spare().push(saved);
                        input.map_or(Kept::Nothing, Kept::Input)
                    }
                };
                (saved, PastBlock { kv, gradient })
            });
            blocks.unzip()
        });
        let (saved, kept): (Vec<Vec<Kept>>, Vec<Vec<PastBlock>>) = shards.unzip();
        *self.saved.lock().map_err(poisoned)? = saved;
        if self.keep > 0 {
            *self.kept.shards.lock().map_err(poisoned)? = kept;
        }
        Ok((CpuStorage::F32(x), layout.shape().clone()))
    }

    fn bwd(&self, _arg: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        let mut grad: Vec<f32> = grad_res.flatten_all()?.to_vec1()?;
        let saved = std::mem::take(&mut *self.saved.lock().map_err(poisoned)?);
        let parameters = self.shared.parameters.read().map_err(poisoned)?;
        let mut gradients = self.shared.gradients.lock().map_err(poisoned)?;
        let (per_shard, inner) = self.shards(grad.len());
        let mut past = self.past.shards.lock().map_err(poisoned)?;
        let mut past = past.iter_mut();
        let mut later = self.kept.shards.lock().map_err(poisoned)?;
        let mut later = later.drain(..);
        let mut shards: Vec<Shard> = grad
            .chunks_mut(per_shard)
            .zip(saved)
            .map(|(grad, kept)| Shard {
                grad,
                kept,
                past: past.next().map(Vec::as_mut_slice),
                later: later.next(),
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
            if let (true, Some(adapters)) = (self.trained(i), &self.shared.adapters) {
                let mut sum = vec![0.0; range.len()];
                add_shards(&mut sum, &shards);
                adapters.collect(&self.trunk.block(i), &parameters, &sum, &mut gradients)?;
            } else if self.trained(i) {
                add_shards(&mut gradients[range], &shards);
            }
        }
        drop(shards);
        if !self.input_gradient {
            return Ok(None);
        }
        let gradient = Tensor::from_vec(grad, grad_res.shape(), grad_res.device());
        gradient.map(Some)
    }
}

/// Adds the shards' gradients of one block, shard by shard.
fn add_shards(gradients: &mut [f32], shards: &[Shard]) {
    let pieces = gradients.par_chunks_mut(PIECE).enumerate();
    pieces.for_each(|(piece, gradients)| {
        for shard in shards {
            let sum = &shard.sum[piece * PIECE..];
            gradients.iter_mut().zip(sum).for_each(|(g, s)| *g += s);
        }
    });
}

/// Some of the samples on their way back through the blocks.
struct Shard<'a> {
    grad: &'a mut [f32],
    kept: Vec<Kept>,
    past: Option<&'a mut [PastBlock]>,
    later: Option<Vec<PastBlock>>,
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
            Some(Kept::Input(mut x)) => {
                op.forward(parameters, i, &mut x, self.past.as_deref(), &mut self.ws)
            }
            Some(Kept::Nothing) | None => {
                candle_core::bail!("transformer-trunk was taken back twice")
            }
        };
        let w = parameters.block(&op.trunk.block(i));
        self.sum.clear();
        self.sum.resize(len, 0.0);
        let mut g = block_gradients(&w, &mut self.sum);
        let mut shared = SharedGradients {
            past: match &mut self.past {
                Some(blocks) => &mut blocks[i].gradient,
                None => &mut [],
            },
            later: self
                .later
                .as_ref()
                .map_or(&[], |blocks| &blocks[i].gradient),
        };
        let (shape, rope, ws) = (op.trunk.shape, &op.rope, &mut self.ws);
        block::backward(shape, &w, &saved, self.grad, rope, &mut g, &mut shared, ws);
        op.shared.spare().push(saved);
        Ok(())
    }
}

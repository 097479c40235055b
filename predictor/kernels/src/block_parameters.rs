//! Sizes and parameters of one transformer block.

/// Added to the variance in every affine layer normalisation of the models.
pub const NORM_EPS: f64 = 1e-6;

pub(crate) const EPS: f32 = NORM_EPS as f32;

/// Sizes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockShape {
    /// Width of a token, `D`.
    pub dim: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of the MLP, `M`.
    pub hidden: usize,
}

impl BlockShape {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.dim / self.heads
    }
}

/// Weight and bias of a linear layer, `[out, in]` row-major as PyTorch stores it and `[out]`, or of
/// a layer normalisation, `[D]` each.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct LayerParameters<T> {
    pub weight: T,
    pub bias: T,
}

impl LayerParameters<&mut [f32]> {
    /// The same for a while.
    pub(crate) fn reborrow(&mut self) -> LayerParameters<&mut [f32]> {
        LayerParameters {
            weight: self.weight,
            bias: self.bias,
        }
    }
}

/// What belongs to the parameters of one block.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct BlockParameters<T> {
    pub norm1: LayerParameters<T>,
    pub qkv: LayerParameters<T>,
    pub proj: LayerParameters<T>,
    pub norm2: LayerParameters<T>,
    pub fc1: LayerParameters<T>,
    pub fc2: LayerParameters<T>,
}

/// One block's parameters.
pub type BlockWeights<'a> = BlockParameters<&'a [f32]>;

/// Where one block's parameter gradients are added up.
pub type BlockGradients<'a> = BlockParameters<&'a mut [f32]>;

/// Names of a block's parameters, in the official order.
pub const PARAMETER_NAMES: [&str; 12] = [
    "norm1.weight",
    "norm1.bias",
    "attn.qkv.weight",
    "attn.qkv.bias",
    "attn.proj.weight",
    "attn.proj.bias",
    "norm2.weight",
    "norm2.bias",
    "mlp.fc1.weight",
    "mlp.fc1.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
];

impl<T> BlockParameters<T> {
    /// From what belongs to each of [`PARAMETER_NAMES`], in their order.
    pub fn from_array(all: [T; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = all;
        let layer = |weight, bias| LayerParameters { weight, bias };
        BlockParameters {
            norm1: layer(a, b),
            qkv: layer(c, d),
            proj: layer(e, f),
            norm2: layer(g, h),
            fc1: layer(i, j),
            fc2: layer(k, l),
        }
    }

    /// What belongs to each of [`PARAMETER_NAMES`], in their order.
    pub fn into_array(self) -> [T; 12] {
        let layers = [
            self.norm1, self.qkv, self.proj, self.norm2, self.fc1, self.fc2,
        ];
        let [a, b, c, d, e, f] = layers.map(|layer| [layer.weight, layer.bias]);
        let ([a, b], [c, d], [e, f], [g, h], [i, j], [k, l]) = (a, b, c, d, e, f);
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

#!/usr/bin/env bash
# candle-nn 0.11.1 (crates.io): fused operations without a backward pass drop out of the graph.
#
# One would guess: `backward()` through `candle_nn::ops::softmax_last_dim` or `LayerNorm` either
# gives the gradient, or an error that says there is none.
#
# What happens: neither. The fused kernels are custom operations without a backward pass, and their
# results are not tracked. Alone the variable is simply missing from the gradients; with a residual
# connection around the operation, as in every transformer block, it is there with a wrong value,
# as if the operation were a constant. `ops::softmax`, and a layer norm spelled out in plain
# operations, give the right one. Whoever trains a network written for inference gets wrong
# gradients and no word.
#
# The check: f(x) = sum(w * (x + softmax(x))), its gradient by candle against a difference quotient.
#
# Seen (x86_64, CPU): see the expected lines below.
#
# Fails when this changes. Needs cargo and the crates.io registry; takes minutes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
candle-core = "=0.11.1"
candle-nn = "=0.11.1"
[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{ops, LayerNorm, Module};

const X: [f32; 4] = [0.3, -0.7, 1.1, 0.2];
const W: [f32; 4] = [1.0, -2.0, 0.5, 3.0];

fn loss(op: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<Tensor> {
    let w = Tensor::new(&W, x.device())?.reshape((1, 4))?;
    ((x + op(x)?)? * w)?.sum_all()
}

fn compare(name: &str, op: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    let at = |x: [f32; 4]| Tensor::new(&x, &Device::Cpu)?.reshape((1, 4));
    let x = Var::from_tensor(&at(X)?)?;
    let gradient = loss(op, x.as_tensor())?.backward()?;
    let told = gradient.get(&x).map(|g| g.flatten_all()?.to_vec1::<f32>()).transpose()?;
    let mut worst = 0f32;
    for i in 0..4 {
        let value = |by: f32| -> Result<f32> {
            let mut moved = X;
            moved[i] += by;
            loss(op, &at(moved)?)?.to_scalar::<f32>()
        };
        let slope = (value(1e-2)? - value(-1e-2)?) / 2e-2;
        worst = worst.max(told.as_ref().map_or(f32::INFINITY, |g| (g[i] - slope).abs()));
    }
    let verdict = if worst < 5e-3 { "right" } else if worst.is_finite() { "wrong, without an error" } else { "missing" };
    println!("{name}: gradient {verdict}");
    Ok(())
}

fn main() -> Result<()> {
    compare("softmax", &|x| ops::softmax(x, 1))?;
    compare("softmax_last_dim", &ops::softmax_last_dim)?;
    let ones = Tensor::ones(4, DType::F32, &Device::Cpu)?;
    let zeros = Tensor::zeros(4, DType::F32, &Device::Cpu)?;
    let norm = LayerNorm::new(ones, zeros, 1e-6);
    compare("LayerNorm", &|x| norm.forward(x))?;
    compare("layer norm spelled out", &|x| {
        let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?;
        let variance = centred.sqr()?.mean_keepdim(1)?;
        centred.broadcast_div(&(variance + 1e-6)?.sqrt()?)
    })
}
RUST
seen=$(cd "$folder" && CARGO_TARGET_DIR="$folder/target" cargo run --quiet --release)
expected='softmax: gradient right
softmax_last_dim: gradient wrong, without an error
LayerNorm: gradient wrong, without an error
layer norm spelled out: gradient right'
if [ "$seen" != "$expected" ]; then
    printf 'it has changed; now:\n%s\n' "$seen"
    exit 1
fi
echo "as described"

//! The CPU kernels against candle's blocks over shapes that don't fit vectors or tiles.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::{close, values};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use foresight_predictor::block::Block;
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::kernels::attention::Visibility;
use foresight_predictor::kernels::BlockShape;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rope::RopeTable;
use foresight_predictor::RopeVariant;
use foresight_training::trunk::{Shared, Trunk};

fn entries(shape: BlockShape) -> Vec<(String, Vec<usize>)> {
    let (d, m) = (shape.dim, shape.hidden);
    [
        ("norm1.weight", vec![d]),
        ("norm1.bias", vec![d]),
        ("attn.qkv.weight", vec![3 * d, d]),
        ("attn.qkv.bias", vec![3 * d]),
        ("attn.proj.weight", vec![d, d]),
        ("attn.proj.bias", vec![d]),
        ("norm2.weight", vec![d]),
        ("norm2.bias", vec![d]),
        ("mlp.fc1.weight", vec![m, d]),
        ("mlp.fc1.bias", vec![m]),
        ("mlp.fc2.weight", vec![d, m]),
        ("mlp.fc2.bias", vec![d]),
    ]
    .into_iter()
    .map(|(name, shape)| (format!("blocks.0.{name}"), shape))
    .collect()
}

#[test]
fn forward_and_gradients_agree() {
    let cases = [
        // width, heads, hidden, grid, samples, steps (0: everything visible)
        (36, 3, 100, (2, 3), 3, 0),
        (26, 1, 31, (1, 1), 1, 0),
        (64, 4, 256, (4, 4), 2, 0),
        (48, 2, 97, (2, 2), 5, 3),
        (130, 5, 300, (3, 2), 2, 2),
    ];
    for (case, (dim, heads, hidden, (rows, columns), samples, steps)) in
        cases.into_iter().enumerate()
    {
        let shape = BlockShape { dim, heads, hidden };
        let mut parameters = Parameters::zeros(entries(shape));
        initialise(&mut parameters, Part::Encoder, case as u64);
        // Far from the initial distribution, so that every path matters.
        for (i, v) in parameters.values_mut().iter_mut().enumerate() {
            *v = *v * 4.0 + (i as f32 * 0.37).sin() * 0.1;
        }
        let device = Device::Cpu;
        let grid = RopeTable::grid(steps.max(1), rows, columns);
        let rope = Arc::new(RopeTable::new(&grid, dim / heads, RopeVariant::Tiled));
        let n = rope.tokens();
        let per_step = rows * columns;
        let x = Tensor::randn(0f32, 1.0, (samples, n, dim), &device).unwrap();
        let pull = Tensor::randn(0f32, 1.0, (samples, n, dim), &device).unwrap();

        let mut vars = BTreeMap::new();
        for (name, tensor) in parameters.to_tensors().unwrap() {
            vars.insert(name, Var::from_tensor(&tensor).unwrap());
        }
        let tensors = vars
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        let vb = VarBuilder::from_tensors(tensors, DType::F32, &device);
        let block = Block::new(dim, heads, hidden, vb.pp("blocks.0")).unwrap();
        let (cos, sin) = foresight_predictor::rope::tensors(&rope, &device).unwrap();
        let bias = (steps > 0).then(|| {
            let mut bias = vec![0f32; n * n];
            for query in 0..n {
                let visible = (query / per_step + 1) * per_step;
                bias[query * n + visible..(query + 1) * n].fill(f32::NEG_INFINITY);
            }
            Tensor::from_vec(bias, (n, n), &device).unwrap()
        });
        let reference_x = Var::from_tensor(&x).unwrap();
        let expected = block
            .forward(reference_x.as_tensor(), &cos, &sin, bias.as_ref())
            .unwrap();
        let loss = (&expected * &pull).unwrap().sum_all().unwrap();
        let expected_gradients = loss.backward().unwrap();

        let shared = Shared::new(parameters);
        let trunk = Trunk {
            shape,
            depth: 1,
            prefix: "blocks".into(),
        };
        let visibility = match steps {
            0 => Visibility::All,
            _ => Visibility::BlockCausal(per_step),
        };
        let our_x = Var::from_tensor(&x).unwrap();
        let got = trunk
            .forward(&shared, our_x.as_tensor(), &rope, visibility)
            .unwrap();
        let gradients = (&got * &pull)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();

        let scale = |v: &[f32]| v.iter().fold(1f32, |m, x| m.max(x.abs()));
        let label = |what: &str| format!("case {case}: {what}");
        let wanted = values(&expected);
        close(
            &label("output"),
            &values(&got),
            &wanted,
            2e-5 * scale(&wanted),
        );
        let wanted = values(expected_gradients.get(&reference_x).unwrap());
        let got = values(gradients.get(&our_x).unwrap());
        close(
            &label("gradient of x"),
            &got,
            &wanted,
            3e-5 * scale(&wanted),
        );
        let parameters = shared.parameters.read().unwrap();
        let ours = shared.gradients.lock().unwrap();
        for (name, var) in &vars {
            let wanted = values(expected_gradients.get(var).unwrap());
            let got = &ours[parameters.range(name)];
            close(&label(name), got, &wanted, 3e-5 * scale(&wanted));
        }
    }
}

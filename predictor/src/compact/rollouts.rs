//! A compact model's rollouts on the CPU kernels.
//!
//! One token a step needs a few megabytes whatever the samples, so budgets of memory are not asked.

use foresight_planner::ActionSequences;
use rayon::prelude::*;

use super::config::CompactConfig;
use super::network::NORM_EPS;
use crate::backend::stepwise::StepwisePredictor;
use crate::config::PredictorConfig;
use crate::goal_distance::GoalDistance;
use crate::kernels::inference::{ExecutionContext, PackedLinear};
use crate::kernels::modulated::{
    ModulatedBlock, ModulatedShape, ModulatedWeights, ModulatedWorkspace, WindowSteps,
};
use crate::kernels::packed::Rows;
use crate::kernels::{elementwise, Element, InstructionSet};
use crate::parameters::Parameters;
use crate::rollout::{Budget, RolloutStart};

/// Samples that one thread takes through the horizon together.
const SAMPLES_PER_CHUNK: usize = 64;

/// The predictor, its weights packed for this machine.
#[derive(Debug)]
pub(super) struct PackedRollouts<E: Element> {
    compact: CompactConfig,
    config: PredictorConfig,
    instruction_set: InstructionSet,
    /// First layer of an action: weights and bias. A handful of numbers, so not worth packing.
    first: [Vec<f32>; 2],
    action: [PackedLinear<E>; 2],
    pos_embed: Vec<f32>,
    blocks: Vec<ModulatedBlock<E>>,
    norm: [Vec<f32>; 2],
    head: [PackedLinear<E>; 2],
}

impl<E: Element> PackedRollouts<E> {
    /// Packs `parameters`, laid out as [`super::layout`].
    pub(super) fn new(
        compact: &CompactConfig,
        parameters: &Parameters,
        instruction_set: InstructionSet,
    ) -> Self {
        let pair =
            |name: &str| ["weight", "bias"].map(|p| parameters.slice(&format!("{name}.{p}")));
        let owned = |name: &str| pair(name).map(<[f32]>::to_vec);
        let linear = |name: &str| {
            let [weight, bias] = pair(name);
            PackedLinear::new(weight, bias)
        };
        let shape = ModulatedShape {
            width: compact.latent_dim,
            heads: compact.heads,
            head_dim: compact.head_dim,
            hidden: compact.mlp_hidden,
        };
        let block = |i: usize| {
            let part = |name: &str| pair(&format!("blocks.{i}.{name}"));
            let weights = ModulatedWeights {
                ada: part("ada"),
                norm1: part("norm1"),
                qkv: part("qkv"),
                out: part("out"),
                norm2: part("norm2"),
                fc1: part("fc1"),
                fc2: part("fc2"),
            };
            ModulatedBlock::new(shape, &weights)
        };
        PackedRollouts {
            config: compact.as_predictor(),
            compact: compact.clone(),
            instruction_set,
            first: owned("action.first"),
            action: [linear("action.fc1"), linear("action.fc2")],
            pos_embed: parameters.slice("pos_embed").to_vec(),
            blocks: (0..compact.depth).map(block).collect(),
            norm: owned("norm"),
            head: [linear("head.fc1"), linear("head.fc2")],
        }
    }
}

impl<E: Element> StepwisePredictor for PackedRollouts<E> {
    fn architecture(&self) -> &PredictorConfig {
        &self.config
    }

    /// LeWorldModel's: mean squared differences.
    fn apart(distance: &GoalDistance, latent: &[f32]) -> f32 {
        distance.squared(latent)
    }

    fn roll_out<R: Send + Default>(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        depth: usize,
        _budget: Budget,
        see: impl Fn(&mut R, usize, &[f32]) + Sync,
    ) -> Vec<R> {
        let threads = rayon::current_num_threads().max(1);
        let share = sequences.samples().div_ceil(threads);
        // Whole tiles of rows, unless there are fewer.
        let chunk = share.clamp(1, SAMPLES_PER_CHUNK);
        let d = self.compact.latent_dim;
        (0..sequences.samples().div_ceil(chunk))
            .into_par_iter()
            .flat_map_iter(|index| {
                let first = index * chunk;
                let samples = first..sequences.samples().min(first + chunk);
                let mut kept: Vec<R> = samples.clone().map(|_| R::default()).collect();
                let mut window = Window::new(self, depth, start.latent, samples.len());
                for step in 0..sequences.horizon() {
                    let actions = samples.clone().map(|sample| sequences.action(sample, step));
                    let latents = window.step(actions);
                    for (kept, latent) in kept.iter_mut().zip(latents.chunks_exact(d)) {
                        see(kept, step, latent);
                    }
                }
                kept
            })
            .collect()
    }
}

/// A few samples on their way through the horizon: the last steps of each.
struct Window<'a, E: Element> {
    packed: &'a PackedRollouts<E>,
    execution: ExecutionContext,
    blocks: &'a [ModulatedBlock<E>],
    samples: usize,
    /// Latents of every step so far, `[samples, D]` each.
    latents: Vec<Vec<f32>>,
    /// What the action of every step asks of every block, `[samples, 6·D]` each.
    modulations: Vec<Vec<Vec<f32>>>,
    /// Keys and values of the window, for every block.
    kept: Vec<Vec<f32>>,
    workspace: ModulatedWorkspace<E>,
    rows: Rows<E>,
    hidden: Rows<E>,
    x: Vec<f32>,
}

impl<'a, E: Element> Window<'a, E> {
    fn new(packed: &'a PackedRollouts<E>, depth: usize, latent: &[f32], samples: usize) -> Self {
        let config = &packed.compact;
        let blocks = &packed.blocks[..depth.min(packed.blocks.len())];
        let room = config.history * samples * 2 * config.attention_width();
        Window {
            packed,
            execution: ExecutionContext {
                instruction_set: packed.instruction_set,
                parallel: false,
            },
            blocks,
            samples,
            latents: vec![latent.repeat(samples)],
            modulations: Vec::new(),
            kept: vec![vec![0.0; room]; blocks.len()],
            workspace: ModulatedWorkspace::default(),
            rows: Rows::new(),
            hidden: Rows::new(),
            x: Vec::new(),
        }
    }

    /// Latents `[samples, D]` after one more action each.
    fn step<'b>(&mut self, actions: impl Iterator<Item = &'b [f32]>) -> &[f32] {
        let config = &self.packed.compact;
        let (d, now) = (config.latent_dim, self.modulations.len());
        self.tell(actions);
        // A window that only grows remembers what it has; one that moves on has every step at another
        // place, and takes them all anew.
        let oldest = (now + 1).saturating_sub(config.history);
        let first = if oldest == 0 { now } else { 0 };
        let steps = oldest + first..now + 1;
        self.x.clear();
        for (place, step) in (first..).zip(steps.clone()) {
            let place = &self.packed.pos_embed[place * d..(place + 1) * d];
            let rows = self.latents[step].chunks_exact(d);
            self.x
                .extend(rows.flat_map(|row| row.iter().zip(place).map(|(v, p)| v + p)));
        }
        for (i, (block, kept)) in self.blocks.iter().zip(&mut self.kept).enumerate() {
            let modulations: Vec<&[f32]> = steps
                .clone()
                .map(|step| &self.modulations[step][i][..])
                .collect();
            let steps = WindowSteps {
                samples: self.samples,
                first,
                modulations: &modulations,
                only_last: i + 1 == self.blocks.len(),
            };
            block.forward(
                self.execution,
                &mut self.x,
                steps,
                kept,
                &mut self.workspace,
            );
        }
        let last = &self.x[self.x.len() - self.samples * d..];
        self.rows.reshape(self.samples, d);
        let stride = self.rows.stride();
        let [weight, bias] = &self.packed.norm;
        let rows = self.rows.values_mut();
        elementwise::layer_norm_rounded(last, weight, bias, NORM_EPS as f32, rows, stride);
        self.hidden.reshape(self.samples, config.projector_hidden);
        let [fc1, fc2] = &self.packed.head;
        fc1.gelu(self.execution, self.rows.all(), &mut self.hidden);
        let mut next = vec![0.0; self.samples * d];
        fc2.set(self.execution, self.hidden.all(), &mut next);
        if config.residual {
            let before = self.latents[now].iter();
            next.iter_mut()
                .zip(before)
                .for_each(|(next, before)| *next += before);
        }
        self.latents.push(next);
        &self.latents[now + 1]
    }

    /// Embeds the actions of one more step.
    fn tell<'b>(&mut self, actions: impl Iterator<Item = &'b [f32]>) {
        let config = &self.packed.compact;
        let (d, width) = (config.latent_dim, config.action_width);
        let [weight, bias] = &self.packed.first;
        let mut told = Vec::with_capacity(self.samples * width);
        for action in actions {
            let action: Vec<f32> = config.told(action).collect();
            let outputs = weight.chunks_exact(action.len()).zip(bias);
            told.extend(outputs.map(|(row, bias)| {
                bias + row.iter().zip(&action).map(|(w, a)| w * a).sum::<f32>()
            }));
        }
        let mut through =
            |layer: &PackedLinear<E>, told: Vec<f32>, inputs: usize, outputs: usize| {
                self.rows.reshape(self.samples, inputs);
                let stride = self.rows.stride();
                elementwise::round_rows(&told, inputs, self.rows.values_mut(), stride);
                let mut out = vec![0.0; self.samples * outputs];
                layer.set(self.execution, self.rows.all(), &mut out);
                out.iter_mut().for_each(|v| *v /= 1.0 + (-*v).exp());
                out
            };
        let [fc1, fc2] = &self.packed.action;
        let told = through(fc1, told, width, config.action_hidden);
        let told = through(fc2, told, config.action_hidden, d);
        self.rows.reshape(self.samples, d);
        let stride = self.rows.stride();
        elementwise::round_rows(&told, d, self.rows.values_mut(), stride);
        let modulation = |block: &ModulatedBlock<E>| {
            let mut modulation = vec![0.0; self.samples * 6 * d];
            block.modulation(self.execution, self.rows.all(), &mut modulation);
            modulation
        };
        self.modulations
            .push(self.blocks.iter().map(modulation).collect());
    }
}

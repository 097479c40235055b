//! `fixtures/lewm`: LeWorldModel as stable-worldmodel computes it, read from its own checkpoint.

use candle_core::{DType, Device, Result, Tensor};
use foresight_planner::{ActionSequences, Component, Energy, Pose};
use foresight_predictor::block::normalise;
use foresight_predictor::compact::{convert, is_compact, network, save};
use foresight_predictor::parameters::Tensors;
use foresight_predictor::rollout::Budget;
use foresight_predictor::side_network::NetworkLayers;
use foresight_predictor::{ComputeDevice, Precision, RopeVariant, WorldModel};

use crate::support::{close, values};

const ACTIONS: [Component; 3] = [Component::X, Component::Y, Component::Gripper];
/// What the program divides actions by; the fixture's are told as they are.
const SCALE: [f32; 3] = [0.05, 0.05, 1.0];

/// The project's own, wherever the official ones are.
fn own(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/lewm");
    folder.join(name)
}

fn golden() -> Tensors {
    let file = own("golden.safetensors");
    let read = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    read.into_iter().collect()
}

fn loaded(checkpoint: &str, precision: Precision) -> WorldModel {
    let folder = tempfile::tempdir().unwrap();
    let (config, tensors) = convert(&own(checkpoint), &ACTIONS, &SCALE).unwrap();
    save(folder.path(), &config, &tensors).unwrap();
    assert!(is_compact(folder.path()));
    WorldModel::load_on(folder.path(), ComputeDevice::Cpu, precision).unwrap()
}

fn candidates(told: &Tensor) -> ActionSequences {
    let (samples, horizon, _) = told.dims3().unwrap();
    let mut sequences = ActionSequences::zeros(samples, horizon);
    let told = values(told);
    for (number, told) in told.chunks_exact(ACTIONS.len()).enumerate() {
        let action = sequences.action_mut(number / horizon, number % horizon);
        for ((component, scale), told) in ACTIONS.iter().zip(SCALE).zip(told) {
            action[component.index()] = scale * told;
        }
    }
    sequences
}

fn latents(model: &WorldModel, pixels: &Tensor) -> Vec<foresight_predictor::Latent> {
    model.encode_pixels(&values(pixels)).unwrap()
}

#[test]
fn latents_and_energies_are_those_of_stable_worldmodel() {
    let golden = golden();
    for checkpoint in ["weights.pt", "transformers_5.pt"] {
        let model = loaded(checkpoint, Precision::F32);
        let seen = latents(&model, &golden["in.pixels"]);
        let flat: Vec<f32> = seen.iter().flat_map(|l| l.values.clone()).collect();
        close(checkpoint, &flat, &values(&golden["out.latents"]), 5e-5);
        // The first picture of the first clip, towards that of the second.
        let steps = golden["in.pixels"].dim(1).unwrap();
        let energy = model.energy(
            &seen[0],
            &Pose::from_array([0.0; 7]),
            &seen[steps],
            Budget::default(),
        );
        let energies = energy.energies(&candidates(&golden["in.candidates"]));
        // Its cost is the sum of squares, ours their mean.
        let width = seen[0].values.len() as f32;
        let ours: Vec<f32> = energies.unwrap().iter().map(|e| e * width).collect();
        let theirs = values(&golden["out.energies"]);
        let most = theirs.iter().copied().fold(0.0, f32::max);
        close(checkpoint, &ours, &theirs, 2e-5 * most);
    }
}

#[test]
fn a_rollout_ends_where_its_energy_was_measured_whatever_the_threads() {
    let golden = golden();
    let model = loaded("weights.pt", Precision::F32);
    let seen = latents(&model, &golden["in.pixels"]);
    let sequences = candidates(&golden["in.candidates"]);
    let pose = Pose::from_array([0.0; 7]);
    let energy = model.energy(&seen[0], &pose, &seen[1], Budget::default());
    let alone = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let energies = energy.energies(&sequences).unwrap();
    assert_eq!(
        energies,
        alone.install(|| energy.energies(&sequences)).unwrap()
    );
    for sample in [0, 6] {
        let rollout = model
            .rollout(&seen[0], &pose, None, &sequences, sample)
            .unwrap();
        let last = rollout.latents.last().unwrap();
        let apart = last
            .iter()
            .zip(&seen[1].values)
            .map(|(a, b)| (a - b) * (a - b));
        let mean = apart.sum::<f32>() / last.len() as f32;
        assert!(
            (mean - energies[sample]).abs() < 1e-6 * mean,
            "{mean} {energies:?}"
        );
    }
}

#[test]
fn bf16_orders_candidates_as_f32_does() {
    let golden = golden();
    let sequences = candidates(&golden["in.candidates"]);
    let energies = |precision| {
        let model = loaded("weights.pt", precision);
        let seen = latents(&model, &golden["in.pixels"]);
        let energy = model.energy(
            &seen[0],
            &Pose::from_array([0.0; 7]),
            &seen[1],
            Budget::default(),
        );
        energy.energies(&sequences).unwrap()
    };
    let (exact, rounded) = (energies(Precision::F32), energies(Precision::Bf16));
    for (a, b) in exact.iter().zip(&rounded) {
        assert!((a - b).abs() < 0.05 * a, "{exact:?} {rounded:?}");
    }
}

/// Plain tensors.
struct Plain(Tensors);

impl NetworkLayers for Plain {
    fn parameter(&self, name: &str) -> Result<Tensor> {
        Ok(self.0[name].clone())
    }

    fn normalise(&self, x: &Tensor, eps: f64) -> Result<Tensor> {
        normalise(x, eps)
    }

    fn blocks(
        &self,
        _x: &Tensor,
        _rope: &std::sync::Arc<foresight_predictor::rope::RopeTable>,
    ) -> Result<Tensor> {
        unreachable!("{:?}", RopeVariant::default())
    }
}

#[test]
fn a_window_of_next_latents_is_stable_worldmodel_s() {
    let golden = golden();
    let file = own("weights.pt");
    let (config, tensors) = convert(&file, &ACTIONS, &[1.0; 3]).unwrap();
    let layers = Plain(tensors);
    let next = network::predict(
        &config,
        &layers,
        &golden["out.latents"],
        &golden["in.actions"],
    );
    let next = next.unwrap().to_dtype(DType::F32).unwrap();
    close(
        "next latents",
        &values(&next),
        &values(&golden["out.next_latents"]),
        5e-5,
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let weights = own("weights.pt");
    let error = convert(&weights, &ACTIONS[..2], &SCALE[..2])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("3 numbers") && error.contains("--actions"),
        "{error}"
    );
    let elsewhere = own("../09_checkpoints");
    let other = std::fs::read_dir(elsewhere).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|e| e == "pt").then_some(path)
    });
    let folder = tempfile::tempdir().unwrap();
    let other = match other {
        Some(path) => std::fs::read(path).unwrap(),
        None => vec![0; 64],
    };
    std::fs::write(folder.path().join("weights.pt"), other).unwrap();
    std::fs::copy(
        weights.with_file_name("config.json"),
        folder.path().join("config.json"),
    )
    .unwrap();
    let error = convert(&folder.path().join("weights.pt"), &ACTIONS, &SCALE).unwrap_err();
    assert!(error.to_string().contains("weights.pt"), "{error}");
    // A picture of another size.
    let model = loaded("weights.pt", Precision::F32);
    let error = model
        .encoder()
        .encode(&[0.0; 3 * 16 * 16], [16, 16])
        .unwrap_err();
    assert!(error.to_string().contains("32×32 px, not 16×16"), "{error}");
}

//! `fixtures/lewm`: the published losses of LeWorldModel, and that a compact model learns.

use candle_core::{DType, Device, Result, Tensor, Var};
use foresight_planner::Component;
use foresight_predictor::block::normalise;
use foresight_predictor::compact::convert;
use foresight_predictor::parameters::Tensors;
use foresight_predictor::rope::RopeTable;
use foresight_predictor::side_network::NetworkLayers;
use foresight_training::compact_trainer::losses;
use foresight_training::objectives::sigreg::{self, Sketch};
use foresight_training::objectives::told::{CompactObjectives, Told};

use crate::support::{close, values};

/// The project's own, wherever the official ones are.
fn own(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/lewm");
    folder.join(name)
}

struct Plain(Tensors);

impl NetworkLayers for Plain {
    fn parameter(&self, name: &str) -> Result<Tensor> {
        Ok(self.0[name].clone())
    }

    fn normalise(&self, x: &Tensor, eps: f64) -> Result<Tensor> {
        normalise(x, eps)
    }

    fn blocks(&self, _x: &Tensor, _rope: &std::sync::Arc<RopeTable>) -> Result<Tensor> {
        candle_core::bail!("a compact model has no such blocks")
    }
}

#[test]
fn losses_and_their_gradient_are_the_published_ones() {
    let folder = own("");
    let golden = candle_core::safetensors::load(folder.join("golden.safetensors"), &Device::Cpu);
    let golden: Tensors = golden.unwrap().into_iter().collect();
    let actions = [Component::X, Component::Y, Component::Gripper];
    let (config, tensors) = convert(&folder.join("weights.pt"), &actions, &[1.0; 3]).unwrap();
    let latents = Var::from_tensor(&golden["loss.latents"]).unwrap();
    let directions = &golden["loss.directions"];
    let sketch = |x: &Tensor| sigreg::along(x, directions, Sketch::PUBLISHED);
    let published = CompactObjectives::default();
    let layers = Plain(tensors);
    let told = Told {
        actions: golden["loss.actions"].clone(),
        poses: None,
        changes: None,
    };
    let (loss, parts) = losses(&config, &published, &layers, &latents, &told, sketch).unwrap();
    let number = |name: &str| f64::from(values(&golden[name])[0]);
    for (ours, name) in [
        (parts.prediction, "loss.prediction"),
        (parts.sigreg, "loss.sigreg"),
        (parts.total, "loss.total"),
    ] {
        let theirs = number(name);
        assert!(
            (ours - theirs).abs() < 2e-5 * theirs,
            "{name}: {ours}, not {theirs}"
        );
    }
    let store = loss.backward().unwrap();
    let gradient = store.get(&latents).unwrap().to_dtype(DType::F32).unwrap();
    let theirs = values(&golden["loss.gradient"]);
    let most = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
    close("gradient", &values(&gradient), &theirs, 2e-5 * most);
}

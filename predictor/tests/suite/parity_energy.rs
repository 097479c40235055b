//! Fixtures 06 and, when present, 10: the energy landscape of the official notebook.

use crate::support::{close, of_kind, root, values, Fixture};
use candle_core::DType;
use foresight_planner::{Landscape, Pose};
use foresight_predictor::rollout::Budget;
use foresight_predictor::{EncoderConfig, ModelConfig, PredictorConfig, WorldModel};

const BOUND: f32 = 2e-6;

fn check(fixture: &Fixture) {
    let encoder: EncoderConfig = fixture.parse("encoder_config");
    let predictor: PredictorConfig = fixture.parse("predictor_config");
    let config = ModelConfig {
        model_type: "foresight".into(),
        name: String::new(),
        encoder,
        predictor: Some(predictor),
        mask_predictor: None,
        action_space: Default::default(),
    };
    let model = WorldModel::from_tensors(
        config,
        &fixture.weights("encoder_weights"),
        &fixture.weights("predictor_weights"),
    )
    .unwrap();
    // [1, 3, 2, H, W] to two frames [2, 3, H, W]; the second is the goal unless reversed.
    let frames = fixture.get("in.clips").squeeze(0).unwrap();
    let frames = frames.transpose(0, 1).unwrap().contiguous().unwrap();
    let latents = model.encode_pixels(&values(&frames)).unwrap();
    let both: Vec<f32> = latents.iter().flat_map(|l| l.values.clone()).collect();
    close("h", &both, &fixture.vec("out.h"), 5e-5);
    let states = fixture.vec("in.states");
    let pose = |at: usize| Pose::from_array(std::array::from_fn(|i| f64::from(states[at + i])));
    let difference = pose(0).action_to(&pose(7)).to_array().map(|v| v as f32);
    let expected = fixture
        .get("out.gt_action_f64")
        .to_dtype(DType::F32)
        .unwrap();
    close("true action", &difference, &values(&expected), 1e-6);
    for variant in fixture.json["variants"].as_array().unwrap() {
        let name = variant["name"].as_str().unwrap();
        let nsamples = variant["nsamples"].as_u64().unwrap() as usize;
        let repeat = variant["action_repeat"].as_u64().unwrap() as usize;
        let grid = variant["grid_size"].as_f64().unwrap();
        let energy = model.energy(&latents[0], &pose(0), &latents[1], Budget::default());
        let landscape = Landscape::compute(&energy, nsamples, grid, repeat).unwrap();
        let expected = fixture.vec(&format!("out.{name}.energies"));
        close(
            &format!("{} {name}", fixture.path.display()),
            &landscape.energies,
            &expected,
            BOUND,
        );
        // The notebook's picture: energies summed over y.
        let sums: Vec<f32> = landscape.sum_over_y().iter().map(|s| *s as f32).collect();
        let heatmap = fixture.get(&format!("out.{name}.heatmap_xz"));
        let heatmap = heatmap.to_dtype(DType::F32).unwrap();
        let bound = BOUND * nsamples as f32;
        close(
            &format!("{name} summed over y"),
            &sums,
            &values(&heatmap),
            bound,
        );
    }
}

#[test]
fn parity_energy() {
    for fixture in of_kind("06_energy", "energy") {
        check(&fixture);
    }
}

#[test]
fn parity_energy_on_the_official_frames() {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures");
    let with_frames = [root(), beside]
        .into_iter()
        .find(|path| path.join("10_franka/energy.json").exists());
    let Some(folder) = with_frames else {
        println!("skipped: 10_franka is not here (Meta's frames are not ours to copy)");
        return;
    };
    // 10_franka refers to the weights of 01 and 02 in the same folder.
    let path = folder.join("10_franka").to_string_lossy().into_owned();
    for fixture in of_kind(&path, "energy") {
        check(&fixture);
    }
}

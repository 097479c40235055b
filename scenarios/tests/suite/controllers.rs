//! Controllers and the environment they drive: the camera's action map, the camera's pose, policies.

use std::path::{Path, PathBuf};

use foresight_planner::control_loop::Plant;
use foresight_planner::{Action, ActionSequences, Constraints, CostModel, Decision, Energy, Plan};
use foresight_predictor::checkpoint::init::{initialise, preset};
use foresight_predictor::checkpoint::Part;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::policy::{self, PolicyConfig};
use foresight_predictor::{layout, WorldModel};
use foresight_scenarios::controllers::{LoadedModel, TrueDynamics};
use foresight_scenarios::dry_run::dry_run;
use foresight_scenarios::env::{Env, EnvPlant};
use foresight_scenarios::scenario::RobotKind;
use foresight_scenarios::{EpisodeSpec, LoadedScenario, ModelSource, RunError};
use foresight_sim::Camera;

/// Turns planned translations by a quarter and makes them shorter.
const MAP: [[f64; 2]; 2] = [[0.0, -0.8], [0.8, 0.0]];
const SEED: u64 = 900_050;

fn reach() -> LoadedScenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reach.toml");
    let mut loaded = LoadedScenario::read(&file).expect("the bundled scenario");
    loaded.scenario.planner.samples = 16;
    loaded.scenario.planner.iterations = 2;
    loaded.scenario.planner.topk = 4;
    loaded
}

fn mapped() -> LoadedScenario {
    let mut loaded = reach();
    loaded.scenario.robot.action_map_xy = Some(MAP);
    loaded
}

fn model_dir() -> PathBuf {
    reach().model_dir().expect("the bundled model")
}

/// A small model of random weights that takes the camera's pose, or doesn't.
fn random_model(use_extrinsics: bool) -> ModelSource {
    let mut config = preset("tiny").expect("a preset");
    config
        .predictor
        .as_mut()
        .expect("a predictor")
        .use_extrinsics = use_extrinsics;
    let weights = |entries, part| {
        let mut parameters = Parameters::zeros(entries);
        initialise(&mut parameters, part, 3);
        parameters.to_tensors().expect("tensors")
    };
    let encoder = weights(layout::encoder(&config.encoder), Part::Encoder);
    let predictor = config.predictor.as_ref().map(layout::predictor);
    let predictor = weights(predictor.expect("a predictor"), Part::AcPredictor);
    let model = WorldModel::from_tensors(config, &encoder, &predictor).expect("a model");
    ModelSource::Latent(Box::new(LoadedModel {
        head: None,
        model,
        dir: "random".into(),
        level_two: None,
        anchors: None,
    }))
}

/// What is decided first in an episode.
fn first_plan(loaded: &LoadedScenario, source: &ModelSource) -> Result<Plan, RunError> {
    let spec = EpisodeSpec::new(loaded, SEED);
    let mut ready = source.controller(&spec, &spec.goal_images()?)?;
    let mut env = Env::in_virtual_time(&spec)?;
    let observation = EnvPlant::new(&mut env, &spec, ready.observed.clone(), None)?.observe()?;
    let constraints = Constraints::default();
    match ready.controller.decide(&observation, &constraints, 0)? {
        Decision::Act { plan, .. } => Ok(plan),
        Decision::Advance => Err(RunError::Input("nothing was decided".into())),
    }
}

#[test]
fn the_action_map_is_between_the_plan_and_the_arm_and_nowhere_else() {
    let spec = EpisodeSpec::new(&mapped(), SEED);
    let mut env = Env::in_virtual_time(&spec).expect("an environment");
    let mut plant = EnvPlant::new(&mut env, &spec, None, None).expect("a plant");
    plant.observe().expect("an observation");
    let planned = Action::from_array([0.03, 0.01, -0.02, 0.0, 0.0, 0.0, 0.0]);
    let executed = plant.execute(&planned).expect("an execution").execution;
    let [x, y, z] = executed.requested.translation_m;
    assert!((x + 0.008).abs() < 1e-12 && (y - 0.024).abs() < 1e-12 && z == -0.02);
    // What is decided on, on the other hand, doesn't know the map: dry runs show both.
    let folder = tempfile::tempdir().expect("a folder");
    let frame = folder.path().join("frame.png");
    let dry = dry_run(&mapped(), &ModelSource::Oracle, SEED, frame).expect("a dry run");
    let [px, py, pz, ..] = dry.steps[0].planned_action;
    let [ax, ay, az, ..] = dry.steps[0].action;
    assert!(px.hypot(py) > 0.01, "{dry:?}");
    assert!((ax + 0.8 * py).abs() < 1e-12 && (ay - 0.8 * px).abs() < 1e-12 && az == pz);
}

/// Energies by true dynamics of a planned action.
fn true_energy(loaded: &LoadedScenario, source: &ModelSource, [x, y, z]: [f32; 3]) -> f32 {
    let spec = EpisodeSpec::new(loaded, SEED);
    let LoadedModel { model, .. } = source.eyes().expect("a model");
    let goals: Vec<_> = spec.goal_images().expect("goal images");
    let goals = model
        .encode(&goals.iter().collect::<Vec<_>>())
        .expect("latents");
    let dynamics = TrueDynamics::new(model, goals, &spec);
    let mut env = Env::in_virtual_time(&spec).expect("an environment");
    let plant = EnvPlant::new(&mut env, &spec, Some(dynamics.observed()), None);
    let observation = plant.expect("a plant").observe().expect("an observation");
    let state = dynamics.encode(&observation).expect("a state");
    let goal = dynamics.begin_goal(0, &state, None).expect("a goal");
    let mut sequences = ActionSequences::zeros(1, 1);
    sequences.action_mut(0, 0)[..3].copy_from_slice(&[x, y, z]);
    let energy = dynamics.energy(&state, &goal);
    energy.energies(&sequences).expect("energies")[0]
}

#[test]
fn true_dynamics_try_out_what_the_arm_would_be_asked_for() {
    let source = ModelSource::model(&model_dir()).expect("a model");
    let planned = [0.05, 0.02, -0.01];
    let asked = [-0.8 * 0.02, 0.8 * 0.05, -0.01];
    let with_map = true_energy(&mapped(), &source, planned);
    let without = true_energy(&reach(), &source, asked);
    assert!((with_map - without).abs() < 1e-4, "{with_map} {without}");
    let unmapped = true_energy(&reach(), &source, planned);
    assert!((with_map - unmapped).abs() > 1e-3, "{with_map} {unmapped}");
}

#[test]
fn true_dynamics_are_refused_where_nothing_can_be_copied() {
    let spec = EpisodeSpec::new(&reach(), SEED);
    let source = ModelSource::model(&model_dir())
        .expect("a model")
        .with_true_dynamics();
    let images = spec.goal_images().expect("goal images");
    let ready = source.controller(&spec, &images).expect("a controller");
    let mut env = Env::in_real_time(&spec).expect("a served simulator");
    let error = EnvPlant::new(&mut env, &spec, ready.observed, None)
        .err()
        .expect("refused");
    assert!(error.to_string().contains("--virtual-time"), "{error}");
}

#[test]
fn a_model_sees_as_many_cameras_as_film_the_scene() {
    let mut loaded = reach();
    let camera = Camera {
        eye_m: [0.68, -0.67, 0.50],
        look_at_m: [0.5, 0.015, 0.10],
        fov_rad: 0.48,
    };
    loaded.scenario.scene.other_cameras = vec![camera];
    let source = ModelSource::model(&model_dir()).expect("a model");
    let error = first_plan(&loaded, &source).expect_err("refused");
    let text = error.to_string();
    assert!(
        error.is_input() && text.contains("sees 1 camera and the scenario has 2; remove"),
        "{text}"
    );
}

#[test]
fn a_predictor_plans_with_the_camera_s_pose() {
    let source = random_model(true);
    // The simulated camera's own, and that one stated.
    let simulated = first_plan(&reach(), &source).expect("a plan");
    let spec = EpisodeSpec::new(&reach(), SEED);
    let model = source.predicting().expect("a model");
    let own = spec.extrinsics_for(model).expect("a pose");
    let mut loaded = reach();
    loaded.scenario.camera.extrinsics = own;
    assert_eq!(first_plan(&loaded, &source).expect("a plan"), simulated);
    // Another pose is another prediction. Random weights rank actions alike all the same.
    loaded.scenario.camera.extrinsics = Some([-4.0, 5.0, 6.0, 2.0, -1.0, 3.0]);
    let moved = first_plan(&loaded, &source).expect("a plan");
    assert_ne!(moved.energy(), simulated.energy());
}

#[test]
fn a_model_without_its_camera_s_pose_says_what_to_add() {
    let mut loaded = reach();
    loaded.scenario.robot.kind = RobotKind::Franka;
    let spec = EpisodeSpec::new(&loaded, SEED);
    let camera_aware = random_model(true);
    let model = camera_aware.predicting().expect("a model");
    let error = spec.extrinsics_for(model).expect_err("refused");
    assert!(error.is_input() && error.to_string().contains("add [camera] with extrinsics"));

    let blind = random_model(false);
    let model = blind.predicting().expect("a model");
    assert_eq!(spec.extrinsics_for(model).expect("none needed"), None);
    loaded.scenario.camera.extrinsics = Some([0.0; 6]);
    let spec = EpisodeSpec::new(&loaded, SEED);
    let error = spec.extrinsics_for(model).expect_err("refused");
    assert!(error.is_input() && error.to_string().contains("remove extrinsics"));
}

#[test]
fn a_dry_run_shows_what_a_policy_would_do() {
    let source = ModelSource::model(&model_dir()).expect("a model");
    let img_size = source.predicting().map(|m| m.config().encoder.img_size);
    let config = PolicyConfig {
        img_size: img_size.expect("a model"),
        channels: vec![2, 2],
        points: 0,
        hidden: 4,
        keyframes: 0,
        euler_around_rad: None,
    };
    // Of a network of zeros only the last bias is left.
    let mut parameters = Parameters::zeros(policy::layout(&config));
    parameters
        .slice_mut("head.bias")
        .copy_from_slice(&[0.5, -0.2, 0.0, 0.3]);
    let folder = tempfile::tempdir().expect("a folder");
    let tensors = parameters.to_tensors().expect("tensors");
    policy::save(folder.path(), &config, &tensors).expect("saved");
    let source = source.with_policy(folder.path()).expect("a policy");
    let frame = folder.path().join("frame.png");
    let dry = dry_run(&reach(), &source, SEED, frame).expect("a dry run");
    let [x, y, z, ..] = dry.steps[0].planned_action;
    assert!(
        (x - 0.0375).abs() < 1e-6 && (y + 0.015).abs() < 1e-6 && z == 0.0,
        "{dry:?}"
    );
    assert_eq!(dry.steps[0].energy, None);
    assert!(dry.steps[0].distance.is_finite());
}

#[test]
fn every_controller_knows_how_far_its_goal_is() {
    let model = || ModelSource::model(&model_dir()).expect("a model");
    let spec = EpisodeSpec::new(&reach(), SEED);
    let images = spec.goal_images().expect("goal images");
    for source in [model(), model().with_true_dynamics(), ModelSource::Oracle] {
        let mut ready = source.controller(&spec, &images).expect("a controller");
        let mut env = Env::in_virtual_time(&spec).expect("an environment");
        let observed = ready.observed.clone();
        let plant = EnvPlant::new(&mut env, &spec, observed, None);
        let observation = plant.expect("a plant").observe().expect("an observation");
        let distance = ready.controller.distance(&observation).expect("a distance");
        assert!(
            distance.is_finite() && distance > 0.0,
            "{}",
            source.describe()
        );
    }
}

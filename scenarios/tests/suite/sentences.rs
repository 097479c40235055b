//! Goals that are said: expanded into stages, refused where they don't fit, made of what is seen.

use std::path::Path;

use foresight_planner::control_loop::Plant;
use foresight_planner::{Constraints, Decision, GripperRule};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::goal_head::{network, save, GoalHeadConfig, Stage, Training};
use foresight_predictor::parameters::Parameters;
use foresight_scenarios::env::{Env, EnvPlant};
use foresight_scenarios::{say, EpisodeSpec, LoadedScenario, ModelSource, RunError};

const SEED: u64 = 920_004;

/// The bundled model beside a goal head of random weights, which asks for `least_fit`.
fn source(least_fit: f32) -> ModelSource {
    let folder = tempfile::tempdir().expect("a folder");
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tabletop");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(bundled.join(file), folder.path().join(file)).expect("copied");
    }
    let model = ModelSource::model(folder.path()).expect("a model");
    let encoder = &model.eyes().expect("a model").model.config().encoder;
    let words = "put place the on onto red yellow blue purple green white cup mug box block disc \
                 circle take to grab and bring it pick up move goes down set";
    let config = GoalHeadConfig {
        network: GoalHeadConfig::network(encoder, [64, 1, 2]),
        vocabulary: words.split_whitespace().map(String::from).collect(),
        most_words: 16,
        stages: Stage::pick_and_place([3, 2, 2, 5, 2, 2]),
        least_fit: [least_fit; 2],
        training: Training::default(),
    };
    let mut parameters = Parameters::zeros(network::layout(&config));
    initialise(&mut parameters, Part::AcPredictor, 5);
    save(
        folder.path(),
        &config,
        &parameters.to_tensors().expect("tensors"),
    )
    .expect("saved");
    ModelSource::model(folder.path()).expect("a model with a head")
}

fn scenario(source: &ModelSource, say: Option<&str>) -> LoadedScenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pick_and_place_said.toml");
    let mut loaded = LoadedScenario::read(&file).expect("the bundled scenario");
    loaded.scenario.planner.samples = 16;
    loaded.scenario.planner.iterations = 2;
    loaded.scenario.planner.topk = 4;
    if let Some(sentence) = say {
        say::instead(&mut loaded, sentence);
    }
    let head = source.eyes().and_then(|eyes| eyes.head.as_deref());
    say::expand(&mut loaded, head).expect("a head");
    loaded
}

/// The first decision, and the stages begun until then.
fn decided(source: &ModelSource, spec: &EpisodeSpec) -> Result<(Decision, usize), RunError> {
    let mut ready = source.controller(spec, &spec.goal_images()?)?;
    let mut env = Env::in_virtual_time(spec)?;
    let observation = EnvPlant::new(&mut env, spec, None, None)?.observe()?;
    ready.controller.begin_goal(0, &spec.schedule()[0]);
    let decision = ready
        .controller
        .decide(&observation, &Constraints::default(), 0)?;
    Ok((decision, ready.said.stages().len()))
}

#[test]
fn a_sentence_becomes_the_heads_stages_and_names_what_is_judged() {
    let source = source(0.0);
    let loaded = scenario(&source, None);
    let goals = &loaded.scenario.subgoal;
    let names: Vec<&str> = goals.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(
        names,
        ["hover", "around", "grasp", "carry", "lower", "release"]
    );
    assert_eq!((goals[3].steps, goals[2].gripper), (5, GripperRule::Close));
    let spec = EpisodeSpec::new(&loaded, SEED);
    let scene = spec.scene.clone().expect("a scene");
    let sentence = spec.sentence(0).expect("a sentence");
    let colour = scene.object.name();
    let colour = colour.split(' ').next().expect("a colour");
    assert!(sentence.contains(colour), "{sentence}");
    assert_eq!(spec.sentence(0), spec.sentence(5));
    // Another object named: that one is judged, in the same picture.
    let other = &scene.others[0];
    let words = format!(
        "put the {} on the {}",
        other.name(),
        scene.other_targets[0].name()
    );
    let named = EpisodeSpec::new(&scenario(&source, Some(&words)), SEED);
    let about = named.scene.as_ref().expect("a scene");
    assert_eq!((&about.object, &about.others[0]), (other, &scene.object));
    assert_eq!(about.target, scene.other_targets[0]);
}

#[test]
fn what_fits_is_pursued_and_what_does_not_moves_nothing() {
    let willing = source(0.0);
    let spec = EpisodeSpec::new(&scenario(&willing, None), SEED);
    let (decision, stages) = decided(&willing, &spec).expect("a decision");
    assert!(matches!(decision, Decision::Act { distance, .. } if distance > 0.0));
    assert_eq!(stages, 1);
    let strict = source(1.0);
    let spec = EpisodeSpec::new(&scenario(&strict, None), SEED);
    let error = decided(&strict, &spec).expect_err("nothing is so sure");
    let words = error.to_string();
    assert!(matches!(error, RunError::NotUnderstood(_)), "{words}");
    assert!(
        words.contains("in view") && words.contains("nothing is moved"),
        "{words}"
    );
}

#[test]
fn a_sentence_of_unknown_words_or_two_objects_is_no_goal() {
    let source = source(0.0);
    for (sentence, reason) in [
        ("put the red spoon on the green disc", "spoon"),
        (
            "put the red cup and the blue box on the green disc",
            "two objects",
        ),
    ] {
        let spec = EpisodeSpec::new(&scenario(&source, Some(sentence)), SEED);
        let error = decided(&source, &spec).expect_err("refused").to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn without_a_head_and_for_others_than_world_models_nothing_can_be_said() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pick_and_place_said.toml");
    let mut loaded = LoadedScenario::read(&file).expect("the bundled scenario");
    let error = say::expand(&mut loaded, None)
        .expect_err("no head")
        .to_string();
    assert!(error.contains("train-goals"), "{error}");
    let text = std::fs::read_to_string(&file).expect("a scenario");
    for (by, reason) in [
        ("say = \"\"", "says nothing"),
        (
            "say = \"put it there\"\nstate = \"placed\"",
            "state beside a sentence",
        ),
    ] {
        let text = text.replace("say = \"{phrasing}\"", by);
        let error = LoadedScenario::parse(&text, &file).expect_err("a fault");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

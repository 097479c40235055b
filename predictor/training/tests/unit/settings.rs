//! Unit tests of `src/settings.rs`.

use foresight_datasets::Sampling;

use super::*;
use crate::WsdSchedule;

fn tiny() -> EncoderConfig {
    serde_json::from_value(serde_json::json!({
        "img_size": [64, 64], "patch_size": 16, "num_frames": 2, "tubelet_size": 2,
        "embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 4.0,
    }))
    .unwrap()
}

fn set(changes: &[&str]) -> Result<Settings> {
    let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
    Settings::resolve(None, &changes)
}

#[test]
fn the_defaults_are_the_official_recipe() {
    let settings = set(&[]).unwrap();
    settings.check(1).unwrap();
    assert_eq!(settings.optimisation.schedule, WsdSchedule::default());
    assert_eq!(settings.loss, PredictorLossOptions::default());
    assert_eq!(settings.trainable, FreezeConfig::default());
    let clips = ClipOptions::default();
    assert_eq!(settings.clip_options(), clips);
    assert!(settings.transform(&tiny()).unwrap().is_fixed());
    assert_eq!(settings.optimisation.batch_size, 256);
}

#[test]
fn changes_apply_in_order_and_wrong_ones_are_named() {
    let settings = set(&[
        "data.fps=5",
        "data.sampling=legacy",
        "optimisation.clip_norm=1.0",
        "data.views=[\"left\", \"wrist\"]",
        "data.fps=6.5",
    ])
    .unwrap();
    assert_eq!(settings.data.fps, 6.5);
    assert_eq!(settings.data.sampling, Sampling::Legacy);
    assert_eq!(settings.optimisation.clip_norm, Some(1.0));
    assert_eq!(settings.data.views.len(), 2);
    for wrong in ["data.fsp=5", "data.fps", "data.fps=fast", "=3", "loss=1"] {
        let error = format!("{:#}", set(&[wrong]).unwrap_err());
        assert!(error.contains(wrong), "{error}");
    }
}

#[test]
fn impossible_settings_are_refused_with_their_name() {
    for (change, name) in [
        ("optimisation.batch_size=0", "batch_size"),
        ("optimisation.batch_size=7", "multiple of 2"),
        ("memory.micro_batch=0", "micro_batch"),
        ("loss.auto_steps=8", "auto_steps"),
        ("data.frames=1", "frames"),
        ("data.validation_share=1.0", "validation_share"),
        ("crop.scale=[1.0, 0.5]", "crop.scale"),
        ("loss.whitened_weight=-1.0", "loss.whitened_weight"),
        ("data.surprising=4.0", "loss.metric"),
        ("compute.precision=bf16", "GPUs only"),
        ("loss.whitened_directions=0", "loss.whitened_directions"),
        ("loss.loss_exp=-1.0", "loss.loss_exp = -1"),
        ("data.fps=-4", "data.fps = -4"),
        ("data.fps=5000", "at most 1000"),
        (
            "optimisation.schedule.reference=-1e-3",
            "reference = -0.001",
        ),
        ("optimisation.schedule.start=nan", "schedule.start = NaN"),
        ("optimisation.schedule.warmup_steps=94501", "warmup_steps"),
        ("optimisation.schedule.anneal_steps=94501", "anneal_steps"),
        ("optimisation.schedule.total_steps=0", "total_steps = 0"),
        ("optimisation.weight_decay=-0.04", "weight_decay = -0.04"),
        ("optimisation.final_weight_decay=-0.4", "final_weight_decay"),
        ("optimisation.clip_norm=-1.0", "clip_norm = -1"),
        ("optimisation.clip_norm=0.0", "clip_norm = 0"),
    ] {
        let error = set(&[change]).unwrap().check(2).unwrap_err().to_string();
        assert!(error.contains(name), "{change}: {error}");
    }
}

fn whole(name: &str) -> std::path::PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    project.join(name)
}

#[test]
fn the_recipes_that_are_shipped_are_possible() {
    use crate::compact_task::CompactRecipe;
    use crate::recipe::{CloneRecipe, PretrainRecipe};
    let encoders = std::fs::read_dir(whole("models/tabletop/encoders")).unwrap();
    let encoders = encoders.map(|entry| entry.unwrap().path());
    let others = [
        "models/tabletop/pretrain.toml",
        "models/two_views/pretrain.toml",
    ]
    .map(whole);
    let mut seen = 0;
    for file in encoders
        .chain(others)
        .filter(|f| f.extension().is_some_and(|e| e == "toml"))
    {
        let recipe: PretrainRecipe = read_recipe(&file, &[]).unwrap();
        let checked = recipe.check();
        assert!(checked.is_ok(), "{}: {checked:?}", file.display());
        seen += 1;
    }
    assert!(seen > 7, "{seen}");
    for name in ["pusht", "cube"] {
        let file = whole(&format!("bench/public/{name}/compact.toml"));
        let recipe: CompactRecipe = read_recipe(&file, &[]).unwrap();
        recipe.model.validate().unwrap();
        recipe.objectives.check().unwrap();
        check(&recipe.data, &recipe.optimisation, 1).unwrap();
    }
    for name in [
        "models/tabletop/clone.toml",
        "models/tabletop/proposals.toml",
        "bench/robosuite/clone.toml",
    ] {
        let recipe: CloneRecipe = read_recipe(&whole(name), &[]).unwrap();
        check(&recipe.data, &recipe.optimisation, 1).unwrap();
    }
    for name in [
        "models/tabletop/level_two.toml",
        "bench/robosuite/finetune.toml",
    ] {
        Settings::resolve(Some(&whole(name)), &[])
            .unwrap()
            .check(1)
            .unwrap();
    }
}

#[test]
fn an_encoder_that_learns_nothing_is_asked_for_or_refused() {
    let file = whole("models/tabletop/encoders/random.toml");
    let of = |changes: &[&str]| {
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        let recipe: crate::recipe::PretrainRecipe = read_recipe(&file, &changes).unwrap();
        recipe.check().map_err(|e| e.to_string())
    };
    of(&[]).unwrap();
    let error = of(&["optimisation.schedule.total_steps=9"]).unwrap_err();
    assert!(error.contains("nothing to learn"), "{error}");
    let error = of(&["objectives.sigreg=1.0"]).unwrap_err();
    assert!(error.contains("total_steps = 0 must be"), "{error}");
    let error = of(&["objectives.sigreg=-1.0"]).unwrap_err();
    assert!(error.contains("objectives.sigreg = -1"), "{error}");
}

/// Whoever makes a transform of it, not only fine-tuning's settings.
#[test]
fn an_impossible_crop_makes_no_transform() {
    let crop = Crop {
        scale: [0.5, 1.0],
        ratio: [2.0, 1.0],
    };
    let error = Crop::transform(Some(&crop), &tiny()).unwrap_err();
    assert!(error.to_string().contains("crop.ratio"), "{error}");
}

#[test]
fn recipes_with_the_old_keys_say_what_the_new_ones_say() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        Settings::recipe(&file, &["optimisation.batch_size=8".into()])
    };
    let old = of(
        "old.toml",
        "clip_frames = 3\ngripper_event_factor = 3.0\nstart_at_persistence = true\n\
             euler_around_rad = [3.0, 0.0, 0.0]\n\
             [predictor]\npredictor_embed_dim = 128\ndepth = 4\nnum_heads = 4\n\
             [action_space]\nfps = 4.0\nmax_translation_m = 0.05\nmax_rotation_rad = 0.0\n",
    );
    let new = of(
        "new.toml",
        "[data]\nframes = 3\ngripper_events = 3.0\n\
             [predictor]\npredictor_embed_dim = 128\ndepth = 4\nnum_heads = 4\n\
             start_at_persistence = true\neuler_around_rad = [3.0, 0.0, 0.0]\n\
             action_space = { fps = 4.0, max_translation_m = 0.05, max_rotation_rad = 0.0 }\n",
    )
    .unwrap();
    assert_eq!(old.unwrap(), new);
    new.check(1).unwrap();
    assert_eq!(new.data.sampling, Sampling::Consecutive);
    assert_eq!((new.crop, new.data.draws), (None, DrawBy::Clip));
    let none = of("none.toml", "[data]\nframes = 3\n").unwrap_err();
    assert!(none.to_string().contains("[predictor]"), "{none}");
    // Policies have keys of their own by those names.
    let policy = folder.path().join("policy.toml");
    let text = "farthest_goal_steps = 8\neuler_around_rad = [3.0, 0.0, 0.0]\n\
                    [policy]\nchannels = [8, 8]\nhidden = 16\n\
                    [optimisation]\nseed = 3\nbatch_size = 64\nweight_decay = 0.04\n\
                    schedule = { start = 1e-4, reference = 1e-3, last = 1e-5, warmup_steps = 1, \
                    anneal_steps = 8, total_steps = 24 }\n";
    std::fs::write(&policy, text).unwrap();
    let recipe: crate::recipe::CloneRecipe = read_recipe(&policy, &[]).unwrap();
    assert_eq!(recipe.euler_around_rad, Some([3.0, 0.0, 0.0]));
    assert_eq!(recipe.data.sampling, Sampling::Consecutive);
    assert_eq!(
        set(&["data.unusable=skip"]).unwrap(),
        set(&["data.on_bad_episode=skip"]).unwrap()
    );
}

#[test]
fn a_shorter_run_keeps_its_shape() {
    let mut settings = set(&[]).unwrap();
    settings.set_steps(2_100);
    let schedule = settings.optimisation.schedule;
    assert_eq!((schedule.warmup_steps, schedule.anneal_steps), (100, 100));
    settings.set_rate(8.5e-5);
    let schedule = settings.optimisation.schedule;
    assert!((schedule.start - 1.5e-5).abs() < 1e-12);
}

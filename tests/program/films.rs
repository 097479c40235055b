//! `foresight embed`, `foresight classify` and masked pre-training as a user runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use foresight_datasets::Split;
use foresight_demonstrations::{record_all, RecordingPlan};
use foresight_predictor::npz::{ArrayValues, Npz};
use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn foresight(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresight"));
    command.args(args).output().unwrap()
}

fn said(args: &[&str]) -> String {
    let output = foresight(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(args: &[&str]) -> String {
    let output = foresight(args);
    assert!(!output.status.success(), "{args:?}");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// A folder of frames on which a square of one of two colours moves over noise.
fn film(folder: &Path, frames: u32, red: bool, seed: u64) {
    std::fs::create_dir_all(folder).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let [start, top] = [(); 2].map(|()| rng.random_range(0..16u32));
    for frame in 0..frames {
        let left = start + frame * 16 / frames;
        let picture = RgbImage::from_fn(64, 64, |x, y| {
            let inside = (left..left + 32).contains(&x) && (top..top + 32).contains(&y);
            let noise = 60 + rng.random_range(0..40);
            Rgb(match (inside, red) {
                (false, _) => [noise; 3],
                (true, true) => [230, 30, 30],
                (true, false) => [30, 30, 230],
            })
        });
        picture
            .save(folder.join(format!("{frame:03}.png")))
            .unwrap();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn features_are_the_same_in_either_file_and_for_a_film_and_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let films = folder.path().join("film");
    film(&films, 10, true, 1);
    let model = project("models/tabletop");
    let out = folder.path().join("features.npz");
    let embed = |more: &[&str]| {
        let all = [
            "embed",
            text(&films),
            "--model",
            text(&model),
            "--out",
            text(&out),
        ];
        said(&[&all[..], more].concat())
    };
    let json = embed(&["--clip-length", "4", "--stride", "3", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["shape"], serde_json::json!([3, 128]));
    let array = |name: &str| Npz::open(&out).unwrap().array(name).unwrap();
    let pooled = array("features");
    assert_eq!(pooled.shape, [3, 128]);
    assert_eq!(array("source").values, ArrayValues::I64(vec![0; 3]));

    // Tokens: their mean is the clip's feature.
    embed(&["--clip-length", "4", "--stride", "3", "--tokens"]);
    let tokens = array("features");
    assert_eq!(tokens.shape, [3, 2 * 16, 128]);
    let (ArrayValues::F32(pooled), ArrayValues::F32(tokens)) = (pooled.values, tokens.values)
    else {
        panic!("features are f32");
    };
    for (clip, pooled) in tokens.chunks(32 * 128).zip(pooled.chunks(128)) {
        for (at, pooled) in pooled.iter().enumerate() {
            let sum: f32 = clip.chunks(128).map(|token| token[at]).sum();
            assert!((sum / 32.0 - pooled).abs() < 1e-5);
        }
    }
    assert_ne!(pooled[..128], pooled[128..256]);

    // Frames by themselves: those of one frame don't depend on the others.
    embed(&["--clip-length", "4", "--stride", "3", "--tokens", "--apart"]);
    let apart = array("features");
    assert_eq!(apart.shape, [3, 4 * 16, 128]);
    let ArrayValues::F32(apart) = apart.values else {
        panic!("features are f32");
    };
    // The last frame of a clip is the first of the next.
    let frame = 16 * 128;
    assert_eq!(apart[3 * frame..4 * frame], apart[4 * frame..5 * frame]);

    // Images, each by itself, into safetensors.
    let out = folder.path().join("images.safetensors");
    let images = ["000.png", "001.png"].map(|name| films.join(name));
    let images = images.each_ref().map(|path| text(path));
    let said = said(&[
        "embed",
        images[0],
        images[1],
        "--model",
        text(&model),
        "--out",
        text(&out),
    ]);
    assert!(said.contains("[2, 128] of 2 clips from 2 films"), "{said}");
    let read = candle_core::safetensors::load(&out, &candle_core::Device::Cpu).unwrap();
    assert_eq!(read["features"].dims(), [2, 128]);
    assert_eq!(read["source"].to_vec1::<i64>().unwrap(), [0, 1]);
}

#[test]
fn what_embed_cannot_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    film(&folder.path().join("film"), 4, true, 1);
    let film = folder.path().join("film");
    let model = project("models/tabletop");
    let out = folder.path().join("x.npz");
    let embed = |film: &Path, out: &Path, more: &[&str]| {
        let all = [
            "embed",
            text(film),
            "--model",
            text(&model),
            "--out",
            text(out),
        ];
        refused(&[&all[..], more].concat())
    };
    let odd = embed(&film, &out, &["--clip-length", "5"]);
    assert!(
        odd.contains("5 frames") && odd.contains("tubelets of 2"),
        "{odd}"
    );
    let level = embed(&film, &out, &["--level", "all"]);
    assert!(level.contains("V-JEPA 2.1's"), "{level}");
    let format = embed(&film, &folder.path().join("x.csv"), &[]);
    assert!(format.contains(".safetensors or .npz"), "{format}");
    let missing = embed(&folder.path().join("nothing.mp4"), &out, &[]);
    assert!(missing.contains("nothing.mp4"), "{missing}");
    std::fs::write(folder.path().join("broken.png"), b"no picture").unwrap();
    let broken = embed(&folder.path().join("broken.png"), &out, &[]);
    assert!(broken.contains("broken.png"), "{broken}");
    for rate in ["0", "-1", "NaN"] {
        let rate = embed(&film, &out, &[&format!("--fps={rate}")]);
        assert!(rate.contains("above 0 Hz"), "{rate}");
    }
    assert!(!out.exists());
}

#[test]
fn a_probe_tells_films_apart_and_names_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let films = folder.path().join("films");
    for seed in 0..20 {
        for (class, right) in [("red", true), ("blue", false)] {
            film(&films.join(class).join(seed.to_string()), 4, right, seed);
        }
    }
    let (model, out) = (project("models/tabletop"), folder.path().join("probe"));
    let fit = [
        "classify",
        "fit",
        text(&films),
        "--model",
        text(&model),
        "--out",
        text(&out),
    ];
    let more = [
        "--clip-length",
        "4",
        "--epochs",
        "30",
        "--rates",
        "1e-3",
        "--seed",
        "5",
        "--json",
    ];
    let run = || -> Value { serde_json::from_str(&said(&[&fit[..], &more].concat())).unwrap() };
    let first = run();
    let accuracy = &first["accuracy"];
    assert_eq!(accuracy["count"], 8);
    assert!(accuracy["right"].as_u64().unwrap() >= 7, "{first}");
    assert_eq!(first["majority"]["right"], 4);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("What was named as what") && page.contains("seed 5"));
    // From the features that are kept; the same seed, the same probe.
    let weights = std::fs::read(out.join("probe.safetensors")).unwrap();
    let kept = |folder: &Path| -> Vec<PathBuf> {
        let caches = std::fs::read_dir(folder).unwrap();
        let files = caches.flat_map(|cache| std::fs::read_dir(cache.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    };
    assert_eq!(kept(&out.join("features")).len(), 40);
    assert_eq!(run(), first);
    assert_eq!(
        std::fs::read(out.join("probe.safetensors")).unwrap(),
        weights
    );

    let wrong = |more: &[&str]| refused(&[&fit[..], &["--clip-length", "4"], more].concat());
    let same = wrong(&["--held-out", text(&films)]);
    assert!(
        same.contains("would be learned from and judged on"),
        "{same}"
    );
    for (flag, said) in [
        ("--rates=NaN", "above 0, up to 1"),
        ("--rates=1e-3,-1", "rate is -1"),
        ("--weight-decay=NaN", "from 0 to 1"),
    ] {
        let told = wrong(&[flag]);
        assert!(told.contains(said), "{told}");
    }

    for (name, right) in [("red", true), ("blue", false)] {
        let new = folder.path().join("new").join(name);
        film(&new, 4, right, 77);
        let told = said(&[
            "classify",
            "predict",
            text(&new),
            "--probe",
            text(&out),
            "--json",
        ]);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["class"], name, "{told}");
    }
    // Another encoder's features aren't the probe's.
    let other = folder.path().join("other");
    let config = model.join("config.json");
    said(&[
        "model",
        "init",
        "--config",
        text(&config),
        "--out",
        text(&other),
    ]);
    let new = folder.path().join("new/red");
    let told = refused(&[
        "classify",
        "predict",
        text(&new),
        "--probe",
        text(&out),
        "--model",
        text(&other),
    ]);
    assert!(told.contains("another encoder"), "{told}");
    let none = refused(&[
        "classify",
        "fit",
        text(&other),
        "--model",
        text(&model),
        "--out",
        text(&out),
    ]);
    assert!(none.contains("a folder per class"), "{none}");
}

const RECIPE: &str = r#"
name = "masked"

[encoder]
img_size = [64, 64]
patch_size = 16
num_frames = 4
tubelet_size = 2
embed_dim = 24
depth = 12
num_heads = 2
mlp_ratio = 2.0
rope = "interleaved"

[encoder.vjepa2_1]
img_temporal_dim_size = 1
interpolate_rope = true
modality_embedding = true
n_output_distillation = 4

[mask_prediction]
clip_frames = 4
ema_momentum = 0.9
predictor_embed_dim = 24
predictor_depth = 4
predictor_num_heads = 2
masks = [{ num_blocks = 2, spatial_scale = [0.3, 0.3] }]
image_masks = [{ num_blocks = 1, spatial_scale = [0.3, 0.3] }]
losses = { lambda_rises = [2, 4] }

[data]
validation_share = 0.3

[optimisation]
seed = 1
batch_size = 4
weight_decay = 0.04
schedule = { start = 1e-3, reference = 1e-3, last = 1e-3, warmup_steps = 0, anneal_steps = 0, total_steps = 6 }
"#;

#[test]
fn masked_pretraining_learns_resumes_and_gives_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let scenario = project("scenarios/pick_and_place.toml");
    let mut plan = RecordingPlan::from_scenario(&scenario).unwrap();
    plan.split = Split::Train;
    plan.date = "2026-01-01".into();
    let seeds = Split::Train.recording_seeds(650_000, 6).unwrap();
    record_all(&plan, seeds, &data, 2, |_| {}).unwrap();
    let recipe = folder.path().join("recipe.toml");
    std::fs::write(&recipe, RECIPE).unwrap();
    let run = |out: &Path, more: &[&str]| -> Value {
        let all = [
            "pretrain",
            text(&recipe),
            "--data",
            text(&data),
            "--out",
            text(out),
        ];
        let told = said(&[&all[..], &["--every", "3", "--json"], more].concat());
        serde_json::from_str(&told).unwrap()
    };
    let whole = folder.path().join("whole");
    assert_eq!(run(&whole, &[])["steps"], 6);
    let log = std::fs::read_to_string(whole.join("log.csv")).unwrap();
    assert!(log.contains("masked") && log.contains("context"), "{log}");
    // Stopped after three steps and gone on with: the same weights.
    let parts = folder.path().join("parts");
    run(&parts, &["--set", "optimisation.schedule.total_steps=3"]);
    run(&parts, &["--resume"]);
    let weights = |run: &Path| std::fs::read(run.join("model/model.safetensors")).unwrap();
    assert_eq!(weights(&whole), weights(&parts));
    let out = folder.path().join("features.npz");
    let episodes = foresight_datasets::layout::episode_folders(&data).unwrap();
    let model = whole.join("model");
    said(&[
        "embed",
        text(&episodes[0]),
        "--model",
        text(&model),
        "--level",
        "all",
        "--whole",
        "--clip-length",
        "4",
        "--out",
        text(&out),
    ]);
    let features = Npz::open(&out).unwrap().array("features").unwrap();
    assert_eq!(features.shape, [1, 4 * 24]);

    let all = [
        "pretrain",
        text(&recipe),
        "--data",
        text(&data),
        "--out",
        text(&out),
    ];
    for (set, told) in [
        ("objectives.masked=1.0", "takes the place of"),
        ("mask_prediction.ema_momentum=1.5", "from 0 to 1"),
        ("mask_prediction.losses.lambda_rises=[4, 4]", "lambda_rises"),
        ("optimisation.schedule.total_steps=0", "total_steps = 0"),
        ("mask_prediction.clip_frames=3", "tubelet"),
    ] {
        let errors = refused(&[&all[..], &["--set", set]].concat());
        assert!(errors.contains(told), "{errors}");
    }
}

//! What the bundled predictor foresees in a few recordings, and the page about it.

use std::path::Path;

use foresight_datasets::{open, EpisodeStore, Split};
use foresight_demonstrations::{record_all, RecordingPlan};
use foresight_predictor::WorldModel;
use foresight_report::foreseen::html;
use foresight_scenarios::foreseen::{measure, Foreseen, ForeseenOptions, GaugeOptions};

fn recorded(root: &Path, split: Split, episodes: u64) -> Box<dyn EpisodeStore> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../push.toml");
    let mut plan = RecordingPlan::from_scenario(&file).expect("a scenario");
    plan.mix.push_around = 2.0;
    plan.mix.branches.per_state = 5;
    plan.mix.branches.actions = [2, 2];
    plan.split = split;
    plan.steps = 8;
    plan.date = "2026-01-02".into();
    let seeds = split.recording_seeds(500, episodes).expect("seeds");
    record_all(&plan, seeds, root, 2, |_| {}).expect("recorded");
    open(root).expect("a dataset")
}

#[test]
fn the_bundled_predictor_is_measured_in_recordings_the_same_way_every_time() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tabletop");
    let model = WorldModel::load(&folder).expect("the bundled model");
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fitting = recorded(one.path(), Split::Train, 12);
    let held_out = recorded(two.path(), Split::Validation, 8);
    let options = ForeseenOptions {
        steps_ahead: 3,
        gauge: GaugeOptions { steps: 60, seed: 1 },
        examples: 1,
    };
    let measured = || -> Foreseen {
        let (stage, done) = (|_| {}, || {});
        measure(&model, &*fitting, &*held_out, options, &stage, &done).expect("measured")
    };
    let foreseen = measured();
    let text = serde_json::to_string(&foreseen).expect("JSON");
    assert_eq!(text, serde_json::to_string(&measured()).expect("JSON"));

    assert_eq!((foreseen.fitted_episodes, foreseen.episodes), (72, 48));
    assert_eq!((foreseen.branches, foreseen.scenes), (40, 8));
    // Eight actions an episode and two a branch.
    let counts: Vec<usize> = foreseen.robot.iter().map(|r| r.count).collect();
    assert_eq!(counts, [64 + 80, 56 + 40, 48]);
    // The bundled predictor beats no change even in a handful of episodes.
    let first = foreseen.robot[0].l1_over_persistence.expect("a ratio");
    assert!(first.value < 0.9, "{first:?}");
    let object = foreseen.object.as_ref().expect("the simulator knows");
    let pushes = object.displacements.first().expect("pushes");
    assert!(pushes.count > 0 && pushes.mean_cm > 1.0, "{pushes:?}");

    let page = html("tabletop <&>", "recordings", &foreseen);
    assert!(page.contains("What tabletop &lt;&amp;&gt; foresees"));
    for section in ["displacements", "still", "robot", "pictures"] {
        assert!(
            page.contains(&format!("<section id={section}>")),
            "{section}"
        );
    }
    assert!(page.contains("data:image/png;base64,") && !page.contains("<script"));
}

//! Recordings are a pure function of their seeds, resume, and never show an evaluation scene.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use foresight_datasets::{Episode, Split};
use foresight_demonstrations::{record_all, record_episode, RecordingPlan};
use foresight_robot::{EnvelopeConfig, WorkspaceBox};
use foresight_scenarios::demonstrations::{BranchConfig, DemonstrationConfig};

fn plan() -> RecordingPlan {
    RecordingPlan {
        scenario: "test".into(),
        scenes: Default::default(),
        envelope: EnvelopeConfig::new(WorkspaceBox {
            min_m: [0.35, -0.22, 0.0],
            max_m: [0.65, 0.22, 0.35],
        }),
        mix: DemonstrationConfig::default(),
        split: Split::Train,
        image_px: 32,
        steps: 6,
        date: "2026-01-02".into(),
    }
}

/// Every file below a folder, by its path.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below the root");
                let bytes = fs::read(&path).expect("readable");
                found.insert(name.display().to_string(), bytes);
            }
        }
    }
    found
}

#[test]
fn the_same_bytes_whatever_the_number_of_jobs_and_interruptions() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seeds = Split::Train.recording_seeds(40, 6).expect("train seeds");
    let summary = record_all(&plan(), seeds.clone(), one.path(), 1, |_| {}).expect("recorded");
    assert_eq!((summary.recorded, summary.frames), (6, 6 * 7), "{summary}");
    assert_eq!(summary.failed, []);
    assert_eq!(summary.refused_targets, 0);

    // The second is recorded by two workers, in two goes, out of order.
    let later = seeds.start + 4..seeds.end;
    record_all(&plan(), later, two.path(), 2, |_| {}).expect("recorded");
    let summary = record_all(&plan(), seeds.clone(), two.path(), 2, |_| {}).expect("recorded");
    assert_eq!((summary.recorded, summary.already_there), (4, 2));

    let (one_files, two_files) = (files(one.path()), files(two.path()));
    assert_eq!(one_files.len(), 6 * 3);
    assert!(one_files.keys().eq(two_files.keys()));
    for (name, bytes) in &one_files {
        assert!(bytes == &two_files[name], "{name} differs");
    }

    // Different seeds show different scenes and motions.
    let folders = foresight_datasets::layout::episode_folders(one.path()).expect("listed");
    let first: Vec<Vec<u8>> = folders
        .iter()
        .map(|folder| {
            Episode::read(folder, None)
                .expect("readable")
                .frames
                .frame(0)
                .to_vec()
        })
        .collect();
    for (i, frame) in first.iter().enumerate() {
        assert!(first[..i].iter().all(|other| other != frame));
    }
}

#[test]
fn what_is_recorded_is_what_happened() {
    let root = tempfile::tempdir().unwrap();
    let seeds = Split::Validation.recording_seeds(3, 4).expect("seeds");
    let plan = RecordingPlan {
        split: Split::Validation,
        ..plan()
    };
    record_all(&plan, seeds, root.path(), 2, |_| {}).expect("recorded");
    for folder in foresight_datasets::layout::episode_folders(root.path()).expect("listed") {
        let episode = Episode::read(&folder, None).expect("readable");
        let recording = episode.metadata.foresight.as_ref().expect("ours");
        assert_eq!(recording.split, Split::Validation);
        assert_eq!(Split::of_seed(recording.seed), Some(Split::Validation));
        let trajectory = &episode.trajectory;
        assert_eq!((trajectory.len(), trajectory.commands.len()), (7, 6));
        assert!(trajectory.time_s.windows(2).all(|t| t[0] < t[1]));
        let (low, high) = (plan.envelope.workspace.min_m, plan.envelope.workspace.max_m);
        for (state, step) in trajectory.states.iter().skip(1).zip(&trajectory.commands) {
            for axis in 0..3 {
                let at = state.position_m[axis];
                assert!(at > low[axis] - 0.005 && at < high[axis] + 0.005, "{at}");
                assert!(step.requested.translation_m[axis].abs() <= plan.mix.max_step_m);
            }
            assert!((0.0..=1.0).contains(&state.gripper));
        }
    }
}

#[test]
fn evaluation_scenes_and_foreign_splits_are_refused() {
    let root = tempfile::tempdir().unwrap();
    for seeds in [7..9, 2_000_000_000..2_000_000_002] {
        let error = record_all(&plan(), seeds, root.path(), 1, |_| {}).expect_err("wrong split");
        assert!(error.to_string().contains("train"), "{error}");
    }
    assert!(files(root.path()).is_empty());
    let wrong = RecordingPlan {
        image_px: 4,
        ..plan()
    };
    let seeds = Split::Train.recording_seeds(0, 1).expect("seeds");
    let error = record_all(&wrong, seeds, root.path(), 1, |_| {}).expect_err("tiny frames");
    assert!(error.to_string().contains("px"), "{error}");
}

#[test]
fn what_was_recorded_from_something_else_is_not_gone_on_with() {
    let root = tempfile::tempdir().unwrap();
    let seeds = Split::Train.recording_seeds(80, 2).expect("train seeds");
    record_all(&plan(), seeds.clone(), root.path(), 1, |_| {}).expect("recorded");
    let before = files(root.path());
    let (mut other, mut longer, mut larger, mut two) = (plan(), plan(), plan(), plan());
    other.scenario = "other".into();
    longer.steps = 9;
    larger.image_px = 48;
    two.scenes.other_cameras = vec![two.scenes.sample(seeds.start).camera];
    for (plan, told) in [
        (&other, "the scenario was test, now other"),
        (&longer, "its actions were 6, now 9"),
        (&larger, "its frames were 32×32 px, now 48×48 px"),
        (&two, "its frames were 32×32 px, now 64×32 px"),
    ] {
        let more = seeds.start..seeds.end + 1;
        let error = record_all(plan, more, root.path(), 1, |_| {}).expect_err(told);
        assert!(error.to_string().contains(told), "{error}");
        assert!(files(root.path()) == before, "{told}");
    }
    // Other episodes may come from elsewhere, and what an older program didn't write down is no difference.
    let others = Split::Train.recording_seeds(90, 1).expect("train seeds");
    record_all(&longer, others, root.path(), 1, |_| {}).expect("recorded");
    for name in before.keys().filter(|name| name.contains("metadata_")) {
        fs::write(root.path().join(name), "{}").expect("written");
    }
    let summary = record_all(&other, seeds, root.path(), 1, |_| {}).expect("gone on with");
    assert_eq!((summary.recorded, summary.already_there), (0, 2));
}

#[test]
fn branches_leave_one_and_the_same_state_and_their_episode_alone() {
    let plain = plan();
    let mut branched = plan();
    branched.mix.branches = BranchConfig {
        per_state: 5,
        states: 2,
        ..BranchConfig::default()
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seeds = Split::Train.recording_seeds(60, 2).expect("train seeds");
    record_all(&plain, seeds.clone(), one.path(), 1, |_| {}).expect("recorded");
    let summary = record_all(&branched, seeds.clone(), two.path(), 2, |_| {}).expect("recorded");
    assert_eq!((summary.recorded, summary.branches), (2, 2 * 2 * 5));
    let again = record_all(&branched, seeds, two.path(), 1, |_| {}).expect("recorded");
    assert_eq!((again.recorded, again.already_there), (0, 2));

    let (without, with) = (files(one.path()), files(two.path()));
    assert_eq!(with.len(), without.len() + 2 * 2 * 5 * 3);
    for (name, bytes) in &without {
        assert!(bytes == &with[name], "{name} differs");
    }

    let folders = foresight_datasets::layout::episode_folders(two.path()).expect("listed");
    let episodes = folders
        .iter()
        .map(|f| Episode::read(f, None).expect("readable"));
    let branch_of = |e: &Episode| e.metadata.foresight.as_ref().unwrap().branch_of;
    let (branches, parents): (Vec<_>, Vec<_>) = episodes.partition(|e| branch_of(e).is_some());
    let mut ends: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for branch in &branches {
        let at = branch_of(branch).expect("a branch");
        let parent = parents
            .iter()
            .find(|p| p.metadata.scene_id == at.seed as i64);
        let (parent, step) = (parent.expect("the episode it leaves"), at.step as usize);
        let (of, from) = (&branch.trajectory, &parent.trajectory);
        assert_eq!(of.states[0], from.states[step]);
        assert_eq!(branch.frames.frame(0), parent.frames.frame(step));
        let object = |t: &foresight_datasets::Trajectory, i: usize| {
            t.simulator.as_ref().unwrap().object_position_m[i]
        };
        assert_eq!(object(of, 0), object(from, step));
        assert!((2..=4).contains(&of.commands.len()));
        let moved = of
            .commands
            .iter()
            .any(|c| c.requested.translation_m != [0.0; 3]);
        assert_eq!(moved, at.index != 0, "the first one stays");
        ends.entry((at.seed, at.step))
            .or_default()
            .push(of.states[1]);
    }
    assert_eq!(ends.len(), 4);
    for ends in ends.values() {
        let differ = |i: usize| ends[..i].iter().all(|other| other != &ends[i]);
        assert!((0..ends.len()).all(differ), "{ends:?}");
    }
}

#[test]
fn every_contact_behaviour_does_what_it_is_for() {
    const EPISODES: u64 = 24;
    let of = |set: fn(&mut DemonstrationConfig)| {
        let mut mix = DemonstrationConfig {
            pick_and_place: 0.0,
            grasp: 0.0,
            reach: 0.0,
            carry: 0.0,
            push: 0.0,
            fumble: 0.0,
            random: 0.0,
            random_action_share: [0.0, 0.0],
            ..DemonstrationConfig::default()
        };
        set(&mut mix);
        let plan = RecordingPlan {
            mix,
            image_px: 8,
            steps: 16,
            ..plan()
        };
        let seeds = Split::Train.recording_seeds(200, EPISODES).expect("seeds");
        let recorded = seeds.map(|seed| record_episode(&plan, seed).expect("recorded").episode);
        recorded.collect::<Vec<_>>()
    };
    let achieved = |episodes: &[Episode]| {
        episodes
            .iter()
            .filter(|e| e.metadata.success == Some(true))
            .count() as f64
            / EPISODES as f64
    };
    let track = |e: &Episode| e.trajectory.simulator.clone().expect("the truth");

    let pushes = of(|mix| mix.push_around = 1.0);
    assert!(achieved(&pushes) > 0.7, "{}", achieved(&pushes));
    // Off-centre pushes turn it, by 5 degrees in one action at least.
    let turned = pushes.iter().filter(|e| {
        let turns = track(e).object_quaternion_xyzw;
        let dot = |a: [f64; 4], b: [f64; 4]| -> f64 { (0..4).map(|i| a[i] * b[i]).sum() };
        turns
            .windows(2)
            .any(|q| dot(q[0], q[1]).abs() < (2.5f64).to_radians().cos())
    });
    assert!(turned.count() as f64 > 0.5 * EPISODES as f64);

    // Pushed by 5 cm and more, and the hand where it was when the object began to move.
    let far = of(|mix| mix.push_and_return = 1.0);
    let returned = far.iter().filter(|e| {
        let (objects, hands) = (track(e).object_position_m, &e.trajectory.states);
        let apart = |a: [f64; 3], b: [f64; 3]| (a[0] - b[0]).hypot(a[1] - b[1]);
        let moved = |at: usize, by_m: f64| apart(objects[at], objects[0]) > by_m;
        let begins = (1..objects.len()).find(|at| moved(*at, 0.005));
        begins.is_some_and(|at| {
            let from = hands[at - 1].position_m;
            (at..hands.len()).any(|i| moved(i, 0.05) && apart(hands[i].position_m, from) < 0.03)
        })
    });
    assert!(returned.count() as f64 > 0.5 * EPISODES as f64);

    let misses = of(|mix| mix.near_miss = 1.0);
    assert!(achieved(&misses) > 0.6, "{}", achieved(&misses));
    let slips = of(|mix| mix.slip = 1.0);
    assert!(achieved(&slips) > 0.4, "{}", achieved(&slips));
    let empty = of(|mix| mix.empty_grasp = 1.0);
    assert!(achieved(&empty) > 0.7, "{}", achieved(&empty));
    let closes = |e: &&Episode| e.trajectory.states.iter().any(|s| s.gripper > 0.9);
    assert!(empty.iter().filter(closes).count() as f64 > 0.7 * EPISODES as f64);
}

/// Behaviour, start and share of random actions of the first training episodes, as recorded before there
/// were contact behaviours and branches.
#[test]
fn what_old_scenario_files_record_stays() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pick_and_place.toml");
    let plan = RecordingPlan {
        image_px: 8,
        steps: 1,
        ..RecordingPlan::from_scenario(&file).expect("a scenario")
    };
    let recorded = [
        ("pick_and_place", "near", 0.1763404569764156),
        ("random", "scene", 0.16188526192479138),
        ("fumble", "near", 0.20284096497615117),
        ("grasp", "scene", 0.4765331463267705),
        ("push", "in_hand", 0.34861008097753493),
        ("pick_and_place", "scene", 0.4150286891756882),
        ("pick_and_place", "scene", 0.06544991874913327),
        ("reach", "scene", 0.2703095913655132),
    ];
    let seeds = Split::Train.recording_seeds(0, 8).expect("seeds");
    for (seed, (behaviour, start, share)) in seeds.zip(recorded) {
        let episode = record_episode(&plan, seed).expect("recorded");
        assert!(episode.branches.is_empty());
        let recording = episode.episode.metadata.foresight.expect("ours");
        assert_eq!(
            (&*recording.behaviour, &*recording.start),
            (behaviour, start)
        );
        assert!((recording.random_action_share - share).abs() < 1e-12);
    }
}

#[test]
fn episodes_of_several_objects_say_in_words_what_is_done() {
    use foresight_sim::crowd::{SeveralObjects, SeveralTargets};
    let mut plan = plan();
    plan.scenes.objects = Some(SeveralObjects::default());
    plan.scenes.targets = Some(SeveralTargets::default());
    plan.steps = 1;
    plan.mix = DemonstrationConfig {
        pick_and_place: 1.0,
        grasp: 1.0,
        ..none()
    };
    for (split, held_out) in [(Split::Train, false), (Split::Validation, true)] {
        plan.split = split;
        for seed in split.recording_seeds(0, 6).unwrap() {
            let recorded = record_episode(&plan, seed).expect("recorded");
            let metadata = &recorded.episode.metadata;
            let recording = metadata.foresight.as_ref().unwrap();
            let named = recording.named.as_ref().expect("a sentence");
            assert_eq!(named.held_out, held_out);
            assert_eq!(
                (&named.objects[0], &named.targets[0]),
                (&named.object, &named.target)
            );
            assert!(named.objects.len() >= 2 && named.targets.len() == 2);
            let (colour, _) = named.object.split_once(' ').unwrap();
            assert!(
                metadata.current_task.contains(colour),
                "{}",
                metadata.current_task
            );
            let lifts = !metadata.current_task.contains("disc")
                && !metadata.current_task.contains("circle");
            assert_eq!(lifts, recording.behaviour == "grasp");
            let again = record_episode(&plan, seed).expect("recorded");
            assert_eq!(again.episode.metadata, *metadata);
        }
    }
}

#[test]
fn episodes_of_one_object_are_called_by_their_behaviour() {
    let seed = Split::Train.recording_seeds(3, 1).unwrap().start;
    let metadata = record_episode(&plan(), seed)
        .expect("recorded")
        .episode
        .metadata;
    let recording = metadata.foresight.unwrap();
    assert_eq!(metadata.current_task, recording.behaviour);
    assert_eq!(recording.named, None);
    let text = serde_json::to_string(&recording).unwrap();
    assert!(!text.contains("named"), "{text}");
}

/// A mixture of nothing.
fn none() -> DemonstrationConfig {
    DemonstrationConfig {
        pick_and_place: 0.0,
        grasp: 0.0,
        reach: 0.0,
        carry: 0.0,
        push: 0.0,
        fumble: 0.0,
        random: 0.0,
        ..DemonstrationConfig::default()
    }
}

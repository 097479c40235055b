//! Datasets as other programs write them (`tests/cases`), each one way off: what validation
//! passes, everything reads, and with the numbers its program would read.
//!
//! Pictures carry a number in ten blocks; states follow a formula of their episode and frame.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foresight_datasets::convert::{to_droid, to_lerobot, ConvertOptions};
use foresight_datasets::doubts::Doubts;
use foresight_datasets::inspect::Depth;
use foresight_datasets::lerobot::store::{is_lerobot, LeRobotStore};
use foresight_datasets::statistics::Statistics;
use foresight_datasets::{
    of_index, ClipOptions, ClipSampler, DatasetError, EpisodeStore, Index, Joined, OnBadEpisode,
    Trajectory, View,
};
use foresight_planner::Pose;
use image::RgbImage;
use parquet::basic::{Repetition, Type as Physical};
use parquet::data_type::{DoubleType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name)
}

/// A copy, to be changed.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// As `dataset validate` reads it.
fn validated(path: &Path) -> Result<Box<dyn EpisodeStore>, DatasetError> {
    if is_lerobot(path) {
        let mut store = LeRobotStore::open(path)?;
        store.validate(|_, _| {});
        return Ok(Box::new(store));
    }
    let index = Index::build(path, Depth::Full, |_, _| {})?;
    Ok(of_index(index, path))
}

/// The number in a picture: two rows of five blocks, bright is 1, least bit first.
fn number(image: &RgbImage) -> usize {
    let (width, height) = image.dimensions();
    let bright = |bit: u32| {
        let (row, column) = (bit / 5, bit % 5);
        let x = (2 * column + 1) * width / 10;
        let y = (2 * row + 1) * height / 4;
        let sum: u32 = image.get_pixel(x, y).0.iter().map(|c| u32::from(*c)).sum();
        sum > 3 * 128
    };
    (0..10).filter(|bit| bright(*bit)).map(|bit| 1 << bit).sum()
}

fn shown(store: &dyn EpisodeStore, episode: usize) -> Vec<usize> {
    let count = store
        .proprioception(episode, &View::default())
        .unwrap()
        .frames;
    let numbers: Vec<usize> = (0..count).collect();
    let frames = store.frames(episode, &View::default(), &numbers).unwrap();
    let all: Vec<usize> = frames.images().map(|image| number(&image)).collect();
    // One by one, as training asks for them.
    for at in [0, count / 2, count - 1] {
        let one = store.frames(episode, &View::default(), &[at]).unwrap();
        let found: Vec<usize> = one.images().map(|image| number(&image)).collect();
        assert_eq!(found, [all[at]], "frame {at}");
    }
    all
}

fn states(store: &dyn EpisodeStore, episode: usize) -> Vec<Pose> {
    store
        .proprioception(episode, &View::default())
        .unwrap()
        .states
}

fn near(pose: &Pose, expected: [f64; 7]) -> bool {
    let pairs = pose.to_array().into_iter().zip(expected);
    pairs.into_iter().all(|(a, b)| (a - b).abs() < 1.5e-3)
}

/// The state in frame `i` of `n` of a LeRobot case's episode `e`.
fn lerobot_state(e: usize, i: usize, n: usize) -> [f64; 7] {
    let (e, i, end) = (e as f64, i as f64, n as f64 - 1.0);
    let x = 0.40 + 0.01 * e + 0.001 * i;
    [
        x,
        0.02 * e - 0.01,
        0.25,
        3.1,
        0.01,
        0.1 + 0.002 * i,
        i / end,
    ]
}

/// The same of a DROID case.
fn droid_state(i: usize, n: usize) -> [f64; 7] {
    let (i, end) = (i as f64, n as f64 - 1.0);
    let (x, y) = (0.45 + 0.001 * i, 0.05 - 0.001 * i);
    [x, y, 0.3, 3.1, 0.02, 0.1 + 0.002 * i, i / end]
}

fn options(on_bad_episode: OnBadEpisode) -> ConvertOptions {
    ConvertOptions {
        on_bad_episode,
        ..ConvertOptions::default()
    }
}

/// Converts into the other format.
fn converted(
    path: &Path,
    out: &Path,
    on_bad: OnBadEpisode,
) -> Result<Box<dyn EpisodeStore>, DatasetError> {
    let store = foresight_datasets::open(path)?;
    match is_lerobot(path) {
        true => to_droid(store.as_ref(), out, &options(on_bad), |_, _| {})?,
        false => to_lerobot(store.as_ref(), out, &options(on_bad), |_, _| {})?,
    };
    validated(out)
}

/// Draws a clip, as training does.
fn trained(path: &Path, on_bad_episode: OnBadEpisode) -> Result<(), DatasetError> {
    let mut options = ClipOptions {
        on_bad_episode,
        ..ClipOptions::default()
    };
    options.shape.frames = 2;
    let sampler = ClipSampler::new(foresight_datasets::open(path)?, options)?;
    for draw in 0..2 * sampler.episodes() as u64 {
        let clip = sampler.clip(draw)?;
        assert_eq!((clip.frames.len(), clip.window.states.len()), (2, 2));
        let numbers: Vec<f64> = clip.window.states.concat();
        assert!(numbers.iter().all(|n| n.is_finite()));
    }
    Ok(())
}

/// Cases in which something is wrong that can't be read, with what validation says of it.
const BAD: [(&str, &str); 20] = [
    ("droid_film_resized", "from 64×48 to 96×64 px at 1.00 s"),
    ("droid_one_of_two_spoilt", "11111111.mp4"),
    ("h5_array_elements", "it holds arrays in each element"),
    ("h5_compound", "it holds a compound type"),
    (
        "h5_link_to_commands_only",
        "robot_state/cartesian_position is missing",
    ),
    (
        "h5_pose_elsewhere",
        "robot_state/cartesian_position is a link that can't be followed: it leads into another",
    ),
    (
        "h5_time_dangling",
        "read_end is a link that can't be followed: it leads to nowhere",
    ),
    (
        "h5_time_elsewhere",
        "read_end is a link that can't be followed: it leads into another file",
    ),
    ("h5_times_ns", "nanoseconds"),
    ("h5_vlen", "it holds elements of variable length"),
    ("lerobot_film_30_fps", "the film has 30.0 frames a second"),
    ("lerobot_fps_wrong", "correct fps"),
    ("lerobot_lfs_film", "git lfs pull"),
    ("lerobot_listed_twice", "lists episode 1 more than once"),
    (
        "lerobot_names_quaternion",
        "qx, qy, qz, qw, gripper and lacks roll, pitch, yaw",
    ),
    ("lerobot_not_finalized", "finalize()"),
    ("lerobot_null_video_of_one", "episode 1 lies in the videos"),
    ("lerobot_one_nan", "not finite"),
    (
        "lerobot_pictures_resized",
        "row 3 of observation.images.front can't be used: it is 96×64 px, and others of its \
         episode are 64×48 px",
    ),
    ("no_dataset", "no episode was found below"),
];

fn all_cases() -> Vec<String> {
    let entries = fs::read_dir(case("")).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn what_validation_passes_everything_reads_and_what_it_refuses_it_names() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in all_cases() {
        let path = case(&name);
        let out = folder.path().join(&name);
        let wrong = BAD
            .iter()
            .find(|(bad, _)| *bad == name)
            .map(|(_, why)| *why);
        let store = match validated(&path) {
            Ok(store) => store,
            Err(error) => {
                let words = error.to_string();
                assert!(
                    wrong.is_some_and(|why| words.contains(why)),
                    "{name}: {words}"
                );
                assert!(foresight_datasets::open(&path).is_err(), "{name}");
                continue;
            }
        };
        let faults = store.episodes().iter().flat_map(|e| e.faults.clone());
        let reasons = store
            .unusable()
            .iter()
            .map(|(path, why)| format!("{path}: {why}"));
        let said: Vec<String> = reasons.chain(faults).collect();
        let refuse = converted(&path, &out, OnBadEpisode::Refuse);
        match wrong {
            None => {
                assert_eq!(said, Vec::<String>::new(), "{name}");
                let statistics = Statistics::of(store.as_ref(), None).unwrap();
                assert_eq!(statistics.unusable, 0, "{name}");
                let again = refuse.unwrap_or_else(|e| panic!("{name}: {e}"));
                assert_eq!(again.unusable(), [], "{name}");
                for episode in 0..store.episodes().len() {
                    let (a, b) = (
                        states(store.as_ref(), episode),
                        states(again.as_ref(), episode),
                    );
                    let same = a.iter().zip(&b).all(|(a, b)| near(a, b.to_array()));
                    assert!(same && a.len() == b.len(), "{name} {episode}");
                }
                trained(&path, OnBadEpisode::Refuse).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
            Some(why) => {
                let said = said.join("\n");
                assert!(said.contains(why), "{name}: {said}");
                assert!(refuse.is_err(), "{name}");
                assert!(!out.exists(), "{name}: pieces are left");
                let usable = store.episodes().len();
                let skipped = converted(&path, &out, OnBadEpisode::Skip);
                assert_eq!(skipped.is_ok(), usable > 0, "{name}");
                assert_eq!(
                    Statistics::of(store.as_ref(), None).is_ok(),
                    usable > 0,
                    "{name}"
                );
                // Pictures are decoded when they are needed: a film may fail only then.
                let trained = trained(&path, OnBadEpisode::Skip);
                let late = ["droid_one_of_two_spoilt", "droid_film_resized"].contains(&&*name);
                if !late && name != "lerobot_pictures_resized" {
                    assert_eq!(trained.is_ok(), usable > 0, "{name}: {trained:?}");
                }
            }
        }
    }
}

#[test]
fn frame_n_is_frame_n_and_row_n_row_n() {
    if !crate::require::ffmpeg() {
        return;
    }
    let run = |range: std::ops::Range<usize>| -> Vec<usize> { range.collect() };
    // Case, episode in it, first number its film shows, frames.
    for (name, at, first, frames) in [
        ("lerobot_film_ms_times", 0, 0, 30),
        ("lerobot_film_ms_times", 1, 100, 11),
        ("lerobot_first_row_missing", 0, 100, 12),
        ("lerobot_first_row_missing", 1, 200, 9),
        ("lerobot_images_in_parquet", 1, 100, 12),
        ("lerobot_decimal", 1, 100, 12),
        ("lerobot_decimal_bytes", 1, 100, 12),
        ("droid_film_ms_times", 0, 0, 48),
        ("droid_film_uneven", 0, 0, 40),
        ("droid_film_hevc_10bit", 0, 0, 20),
        ("droid_film_3_bytes_behind", 0, 0, 15),
        ("droid_film_thumbnail_track_first", 0, 0, 15),
        ("h5_pause_5s", 0, 0, 45),
        ("h5_gripper_T1", 0, 0, 15),
        ("h5_pose_float16", 0, 0, 15),
        ("h5_soft_link", 0, 0, 15),
        ("h5_two_soft_links", 0, 0, 20),
        ("h5_two_soft_links_new", 0, 0, 20),
        ("h5_joints_commanded_only", 0, 0, 20),
        ("meta_int_serials", 0, 0, 12),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (path, out) = (case(name), folder.path().join("out"));
        let store = validated(&path).unwrap();
        let again = converted(&path, &out, OnBadEpisode::Skip).unwrap();
        for store in [store.as_ref(), again.as_ref()] {
            assert_eq!(shown(store, at), run(first..first + frames), "{name} {at}");
            let states = states(store, at);
            assert_eq!(states.len(), frames, "{name}");
            for i in [0, 1, frames - 1] {
                let expected = match is_lerobot(&path) {
                    true => lerobot_state(first / 100, i, frames),
                    false => droid_state(i, frames),
                };
                assert!(
                    near(&states[i], expected),
                    "{name} {at} {i}: {:?}",
                    states[i]
                );
            }
        }
    }
}

#[test]
fn sizes_cameras_outcomes_and_tasks_are_those_of_the_files() {
    if !crate::require::ffmpeg() {
        return;
    }
    let turned = validated(&case("droid_film_turned_90")).unwrap();
    let camera = &turned.episodes()[0].cameras[0];
    let picture = turned.frames(0, &View::default(), &[0]).unwrap();
    assert_eq!((camera.width, camera.height), (48, 64));
    assert_eq!((picture.width(), picture.height()), (48, 64));
    let second = validated(&case("droid_film_thumbnail_track_first")).unwrap();
    let entry = &second.episodes()[0];
    assert_eq!((entry.cameras[0].width, entry.cameras[0].height), (64, 48));
    assert!(
        entry.notes[0].contains("2 video tracks"),
        "{:?}",
        entry.notes
    );
    let hidden = validated(&case("droid_macos_files")).unwrap();
    assert_eq!(hidden.episodes()[0].cameras.len(), 1);

    for name in [
        "meta_nan_extrinsics",
        "meta_null_paths",
        "meta_int_serials",
        "meta_no_success",
    ] {
        let store = validated(&case(name)).unwrap();
        let entry = &store.episodes()[0];
        assert_eq!(
            (entry.success, &*entry.roles["left"]),
            (Some(true), "11111111"),
            "{name}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (case("lerobot_no_success_column"), folder.path().join("out"));
    let again = converted(&path, &out, OnBadEpisode::Refuse).unwrap();
    for store in [validated(&path).unwrap(), again] {
        assert_eq!(
            Statistics::of(store.as_ref(), None).unwrap().success_share,
            None
        );
        assert!(!store.episodes()[0].path.contains("failure"));
    }
    let words = validated(&case("lerobot_success_in_words")).unwrap();
    assert_eq!(words.episodes()[1].success, Some(true));
    let tasks = validated(&case("lerobot_task_called_1")).unwrap();
    let behaviours = Statistics::of(tasks.as_ref(), None).unwrap().behaviours;
    assert_eq!((behaviours["1"], behaviours["wipe the table"]), (1, 1));

    let nested = validated(&case("lerobot_names_nested")).unwrap();
    let actions = Statistics::of(nested.as_ref(), None).unwrap().actions;
    assert!(
        (actions[0].mean - 0.001).abs() < 1e-6,
        "{}",
        actions[0].mean
    );
    let decimal = validated(&case("lerobot_decimal_gripper")).unwrap();
    assert!((states(decimal.as_ref(), 0)[1].gripper - 0.01).abs() < 1e-12);
    for (name, usable, unusable) in [
        ("lerobot_null_video_of_one", [0, 2], 1),
        ("lerobot_one_nan", [0, 2], 1),
        ("lerobot_first_row_missing", [1, 2], 0),
    ] {
        let store = validated(&case(name)).unwrap();
        let paths: Vec<String> = usable.iter().map(|n| format!("episode_{n:06}")).collect();
        let found: Vec<&String> = store.episodes().iter().map(|e| &e.path).collect();
        assert_eq!(found, paths.iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(store.unusable().len(), unusable, "{name}");
        let read = foresight_datasets::open(&case(name)).unwrap();
        let statistics = Statistics::of(read.as_ref(), None).unwrap();
        assert_eq!(
            (statistics.episodes, statistics.unusable),
            (2, unusable),
            "{name}"
        );
    }
}

#[test]
fn what_is_left_out_and_what_is_doubtful_is_said() {
    let open = |name: &str| foresight_datasets::open(&case(name)).unwrap();
    let notes = open("h5_nan_joint").episodes()[0].notes.join("\n");
    assert!(
        notes.contains("joint_positions") && notes.contains("left out"),
        "{notes}"
    );
    // A link of the same name leads from the commands to other joints.
    let commanded = open("h5_joints_commanded_only").extras(0).unwrap();
    assert_eq!(commanded.trajectory.joints_rad, Vec::<[f64; 7]>::new());
    let commanded = open("h5_two_soft_links").extras(0).unwrap().commanded;
    assert!((commanded[0].to_array()[0] - 0.65).abs() < 1e-9);
    let notes = open("h5_nan_extrinsics_right").episodes()[0]
        .notes
        .join("\n");
    assert!(notes.contains("22222222"), "{notes}");
    let rate = open("h5_pause_5s").episodes()[0].rate_hz;
    assert!((rate - 15.0).abs() < 0.2, "{rate}");
    for (name, words) in [
        ("lerobot_mm_degrees", ["millimetres", "degrees", "percent"]),
        (
            "lerobot_gripper_open_is_1",
            ["begin with a closed", "1 means open", "1 - gripper"],
        ),
    ] {
        let doubts = Doubts::of(open(name).as_ref(), usize::MAX)
            .words()
            .join("\n");
        let missing = words.into_iter().find(|word| !doubts.contains(word));
        assert_eq!(missing, None, "{name}: {doubts}");
    }
    for name in ["lerobot_size_fraction", "droid_film_uneven"] {
        assert_eq!(
            Doubts::of(open(name).as_ref(), 9).words(),
            Vec::<String>::new()
        );
    }
}

#[test]
fn datasets_of_different_formats_become_one() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The same cameras by role, two episodes of the same name, an outcome known of one only.
    let names = ["lerobot_zstd", "lerobot_gzip", "meta_no_success"];
    let stores = names.map(|name| foresight_datasets::open(&case(name)).unwrap());
    let joined = Joined::new(stores.into_iter().collect());
    let options = ConvertOptions {
        views: vec![View::default()],
        ..ConvertOptions::default()
    };
    type Write = fn(&dyn EpisodeStore, &Path, &ConvertOptions) -> Result<(), DatasetError>;
    let both: [(&str, Write); 2] = [
        ("lerobot", |s, out, o| {
            to_lerobot(s, out, o, |_, _| {}).map(|_| ())
        }),
        ("droid", |s, out, o| {
            to_droid(s, out, o, |_, _| {}).map(|_| ())
        }),
    ];
    for (format, write) in both {
        let out = folder.path().join(format);
        write(&joined, &out, &options).unwrap();
        let again = validated(&out).unwrap();
        assert_eq!(
            (again.unusable(), again.episodes().len()),
            (&[][..], 5),
            "{format}"
        );
        let outcomes = again.episodes().iter().map(|e| e.success);
        assert_eq!(
            outcomes.clone().filter(|s| *s == Some(true)).count(),
            1,
            "{format}"
        );
        assert_eq!(outcomes.filter(Option::is_none).count(), 4, "{format}");
        let mut first: Vec<usize> = (0..5).map(|at| shown(again.as_ref(), at)[0]).collect();
        first.sort_unstable();
        assert_eq!(first, [0, 0, 0, 100, 100], "{format}");
        assert!(
            write(&joined, &out, &options).is_err(),
            "{format} is not empty"
        );
    }
}

#[test]
fn no_camera_takes_the_place_of_one_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    copy(&case("lerobot_gzip"), folder.path());
    let info = folder.path().join("meta/info.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&info).unwrap()).unwrap();
    let front = json["features"]["observation.images.front"].clone();
    json["features"]["observation.images.a_first"] = front;
    fs::write(&info, json.to_string()).unwrap();
    let store = foresight_datasets::open(folder.path()).unwrap();
    let entry = &store.episodes()[0];
    assert_eq!((entry.cameras.len(), entry.faults.len()), (1, 1));
    let of = |view: &str| entry.camera(&view.parse().unwrap()).map(|c| c.name.clone());
    let missing = of("left").unwrap_err();
    assert!(missing.contains("left (a_first by its"), "{missing}");
    assert_eq!(of("right"), Ok("front".to_owned()));
}

/// Makes a case's copy whose data file holds its poses as lists of lists of `width`, and of times
/// only the rows' numbers, the first two of them `swapped` or not. Returns its poses.
fn rewritten(folder: &Path, width: i16, swapped: bool) -> Vec<Pose> {
    let path = case("lerobot_gzip");
    copy(&path, folder);
    let store = foresight_datasets::open(&path).unwrap();
    let episodes: Vec<Vec<Pose>> = (0..2).map(|at| states(store.as_ref(), at)).collect();
    let leaf = |name: &str, kind: Physical| {
        let leaf = Type::primitive_type_builder(name, kind).with_repetition(Repetition::REQUIRED);
        Arc::new(leaf.build().unwrap())
    };
    let branch = |name: &str, repetition: Repetition, field: Arc<Type>| {
        let branch = Type::group_type_builder(name).with_repetition(repetition);
        Arc::new(branch.with_fields(vec![field]).build().unwrap())
    };
    let list = |inner: Arc<Type>| branch("list", Repetition::REPEATED, inner);
    let row = list(leaf("element", Physical::DOUBLE));
    let rows = list(branch("element", Repetition::REQUIRED, row));
    let fields = vec![
        leaf("episode_index", Physical::INT64),
        leaf("frame_index", Physical::INT64),
        branch("observation.state", Repetition::REQUIRED, rows),
    ];
    let schema = Type::group_type_builder("schema")
        .with_fields(fields)
        .build();
    let file = fs::File::create(folder.join("data/chunk-000/file-000.parquet")).unwrap();
    let schema = Arc::new(schema.unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let numbers = episodes.iter().enumerate();
    let numbers = numbers.flat_map(|(at, e)| (0..e.len()).map(move |row| [at as i64, row as i64]));
    let mut numbers: Vec<[i64; 2]> = numbers.collect();
    if swapped {
        numbers.swap(0, 1);
    }
    for k in 0..2 {
        let mut column = group.next_column().unwrap().unwrap();
        let of: Vec<i64> = numbers.iter().map(|n| n[k]).collect();
        column
            .typed::<Int64Type>()
            .write_batch(&of, None, None)
            .unwrap();
        column.close().unwrap();
    }
    let values: Vec<f64> = episodes.iter().flatten().flat_map(Pose::to_array).collect();
    let levels: Vec<i16> = (0..values.len() as i16)
        .map(|i| match (i % 7, i % width) {
            (0, _) => 0,
            (_, 0) => 1,
            _ => 2,
        })
        .collect();
    let there = vec![2; values.len()];
    let mut column = group.next_column().unwrap().unwrap();
    let typed = column.typed::<DoubleType>();
    typed
        .write_batch(&values, Some(&there), Some(&levels))
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    episodes.concat()
}

#[test]
fn lists_of_lists_are_rows_and_rows_out_of_order_are_none() {
    for width in [7, 1] {
        let folder = tempfile::tempdir().unwrap();
        let expected = rewritten(folder.path(), width, false);
        let store = foresight_datasets::open(folder.path()).unwrap();
        let found: Vec<Pose> = (0..2).flat_map(|at| states(store.as_ref(), at)).collect();
        assert_eq!(found, expected, "{width}");
    }
    let folder = tempfile::tempdir().unwrap();
    rewritten(folder.path(), 7, true);
    let mut store = LeRobotStore::open(folder.path()).unwrap();
    store.validate(|_, _| {});
    assert_eq!((store.episodes().len(), store.unusable().len()), (1, 1));
    let reason = &store.unusable()[0].1;
    assert!(reason.contains("do not increase from state 0"), "{reason}");
}

#[test]
fn an_index_is_looked_at_anew_and_held_against_what_it_lists() {
    let folder = tempfile::tempdir().unwrap();
    copy(&case("meta_no_success"), folder.path());
    let file = folder.path().join("index.json");
    let index = Index::build(folder.path(), Depth::Quick, |_, _| {}).unwrap();
    index.write(&file).unwrap();
    let again = Index::of_list(&file, Depth::Quick, |_, _| {}).unwrap();
    assert_eq!(again, index);

    let changed = folder.path().join(&index.episodes[0].path);
    let changed = changed.join("trajectory.h5");
    let mut trajectory = Trajectory::read(&changed).unwrap();
    trajectory.states.pop();
    trajectory.time_s.pop();
    trajectory.joints_rad.clear();
    trajectory.commands.clear();
    trajectory.write(&changed).unwrap();
    let store = foresight_datasets::open(&file).unwrap();
    for error in [
        store.extras(0).err(),
        store.proprioception(0, &View::default()).err(),
    ] {
        let words = error.unwrap().to_string();
        assert!(words.contains("make the index anew"), "{words}");
    }
}

#[test]
fn episodes_that_are_counted_and_not_listed_are_told() {
    let folder = tempfile::tempdir().unwrap();
    copy(&case("lerobot_gzip"), folder.path());
    let info = folder.path().join("meta/info.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&info).unwrap()).unwrap();
    for (total, told) in [(2, false), (3, true), (0, false)] {
        json["total_episodes"] = total.into();
        fs::write(&info, json.to_string()).unwrap();
        let store = foresight_datasets::open(folder.path()).unwrap();
        let notes = &store.episodes()[1].notes;
        assert_eq!(
            notes.concat().contains("total_episodes = 3"),
            told,
            "{notes:?}"
        );
        assert_eq!((store.episodes().len(), store.unusable().len()), (2, 0));
    }
}

#[test]
fn whose_poses_they_are_survives_a_conversion() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = ConvertOptions::default();
    for (name, robot) in [("lerobot_gzip", "panda"), ("meta_no_success", "Franka")] {
        let store = foresight_datasets::open(&case(name)).unwrap();
        let [lerobot, droid] = ["lerobot", "droid"].map(|f| folder.path().join(name).join(f));
        to_lerobot(store.as_ref(), &lerobot, &options, |_, _| {}).unwrap();
        let again = LeRobotStore::open(&lerobot).unwrap();
        assert_eq!(again.info().robot_type.as_deref(), Some(robot), "{name}");
        to_droid(&again, &droid, &options, |_, _| {}).unwrap();
        let metadata = foresight_datasets::open(&droid).unwrap().extras(0).unwrap();
        let metadata = metadata.metadata.unwrap();
        assert_eq!(metadata.is_of_tcp(), robot != "Franka", "{name}");
    }
}

#[test]
fn listed_episodes_of_one_name_are_all_converted() {
    if !crate::require::ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for name in ["a", "b"] {
        let root = folder.path().join(name);
        copy(&case("meta_no_success"), &root);
        let index = Index::build(&root, Depth::Quick, |_, _| {}).unwrap();
        list += &format!("\"{}\"\n", root.join(&index.episodes[0].path).display());
    }
    let file = folder.path().join("lists/list.csv");
    fs::create_dir_all(folder.path().join("lists")).unwrap();
    fs::write(&file, list).unwrap();
    let store = foresight_datasets::open(&file).unwrap();
    let out = folder.path().join("out");
    let refuse = options(OnBadEpisode::Refuse);
    to_droid(store.as_ref(), &out, &refuse, |_, _| {}).unwrap();
    let again = validated(&out).unwrap();
    assert_eq!((again.episodes().len(), again.unusable()), (2, &[][..]));

    // An episode's own folder as the dataset: it has no name in it.
    let only = foresight_datasets::open(&out.join(&again.episodes()[0].path)).unwrap();
    let out = folder.path().join("only");
    to_droid(only.as_ref(), &out, &refuse, |_, _| {}).unwrap();
    let path = validated(&out).unwrap().episodes()[0].path.clone();
    assert!(path.ends_with("/undated/episode"), "{path}");
}

//! What is wrong with a file is said with its place and a remedy.

use std::path::Path;

use foresight_scenarios::{LoadedScenario, ScenarioError};

const GOOD: &str = r#"name = "test"

[model]
dir = "../models/tabletop"

[safety.workspace]
min_m = [0.35, -0.22, 0.0]
max_m = [0.65, 0.22, 0.35]

[planner]
preset = "paper"
samples = 100

[[subgoal]]
name = "grasp"
steps = 4
state = "grasped"

[success.grasp]
height_m = 0.03
"#;

fn parse(text: &str) -> Result<LoadedScenario, ScenarioError> {
    LoadedScenario::parse(text, Path::new("dir/test.toml"))
}

/// The first problem's line, and the whole message.
fn fault(text: &str) -> (usize, String) {
    match parse(text) {
        Err(ScenarioError::Content(problems)) => {
            let message = ScenarioError::Content(problems.clone()).to_string();
            assert!(message.starts_with("dir/test.toml:"), "{message}");
            let line = problems[0].location.line().expect("a line");
            (line, message)
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("accepted:\n{text}"),
    }
}

/// With one line replaced by another, the message must name that line and contain the words.
fn replaced(line: &str, by: &str, words: &[&str]) {
    let number = GOOD
        .lines()
        .position(|l| l == line)
        .expect("the line is there")
        + 1;
    let (at, message) = fault(&GOOD.replacen(line, by, 1));
    assert_eq!(at, number, "{message}");
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

#[test]
fn the_good_one_is_good() {
    assert!(parse(GOOD).is_ok());
}

#[test]
fn unknown_keys_get_the_nearest_name() {
    replaced("steps = 4", "stepz = 4", &["stepz", "did you mean `steps`"]);
    replaced("samples = 100", "sample = 100", &["did you mean `samples`"]);
    replaced(
        "min_m = [0.35, -0.22, 0.0]",
        "min_cm = [35, -22, 0]",
        &["did you mean `min_m`", "units"],
    );
    replaced(
        "height_m = 0.03",
        "height_mm = 30",
        &["did you mean `height_m`", "units"],
    );
    replaced(
        "name = \"test\"",
        "nome = \"test\"",
        &["did you mean `name`"],
    );
}

#[test]
fn wrong_types_and_names_are_placed() {
    replaced("steps = 4", "steps = \"four\"", &["invalid type", "schema"]);
    replaced("steps = 4", "steps = -1", &["invalid value"]);
    replaced(
        "preset = \"paper\"",
        "preset = \"papre\"",
        &["papre", "did you mean `paper`"],
    );
    replaced(
        "state = \"grasped\"",
        "state = \"grabbed\"",
        &["did you mean `grasped`"],
    );
    replaced("steps = 4", "steps = ", &["TOML syntax"]);
}

#[test]
fn ranges_are_checked_with_a_remedy() {
    replaced("samples = 100", "samples = 0", &["samples is 0", "1..="]);
    replaced("samples = 100", "topk = 900", &["topk is 900", "1..=800"]);
    replaced("samples = 100", "box_m = 7.5", &["box_m is 7.5", "0.5"]);
    replaced("samples = 100", "momentum_std = 1.0", &["momentum"]);
    replaced("samples = 100", "dimensions = []", &["dimension"]);
    replaced("samples = 100", "dimensions = [\"x\", \"x\"]", &["twice"]);
    replaced("steps = 4", "steps = 0", &["0 steps", "1..=10000"]);
    replaced("height_m = 0.03", "height_m = 3", &["0.001..=0.5"]);
    replaced("name = \"test\"", "name = \"../x\"", &["lower-case"]);
    replaced(
        "state = \"grasped\"",
        "state = { lifted = { height_m = 8.0 } }",
        &["lifts by 8 m", "0..=0.5"],
    );
    replaced(
        "state = \"grasped\"",
        "state = { reach = { from = { x_m = [0.1, 0.2], y_m = [0.0, 0.0], z_m = [0.2, 0.2] } } }",
        &["x_m", "inside"],
    );
    let hold = fault(&GOOD.replace("steps = 4", "steps = 4\ngripper = { hold_first = 9 }"));
    assert!(hold.0 == 17 && hold.1.contains("9 of 4"), "{hold:?}");
}

#[test]
fn the_workspace_box_is_required_and_must_make_sense() {
    let without = GOOD.replace(
        "[safety.workspace]\nmin_m = [0.35, -0.22, 0.0]\nmax_m = [0.65, 0.22, 0.35]\n",
        "",
    );
    assert!(fault(&without)
        .1
        .contains("[safety.workspace] with min_m and max_m"));
    replaced(
        "max_m = [0.65, 0.22, 0.35]",
        "max_m = [0.65, 0.22, 0.35, 0.5]",
        &["safety.workspace.max_m has 4 values, where 3 belong"],
    );
    let inside_out = GOOD.replace("max_m = [0.65", "max_m = [0.25");
    let (line, message) = fault(&inside_out);
    assert_eq!(line, 6, "{message}");
    assert!(message.contains("on x; give metres"), "{message}");
    let in_mm = GOOD.replace("max_m = [0.65, 0.22, 0.35]", "max_m = [650, 220, 350]");
    let (line, message) = fault(&in_mm);
    assert_eq!(line, 6, "{message}");
    assert!(message.contains("max_m 650 on x; give metres"), "{message}");
}

#[test]
fn what_stands_or_films_where_it_cannot_is_refused() {
    for (table, key, words) in [
        (
            "scene",
            "object_x_m = [0.42, 1.0]",
            "beyond the arm's reach",
        ),
        (
            "scene",
            "object_x_m = [-0.6, -0.5]",
            "beyond the arm's reach",
        ),
        (
            "scene",
            "start_relative_to_object = false\nstart_x_m = [1.2, 1.3]",
            "where the hand starts",
        ),
        ("scene", "camera_fov_rad = 27.5", "camera_fov_rad"),
        ("scene", "camera_fov_rad = 0", "camera_fov_rad"),
        (
            "scene",
            "camera_eye_m = [1120, 360, 500]",
            "at most 10 from the base",
        ),
        (
            "scene",
            "camera_eye_m = [0.50, 0.015, 0.10]",
            "more than 1 cm apart",
        ),
        (
            "scene",
            "camera_eye_jitter_m = -0.04",
            "camera_eye_jitter_m",
        ),
        ("scene", "light_intensity = [-1, 5]", "light_intensity"),
        ("scene", "light_ambient = [nan, nan]", "light_ambient"),
        (
            "scene",
            "target_min_distance_m = 110",
            "target_min_distance_m",
        ),
        (
            "camera",
            "extrinsics = [1.1, 0.4, 0.5, 90, 0, 0]",
            "full turn",
        ),
        (
            "robot.home",
            "position_m = [0.5, 0.0, 0.2]\neuler_rad = [180, 0, 0]",
            "full turn",
        ),
    ] {
        let text = format!("{GOOD}\n[{table}]\n{key}\n");
        let (_, message) = fault(&text);
        assert!(message.contains(words), "{key}: {message}");
    }
    let over_the_disc = GOOD.replace("\"grasped\"", "\"placed\"");
    let far = format!("{over_the_disc}\n[scene]\ntarget_x_m = [1.0, 1.1]\n");
    assert!(
        fault(&far).1.contains("its pose is partly beyond"),
        "{}",
        fault(&far).1
    );
    let lifted = GOOD.replace("\"grasped\"", "{ lifted = { height_m = 0.5 } }");
    let message = fault(&lifted).1;
    assert!(message.contains("outside safety.workspace"), "{message}");
    // The disc doesn't matter to who never goes there.
    parse(&format!("{GOOD}\n[scene]\ntarget_x_m = [1.0, 1.1]\n")).expect("a grasp");
}

#[test]
fn a_goal_image_that_is_none_is_named_before_anything_is_played() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("test.toml");
    let text = GOOD.replace("state = \"grasped\"", "image = \"goal.png\"");
    let message = |content: &[u8]| {
        std::fs::write(folder.path().join("goal.png"), content).expect("written");
        LoadedScenario::parse(&text, &file).map_err(|e| e.to_string())
    };
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    for (content, words) in [
        (&pointer[..], "git lfs pull"),
        (b"<html>not found</html>", "give a PNG or JPEG"),
        (b"\x89PNG\r\n\x1a\n", "give a PNG or JPEG"),
    ] {
        let message = message(content).expect_err("no picture");
        assert!(
            message.contains("goal.png") && message.contains(words),
            "{message}"
        );
    }
    // What a file holds is told from its content: downloads are often called something else.
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::new(16, 16);
    picture
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .expect("a JPEG");
    message(jpeg.get_ref()).expect("a JPEG called .png");
}

#[test]
fn missing_images_and_ambiguous_goals_are_named() {
    replaced(
        "state = \"grasped\"",
        "image = \"nowhere.png\"",
        &["dir/nowhere.png", "does not exist", "relative"],
    );
    let neither = GOOD.replace("state = \"grasped\"\n", "");
    assert!(fault(&neither).1.contains("neither image nor state"));
    let both = GOOD.replace(
        "state = \"grasped\"",
        "state = \"grasped\"\nimage = \"a.png\"",
    );
    assert!(fault(&both).1.contains("keep one"));
    let goal = "[[subgoal]]\nname = \"grasp\"\nsteps = 4\nstate = \"grasped\"\n";
    let empty = format!("subgoal = []\n{}", GOOD.replace(goal, ""));
    assert_eq!(fault(&empty).0, 1);
    assert!(fault(&empty).1.contains("at least one [[subgoal]]"));
    assert!(fault(&GOOD.replace(goal, ""))
        .1
        .contains("at least one [[subgoal]]"));
}

#[test]
fn a_real_arm_needs_an_endpoint_images_and_no_truth() {
    let real = GOOD.replace("[planner]", "[robot]\nkind = \"franka\"\n\n[planner]");
    let message = fault(&real).1;
    for words in ["no endpoint", "photograph", "true state"] {
        assert!(message.contains(words), "no {words:?} in: {message}");
    }
}

#[test]
fn every_fault_is_listed_in_the_file_s_order() {
    let text = GOOD
        .replace("samples = 100", "samples = 0")
        .replace("steps = 4", "steps = 0");
    let Err(ScenarioError::Content(problems)) = parse(&text) else {
        panic!("accepted");
    };
    assert!(problems.len() >= 2, "{problems:?}");
    assert!(
        problems.is_sorted_by_key(|p| p.location.line()),
        "{problems:?}"
    );
}

#[test]
fn scene_ranges_are_checked() {
    let text = format!("{GOOD}\n[scene]\nbox_width_m = [0.06, 0.02]\n");
    let (line, message) = fault(&text);
    assert!(message.contains("box_width_m"), "{message}");
    assert_eq!(line, text.lines().count(), "{message}");
}

#[test]
fn a_missing_file_is_an_error_with_its_name() {
    let error = LoadedScenario::read(Path::new("no/such.toml")).expect_err("no such file");
    assert!(error.to_string().contains("no/such.toml"), "{error}");
}

#[test]
fn a_scenario_moved_away_from_its_model_says_what_its_paths_count_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("moved.toml");
    std::fs::write(&file, GOOD).expect("written");
    let loaded = LoadedScenario::read(&file).expect("the file itself is fine");
    let message = loaded.model_dir().expect_err("no model there").to_string();
    assert!(message.contains("moved.toml:4:"), "{message}");
    for words in ["scenario file's own folder", "--model"] {
        assert!(message.contains(words), "{message}");
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/reach.toml");
    let loaded = LoadedScenario::read(&beside).expect("a bundled scenario");
    assert!(loaded.model_dir().expect("the bundled model").is_dir());
}

#[test]
fn a_wrong_mixture_of_demonstrations_is_placed() {
    for (lines, key, word) in [
        ("grasp = -1.0", "[demonstrations]", "weights"),
        (
            "near_start_share = 0.7\nin_hand_start_share = 0.7",
            "in_hand_start_share",
            "add up",
        ),
        ("stride_m = [0.07, 0.02]", "stride_m", "falls"),
        ("waypoint_noise_m = []", "waypoint_noise_m", "empty"),
        ("max_step_m = 3.0", "max_step_m", "max_step_m is 3"),
        ("gras = 1.0", "gras", "did you mean `grasp`"),
    ] {
        let text = format!("{GOOD}\n[demonstrations]\n{lines}\n");
        let (line, message) = fault(&text);
        let at = text.lines().position(|l| l.starts_with(key));
        assert_eq!(at.map(|at| at + 1), Some(line), "{message}");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_region_beyond_the_arms_reach_is_named_before_it_is_played() {
    let region = |name: &str, x_m: &str, z_m: &str| {
        let text = GOOD
            .replace("max_m = [0.65,", "max_m = [0.90,")
            .replace("max_m = [0.90, 0.22, 0.35]", "max_m = [0.90, 0.22, 0.80]")
            .replace("state = \"grasped\"\n", "")
            .replace(
                "[success.grasp]",
                &format!(
                    "[subgoal.state.{name}.from]\nx_m = {x_m}\ny_m = [-0.14, 0.14]\nz_m = {z_m}\n\n[success.grasp]"
                ),
            );
        parse(&text)
    };
    for name in ["reach", "carry_to"] {
        region(name, "[0.42, 0.58]", "[0.12, 0.24]").expect("within reach");
        for (x_m, z_m) in [
            ("[0.80, 0.84]", "[0.12, 0.24]"),
            ("[0.42, 0.84]", "[0.12, 0.24]"),
            ("[0.42, 0.60]", "[0.20, 0.80]"),
        ] {
            let error = region(name, x_m, z_m)
                .expect_err("beyond reach")
                .to_string();
            assert!(error.contains("beyond the arm's reach"), "{error}");
        }
    }
}

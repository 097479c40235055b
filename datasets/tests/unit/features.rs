//! Path patterns, and which components are the pose.

use super::*;

#[test]
fn path_patterns_are_filled_and_stay_inside() {
    let pattern = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";
    assert_eq!(
        fill(pattern, "observation.images.a", 0, 12),
        Ok("videos/observation.images.a/chunk-000/file-012.mp4".to_owned())
    );
    assert!(fill("../{file_index}", "", 0, 0).is_err());
    assert!(fill("/etc/{file_index}", "", 0, 0).is_err());
    assert!(fill("{episode}", "", 0, 0).is_err());
}

#[test]
fn splits_may_be_open_and_what_is_no_range_is_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("meta")).unwrap();
    let read = |splits: &str| {
        let text = format!(r#"{{"codebase_version": "v3.0", "fps": 15, "splits": {splits}}}"#);
        fs::write(folder.path().join(INFO), text).unwrap();
        Info::read(folder.path()).map(|info| info.splits)
    };
    let splits = read(r#"{"train": "0:1", "val": "1:", "test": null}"#).unwrap();
    assert_eq!((splits.len(), splits["val"].as_str()), (2, "1:"));
    // What reading doesn't need costs nobody a dataset; it is told in the log.
    for splits in [
        r#"{"train": "0:1", "val": [1]}"#,
        r#"{"train": "0:1", "val": "20%"}"#,
    ] {
        let splits = read(splits).unwrap();
        assert_eq!(splits.keys().collect::<Vec<_>>(), ["train"]);
    }
    for splits in ["[]", "\"train\"", "3", "null"] {
        assert!(read(splits).unwrap().is_empty(), "{splits}");
    }
}

fn pose_of(names: &[&str]) -> Result<[usize; 7], String> {
    let feature = Feature {
        dtype: "float32".to_owned(),
        shape: vec![names.len()],
        names: serde_json::json!(names),
    };
    let info = Info {
        robot_type: None,
        total_episodes: None,
        fps: 15.0,
        splits: BTreeMap::new(),
        data_path: DATA_PATH.to_owned(),
        video_path: VIDEO_PATH.to_owned(),
        features: BTreeMap::from([("observation.state".to_owned(), feature)]),
    };
    match info.pose_columns()? {
        PoseColumns::Components { at, .. } => Ok(at),
        PoseColumns::Droid => panic!("no such columns"),
    }
}

#[test]
fn a_pose_is_found_by_its_names_and_never_guessed() {
    const AXES: [&str; 7] = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"];
    let of = |set: &str, count: usize| -> Vec<String> {
        let axes = AXES[..count].iter();
        axes.map(|axis| format!("{set}.{axis}")).collect()
    };
    let pose = |sets: &[Vec<String>]| {
        let names = sets.concat();
        pose_of(&names.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let gripper = vec!["gripper".to_owned()];
    assert_eq!(pose_of(&AXES), Ok([0, 1, 2, 3, 4, 5, 6]));
    assert_eq!(
        pose(&[of("ee", 6), gripper.clone()]),
        Ok([0, 1, 2, 3, 4, 5, 6])
    );
    // Only one of the two is whole.
    assert_eq!(
        pose(&[of("goal", 3), of("tcp", 6), gripper.clone()]),
        Ok([3, 4, 5, 6, 7, 8, 9])
    );
    assert_eq!(
        pose(&[of("left", 6), of("right", 7)]),
        Ok([6, 7, 8, 9, 10, 11, 12])
    );
    // Two arms; a goal and a pose; two that share a gripper; two ways to say how it is turned.
    for (sets, words) in [
        (vec![of("left", 7), of("right", 7)], "left.x or right.x"),
        (
            vec![of("goal", 6), of("tcp", 6), gripper.clone()],
            "goal.yaw or tcp.yaw",
        ),
        (vec![of("", 7), vec!["rx".to_owned()]], ".roll or rx"),
    ] {
        let reason = pose(&sets).unwrap_err();
        assert!(
            reason.contains(words) && reason.contains("rename"),
            "{reason}"
        );
    }
    let reason = pose(&[of("ee", 5), gripper]).unwrap_err();
    assert!(reason.contains("lacks yaw"), "{reason}");
}

#[test]
fn roles_go_by_name_first_and_then_by_order() {
    let found = |names: &[&str]| -> Vec<String> {
        let features = names.iter().map(|name| {
            let feature = Feature {
                dtype: "video".to_owned(),
                shape: vec![48, 64, 3],
                names: Value::Null,
            };
            (format!("{IMAGES}{name}"), feature)
        });
        let info = Info {
            robot_type: None,
            total_episodes: None,
            fps: 15.0,
            splits: BTreeMap::new(),
            data_path: DATA_PATH.to_owned(),
            video_path: VIDEO_PATH.to_owned(),
            features: features.collect(),
        };
        let roles = roles(&info.cameras()).into_iter();
        roles.map(|(role, name)| format!("{role} {name}")).collect()
    };
    assert_eq!(found(&["front", "side"]), ["left front", "right side"]);
    assert_eq!(
        found(&["base", "left", "right"]),
        ["left left", "right right"]
    );
    assert_eq!(found(&["right", "top"]), ["left top", "right right"]);
    assert_eq!(
        found(&["hand_cam", "wrist", "top"]),
        ["left top", "wrist wrist"]
    );
    assert_eq!(
        found(&["Wrist_cam", "top"]),
        ["left top", "wrist Wrist_cam"]
    );
}

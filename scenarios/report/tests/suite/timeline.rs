//! Recordings for viewers, read back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::played::played;
use foresight_scenarios::report::read::RunData;
use foresight_scenarios::timeline::mcap::McapFile;
use foresight_scenarios::timeline::{tell, Sink};
use serde_json::Value;

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (front, rest) = bytes.split_first_chunk().expect("enough bytes");
    *bytes = rest;
    *front
}

/// Takes a text with its length off the front.
fn text(bytes: &mut &[u8]) -> String {
    let length = u32::from_le_bytes(take(bytes)) as usize;
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    String::from_utf8(text.to_vec()).expect("UTF-8")
}

/// Every message of a file by topic: its time in s and its content. Reads the format as
/// <https://mcap.dev/spec> has it.
fn messages(file: &Path) -> BTreeMap<String, Vec<(f64, Value)>> {
    const MAGIC: &[u8] = b"\x89MCAP0\r\n";
    let bytes = std::fs::read(file).expect("the recording");
    let records = bytes.strip_prefix(MAGIC).expect("the magic at the front");
    let mut left = records.strip_suffix(MAGIC).expect("the magic at the end");
    let (mut schemas, mut channels) = (BTreeMap::new(), BTreeMap::new());
    let mut seen = BTreeMap::<String, Vec<(f64, Value)>>::new();
    let mut count = 0;
    while !left.is_empty() {
        let [kind] = take(&mut left);
        let length = u64::from_le_bytes(take(&mut left)) as usize;
        let (mut record, rest) = left.split_at(length);
        left = rest;
        match kind {
            3 => {
                let id = u16::from_le_bytes(take(&mut record));
                let name = text(&mut record);
                assert_eq!(text(&mut record), "jsonschema");
                let shape: Value = serde_json::from_str(&text(&mut record)).expect("a schema");
                assert_eq!(shape["type"], "object", "{name}");
                assert!(!shape.to_string().contains("$ref"), "{name}");
                schemas.insert(id, (name, shape));
            }
            4 => {
                let id = u16::from_le_bytes(take(&mut record));
                let schema = u16::from_le_bytes(take(&mut record));
                let topic = text(&mut record);
                assert_eq!(text(&mut record), "json");
                channels.insert(id, (topic, schema));
            }
            5 => {
                let (topic, schema) = &channels[&u16::from_le_bytes(take(&mut record))];
                let _sequence: [u8; 4] = take(&mut record);
                let time_s = u64::from_le_bytes(take(&mut record)) as f64 * 1e-9;
                let _published: [u8; 8] = take(&mut record);
                let content: Value = serde_json::from_slice(record).expect("JSON");
                // Every field is in the schema, and the other way round.
                let (name, shape) = &schemas[schema];
                let keys = |v: &Value| {
                    v.as_object()
                        .expect("an object")
                        .keys()
                        .cloned()
                        .collect::<BTreeSet<_>>()
                };
                assert_eq!(keys(&content), keys(&shape["properties"]), "{name}");
                seen.entry(topic.clone())
                    .or_default()
                    .push((time_s, content));
                count += 1;
            }
            0x0b => assert_eq!(u64::from_le_bytes(take(&mut record)), count),
            _ => {}
        }
    }
    seen
}

#[test]
fn a_run_becomes_a_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = played(folder.path());
    let data = RunData::read(&run).expect("the run");
    let file = folder.path().join("run.mcap");
    let mut recording: Box<dyn Sink> = Box::new(McapFile::create(&file).expect("a file"));
    tell::run(&run, recording.as_mut()).expect("told");
    recording.finish().expect("finished");
    let seen = messages(&file);

    let steps = data.steps.len();
    let count = |topic: &str| seen.get(topic).map_or(0, Vec::len);
    assert_eq!(count("/camera"), steps + 1);
    assert_eq!(count("/target/pose"), steps);
    assert_eq!(count("/plan"), steps);
    let iterations: usize = data.steps.iter().map(|s| s.plan.iterations.len()).sum();
    assert!(iterations > 0);
    assert_eq!(
        (count("/elites"), count("/energy")),
        (iterations, iterations)
    );
    // Every part that has a shape is put somewhere.
    let shown: BTreeSet<&str> = seen["/scene"]
        .iter()
        .filter_map(|(_, m)| m["entities"][0]["id"].as_str())
        .collect();
    let placed: BTreeSet<&str> = seen["/tf"]
        .iter()
        .filter_map(|(_, m)| m["child_frame_id"].as_str())
        .collect();
    assert_eq!(shown, placed);
    assert_eq!(shown.len(), 12, "{shown:?}");
    // What was written down is what is shown, one after the other.
    for (target, step) in seen["/target/pose"].iter().zip(&data.steps) {
        for (i, axis) in ["x", "y", "z"].iter().enumerate() {
            assert_eq!(target.1["pose"]["position"][axis], step.commanded_pose[i]);
        }
    }
    let times: Vec<f64> = seen["/camera"].iter().map(|(t, _)| *t).collect();
    assert!(times.windows(2).all(|w| w[0] < w[1]), "{times:?}");
    // The hand's mesh is where the hand is: 10.34 cm above the TCP.
    let hand = seen["/tf"]
        .iter()
        .find(|(_, m)| m["child_frame_id"] == "hand")
        .expect("a hand");
    let pose = data.steps[0].pose;
    let far_m = (0..3)
        .map(|i| {
            hand.1["translation"][["x", "y", "z"][i]]
                .as_f64()
                .expect("a number")
                - pose[i]
        })
        .map(|d| d * d)
        .sum::<f64>()
        .sqrt();
    assert!((far_m - 0.1034).abs() < 1e-3, "{far_m}");
}

#[test]
fn a_folder_that_is_no_run_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut recording = McapFile::create(&folder.path().join("x.mcap")).expect("a file");
    let error = tell::run(folder.path(), &mut recording).expect_err("no run");
    assert!(error.to_string().contains("plan.jsonl"), "{error}");
    let unwritable = McapFile::create(&folder.path().join("nowhere/x.mcap"));
    assert!(unwritable
        .err()
        .expect("no folder")
        .to_string()
        .contains("nowhere"));
}

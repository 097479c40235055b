//! Recordings for viewers, read back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::played::played;
use foresight_report::timeline::mcap::McapFile;
use foresight_report::timeline::{exporter, Sink};
use foresight_runs::read::RunData;
use foresight_runs::trace;
use foresight_scenarios::monitor::{SurpriseMap, Watched};
use image::{Rgb, RgbImage};
use mcap::sans_io::indexed_reader::{IndexedReadEvent, IndexedReader, IndexedReaderOptions};
use serde_json::Value;

/// Every message of a file by topic: its time in s and its content, found by the index.
fn messages(file: &Path) -> BTreeMap<String, Vec<(f64, Value)>> {
    let bytes = std::fs::read(file).expect("the recording");
    let summary = mcap::Summary::read(&bytes).expect("an MCAP file");
    let summary = summary.expect("a summary");
    let counted = summary.stats.as_ref().expect("statistics").message_count;
    let indexed = summary.chunk_indexes.iter();
    assert!(
        indexed.clone().count() > 0 && indexed.clone().all(|c| !c.message_index_offsets.is_empty()),
        "chunks without message indexes"
    );
    let mut seen = BTreeMap::<String, Vec<(f64, Value)>>::new();
    let mut reader = IndexedReader::new(&summary).expect("an index");
    let mut count = 0;
    while let Some(event) = reader.next_event() {
        match event.expect("a whole file") {
            IndexedReadEvent::ReadChunkRequest { offset, length } => {
                let chunk = &bytes[offset as usize..offset as usize + length];
                reader
                    .insert_chunk_record_data(offset, chunk)
                    .expect("a chunk");
            }
            IndexedReadEvent::Message { header, data } => {
                let channel = &summary.channels[&header.channel_id];
                let schema = channel.schema.as_ref().expect("a schema");
                let name = &schema.name;
                assert_eq!(
                    (channel.message_encoding.as_str(), schema.encoding.as_str()),
                    ("json", "jsonschema")
                );
                let shape: Value = serde_json::from_slice(&schema.data).expect("a schema");
                assert_eq!(shape["type"], "object", "{name}");
                assert!(!shape.to_string().contains("$ref"), "{name}");
                let content: Value = serde_json::from_slice(data).expect("JSON");
                // Every field is in the schema, and the other way round.
                let keys = |v: &Value| {
                    v.as_object()
                        .expect("an object")
                        .keys()
                        .cloned()
                        .collect::<BTreeSet<_>>()
                };
                assert_eq!(keys(&content), keys(&shape["properties"]), "{name}");
                let time_s = header.log_time as f64 * 1e-9;
                seen.entry(channel.topic.clone())
                    .or_default()
                    .push((time_s, content));
                count += 1;
            }
        }
    }
    assert_eq!(count, counted);
    seen
}

/// The topics of what an indexed reader finds from `time_s` on.
fn topics_from(file: &Path, time_s: f64) -> BTreeSet<String> {
    let bytes = std::fs::read(file).expect("the recording");
    let summary = mcap::Summary::read(&bytes).expect("an MCAP file");
    let summary = summary.expect("a summary");
    let options = IndexedReaderOptions::new().starting_at((time_s * 1e9) as u64);
    let mut reader = IndexedReader::new_with_options(&summary, options).expect("an index");
    let mut topics = BTreeSet::new();
    while let Some(event) = reader.next_event() {
        match event.expect("a whole file") {
            IndexedReadEvent::ReadChunkRequest { offset, length } => {
                let chunk = &bytes[offset as usize..offset as usize + length];
                reader
                    .insert_chunk_record_data(offset, chunk)
                    .expect("a chunk");
            }
            IndexedReadEvent::Message { header, .. } => {
                topics.insert(summary.channels[&header.channel_id].topic.clone());
            }
        }
    }
    topics
}

#[test]
fn a_run_becomes_a_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = played(folder.path());
    // As if its first step had been planned at two levels.
    let plan = run.join("plan.jsonl");
    let mut trace = trace::read(&plan).expect("the trace");
    trace[0].plan.macro_actions = vec![[0.1, 0.0, -0.1, 0.0, 0.0, 0.0, 0.0]; 2];
    let lines = trace
        .iter()
        .map(|step| serde_json::to_string(step).expect("JSON") + "\n");
    std::fs::write(&plan, lines.collect::<String>()).expect("written");
    let data = RunData::read(&run).expect("the run");
    let file = folder.path().join("run.mcap");
    let mut recording: Box<dyn Sink> = Box::new(McapFile::create(&file).expect("a file"));
    exporter::run(&run, recording.as_mut()).expect("told");
    recording.finish().expect("finished");
    let seen = messages(&file);

    let steps = data.steps.len();
    let count = |topic: &str| seen.get(topic).map_or(0, Vec::len);
    assert_eq!(count("/camera"), steps + 1);
    assert_eq!(count("/target/pose"), steps);
    assert_eq!((count("/plan"), count("/waypoints")), (steps, 1));
    let (_, waypoints) = &seen["/waypoints"][0];
    let points = waypoints["entities"][0]["lines"][0]["points"].as_array();
    assert_eq!(points.map(Vec::len), Some(3), "{waypoints}");
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
    // Meshes stand at the beginning; whoever seeks to the middle doesn't read them.
    let middle_s = seen["/camera"][steps / 2].0;
    let later = topics_from(&file, middle_s);
    assert!(
        later.contains("/camera") && !later.contains("/scene"),
        "{later:?}"
    );
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
    let error = exporter::run(folder.path(), &mut recording).expect_err("no run");
    assert!(error.to_string().contains("plan.jsonl"), "{error}");
    let unwritable = McapFile::create(&folder.path().join("nowhere/x.mcap"));
    assert!(unwritable
        .err()
        .expect("no folder")
        .to_string()
        .contains("nowhere"));
}

#[test]
fn a_monitor_s_surprise_is_told_as_a_picture_and_a_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("watched.mcap");
    let mut sink: Box<dyn Sink> = Box::new(McapFile::create(&file).expect("a file"));
    let mut tokens = vec![0.0; 16];
    tokens[5] = 9.0;
    let watched = Watched {
        score: 1.5,
        map: SurpriseMap {
            grid: [4, 4],
            tokens,
        },
        frame: RgbImage::from_pixel(64, 64, Rgb([10, 10, 10])),
        alarm: None,
    };
    sink.at(0.5, 1);
    exporter::surprise(&watched, sink.as_mut()).expect("told");
    sink.finish().expect("written");
    let seen = messages(&file);
    assert!(
        seen.keys().any(|topic| topic.contains("surprise")),
        "{:?}",
        seen.keys()
    );
    let told = seen.iter().find(|(topic, _)| topic.contains("monitor"));
    let (_, numbers) = told.expect("the monitor's numbers");
    assert!(numbers[0].1.to_string().contains("1.5"), "{numbers:?}");
}

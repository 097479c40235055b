//! Recordings for Rerun, read back by Rerun's own reader.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

#[path = "suite/played.rs"]
mod played;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use foresight_report::timeline::{exporter, rerun_file, rerun_viewer};
use foresight_runs::read::RunData;
use foresight_runs::replay::Place;
use foresight_runs::replay::{self, OpenOptions, ReplayOptions, Tolerance};
use played::played;
use re_sdk::external::re_log_encoding::DecoderApp;
use re_sdk::log::{Chunk, LogMsg};
use re_sdk::StoreKind;

/// What a file says of one component of an entity.
#[derive(Default)]
struct Column {
    /// How often.
    rows: usize,
    /// On which timelines; none for what holds always.
    timelines: BTreeSet<String>,
    /// When, s, in the file's order.
    times_s: Vec<f64>,
    /// Numbers, when they are numbers.
    numbers: Vec<f64>,
}

/// What a file says, by entity and component.
fn read(file: &Path) -> BTreeMap<(String, String), Column> {
    let reader = BufReader::new(File::open(file).expect("the recording"));
    let mut seen = BTreeMap::<(String, String), Column>::new();
    for message in DecoderApp::decode_eager(reader).expect("an rrd file") {
        let LogMsg::ArrowMsg(store, message) = message.expect("a whole message") else {
            continue;
        };
        assert_eq!(store.kind(), StoreKind::Recording);
        let chunk = Chunk::from_arrow_msg(&message).expect("a chunk");
        chunk.sanity_check().expect("a sound chunk");
        for component in chunk.components_identifiers() {
            let key = (chunk.entity_path().to_string(), component.to_string());
            let column = seen.entry(key).or_default();
            column.rows += chunk.num_events_for_component(component).unwrap_or(0) as usize;
            for (name, times) in chunk.timelines() {
                column.timelines.insert(name.to_string());
                if name.as_str() == "time" {
                    let times = times.times_raw().iter();
                    column.times_s.extend(times.map(|ns| *ns as f64 * 1e-9));
                }
            }
            if component.as_str() == "Scalars:scalars" {
                for numbers in chunk.iter_slices::<f64>(component) {
                    column.numbers.extend(numbers);
                }
            }
        }
    }
    seen
}

#[test]
fn a_run_becomes_a_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = played(folder.path());
    let data = RunData::read(&run).expect("the run");
    let file = folder.path().join("run.rrd");
    let mut recording = rerun_file(&file).expect("a file");
    exporter::run(&run, recording.as_mut()).expect("told");
    recording.finish().expect("finished");
    let seen = read(&file);

    let column = |entity: &str, component: &str| {
        seen.get(&(entity.to_owned(), component.to_owned()))
            .unwrap_or_else(|| panic!("no {entity} {component} in {:?}", seen.keys()))
    };
    let rows = |entity: &str, component: &str| column(entity, component).rows;
    let steps = data.steps.len();
    let iterations: usize = data.steps.iter().map(|s| s.plan.iterations.len()).sum();
    assert!(steps > 0 && iterations > 0);
    assert_eq!(rows("/camera", "EncodedImage:blob"), steps + 1);
    assert_eq!(rows("/goal", "EncodedImage:blob"), 1);
    assert_eq!(rows("/base/target", "Transform3D:translation"), steps);
    assert_eq!(rows("/base/tcp", "Transform3D:translation"), 2 * steps);
    assert_eq!(rows("/base/plan", "LineStrips3D:strips"), steps);
    assert_eq!(rows("/base/elites", "Points3D:positions"), iterations);
    assert_eq!(rows("/energy/best", "Scalars:scalars"), iterations);
    // A sub-goal and a verdict.
    assert_eq!(rows("/log", "TextLog:text"), 2);
    // Both timelines, and no moments of writing.
    let both = BTreeSet::from(["step".to_owned(), "time".to_owned()]);
    assert_eq!(column("/camera", "EncodedImage:blob").timelines, both);
    let times_s = &column("/camera", "EncodedImage:blob").times_s;
    assert!(times_s.windows(2).all(|w| w[0] < w[1]), "{times_s:?}");
    // Every part has a shape that holds always, and is put somewhere.
    let entities = |component: &str| {
        seen.keys()
            .filter(|(_, c)| c == component)
            .map(|(e, _)| e.clone())
            .collect::<BTreeSet<_>>()
    };
    let shown = entities("Mesh3D:vertex_positions");
    assert_eq!(shown.len(), 12, "{shown:?}");
    assert!(shown.is_subset(&entities("Transform3D:quaternion")));
    for part in &shown {
        let shape = column(part, "Mesh3D:vertex_positions");
        assert_eq!(
            (shape.rows, shape.timelines.len()),
            (1, 0),
            "{part} is still"
        );
    }
    // What was written down is what is plotted.
    let energies = column("/energy/best", "Scalars:scalars").numbers.clone();
    let written = data.steps.iter().flat_map(|s| &s.plan.iterations);
    let written: Vec<f64> = written.map(|i| f64::from(i.elite_energies[0])).collect();
    assert_eq!(energies, written);
}

#[test]
fn a_replay_becomes_a_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = played(folder.path());
    let recording = replay::open(&run, &OpenOptions::default()).expect("a recording");
    let mut nobody = |_: &replay::ReplayedStep| std::ops::ControlFlow::Continue(());
    let options = ReplayOptions {
        place: Place::VirtualTime,
        from: 0,
        to: None,
        speed: 1.0,
        tolerance: Tolerance {
            position_mm: 10.0,
            rotation_deg: 5.0,
            gripper: 0.15,
        },
    };
    let replayed = replay::replay(&recording, &options, &mut nobody).expect("replayed");
    assert!(replayed.identical);
    let file = folder.path().join("replay.rrd");
    let mut recording = rerun_file(&file).expect("a file");
    exporter::replay(&replayed, recording.as_mut()).expect("told");
    recording.finish().expect("finished");
    let seen = read(&file);
    for (entity, component) in [
        ("/recorded", "EncodedImage:blob"),
        ("/replayed", "EncodedImage:blob"),
        ("/base/recorded", "Transform3D:translation"),
        ("/base/replayed_way", "LineStrips3D:strips"),
        ("/error/position_mm", "Scalars:scalars"),
    ] {
        let key = (entity.to_owned(), component.to_owned());
        let rows = seen.get(&key).map_or(0, |column| column.rows);
        assert_eq!(rows, replayed.steps.len(), "{entity}");
    }
}

#[test]
fn what_cannot_be_written_or_reached_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = rerun_file(&folder.path().join("nowhere/x.rrd"));
    let message = error.err().expect("no folder").to_string();
    assert!(message.contains("nowhere/x.rrd"), "{message}");
    for url in ["nonsense", "rerun+http://127.0.0.1:9/proxy"] {
        let message = rerun_viewer(url).err().expect("no viewer").to_string();
        assert!(
            message.contains(url) && message.contains("start one"),
            "{message}"
        );
    }
    // A full disk is noticed.
    if Path::new("/dev/full").exists() {
        let told = rerun_file(Path::new("/dev/full")).and_then(|mut recording| {
            recording.say(false, "something")?;
            recording.finish()
        });
        assert!(told.is_err(), "written to a full disk");
    }
}

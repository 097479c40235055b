//! Unit tests of `src/log.rs`.

use super::*;

fn progress(step: usize) -> Progress {
    Progress {
        step,
        total: 10,
        rate: 1e-3,
        gradient_norm: 0.5,
        seconds: 1.0,
        samples_per_s: 8.0,
        data_wait_share: 0.1,
        remaining_s: 2.0,
        training: vec![("total", 0.25)],
        validation: (step == 2).then(|| vec![("total", 0.5)]),
    }
}

#[test]
fn a_resumed_log_says_every_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join(CSV_FILE);
    let mut log = Log::open(folder.path(), 0).unwrap();
    for step in 1..=4 {
        log.write(&progress(step)).unwrap();
    }
    // The process dies in the middle of a line; its last checkpoint was step 2.
    let torn = std::fs::read_to_string(&csv).unwrap() + "5,1.0,1e";
    std::fs::write(&csv, torn).unwrap();
    let mut log = Log::open(folder.path(), 2).unwrap();
    for step in 3..=4 {
        log.write(&progress(step)).unwrap();
    }
    let text = std::fs::read_to_string(&csv).unwrap();
    let steps: Vec<&str> = text.lines().map(|l| l.split(',').next().unwrap()).collect();
    assert_eq!(steps, ["step", "1", "2", "2", "3", "4"]);
    let held_out = [("total".to_owned(), 0.5)];
    assert_eq!(validation_at(folder.path(), 2), held_out);
    assert!(validation_at(folder.path(), 3).is_empty());
    let files = std::fs::read_dir(folder.path().join(EVENTS_FOLDER)).unwrap();
    assert_eq!(files.count(), 2);
}

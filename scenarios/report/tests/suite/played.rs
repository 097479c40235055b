//! A run to tell of.

use std::path::{Path, PathBuf};

use foresight_report::{run, RunOptions};
use foresight_scenarios::episode::Unwatched;
use foresight_scenarios::{LoadedScenario, ModelSource};

/// A short run, planned by whoever knows the goal poses: its folder.
pub fn played(out: &Path) -> PathBuf {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reach.toml");
    let loaded = LoadedScenario::read(&scenario).expect("the scenario");
    let options = RunOptions {
        seed: 5,
        out: out.to_owned(),
        virtual_time: true,
    };
    let result = run(&loaded, &ModelSource::Oracle, &options, &mut Unwatched).expect("a run");
    result.run_dir
}

//! From a file to a checked [`Scenario`].

use std::path::{Path, PathBuf};

use foresight_planner::{PlannerConfig, OLD_KEYS};
use foresight_robot::ZenohArmConfig;
use foresight_settings::{
    check, read_text, Change, Diagnostic, Dialect, Located, Remedies, SettingsError,
};

use crate::check::faults;
use crate::scenario::Scenario;

/// What to do about what serde says of a scenario.
const REMEDIES: Remedies = Remedies {
    wrong_type: "see scenarios/scenario.schema.json for this key's type",
    missing: &[
        (
            "workspace",
            "state the box the arm may move in: [safety.workspace] with min_m and max_m",
        ),
        (
            "safety",
            "state the arm's limits: [safety.workspace] with min_m and max_m",
        ),
        ("model", "name a model folder: [model] with dir = \"…\""),
        ("subgoal", "add at least one [[subgoal]]"),
    ],
};

/// A checked scenario and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedScenario {
    /// What the file says, with all that its planner's preset says.
    pub scenario: Scenario,
    /// The file.
    pub file: PathBuf,
    /// What could be said better: keys that are called something else by now.
    pub hints: Vec<Located>,
}

impl LoadedScenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// [`SettingsError`] lists every fault found, with line and remedy.
    pub fn read(file: &Path) -> Result<Self, SettingsError> {
        LoadedScenario::read_changed(file, &[])
    }

    /// As [`LoadedScenario::read`], with `changes` laid over the file.
    ///
    /// # Errors
    /// As [`LoadedScenario::read`]; faults of a change name it.
    pub fn read_changed(file: &Path, changes: &[Change]) -> Result<Self, SettingsError> {
        LoadedScenario::parse_changed(&read_text(file)?, file, changes)
    }

    /// Checks a scenario's text; `file` names it and anchors its relative paths.
    ///
    /// # Errors
    /// As [`LoadedScenario::read`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, SettingsError> {
        LoadedScenario::parse_changed(text, file, &[])
    }

    fn parse_changed(text: &str, file: &Path, changes: &[Change]) -> Result<Self, SettingsError> {
        let source = Some((file, text));
        let dialect = Dialect {
            renamed: &OLD_KEYS,
            complete: &PlannerConfig::complete_within,
            remedies: REMEDIES,
        };
        let (scenario, hints) = dialect.layered(source, changes)?;
        check(faults(&scenario, file), source, changes, dialect.renamed)?;
        Ok(LoadedScenario {
            scenario,
            file: file.to_owned(),
            hints,
        })
    }

    /// The folder of the model that plans.
    ///
    /// # Errors
    /// [`SettingsError::Content`] when it isn't there. Not part of [`LoadedScenario::read`]: a
    /// model can be given in place of the file's, and some commands need none.
    pub fn model_dir(&self) -> Result<PathBuf, SettingsError> {
        let dir = self.path(&self.scenario.model.dir);
        if dir.is_dir() {
            return Ok(dir);
        }
        let fault = Diagnostic::new(
            "model.dir",
            format!("there is no model folder {}", dir.display()),
            "paths count from the scenario file's own folder: correct it, give a whole path, or \
             give another model with --model",
        );
        // Only for the line number, so a file that is gone meanwhile is no further fault.
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let fault = fault.locate(&self.file, &text);
        Err(SettingsError::Content(vec![fault]))
    }

    /// A path of the file, relative to the file's folder.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.file.with_file_name(relative)
    }

    /// How to reach the scenario's real arm, its files' paths counted from the scenario's folder.
    pub fn franka(&self) -> ZenohArmConfig {
        let mut config = self.scenario.robot.franka.clone().unwrap_or_default();
        config.link = config.link.based_in(&self.path(Path::new("")));
        config
    }
}

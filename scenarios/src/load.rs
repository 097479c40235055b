//! From a file to a checked [`Scenario`].

use std::path::{Path, PathBuf};

use crate::check;
use crate::problem::{from_toml, Fault, ScenarioError};
use crate::scenario::Scenario;

/// A checked scenario and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedScenario {
    /// What the file says.
    pub scenario: Scenario,
    /// The file.
    pub file: PathBuf,
}

impl LoadedScenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`] lists every fault found, with line and remedy.
    pub fn read(file: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(file).map_err(|source| ScenarioError::Read {
            path: file.to_owned(),
            source,
        })?;
        LoadedScenario::parse(&text, file)
    }

    /// Checks a scenario's text; `file` names it and anchors its relative paths.
    ///
    /// # Errors
    /// As [`LoadedScenario::read`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, ScenarioError> {
        let scenario: Scenario = toml::from_str(text)
            .map_err(|error| ScenarioError::Content(vec![from_toml(file, text, &error)]))?;
        let loaded = LoadedScenario {
            scenario,
            file: file.to_owned(),
        };
        let faults = check::faults(&loaded);
        if faults.is_empty() {
            return Ok(loaded);
        }
        let mut problems: Vec<_> = faults.into_iter().map(|f| f.locate(file, text)).collect();
        problems.sort_by_key(|p| (p.line, p.column));
        Err(ScenarioError::Content(problems))
    }

    /// The folder of the model that plans.
    ///
    /// # Errors
    /// [`ScenarioError::Content`] when it isn't there. Not part of [`LoadedScenario::read`]: a
    /// model can be given in place of the file's, and some commands need none.
    pub fn model_dir(&self) -> Result<PathBuf, ScenarioError> {
        let dir = self.path(&self.scenario.model.dir);
        if dir.is_dir() {
            return Ok(dir);
        }
        let fault = Fault::new(
            "model.dir",
            format!("there is no model folder {}", dir.display()),
            "paths count from the scenario file's own folder: correct it, give a whole path, or \
             give another model with --model",
        );
        // Only for the line number, so a file that is gone meanwhile is no further fault.
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        Err(ScenarioError::Content(
            vec![fault.locate(&self.file, &text)],
        ))
    }

    /// A path of the file, relative to the file's folder.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.file
            .parent()
            .map_or_else(|| relative.to_owned(), |folder| folder.join(relative))
    }
}

//! What a run was started with, kept in its folder: a run is only resumed as what it is.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::state;
use anyhow::{bail, Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// Name of the file in a run's folder.
pub(crate) const FILE: &str = "run.toml";
/// Settings that change nothing about the result.
const HARMLESS: [&str; 4] = [
    "program_version",
    "data.workers",
    "run.log_every",
    "cache.enabled",
];

/// Settings and inputs of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the program that started it.
    pub program_version: String,
    /// What it started from and learned from.
    pub inputs: Inputs,
    /// All settings.
    pub settings: Settings,
}

/// Files a run is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The starting model's folder.
    pub model: PathBuf,
    /// SHA-256 of its weights.
    pub model_sha256: String,
    /// The dataset.
    pub data: PathBuf,
    /// Its episodes that are trained on.
    pub episodes: usize,
    /// What is validated on.
    pub validation: String,
    /// Number of those episodes.
    pub validation_episodes: usize,
}

impl Origin {
    /// Decides whether `folder` begins a run or goes on with one, and writes this into a new one.
    /// Returns whether there is something to go on with.
    ///
    /// # Errors
    /// When a run is there and isn't asked to go on, or is another one: every difference is
    /// named.
    pub fn enter(&self, folder: &Path, resume: bool) -> Result<bool> {
        // `train` didn't write down once what its runs were started with.
        let written_always = self.settings.predictor.is_none();
        enter(self, &HARMLESS, written_always, folder, resume)
    }
}

/// What a run of a recipe was started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecipeOrigin<R> {
    /// Version of the program that started it.
    pub program_version: String,
    /// What it started from and learned from, by the names of the command's options.
    pub inputs: BTreeMap<String, PathBuf>,
    /// The recipe with the changes to it.
    pub recipe: R,
}

impl<R: Serialize + DeserializeOwned> RecipeOrigin<R> {
    /// As [`Origin::enter`]; such a run may be made longer.
    ///
    /// # Errors
    /// As there.
    pub fn enter(&self, folder: &Path, resume: bool) -> Result<bool> {
        let harmless = [&HARMLESS[..], &["schedule.total_steps"]].concat();
        enter(self, &harmless, false, folder, resume)
    }
}

/// A path as it is written down: a shell's `./` and slashes at the end make no other of it.
pub fn plain(path: &Path) -> PathBuf {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let plain: PathBuf = parts.collect();
    match plain.as_os_str().is_empty() {
        true => path.to_path_buf(),
        false => plain,
    }
}

fn enter<O: Serialize + DeserializeOwned>(
    origin: &O,
    harmless: &[&str],
    written_always: bool,
    folder: &Path,
    resume: bool,
) -> Result<bool> {
    let path = folder.join(FILE);
    let begun = state::begun(folder, resume)?;
    if resume && path.exists() {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        let before: O = toml::from_str(&text).with_context(|| {
            format!(
                "{} is damaged, so nobody knows what this run is; start over in another folder",
                path.display()
            )
        })?;
        let differences = differences(origin, &before, harmless)?;
        if !differences.is_empty() {
            bail!(
                "the run in {} is another one; give what it was started with, or choose another \
                 folder:\n  {}",
                folder.display(),
                differences.join("\n  ")
            );
        }
        return Ok(begun);
    }
    if begun && written_always {
        bail!(
            "{} is gone, so nobody knows what the run in its folder is; start over in another",
            path.display()
        );
    } else if begun {
        tracing::warn!(
            "{} is missing: going on with what is asked for now",
            path.display()
        );
    }
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let partial = folder.join(format!("{FILE}.partial"));
    std::fs::write(&partial, toml::to_string(origin)?)
        .and_then(|()| std::fs::rename(&partial, &path))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(begun)
}

fn differences<O: Serialize>(now: &O, before: &O, harmless: &[&str]) -> Result<Vec<String>> {
    let (now, before) = (flat(now)?, flat(before)?);
    let keys: std::collections::BTreeSet<&String> = now.keys().chain(before.keys()).collect();
    let said = |value: Option<&String>| value.map_or("unset".to_owned(), String::clone);
    Ok(keys
        .into_iter()
        .filter(|key| now.get(*key) != before.get(*key))
        .filter(|key| !harmless.iter().any(|h| key.ends_with(h)))
        .map(|key| {
            let (was, is) = (said(before.get(key)), said(now.get(key)));
            format!("{key} was {was}, now {is}")
        })
        .collect())
}

/// Every value by its dotted key.
fn flat(origin: &impl Serialize) -> Result<BTreeMap<String, String>> {
    let mut flat = BTreeMap::new();
    let value = toml::Value::try_from(origin).context("writing down the settings")?;
    flatten("", &value, &mut flat);
    Ok(flat)
}

fn flatten(prefix: &str, value: &toml::Value, flat: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{key}"), value, flat);
            }
        }
        other => {
            flat.insert(prefix.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/origin.rs"]
mod tests;

//! A training run on disk: parameters, both moments, the moving average if there is one, and
//! where it was, in one atomic file.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::DType;

use crate::train_state::TrainState;
use foresight_predictor::checkpoint::safetensors_file::{self, Metadata, Planned};
use foresight_predictor::checkpoint::{CheckpointError, Entry};
use foresight_predictor::error::PredictorError;

/// Name of the state file in a training run's folder.
pub const STATE_FILE: &str = "state.safetensors";

/// Whether `folder` has a run, to go on with.
///
/// # Errors
/// When it has one and isn't asked to go on.
pub fn begun(folder: &Path, resume: bool) -> Result<bool, PredictorError> {
    let begun = folder.join(STATE_FILE).exists();
    if begun && !resume {
        return Err(PredictorError::File {
            path: folder.to_path_buf(),
            what: "it has a run already; add --resume to go on with it, or choose another folder"
                .into(),
        });
    }
    Ok(begun)
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Steps done.
    pub step: usize,
    /// Best validation so far.
    pub best: f64,
}

/// Writes `state` and where its run is. The file appears whole or not at all, and survives a
/// power cut; no copy of the values is made.
///
/// # Errors
/// When the disk refuses.
pub fn save(path: &Path, state: &TrainState, at: Position) -> Result<(), PredictorError> {
    let (first, second, _) = state.optimiser().moments();
    let moments = [("first_moment", first), ("second_moment", second)];
    write(path, state, at, &moments)
}

/// As [`save`] without the optimiser: weights to be kept, not to be trained on.
///
/// # Errors
/// As there.
pub fn save_parameters(
    path: &Path,
    state: &TrainState,
    at: Position,
) -> Result<(), PredictorError> {
    write(path, state, at, &[])
}

fn write(
    path: &Path,
    state: &TrainState,
    at: Position,
    moments: &[(&'static str, &[f32])],
) -> Result<(), PredictorError> {
    let parameters = state.parameters()?;
    let (_, _, updates) = state.optimiser().moments();
    let mut buffers = BTreeMap::from([("parameters", parameters.values())]);
    buffers.extend(moments.iter().copied());
    if let Some(average) = state.average() {
        buffers.insert("average", average.values());
    }
    let adapters = state.adapters().map(|a| a.values()).transpose()?;
    if let Some(adapters) = &adapters {
        buffers.insert("adapters", adapters.values());
    }
    let plan: Vec<Planned> = buffers
        .iter()
        .map(|(name, values)| Planned {
            name: (*name).to_owned(),
            dtype: DType::F32,
            shape: vec![values.len()],
        })
        .collect();
    let metadata = Metadata::from([
        ("step".to_owned(), at.step.to_string()),
        ("updates".to_owned(), updates.to_string()),
        ("best".to_owned(), at.best.to_string()),
    ]);
    safetensors_file::stream(path, &plan, &metadata, |planned, to| {
        let values = buffers.get(planned.name.as_str()).copied();
        safetensors_file::write_f32(values.unwrap_or_default(), to)
            .map_err(CheckpointError::io(path, "writing"))
    })?;
    Ok(())
}

/// Restores `state` from a state file; returns where the run was.
///
/// # Errors
/// When the file is damaged or of another model. The state is then no longer usable.
pub fn restore(path: &Path, state: &mut TrainState) -> Result<Position, PredictorError> {
    let file = StateFile::open(path)?;
    let position = restore_parameters(path, state)?;
    let (first, second, updates) = state.optimiser_mut().moments_mut();
    file.read("first_moment", first)?;
    file.read("second_moment", second)?;
    *updates = file.number("updates")?;
    Ok(position)
}

/// Restores what [`save_parameters`] wrote.
///
/// # Errors
/// As [`restore`].
pub fn restore_parameters(path: &Path, state: &mut TrainState) -> Result<Position, PredictorError> {
    let file = StateFile::open(path)?;
    let position = file.position()?;
    {
        let shared = state.shared().clone();
        let mut current = shared
            .parameters
            .write()
            .map_err(|_| PredictorError::Model("parameters were lost with a thread".into()))?;
        file.read("parameters", current.values_mut())?;
    }
    if let Some(adapters) = state.adapters() {
        adapters.restore(|values| file.read("adapters", values))??;
    }
    if let Some(average) = state.average_mut() {
        file.read("average", average.values_mut())?;
    }
    Ok(position)
}

struct StateFile<'a> {
    path: &'a Path,
    entries: BTreeMap<String, Entry>,
    metadata: Metadata,
}

impl<'a> StateFile<'a> {
    fn open(path: &'a Path) -> Result<Self, PredictorError> {
        let (entries, metadata) = safetensors_file::open(path, 0).map_err(|error| match error {
            CheckpointError::Damaged { problem, .. } => damaged(path, &problem),
            other => other.into(),
        })?;
        Ok(StateFile {
            path,
            entries,
            metadata,
        })
    }

    fn position(&self) -> Result<Position, PredictorError> {
        Ok(Position {
            step: self.number("step")?,
            best: self.number("best")?,
        })
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, PredictorError> {
        let text = self.metadata.get(name);
        text.and_then(|t| t.parse().ok())
            .ok_or_else(|| damaged(self.path, &format!("it doesn't say its {name}")))
    }

    fn read(&self, name: &str, out: &mut [f32]) -> Result<(), PredictorError> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| damaged(self.path, &format!("it has no {name}")))?;
        if entry.elements() != out.len() {
            return Err(damaged(
                self.path,
                &format!(
                    "its {name} have {} values but this run's have {}, so it is of another \
                     model or trains other parts of it",
                    entry.elements(),
                    out.len()
                ),
            ));
        }
        Ok(entry.read_into(self.path, out)?)
    }
}

fn damaged(path: &Path, what: &str) -> PredictorError {
    PredictorError::File {
        path: path.to_path_buf(),
        what: format!("{what}; start over in another folder, or restore the file from a backup"),
    }
}

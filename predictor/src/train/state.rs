//! A training run on disk: parameters, both moments, the moving average if there is one, and
//! where it was, in one atomic file.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::PredictorError;
use crate::train::learner::Learner;

/// Name of the state file in a training run's folder.
pub const STATE_FILE: &str = "state.safetensors";

fn file_error(path: &Path, what: impl std::fmt::Display) -> PredictorError {
    PredictorError::File {
        path: path.to_path_buf(),
        what: what.to_string(),
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Writes `learner` after `step` steps, with `best`, the best validation so far. The file
/// appears whole or not at all.
///
/// # Errors
/// When the disk refuses.
pub fn save(path: &Path, learner: &Learner, step: usize, best: f64) -> Result<(), PredictorError> {
    let parameters = learner.parameters()?;
    let (first, second, updates) = learner.optimiser().moments();
    let mut buffers = vec![
        ("parameters", bytes(parameters.values())),
        ("first_moment", bytes(first)),
        ("second_moment", bytes(second)),
    ];
    if let Some(average) = learner.average() {
        buffers.push(("average", bytes(average.values())));
    }
    let mut views = Vec::new();
    for (name, buffer) in &buffers {
        let view = TensorView::new(Dtype::F32, vec![buffer.len() / 4], buffer)
            .map_err(|e| file_error(path, e))?;
        views.push((*name, view));
    }
    let metadata = HashMap::from([
        ("step".to_owned(), step.to_string()),
        ("updates".to_owned(), updates.to_string()),
        ("best".to_owned(), best.to_string()),
    ]);
    let encoded = safetensors::serialize(views, Some(metadata)).map_err(|e| file_error(path, e))?;
    let temporary = path.with_extension("tmp");
    let io = |source| PredictorError::Io {
        path: path.to_path_buf(),
        source,
    };
    std::fs::write(&temporary, encoded).map_err(io)?;
    std::fs::rename(&temporary, path).map_err(io)
}

/// Restores `learner` from a state file; returns the steps done and the best validation.
///
/// # Errors
/// When the file is damaged or of another model.
pub fn restore(path: &Path, learner: &mut Learner) -> Result<(usize, f64), PredictorError> {
    let data = std::fs::read(path).map_err(|source| PredictorError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let damaged = |what: &str| {
        file_error(
            path,
            format!("{what}; start over without --resume, or restore the file from a backup"),
        )
    };
    let (_, header) = SafeTensors::read_metadata(&data).map_err(|e| damaged(&e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let field = |name: &str| -> Result<&String, PredictorError> {
        metadata
            .get(name)
            .ok_or_else(|| damaged(&format!("it says no {name}")))
    };
    let step = field("step")?
        .parse()
        .map_err(|_| damaged("its step is no number"))?;
    let best = field("best")?
        .parse()
        .map_err(|_| damaged("its best validation is no number"))?;
    let updates = field("updates")?
        .parse()
        .map_err(|_| damaged("its number of updates is no number"))?;
    let tensors = candle_core::safetensors::load_buffer(&data, &Device::Cpu)?;
    let values = |name: &str| -> Result<Vec<f32>, PredictorError> {
        let tensor: &Tensor = tensors
            .get(name)
            .ok_or_else(|| damaged(&format!("it has no {name}")))?;
        Ok(tensor.to_vec1()?)
    };
    let parameters = values("parameters")?;
    {
        let shared = learner.shared().clone();
        let mut current = shared
            .parameters
            .write()
            .map_err(|_| PredictorError::Model("parameters were lost with a thread".into()))?;
        if current.values().len() != parameters.len() {
            return Err(damaged(&format!(
                "it has {} parameters but the model has {}",
                parameters.len(),
                current.values().len()
            )));
        }
        current.values_mut().copy_from_slice(&parameters);
    }
    if let Some(average) = learner.average_mut() {
        let values = values("average")?;
        if values.len() != average.values().len() {
            return Err(damaged("its moving average is of another model"));
        }
        average.values_mut().copy_from_slice(&values);
    }
    let (first, second) = (values("first_moment")?, values("second_moment")?);
    learner
        .optimiser_mut()
        .restore(first, second, updates)
        .map_err(|e| damaged(&e))?;
    Ok((step, best))
}

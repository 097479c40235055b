//! Several processes that train one model on different clips.

use std::fmt::Debug;

use foresight_predictor::error::PredictorError;

/// The processes of one data-parallel run, each with all the weights and its part of every
/// batch. All of them call the same methods in the same order; each call waits for the others.
pub trait Workers: Debug {
    /// This process's number, from 0. Process 0 writes files.
    fn rank(&self) -> usize;
    /// Number of processes.
    fn size(&self) -> usize;
    /// Replaces `values` by their mean over all processes.
    ///
    /// # Errors
    /// When a process is gone.
    fn average(&self, values: &mut [f32]) -> Result<(), PredictorError>;
    /// As [`Workers::average`], for loss parts.
    ///
    /// # Errors
    /// When a process is gone.
    fn average_parts(&self, values: &mut [f64]) -> Result<(), PredictorError>;
    /// Whether any process says so.
    ///
    /// # Errors
    /// When a process is gone.
    fn any(&self, said: bool) -> Result<bool, PredictorError>;
}

/// One process by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Workers for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn average(&self, _values: &mut [f32]) -> Result<(), PredictorError> {
        Ok(())
    }

    fn average_parts(&self, _values: &mut [f64]) -> Result<(), PredictorError> {
        Ok(())
    }

    fn any(&self, said: bool) -> Result<bool, PredictorError> {
        Ok(said)
    }
}

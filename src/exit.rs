//! From results to exit codes that scripts can trust.

use std::process::ExitCode;

use foresight_robot::ArmError;
use foresight_scenarios::RunError;

/// The task was tried and not achieved.
const NOT_ACHIEVED: u8 = 1;
/// Arguments or files are wrong.
const BAD_INPUT: u8 = 2;
/// A robot or a model failed.
const FAILED: u8 = 3;

/// `Ok(true)`: achieved or done; `Ok(false)`: not achieved; errors go to standard error.
pub(crate) fn with(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_ACHIEVED),
        Err(error) => {
            eprintln!("error: {}", in_full(&error));
            ExitCode::from(if failed(&error) { FAILED } else { BAD_INPUT })
        }
    }
}

/// Whether a robot or a model failed, rather than the input being wrong.
fn failed(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<ArmError>()
        .is_some_and(|e| !e.is_input())
        || error
            .downcast_ref::<RunError>()
            .is_some_and(|e| !e.is_input())
}

/// The error with its causes; a cause whose words were said already is not repeated.
pub(crate) fn in_full(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        if said.contains(&cause) {
            said
        } else if said.is_empty() {
            cause
        } else {
            format!("{said}: {cause}")
        }
    })
}

#[cfg(test)]
#[path = "../tests/unit/exit.rs"]
mod tests;

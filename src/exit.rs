//! From results to exit codes that scripts can trust.

use std::process::ExitCode;

use foresight_scenarios::RunError;

/// The task was tried and not achieved.
const NOT_ACHIEVED: u8 = 1;
/// Arguments or files are wrong.
const BAD_INPUT: u8 = 2;
/// A robot or a model failed.
const FAILED: u8 = 3;

/// `Ok(true)`: achieved or done; `Ok(false)`: not achieved; errors go to standard error.
pub fn with(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_ACHIEVED),
        Err(error) => {
            eprintln!("error: {error:#}");
            let failed = error
                .downcast_ref::<RunError>()
                .is_some_and(|e| !e.is_input());
            ExitCode::from(if failed { FAILED } else { BAD_INPUT })
        }
    }
}

//! Scenario files, the runner, success checks, the run folder.

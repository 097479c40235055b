//! Sentences about scenes: how tasks are said.

pub mod phrases;

//! The `foresight` command line: one subcommand a file.
fn main() {}

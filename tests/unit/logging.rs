//! Unit tests of `src/logging.rs`.

use super::*;

#[test]
fn what_is_asked_for_is_logged_but_no_warning_of_disabled_gossip() {
    let of = |asked: &str| directives(Some(asked.into()));
    assert_eq!(directives(None), QUIET);
    assert_eq!(of("no such,,=directive="), QUIET);
    assert_eq!(of("info"), format!("info,{GOSSIP}"));
    assert_eq!(of("warn,zenoh=debug"), "warn,zenoh=debug");
}

//! Old keys move to their new names.

use foresight_settings::{parse, read, rename, Renamed};

const RENAMED: [Renamed; 2] = [
    Renamed::new("planner.unresolved_power", "planner.residual_power"),
    Renamed::new("planner.device", "model.device"),
];

#[test]
fn old_names_move_and_say_so() {
    let text = "[planner]\nunresolved_power = 2.0\ndevice = \"cpu\"\n";
    let mut table = parse(text).expect("TOML");
    let hints = rename(&mut table, &RENAMED);
    assert_eq!(hints.len(), 2);
    assert_eq!(hints[0].path, "planner.unresolved_power");
    assert!(hints[0].what.contains("`planner.residual_power`"));
    assert!(rename(&mut table, &RENAMED).is_empty());
    let moved: toml::Table = read(table).expect("values");
    let wanted = "[planner]\nresidual_power = 2.0\n[model]\ndevice = \"cpu\"\n";
    assert_eq!(moved, wanted.parse().expect("TOML"));
}

#[test]
fn both_names_at_once_are_left_to_be_refused() {
    let text = "planner = { unresolved_power = 2.0, residual_power = 1.0 }\n";
    let mut table = parse(text).expect("TOML");
    assert!(rename(&mut table, &RENAMED).is_empty());
    let same: toml::Table = read(table).expect("values");
    assert_eq!(same, text.parse().expect("TOML"));
}

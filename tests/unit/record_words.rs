//! Unit tests of `src/record/words.rs`.

use super::*;

#[test]
fn lines_and_keys_are_understood_or_named() {
    assert_eq!(
        of_line("start wipe it"),
        Word::Start(Some("wipe it".into()))
    );
    assert_eq!(of_line("failure"), Word::Stop(Some(false)));
    let turned = Action::from_array([0.0, 0.1, 0.0, 0.0, 0.0, 0.5, 0.0]);
    assert_eq!(of_line("move 0 0.1 0 0 0 0.5"), Word::Move(turned));
    let closing = Action::from_array([0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(of_line("move 0.01 0 0 1"), Word::Move(closing));
    for wrong in [
        "move",
        "move 1 2",
        "move a b c",
        "move 1 2 nan",
        "begin",
        "stop it",
        "task",
    ] {
        assert!(matches!(of_line(wrong), Word::Unknown(_)), "{wrong}");
    }
    let up = Action::from_array([0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(of_key(&Key::Char('e'), 0.02), Some(Word::Move(up)));
    assert_eq!(of_key(&Key::Escape, 0.02), None);
}

//! Unit tests of `src/physics.rs`.

use super::*;

fn scenario() -> LoadedScenario {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/pick_and_place.toml");
    LoadedScenario::read(file.as_ref()).expect("the bundled scenario")
}

#[test]
fn continuations_begin_alike_and_only_the_object_differs_in_impossible_ones() {
    for kind in PhysicsKind::ALL {
        let Pair { usual, other } = pair(&scenario(), 920_001, kind).expect("a pair");
        assert!(usual.frames[0] == other.frames[0], "{kind:?}");
        assert!(usual.frames[2] != other.frames[2], "{kind:?}");
        assert_eq!([usual.actions.len(), usual.frames.len()], [2, 3]);
        let alike = !kind.is_control() && kind != PhysicsKind::MovesUntouched;
        assert!(!alike || usual.poses == other.poses, "{kind:?}");
        let again = pair(&scenario(), 920_001, kind).expect("a pair");
        assert!(again.other.frames == other.frames, "{kind:?}");
    }
}

#[test]
fn what_is_usual_is_what_the_simulator_does() {
    // A released object falls and a swept one goes along; drawn where it was, both stay.
    for kind in [PhysicsKind::FloatsReleased, PhysicsKind::PassesThroughHand] {
        let Pair { usual, other } = pair(&scenario(), 920_002, kind).expect("a pair");
        let change = |c: &Continuation| pixels_apart(&c.frames[0], &c.frames[1]);
        assert!(change(&usual) > change(&other), "{kind:?}");
    }
}

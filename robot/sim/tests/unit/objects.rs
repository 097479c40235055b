//! Unit tests of `src/objects.rs`.

use super::*;
use crate::distribution::SceneDistribution;

#[test]
fn friction_is_the_objects_on_the_table_and_what_it_was_for_scenes_drawn_before() {
    let mut object = SceneDistribution::default().sample(1).object;
    for hundredth in 0..=120 {
        object.friction = f64::from(hundredth) / 100.0;
        let on = |surface| f64::from(object.friction_on(surface));
        assert!((on(TABLE_SURFACE) - object.friction).abs() < 1e-6);
        let (pads, metal) = (on(PAD_SURFACE), on(METAL_SURFACE));
        assert!((object.friction..=object.friction + 0.2 + 1e-6).contains(&pads));
        assert!((0.0..=object.friction).contains(&metal));
    }
    // An old scene's value was the half of a mean; every contact keeps its bits.
    for old in (800_000..=1_200_000).step_by(7).map(|n| f64::from(n) / 1e6) {
        object.friction = (old + 0.8) / 2.0;
        for surface in [TABLE_SURFACE, PAD_SURFACE, METAL_SURFACE] {
            assert_eq!(object.friction_on(surface), (surface + old as f32) / 2.0);
        }
    }
}

#[test]
fn scenes_from_before_are_read_with_the_friction_they_had() {
    let object = SceneDistribution::default().sample(1).object;
    let new = serde_json::to_value(&object).expect("an object");
    let read = |v: &serde_json::Value| serde_json::from_value::<Object>(v.clone());
    assert_eq!(read(&new).expect("as written"), object);
    let mut old = new.clone();
    let fields = old.as_object_mut().expect("an object");
    fields.remove("table_friction");
    assert!(read(&serde_json::Value::Object(fields.clone())).is_err());
    fields.insert("friction".into(), 1.0.into());
    assert_eq!(read(&old).expect("an old scene").friction, 0.9);
}

//! Unit tests of `src/say/phrases.rs`.

use std::collections::BTreeSet;

use foresight_sim::SceneDistribution;

use super::*;

fn words(held_out: bool) -> BTreeSet<&'static str> {
    let all = [Act::Place, Act::Lift].map(|act| act.phrasings(held_out));
    let phrasings = all.into_iter().flatten();
    phrasings.flat_map(|p| p.split(' ')).collect()
}

#[test]
fn held_out_phrasings_are_new_but_their_words_are_not() {
    for act in [Act::Place, Act::Lift] {
        let told = act.phrasings(false);
        assert!(act.phrasings(true).iter().all(|p| !told.contains(p)));
    }
    assert!(words(true).is_subset(&words(false)), "{:?}", words(true));
}

#[test]
fn a_seed_says_it_in_one_way_and_seeds_in_several() {
    let scene = SceneDistribution::default().sample(1);
    let say = |seed| said(Act::Place, &scene, false, seed);
    assert_eq!(say(1), say(1));
    let ways: BTreeSet<&str> = (0..200).map(|seed| say(seed).phrasing).collect();
    assert_eq!(ways.len(), Act::Place.phrasings(false).len());
    let colour = foresight_sim::ColourName::nearest(scene.object.colour).name();
    assert!((0..50).all(|seed| say(seed).sentence.contains(colour)));
}

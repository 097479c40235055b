//! What an episode's task is in words, where a scene has several objects or discs to choose from.

use foresight_datasets::metadata::NamedTask;
use foresight_datasets::Split;
use foresight_scenarios::say::phrases::{said, Act};
use foresight_sim::{Object, Scene, TargetDisc};

use crate::episode_config::Behaviour;

/// The sentence and what it names; `None` for scenes with nothing to choose, and for behaviours that
/// pursue nothing that could be said. Outside of training phrasings are those held out.
pub(crate) fn of(
    behaviour: Behaviour,
    scene: &Scene,
    split: Split,
    seed: u64,
) -> Option<(String, NamedTask)> {
    if scene.others.is_empty() && scene.other_targets.is_empty() {
        return None;
    }
    let act = match behaviour {
        Behaviour::PickAndPlace => Act::Place,
        Behaviour::Grasp => Act::Lift,
        _ => return None,
    };
    let held_out = split != Split::Train;
    let said = said(act, scene, held_out, seed);
    let named = NamedTask {
        object: scene.object.name(),
        target: scene.target.name(),
        objects: scene.objects().map(Object::name).collect(),
        targets: scene.targets().map(TargetDisc::name).collect(),
        phrasing: said.phrasing.to_owned(),
        held_out,
    };
    Some((said.sentence, named))
}

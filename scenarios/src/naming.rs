//! Which object and which disc sub-goals are about, where a scene has several.
//!
//! A scene is drawn in an order of its own. In an episode the object and the disc that its task is about come
//! first ([`Scene::about`]): everything that speaks of *the* object means that one.

use foresight_predictor::goal_head::sentence::{understand, Part};
use foresight_predictor::goal_head::words;
use foresight_sim::{GoalState, ObjectPose, Scene};

use crate::say::sentence_about;
use crate::scenario::{Scenario, SubGoalSpec};

/// An object and a disc, by their numbers in the scene as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// The object's number.
    pub object: usize,
    /// The disc's number.
    pub target: usize,
}

impl Named {
    /// What a sub-goal is about, in a scene as it is drawn by a seed.
    pub fn by(goal: &SubGoalSpec, drawn: &Scene, seed: u64) -> Self {
        match &goal.say {
            Some(say) => Named::in_words(&sentence_about(say, drawn, seed), drawn),
            None => Named {
                object: goal.object as usize,
                target: goal.target as usize,
            },
        }
    }

    /// What a sentence is about; the first ones where it names none that are there.
    fn in_words(sentence: &str, drawn: &Scene) -> Self {
        let words = words(sentence);
        let understood = understand(sentence, &words, words.len()).ok();
        let number = |names: Vec<String>, part: Option<Part>| {
            let part = part?;
            let meant = |name: &String| match part.colour {
                Some(_) => *name == part.name(),
                None => name.ends_with(&part.kind),
            };
            names.iter().position(meant)
        };
        let (object, target) = understood.map_or((None, None), |u| (u.object, u.target));
        let objects = drawn.objects().map(|o| o.name()).collect();
        let targets = drawn.targets().map(|t| t.name()).collect();
        Named {
            object: number(objects, object).unwrap_or_default(),
            target: number(targets, target).unwrap_or_default(),
        }
    }

    /// What a task is about: what its last sub-goal is.
    pub fn by_task(scenario: &Scenario, drawn: &Scene, seed: u64) -> Self {
        let last = scenario.subgoal.last();
        last.map(|goal| Named::by(goal, drawn, seed))
            .unwrap_or_default()
    }

    /// The scene with these first; as it is where there are none of these numbers.
    pub fn first_in(self, scene: &Scene) -> Scene {
        let about = scene.about(self.object, self.target);
        about.unwrap_or_else(|| scene.clone())
    }
}

/// The scene that the goal states of one episode are made in, each about its own object.
pub(crate) struct GoalScenes {
    /// In the order in which it was drawn, objects where earlier sub-goals left them.
    drawn: Scene,
    task: Named,
    last: Option<(Named, Option<ObjectPose>)>,
    moved: Vec<usize>,
}

impl GoalScenes {
    /// Of an episode's scene, in which what the task is about comes first.
    pub(crate) fn new(scene: &Scene, task: Named) -> Self {
        GoalScenes {
            // What was brought to the front goes back.
            drawn: task.first_in(scene),
            task,
            last: None,
            moved: Vec::new(),
        }
    }

    /// What a sub-goal is about.
    pub(crate) fn named(&self, goal: &SubGoalSpec, seed: u64) -> Named {
        Named::by(goal, &self.drawn, seed)
    }

    /// The scene for a sub-goal: what it is about comes first.
    pub(crate) fn about(&mut self, named: Named) -> Scene {
        match self.last.take() {
            Some((before, Some(pose))) if before.object != named.object => {
                self.leave(before.object, &pose);
            }
            last => self.last = last,
        }
        named.first_in(&self.drawn)
    }

    /// An earlier sub-goal's object stays where that put it.
    fn leave(&mut self, number: usize, pose: &ObjectPose) {
        let [x, y, _] = pose.position_m;
        let object = match number {
            0 => Some(&mut self.drawn.object),
            n => self.drawn.others.get_mut(n - 1),
        };
        if let Some(object) = object {
            object.position_m = [x, y];
            self.moved.push(number);
        }
    }

    /// A state of a scene that [`GoalScenes::about`] gave, told in the episode's order of objects.
    pub(crate) fn in_task_order(&mut self, named: Named, state: GoalState) -> GoalState {
        self.last = Some((named, state.object));
        if named.object == self.task.object && self.moved.is_empty() {
            return state;
        }
        let pose = |number: usize| {
            if number == named.object {
                return state.object;
            }
            let object = self.drawn.objects().nth(number)?;
            let [x, y] = object.position_m;
            let at = [x, y, object.size_m[2] / 2.0];
            let moved = self.moved.contains(&number);
            moved.then(|| ObjectPose::upright(at, object.yaw_rad))
        };
        let others = 1..=self.drawn.others.len();
        let drawn_number = |place: usize| if place == self.task.object { 0 } else { place };
        GoalState {
            object: pose(self.task.object),
            others: others.map(|place| pose(drawn_number(place))).collect(),
            ..state
        }
    }
}

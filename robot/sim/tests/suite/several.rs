//! Scenes with several objects and discs.

use std::collections::BTreeSet;

use foresight_sim::crowd::{SeveralObjects, SeveralTargets};
use foresight_sim::{goals, ColourName, Scene, SceneDistribution, Simulator};

fn distribution() -> SceneDistribution {
    SceneDistribution {
        objects: Some(SeveralObjects::default()),
        targets: Some(SeveralTargets::default()),
        cup_height_m: [0.05, 0.065],
        ..SceneDistribution::wide_start()
    }
}

fn scene(seed: u64) -> Scene {
    distribution().sample(seed)
}

#[test]
fn a_seed_says_how_many_there_are_what_they_are_called_and_where_they_stand() {
    let mut counts = BTreeSet::new();
    for seed in 0..200 {
        let scene = scene(seed);
        assert_eq!(scene, self::scene(seed));
        let names: BTreeSet<String> = scene.objects().map(|o| o.name()).collect();
        let count = scene.objects().count();
        assert_eq!(names.len(), count, "{names:?}");
        counts.insert(count);
        let discs: BTreeSet<String> = scene.targets().map(|t| t.name()).collect();
        assert_eq!(discs, ["green disc", "white disc"].map(String::from).into());
        // What was drawn is as drawn: nothing but colours changes for the first of them.
        let alone = SceneDistribution {
            objects: None,
            targets: None,
            ..distribution()
        };
        let alone = alone.sample(seed);
        assert_eq!(alone.object.position_m, scene.object.position_m);
        assert_eq!(alone.object.size_m, scene.object.size_m);
        assert_eq!((&alone.start, &alone.camera), (&scene.start, &scene.camera));
        let read: Scene = serde_json::from_str(&serde_json::to_string(&scene).unwrap()).unwrap();
        assert_eq!(read, scene);
    }
    assert_eq!(counts, [2, 3].into());
}

#[test]
fn things_keep_their_distance() {
    let mut near = 0;
    for seed in 0..300 {
        let scene = scene(seed);
        let at: Vec<([f64; 2], bool)> = scene
            .objects()
            .map(|o| (o.position_m, true))
            .chain(scene.targets().map(|t| (t.position_m, false)))
            .collect();
        for (i, (a, a_is_object)) in at.iter().enumerate() {
            for (b, b_is_object) in &at[..i] {
                let apart_m = (a[0] - b[0]).hypot(a[1] - b[1]);
                assert!(apart_m > 0.06, "seed {seed}: {apart_m}");
                let wanted_m = match (a_is_object, b_is_object) {
                    (true, true) => 0.105,
                    (false, false) => 0.1,
                    _ => 0.11,
                };
                near += usize::from(apart_m < wanted_m - 1e-5);
            }
        }
    }
    // Of some 2,400 pairs: not every layout has room.
    assert!(near < 100, "{near}");
}

#[test]
fn one_object_scenes_are_written_as_ever() {
    let scene = SceneDistribution::default().sample(7);
    let text = serde_json::to_string(&scene).unwrap();
    assert!(!text.contains("other"), "{text}");
    let simulator = Simulator::new(&scene).unwrap();
    let truth = serde_json::to_string(&simulator.truth()).unwrap();
    assert!(!truth.contains("other"), "{truth}");
    let goal = serde_json::to_string(&goals::placed(&scene)).unwrap();
    assert!(!goal.contains("other"), "{goal}");
    let distribution = serde_json::to_value(SceneDistribution::default()).unwrap();
    assert!(distribution.get("objects").is_none() && distribution.get("targets").is_none());
}

#[test]
fn what_a_task_is_about_comes_first_and_goes_back() {
    let drawn = (0..).map(scene).find(|s| s.others.len() == 2).unwrap();
    let about = drawn.about(2, 1).unwrap();
    assert_eq!(about.object, drawn.others[1]);
    assert_eq!(
        about.others,
        [drawn.others[0].clone(), drawn.object.clone()]
    );
    assert_eq!(about.target, drawn.other_targets[0]);
    assert_eq!(about.about(2, 1).unwrap(), drawn);
    assert_eq!(drawn.about(3, 0), None);
    assert_eq!(drawn.about(0, 2), None);
}

#[test]
fn every_object_stands_where_it_was_put_and_one_that_is_pushed_is_told() {
    for seed in [3, 4, 5] {
        let scene = scene(seed);
        let mut simulator = Simulator::new(&scene).unwrap();
        simulator.advance(1.0);
        let truth = simulator.truth();
        assert_eq!(truth.others.len(), scene.others.len());
        for (other, object) in truth.others.iter().zip(&scene.others) {
            assert_eq!(other.name, object.name());
            assert!(other.moved_m < 1e-3 && !other.held, "{other:?}");
            let height = other.position_m[2] - object.size_m[2] / 2.0;
            assert!(height.abs() < 1e-3, "{height}");
        }
    }
    // A closed hand sweeps through the second object; the first stays where it is.
    let drawn = scene(4);
    let about = drawn.about(1, 0).unwrap();
    let mut simulator = Simulator::new(&drawn).unwrap();
    let mut beside = goals::pushed(&about, 0.0, 0.0);
    beside.object = None;
    simulator.set_goal_state(&beside).unwrap();
    let mut target = simulator.pose();
    target.position_m[0] += 0.07;
    simulator.set_cartesian_target(target.isometry());
    simulator.advance(2.0);
    let truth = simulator.truth();
    assert!(truth.others[0].moved_m > 0.02, "{:?}", truth.others);
    let [x, y] = drawn.object.position_m;
    let [u, v, _] = truth.object_position_m;
    assert!((x - u).hypot(y - v) < 1e-3 || truth.others[0].moved_m > 0.03);
}

#[test]
fn another_object_can_be_taken_and_is_told_as_held() {
    let drawn = scene(4);
    let about = drawn.about(1, 0).unwrap();
    let mut simulator = Simulator::new(&drawn).unwrap();
    let mut grasped = goals::grasped(&about);
    grasped.object = None;
    simulator.set_goal_state(&grasped).unwrap();
    simulator.advance(0.3);
    let mut target = simulator.pose();
    target.position_m[2] += 0.08;
    simulator.set_cartesian_target(target.isometry());
    simulator.advance(1.5);
    let truth = simulator.truth();
    let other = &truth.others[0];
    assert!(other.held && !truth.held, "{truth:?}");
    let lifted = other.position_m[2] - drawn.others[0].size_m[2] / 2.0;
    assert!(lifted > 0.06, "{lifted}");
}

#[test]
fn goals_can_place_other_objects_too() {
    let scene = scene(4);
    let mut goal = goals::above_object(&scene);
    let at = [0.55, 0.12, scene.others[0].size_m[2] / 2.0];
    goal.others = vec![Some(goals::ObjectPose::upright(at, 0.0))];
    let mut simulator = Simulator::new(&scene).unwrap();
    simulator.set_goal_state(&goal).unwrap();
    let truth = simulator.truth();
    let [x, y, _] = truth.others[0].position_m;
    assert!((x - 0.55).abs() < 1e-6 && (y - 0.12).abs() < 1e-6);
}

#[test]
fn pictures_show_every_object_and_disc_in_its_colour() {
    let scene = scene(4);
    let picture = |change: &dyn Fn(&mut Scene)| {
        let mut scene = scene.clone();
        change(&mut scene);
        Simulator::new(&scene).unwrap().render(64, 64)
    };
    let all = picture(&|_| {});
    assert_eq!(
        all,
        picture(&|_| {}),
        "the same scene gives the same picture"
    );
    let changed = |change: &dyn Fn(&mut Scene)| {
        let other = picture(change);
        let pairs = all.pixels().zip(other.pixels());
        pairs.filter(|(a, b)| a != b).count()
    };
    let without_other = changed(&|s| {
        s.others.remove(0);
    });
    assert!((8..900).contains(&without_other), "{without_other}");
    let without_disc = changed(&|s| s.other_targets.clear());
    assert!((8..900).contains(&without_disc), "{without_disc}");
    let repainted = changed(&|s| s.others[0].colour = [0.0, 0.9, 0.0]);
    assert!((8..900).contains(&repainted), "{repainted}");
    assert_eq!(ColourName::nearest([0.0, 0.9, 0.0]), ColourName::Green);
}

#[test]
fn the_same_commands_give_the_same_bits() {
    let run = || {
        let mut simulator = Simulator::new(&scene(5)).unwrap();
        let mut target = simulator.pose();
        target.position_m[2] = 0.03;
        simulator.set_cartesian_target(target.isometry());
        simulator.advance(1.0);
        (simulator.truth(), simulator.render(32, 32))
    };
    assert_eq!(run(), run());
    // A copy goes on from here with the same bits.
    let mut one = Simulator::new(&scene(5)).unwrap();
    one.advance(0.1);
    let mut two = one.clone();
    one.advance(0.5);
    two.advance(0.5);
    assert_eq!(one.truth(), two.truth());
}

#[test]
fn what_cannot_be_is_refused_with_a_remedy() {
    let with = |change: &dyn Fn(&mut SceneDistribution)| {
        let mut distribution = distribution();
        change(&mut distribution);
        distribution.validate().map_err(|e| e.to_string())
    };
    assert_eq!(with(&|_| {}), Ok(()));
    let objects = |d: &mut SceneDistribution, count, colours: &[ColourName]| {
        d.objects = Some(SeveralObjects {
            count,
            colours: colours.to_vec(),
            apart_m: 0.1,
        });
    };
    let red = [ColourName::Red];
    let said = with(&|d| objects(d, [2, 3], &red)).unwrap_err();
    assert!(
        said.contains("told apart") && said.contains("colours"),
        "{said}"
    );
    assert_eq!(with(&|d| objects(d, [2, 2], &red)), Ok(()));
    let said = with(&|d| objects(d, [3, 2], &red)).unwrap_err();
    assert!(said.contains("objects.count"), "{said}");
    assert!(with(&|d| objects(d, [0, 2], &red)).is_err());
    let said = with(&|d| {
        d.targets = Some(SeveralTargets {
            apart_m: f64::NAN,
            ..SeveralTargets::default()
        });
    });
    assert!(said.unwrap_err().contains("targets.apart_m"));
}

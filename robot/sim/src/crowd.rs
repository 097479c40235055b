//! Several objects and several discs: which there are, in which colours, and where.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::colour::ColourName;
use crate::distribution::{DistributionError, Draw, SceneDistribution};
use crate::scene::{Object, ObjectKind, Scene, TargetDisc};

/// The stream of a seed's random numbers that draws what is added; the scene without it draws from 0.
const STREAM: u64 = 5;
/// Places tried for one thing, and layouts of which the roomiest is taken where none is roomy enough.
const PLACES: usize = 48;
const LAYOUTS: usize = 24;
/// Most objects, and most discs.
const MOST: u32 = 6;
/// Saturation and brightness of a disc, as of the one disc of other scenes.
const DISC: [f64; 2] = [0.75, 0.55];

/// Several objects on the table. The first is the one that sub-goals mean unless they say another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeveralObjects {
    /// `[least, most]` objects; the seed decides.
    pub count: [u32; 2],
    /// Their colours; several may have the same, but none of the same kind.
    pub colours: Vec<ColourName>,
    /// Their middles are at least this far apart, m, as far as there is room.
    pub apart_m: f64,
}

impl Default for SeveralObjects {
    fn default() -> Self {
        SeveralObjects {
            count: [2, 3],
            colours: vec![
                ColourName::Red,
                ColourName::Yellow,
                ColourName::Blue,
                ColourName::Purple,
            ],
            apart_m: 0.105,
        }
    }
}

/// Several discs on the table. The first is the one that sub-goals mean unless they say another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeveralTargets {
    /// `[least, most]` discs; the seed decides.
    pub count: [u32; 2],
    /// Their colours, no two alike.
    pub colours: Vec<ColourName>,
    /// Their middles are at least this far apart, m, as far as there is room.
    pub apart_m: f64,
}

impl Default for SeveralTargets {
    fn default() -> Self {
        SeveralTargets {
            count: [2, 2],
            colours: vec![ColourName::Green, ColourName::White],
            apart_m: 0.1,
        }
    }
}

/// What is wrong with several objects or discs.
pub(crate) fn check(from: &SceneDistribution) -> Result<(), DistributionError> {
    if let Some(objects) = &from.objects {
        let mut kinds = from.object_kinds.clone();
        kinds.sort_by_key(|kind| kind.name());
        kinds.dedup();
        let names = distinct(&objects.colours).len() * kinds.len();
        check_several(
            ["objects.count", "objects.colours", "objects.apart_m"],
            objects.count,
            names,
            objects.apart_m,
            "name more colours or kinds, or fewer objects",
        )?;
    }
    if let Some(targets) = &from.targets {
        check_several(
            ["targets.count", "targets.colours", "targets.apart_m"],
            targets.count,
            distinct(&targets.colours).len(),
            targets.apart_m,
            "name more colours, or fewer discs",
        )?;
    }
    Ok(())
}

fn check_several(
    [count, colours, apart]: [&'static str; 3],
    [least, most]: [u32; 2],
    names: usize,
    apart_m: f64,
    more: &'static str,
) -> Result<(), DistributionError> {
    let fault = |field, what, remedy| {
        Err(DistributionError::Several {
            field,
            what,
            remedy,
        })
    };
    if !(1 <= least && least <= most && most <= MOST) {
        let what = format!("{count} = [{least}, {most}]");
        return fault(count, what, "give [least, most] in 1..=6");
    }
    if names < most as usize {
        let what = format!("{most} things can't be told apart by {names} names");
        return fault(colours, what, more);
    }
    // Written so that NaN fails too.
    if !(0.0..=0.5).contains(&apart_m) {
        let what = format!("{apart} is {apart_m}");
        return fault(apart, what, "give metres in 0..=0.5");
    }
    Ok(())
}

fn distinct(colours: &[ColourName]) -> Vec<ColourName> {
    let mut colours = colours.to_vec();
    colours.sort();
    colours.dedup();
    colours
}

/// Adds what the distribution says to a scene of one object and one disc, which keep their places.
pub(crate) fn add(from: &SceneDistribution, scene: &mut Scene, seed: u64) {
    if from.objects.is_none() && from.targets.is_none() {
        return;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(STREAM);
    let mut draw = Draw(rng);
    if let Some(targets) = &from.targets {
        let colours = shuffled(distinct(&targets.colours), &mut draw);
        let count = draw.0.random_range(targets.count[0]..=targets.count[1]);
        let [saturation, value] = DISC;
        let first = scene.target.clone();
        let discs = colours.into_iter().take(count as usize);
        let mut discs = discs.map(|colour| TargetDisc {
            colour: colour.rgb(saturation, value),
            ..first.clone()
        });
        scene.target = discs.next().unwrap_or_else(|| first.clone());
        scene.other_targets = discs.collect();
    }
    if let Some(objects) = &from.objects {
        let names = shuffled(names(from, &objects.colours), &mut draw);
        let count = draw.0.random_range(objects.count[0]..=objects.count[1]);
        // The first keeps its kind, and with it its size and place.
        let first = names
            .iter()
            .position(|(_, kind)| *kind == scene.object.kind);
        let first = first.unwrap_or_default();
        let others = names.iter().enumerate().filter(|(i, _)| *i != first);
        let others = others.map(|(_, name)| *name).take(count as usize - 1);
        if let Some((colour, _)) = names.get(first) {
            scene.object.colour = painted(from, *colour, &mut draw);
        }
        let yaw_rad = scene.start.yaw_rad;
        scene.others = others
            .map(|(colour, kind)| Object {
                colour: painted(from, colour, &mut draw),
                ..from.object_of(kind, &mut draw, yaw_rad)
            })
            .collect();
    }
    place(from, scene, &mut draw);
}

/// Every colour of every kind.
fn names(from: &SceneDistribution, colours: &[ColourName]) -> Vec<(ColourName, ObjectKind)> {
    let mut names = Vec::new();
    for colour in distinct(colours) {
        for kind in [ObjectKind::Box, ObjectKind::Cup] {
            if from.object_kinds.contains(&kind) {
                names.push((colour, kind));
            }
        }
    }
    names
}

fn painted(from: &SceneDistribution, colour: ColourName, draw: &mut Draw) -> [f64; 3] {
    let saturation = draw.from(from.object_saturation);
    colour.rgb(saturation, draw.from(from.object_value))
}

fn shuffled<T>(mut things: Vec<T>, draw: &mut Draw) -> Vec<T> {
    for last in (1..things.len()).rev() {
        things.swap(last, draw.0.random_range(0..=last));
    }
    things
}

/// A place on the table, and whether an object stands there rather than a disc.
type Spot = ([f64; 2], bool);

/// Gives what was added places with room around them.
fn place(from: &SceneDistribution, scene: &mut Scene, draw: &mut Draw) {
    let fixed = [
        (scene.object.position_m, true),
        (scene.target.position_m, false),
    ];
    let (discs, objects) = (scene.other_targets.len(), scene.others.len());
    let mut best: Option<(f64, Vec<Spot>)> = None;
    for _ in 0..LAYOUTS {
        let mut places = fixed.to_vec();
        let mut room_m = f64::INFINITY;
        for number in 0..discs + objects {
            let (at, free_m) = roomiest(from, &places, number >= discs, draw);
            places.push((at, number >= discs));
            room_m = room_m.min(free_m);
        }
        let roomier = best.as_ref().is_none_or(|(most_m, _)| room_m > *most_m);
        if roomier {
            best = Some((room_m, places));
        }
        if room_m >= 0.0 {
            break;
        }
    }
    let places = best.map_or(Vec::new(), |(_, places)| places);
    let mut places = places.into_iter().skip(fixed.len()).map(|(at, _)| at);
    for (target, at) in scene.other_targets.iter_mut().zip(&mut places) {
        target.position_m = at;
    }
    for (object, at) in scene.others.iter_mut().zip(&mut places) {
        object.position_m = at;
    }
}

/// A place for one more thing, and how much more room it has than it needs, m; negative where none
/// of those tried has enough.
fn roomiest(
    from: &SceneDistribution,
    places: &[Spot],
    object: bool,
    draw: &mut Draw,
) -> ([f64; 2], f64) {
    let apart = |other: bool| match (object, other) {
        (true, true) => from.objects.as_ref().map_or(0.0, |o| o.apart_m),
        (false, false) => from.targets.as_ref().map_or(0.0, |t| t.apart_m),
        _ => from.target_min_distance_m,
    };
    let (x_m, y_m) = match object {
        true => (from.object_x_m, from.object_y_m),
        false => (from.target_x_m, from.target_y_m),
    };
    let mut best = ([0.0; 2], f64::NEG_INFINITY);
    for _ in 0..PLACES {
        let at = [draw.from(x_m), draw.from(y_m)];
        let free_m = |(other, is_object): &Spot| {
            (at[0] - other[0]).hypot(at[1] - other[1]) - apart(*is_object)
        };
        let room_m = places.iter().map(free_m).fold(f64::INFINITY, f64::min);
        if room_m > best.1 {
            best = (at, room_m);
        }
        if room_m >= 0.0 {
            break;
        }
    }
    best
}

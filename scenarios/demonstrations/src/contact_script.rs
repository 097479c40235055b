//! Scripts that say to the millimetre how hand and object meet, or miss each other.

use foresight_kinematics::hand::{
    width_m, FINGER_HALF_WIDTH_M, FINGER_THICKNESS_M, PAD_HALF_WIDTH_M, TIP_BELOW_TCP_M,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::stage::{normal, wander, DemonstratorView, ScriptGeometry, ScriptStage};

/// How far from the object's middle a way over the table begins and ends at most, m.
const WAY_M: f64 = 0.09;
/// How far an object is pushed that is pushed far, m.
const FAR_M: std::ops::Range<f64> = 0.05..0.2;
/// Air between the hand and the object, or what is left of a grip, m.
const LITTLE_M: std::ops::Range<f64> = 0.004..0.02;

/// A straight way across where the object stands.
struct Way {
    /// The object's middle, m.
    middle_m: [f64; 2],
    /// Direction of travel, a unit vector.
    along: [f64; 2],
    /// From the object's middle back to where the hand would just touch it, m.
    ahead_m: f64,
    /// From the object's middle aside to where the hand would just pass it, m.
    beside_m: f64,
}

impl Way {
    /// In any direction that leaves room at both ends; as often as not from the side the hand is on.
    fn draw(
        site: &ScriptGeometry,
        view: &DemonstratorView,
        closedness: f64,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let [x, y, _] = view.object_m;
        let [hand_x, hand_y, _] = view.pose.position_m;
        let from_here = (y - hand_y).atan2(x - hand_x);
        let mut way = Way {
            middle_m: [x, y],
            along: [1.0, 0.0],
            ahead_m: 0.0,
            beside_m: 0.0,
        };
        for _ in 0..8 {
            let angle = if rng.random_bool(0.5) {
                from_here + rng.random_range(-0.6..0.6)
            } else {
                rng.random_range(0.0..std::f64::consts::TAU)
            };
            way.along = [angle.cos(), angle.sin()];
            if site.holds(way.at(-WAY_M, 0.0)) && site.holds(way.at(WAY_M, 0.0)) {
                break;
            }
        }
        let [u, v] = way.along;
        way.ahead_m = touching_m(site, view, closedness, [u, v]);
        way.beside_m = touching_m(site, view, closedness, [-v, u]);
        way
    }

    /// So far along the way and to its left, m.
    fn at(&self, along_m: f64, left_m: f64) -> [f64; 2] {
        let ([x, y], [u, v]) = (self.middle_m, self.along);
        [x + along_m * u - left_m * v, y + along_m * v + left_m * u]
    }

    /// To a point low beside the object, from above unless the hand is on that side already.
    fn approach(
        &self,
        site: &ScriptGeometry,
        view: &DemonstratorView,
        [along_m, left_m]: [f64; 2],
        height_m: f64,
    ) -> Vec<ScriptStage> {
        let [x, y, _] = view.pose.position_m;
        let come = (x - self.middle_m[0]) * self.along[0] + (y - self.middle_m[1]) * self.along[1];
        let from = self.at(along_m, left_m);
        let mut stages = Vec::new();
        if come > -self.ahead_m {
            stages.push(line(from, site.hover_height_m, 1.0, 0.025));
        }
        stages.push(line(from, height_m, 1.0, 0.01));
        stages
    }
}

/// Distance of the object's middle and the TCP at which the low hand just touches the standing
/// object, both seen along a unit vector in the table's plane, m.
fn touching_m(
    site: &ScriptGeometry,
    view: &DemonstratorView,
    closedness: f64,
    [x, y]: [f64; 2],
) -> f64 {
    let along = |yaw_rad: f64, half_m: [f64; 2]| {
        let (sin, cos) = yaw_rad.sin_cos();
        (cos * x + sin * y).abs() * half_m[0] + (cos * y - sin * x).abs() * half_m[1]
    };
    let [width, depth, _] = site.object_size_m.map(|size| size / 2.0);
    let object = if site.object_round {
        width
    } else {
        along(view.object_yaw_rad, [width, depth])
    };
    let opening = width_m(closedness) / 2.0 + FINGER_THICKNESS_M;
    object + along(view.pose.euler_rad[2], [FINGER_HALF_WIDTH_M, opening])
}

fn line([x, y]: [f64; 2], z: f64, stride_share: f64, tolerance_m: f64) -> ScriptStage {
    ScriptStage::Line {
        to_m: [x, y, z],
        stride_share,
        tolerance_m,
    }
}

/// Lets go of what is held and brings the fingers near a closedness.
fn prepare(view: &DemonstratorView, closedness: f64) -> Vec<ScriptStage> {
    let mut stages = Vec::new();
    if view.held {
        stages.push(ScriptStage::Open);
        let [x, y, z] = view.pose.position_m;
        stages.push(line([x, y], z + 0.07, 1.0, 0.02));
    }
    if closedness < 0.05 {
        stages.push(ScriptStage::Open);
    } else {
        stages.push(ScriptStage::GripTo(closedness));
    }
    stages
}

/// Closed mostly; open, and anything between.
fn any_closedness(rng: &mut ChaCha8Rng) -> f64 {
    match rng.random_range(0..10) {
        0..=5 => 1.0,
        6..=7 => 0.0,
        _ => rng.random_range(0.0..1.0),
    }
}

/// From any side, up to and through where the object stands: along its middle or beside it, so that
/// it turns, by any number of actions.
pub(crate) fn push_around(
    site: &ScriptGeometry,
    view: &DemonstratorView,
    rng: &mut ChaCha8Rng,
) -> Vec<ScriptStage> {
    let closedness = any_closedness(rng);
    let way = Way::draw(site, view, closedness, rng);
    let aside = rng.random_range(-0.95..0.95) * way.beside_m;
    let before = -way.ahead_m - rng.random_range(0.008..0.03);
    let beyond = rng.random_range(-0.035..0.06);
    let grasp = site.grasp_height_m;
    let height = if rng.random_bool(0.75) {
        grasp + rng.random_range(-0.005..0.015)
    } else {
        // High on a tall object: it tips over.
        rng.random_range(grasp..site.object_size_m[2].max(grasp + 0.01))
    };
    let stride_share = rng.random_range(0.3..1.0);
    let mut stages = prepare(view, closedness);
    stages.extend(way.approach(site, view, [before, aside], height));
    stages.push(line(way.at(beyond, aside), height, stride_share, 0.006));
    match rng.random_range(0..4) {
        0 => stages.push(line(way.at(beyond, aside), site.hover_height_m, 1.0, 0.03)),
        1 => {}
        _ => stages.push(line(way.at(beyond - 0.06, aside), height, 1.0, 0.02)),
    }
    stages
}

/// Straight ahead by the object's middle, and back to where the push began.
pub(crate) fn push_and_return(
    site: &ScriptGeometry,
    view: &DemonstratorView,
    rng: &mut ChaCha8Rng,
) -> Vec<ScriptStage> {
    let (aside, by_m) = (normal(0.004, rng), rng.random_range(FAR_M));
    let end = |way: &Way| way.at(by_m - way.ahead_m, aside);
    let mut way = Way::draw(site, view, 1.0, rng);
    for _ in 0..8 {
        if site.holds(end(&way)) {
            break;
        }
        way = Way::draw(site, view, 1.0, rng);
    }
    let before = -way.ahead_m - rng.random_range(LITTLE_M);
    let height = site.grasp_height_m + rng.random_range(-0.005..0.01);
    let mut stages = prepare(view, 1.0);
    stages.extend(way.approach(site, view, [before, aside], height));
    stages.push(line(end(&way), height, rng.random_range(0.6..1.0), 0.006));
    stages.push(line(way.at(before, aside), height, 1.0, 0.01));
    stages.extend([ScriptStage::Stay; 3]);
    stages
}

/// Past the object, low beside it or just over it, without touching it.
pub(crate) fn near_miss(
    site: &ScriptGeometry,
    view: &DemonstratorView,
    rng: &mut ChaCha8Rng,
) -> Vec<ScriptStage> {
    let closedness = any_closedness(rng);
    let way = Way::draw(site, view, closedness, rng);
    let air = rng.random_range(LITTLE_M);
    let stride_share = rng.random_range(0.5..1.0);
    let mut stages = prepare(view, closedness);
    if rng.random_bool(0.25) {
        let aside = rng.random_range(-1.0..1.0) * way.beside_m;
        let height = site.object_size_m[2] + TIP_BELOW_TCP_M + air;
        stages.push(line(way.at(-WAY_M, aside), height, 1.0, 0.01));
        stages.push(line(way.at(WAY_M, aside), height, stride_share, 0.01));
        return stages;
    }
    let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let aside = side * (way.beside_m + air);
    let height = site.grasp_height_m + rng.random_range(0.0..0.015);
    stages.extend(way.approach(site, view, [-WAY_M, aside], height));
    stages.push(line(way.at(WAY_M, aside), height, stride_share, 0.01));
    if rng.random_bool(0.5) {
        stages.push(line(way.at(WAY_M, aside), site.hover_height_m, 1.0, 0.03));
    }
    stages
}

/// Takes the object by its rim, by an edge of the pads, or both, lifts it and carries it about.
pub(crate) fn slip(
    site: &ScriptGeometry,
    view: &DemonstratorView,
    rng: &mut ChaCha8Rng,
) -> Vec<ScriptStage> {
    let (by_rim, by_edge) = match rng.random_range(0..10) {
        0..=4 => (true, false),
        5..=7 => (false, true),
        _ => (true, true),
    };
    let (sin, cos) = view.pose.euler_rad[2].sin_cos();
    let bite = rng.random_range(LITTLE_M) / 3.0;
    let aside = if by_edge {
        let edge = touching_m(site, view, 1.0, [cos, sin]) - FINGER_HALF_WIDTH_M;
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        side * (edge + PAD_HALF_WIDTH_M - bite)
    } else {
        normal(0.003, rng)
    };
    let height = if by_rim {
        site.object_size_m[2] + TIP_BELOW_TCP_M - bite
    } else {
        site.grasp_height_m
    };
    let at = [
        view.object_m[0] + aside * cos,
        view.object_m[1] + aside * sin,
    ];
    let lift = height + rng.random_range(0.03..0.10);
    let mut stages = prepare(view, 0.0);
    stages.push(line(at, site.hover_height_m, 1.0, 0.012));
    stages.push(line(at, height, 1.0, 0.004));
    stages.push(ScriptStage::Close);
    stages.push(line(at, lift, rng.random_range(0.5..1.0), 0.012));
    stages.push(wander(site, view, rng));
    stages.push(ScriptStage::Open);
    stages
}

/// Closes above the object or beside it, rises, and opens again.
pub(crate) fn empty_grasp(
    site: &ScriptGeometry,
    view: &DemonstratorView,
    rng: &mut ChaCha8Rng,
) -> Vec<ScriptStage> {
    let way = Way::draw(site, view, 0.0, rng);
    let air = rng.random_range(LITTLE_M);
    let mut stages = prepare(view, 0.0);
    let (at, height) = if rng.random_bool(0.4) {
        let at = way.at(normal(0.01, rng), normal(0.01, rng));
        (at, site.object_size_m[2] + TIP_BELOW_TCP_M + air)
    } else {
        let along = -way.ahead_m - air;
        let height = site.grasp_height_m + rng.random_range(0.0..0.03);
        stages.extend(way.approach(site, view, [along, 0.0], height));
        (way.at(along, 0.0), height)
    };
    stages.push(line(at, height, 1.0, 0.008));
    stages.push(ScriptStage::Close);
    stages.push(line(at, site.hover_height_m, 1.0, 0.02));
    stages.push(ScriptStage::Open);
    stages
}

//! The demonstrator's scripts: which stages a behaviour consists of.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::contact_script;
use crate::episode_config::{Behaviour, EpisodeConfig};
use crate::stage::{normal, wander, Anchor, DemonstratorView, ScriptGeometry, ScriptStage};

/// How far off the hand comes down that stumbles: standard deviation, m an axis.
const STUMBLE_M: f64 = 0.025;

/// The stages of the behaviour, from wherever the hand is.
pub(crate) fn stages(
    style: &EpisodeConfig,
    site: &ScriptGeometry,
    view: &DemonstratorView,
    rng: &mut ChaCha8Rng,
) -> Vec<ScriptStage> {
    let (grasp, hover) = (site.grasp_height_m, site.hover_height_m);
    let carry = (hover + rng.random_range(-0.01..0.05)).min(site.box_max_m[2]);
    let go = |anchor, height_m, tolerance_m| ScriptStage::Go {
        anchor,
        offset_m: [0.0; 2],
        height_m,
        tolerance_m,
    };
    let mut pick = Vec::new();
    if !view.held {
        if view.pose.gripper > 0.15 {
            pick.push(ScriptStage::Open);
        }
        if style.stumble_share > 0.0 && rng.random_bool(style.stumble_share) {
            pick.push(ScriptStage::Go {
                anchor: Anchor::Object,
                offset_m: [normal(STUMBLE_M, rng), normal(STUMBLE_M, rng)],
                height_m: rng.random_range(grasp..hover),
                tolerance_m: 0.01,
            });
        }
        // Straight down mostly; sometimes aslant, which sweeps the object: both happen
        // when a search moves the hand.
        if rng.random_bool(1.0 - style.aslant_share) {
            pick.push(go(Anchor::Object, hover, 0.02));
        }
        pick.push(go(Anchor::Object, grasp, 0.008));
        pick.push(ScriptStage::Close);
    }
    match style.behaviour {
        Behaviour::PickAndPlace => {
            pick.push(go(Anchor::Object, carry, 0.02));
            pick.push(ScriptStage::RetryUnlessHeld);
            pick.push(go(Anchor::Target, carry, 0.015));
            let release = grasp + rng.random_range(0.0..0.02);
            pick.push(go(Anchor::Target, release, 0.01));
            pick.push(ScriptStage::Open);
            pick.push(go(Anchor::Target, hover, 0.02));
            pick.extend([ScriptStage::Stay; 3]);
            pick.push(wander(site, view, rng));
            pick
        }
        Behaviour::Grasp => {
            pick.push(go(Anchor::Object, carry, 0.02));
            pick.push(ScriptStage::RetryUnlessHeld);
            pick.extend([ScriptStage::Stay; 4]);
            pick.push(if rng.random_bool(0.5) {
                ScriptStage::Open
            } else {
                wander(site, view, rng)
            });
            pick
        }
        Behaviour::Reach => {
            let mut stages = vec![wander(site, view, rng), wander(site, view, rng)];
            if rng.random_bool(0.4) {
                stages.push(ScriptStage::GripTo(rng.random_range(0.0..1.0)));
            }
            stages
        }
        Behaviour::Carry => {
            if !view.held {
                pick.push(wander(site, view, rng));
                return pick;
            }
            let mut stages = vec![wander(site, view, rng)];
            if rng.random_bool(0.6) {
                stages.push(go(Anchor::Target, carry, 0.015));
                stages.push(go(Anchor::Target, grasp, 0.01));
                if rng.random_bool(0.8) {
                    stages.push(ScriptStage::Open);
                    stages.push(go(Anchor::Target, hover, 0.02));
                }
            }
            stages
        }
        Behaviour::Push => push(site, rng),
        Behaviour::Random | Behaviour::Fumble => fumble(site, rng),
        Behaviour::PushAround => contact_script::push_around(site, view, rng),
        Behaviour::PushAndReturn => contact_script::push_and_return(site, view, rng),
        Behaviour::NearMiss => contact_script::near_miss(site, view, rng),
        Behaviour::Slip => contact_script::slip(site, view, rng),
        Behaviour::EmptyGrasp => contact_script::empty_grasp(site, view, rng),
    }
}

/// Closed hand beside the object, then through where it stands.
fn push(site: &ScriptGeometry, rng: &mut ChaCha8Rng) -> Vec<ScriptStage> {
    let angle = rng.random_range(0.0..std::f64::consts::TAU);
    let (sin, cos) = angle.sin_cos();
    let beside = rng.random_range(0.055..0.08);
    let beyond = rng.random_range(-0.02..0.08);
    let low = site.grasp_height_m + rng.random_range(-0.005..0.02);
    let at = |distance: f64, height_m, tolerance_m| ScriptStage::Go {
        anchor: Anchor::Object,
        offset_m: [cos * distance, sin * distance],
        height_m,
        tolerance_m,
    };
    let mut stages = Vec::new();
    if rng.random_bool(0.8) {
        stages.push(ScriptStage::GripTo(1.0));
    }
    stages.push(at(-beside, site.hover_height_m, 0.025));
    stages.push(at(-beside, low, 0.015));
    // The goal moves with the object, so the hand follows it until the stage is given up.
    stages.push(at(beyond, low, 0.015));
    // Away upwards, or back to where the push began: a search that wants the object alone to
    // move has to imagine both.
    if rng.random_bool(0.5) {
        stages.push(at(beyond - 0.09, site.hover_height_m, 0.03));
    } else {
        stages.push(at(-beside - rng.random_range(0.03..0.09), low, 0.02));
    }
    stages
}

fn fumble(site: &ScriptGeometry, rng: &mut ChaCha8Rng) -> Vec<ScriptStage> {
    let mut stages = Vec::new();
    for _ in 0..3 {
        let offset_m = [normal(0.025, rng), normal(0.025, rng)];
        let (low, high) = (site.grasp_height_m, site.hover_height_m);
        stages.push(ScriptStage::Go {
            anchor: Anchor::Object,
            offset_m,
            height_m: rng.random_range(low..high),
            tolerance_m: 0.015,
        });
        match rng.random_range(0..4) {
            0 => stages.push(ScriptStage::Close),
            1 => stages.push(ScriptStage::Open),
            2 => stages.push(ScriptStage::GripTo(rng.random_range(0.0..1.0))),
            _ => {}
        }
    }
    stages
}

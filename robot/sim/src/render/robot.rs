//! The robot's meshes, read once, in two levels of detail.

use std::sync::OnceLock;

use super::mesh::{Mesh, TriangleSoup};

/// Every part of the robot at one level of detail.
#[derive(Debug)]
pub(crate) struct RobotMeshes {
    pub links: Vec<Mesh>,
    pub hand: Mesh,
    /// The left finger; the right one is the same turned half round.
    pub finger: Mesh,
}

#[derive(Debug)]
pub(crate) struct Levels {
    /// For small pictures and for shadows.
    pub coarse: RobotMeshes,
    /// For people.
    pub fine: RobotMeshes,
}

/// Grid cells the meshes are thinned with, m: links, hand, finger.
const COARSE_M: [f32; 3] = [0.010, 0.005, 0.003];
const FINE_M: [f32; 3] = [0.001, 0.0005, 0.0002];

/// The finger's rubber tip: brighter than the real one's dark grey, because in a 64 × 64 picture
/// the tips are a few pixels that a model must be able to see closing.
const TIP_COLOUR: [f32; 3] = [0.95, 0.75, 0.10];
const FINGER_COLOUR: [f32; 3] = [0.92, 0.94, 0.96];

/// The meshes, read on first use.
pub(crate) fn levels() -> Result<&'static Levels, &'static str> {
    static LEVELS: OnceLock<Result<Levels, String>> = OnceLock::new();
    LEVELS
        .get_or_init(read)
        .as_ref()
        .map_err(|reason| reason.as_str())
}

fn read() -> Result<Levels, String> {
    let set = &franka_description::FR3;
    let links = set
        .links
        .iter()
        .map(|glb| TriangleSoup::from_glb(glb))
        .collect::<Result<Vec<_>, _>>()?;
    let hand = TriangleSoup::from_glb(set.hand)?;
    let mut finger = TriangleSoup::from_glb(set.finger)?;
    for colour in &mut finger.colours {
        let dark = colour.iter().sum::<f32>() < 1.5;
        *colour = if dark { TIP_COLOUR } else { FINGER_COLOUR };
    }
    let level = |[link_m, hand_m, finger_m]: [f32; 3]| RobotMeshes {
        links: links.iter().map(|l| l.thinned(link_m).mesh()).collect(),
        hand: hand.thinned(hand_m).mesh(),
        finger: finger.thinned(finger_m).mesh(),
    };
    Ok(Levels {
        coarse: level(COARSE_M),
        fine: level(FINE_M),
    })
}

//! Whether a pose's numbers can be metres, radians and closedness.
//!
//! Recordings and typed-in states come in degrees, millimetres and percent as well, and a model
//! takes those without a word. What no arm can do gives them away.

use std::f64::consts::TAU;

/// Farther from its base no arm of this size comes, tool included, m.
pub const FARTHEST_M: f64 = 1.2;
/// Farther away no camera sees what an arm does, m.
pub const FARTHEST_CAMERA_M: f64 = 10.0;
/// A full turn and the error of writing it down, rad.
const FULL_TURN_RAD: f64 = TAU + 1e-3;

/// What a gripper's own measurement may be off by at its ends.
const GRIPPER_ERROR: f64 = 0.02;

/// What of a pose `[x, y, z, rx, ry, rz, g]` can't be metres, radians and closedness from 0 (open)
/// to 1 (closed), with the units it probably has and what to do; `None` of one that may be.
pub fn doubt(pose: &[f64; 7]) -> Option<String> {
    let [x, y, z, angles @ .., gripper] = pose;
    let doubts = [
        position(&[*x, *y, *z]),
        angles.iter().copied().find_map(angle),
        closedness(*gripper),
    ];
    let doubts: Vec<String> = doubts.into_iter().flatten().collect();
    (!doubts.is_empty()).then(|| doubts.join("; "))
}

/// What of a camera's pose `[x, y, z, rx, ry, rz]` can't be metres and radians in the arm's base frame.
pub fn camera_doubt(pose: &[f64; 6]) -> Option<String> {
    let [x, y, z, angles @ ..] = pose;
    // Written so that NaN is doubtful.
    let near = [x, y, z].iter().all(|v| v.abs() <= FARTHEST_CAMERA_M);
    let place = (!near).then(|| {
        format!(
            "the camera stands at [{x}, {y}, {z}], farther from the arm than {FARTHEST_CAMERA_M} m; give metres in \
             the robot's base frame"
        )
    });
    place.or_else(|| angles.iter().copied().find_map(angle))
}

fn position(at: &[f64; 3]) -> Option<String> {
    let far = at.iter().map(|v| v * v).sum::<f64>().sqrt();
    // Written so that NaN is doubtful.
    if far <= FARTHEST_M {
        return None;
    }
    let units = if far > 100.0 * FARTHEST_M {
        "; they are probably millimetres: divide by 1000"
    } else if far > 10.0 * FARTHEST_M {
        "; they are probably centimetres (divide by 100) or millimetres (divide by 1000)"
    } else {
        "; give metres in the robot's base frame"
    };
    let [x, y, z] = at;
    Some(format!(
        "the position [{x}, {y}, {z}] lies {far:.1} m from the base, where no arm reaches ({FARTHEST_M} m){units}"
    ))
}

fn angle(angle: f64) -> Option<String> {
    if angle.abs() <= FULL_TURN_RAD {
        return None;
    }
    Some(format!(
        "the angle {angle} rad is more than a full turn; it is probably in degrees: multiply by π/180"
    ))
}

fn closedness(gripper: f64) -> Option<String> {
    if (-GRIPPER_ERROR..=1.0 + GRIPPER_ERROR).contains(&gripper) {
        return None;
    }
    let units = if gripper > 100.0 && gripper <= 255.0 {
        "; it is probably a gripper's own count: divide by 255"
    } else if gripper > 1.0 && gripper <= 100.0 {
        "; it is probably in percent (divide by 100) or an opening in mm (1 - opening / largest opening)"
    } else {
        ""
    };
    Some(format!(
        "the gripper is {gripper}, outside 0 (open) to 1 (closed){units}"
    ))
}

#[cfg(test)]
#[path = "../tests/unit/pose_units.rs"]
mod tests;
